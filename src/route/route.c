/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Asking a snapshot: may this target be dialled, who comes next, who owns this topic. Nothing here
 * allocates, waits or changes anything, so a worker calls it in the middle of a turn.
 *
 * What a client names goes through the steps of route_target in this order, and the first that
 * fails gives the reason:
 *
 *     host:port at all?  ->  discovered, configured, learned: trusted, dial or resolve
 *                        ->  literal: special, port, network
 *                        ->  name: host, port, then resolve, then each address like a literal
 */
#include "route_priv.h"

#define TARGET_MAX 255

bool route_host_normal(struct span host, char ret_host[static HOST_MAX])
{
	struct addr addr;
	if (host.len > 1 && host.at[host.len - 1] == '.')
		host.len--;
	if (addr_parse_ip(host, &addr)) {
		char text[ADDR_TEXT_MAX];
		(void)addr_format_ip(&addr, text);
		return span_to_str(span_str(text), ret_host, HOST_MAX);
	}
	if (!addr_is_host(host) || !span_to_str(host, ret_host, HOST_MAX))
		return false;
	for (char *at = ret_host; *at != '\0'; at++) {
		if (*at >= 'A' && *at <= 'Z')
			*at = (char)(*at + ('a' - 'A'));
	}
	return true;
}

uint32_t route_index_place(const struct route_endpoint *endpoints, const uint32_t *index,
			   uint32_t mask, struct span host, uint16_t port)
{
	uint32_t place = (uint32_t)span_hash(host, port) & mask;
	while (index[place] != 0) {
		const struct route_endpoint *endpoint = &endpoints[index[place] - 1];
		if (endpoint->port == port && span_is(host, endpoint->host))
			break;
		place = (place + 1) & mask;
	}
	return place;
}

static const struct route_cluster *cluster_of(const struct route *route, uint32_t cluster)
{
	CHECK(cluster < route->cluster_count);
	return &route->clusters[cluster];
}

static const struct route_endpoint *find_normal(const struct route_cluster *cluster,
						struct span host, uint16_t port)
{
	if (cluster->endpoint_count == 0)
		return NULL;
	uint32_t place = route_index_place(cluster->endpoints, cluster->endpoint_index,
					   cluster->endpoint_index_mask, host, port);
	uint32_t found = cluster->endpoint_index[place];
	return found != 0 ? &cluster->endpoints[found - 1] : NULL;
}

const struct route_endpoint *route_find(const struct route *route, uint32_t cluster,
					struct span host, uint16_t port)
{
	char name[HOST_MAX];
	if (!route_host_normal(host, name))
		return NULL;
	return find_normal(cluster_of(route, cluster), span_str(name), port);
}

bool route_has_port(const struct config_ports *ports, uint16_t port)
{
	if (ports->is_any)
		return true;
	for (uint32_t i = 0; i < ports->count; i++) {
		if (ports->at[i] == port)
			return true;
	}
	return false;
}

static bool is_host_allowed(const struct config *config, struct span host)
{
	for (uint32_t i = 0; i < config->egress.hosts.count; i++) {
		if (route_host_matches(host, config->egress.hosts.at[i]))
			return true;
	}
	return false;
}

static bool is_network_allowed(const struct config *config, const struct addr *addr)
{
	for (uint32_t i = 0; i < config->egress.networks.count; i++) {
		if (addr_in_cidr(addr, &config->egress.networks.at[i]))
			return true;
	}
	return false;
}

static bool is_local(const struct route *route, const struct addr *addr)
{
	for (uint32_t i = 0; i < route->local_count; i++) {
		if (addr_equal_ip(&route->local[i], addr))
			return true;
	}
	return false;
}

/* Dialling ourselves would make a loop that eats connections until a limit stops it. */
static bool is_own(const struct route *route, const struct addr *addr)
{
	for (uint32_t i = 0; i < route->own_count; i++) {
		const struct addr *own = &route->own[i];
		if (own->port != addr->port)
			continue;
		if (addr_equal_ip(own, addr))
			return true;
		if (addr_kind(own) == ADDR_UNSPECIFIED && is_local(route, addr))
			return true;
	}
	return false;
}

enum close_reason route_addr_check(const struct route *route, const struct addr *addr)
{
	if (!addr->is_set || addr_kind_embedded(addr) != ADDR_GLOBAL || is_own(route, addr))
		return CLOSE_TARGET_SPECIAL_DENIED;
	if (!route_has_port(&route->config->egress.ports, addr->port))
		return CLOSE_TARGET_PORT_DENIED;
	if (route->config->egress.networks.count > 0 && !is_network_allowed(route->config, addr))
		return CLOSE_TARGET_NETWORK_DENIED;
	return CLOSE_NONE;
}

