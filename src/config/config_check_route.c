/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * config_check_route: routes: where each leads, whether two of them contradict each other, and what
 * becomes of clients that none of them is for. Makes the labels they have in logs and metrics.
 */
#include <strings.h>

#include "config_check.h"

#define LABEL_MAX 520 /* a host, a protocol, brackets */

static struct config_mark where_route(const struct check *check, uint32_t index, const char *path)
{
	return where(check, CONFIG_SCOPE_ROUTE, index, path);
}

static bool has_key(const struct check *check, uint32_t index, const char *path)
{
	return is_set(check, CONFIG_SCOPE_ROUTE, index, path);
}

/* "listeners[0].routes[1].host" */
static const char *label_of(const struct check *check, uint32_t index, const char *path,
			    char text[static 200])
{
	return config_label(check->read, CONFIG_SCOPE_ROUTE, index, path, text, 200);
}

static const struct config_listener *listener_of(const struct check *check, uint32_t index)
{
	return &check->config->listeners[check->config->routes[index].listener];
}

/* As it is called within its listener. */
static uint32_t number_of(const struct check *check, uint32_t index)
{
	return index - listener_of(check, index)->route_first;
}

static bool has_port(const struct config_ports *ports, uint16_t port)
{
	for (uint32_t i = 0; i < ports->count && !ports->is_any; i++)
		if (ports->at[i] == port)
			return true;
	return ports->is_any;
}

static bool is_wildcard(const char *host)
{
	return host[0] == '*';
}

/* ---- one route ------------------------------------------------------------------------------- */

static void name_check(struct check *check, uint32_t index)
{
	const struct config_route *route = &check->config->routes[index];
	bool has_discovered = has_key(check, index, "discovered");
	bool has_host = has_key(check, index, "host");
	char label[200];

	if (!has_host && !has_discovered)
		FAULT(check, where_route(check, index, "host"),
		      "%s: has no host; add host:, the server name it is for",
		      label_of(check, index, "", label));
	if (has_host && has_discovered)
		FAULT(check, where_route(check, index, "host"),
		      "%s: discovered goes by the brokers' own names; remove host",
		      label_of(check, index, "", label));
	if (has_discovered && has_key(check, index, "alpn"))
		FAULT(check, where_route(check, index, "alpn"),
		      "%s: goes with host, not with discovered; remove it",
		      label_of(check, index, "alpn", label));
	if (route->host != NULL && strchr(route->host, '.') == NULL && !is_wildcard(route->host))
		DOUBT(check, where_route(check, index, "host"),
		      "%s: '%s' has no dot: Java clients send no server name for it; use full "
		      "names, or set no_sni",
		      label_of(check, index, "host", label), route->host);
}

/* A cluster of fixed URLs must have one that a route can take. With ZooKeeper nobody knows yet. */
static void urls_check(struct check *check, uint32_t index, int32_t cluster_index, const char *path)
{
	const struct config_ports *ports = &listener_of(check, index)->allow_ports;
	bool is_plain = check->config->routes[index].mode == CONFIG_MODE_TERMINATE;
	bool has_one = false, is_allowed = false;
	char label[200];

	if (cluster_index < 0 || check->config->clusters[cluster_index].urls == NULL)
		return;
	const struct config_cluster *cluster = &check->config->clusters[cluster_index];

	if (cluster->protocol == CONFIG_KAFKA)
		return; /* config_check_kafka_route.c has something else to say */

	for (uint32_t i = 0; i < cluster->url_count; i++) {
		if (cluster->urls[i].is_tls == is_plain)
			continue;
		has_one = true;
		is_allowed |= has_port(ports, cluster->urls[i].port);
	}
	if (!has_one && is_plain)
		FAULT(check, where_route(check, index, path),
		      "%s: clusters.%s.discovery.urls has no pulsar:// URL, and what was in TLS "
		      "goes on in clear; add those",
		      label_of(check, index, path, label), cluster->name);
	else if (!has_one)
		FAULT(check, where_route(check, index, path),
		      "%s: clusters.%s.discovery.urls has no pulsar+ssl:// URL, and TLS is %s the "
		      "brokers; add those",
		      label_of(check, index, path, label), cluster->name,
		      check->config->routes[index].mode == CONFIG_MODE_PASS ? "passed through to"
									    : "spoken to");
	else if (!is_allowed && !config_route_has_brain(&check->config->routes[index]))
		FAULT(check, where_route(check, index, path),
		      "%s: no TLS port of clusters.%s.discovery.urls is in allow_ports; add it "
		      "there",
		      label_of(check, index, path, label), cluster->name);
}

