/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * control_nodes: brokers of Kafka by their ids, as brokers have told clients (workers read along)
 * or penstock itself (control_ask). The last word on an id counts; one that bootstrap brokers no
 * longer list is forgotten after discovery.grace. They are saved with the snapshot that shows them.
 *
 * With ZooKeeper they fill its gaps: brokers that are not there (Kafka on its way to KRaft), and
 * all that has changed since ZooKeeper was lost. When ZooKeeper says that one has left, so it has.
 *
 * Who wins when, where several say where a node is:
 *
 *     discovery.nodes         always
 *     mail_nodes              what was told in the last 2 s, if that is later than the snapshot's
 *                             told_ns; where the snapshot has no such node, in the last 10 minutes
 *     ZooKeeper               for the snapshot: if it lists the node, that list was read and not
 *                             found on disk, and read_ns >= told_ns
 *     this set                else: the last word, in an answer to a client or to us
 *
 *     two at one address      the one with the later told_ns; the other is not in the snapshot
 *     missed_ns + grace       the node is forgotten, here and in mail_nodes; a word on it before
 *                             then sets missed_ns back to 0. What is foreign has no grace
 *     left ZooKeeper + grace  the same
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <penstock/base/err.h>

#include "control_priv.h"

#define URL_MAX	      (HOST_MAX + 24)
#define AHEAD_NS      (2 * NS_PER_S) /* an answer may be so much ahead of ZooKeeper's list */
#define SAVE_AGAIN_NS (5 * NS_PER_S)

static const struct control_node_set *seek_set(const struct control *control, const char *cluster)
{
	for (uint32_t i = 0; i < CONFIG_CLUSTERS_MAX; i++)
		if (control->nodes[i].cluster != NULL &&
		    strcmp(control->nodes[i].cluster, cluster) == 0)
			return &control->nodes[i];
	return NULL;
}

static const struct config_cluster *find_cluster(const struct config *config, const char *name)
{
	for (uint32_t i = 0; i < config->cluster_count; i++)
		if (strcmp(config->clusters[i].name, name) == 0)
			return &config->clusters[i];
	return NULL;
}

static struct control_node_set *find_set(struct control *control, const char *cluster)
{
	const struct control_node_set *set = seek_set(control, cluster);

	return set == NULL ? NULL : &control->nodes[set - control->nodes];
}

static struct control_node *new_node(struct control_node_set *set)
{
	if (set->count == CONTROL_NODES_MAX)
		return NULL;
	if (set->count == set->size) {
		uint32_t size = set->size == 0 ? 8 : 2 * set->size;
		struct control_node *at = realloc(set->at, size * sizeof(*at));

		if (at == NULL)
			return NULL;
		set->at = at;
		set->size = size;
	}
	struct control_node *node = &set->at[set->count++];

	*node = (struct control_node){ .id = -1 };
	return node;
}

static struct control_node *find(struct control_node_set *set, int32_t id)
{
	for (uint32_t i = 0; i < set->count; i++)
		if (set->at[i].id == id)
			return &set->at[i];
	return NULL;
}

static void on_found(void *owner, const struct control_node *found)
{
	struct control_node_set *set = owner;
	struct control_node *node = find(set, found->id);

	if (node == NULL)
		node = new_node(set);
	if (node == NULL)
		return;
	*node = *found;
	node->source = CONTROL_NODE_SAVED;
}

/* The set of a cluster, a new one if need be, with what was known of it before a restart; NULL:
 * there is no memory. */
static struct control_node_set *set_of(struct control *control,
				       const struct config_cluster *cluster)
{
	struct control_node_set *set = find_set(control, cluster->name);
	uint32_t i = 0;

	if (set != NULL)
		return set;
	while (i < CONFIG_CLUSTERS_MAX && control->nodes[i].cluster != NULL)
		i++;
	CHECK(i < CONFIG_CLUSTERS_MAX); /* control_nodes_apply has taken those away that are gone */
	set = &control->nodes[i];
	set->cluster = strdup(cluster->name);
	if (set->cluster == NULL)
		return NULL;
	control_nodes_file_load(control_config(control), cluster, on_found, set);
	return set;
}

static bool is_same(const struct mail_nodes_place *known, const struct mail_nodes_place *told)
{
	return known->port == told->port && strcmp(known->host, told->host) == 0 &&
	       (told->rack[0] == '\0' || strcmp(known->rack, told->rack) == 0);
}

