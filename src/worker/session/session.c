/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * session: the pools and tables the sessions of a worker share, and the one place where a session
 * changes state.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "session_priv.h"

#define BIT(state) (1u << (state))
#define TO(NAME)   BIT(SESSION_##NAME)

static const struct {
	const char *name;
	uint32_t next;
} states[] = {
#define SESSION_STATE(NAME, word, moves) [SESSION_##NAME] = { .name = #word, .next = (moves) },
#include <penstock/worker/session.def>
#undef SESSION_STATE
};

static int tables_init(struct session_env *env)
{
	env->scratch = malloc(SESSION_SCRATCH);
	env->rests = calloc(SESSION_RESTS, sizeof(*env->rests));
	env->asked = calloc(SESSION_ASKED, sizeof(*env->asked));
	env->nodes = calloc(1, sizeof(*env->nodes));
	if (env->scratch == NULL || env->rests == NULL || env->asked == NULL || env->nodes == NULL)
		return -ENOMEM;
	return 0;
}

static uint64_t lookups_share(const struct config *config, uint32_t workers)
{
	if (config->limits.lookups == CONFIG_OFF)
		return CONFIG_OFF;
	return (config->limits.lookups + workers - 1) / workers;
}

static int pools_init(struct session_env *env, const struct config *config,
		      const struct config_budget *budget)
{
	const struct proto_pool_sizes sizes = {
		.sessions = (uint32_t)budget->sessions_per_worker,
		.books = (uint32_t)budget->hops_per_worker,
		.chunks = (uint32_t)budget->chunks_per_worker,
		.bulks = (uint32_t)budget->bulks_per_worker,
	};

	return proto_pools_init(&env->protos, &sizes,
				lookups_share(config, env->office->worker_count));
}

int session_env_init(struct session_env *env, const struct config *config,
		     struct mail_office *office, uint32_t worker)
{
	struct config_budget budget;
	*env = (struct session_env){
		.office = office,
		.stats = office->stats[worker],
		.worker = worker,
		.now_ns = clock_now_ns(),
	};
	config_budget(config, &budget);
	rng_init(&env->rng);
	timer_wheel_init(&env->wheel, env->now_ns);
	relay_queue_init(&env->again);
	relay_queue_init(&env->slotless);
	relay_queue_init(&env->shaking);

	int ret = tables_init(env);

	if (ret == 0)
		ret = relay_init(&env->relay, (uint32_t)budget.buffers_per_worker,
				 (uint32_t)config->limits.pipes, env->stats);
	env->relay.is_eager = config->process.busy_poll_ns != 0;
	if (ret == 0)
		ret = pool_init(&env->sessions, sizeof(struct session),
				(uint32_t)budget.sessions_per_worker);
	if (ret == 0)
		ret = pool_init(&env->sides, sizeof(struct session_side),
				(uint32_t)budget.hops_per_worker);
	if (ret == 0)
		ret = pool_init(&env->names, HOST_MAX,
				(uint32_t)(4 * budget.sessions_per_worker +
					   budget.hops_per_worker));
	if (ret == 0)
		ret = tls_new(&env->tls,
			      (uint32_t)(2 * budget.sessions_per_worker + budget.hops_per_worker),
			      (uint32_t)config->limits.handshakes, env->stats);
	if (ret == 0)
		ret = pools_init(env, config, &budget);
	return ret;
}

void session_env_fini(struct session_env *env)
{
	proto_pools_fini(&env->protos);
	tls_free(env->tls);
	pool_fini(&env->names);
	pool_fini(&env->sides);
	pool_fini(&env->sessions);
	relay_fini(&env->relay);
	free(env->scratch);
	free(env->rests);
	free(env->asked);
	free(env->nodes);
}

const char *session_state_name(enum session_state state)
{
	return states[state].name;
}

void session_move(struct session *session, enum session_state state)
{
	CHECK((states[session->state].next & BIT(state)) != 0);
	session->state = (uint8_t)state;
}

struct session *session_at(struct session_env *env, uint32_t index)
{
	if (index >= env->sessions.fresh)
		return NULL;
	struct session *session = pool_at(&env->sessions, index);

