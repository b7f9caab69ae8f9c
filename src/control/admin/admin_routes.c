/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * admin_routes: /routes: the routes as they are in force; and the way a client would take that asks
 * for a server name, found by the same functions that find it for real clients.
 */
#include "admin_priv.h"

/* ---- the table ------------------------------------------------------------------------------ */

static void write_key(struct admin_text *text, const char *key, const char *value)
{
	admin_text_printf(text, ",\"%s\":", key);
	admin_text_json(text, value);
}

static void write_names(struct admin_text *text, const char *key, const struct config_names *names)
{
	admin_text_printf(text, ",\"%s\":[", key);
	for (uint32_t i = 0; i < names->count; i++) {
		admin_text_printf(text, "%s", i == 0 ? "" : ",");
		admin_text_json(text, names->at[i]);
	}
	admin_text_printf(text, "]");
}

static void write_place(struct admin_text *text, const char *host, uint16_t port)
{
	bool is_v6 = strchr(host, ':') != NULL;

	admin_text_printf(text, "\"%s%s%s:%u\"", is_v6 ? "[" : "", host, is_v6 ? "]" : "", port);
}

static const char *mode_of(const struct config_route *route)
{
	static const char *const words[] = { "pass", "terminate", "reencrypt" };

	return words[route->mode];
}

static const char *cluster_of(const struct config *config, int32_t index)
{
	return index >= 0 ? config->clusters[index].name : NULL;
}

static void write_allow(struct admin_text *text, const struct config_cidrs *allow)
{
	char network[ADDR_TEXT_MAX];

	admin_text_printf(text, ",\"allow\":[");
	for (uint32_t i = 0; i < allow->count; i++)
		admin_text_printf(text, "%s\"%s\"", i == 0 ? "" : ",",
				  addr_format_cidr(&allow->at[i], network));
	admin_text_printf(text, "]");
}

static void write_route(const struct admin *admin, struct admin_text *text,
			const struct route *snapshot, uint32_t index)
{
	const struct config *config = snapshot->config;
	const struct config_route *route = &config->routes[index];
	const struct stat_route *stats = &admin->host.office->routes[snapshot->rules[index].id];

	admin_text_printf(text, "%s{\"listener\":", index == 0 ? "" : ",");
	admin_text_json(text, config->listeners[route->listener].name);
	write_key(text, "route", route->label);
	write_key(text, "host", route->host);
	write_key(text, "mode", mode_of(route));
	admin_text_printf(text, ",\"forward\":[");
	for (uint32_t i = 0; i < route->target_count; i++) {
		admin_text_printf(text, "%s", i == 0 ? "" : ",");
		write_place(text, route->targets[i].host, route->targets[i].port);
	}
	admin_text_printf(text, "]");
	write_key(text, "cluster", cluster_of(config, route->cluster));
	write_key(text, "discovered", cluster_of(config, route->discovered));
	write_names(text, "alpn", &route->alpn);
	write_allow(text, &route->allow);
	if (route->max_connections == CONFIG_OFF)
		admin_text_printf(text, ",\"max_connections\":null");
	else
		admin_text_printf(text, ",\"max_connections\":%llu",
				  (unsigned long long)route->max_connections);
	admin_text_printf(text, ",\"active\":%llu,\"total\":%llu}",
			  (unsigned long long)atomic_load_explicit(&stats->active,
								   memory_order_relaxed),
			  (unsigned long long)atomic_load_explicit(&stats->total,
								   memory_order_relaxed));
}

/* ---- the way of one client ------------------------------------------------------------------ */

static void write_target(struct admin_text *text, const struct route_place *place, bool is_first)
{
	static const char *const answers[] = {
		[ROUTE_DIAL] = "dial",
		[ROUTE_NEED_DNS] = "resolve",
		[ROUTE_DENY] = "deny",
	};
	char addr[ADDR_TEXT_MAX];
	bool is_denied = place->verdict.answer == ROUTE_DENY;

	admin_text_printf(text, "%s{\"target\":", is_first ? "" : ",");
	write_place(text, place->host, place->port);
	write_key(text, "answer", answers[place->verdict.answer]);
	write_key(text, "reason", is_denied ? close_rows[place->verdict.reason].name : NULL);
	admin_text_printf(text, ",\"addresses\":[");
	for (uint8_t i = 0; place->verdict.answer == ROUTE_DIAL && i < place->verdict.addr_count;
	     i++)
		admin_text_printf(text, "%s\"%s\"", i == 0 ? "" : ",",
				  addr_format(&place->verdict.addrs[i], addr));
	admin_text_printf(text, "]}");
}