static void derived_check(struct check *check, uint32_t index, const struct config_target *target)
{
	const struct config *config = check->config;
	const char *host = config->routes[index].host;
	struct config_mark mark = where_route(check, index, "forward");
	char label[200];

	label_of(check, index, "forward", label);
	if (host != NULL && !is_wildcard(host))
		FAULT(check, mark,
		      "%s: {1} is what the wildcard of host stands for, and %s has none; write the "
		      "target out",
		      label, host);
	if (!has_port(&listener_of(check, index)->allow_ports, target->port))
		FAULT(check, mark,
		      "%s: port %u is not in allow_ports of the listener; add it there", label,
		      target->port);
	if (config->egress.hosts.count + config->egress.networks.count == 0)
		FAULT(check, mark,
		      "%s: clients have a say in where {1} leads, and egress.allow lets them go "
		      "nowhere; add hosts: and networks: there",
		      label);
	else if (!has_port(&config->egress.ports, target->port))
		FAULT(check, mark,
		      "%s: port %u is not in egress.allow.ports, so {1} leads nowhere; add it there",
		      label, target->port);
}

/* The cluster that has a broker at this target, or NULL. */
static const struct config_cluster *cluster_at(const struct config *config,
					       const struct config_target *target)
{
	for (uint32_t i = 0; i < config->cluster_count; i++) {
		const struct config_cluster *cluster = &config->clusters[i];

		for (uint32_t j = 0; j < cluster->url_count; j++)
			if (cluster->urls[j].port == target->port &&
			    strcasecmp(cluster->urls[j].host, target->host) == 0)
				return cluster;
	}
	return NULL;
}

/* Pulsar brokers want the header inside TLS. */
static void proxy_header_check(struct check *check, uint32_t index)
{
	const struct config *config = check->config;
	const struct config_route *route = &config->routes[index];
	bool is_pass = route->mode == CONFIG_MODE_PASS;
	bool sends = route->send_proxy_protocol != CONFIG_SEND_PROXY_OFF;
	bool has_cluster = has_key(check, index, "cluster") || has_key(check, index, "discovered");
	int32_t cluster = route->cluster >= 0 ? route->cluster : route->discovered;
	struct config_mark mark = where_route(check, index, "send_proxy_protocol");
	char label[200];

	label_of(check, index, "send_proxy_protocol", label);
	if (sends && cluster >= 0 && config->clusters[cluster].protocol == CONFIG_KAFKA)
		FAULT(check, mark, "%s: no Kafka broker understands that header; remove it", label);
	else if (sends && has_cluster && is_pass)
		FAULT(check, mark,
		      "%s: Pulsar brokers want the header inside TLS, where a route that passes "
		      "bytes through cannot put it; remove it, or write mode: reencrypt",
		      label);
	else if (sends && cluster >= 0)
		FAULT(check, mark, "%s: goes with forward; clusters.%s has its own; set that",
		      label, config->clusters[cluster].name);
	for (uint32_t i = 0; sends && is_pass && i < route->target_count; i++) {
		const struct config_cluster *at = cluster_at(config, &route->targets[i]);

		if (at != NULL)
			FAULT(check, mark,
			      "%s: %s:%u is a Pulsar broker of clusters.%s, which wants the header "
			      "inside TLS; remove it, or write mode: reencrypt",
			      label, route->targets[i].host, route->targets[i].port, at->name);
	}
	if (cluster >= 0 && is_pass && !sends &&
	    config->clusters[cluster].send_proxy_protocol != CONFIG_SEND_PROXY_OFF)
		FAULT(check,
		      where_route(check, index, route->cluster >= 0 ? "cluster" : "discovered"),
		      "%s: clusters.%s.send_proxy_protocol cannot be kept here: brokers want the "
		      "header inside TLS, where a route that passes bytes through cannot put it; "
		      "write mode: reencrypt, or name the brokers in a cluster without it",
		      label_of(check, index, route->cluster >= 0 ? "cluster" : "discovered", label),
		      config->clusters[cluster].name);
}

/* TLS ends here, and nobody looks at what was in it. Where TLS passes through, a table of brokers
 * is as good as discovery; and whose brokers a ZooKeeper has, nobody knows yet. */
static void brokers_check(struct check *check, uint32_t index)
{
	const struct config_route *route = &check->config->routes[index];
	char label[200];

	for (uint32_t i = 0; route->mode != CONFIG_MODE_PASS && i < route->target_count; i++) {
		const struct config_cluster *at = cluster_at(check->config, &route->targets[i]);

		if (at != NULL && at->protocol == CONFIG_KAFKA)
			DOUBT(check, where_route(check, index, "forward"),
			      "%s: %s:%u is a broker of clusters.%s, whose answers lead clients "
			      "past this proxy; write cluster: %s",
			      label_of(check, index, "forward", label), route->targets[i].host,
			      route->targets[i].port, at->name, at->name);
		else if (at != NULL)
			DOUBT(check, where_route(check, index, "forward"),
			      "%s: %s:%u is a Pulsar broker of clusters.%s, whose answers to "
			      "lookups lead clients past this proxy, unless they all have "
			      "ProxyProtocol.SNI; write cluster: %s",
			      label_of(check, index, "forward", label), route->targets[i].host,
			      route->targets[i].port, at->name, at->name);
	}
}