static void deny(struct route_verdict *verdict, enum close_reason reason)
{
	*verdict = (struct route_verdict){ .answer = ROUTE_DENY, .reason = reason };
}

/* Not on our list. As long as there is no list, that is no reason to say "not allowed", which makes
 * clients give up for good: they are to try again. */
static void deny_unlisted(const struct route_cluster *cluster, struct route_verdict *verdict,
			  enum close_reason reason)
{
	bool is_final =
		cluster == NULL || cluster->is_loaded || reason == CLOSE_TARGET_SPECIAL_DENIED;
	deny(verdict, is_final ? reason : CLOSE_NO_BROKER);
}

/* "host:port", with or without the scheme, into a host in its normal form. */
static bool read_target(struct span target, char ret_host[static HOST_MAX], uint16_t *ret_port)
{
	static const char *const schemes[] = { "pulsar://", "pulsar+ssl://" };
	for (size_t i = 0; i < COUNT_OF(schemes); i++) {
		if (span_starts(target, schemes[i]) && span_skip(&target, strlen(schemes[i])))
			break;
	}
	struct span host;
	return target.len <= TARGET_MAX && addr_split(target, &host, ret_port) &&
	       route_host_normal(host, ret_host);
}

void route_trust(const struct route_endpoint *endpoint, struct route_verdict *verdict)
{
	*verdict = (struct route_verdict){
		.answer = endpoint->addr_count > 0 ? ROUTE_DIAL : ROUTE_NEED_DNS,
		.is_trusted = true,
		.addr_count = endpoint->addr_count,
	};
	memcpy(verdict->addrs, endpoint->addrs, sizeof(verdict->addrs));
}

static void decide_literal(const struct route *route, const struct route_cluster *cluster,
			   const struct addr *addr, struct route_verdict *verdict)
{
	enum close_reason reason = route_addr_check(route, addr);
	if (reason == CLOSE_NONE && route->config->egress.networks.count == 0)
		reason = CLOSE_TARGET_NETWORK_DENIED;
	if (reason != CLOSE_NONE) {
		deny_unlisted(cluster, verdict, reason);
		return;
	}
	*verdict = (struct route_verdict){ .answer = ROUTE_DIAL, .addr_count = 1 };
	verdict->addrs[0] = *addr;
}

static void decide_name(const struct route *route, const struct route_cluster *cluster,
			struct span host, uint16_t port, struct route_verdict *verdict)
{
	if (!is_host_allowed(route->config, host))
		deny_unlisted(cluster, verdict, CLOSE_TARGET_HOST_DENIED);
	else if (!route_has_port(&route->config->egress.ports, port))
		deny_unlisted(cluster, verdict, CLOSE_TARGET_PORT_DENIED);
	else
		*verdict = (struct route_verdict){ .answer = ROUTE_NEED_DNS };
}

void route_egress(const struct route *route, const struct route_cluster *cluster, struct span host,
		  uint16_t port, struct route_verdict *ret_verdict)
{
	struct addr addr;
	bool is_literal = addr_parse_ip(host, &addr);
	addr.port = port;
	if (is_literal)
		decide_literal(route, cluster, &addr, ret_verdict);
	else
		decide_name(route, cluster, host, port, ret_verdict);
}

void route_target(const struct route *route, uint32_t cluster_index, struct span target,
		  struct route_verdict *ret_verdict)
{
	const struct route_cluster *cluster = cluster_of(route, cluster_index);
	char name[HOST_MAX];
	uint16_t port;
	if (!read_target(target, name, &port)) {
		deny(ret_verdict, CLOSE_TARGET_SYNTAX_DENIED);
		return;
	}
	struct span host = span_str(name);
	const struct route_endpoint *endpoint = find_normal(cluster, host, port);
	if (endpoint != NULL) {
		route_trust(endpoint, ret_verdict);
		return;
	}
	struct addr addr;
	if (addr_parse_ip(host, &addr) && addr_kind_embedded(&addr) != ADDR_GLOBAL)
		deny(ret_verdict, CLOSE_TARGET_SPECIAL_DENIED);
	else if (route->config->clusters[cluster_index].check_active)
		deny_unlisted(cluster, ret_verdict, CLOSE_TARGET_HOST_DENIED);
	else
		route_egress(route, cluster, host, port, ret_verdict);
}

const struct route_endpoint *route_tls_endpoint(const struct route *route, uint32_t cluster_index,
						struct span target)
{
	const struct route_cluster *cluster = cluster_of(route, cluster_index);
	char name[HOST_MAX];
	uint16_t port;
	if (!read_target(target, name, &port))
		return NULL;
	const struct route_endpoint *endpoint = find_normal(cluster, span_str(name), port);
	if (endpoint == NULL || endpoint->is_tls)
		return endpoint;
	for (uint32_t i = 0; i < cluster->broker_count; i++) {
		const struct route_broker *broker = &cluster->brokers[i];
		if (broker->plain >= 0 && &cluster->endpoints[broker->plain] == endpoint)
			return broker->tls >= 0 ? &cluster->endpoints[broker->tls] : NULL;
	}
	return NULL;
}