/* Where a broker of Kafka is by the rule of the configuration; false: nowhere. */
static bool find_ruled(const struct route *snapshot, uint32_t cluster, int32_t node,
		       struct span rack, struct route_place *ret_place)
{
	const struct config_cluster *config = &snapshot->config->clusters[cluster];
	char host[HOST_MAX];
	struct sink sink = sink_of(host, sizeof(host) - 1);
	struct route_endpoint ruled = { .host = host, .port = config->node_port };

	config_kafka_host(span_str(config->node_host), config->name, node, rack, &sink);
	host[sink.len] = '\0';
	const struct route_endpoint *known =
		route_find(snapshot, cluster, span_str(host), ruled.port);

	route_place(known != NULL ? known : &ruled, ret_place);
	return !sink.full;
}

/* The rack is what brokers have told, else what the name says, as for workers (session_dial.c). */
static bool find_node(const struct route *snapshot, const struct config_route *route, int32_t id,
		      struct span name, struct route_place *ret_place)
{
	uint32_t cluster = (uint32_t)route->cluster;
	const struct config_cluster *config = &snapshot->config->clusters[cluster];
	const struct route_node *node = route_node(snapshot, cluster, id);
	struct span rack = node != NULL && node->rack != NULL
				   ? span_str(node->rack)
				   : config_kafka_rack_named(&route->kafka, config->name, name);

	if (config->node_host != NULL)
		return (rack.len > 0 || !config_kafka_has_rack(span_str(config->node_host))) &&
		       find_ruled(snapshot, cluster, id, rack, ret_place);
	if (node != NULL)
		route_place(&snapshot->clusters[cluster].endpoints[node->endpoint], ret_place);
	return node != NULL;
}

/* Which broker a name stands for, where the rule leads to Kafka. */
static enum config_kafka_wanted find_wanted(const struct route *snapshot, uint32_t rule,
					    struct span name, int32_t *ret_node)
{
	const struct config *config = snapshot->config;
	const struct config_route *route = &config->routes[rule];

	if (!config_route_is_kafka(config, route))
		return CONFIG_KAFKA_ANY;
	return config_kafka_wanted(&route->kafka, config->clusters[route->cluster].name, name,
				   ret_node);
}

static enum close_reason choose(const struct route *snapshot, uint32_t listener,
				const struct route_asked *asked, uint32_t *ret_rule)
{
	enum close_reason reason = route_rule_choose(snapshot, listener, asked, ret_rule);
	int32_t node;

	if (reason != CLOSE_NONE ||
	    find_wanted(snapshot, *ret_rule, asked->name, &node) != CONFIG_KAFKA_NOBODY)
		return reason;
	return asked->name.len > 0 ? CLOSE_NO_ROUTE : CLOSE_SNI_MISSING;
}

/* The n-th place that is tried, in the order written; false: there are no more. */
static bool find_place(const struct route *snapshot, uint32_t rule, struct span name, uint32_t n,
		       struct route_place *ret_place)
{
	const struct config_route *route = &snapshot->config->routes[rule];
	static const struct config_ports all_ports = { .is_any = true };
	const struct route_endpoint *endpoint;
	int32_t node;

	if (!config_route_has_brain(route))
		return route_rule_place(snapshot, rule, name, 0, n, ret_place);
	if (find_wanted(snapshot, rule, name, &node) == CONFIG_KAFKA_NODE)
		return n == 0 && find_node(snapshot, route, node, name, ret_place);
	if (!route_any(snapshot, (uint32_t)route->cluster,
		       route->mode == CONFIG_MODE_REENCRYPT ? &all_ports : NULL, 0, n, &endpoint))
		return false;
	route_place(endpoint, ret_place);
	return true;
}