static void target_check(struct check *check, uint32_t index)
{
	const struct config_route *route = &check->config->routes[index];
	struct config_mark mark = where_route(check, index, NULL);
	int count = has_key(check, index, "forward") + has_key(check, index, "cluster") +
		    has_key(check, index, "discovered");
	char label[200];

	if (count == 0)
		FAULT(check, mark,
		      "%s: leads nowhere; add forward: \"host:port\", cluster: NAME or "
		      "discovered: NAME",
		      label_of(check, index, "", label));
	if (count > 1)
		FAULT(check, mark, "%s: has %s of forward, cluster and discovered; keep one",
		      label_of(check, index, "", label), count == 2 ? "two" : "all");
	for (uint32_t i = 0; i < route->target_count; i++)
		if (route->targets[i].is_derived)
			derived_check(check, index, &route->targets[i]);
	urls_check(check, index, route->cluster, "cluster");
	urls_check(check, index, route->discovered, "discovered");
	proxy_header_check(check, index);
	brokers_check(check, index);
	if (has_key(check, index, "allow") && route->allow.count == 0)
		FAULT(check, where_route(check, index, "allow"),
		      "%s: is empty, so nobody is let in; name networks, or remove the key",
		      label_of(check, index, "allow", label));
}

/* "host", "host[h2]" (its first protocol: no other route of this host has that), "discovered:east"
 */
static void label_make(struct check *check, struct config_route *route)
{
	char text[LABEL_MAX];
	struct sink sink = sink_of(text, sizeof(text));

	if (route->host != NULL)
		sink_str(&sink, route->host);
	else if (route->discovered >= 0)
		sink_printf(&sink, "discovered:%s",
			    check->config->clusters[route->discovered].name);
	if (route->alpn.count > 0)
		sink_printf(&sink, "[%s]", route->alpn.at[0]);
	route->label = config_copy(check->config, sink_written(&sink));
}

/* ---- two routes of one listener -------------------------------------------------------------- */

static bool has_word(const struct config_names *names, const char *word)
{
	for (uint32_t i = 0; i < names->count; i++)
		if (strcmp(names->at[i], word) == 0)
			return true;
	return false;
}

/* Both have the same host, or take the brokers of the same cluster. */
static void pair_check(struct check *check, uint32_t first, uint32_t second)
{
	const struct config_route *a = &check->config->routes[first];
	const struct config_route *b = &check->config->routes[second];
	char label[200];

	if (a->host == NULL) {
		FAULT(check, where_route(check, second, "discovered"),
		      "%s: is there already, in routes[%u]; remove one of them",
		      label_of(check, second, "discovered", label), number_of(check, first));
		return;
	}
	if (a->alpn.count == 0 && b->alpn.count == 0)
		FAULT(check, where_route(check, second, "host"),
		      "%s: %s is there already, in routes[%u]; remove one of them, or tell them "
		      "apart by alpn",
		      label_of(check, second, "host", label), b->host, number_of(check, first));
	for (uint32_t i = 0; i < b->alpn.count; i++)
		if (has_word(&a->alpn, b->alpn.at[i]))
			FAULT(check, where_route(check, second, "alpn"),
			      "%s: clients of %s that offer %s go to routes[%u] already; remove it "
			      "from one of them",
			      label_of(check, second, "alpn", label), b->host, b->alpn.at[i],
			      number_of(check, first));
}

static uint64_t key_of(const struct config_route *route)
{
	return route->host != NULL ? span_hash(span_str(route->host), 1)
				   : (uint64_t)(uint32_t)route->discovered;
}

static bool is_same_key(const struct config_route *a, const struct config_route *b)
{
	if (a->host == NULL || b->host == NULL)
		return a->host == b->host && a->discovered == b->discovered && a->discovered >= 0;
	return strcmp(a->host, b->host) == 0;
}

static void pairs_check(struct check *check, const struct config_listener *listener)
{
	const struct config_route *routes = check->config->routes;
	uint64_t keys[CONFIG_ROUTES_MAX];

	for (uint32_t i = 0; i < listener->route_count; i++) {
		uint32_t second = listener->route_first + i;

		keys[i] = key_of(&routes[second]);
		for (uint32_t j = 0; j < i; j++) {
			uint32_t first = listener->route_first + j;

			if (keys[i] == keys[j] && is_same_key(&routes[first], &routes[second]))
				pair_check(check, first, second);
		}
	}
}

