/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Freezing a snapshot: everything collected is copied into one block that never changes again,
 * with the hash tables readers go by.
 *
 *     block: | struct route | clusters | forwards | rules | targets | rules by number | per
 * listener | with routes: names | per cluster: endpoints, index, TLS hosts, brokers, namespaces, |
 * each with its bundles, nodes | texts |
 */
#include "route_build.h"

#include <stdlib.h>

struct block {
	char *at;
	size_t size;
	size_t used;
};

static void *block_take(struct block *block, size_t size)
{
	CHECK(padded(size) <= block->size - block->used);
	void *at = block->at + block->used;
	block->used += padded(size);
	return at;
}

static void *block_copy(struct block *block, const void *bytes, size_t size)
{
	void *at = block_take(block, size);
	if (size > 0)
		memcpy(at, bytes, size);
	return at;
}

static const char *block_text(struct block *block, const char *text)
{
	return text != NULL ? block_copy(block, text, strlen(text) + 1) : NULL;
}

static uint32_t index_places(uint32_t count)
{
	uint32_t places = 2;
	while (places < 2 * count)
		places *= 2;
	return places;
}

/* ---- tables of names ------------------------------------------------------------------------ */

/* How many hosts a table is to have, and how long they are together. */
struct census {
	uint32_t count;
	size_t text_size;
};

static void census_add(struct census *census, const char *host)
{
	census->count++;
	census->text_size += strlen(host);
}

static struct census census_of_listener(const struct config *config, uint32_t index)
{
	const struct config_listener *listener = &config->listeners[index];
	struct census census = { 0 };
	for (uint32_t i = 0; i < listener->route_count; i++) {
		const struct config_route *route = &config->routes[listener->route_first + i];
		if (route->host != NULL)
			census_add(&census, route->host);
		if (route->kafka.bootstrap != NULL)
			census_add(&census, route->kafka.bootstrap);
	}
	return census;
}

static struct census census_of_cluster(const struct build_cluster *cluster)
{
	const struct route_endpoint *endpoints = cluster->endpoints.at;
	struct census census = { 0 };
	for (uint32_t i = 0; i < cluster->endpoints.count; i++)
		if (endpoints[i].is_tls)
			census_add(&census, endpoints[i].host);
	return census;
}

static size_t table_size(struct census census)
{
	return padded(route_sni_size(census.count, census.text_size));
}

static struct route_sni *table_take(struct block *block, struct census census)
{
	return route_sni_init(block_take(block, table_size(census)), census.count,
			      census.text_size);
}

/* ---- the size ------------------------------------------------------------------------------- */

static uint32_t ids_of(const struct route_builder *builder)
{
	uint32_t count = 0;
	for (uint32_t i = 0; i < builder->head.config->route_count; i++)
		if (builder->rules[i].id >= count)
			count = builder->rules[i].id + 1u;
	return count;
}

static size_t rules_size(const struct route_builder *builder)
{
	const struct config *config = builder->head.config;
	size_t size = padded(config->route_count * sizeof(struct route_rule)) +
		      padded(builder->target_count * sizeof(struct route_endpoint)) +
		      padded(ids_of(builder) * sizeof(uint32_t)) +
		      padded(config->listener_count * sizeof(struct route_names));
	for (uint32_t i = 0; i < config->listener_count; i++)
		if (config->listeners[i].route_count > 0)
			size += table_size(census_of_listener(config, i));
	return size;
}

static size_t block_size(const struct route_builder *builder)
{
	const struct config *config = builder->head.config;
	size_t size = padded(sizeof(struct route)) + builder->kept_bytes + rules_size(builder) +
		      padded(config->cluster_count * sizeof(struct route_cluster)) +
		      padded(config->listener_count * sizeof(struct route_endpoint));
	for (uint32_t i = 0; i < config->cluster_count; i++) {
		const struct build_cluster *from = &builder->clusters[i];
		size += padded(from->endpoints.count * sizeof(struct route_endpoint)) +
			padded(index_places(from->endpoints.count) * sizeof(uint32_t)) +
			table_size(census_of_cluster(from)) +
			padded(from->brokers.count * sizeof(struct route_broker)) +
			padded(from->namespaces.count * sizeof(struct route_namespace)) +
			padded(from->nodes.count * sizeof(struct route_node));
	}
	return size;
}