static void write_way(struct admin_text *text, const struct route *snapshot, uint32_t listener,
		      const struct route_asked *asked)
{
	uint32_t rule = ROUTE_NO_RULE;
	enum close_reason reason = choose(snapshot, listener, asked, &rule);
	const struct config_route *route =
		rule != ROUTE_NO_RULE ? &snapshot->config->routes[rule] : NULL;
	struct route_place place = { .port = 0 };

	write_key(text, "route", route != NULL ? route->label : NULL);
	write_key(text, "mode", route != NULL ? mode_of(route) : NULL);
	write_key(text, "cluster",
		  route != NULL ? cluster_of(snapshot->config, route->cluster) : NULL);
	write_key(text, "reason", reason != CLOSE_NONE ? close_rows[reason].name : NULL);
	write_key(text, "why", reason != CLOSE_NONE ? close_rows[reason].text : NULL);
	admin_text_printf(text, ",\"targets\":[");
	for (uint32_t n = 0;
	     reason == CLOSE_NONE && find_place(snapshot, rule, asked->name, n, &place); n++)
		write_target(text, &place, n == 0);
	admin_text_printf(text, "]}");
}

/* ---- the page ------------------------------------------------------------------------------- */

static bool complain(struct admin_text *text, const char *sentence)
{
	admin_text_printf(text, "{\"error\":");
	admin_text_json(text, sentence);
	admin_text_printf(text, "}\n");
	return false;
}

/* What a client would say. `list` holds the protocol as it is sent. */
static const char *read_question(const struct admin_question *question, uint8_t list[static 256],
				 struct route_asked *ret_asked)
{
	struct sink sink = sink_of(list, 256);

	*ret_asked = (struct route_asked){ .client = addr_v4(0, 0) };
	if (question->sni[0] != '\0')
		ret_asked->name = span_str(question->sni);
	if (question->alpn != NULL) {
		size_t len = strlen(question->alpn);

		if (len == 0 || len > 255)
			return "alpn: one protocol, of 1 to 255 bytes";
		sink_u8(&sink, (uint8_t)len);
		sink_bytes(&sink, question->alpn, len);
		ret_asked->alpn = sink_written(&sink);
	}
	if (question->client != NULL &&
	    !addr_parse_ip(span_str(question->client), &ret_asked->client))
		return "client: an address without a port";
	return NULL;
}

static bool is_wanted(const struct config_listener *listener, const char *name)
{
	return listener->route_count > 0 && (name == NULL || strcmp(listener->name, name) == 0);
}

static bool answer(const struct route *snapshot, const struct admin_question *question,
		   struct admin_text *text)
{
	const struct config *config = snapshot->config;
	struct route_asked asked;
	uint8_t list[256];
	bool is_first = true;
	const char *wrong = read_question(question, list, &asked);

	if (wrong != NULL)
		return complain(text, wrong);
	admin_text_printf(text, "{\"ways\":[");
	for (uint32_t i = 0; i < config->listener_count; i++) {
		if (!is_wanted(&config->listeners[i], question->listener))
			continue;
		admin_text_printf(text, "%s{\"listener\":", is_first ? "" : ",");
		admin_text_json(text, config->listeners[i].name);
		write_way(text, snapshot, i, &asked);
		is_first = false;
	}
	admin_text_printf(text, "]}\n");
	return true;
}

bool admin_routes_show(const struct admin *admin, const struct admin_question *question,
		       struct admin_text *text)
{
	const struct route *snapshot = admin->host.route(admin->host.context);

	if (snapshot != NULL && question->sni != NULL)
		return answer(snapshot, question, text);
	if (question->alpn != NULL || question->client != NULL)
		return complain(text, "add sni, the server name the client would ask for");
	admin_text_printf(text, "{\"routes\":[");
	for (uint32_t i = 0; snapshot != NULL && i < snapshot->config->route_count; i++)
		write_route(admin, text, snapshot, i);
	admin_text_printf(text, "]}\n");
	return true;
}
