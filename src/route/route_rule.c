/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Routing by server name: which rule is for a client, and the places that rule leads to. What
 * the configuration or discovery names is trusted; what is made of the client's name goes through
 * the egress rules like anything a client names.
 */
#include "route_priv.h"

static const struct config_route *config_of(const struct route *route, uint32_t rule)
{
	CHECK(rule < route->config->route_count);
	return &route->config->routes[rule];
}

/* The endpoint of the broker that is called so, or NULL. */
static const struct route_endpoint *find_broker(const struct route *route, uint32_t rule,
						struct span name)
{
	const struct route_cluster *cluster = &route->clusters[config_of(route, rule)->discovered];
	struct route_sni_match match;
	if (!route_sni_find(cluster->tls_hosts, name, &match))
		return NULL;
	return &cluster->endpoints[match.value];
}

bool route_rule_find(const struct route *route, uint32_t listener, struct span name,
		     uint32_t *ret_rule)
{
	const struct route_names *names = &route->names[listener];
	struct route_sni_match match;
	bool is_found = route_sni_find(names->hosts, name, &match);
	if (!is_found || match.capture.len > 0) {
		uint32_t rule = names->discovered;
		while (rule != ROUTE_NO_RULE && find_broker(route, rule, name) == NULL)
			rule = route->rules[rule].next;
		if (rule != ROUTE_NO_RULE)
			match = (struct route_sni_match){ .value = rule };
		is_found = is_found || rule != ROUTE_NO_RULE;
	}
	if (is_found)
		*ret_rule = match.value;
	return is_found;
}

uint32_t route_rule_of_id(const struct route *route, uint16_t id)
{
	return id < route->id_count ? route->rule_of_id[id] : ROUTE_NO_RULE;
}

/* ---- choosing ------------------------------------------------------------------------------- */

/* The next protocol of a list as it stands in a ClientHello (RFC 7301 3.1). */
static bool next_protocol(struct span *list, struct span *ret_protocol)
{
	uint8_t len;
	return span_u8(list, &len) && span_take(list, len, ret_protocol);
}

static bool offers(struct span alpn, const struct config_names *wanted)
{
	struct span protocol;
	while (next_protocol(&alpn, &protocol))
		for (uint32_t i = 0; i < wanted->count; i++)
			if (span_is(protocol, wanted->at[i]))
				return true;
	return false;
}

/* Among the rules of one host; ROUTE_NO_RULE: none is for this client. */
static uint32_t choose_by_alpn(const struct route *route, uint32_t rule, struct span alpn)
{
	uint32_t other = ROUTE_NO_RULE;
	for (; rule != ROUTE_NO_RULE; rule = route->rules[rule].next) {
		const struct config_names *wanted = &config_of(route, rule)->alpn;
		if (wanted->count > 0 && offers(alpn, wanted))
			return rule;
		if (wanted->count == 0 && other == ROUTE_NO_RULE)
			other = rule;
	}
	return other;
}

static bool is_let_in(const struct config_cidrs *allow, const struct addr *client)
{
	for (uint32_t i = 0; i < allow->count; i++)
		if (addr_in_cidr(client, &allow->at[i]))
			return true;
	return allow->count == 0;
}

enum close_reason route_rule_choose(const struct route *route, uint32_t listener,
				    const struct route_asked *asked, uint32_t *ret_rule)
{
	const struct config_listener *config = &route->config->listeners[listener];
	bool has_name = asked->name.at != NULL;
	int32_t other = has_name ? config->unknown_route : config->no_sni_route;
	uint32_t rule = ROUTE_NO_RULE;
	if (!has_name || !route_rule_find(route, listener, asked->name, &rule)) {
		if (other < 0)
			return has_name ? CLOSE_NO_ROUTE : CLOSE_SNI_MISSING;
		rule = (uint32_t)other;
	}
	rule = choose_by_alpn(route, rule, asked->alpn);
	if (rule == ROUTE_NO_RULE)
		return CLOSE_NO_ALPN;
	*ret_rule = rule;
	return is_let_in(&config_of(route, rule)->allow, &asked->client) ? CLOSE_NONE
									 : CLOSE_ACL_CIDR;
}

/* ---- places --------------------------------------------------------------------------------- */

static void deny(struct route_place *place, enum close_reason reason)
{
	place->verdict = (struct route_verdict){ .answer = ROUTE_DENY, .reason = reason };
}

void route_place(const struct route_endpoint *endpoint, struct route_place *ret_place)
{
	route_trust(endpoint, &ret_place->verdict);
	ret_place->port = endpoint->port;
	bool is_whole =
		span_to_str(span_str(endpoint->host), ret_place->host, sizeof(ret_place->host));
	CHECK(is_whole);
}

/* What the wildcard of the host stands for. */
static struct span capture_of(const char *host, struct span name)
{
	size_t suffix = strlen(host) - strspn(host, "*");
	return span_of(name.at, name.len > suffix ? name.len - suffix : 0);
}

static void place_derived(const struct route *route, const struct config_route *config,
			  const struct config_target *target, struct span name,
			  struct route_place *place)
{
	uint8_t text[HOST_MAX];
	struct sink sink = sink_of(text, sizeof(text));
	route_sni_expand(&sink, span_str(target->host), capture_of(config->host, name));
	place->port = target->port;
	if (sink.full || !route_host_normal(sink_written(&sink), place->host))
		deny(place, CLOSE_TARGET_SYNTAX_DENIED);
	else
		route_egress(route, NULL, span_str(place->host), place->port, &place->verdict);
}

static bool place_target(const struct route *route, uint32_t rule, struct span name, uint32_t at,
			 struct route_place *place)
{
	const struct config_route *config = config_of(route, rule);
	const struct route_endpoint *target = &route->targets[route->rules[rule].target_first + at];
	if (config->targets[at].is_derived)
		place_derived(route, config, &config->targets[at], name, place);
	else if (target->host != NULL)
		route_place(target, place);
	else
		return false;
	return true;
}

static bool place_broker(const struct route *route, uint32_t rule, struct span name,
			 const struct config_ports *ports, struct route_place *place)
{
	const struct route_endpoint *endpoint = find_broker(route, rule, name);
	if (endpoint == NULL)
		return false;
	if (route_has_port(ports, endpoint->port))
		route_place(endpoint, place);
	else
		deny(place, CLOSE_TARGET_PORT_DENIED);
	return true;
}

bool route_rule_place(const struct route *route, uint32_t rule, struct span name, uint32_t start,
		      uint32_t n, struct route_place *ret_place)
{
	const struct config_route *config = config_of(route, rule);
	const struct config_ports *ports = &route->config->listeners[config->listener].allow_ports;
	const struct route_endpoint *endpoint;
	if (config->discovered >= 0)
		return n == 0 && place_broker(route, rule, name, ports, ret_place);
	if (config->cluster < 0)
		return n < config->target_count &&
		       place_target(route, rule, name,
				    (uint32_t)(((uint64_t)start + n) % config->target_count),
				    ret_place);
	if (!route_any(route, (uint32_t)config->cluster, ports, start, n, &endpoint))
		return false;
	route_place(endpoint, ret_place);
	return true;
}