/* ---- copying -------------------------------------------------------------------------------- */

static void freeze_endpoints(struct block *block, const struct list *from, struct route_cluster *to)
{
	uint32_t places = index_places(from->count);
	to->endpoint_count = from->count;
	to->endpoints = block_copy(block, from->at, from->count * sizeof(to->endpoints[0]));
	to->endpoint_index = block_take(block, places * sizeof(to->endpoint_index[0]));
	to->endpoint_index_mask = places - 1;
	memset(to->endpoint_index, 0, places * sizeof(to->endpoint_index[0]));
	for (uint32_t i = 0; i < from->count; i++) {
		struct route_endpoint *endpoint = &to->endpoints[i];
		endpoint->host = block_text(block, endpoint->host);
		uint32_t place = route_index_place(to->endpoints, to->endpoint_index, places - 1,
						   span_str(endpoint->host), endpoint->port);
		to->endpoint_index[place] = i + 1;
	}
}

static void put_host(struct route_cluster *cluster, int32_t endpoint)
{
	uint32_t known;
	if (endpoint < 0 || !cluster->endpoints[endpoint].is_tls)
		return;
	/* Addresses are no server names, and the first of several ports it is. */
	struct span host = span_str(cluster->endpoints[endpoint].host);
	(void)!route_sni_put(cluster->tls_hosts, host, (uint32_t)endpoint, &known);
}

/* The brokers' main URLs first, then the other listeners they advertise. */
static void freeze_tls_hosts(struct block *block, struct census census, struct route_cluster *to)
{
	to->tls_hosts = table_take(block, census);
	for (uint32_t i = 0; i < to->broker_count; i++)
		put_host(to, to->brokers[i].tls);
	for (uint32_t i = 0; i < to->endpoint_count; i++)
		put_host(to, (int32_t)i);
}

static void freeze_brokers(struct block *block, const struct list *from, struct route_cluster *to)
{
	to->broker_count = from->count;
	to->brokers = block_copy(block, from->at, from->count * sizeof(to->brokers[0]));
	for (uint32_t i = 0; i < from->count; i++) {
		struct route_broker *broker = &to->brokers[i];
		broker->id = block_text(block, broker->id);
		broker->url = block_text(block, broker->url);
		broker->url_tls = block_text(block, broker->url_tls);
	}
}

static int compare_namespaces(const void *a, const void *b)
{
	const struct route_namespace *first = a, *second = b;
	return strcmp(first->name, second->name);
}

static void freeze_namespaces(struct block *block, const struct list *from,
			      struct route_cluster *to)
{
	to->namespace_count = from->count;
	to->namespaces = block_copy(block, from->at, from->count * sizeof(to->namespaces[0]));
	for (uint32_t i = 0; i < from->count; i++) {
		struct route_namespace *ns = &to->namespaces[i];
		ns->name = block_text(block, ns->name);
		ns->bundles =
			block_copy(block, ns->bundles, ns->bundle_count * sizeof(ns->bundles[0]));
	}
	if (from->count > 1)
		qsort(to->namespaces, from->count, sizeof(to->namespaces[0]), compare_namespaces);
}

static int compare_nodes(const void *a, const void *b)
{
	const struct route_node *first = a, *second = b;
	return (first->id > second->id) - (first->id < second->id);
}

static void freeze_nodes(struct block *block, const struct list *from, struct route_cluster *to)
{
	to->node_count = from->count;
	to->nodes = block_copy(block, from->at, from->count * sizeof(to->nodes[0]));
	for (uint32_t i = 0; i < from->count; i++)
		to->nodes[i].rack = block_text(block, to->nodes[i].rack);
	if (from->count > 1)
		qsort(to->nodes, from->count, sizeof(to->nodes[0]), compare_nodes);
}

