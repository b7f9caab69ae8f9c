/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * discovery_zookeeper: a cluster's brokers from ZooKeeper: a watch on the children of
 * /loadbalance/brokers, never on their data (the Modular load manager rewrites that every minute,
 * and URLs do not change in a node's life); the data once per node; all of it again every
 * zookeeper_resync_ns and after each reconnect. Of Kafka the children of /brokers/ids and their
 * data are watched. Reading the list is a round (discovery_round.c).
 */
#include "discovery_round.h"

#include <errno.h>
#include <stdlib.h>

#include "discovery_ownership.h"

#define COALESCE_NS   (100 * NS_PER_MS)
#define RETRY_NS      NS_PER_S
#define ROUND_MOST_NS (15 * NS_PER_S) /* then the answers are lost */
#define IDLE_NS	      NS_PER_S

struct discovery_zookeeper {
	struct discovery_session local, global;
	bool has_global; /* a second store, for policies; only with lookup: direct */
	uint64_t local_serial, global_serial;  /* of the handles ownership was last reset for */
	struct discovery_ownership *ownership; /* NULL: lookup: relay */
	struct discovery_round round;
	bool is_list_wanted, is_full_wanted;
	uint64_t list_ns;   /* not before */
	uint64_t resync_ns; /* when all data is read again */
	bool is_confirmed;  /* the last round was good, its watch has not fired */
	bool was_direct;    /* at the last tick */
	bool is_extensible_logged;
};

static void want_list(struct discovery_zookeeper *zookeeper, uint64_t at_ns, bool is_full)
{
	if (!zookeeper->is_list_wanted || at_ns < zookeeper->list_ns)
		zookeeper->list_ns = at_ns;
	zookeeper->is_list_wanted = true;
	zookeeper->is_full_wanted = zookeeper->is_full_wanted || is_full;
	zookeeper->is_confirmed = false;
}

static struct discovery_session *global_of(struct discovery_zookeeper *zookeeper)
{
	return zookeeper->has_global ? &zookeeper->global : &zookeeper->local;
}

static void stop(struct discovery_cluster *cluster)
{
	struct discovery_zookeeper *zookeeper = cluster->zookeeper;

	if (zookeeper == NULL)
		return;
	cluster->zookeeper = NULL;
	discovery_ownership_free(zookeeper->ownership);
	discovery_round_end(&zookeeper->round);
	discovery_session_stop(&zookeeper->local);
	discovery_session_stop(&zookeeper->global);
	free(zookeeper);
}

static bool start_sessions(struct discovery_cluster *cluster)
{
	struct discovery_zookeeper *zookeeper = cluster->zookeeper;

	if (!discovery_session_start(&zookeeper->local, cluster->discovery, cluster->name, "local",
				     cluster->servers, cluster->session_ns))
		return false;
	if (!cluster->is_direct)
		return true;
	zookeeper->has_global = cluster->global_servers != NULL &&
				strcmp(cluster->global_servers, cluster->servers) != 0;
	if (zookeeper->has_global &&
	    !discovery_session_start(&zookeeper->global, cluster->discovery, cluster->name,
				     "global", cluster->global_servers, cluster->session_ns))
		return false;
	zookeeper->ownership =
		discovery_ownership_new(cluster, &zookeeper->local, global_of(zookeeper));
	return zookeeper->ownership != NULL;
}

static int start(struct discovery_cluster *cluster)
{
	cluster->zookeeper = calloc(1, sizeof(*cluster->zookeeper));
	if (cluster->zookeeper == NULL)
		return -ENOMEM;
	cluster->zookeeper->round.is_kafka = cluster->is_kafka;
	if (start_sessions(cluster))
		return 0;
	stop(cluster);
	return -ENOMEM;
}

/* ---- the list ---------------------------------------------------------------------------------
 */

static void log_extensible(struct discovery_cluster *cluster)
{
	struct discovery_zookeeper *zookeeper = cluster->zookeeper;

	if (zookeeper->is_extensible_logged || !cluster->is_direct)
		return;
	for (uint32_t i = 0; i < cluster->brokers.count; i++) {
		if (!cluster->brokers.at[i].is_extensible)
			continue;
		zookeeper->is_extensible_logged = true;
		log_warn("direct_off",
			 "cluster %s: the extensible load manager keeps no ownership "
			 "in ZooKeeper; lookups are relayed, lookup: direct has no effect",
			 cluster->name);
		return;
	}
}

static void finish_round(struct discovery_cluster *cluster, uint64_t now_ns)
{
	struct discovery_zookeeper *zookeeper = cluster->zookeeper;
	struct discovery_brokers fresh = { .at = NULL };
	enum discovery_round_result result = discovery_round_take(&zookeeper->round, &fresh);

	if (result == DISCOVERY_ROUND_FAILED) {
		want_list(zookeeper, now_ns + RETRY_NS, zookeeper->round.is_full);
		return;
	}
	if (zookeeper->round.is_full)
		zookeeper->resync_ns = now_ns + cluster->resync_ns;
	/* An empty list confirms nothing: the kept one ages. */
	zookeeper->is_confirmed = fresh.count > 0 && !zookeeper->is_list_wanted;
	discovery_merge(cluster, &fresh, now_ns);
	if (zookeeper->round.is_full)
		discovery_state_save(cluster);
	log_extensible(cluster);
}

static void on_list_letter(struct discovery_cluster *cluster, const struct discovery_letter *letter,
			   uint64_t now_ns)
{
	struct discovery_zookeeper *zookeeper = cluster->zookeeper;

	if (letter->what == DISCOVERY_WATCH) {
		want_list(zookeeper, now_ns + COALESCE_NS, false);
		return;
	}
	switch (discovery_round_letter(&zookeeper->round, cluster, &zookeeper->local, letter)) {
	case DISCOVERY_ROUND_DONE:
		finish_round(cluster, now_ns);
		break;
	case DISCOVERY_ROUND_AGAIN:
		want_list(zookeeper, now_ns, false);
		break;
	case DISCOVERY_ROUND_GOING:
		break;
	}
}

static void on_state_letter(struct discovery_cluster *cluster, struct discovery_session *session,
			    const struct discovery_letter *letter, uint64_t now_ns)
{
	struct discovery_zookeeper *zookeeper = cluster->zookeeper;
	bool was_up = discovery_session_is_up(session);
	bool is_local = session == &zookeeper->local;

	discovery_session_on_state(session, letter, now_ns);
	bool is_up = discovery_session_is_up(session);

	if (is_local && is_up != was_up) {
		discovery_round_end(&zookeeper->round);
		zookeeper->is_confirmed = false;
		if (is_up)
			want_list(zookeeper, now_ns, true);
	}
	if (!is_up || was_up || zookeeper->ownership == NULL)
		return;
	uint64_t *serial = is_local ? &zookeeper->local_serial : &zookeeper->global_serial;

	/* A reconnect within the session: the library has armed the watches again. */
	if (*serial == session->serial)
		return;
	*serial = session->serial;
	discovery_ownership_reset(zookeeper->ownership, now_ns);
}

bool discovery_zookeeper_letter(struct discovery_cluster *cluster,
				const struct discovery_letter *letter)
{
	struct discovery_zookeeper *zookeeper = cluster->zookeeper;
	uint64_t now_ns = clock_now_ns();

	if (zookeeper == NULL)
		return false;
	bool is_local = discovery_session_is_mine(&zookeeper->local, letter);

	if (!is_local && !discovery_session_is_mine(&zookeeper->global, letter))
		return false;
	if (letter->what == DISCOVERY_STATE)
		on_state_letter(cluster, is_local ? &zookeeper->local : &zookeeper->global, letter,
				now_ns);
	else if (discovery_round_is_mine(&zookeeper->round, letter))
		on_list_letter(cluster, letter, now_ns);
	else if (zookeeper->ownership != NULL)
		discovery_ownership_letter(zookeeper->ownership, letter, now_ns);
	return true;
}

void discovery_zookeeper_resync(struct discovery_cluster *cluster)
{
	struct discovery_zookeeper *zookeeper = cluster->zookeeper;
	uint64_t now_ns = clock_now_ns();

	if (zookeeper == NULL)
		return;
	log_warn("letters_lost", "cluster %s: too many events from ZooKeeper; reading all again",
		 cluster->name);
	/* A lost letter may be anything, the end of the session too: a new one is sure. */
	discovery_round_end(&zookeeper->round);
	discovery_session_renew(&zookeeper->local, now_ns);
	discovery_session_renew(&zookeeper->global, now_ns);
}

static void tick_list(struct discovery_cluster *cluster, uint64_t now_ns)
{
	struct discovery_zookeeper *zookeeper = cluster->zookeeper;
	struct discovery_round *round = &zookeeper->round;

	if (!discovery_session_is_up(&zookeeper->local))
		return;
	if (round->is_going && now_ns - round->started_ns > ROUND_MOST_NS) {
		discovery_round_end(round);
		want_list(zookeeper, now_ns, true);
	}
	if (!zookeeper->is_list_wanted && !round->is_going && now_ns >= zookeeper->resync_ns)
		want_list(zookeeper, now_ns, true);
	if (zookeeper->is_list_wanted && !round->is_going && now_ns >= zookeeper->list_ns) {
		bool is_full = zookeeper->is_full_wanted;

		zookeeper->is_list_wanted = false;
		zookeeper->is_full_wanted = false;
		if (!discovery_round_begin(round, &zookeeper->local, is_full, now_ns))
			want_list(zookeeper, now_ns + RETRY_NS, is_full);
	}
	if (zookeeper->is_confirmed)
		discovery_merge_confirm(cluster, now_ns);
}

static uint64_t tick(struct discovery_cluster *cluster, uint64_t now_ns)
{
	struct discovery_zookeeper *zookeeper = cluster->zookeeper;
	uint64_t next_ns = now_ns + IDLE_NS;
	uint64_t due_ns;

	if (zookeeper == NULL)
		return start(cluster) < 0 ? now_ns + IDLE_NS : now_ns;
	due_ns = discovery_session_tick(&zookeeper->local, now_ns);
	next_ns = due_ns < next_ns ? due_ns : next_ns;
	due_ns = discovery_session_tick(&zookeeper->global, now_ns);
	next_ns = due_ns < next_ns ? due_ns : next_ns;
	tick_list(cluster, now_ns);
	if (zookeeper->is_list_wanted && zookeeper->list_ns > now_ns &&
	    zookeeper->list_ns < next_ns)
		next_ns = zookeeper->list_ns;
	if (zookeeper->ownership != NULL) {
		due_ns = discovery_ownership_tick(zookeeper->ownership, now_ns);
		next_ns = due_ns < next_ns ? due_ns : next_ns;
	}
	bool is_direct = discovery_zookeeper_is_direct(cluster, now_ns);

	if (is_direct != zookeeper->was_direct)
		discovery_changed(cluster);
	zookeeper->was_direct = is_direct;
	return next_ns;
}

const struct discovery_ops discovery_zookeeper_ops = {
	.name = "zookeeper",
	.start = start,
	.stop = stop,
	.tick = tick,
};

/* ---- views ------------------------------------------------------------------------------------
 */

const char *discovery_zookeeper_state(const struct discovery_cluster *cluster)
{
	if (cluster->servers == NULL || cluster->zookeeper == NULL)
		return "none";
	return discovery_session_state_name(&cluster->zookeeper->local);
}

/* A session that was lost a moment ago still counts: reconnecting to the next server is normal. */
bool discovery_zookeeper_is_direct(const struct discovery_cluster *cluster, uint64_t now_ns)
{
	const struct discovery_zookeeper *zookeeper = cluster->zookeeper;

	if (!cluster->is_direct || zookeeper == NULL || zookeeper->ownership == NULL ||
	    zookeeper->local_serial == 0 || zookeeper->local_serial != zookeeper->local.serial ||
	    discovery_session_lost_ns(&zookeeper->local, now_ns) >= DISCOVERY_DIRECT_NS)
		return false;
	for (uint32_t i = 0; i < cluster->brokers.count; i++)
		if (cluster->brokers.at[i].is_extensible)
			return false;
	return true;
}

void discovery_zookeeper_namespace(struct discovery_cluster *cluster, const char *name)
{
	if (cluster->zookeeper != NULL && cluster->zookeeper->ownership != NULL)
		discovery_ownership_want(cluster->zookeeper->ownership, name, clock_now_ns());
}

uint32_t discovery_zookeeper_namespace_count(const struct discovery_cluster *cluster)
{
	return cluster->zookeeper == NULL
		       ? 0
		       : discovery_ownership_count(cluster->zookeeper->ownership);
}

void discovery_zookeeper_build(struct discovery_cluster *cluster, uint32_t index,
			       struct route_builder *builder)
{
	discovery_ownership_build(cluster->zookeeper->ownership, index, builder);
}
