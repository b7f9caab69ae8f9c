/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Building a snapshot: facts are collected in arrays that grow, until route_freeze.c copies them.
 * Running out of memory is remembered and told once, by route_build_end.
 */
#include "route_build.h"

#include <stdlib.h>

#define INDEX_PLACES (2 * ROUTE_ENDPOINTS_MAX)

/* A new zeroed item at the end, or NULL. */
static void *list_add(struct route_builder *builder, struct list *list, size_t item_size)
{
	if (list->count == list->room) {
		uint32_t room = list->room > 0 ? 2 * list->room : 8;
		void *at = realloc(list->at, room * item_size);
		if (at == NULL) {
			builder->is_failed = true;
			return NULL;
		}
		list->at = at;
		list->room = room;
	}
	void *item = (char *)list->at + item_size * list->count++;
	memset(item, 0, item_size);
	return item;
}

/* A copy that lives until route_build_end, and room for it in the block. */
static void *keep(struct route_builder *builder, const void *bytes, size_t size)
{
	void **kept = list_add(builder, &builder->kept, sizeof(*kept));
	void *copy = kept != NULL ? malloc(size) : NULL;
	if (copy == NULL) {
		builder->is_failed = true;
		return NULL;
	}
	memcpy(copy, bytes, size);
	*kept = copy;
	builder->kept_bytes += padded(size);
	return copy;
}

static const char *keep_text(struct route_builder *builder, const char *text)
{
	return text != NULL ? keep(builder, text, strlen(text) + 1) : NULL;
}

struct route_builder *route_build_begin(const struct config *config, uint64_t version)
{
	struct route_builder *builder = calloc(1, sizeof(*builder));
	if (builder == NULL)
		return NULL;
	builder->head = (struct route){
		.version = version,
		.config = config,
		.cluster_count = config->cluster_count,
	};
	for (size_t i = 0; i < COUNT_OF(builder->head.listener_of_id); i++)
		builder->head.listener_of_id[i] = -1;
	/* One more each: calloc(0) may answer NULL, which would look like a failure. */
	builder->clusters = calloc(config->cluster_count + 1u, sizeof(builder->clusters[0]));
	builder->forwards = calloc(config->listener_count + 1u, sizeof(builder->forwards[0]));
	builder->rules = calloc(config->route_count + 1u, sizeof(builder->rules[0]));
	if (builder->rules != NULL)
		for (uint32_t i = 0; i < config->route_count; i++) {
			builder->rules[i].target_first = builder->target_count;
			builder->target_count += config->routes[i].target_count;
		}
	builder->targets = calloc(builder->target_count + 1u, sizeof(builder->targets[0]));
	builder->is_failed = builder->clusters == NULL || builder->forwards == NULL ||
			     builder->rules == NULL || builder->targets == NULL;
	return builder;
}

/* The cluster being built; NULL once memory has run out, so that every caller stops quietly. */
static struct build_cluster *cluster_of(struct route_builder *builder, uint32_t cluster)
{
	if (builder == NULL || builder->is_failed)
		return NULL;
	CHECK(cluster < builder->head.cluster_count);
	return &builder->clusters[cluster];
}

void route_build_tls(struct route_builder *builder, const struct tls_set *tls)
{
	builder->head.tls = tls;
}

void route_build_tokens(struct route_builder *builder, const struct config_tokens *tokens)
{
	builder->head.tokens = tokens;
}

void route_build_cluster(struct route_builder *builder, uint32_t cluster_index, bool is_loaded,
			 bool is_zookeeper, bool is_direct, uint64_t read_ns)
{
	struct build_cluster *cluster = cluster_of(builder, cluster_index);
	if (cluster == NULL)
		return;
	cluster->is_loaded = is_loaded;
	cluster->is_zookeeper = is_zookeeper;
	cluster->is_direct = is_direct;
	cluster->read_ns = read_ns;
}

/* Takes over an endpoint, its host in normal form and its addresses with its port. */
static bool fill_endpoint(struct route_builder *builder, struct route_endpoint *to,
			  const struct route_endpoint *from, const char *host)
{
	CHECK(from->addr_count <= ROUTE_ADDRS_MAX);
	*to = *from;
	to->host = keep_text(builder, host);
	if (to->addr_count == 0 && addr_parse_ip(span_str(host), &to->addrs[0]))
		to->addr_count = 1; /* a literal needs no resolver */
	for (uint8_t i = 0; i < to->addr_count; i++)
		to->addrs[i].port = to->port;
	return to->host != NULL;
}