/* The routes of one host, or those by discovered, stand one behind the other as written. */
static void chain(struct route *route, uint32_t *first, uint32_t rule)
{
	uint32_t *last = first;
	while (*last != ROUTE_NO_RULE)
		last = &route->rules[*last].next;
	*last = rule;
}

static void freeze_names(struct route *route, uint32_t listener, struct route_sni *hosts)
{
	const struct config_listener *config = &route->config->listeners[listener];
	struct route_names *names = &route->names[listener];
	*names = (struct route_names){ .hosts = hosts, .discovered = ROUTE_NO_RULE };
	for (uint32_t i = 0; i < config->route_count; i++) {
		uint32_t rule = config->route_first + i, first;
		const char *host = route->config->routes[rule].host;
		const char *bootstrap = route->config->routes[rule].kafka.bootstrap;
		/* Nobody else's: config_check_kafka_route.c has seen to it. */
		if (bootstrap != NULL)
			(void)!route_sni_put(hosts, span_str(bootstrap), rule, &first);
		if (host == NULL)
			chain(route, &names->discovered, rule);
		else if (route_sni_put(hosts, span_str(host), rule, &first) == ROUTE_SNI_TAKEN)
			chain(route, &first, rule);
	}
}

static void freeze_rules(struct block *block, const struct route_builder *builder,
			 struct route *route)
{
	const struct config *config = route->config;
	route->rules =
		block_copy(block, builder->rules, config->route_count * sizeof(*route->rules));
	route->targets = block_copy(block, builder->targets,
				    builder->target_count * sizeof(*route->targets));
	route->target_count = builder->target_count;
	for (uint32_t i = 0; i < builder->target_count; i++)
		route->targets[i].host = block_text(block, route->targets[i].host);
	route->id_count = ids_of(builder);
	route->rule_of_id = block_take(block, route->id_count * sizeof(*route->rule_of_id));
	memset(route->rule_of_id, 0xff, route->id_count * sizeof(*route->rule_of_id));
	for (uint32_t i = 0; i < config->route_count; i++) {
		route->rules[i].next = ROUTE_NO_RULE;
		route->rule_of_id[route->rules[i].id] = i;
	}
	route->names = block_take(block, config->listener_count * sizeof(*route->names));
	memset(route->names, 0, config->listener_count * sizeof(*route->names));
	for (uint32_t i = 0; i < config->listener_count; i++)
		if (config->listeners[i].route_count > 0)
			freeze_names(route, i, table_take(block, census_of_listener(config, i)));
}

struct route *route_freeze(const struct route_builder *builder)
{
	struct block block = { .size = block_size(builder) };
	block.at = malloc(block.size);
	if (block.at == NULL)
		return NULL;
	const struct config *config = builder->head.config;
	struct route *route = block_copy(&block, &builder->head, sizeof(*route));
	route->block = block.at;
	route->clusters = block_take(&block, config->cluster_count * sizeof(route->clusters[0]));
	route->forwards = block_copy(&block, builder->forwards,
				     config->listener_count * sizeof(route->forwards[0]));
	for (uint32_t i = 0; i < config->listener_count; i++)
		route->forwards[i].host = block_text(&block, route->forwards[i].host);
	freeze_rules(&block, builder, route);
	for (size_t i = 0; i < COUNT_OF(route->listener_name); i++)
		route->listener_name[i] = block_text(&block, route->listener_name[i]);
	for (uint32_t i = 0; i < config->cluster_count; i++) {
		const struct build_cluster *from = &builder->clusters[i];
		struct route_cluster *to = &route->clusters[i];
		*to = (struct route_cluster){
			.name = config->clusters[i].name, /* the config outlives us */
			.is_loaded = from->is_loaded,
			.is_zookeeper = from->is_zookeeper,
			.is_direct = from->is_direct,
			.read_ns = from->read_ns,
		};
		freeze_endpoints(&block, &from->endpoints, to);
		freeze_brokers(&block, &from->brokers, to);
		freeze_tls_hosts(&block, census_of_cluster(from), to);
		freeze_namespaces(&block, &from->namespaces, to);
		freeze_nodes(&block, &from->nodes, to);
	}
	return route;
}