	return session->state == SESSION_FREE ? NULL : session;
}

static uint32_t index_of_cluster(const struct config *config, const char *name)
{
	uint32_t i = 0;

	while (i < config->cluster_count && strcmp(config->clusters[i].name, name) != 0)
		i++;
	return i;
}

/* Once connected it is only bytes. Before, the target's PROXY header, say, is the route's, and
 * whether what comes from the client is TLS or what was in it. */
static void follow_rule(struct session *session)
{
	uint32_t rule = session_rule(session);
	bool is_dialling = session->state == SESSION_CLIENT_TLS || session->state == SESSION_DIAL ||
			   session->state == SESSION_BROKER_TLS;

	if (is_dialling && (rule == ROUTE_NO_RULE ||
			    (session_config(session->env)->routes[rule].mode == CONFIG_MODE_PASS) !=
				    (session->client_tls == NULL)))
		session_close_refuse(session, CLOSE_LISTENER_GONE, span_of(NULL, 0));
}

/* What its brokers speak may be another protocol now. */
static bool speaks_as_before(const struct session *session, const struct config_cluster *cluster)
{
	return (session->proto.ops == &proto_kafka_ops) == (cluster->protocol == CONFIG_KAFKA);
}

/* Bytes of a data connection go on without it, but not our own login at its broker. */
static bool needs_cluster(const struct session *session)
{
	const struct proto *proto = &session->proto;

	if (session->state != SESSION_RELAY || proto->kind != PROTO_KIND_DATA)
		return true;
	return proto->pulsar.is_role && proto->pulsar.keep != NULL;
}

void session_follow_config(struct session_env *env, const struct route *old)
{
	const struct config *config = env->route->config;
	uint32_t map[CONFIG_CLUSTERS_MAX] = { 0 }; /* with no clusters at all, too */

	env->protos.lookups_max = lookups_share(config, env->office->worker_count);
	for (uint32_t i = 0; i < old->config->cluster_count; i++)
		map[i] = index_of_cluster(config, old->config->clusters[i].name);
	for (uint32_t i = 0; i < env->sessions.fresh; i++) {
		struct session *session = session_at(env, i);

		if (session == NULL || session->is_forward)
			continue;
		if (session->is_routed) {
			follow_rule(session);
			continue;
		}
		session->cluster = map[session->cluster];
		if (session->cluster < config->cluster_count &&
		    speaks_as_before(session, &config->clusters[session->cluster]))
			continue;
		session->cluster = 0;
		if (needs_cluster(session))
			session_close(session, CLOSE_LISTENER_GONE, false);
	}
}

/* A queued lane belongs to a session, or to a side connection of one. */
static void run_lane(struct lane *lane)
{
	if (lane->is_side) {
		session_side_run(lane);
		return;
	}
	struct session *session = session_of_lane(lane);

	session_lane_run(session, lane->is_to_client ? LANE_TO_CLIENT : LANE_TO_BROKER);
}

void session_run_queued(struct session_env *env)
{
	struct lane *lane;

	while ((lane = relay_gathered(&env->relay, env->now_ns)) != NULL)
		relay_queue_push(&env->again, lane);

	struct relay_queue round = env->again;

	/* What joins the queue from now on waits for the next turn: sockets that became ready go
	 * first, so a bulk lane cannot hold the loop. */
	if (round.head == NULL) {
		relay_queue_init(&round);
	} else {
		for (lane = round.head; lane != NULL; lane = lane->next_queued)
			lane->queue = &round;
		if (round.tail == &env->again.head)
			round.tail = &round.head;
	}
	relay_queue_init(&env->again);
	while ((lane = relay_queue_pop(&round)) != NULL)
		run_lane(lane);
	for (uint32_t i = 0; i < env->relay.bufs.capacity; i++) {
		lane = relay_unstarve(&env->relay);
		if (lane == NULL)
			break;
		run_lane(lane);
	}
}

bool session_has_queued(const struct session_env *env)
{
	return env->again.head != NULL || relay_first_starved(&env->relay) != NULL;
}