/* The same host and port from a second source: what one knows, both know. */
static void merge_endpoint(struct route_endpoint *known, const struct route_endpoint *other)
{
	CHECK(other->addr_count <= ROUTE_ADDRS_MAX);
	known->is_learned = known->is_learned && other->is_learned;
	if (known->addr_count > 0)
		return;
	known->addr_count = other->addr_count;
	memcpy(known->addrs, other->addrs, sizeof(known->addrs));
	for (uint8_t i = 0; i < known->addr_count; i++)
		known->addrs[i].port = known->port;
}

int32_t route_build_endpoint(struct route_builder *builder, uint32_t cluster_index,
			     const struct route_endpoint *endpoint)
{
	struct build_cluster *cluster = cluster_of(builder, cluster_index);
	char host[HOST_MAX];
	if (cluster == NULL || endpoint->port == 0 ||
	    !route_host_normal(span_str(endpoint->host), host))
		return -1;
	if (cluster->index == NULL) {
		cluster->index = calloc(INDEX_PLACES, sizeof(cluster->index[0]));
		builder->is_failed = cluster->index == NULL;
		if (builder->is_failed)
			return -1;
	}
	struct route_endpoint *endpoints = cluster->endpoints.at;
	uint32_t place = route_index_place(endpoints, cluster->index, INDEX_PLACES - 1,
					   span_str(host), endpoint->port);
	if (cluster->index[place] != 0) {
		uint32_t known = cluster->index[place] - 1;
		merge_endpoint(&endpoints[known], endpoint);
		return (int32_t)known;
	}
	if (cluster->endpoints.count == ROUTE_ENDPOINTS_MAX)
		return -1;
	struct route_endpoint *added = list_add(builder, &cluster->endpoints, sizeof(*added));
	if (added == NULL || !fill_endpoint(builder, added, endpoint, host))
		return -1;
	cluster->index[place] = cluster->endpoints.count;
	return (int32_t)(cluster->endpoints.count - 1);
}

static bool is_index(const struct build_cluster *cluster, int32_t endpoint)
{
	return endpoint >= -1 && endpoint < (int32_t)cluster->endpoints.count;
}

void route_build_broker(struct route_builder *builder, uint32_t cluster_index,
			const struct route_broker *broker)
{
	struct build_cluster *cluster = cluster_of(builder, cluster_index);
	if (cluster == NULL)
		return;
	CHECK(is_index(cluster, broker->plain) && is_index(cluster, broker->tls));
	struct route_broker *added = list_add(builder, &cluster->brokers, sizeof(*added));
	if (added == NULL)
		return;
	*added = *broker;
	added->id = keep_text(builder, broker->id);
	added->url = keep_text(builder, broker->url);
	added->url_tls = keep_text(builder, broker->url_tls);
}

/* From 0 on and ascending: with anything else the bundle of a hash would be a guess. */
static bool are_bundles(const struct route_namespace *ns)
{
	if (ns->bundle_count == 0 || ns->bundles[0].low != 0)
		return false;
	for (uint32_t i = 1; i < ns->bundle_count; i++) {
		if (ns->bundles[i].low <= ns->bundles[i - 1].low)
			return false;
	}
	return true;
}

void route_build_namespace(struct route_builder *builder, uint32_t cluster_index,
			   const struct route_namespace *ns)
{
	struct build_cluster *cluster = cluster_of(builder, cluster_index);
	if (cluster == NULL || !are_bundles(ns))
		return;
	for (uint32_t i = 0; i < ns->bundle_count; i++)
		CHECK(is_index(cluster, ns->bundles[i].plain) &&
		      is_index(cluster, ns->bundles[i].tls));
	struct route_namespace *added = list_add(builder, &cluster->namespaces, sizeof(*added));
	if (added == NULL)
		return;
	added->name = keep_text(builder, ns->name);
	added->bundles = keep(builder, ns->bundles, ns->bundle_count * sizeof(ns->bundles[0]));
	added->bundle_count = ns->bundle_count;
}

