/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * discovery: the clusters of the configuration, each with its source, and the letters from
 * ZooKeeper's threads on their way to them.
 */
#include "discovery_priv.h"

#include <errno.h>
#include <stdlib.h>

#include "discovery_inbox.h"

#define CLOSE_WAIT_NS NS_PER_S
#define IDLE_NS	      NS_PER_S

void discovery_brokers_fini(struct discovery_brokers *brokers)
{
	for (uint32_t i = 0; i < brokers->count; i++)
		free(brokers->at[i].listeners);
	free(brokers->at);
	*brokers = (struct discovery_brokers){ .at = NULL };
}

bool discovery_broker_copy(struct discovery_broker *ret_broker,
			   const struct discovery_broker *broker)
{
	struct discovery_broker copy = *broker;

	if (broker->listener_count > 0) {
		copy.listeners = calloc(broker->listener_count, sizeof(*copy.listeners));
		if (copy.listeners == NULL)
			return false;
		memcpy(copy.listeners, broker->listeners,
		       broker->listener_count * sizeof(*copy.listeners));
	}
	*ret_broker = copy;
	return true;
}

void discovery_changed(struct discovery_cluster *cluster)
{
	const struct discovery_host *host = &cluster->discovery->host;

	host->changed(host->context);
}

const struct discovery_broker *discovery_find(const struct discovery_cluster *cluster,
					      const char *id)
{
	for (uint32_t i = 0; i < cluster->brokers.count; i++)
		if (strcmp(cluster->brokers.at[i].id, id) == 0)
			return &cluster->brokers.at[i];
	return NULL;
}

const struct discovery_broker *discovery_find_node(const struct discovery_cluster *cluster,
						   int32_t node)
{
	for (uint32_t i = 0; node >= 0 && i < cluster->brokers.count; i++)
		if (cluster->brokers.at[i].node == node)
			return &cluster->brokers.at[i];
	return NULL;
}

bool discovery_list_has(const struct discovery_brokers *brokers, const struct discovery_url *url)
{
	for (uint32_t i = 0; i < brokers->count; i++) {
		const struct discovery_broker *broker = &brokers->at[i];

		if (discovery_url_equal(&broker->plain, url) ||
		    discovery_url_equal(&broker->tls, url))
			return true;
		for (uint32_t j = 0; j < broker->listener_count; j++)
			if (discovery_url_equal(&broker->listeners[j], url))
				return true;
	}
	return false;
}

bool discovery_has_url(const struct discovery_cluster *cluster, const struct discovery_url *url)
{
	return url->port != 0 && discovery_list_has(&cluster->brokers, url);
}

/* ---- clusters ---------------------------------------------------------------------------------
 */

static void cluster_free(struct discovery_cluster *cluster)
{
	discovery_brokers_fini(&cluster->brokers);
	free(cluster->name);
	free(cluster->servers);
	free(cluster->global_servers);
	free(cluster->listener);
	free(cluster->urls);
	free(cluster->state_path);
	free(cluster);
}

static bool copy_text(char **ret_text, const char *text)
{
	*ret_text = text == NULL ? NULL : strdup(text);
	return text == NULL || *ret_text != NULL;
}

static bool copy_urls(struct discovery_cluster *cluster, const struct config_cluster *config)
{
	cluster->urls = calloc(config->url_count + 1u, sizeof(*cluster->urls));
	if (cluster->urls == NULL)
		return false;
	for (uint32_t i = 0; i < config->url_count; i++) {
		struct discovery_url *url = &cluster->urls[cluster->url_count];

		url->port = config->urls[i].port;
		url->is_tls = config->urls[i].is_tls;
		url->is_kafka = config->protocol == CONFIG_KAFKA;
		if (!span_to_str(span_str(config->urls[i].host), url->host, sizeof(url->host)))
			continue; /* config has checked: cannot be */
		for (char *at = url->host; *at != '\0'; at++)
			if (*at >= 'A' && *at <= 'Z')
				*at = (char)(*at - 'A' + 'a');
		cluster->url_count++;
	}
	return true;
}

static struct discovery_cluster *
cluster_new(struct discovery *discovery, const struct config_cluster *config, const char *state_dir)
{
	struct discovery_cluster *cluster = calloc(1, sizeof(*cluster));

	if (cluster == NULL)
		return NULL;
	*cluster = (struct discovery_cluster){
		.discovery = discovery,
		.ops = config->zookeeper_servers != NULL ? &discovery_zookeeper_ops
							 : &discovery_static_ops,
		.session_ns = config->zookeeper_session_ns,
		.resync_ns = config->zookeeper_resync_ns,
		.grace_ns = config->grace_ns,
		.is_kafka = config->protocol == CONFIG_KAFKA,
		.is_tls = config->protocol == CONFIG_KAFKA && config_speaks_tls(config),
		.is_direct =
			config->zookeeper_servers != NULL && config->lookup == CONFIG_LOOKUP_DIRECT,
		.read_ns = clock_now_ns(),
	};
	if (!copy_text(&cluster->name, config->name) ||
	    !copy_text(&cluster->servers, config->zookeeper_servers) ||
	    !copy_text(&cluster->global_servers, config->zookeeper_global_servers) ||
	    !copy_text(&cluster->listener, config->zookeeper_listener) ||
	    !copy_urls(cluster, config)) {
		cluster_free(cluster);
		return NULL;
	}
	discovery_state_open(cluster, state_dir);
	return cluster;
}