bool route_any(const struct route *route, uint32_t cluster_index,
	       const struct config_ports *tls_ports, uint32_t start, uint32_t n,
	       const struct route_endpoint **ret_endpoint)
{
	const struct route_cluster *cluster = cluster_of(route, cluster_index);
	for (uint32_t i = 0; i < cluster->broker_count; i++) {
		uint32_t at = (uint32_t)(((uint64_t)start + i) % cluster->broker_count);
		const struct route_broker *broker = &cluster->brokers[at];
		int32_t number = tls_ports != NULL ? broker->tls : broker->plain;
		if (number < 0)
			continue;
		const struct route_endpoint *endpoint = &cluster->endpoints[number];
		bool is_allowed = tls_ports == NULL || route_has_port(tls_ports, endpoint->port);
		if (endpoint->addr_count == 0 || !is_allowed)
			continue;
		if (n-- == 0) {
			*ret_endpoint = endpoint;
			return true;
		}
	}
	return false;
}

const struct route_node *route_node(const struct route *route, uint32_t cluster_index, int32_t id)
{
	const struct route_cluster *cluster = cluster_of(route, cluster_index);
	uint32_t low = 0, high = cluster->node_count;
	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		if (cluster->nodes[middle].id == id)
			return &cluster->nodes[middle];
		if (cluster->nodes[middle].id < id)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

static bool is_at(const struct route_endpoint *endpoint, const struct addr *addr)
{
	for (uint32_t i = 0; i < endpoint->addr_count; i++)
		if (addr_equal(&endpoint->addrs[i], addr))
			return true;
	return false;
}

/* Behind one door, where server names tell nodes apart, addresses say nothing. */
static bool is_shared(const struct route_endpoint *one, const struct route_endpoint *other)
{
	for (uint32_t i = 0; i < one->addr_count; i++)
		if (is_at(other, &one->addrs[i]))
			return true;
	return false;
}

bool route_is_another_node(const struct route *route, uint32_t cluster_index, int32_t id,
			   const struct addr *addr)
{
	const struct route_cluster *cluster = cluster_of(route, cluster_index);
	const struct route_node *own = route_node(route, cluster_index, id);
	const struct route_endpoint *mine = own != NULL ? &cluster->endpoints[own->endpoint] : NULL;
	if (mine != NULL && (mine->addr_count == 0 || is_at(mine, addr)))
		return false;
	for (uint32_t i = 0; i < cluster->node_count; i++) {
		const struct route_endpoint *other =
			&cluster->endpoints[cluster->nodes[i].endpoint];
		if (is_at(other, addr) && (mine == NULL || !is_shared(mine, other)))
			return true;
	}
	return false;
}

static const struct route_namespace *find_namespace(const struct route_cluster *cluster,
						    struct span name)
{
	uint32_t low = 0, high = cluster->namespace_count;
	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		struct span at = span_str(cluster->namespaces[middle].name);
		int order = memcmp(at.at, name.at, at.len < name.len ? at.len : name.len);
		if (order == 0 && at.len == name.len)
			return &cluster->namespaces[middle];
		if (order < 0 || (order == 0 && at.len < name.len))
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

/* The bundle with the greatest `low` that is not above the hash, or NULL. */
static const struct route_bundle *find_bundle(const struct route_namespace *ns, uint32_t hash)
{
	uint32_t low = 0, high = ns->bundle_count;
	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		if (ns->bundles[middle].low <= hash)
			low = middle + 1;
		else
			high = middle;
	}
	return low > 0 ? &ns->bundles[low - 1] : NULL;
}

const struct route_endpoint *route_owner(const struct route *route, uint32_t cluster_index,
					 struct span topic)
{
	const struct route_cluster *cluster = cluster_of(route, cluster_index);
	struct span name;
	if (!cluster->is_loaded || !cluster->is_direct || !route_topic_namespace(topic, &name))
		return NULL;
	const struct route_namespace *ns = find_namespace(cluster, name);
	if (ns == NULL)
		return NULL;
	const struct route_bundle *bundle = find_bundle(ns, route_topic_hash(topic));
	if (bundle == NULL)
		return NULL;
	bool is_tls = config_speaks_tls(&route->config->clusters[cluster_index]);
	int32_t number = is_tls ? bundle->tls : bundle->plain;
	if (number < 0)
		return NULL;
	const struct route_endpoint *owner = &cluster->endpoints[number];
	return owner->addr_count > 0 ? owner : NULL;
}
