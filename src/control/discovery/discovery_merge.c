/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * discovery_merge: by which rules a new broker list replaces the old one (DECISIONS 5.2): an empty
 * one never does; a broker that has left is no longer chosen, but still allowed for a minute; what
 * changed is logged, saved and told.
 */
#include <stdlib.h>

#include "discovery_priv.h"

#define OLD_NS	       (2 * NS_PER_S)  /* ZooKeeper was lost for a while */
#define STALE_NS       (60 * NS_PER_S) /* an age worth a warning */
#define STALE_AGAIN_NS (300 * NS_PER_S)

static bool is_same_broker(const struct discovery_broker *a, const struct discovery_broker *b)
{
	if (strcmp(a->id, b->id) != 0 || strcmp(a->rack, b->rack) != 0 ||
	    !discovery_url_equal(&a->plain, &b->plain) || !discovery_url_equal(&a->tls, &b->tls) ||
	    a->listener_count != b->listener_count)
		return false;
	for (uint32_t i = 0; i < a->listener_count; i++)
		if (!discovery_url_equal(&a->listeners[i], &b->listeners[i]))
			return false;
	return true;
}

static bool is_same_list(const struct discovery_brokers *a, const struct discovery_brokers *b)
{
	if (a->count != b->count)
		return false;
	for (uint32_t i = 0; i < a->count; i++)
		if (!is_same_broker(&a->at[i], &b->at[i]))
			return false;
	return true;
}

/* A broker that left is no candidate any more, but a client that was sent to it a moment ago gets
 * "service not ready" (and tries again) instead of "not allowed" (and gives up). */
static void depart(struct discovery_cluster *cluster, const struct discovery_url *url, int32_t node,
		   uint64_t until_ns)
{
	uint32_t oldest = 0;

	if (url->port == 0)
		return;
	for (uint32_t i = 0; i < cluster->departed_count; i++) {
		if (discovery_url_equal(&cluster->departed[i].url, url)) {
			cluster->departed[i].until_ns = until_ns;
			cluster->departed[i].node = node;
			return;
		}
		if (cluster->departed[i].until_ns < cluster->departed[oldest].until_ns)
			oldest = i;
	}
	uint32_t at = cluster->departed_count < DISCOVERY_DEPARTED_MAX ? cluster->departed_count++
								       : oldest;

	cluster->departed[at] = (struct discovery_departed){
		.url = *url,
		.node = node,
		.until_ns = until_ns,
	};
}

/* Everything of `old` that `fresh` does not name any more. */
static void depart_all(struct discovery_cluster *cluster, const struct discovery_brokers *old,
		       const struct discovery_brokers *fresh, uint64_t now_ns)
{
	uint64_t until_ns = now_ns + cluster->grace_ns;

	for (uint32_t i = 0; i < old->count; i++) {
		const struct discovery_broker *broker = &old->at[i];

		if (!discovery_list_has(fresh, &broker->plain))
			depart(cluster, &broker->plain, broker->node, until_ns);
		if (!discovery_list_has(fresh, &broker->tls))
			depart(cluster, &broker->tls, broker->node, until_ns);
		for (uint32_t j = 0; j < broker->listener_count; j++)
			if (!discovery_list_has(fresh, &broker->listeners[j]))
				depart(cluster, &broker->listeners[j], -1, until_ns);
	}
}

static void say_gone(struct discovery_cluster *cluster, int32_t node)
{
	const struct discovery_host *host = &cluster->discovery->host;

	log_info("node_gone",
		 "cluster %s: node %d has left ZooKeeper; clients that want it are refused",
		 cluster->name, (int)node);
	if (host->gone != NULL)
		host->gone(host->context, cluster->name, node);
}