static bool is_same_text(const char *a, const char *b)
{
	return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

static bool is_same_source(const struct discovery_cluster *a, const struct discovery_cluster *b)
{
	if (strcmp(a->name, b->name) != 0 || !is_same_text(a->servers, b->servers) ||
	    !is_same_text(a->global_servers, b->global_servers) ||
	    !is_same_text(a->state_path, b->state_path) || a->session_ns != b->session_ns ||
	    !is_same_text(a->listener, b->listener) || a->is_kafka != b->is_kafka ||
	    a->is_tls != b->is_tls || a->resync_ns != b->resync_ns || a->grace_ns != b->grace_ns ||
	    a->is_direct != b->is_direct || a->url_count != b->url_count)
		return false;
	for (uint32_t i = 0; i < a->url_count; i++)
		if (!discovery_url_equal(&a->urls[i], &b->urls[i]))
			return false;
	return true;
}

static struct discovery_cluster *find_named(const struct discovery *discovery, const char *name)
{
	for (uint32_t i = 0; i < discovery->cluster_count; i++)
		if (discovery->clusters[i] != NULL &&
		    strcmp(discovery->clusters[i]->name, name) == 0)
			return discovery->clusters[i];
	return NULL;
}

/* The list of a cluster whose source changes serves on until the new source has one. */
static void inherit(struct discovery_cluster *cluster, struct discovery_cluster *old)
{
	cluster->brokers = old->brokers;
	cluster->is_loaded = old->is_loaded;
	cluster->read_ns = old->read_ns;
	cluster->extra_age_ns = old->extra_age_ns;
	memcpy(cluster->departed, old->departed, sizeof(cluster->departed));
	cluster->departed_count = old->departed_count;
	old->brokers = (struct discovery_brokers){ .at = NULL };
}

static void cluster_stop(struct discovery_cluster *cluster)
{
	cluster->ops->stop(cluster);
	cluster_free(cluster);
}

/* The cluster as it will be, not started; an existing one if nothing changes for it. */
static struct discovery_cluster *prepare(struct discovery *discovery,
					 const struct config_cluster *config, const char *state_dir)
{
	struct discovery_cluster *fresh = cluster_new(discovery, config, state_dir);
	struct discovery_cluster *old = find_named(discovery, config->name);

	if (fresh == NULL || old == NULL || !is_same_source(old, fresh))
		return fresh;
	cluster_free(fresh);
	return old;
}

static bool is_among(struct discovery_cluster *const *clusters, uint32_t count,
		     const struct discovery_cluster *cluster)
{
	for (uint32_t i = 0; i < count; i++)
		if (clusters[i] == cluster)
			return true;
	return false;
}

static int start(struct discovery_cluster *cluster, struct discovery_cluster *old)
{
	if (old != NULL)
		inherit(cluster, old);
	discovery_state_load(cluster, clock_now_ns());
	return cluster->ops->start(cluster);
}

int discovery_apply(struct discovery *discovery, const struct config *config)
{
	struct discovery_cluster *fresh[CONFIG_CLUSTERS_MAX] = { NULL };
	uint32_t count = config->cluster_count;

	for (uint32_t i = 0; i < count; i++) {
		fresh[i] = prepare(discovery, &config->clusters[i], config->state_dir);
		if (fresh[i] != NULL)
			continue;
		while (i-- > 0)
			if (!is_among(discovery->clusters, discovery->cluster_count, fresh[i]))
				cluster_free(fresh[i]);
		return -ENOMEM;
	}
	/* From here on nothing fails: a source that has no memory to start tries again. */
	for (uint32_t i = 0; i < count; i++) {
		struct discovery_cluster *old = find_named(discovery, fresh[i]->name);

		if (old != fresh[i] && start(fresh[i], old) < 0)
			log_error("discovery_failed", "cluster %s: out of memory", fresh[i]->name);
	}
	for (uint32_t i = 0; i < discovery->cluster_count; i++)
		if (!is_among(fresh, count, discovery->clusters[i]))
			cluster_stop(discovery->clusters[i]);
	memcpy(discovery->clusters, fresh, sizeof(fresh));
	discovery->cluster_count = count;
	return 0;
}

void discovery_save_no_more(struct discovery *discovery)
{
	for (uint32_t i = 0; i < discovery->cluster_count; i++) {
		free(discovery->clusters[i]->state_path);
		discovery->clusters[i]->state_path = NULL;
	}
}

struct discovery *discovery_new(const struct discovery_host *host)
{
	struct discovery *discovery = calloc(1, sizeof(*discovery));

	if (discovery == NULL)
		return NULL;
	discovery->host = *host;
	rng_init(&discovery->rng);
	discovery->inbox = discovery_inbox_new(host->ring);
	if (discovery->inbox == NULL) {
		free(discovery);
		return NULL;
	}
	return discovery;
}

void discovery_free(struct discovery *discovery)
{
	for (uint32_t i = 0; i < discovery->cluster_count; i++)
		cluster_stop(discovery->clusters[i]);
	discovery_inbox_close(discovery->inbox);
	if (!discovery_inbox_wait(discovery->inbox, CLOSE_WAIT_NS))
		log_info("zookeeper_closing", "a ZooKeeper server does not answer the good-bye; "
					      "its session will time out");
	discovery_inbox_put(discovery->inbox);
	free(discovery);
}

/* ---- the loop ---------------------------------------------------------------------------------
 */

static void take_letters(struct discovery *discovery)
{
	bool is_lost;
	struct discovery_letter *letter = discovery_inbox_take(discovery->inbox, &is_lost);

	while (letter != NULL) {
		struct discovery_letter *next = letter->next;

		for (uint32_t i = 0; i < discovery->cluster_count; i++)
			if (discovery_zookeeper_letter(discovery->clusters[i], letter))
				break; /* else from a handle that was closed */
		discovery_inbox_letter_free(letter);
		letter = next;
	}
	for (uint32_t i = 0; is_lost && i < discovery->cluster_count; i++)
		discovery_zookeeper_resync(discovery->clusters[i]);
}

uint64_t discovery_tick(struct discovery *discovery, uint64_t now_ns)
{
	uint64_t next_ns = now_ns + IDLE_NS;

	take_letters(discovery);
	for (uint32_t i = 0; i < discovery->cluster_count; i++) {
		struct discovery_cluster *cluster = discovery->clusters[i];
		uint64_t due_ns = cluster->ops->tick(cluster, now_ns);

		if (due_ns < next_ns)
			next_ns = due_ns;
		if (discovery_merge_forget(cluster, now_ns))
			discovery_changed(cluster);
		discovery_merge_warn(cluster, now_ns);
	}
	return next_ns;
}

void discovery_namespace(struct discovery *discovery, uint32_t cluster, const char *name)
{
	if (cluster < discovery->cluster_count && discovery->clusters[cluster]->is_direct)
		discovery_zookeeper_namespace(discovery->clusters[cluster], name);
}

bool discovery_knows_node(const struct discovery *discovery, uint32_t cluster, int32_t node,
			  uint64_t since_ns)
{
	const struct discovery_cluster *at =
		cluster < discovery->cluster_count ? discovery->clusters[cluster] : NULL;

	return at != NULL && at->servers != NULL && at->extra_age_ns == 0 &&
	       at->read_ns >= since_ns && discovery_find_node(at, node) != NULL;
}

enum discovery_node_state discovery_node_state(const struct discovery *discovery, uint32_t index,
					       int32_t node, uint64_t now_ns, uint64_t *ret_age_ns)
{
	if (index >= discovery->cluster_count || discovery->clusters[index]->servers == NULL)
		return DISCOVERY_NODE_NONE;
	const struct discovery_cluster *cluster = discovery->clusters[index];

	*ret_age_ns = discovery_merge_age_ns(cluster, now_ns);
	if (discovery_find_node(cluster, node) != NULL)
		return cluster->extra_age_ns > 0 ? DISCOVERY_NODE_SAVED : DISCOVERY_NODE_LISTED;
	for (uint32_t i = 0; i < cluster->departed_count; i++)
		if (cluster->departed[i].node == node)
			return DISCOVERY_NODE_LEAVING;
	return DISCOVERY_NODE_NONE;
}

bool discovery_view(const struct discovery *discovery, uint32_t index, uint64_t now_ns,
		    struct discovery_view *ret_view)
{
	if (index >= discovery->cluster_count)
		return false;
	const struct discovery_cluster *cluster = discovery->clusters[index];

	*ret_view = (struct discovery_view){
		.name = cluster->name,
		.is_zookeeper = cluster->servers != NULL,
		.is_loaded = cluster->is_loaded,
		.age_ns = discovery_merge_age_ns(cluster, now_ns),
		.zookeeper = discovery_zookeeper_state(cluster),
		.broker_count = cluster->brokers.count,
		.namespace_count = discovery_zookeeper_namespace_count(cluster),
	};
	return true;
}
