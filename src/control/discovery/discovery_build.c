/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * discovery_build: what is known of a cluster, as part of a routing snapshot.
 */
#include "discovery_priv.h"

int32_t discovery_build_url(struct discovery_cluster *cluster, uint32_t index,
			    struct route_builder *builder, const struct discovery_url *url)
{
	const struct discovery_host *host = &cluster->discovery->host;
	struct route_endpoint endpoint = {
		.host = url->host,
		.port = url->port,
		.is_tls = url->is_tls,
	};
	bool is_final;

	if (url->port == 0)
		return -1;
	endpoint.addr_count = (uint8_t)host->resolve(host->context, url->host, endpoint.addrs,
						     ROUTE_ADDRS_MAX, &is_final);
	return route_build_endpoint(builder, index, &endpoint);
}

/* `told_ns` 0: it has left, and whoever is where it was is another. */
static void build_node(uint32_t index, struct route_builder *builder, int32_t id, const char *rack,
		       int32_t endpoint, uint64_t told_ns)
{
	const struct route_node node = {
		.id = id,
		.endpoint = endpoint,
		.rack = rack[0] != '\0' ? rack : NULL,
		.told_ns = told_ns,
	};

	if (endpoint >= 0)
		route_build_node(builder, index, &node);
}

/* Allowed, but not among the brokers to choose from. */
static void build_departed(struct discovery_cluster *cluster, uint32_t index,
			   struct route_builder *builder, const struct discovery_departed *departed)
{
	int32_t endpoint = discovery_build_url(cluster, index, builder, &departed->url);

	if (departed->node >= 0 && discovery_find_node(cluster, departed->node) == NULL)
		build_node(index, builder, departed->node, "", endpoint, 0);
}

static void build_broker(struct discovery_cluster *cluster, uint32_t index,
			 struct route_builder *builder, const struct discovery_broker *broker)
{
	char url[DISCOVERY_URL_MAX], url_tls[DISCOVERY_URL_MAX];
	struct route_broker entry = {
		.id = broker->id,
		.url = discovery_url_format(&broker->plain, url) > 0 ? url : NULL,
		.url_tls = discovery_url_format(&broker->tls, url_tls) > 0 ? url_tls : NULL,
		.plain = discovery_build_url(cluster, index, builder, &broker->plain),
		.tls = discovery_build_url(cluster, index, builder, &broker->tls),
	};

	if (broker->node >= 0)
		build_node(index, builder, broker->node, broker->rack,
			   entry.plain >= 0 ? entry.plain : entry.tls, cluster->read_ns);
	for (uint32_t i = 0; i < broker->listener_count; i++)
		(void)discovery_build_url(cluster, index, builder, &broker->listeners[i]);
	route_build_broker(builder, index, &entry);
}

void discovery_build(struct discovery *discovery, uint32_t index, struct route_builder *builder,
		     uint64_t now_ns)
{
	if (index >= discovery->cluster_count)
		return;
	struct discovery_cluster *cluster = discovery->clusters[index];
	bool is_direct = discovery_zookeeper_is_direct(cluster, now_ns);

	route_build_cluster(builder, index, cluster->is_loaded, cluster->servers != NULL, is_direct,
			    cluster->read_ns);
	for (uint32_t i = 0; i < cluster->brokers.count; i++)
		build_broker(cluster, index, builder, &cluster->brokers.at[i]);
	for (uint32_t i = 0; i < cluster->departed_count; i++)
		build_departed(cluster, index, builder, &cluster->departed[i]);
	if (is_direct)
		discovery_zookeeper_build(cluster, index, builder);
}