bool discovery_merge_forget(struct discovery_cluster *cluster, uint64_t now_ns)
{
	uint32_t kept = 0;
	uint32_t count = cluster->departed_count;

	for (uint32_t i = 0; i < count; i++) {
		const struct discovery_departed *departed = &cluster->departed[i];

		if (departed->until_ns > now_ns && !discovery_has_url(cluster, &departed->url))
			cluster->departed[kept++] = *departed;
		else if (departed->node >= 0 &&
			 discovery_find_node(cluster, departed->node) == NULL)
			say_gone(cluster, departed->node);
	}
	cluster->departed_count = kept;
	return kept < count;
}

static void log_list(const struct discovery_cluster *cluster, const struct discovery_brokers *old)
{
	char url[DISCOVERY_URL_MAX];

	for (uint32_t i = 0; i < cluster->brokers.count; i++) {
		const struct discovery_broker *broker = &cluster->brokers.at[i];

		if (discovery_list_has(old,
				       broker->plain.port != 0 ? &broker->plain : &broker->tls))
			continue;
		(void)discovery_url_format(broker->plain.port != 0 ? &broker->plain : &broker->tls,
					   url);
		log_info("broker_found", "cluster %s: %s at %s", cluster->name, broker->id, url);
	}
	for (uint32_t i = 0; i < old->count; i++)
		if (discovery_find(cluster, old->at[i].id) == NULL)
			log_info("broker_left", "cluster %s: %s; %u remain", cluster->name,
				 old->at[i].id, cluster->brokers.count);
}

void discovery_merge_confirm(struct discovery_cluster *cluster, uint64_t now_ns)
{
	cluster->read_ns = now_ns;
	cluster->extra_age_ns = 0;
}

void discovery_merge(struct discovery_cluster *cluster, struct discovery_brokers *fresh,
		     uint64_t now_ns)
{
	if (fresh->count == 0) {
		/* Nobody serves without a broker, so this is more likely a fault of the list (an
		 * empty tree after a restore, the wrong chroot) than the truth. */
		discovery_brokers_fini(fresh);
		if (cluster->warned_ns == 0 || now_ns - cluster->warned_ns > STALE_NS) {
			cluster->warned_ns = now_ns;
			log_warn("discovery_empty", "cluster %s: no broker is listed; %s",
				 cluster->name,
				 cluster->is_loaded ? "the last list stays" : "waiting for one");
		}
		return;
	}
	bool was_old = discovery_merge_age_ns(cluster, now_ns) > OLD_NS;

	discovery_merge_confirm(cluster, now_ns);
	cluster->warned_ns = 0;
	if (was_old && cluster->is_kafka)
		discovery_changed(cluster); /* what was told meanwhile is no newer any more */
	if (cluster->is_loaded && is_same_list(&cluster->brokers, fresh)) {
		/* Newer node versions, though. */
		discovery_brokers_fini(&cluster->brokers);
		cluster->brokers = *fresh;
		return;
	}
	struct discovery_brokers old = cluster->brokers;

	cluster->brokers = *fresh;
	cluster->is_loaded = true;
	depart_all(cluster, &old, &cluster->brokers, now_ns);
	(void)discovery_merge_forget(cluster, now_ns);
	log_list(cluster, &old);
	discovery_brokers_fini(&old);
	discovery_state_save(cluster);
	discovery_changed(cluster);
}

uint64_t discovery_merge_age_ns(const struct discovery_cluster *cluster, uint64_t now_ns)
{
	return (now_ns > cluster->read_ns ? now_ns - cluster->read_ns : 0) + cluster->extra_age_ns;
}

void discovery_merge_warn(struct discovery_cluster *cluster, uint64_t now_ns)
{
	uint64_t age = discovery_merge_age_ns(cluster, now_ns);

	if (!cluster->is_loaded || age < STALE_NS ||
	    (cluster->warned_ns != 0 && now_ns - cluster->warned_ns < STALE_AGAIN_NS))
		return;
	cluster->warned_ns = now_ns;
	log_warn("discovery_stale",
		 "cluster %s: the broker list is %llu s old (ZooKeeper: %s); "
		 "serving goes on with it",
		 cluster->name, (unsigned long long)(age / NS_PER_S),
		 discovery_zookeeper_state(cluster));
}
