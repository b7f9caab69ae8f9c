/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * config_check_kafka_route: routes to clusters of Kafka (docs/adr/0020). Their brokers' names are
 * made by a template, and each of these names must choose that very route.
 */
#include "config_check.h"

#define ROUTE	    CONFIG_SCOPE_ROUTE
#define LABEL_BYTES 200
#define WRITTEN_OUT INT32_MAX

/* One route to Kafka, beside the others of its listener. */
struct beside {
	struct check *check;
	uint32_t index;
	const struct config_route *route;
	const char *cluster;
	uint32_t first, end; /* the routes of the listener */
};

static const char *label_of(const struct check *check, uint32_t index, const char *path, char *text)
{
	return config_label(check->read, ROUTE, index, path, text, LABEL_BYTES);
}

/* As it is called within its listener. */
static uint32_t number_of(const struct beside *beside, uint32_t index)
{
	return index - beside->first;
}

/* ---- names that are made -------------------------------------------------------------------- */

/* What clients ask for that want this node. False: it is too long for a name. */
static bool name_make(const struct beside *beside, int32_t node, const char *rack,
		      char ret_name[static HOST_MAX])
{
	struct sink sink = sink_of(ret_name, HOST_MAX - 1);

	config_kafka_host(span_str(beside->route->kafka.advertise), beside->cluster, node,
			  span_str(rack), &sink);
	for (size_t i = 0; i < sink.len; i++)
		if (ret_name[i] >= 'A' && ret_name[i] <= 'Z')
			ret_name[i] = (char)(ret_name[i] - 'A' + 'a');
	ret_name[sink.len] = '\0';
	return !sink.full;
}

/* The longer the suffix that a route's host has in common with a name, the nearer it is: workers
 * take the nearest (route/sni.h). -1: it is not for that name. */
static int32_t nearness(const char *host, const char *name)
{
	size_t stars = strspn(host, "*");
	size_t suffix = strlen(host) - stars, len = strlen(name);

	if (stars == 0)
		return strcmp(host, name) == 0 ? WRITTEN_OUT : -1;
	if (suffix == 0)
		return 0;
	if (len <= suffix || strcmp(name + len - suffix, host + stars) != 0)
		return -1;
	if (stars == 1 && strcspn(name, ".") < len - suffix)
		return -1;
	return (int32_t)(2 * suffix + (stars == 1));
}

static uint32_t find_nearest(const struct beside *beside, const char *name)
{
	const struct config_route *routes = beside->check->config->routes;
	uint32_t nearest = beside->index;

	for (uint32_t i = beside->first; i < beside->end; i++)
		if (routes[i].host != NULL &&
		    nearness(routes[i].host, name) > nearness(routes[nearest].host, name))
			nearest = i;
	return nearest;
}

/* The host that takes both, and all that are between. */
static void host_suggest(const char *a, const char *b, char ret_host[static HOST_MAX + 2])
{
	const char *at = a + strlen(a), *other = b + strlen(b);

	while (at > a && other > b && at[-1] == other[-1]) {
		at--;
		other--;
	}
	at += strcspn(at, ".");
	snprintf(ret_host, HOST_MAX + 2, "%s%s",
		 memchr(a, '.', (size_t)(at - a)) != NULL ? "**" : "*", at);
}

/* Names differ in node id and rack alone: if it takes these two it takes all of them. */
static void template_check(const struct beside *beside)
{
	struct check *check = beside->check;
	char first[HOST_MAX], last[HOST_MAX], host[HOST_MAX + 2], label[LABEL_BYTES];
	bool is_short = name_make(beside, 0, "a", first) && name_make(beside, 1, "b", last);

	if (!is_short || beside->route->host == NULL)
		return;
	if (nearness(beside->route->host, first) < 0 || nearness(beside->route->host, last) < 0) {
		host_suggest(first, last, host);
		FAULT(check, where(check, ROUTE, beside->index, "host"),
		      "%s: %s is not for the names that kafka.advertise makes, like %s; write "
		      "host: \"%s\"",
		      label_of(check, beside->index, "host", label), beside->route->host, first,
		      host);
		return;
	}
	uint32_t nearest = find_nearest(beside, first);

	if (nearest != beside->index)
		FAULT(check, where(check, ROUTE, beside->index, "kafka.advertise"),
		      "%s: the names it makes, like %s, go to routes[%u], whose host %s is nearer; "
		      "write others",
		      label_of(check, beside->index, "kafka.advertise", label), first,
		      number_of(beside, nearest), check->config->routes[nearest].host);
}

