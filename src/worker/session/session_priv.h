/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * session_priv: small things the session files share.
 */
#pragma once

#include <poll.h>

#include <penstock/base/clock.h>
#include <penstock/net.h>
#include <penstock/worker/session.h>

#define SESSION_ABORT_NS	NS_PER_S /* DECISIONS 2.7 */
#define SESSION_LINGER_NS	NS_PER_S
#define SESSION_GREETING_NS	(5 * NS_PER_S) /* for a client, once its broker is reached */
#define SESSION_REST_NS		(2 * NS_PER_S) /* a broker that failed; its session time-out is longer */
#define SESSION_ANSWER_CONNECTS 4	       /* a redirected lookup: so many timeouts.connect */

static inline const struct config *session_config(const struct session_env *env)
{
	return env->route->config;
}

/* The listener's configuration now, or NULL when a reload took it away. */
static inline const struct config_listener *session_listener(const struct session_env *env,
							     uint16_t listener_id)
{
	int32_t index = env->route->listener_of_id[listener_id];

	return index < 0 ? NULL : &env->route->config->listeners[index];
}

/* The rule of the snapshot that the session's route is now, or ROUTE_NO_RULE. */
static inline uint32_t session_rule(const struct session *session)
{
	return session->rule_id == SESSION_NO_RULE
		       ? ROUTE_NO_RULE
		       : route_rule_of_id(session->env->route, session->rule_id);
}

/* What its listener or its route has for Kafka now; NULL: a reload has taken that away, or it leads
 * to another cluster, whose brokers have the names. */
static inline const struct config_kafka *session_kafka(const struct session *session)
{
	const struct config_listener *listener =
		session_listener(session->env, session->listener_id);
	const struct config *config = session_config(session->env);
	uint32_t rule = session_rule(session);

	if (session->rule_id != SESSION_NO_RULE)
		return rule != ROUTE_NO_RULE && config_route_has_brain(&config->routes[rule]) &&
				       config->routes[rule].cluster == (int32_t)session->cluster
			       ? &config->routes[rule].kafka
			       : NULL;
	return listener != NULL && listener->cluster == (int32_t)session->cluster ? &listener->kafka
										  : NULL;
}

static inline struct span session_server_name(const struct session *session)
{
	return session->server_name != NULL ? span_str(session->server_name) : span_of(NULL, 0);
}

/* Where the session's broker is counted, if it is one of Kafka; NULL: nowhere. */
static inline struct stat_kafka_node *session_node(const struct session *session)
{
	return session->place == SESSION_NO_PLACE
		       ? NULL
		       : &session->env->stats->kafka.node[session->place];
}

static inline void session_count_moved(const struct session *session, enum lane_id id, uint64_t n)
{
	struct stat_kafka_node *node = session_node(session);

	if (node != NULL)
		stat_count(&node->bytes[id], n);
}

/* Are we authenticating to its broker? */
static inline bool session_is_login(const struct session *session)
{
	return session->proto.kind == PROTO_KIND_KAFKA &&
	       session->proto.kafka->login == KAFKA_LOGIN_UNDER_WAY;
}

static inline enum lane_id lane_other(enum lane_id id)
{
	return id == LANE_TO_BROKER ? LANE_TO_CLIENT : LANE_TO_BROKER;
}

static inline struct session *session_of_lane(struct lane *lane)
{
	return CONTAINER_OF(lane - (lane->is_to_client ? LANE_TO_CLIENT : LANE_TO_BROKER),
			    struct session, lane);
}
