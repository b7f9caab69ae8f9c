/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * proto_kafka_names: a broker's address into the name clients reach it by, which its node id alone
 * decides; and notes of addresses that are news, so that connections for that node find it.
 */
#include "proto_kafka_priv.h"

/* As control would put it into the snapshot. */
static bool is_known(const struct proto_context *context, const struct proto_node *node)
{
	const struct route_node *known = route_node(context->route, context->cluster, node->id);

	if (known == NULL)
		return false;
	const struct route_cluster *cluster = &context->route->clusters[context->cluster];
	const struct route_endpoint *endpoint =
		route_find(context->route, context->cluster, node->host, node->port);
	bool is_same_rack =
		node->rack.len == 0 || (known->rack != NULL && span_is(node->rack, known->rack));

	return endpoint == &cluster->endpoints[known->endpoint] && is_same_rack;
}

static bool is_noted(const struct proto_nodes *nodes, const struct proto_node *node)
{
	for (uint32_t i = 0; i < nodes->count; i++)
		if (nodes->at[i].id == node->id)
			return true;
	return false;
}

static void note(struct proto_context *context, const struct kafka_node *node)
{
	const struct proto_node news = {
		.id = node->id,
		.port = (uint16_t)node->port,
		.host = node->host,
		.rack = node->rack,
	};

	if (node->id < 0 || node->port <= 0 || node->port > UINT16_MAX ||
	    !addr_is_host(node->host) || is_known(context, &news))
		return;
	if (context->nodes->count < PROTO_NODES && !is_noted(context->nodes, &news))
		context->nodes->at[context->nodes->count++] = news;
}

static struct span rack_of(const struct proto_context *context, const struct kafka_node *node)
{
	const struct route_node *known = route_node(context->route, context->cluster, node->id);

	if (node->rack.len == 0 && known != NULL && known->rack != NULL)
		return span_str(known->rack);
	return node->rack;
}

/* Clients have no business with controllers: they may see that there are some (RFC 2606, 2), and
 * where only if the listener says so (kafka.controllers). */
static void put_controller(struct sink *host, int32_t id)
{
	sink_printf(host, "controller-%d.invalid", (int)id);
}

static bool name(void *owner, const struct kafka_node *node, struct kafka_name *ret_name)
{
	struct kafka_naming *naming = owner;
	struct proto_context *context = naming->context;
	struct sink host = sink_of(naming->host, sizeof(naming->host));
	bool is_port = node->port >= 0 && node->port <= UINT16_MAX;
	uint16_t port = 0;

	if (node->kind == KAFKA_NODE_CONTROLLER && is_port &&
	    context->kafka->controllers == CONFIG_KAFKA_CONTROLLERS_PASS) {
		*ret_name = (struct kafka_name){ .host = node->host, .port = (uint16_t)node->port };
		return true;
	}
	if (node->kind == KAFKA_NODE_CONTROLLER) {
		put_controller(&host, node->id);
	} else {
		const char *cluster = context->route->clusters[context->cluster].name;

		note(context, node);
		if (!config_kafka_name(context->kafka, cluster, node->id, rack_of(context, node),
				       &host, &port))
			return false;
		if (port == 0) {
			stat_add(context->stats, STAT_KAFKA_NOWHERE, 1);
			context->is_nowhere = true;
			context->nowhere = node->id;
		}
	}
	*ret_name = (struct kafka_name){ .host = sink_written(&host), .port = port };
	return true;
}

struct kafka_names proto_kafka_names(struct kafka_naming *naming, struct proto_context *context)
{
	naming->context = context;
	return (struct kafka_names){ .name = name, .owner = naming };
}