static void log_node(const char *cluster, const struct control_node *node)
{
	log_info("node_told", "cluster %s: node %" PRId32 " is at %s:%u%s%s", cluster, node->id,
		 node->place.host, node->place.port, node->place.rack[0] != '\0' ? ", rack " : "",
		 node->place.rack);
}

/* Has another one been told to be in its place since it was? Then snapshots went without it. */
static bool is_replaced(const struct control_node_set *set, const struct control_node *node)
{
	for (uint32_t i = 0; i < set->count; i++) {
		const struct control_node *other = &set->at[i];

		if (other->id != node->id && other->told_ns > node->told_ns &&
		    other->place.port == node->place.port &&
		    strcmp(other->place.host, node->place.host) == 0)
			return true;
	}
	return false;
}

/* True: it was not known like this. */
static bool take(struct control *control, uint32_t cluster, const struct control_node *fresh)
{
	const struct config_cluster *config = &control_config(control)->clusters[cluster];
	struct control_node_set *set = set_of(control, config);
	struct control_node *node = set != NULL ? find(set, fresh->id) : NULL;

	if (node != NULL && is_same(&node->place, &fresh->place)) {
		bool is_back = is_replaced(set, node);

		node->told_ns = fresh->told_ns;
		node->missed_ns = 0;
		if (node->source != CONTROL_NODE_LISTED)
			node->source = fresh->source;
		return is_back;
	}
	if (set != NULL && node == NULL)
		node = new_node(set);
	if (node == NULL) {
		log_warn("nodes_full", "cluster %s: node %" PRId32 " at %s:%u is not remembered",
			 config->name, fresh->id, fresh->place.host, fresh->place.port);
		return false;
	}
	*node = *fresh;
	set->is_changed = true;
	return true;
}

void control_nodes_add(struct control *control, const struct mail_node *mail)
{
	const struct config *config = control_config(control);
	uint64_t now_ns = clock_now_ns();
	const struct control_node node = {
		.id = mail->id,
		.place = mail->place,
		.told_ns = now_ns,
		.source = CONTROL_NODE_TOLD,
	};

	if (mail->cluster >= config->cluster_count ||
	    config->clusters[mail->cluster].protocol != CONFIG_KAFKA)
		return;
	const struct config_cluster *cluster = &config->clusters[mail->cluster];
	bool is_news = take(control, mail->cluster, &node);
	bool is_in_zookeeper = discovery_knows_node(control->discovery, mail->cluster, mail->id,
						    now_ns - AHEAD_NS);

	if (is_news && !is_in_zookeeper)
		log_node(cluster->name, &node);
	/* With ZooKeeper one that is known may be ahead of that now. */
	if (is_news ? !is_in_zookeeper : cluster->zookeeper_servers != NULL)
		control_publish_soon(control);
}

/* Is it time? The grace begins when a list is the first without it. */
static bool is_gone(struct control_node *node, uint64_t grace_ns, uint64_t now_ns)
{
	if (node->told_ns == now_ns)
		return false; /* it is on this one */
	if (node->missed_ns == 0)
		node->missed_ns = now_ns;
	return now_ns >= node->missed_ns + grace_ns;
}

/* What is foreign has no time of grace: it may be there, and be of another cluster. */
static bool drop_gone(struct control *control, const struct config_cluster *cluster,
		      uint64_t now_ns)
{
	struct control_node_set *set = find_set(control, cluster->name);
	uint64_t grace_ns = set != NULL && set->foreign_ns != 0 ? 0 : cluster->grace_ns;
	bool is_news = false;

	for (uint32_t i = set != NULL ? set->count : 0; i-- > 0;) {
		int32_t id = set->at[i].id;

		if (!is_gone(&set->at[i], grace_ns, now_ns))
			continue;
		log_info("node_gone",
			 "cluster %s: node %" PRId32
			 " is no longer listed; clients that want it are refused",
			 cluster->name, id);
		control_nodes_gone(control, cluster->name, id);
		set->is_changed = is_news = true;
	}
	if (set != NULL)
		set->foreign_ns = 0;
	return is_news;
}