void route_build_node(struct route_builder *builder, uint32_t cluster_index,
		      const struct route_node *node)
{
	struct build_cluster *cluster = cluster_of(builder, cluster_index);
	struct route_node *to = NULL;
	if (cluster == NULL)
		return;
	CHECK(node->endpoint >= 0 && is_index(cluster, node->endpoint));
	struct route_node *nodes = cluster->nodes.at;
	for (uint32_t i = 0; i < cluster->nodes.count && to == NULL; i++) {
		if (nodes[i].id == node->id)
			to = &nodes[i];
	}
	if (to == NULL)
		to = list_add(builder, &cluster->nodes, sizeof(*to));
	if (to == NULL)
		return;
	*to = *node;
	to->rack = keep_text(builder, node->rack);
}

void route_build_forward(struct route_builder *builder, uint32_t listener,
			 const struct route_endpoint *endpoint)
{
	char host[HOST_MAX];
	if (builder == NULL || builder->is_failed)
		return;
	CHECK(listener < builder->head.config->listener_count);
	if (route_host_normal(span_str(endpoint->host), host))
		(void)fill_endpoint(builder, &builder->forwards[listener], endpoint, host);
}

void route_build_rule(struct route_builder *builder, uint32_t rule, uint16_t id)
{
	if (builder == NULL || builder->is_failed)
		return;
	CHECK(rule < builder->head.config->route_count && id < STAT_ROUTES_MAX);
	builder->rules[rule].id = id;
}

void route_build_target(struct route_builder *builder, uint32_t rule, uint32_t n,
			const struct route_endpoint *endpoint)
{
	char host[HOST_MAX];
	if (builder == NULL || builder->is_failed)
		return;
	CHECK(rule < builder->head.config->route_count &&
	      n < builder->head.config->routes[rule].target_count);
	if (route_host_normal(span_str(endpoint->host), host))
		(void)fill_endpoint(builder,
				    &builder->targets[builder->rules[rule].target_first + n],
				    endpoint, host);
}

void route_build_listener(struct route_builder *builder, uint32_t id, int32_t index,
			  const char *name)
{
	if (builder == NULL || builder->is_failed)
		return;
	CHECK(id < STAT_LISTENERS_MAX);
	builder->head.listener_of_id[id] = index;
	builder->head.listener_name[id] = keep_text(builder, name);
}

void route_build_own(struct route_builder *builder, const struct addr *addr)
{
	if (builder == NULL || builder->is_failed)
		return;
	CHECK(builder->head.own_count < COUNT_OF(builder->head.own));
	builder->head.own[builder->head.own_count++] = *addr;
}

void route_build_local(struct route_builder *builder, const struct addr *addr)
{
	if (builder == NULL || builder->head.local_count == COUNT_OF(builder->head.local))
		return;
	builder->head.local[builder->head.local_count++] = *addr;
}

/* ---- the end -------------------------------------------------------------------------------- */

static void free_builder(struct route_builder *builder)
{
	void **kept = builder->kept.at;
	for (uint32_t i = 0; i < builder->kept.count; i++)
		free(kept[i]);
	free(builder->kept.at);
	for (uint32_t i = 0; builder->clusters != NULL && i < builder->head.cluster_count; i++) {
		struct build_cluster *cluster = &builder->clusters[i];
		free(cluster->endpoints.at);
		free(cluster->brokers.at);
		free(cluster->namespaces.at);
		free(cluster->nodes.at);
		free(cluster->index);
	}
	free(builder->clusters);
	free(builder->forwards);
	free(builder->rules);
	free(builder->targets);
	free(builder);
}

/* Has a newer word given its place to another node? */
static bool is_replaced(const struct route_node *nodes, uint32_t count, uint32_t index)
{
	for (uint32_t i = 0; i < count; i++) {
		if (nodes[i].endpoint == nodes[index].endpoint &&
		    nodes[i].told_ns > nodes[index].told_ns)
			return true;
	}
	return false;
}

/* From the last on, so that whoever takes a place has been looked at. */
static void drop_replaced_nodes(struct build_cluster *cluster)
{
	struct route_node *nodes = cluster->nodes.at;
	for (uint32_t i = cluster->nodes.count; i-- > 0;) {
		if (is_replaced(nodes, cluster->nodes.count, i))
			nodes[i] = nodes[--cluster->nodes.count];
	}
}

struct route *route_build_end(struct route_builder *builder)
{
	if (builder == NULL)
		return NULL;
	for (uint32_t i = 0; i < builder->head.cluster_count; i++)
		drop_replaced_nodes(&builder->clusters[i]);
	struct route *route = builder->is_failed ? NULL : route_freeze(builder);
	free_builder(builder);
	return route;
}

void route_free(struct route *route)
{
	if (route != NULL)
		free(route->block);
}