/* ---- names that are written out ------------------------------------------------------------- */

/* A name of another route that a broker has here. */
static void taken_check(const struct beside *beside, uint32_t other, const char *path,
			const char *name)
{
	struct check *check = beside->check;
	char label[LABEL_BYTES];
	int32_t node;

	if (name != NULL &&
	    config_kafka_node_named(&beside->route->kafka, beside->cluster, span_str(name), &node))
		FAULT(check, where(check, ROUTE, other, path),
		      "%s: %s is what kafka.advertise of routes[%u] makes of node id %d; write "
		      "another name",
		      label_of(check, other, path, label), name, number_of(beside, beside->index),
		      (int)node);
}

static void others_check(const struct beside *beside)
{
	struct check *check = beside->check;
	const char *bootstrap = beside->route->kafka.bootstrap;
	char label[LABEL_BYTES];

	for (uint32_t i = beside->first; i < beside->end; i++) {
		const struct config_route *other = &check->config->routes[i];
		bool is_host = other->host != NULL && bootstrap != NULL &&
			       strcmp(other->host, bootstrap) == 0;
		bool is_bootstrap = i < beside->index && other->kafka.bootstrap != NULL &&
				    bootstrap != NULL &&
				    strcmp(other->kafka.bootstrap, bootstrap) == 0;

		if (is_host || is_bootstrap)
			FAULT(check, where(check, ROUTE, beside->index, "kafka.bootstrap"),
			      "%s: %s is the %s of routes[%u]; write another name",
			      label_of(check, beside->index, "kafka.bootstrap", label), bootstrap,
			      is_host ? "host" : "bootstrap", number_of(beside, i));
		if (i == beside->index)
			continue;
		taken_check(beside, i, "host", other->host);
		taken_check(beside, i, "kafka.bootstrap", other->kafka.bootstrap);
	}
}

/* ---- one route ------------------------------------------------------------------------------ */

static void names_check(const struct check_kafka *place, const struct config_route *route)
{
	const struct config_listener *listener = &place->check->config->listeners[route->listener];
	const struct beside beside = {
		.check = place->check,
		.index = place->index,
		.route = route,
		.cluster = place->cluster->name,
		.first = listener->route_first,
		.end = listener->route_first + listener->route_count,
	};
	char label[LABEL_BYTES];

	if (route->kafka.advertise == NULL) {
		FAULT(place->check, where(place->check, ROUTE, place->index, "kafka.advertise"),
		      "%s: clients cannot be told where brokers are; add kafka: { advertise: "
		      "\"b{id}.kafka.example.com\" }, a template of names",
		      label_of(place->check, place->index, "", label));
		return;
	}
	if (!config_check_kafka_names(place))
		return;
	template_check(&beside);
	others_check(&beside);
}

void config_check_kafka_route(struct check *check, uint32_t index)
{
	struct config *config = check->config;
	struct config_route *route = &config->routes[index];
	bool is_discovered = route->discovered >= 0;
	int32_t cluster = is_discovered ? route->discovered : route->cluster;
	char label[LABEL_BYTES];

	if (cluster < 0 || config->clusters[cluster].protocol != CONFIG_KAFKA) {
		/* The name of its cluster may be wrong, and that has been said. */
		if (cluster >= 0 || (!is_set(check, ROUTE, index, "cluster") &&
				     !is_set(check, ROUTE, index, "discovered")))
			config_check_kafka_stray(check, ROUTE, index);
		return;
	}
	const struct check_kafka place = {
		.check = check,
		.scope = ROUTE,
		.index = index,
		.cluster = &config->clusters[cluster],
		.kafka = &route->kafka,
		.denied = &route->deny_apis,
		.users = &route->allow_users,
	};
	const char *path = is_discovered ? "discovered" : "cluster";

	if (!config_route_is_kafka(config, route)) {
		FAULT(check, where(check, ROUTE, index, path),
		      "%s: clusters.%s is Kafka's, whose brokers need other names for clients, "
		      "inside TLS that ends here; write cluster: %s, mode: %s and kafka: { "
		      "advertise: \"b{id}.kafka.example.com\" }",
		      label_of(check, index, path, label), place.cluster->name, place.cluster->name,
		      config_speaks_tls(place.cluster) ? "reencrypt" : "terminate");
		return;
	}
	config_check_kafka_policy(&place);
	names_check(&place, route);
}