bool control_nodes_listed(struct control *control, uint32_t cluster,
			  const struct control_node *nodes, uint32_t count)
{
	const struct config_cluster *config = &control_config(control)->clusters[cluster];
	uint64_t now_ns = clock_now_ns();
	bool is_news = control_nodes_are_foreign(control, config->name);

	for (uint32_t i = 0; i < count; i++) {
		struct control_node node = nodes[i];

		node.told_ns = now_ns;
		node.source = CONTROL_NODE_LISTED;
		(void)mail_nodes_add(control->office->nodes, config->name, node.id, &node.place,
				     now_ns);
		if (!take(control, cluster, &node))
			continue;
		log_node(config->name, &node);
		is_news = true;
	}
	is_news |= drop_gone(control, config, now_ns);
	if (is_news)
		control_publish_soon(control);
	return is_news;
}

uint32_t control_nodes_count(const struct control *control, const char *cluster)
{
	const struct control_node_set *set = seek_set(control, cluster);

	return set != NULL ? set->count : 0;
}

const struct control_node *control_nodes_at(const struct control *control, const char *cluster,
					    uint32_t index)
{
	const struct control_node_set *set = seek_set(control, cluster);

	return set != NULL && index < set->count ? &set->at[index] : NULL;
}

bool control_nodes_are_foreign(const struct control *control, const char *cluster)
{
	const struct control_node_set *set = seek_set(control, cluster);

	return set != NULL && set->foreign_ns != 0;
}

/* All of them: nobody is led there any more. */
static void let_go(struct control *control, struct control_node_set *set)
{
	for (uint32_t i = 0; i < set->count; i++)
		mail_nodes_forget(control->office->nodes, set->cluster, set->at[i].id);
	set->count = 0;
	set->foreign_ns = 0;
	set->is_changed = true;
}

/* Has ZooKeeper's list been read since? */
static bool is_in_zookeeper_since(const struct control *control, uint32_t cluster,
				  uint64_t since_ns)
{
	uint64_t now_ns = clock_now_ns();
	struct discovery_view view;

	return discovery_view(control->discovery, cluster, now_ns, &view) && view.is_zookeeper &&
	       view.is_loaded && view.age_ns < now_ns - since_ns;
}

static void build_one(struct control *control, uint32_t cluster, const struct control_node *node,
		      struct route_builder *builder)
{
	const struct mail_nodes_place *place = &node->place;
	bool is_tls = config_speaks_tls(&control_config(control)->clusters[cluster]);
	struct route_endpoint endpoint = {
		.host = place->host,
		.port = place->port,
		.is_tls = is_tls,
	};
	char id[16], url[URL_MAX];
	bool is_final;

	endpoint.addr_count = (uint8_t)control_dns_resolve(control, endpoint.host, endpoint.addrs,
							   ROUTE_ADDRS_MAX, &is_final);
	int32_t index = route_build_endpoint(builder, cluster, &endpoint);

	if (index < 0)
		return;
	const struct route_node built = {
		.id = node->id,
		.endpoint = index,
		.rack = place->rack[0] != '\0' ? place->rack : NULL,
		.told_ns = node->told_ns,
	};
	const struct route_broker broker = {
		.id = id,
		.url = is_tls ? NULL : url,
		.url_tls = is_tls ? url : NULL,
		.plain = is_tls ? -1 : index,
		.tls = is_tls ? index : -1,
	};

	(void)snprintf(id, sizeof(id), "%" PRId32, node->id);
	(void)snprintf(url, sizeof(url), "kafka%s://%s:%u", is_tls ? "+ssl" : "", place->host,
		       place->port);
	route_build_node(builder, cluster, &built);
	route_build_broker(builder, cluster, &broker);
}

static void save(struct control *control, struct control_node_set *set, uint64_t now_ns)
{
	const struct config *config = control_config(control);
	const struct config_cluster *cluster = find_cluster(config, set->cluster);
	char path[CONTROL_NODES_PATH];

	if (!set->is_changed || cluster == NULL || now_ns < set->save_next_ns)
		return;
	/* What may be another cluster's must not be found under this one's bootstrap brokers; and
	 * there is one process that saves, the one that serves. */
	if (set->foreign_ns != 0 || control->is_handed_over || control_is_heir(control))
		return;
	int ret = control_nodes_file_save(config, cluster, set, path);

	set->is_changed = ret < 0;
	set->save_next_ns = ret < 0 ? now_ns + SAVE_AGAIN_NS : 0;
	if (ret < 0 && !set->is_warned)
		log_warn("state_failed", "cluster %s: %s cannot be written: %s", set->cluster, path,
			 err_text(ret));
	set->is_warned = ret < 0;
}