/* ---- clients that no route is for ------------------------------------------------------------ */

/* The first route of this host, or -1. */
static int32_t find_route(const struct check *check, const struct config_listener *listener,
			  const char *host, struct config_guess *guess)
{
	for (uint32_t i = 0; i < listener->route_count; i++) {
		uint32_t index = listener->route_first + i;
		const char *known = check->config->routes[index].host;

		if (known == NULL)
			continue;
		if (strcmp(known, host) == 0)
			return (int32_t)index;
		config_guess_offer(guess, known);
	}
	return -1;
}

/* The route `no_sni` or `unknown` names; -1: refuse. */
static int32_t default_find(struct check *check, uint32_t index, const char *path, const char *host)
{
	const struct config *config = check->config;
	const struct config_listener *listener = &config->listeners[index];
	struct config_mark mark = where(check, CONFIG_SCOPE_LISTENER, index, path);
	struct config_guess guess;

	if (strcmp(host, "refuse") == 0)
		return -1;
	config_guess_begin(&guess, span_str(host));
	int32_t found = find_route(check, listener, host, &guess);

	if (found < 0 && guess.best != NULL)
		FAULT(check, mark, "listeners[%u].%s: no route has the host %s; did you mean %s?",
		      index, path, host, guess.best);
	else if (found < 0)
		FAULT(check, mark,
		      "listeners[%u].%s: no route has the host %s; write refuse, or the host of a "
		      "route",
		      index, path, host);
	for (uint32_t i = 0; found >= 0 && i < config->routes[found].target_count; i++)
		if (config->routes[found].targets[i].is_derived)
			FAULT(check, mark,
			      "listeners[%u].%s: %s leads to a part of the server name, {1}, which "
			      "these clients do not have; name another route",
			      index, path, host);
	if (found >= 0 && config_route_is_kafka(config, &config->routes[found]) &&
	    config->routes[found].kafka.unknown == CONFIG_KAFKA_UNKNOWN_REFUSE)
		FAULT(check, mark,
		      "listeners[%u].%s: %s leads to brokers of Kafka by their names, which these "
		      "clients do not ask for; add kafka: { unknown: bootstrap } to it, or name "
		      "another route",
		      index, path, host);
	return found;
}

static void defaults_check(struct check *check, uint32_t index)
{
	struct config_listener *listener = &check->config->listeners[index];
	struct config_guess guess;

	listener->no_sni_route = default_find(check, index, "no_sni", listener->no_sni);
	listener->unknown_route = default_find(check, index, "unknown", listener->unknown);
	config_guess_begin(&guess, span_of(NULL, 0));
	int32_t any = find_route(check, listener, "*", &guess);

	if (listener->unknown_route >= 0 && any >= 0)
		FAULT(check, where(check, CONFIG_SCOPE_LISTENER, index, "unknown"),
		      "listeners[%u].unknown: no name is unknown, since routes[%u] takes any (*); "
		      "remove one of them",
		      index, number_of(check, (uint32_t)any));
}

static void listener_check(struct check *check, uint32_t index)
{
	const struct config_listener *listener = &check->config->listeners[index];
	static const char *const paths[] = { "no_sni", "unknown", "allow_ports" };

	for (size_t i = 0; i < COUNT_OF(paths) && listener->route_count == 0; i++)
		if (is_set(check, CONFIG_SCOPE_LISTENER, index, paths[i]))
			FAULT(check, where(check, CONFIG_SCOPE_LISTENER, index, paths[i]),
			      "listeners[%u].%s: goes with routes; add those, or remove it", index,
			      paths[i]);
	if (listener->route_count == 0)
		return;
	if (listener->allow_ports.count == 0 && !listener->allow_ports.is_any)
		FAULT(check, where(check, CONFIG_SCOPE_LISTENER, index, "allow_ports"),
		      "listeners[%u].allow_ports: is empty, so no broker could be dialled; name "
		      "their TLS ports, or remove the key",
		      index);
	defaults_check(check, index);
	pairs_check(check, listener);
}

void config_check_routes(struct check *check)
{
	struct config *config = check->config;

	for (uint32_t i = 0; i < config->route_count; i++) {
		name_check(check, i);
		target_check(check, i);
		config_check_tls_route(check, i);
		config_check_kafka_route(check, i);
		label_make(check, &config->routes[i]);
	}
	for (uint32_t i = 0; i < config->listener_count; i++)
		listener_check(check, i);
}