void control_nodes_save(struct control *control, uint64_t now_ns)
{
	for (uint32_t i = 0; i < CONFIG_CLUSTERS_MAX; i++)
		if (control->nodes[i].cluster != NULL)
			save(control, &control->nodes[i], now_ns);
}

void control_nodes_build(struct control *control, uint32_t cluster, struct route_builder *builder)
{
	const struct config_cluster *config = &control_config(control)->clusters[cluster];

	if (config->protocol != CONFIG_KAFKA)
		return;
	struct control_node_set *set = set_of(control, config);

	if (set == NULL)
		return;
	if (set->foreign_ns != 0 && is_in_zookeeper_since(control, cluster, set->foreign_ns))
		let_go(control, set);
	for (uint32_t i = 0; i < set->count; i++)
		if (!discovery_knows_node(control->discovery, cluster, set->at[i].id,
					  set->at[i].told_ns))
			build_one(control, cluster, &set->at[i], builder);
	save(control, set, clock_now_ns());
}

const struct control_node *control_nodes_find(const struct control *control, uint32_t cluster,
					      int32_t id)
{
	const struct config *config = control_config(control);
	const struct control_node_set *set =
		cluster < config->cluster_count ? seek_set(control, config->clusters[cluster].name)
						: NULL;

	for (uint32_t i = 0; set != NULL && i < set->count; i++)
		if (set->at[i].id == id)
			return &set->at[i];
	return NULL;
}

void control_nodes_gone(void *context, const char *cluster, int32_t id)
{
	struct control *control = context;
	struct control_node_set *set = find_set(control, cluster);
	struct control_node *node = set != NULL ? find(set, id) : NULL;

	mail_nodes_forget(control->office->nodes, cluster, id);
	if (node != NULL)
		*node = set->at[--set->count];
}

static void set_fini(struct control_node_set *set)
{
	free(set->cluster);
	free(set->at);
	*set = (struct control_node_set){ .cluster = NULL };
}

static bool is_same_text(const char *a, const char *b)
{
	return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

/* Do both say where brokers are in the same words? */
static bool has_same_sources(const struct config_cluster *a, const struct config_cluster *b)
{
	if (a->protocol != b->protocol || a->url_count != b->url_count ||
	    !is_same_text(a->zookeeper_servers, b->zookeeper_servers) ||
	    !is_same_text(a->node_host, b->node_host))
		return false;
	for (uint32_t i = 0; i < a->url_count; i++)
		if (a->urls[i].port != b->urls[i].port ||
		    strcmp(a->urls[i].host, b->urls[i].host) != 0)
			return false;
	return true;
}

static void follow(struct control *control, struct control_node_set *set,
		   const struct config_cluster *old, const struct config_cluster *cluster)
{
	if (old != NULL && !has_same_sources(old, cluster)) {
		set->foreign_ns = clock_now_ns();
		set->is_changed = true;
	}
	/* No list will come: as after a restart, nobody is led where others have said. */
	if (set->foreign_ns != 0 && cluster->zookeeper_servers == NULL &&
	    !control_ask_is_for(cluster))
		let_go(control, set);
}

void control_nodes_apply(struct control *control, const struct config *old,
			 const struct config *config)
{
	for (uint32_t i = 0; i < CONFIG_CLUSTERS_MAX; i++) {
		struct control_node_set *set = &control->nodes[i];

		if (set->cluster == NULL)
			continue;
		const struct config_cluster *cluster = find_cluster(config, set->cluster);

		if (cluster == NULL) {
			let_go(control, set);
			set_fini(set);
			continue;
		}
		if (!is_same_text(old->state_dir, config->state_dir)) {
			set->is_changed = true;
			set->save_next_ns = 0;
		}
		follow(control, set, find_cluster(old, set->cluster), cluster);
	}
}

void control_nodes_fini(struct control *control)
{
	for (uint32_t i = 0; i < CONFIG_CLUSTERS_MAX; i++)
		set_fini(&control->nodes[i]);
}
