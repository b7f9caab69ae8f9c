/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * session_tls: TLS with the client or the broker, from the connected socket to the first byte of
 * data. The handshake waits on the session's own lanes:
 *
 *                    readable                       writable
 *   CLIENT_TLS       source of the lane to broker   sink of the lane to client
 *   BROKER_TLS       source of the lane to client   sink of the lane to broker
 *
 * A handshake costs as much as a thousand messages: a turn takes few steps of them, the others come
 * in the turns after it, so that connections that are open do not wait for those that open.
 *
 * And it holds a slot, of which there are limits.handshakes. Whoever sends a hello and then
 * nothing, or a byte now and then, would keep everybody out: when all slots are in use and somebody
 * waits for one, the client that has had its own the longest, and for longer than any two round
 * trips, gives it up.
 */
#define _GNU_SOURCE
#include <penstock/base/log.h>
#include <penstock/tls/peer.h>

#include "session_priv.h"

#define STEPS_A_TURN 4
/* A handshake may take so long while others wait for its slot. */
#define SHAKE_NS     (500 * NS_PER_MS)
/* How often that is looked at. */
#define LOOK_NS	     (50 * NS_PER_MS)

/* ---- reasons -------------------------------------------------------------------------------- */

enum close_reason session_tls_reason(const struct tls_end *end, bool is_client)
{
	static const enum close_reason reasons[2][TLS_FAIL_COUNT] = {
		{
#define TLS_FAIL(NAME, name, alert, alert12, text) [TLS_FAIL_##NAME] = CLOSE_BROKER_TLS_##NAME,
#include <penstock/tls/fail.def>
#undef TLS_FAIL
		},
		{
#define TLS_FAIL(NAME, name, alert, alert12, text) [TLS_FAIL_##NAME] = CLOSE_CLIENT_TLS_##NAME,
#include <penstock/tls/fail.def>
#undef TLS_FAIL
		},
	};
	enum tls_fail why = tls_why(end);

	return why != TLS_FAIL_NONE ? reasons[is_client][why] : CLOSE_BUG;
}

/* ---- one step ------------------------------------------------------------------------------- */

static bool has_time(struct session_env *env)
{
	if (env->shaken_ns != env->now_ns) {
		env->shaken_ns = env->now_ns;
		env->shaken = 0;
	}
	return env->shaken++ < STEPS_A_TURN;
}

/* A handshake's slot may be free again: the one that has waited longest tries. */
static void wake_slotless(struct session_env *env)
{
	struct lane *lane = relay_queue_pop(&env->slotless);

	if (lane != NULL)
		relay_queue_push(&env->again, lane);
}

/* Of those that wait for their client; NULL: none does. There are limits.handshakes at the most. */
static struct session *longest_shaking(struct session_env *env)
{
	struct session *longest = NULL;

	for (struct lane *lane = env->shaking.head; lane != NULL; lane = lane->next_queued) {
		struct session *session = session_of_lane(lane);

		if (longest == NULL || session->active_ns < longest->active_ns)
			longest = session;
	}
	return longest;
}

/* Somebody waits for a slot: are there clients that have had one for too long? */
static void on_slot_timer(struct timer *timer)
{
	struct session_env *env = CONTAINER_OF(timer, struct session_env, slot_timer);
	struct session *slow;

	/* Each that is closed lets the longest waiting try. */
	while (env->slotless.head != NULL && (slow = longest_shaking(env)) != NULL &&
	       env->now_ns - slow->active_ns >= SHAKE_NS)
		session_close(slow, CLOSE_CLIENT_TLS_PUSHED_OUT, true);
	if (env->slotless.head != NULL)
		timer_set(&env->wheel, timer, env->now_ns + LOOK_NS, on_slot_timer);
}

static void wait_for_slot(struct session_env *env, struct lane *lane)
{
	relay_queue_push(&env->slotless, lane);
	if (!timer_is_set(&env->slot_timer))
		timer_set(&env->wheel, &env->slot_timer, env->now_ns, on_slot_timer);
}

enum tls_progress session_tls_step(struct session_env *env, struct tls_end *end, struct lane *lane)
{
	if (!has_time(env)) {
		relay_queue_push(&env->again, lane);
		return TLS_WANT_SLOT;
	}
	enum tls_progress progress = tls_handshake(end);

	if (progress == TLS_WANT_SLOT)
		wait_for_slot(env, lane);
	return progress;
}

bool session_tls_start(struct session_env *env, struct tls_end *end)
{
	int ret = tls_start(end);

	wake_slotless(env);
	return ret == 0;
}

void session_tls_close(struct session_env *env, struct tls_end **end, int *fd, bool reset)
{
	if (*end != NULL) {
		if (!reset)
			tls_goodbye(*end);
		tls_end_put(*end);
		*end = NULL;
		wake_slotless(env);
	}
	if (*fd >= 0)
		net_close(*fd, reset);
	*fd = -1;
}

/* ---- a session's ---------------------------------------------------------------------------- */

static void on_timer(struct timer *timer)
{
	struct session *session = CONTAINER_OF(timer, struct session, timer);
	bool is_client = session->state == SESSION_CLIENT_TLS;
	int none = -1; /* the socket stays open until the client has seen the end */

	if (is_client)
		session_tls_close(session->env, &session->client_tls, &none, true);
	session_close_refuse(session,
			     is_client ? CLOSE_CLIENT_TLS_TIMEOUT : CLOSE_BROKER_TLS_TIMEOUT,
			     span_of(NULL, 0));
}

static void start_timer(struct session *session)
{
	struct session_env *env = session->env;

	timer_set(&env->wheel, &session->timer,
		  env->now_ns + session_config(env)->timeouts.handshake_ns, on_timer);
}

/* The alert is sent. What is in the log besides the reason is said at once, since the end, and the
 * handshake's slot with it, is given back before the client has read why. */
static void failed(struct session *session, bool is_client)
{
	struct session_env *env = session->env;
	struct tls_end **end = is_client ? &session->client_tls : &session->broker_tls;
	enum close_reason reason = session_tls_reason(*end, is_client);
	const char *detail = tls_why_detail(*end);
	int none = -1; /* the socket stays open */

	if (detail[0] != '\0')
		log_info("tls_failed", "connection %llu: %s: %s", (unsigned long long)session->id,
			 close_rows[reason].name, detail);
	session_tls_close(env, end, &none, true);
	session_close_refuse(session, reason, span_of(NULL, 0));
}

/* The rules of its listener or its route; NULL: a reload has taken those away. */
static const struct config_tls_server *rules_of(const struct session *session)
{
	const struct config *config = session_config(session->env);
	const struct config_listener *listener =
		session_listener(session->env, session->listener_id);
	uint32_t rule = session_rule(session);

	if (!session->is_routed)
		return listener != NULL ? &listener->tls : NULL;
	return rule != ROUTE_NO_RULE ? config_route_server(config, &config->routes[rule]) : NULL;
}

/* By what its certificate says. */
static bool is_let_in(const struct session *session)
{
	const struct config_tls_server *rules = rules_of(session);

	return rules != NULL &&
	       (rules->allow_clients.count == 0 ||
		tls_peer_is_one_of(&tls_result(session->client_tls)->peer, &rules->allow_clients));
}

static void keep_principal(struct session *session)
{
	struct span name = tls_peer_principal(&tls_result(session->client_tls)->peer);

	if (name.len == 0)
		return;
	session->principal = pool_get(&session->env->names);
	CHECK(session->principal != NULL); /* there is one for each session there can be */
	bool is_whole = span_to_str(name, session->principal, HOST_MAX);

	CHECK(is_whole); /* tls_peer_principal answers no longer one */
}

static void client_agreed(struct session *session)
{
	struct relay *relay = &session->env->relay;
	struct lane *lane = &session->lane[LANE_TO_BROKER];
	struct span name = tls_result(session->client_tls)->server_name;

	if (name.len > 0 && session->server_name == NULL)
		session_lane_keep_name(session, name);
	if (!is_let_in(session)) {
		tls_refuse(session->client_tls, TLS_FAIL_CERT_DENIED);
		failed(session, true);
		return;
	}
	keep_principal(session);
	session_open_inside(session);
	bool has_user = session_user_choose(session, &tls_result(session->client_tls)->peer);

	if (!session_tls_start(session->env, session->client_tls)) {
		failed(session, true);
		return;
	}
	session->is_silent = false;
	/* What was read before the handshake was part of it: a client's last message answers one of
	 * ours, and nothing can stand behind that yet. */
	if (tls_replay_left(session->client_tls) > 0) {
		session_close(session, CLOSE_CLIENT_TLS_UNEXPECTED, true);
		return;
	}
	relay_drop(relay, lane, relay_undecided(relay, lane).len);
	relay_lane_tls(lane, session->client_tls, NULL);
	relay_lane_tls(&session->lane[LANE_TO_CLIENT], NULL, session->client_tls);
	if (has_user)
		session_open_greeted(session);
	else
		session_close_refuse(session, CLOSE_NO_BROKER_USER, span_of(NULL, 0));
}

static void broker_agreed(struct session *session)
{
	if (!session_tls_start(session->env, session->broker_tls)) {
		failed(session, false);
		return;
	}
	relay_lane_tls(&session->lane[LANE_TO_CLIENT], session->broker_tls, NULL);
	relay_lane_tls(&session->lane[LANE_TO_BROKER], NULL, session->broker_tls);
	timer_clear(&session->env->wheel, &session->timer);
	session_open_connected(session);
}

/* The lane waits: whoever needs the slot more may have it. */
static void hold_slot(struct session *session, enum lane_id waits)
{
	if (session->state == SESSION_CLIENT_TLS && tls_has_slot(session->client_tls))
		relay_queue_push(&session->env->shaking, &session->lane[waits]);
}

void session_tls_go_on(struct session *session)
{
	bool is_client = session->state == SESSION_CLIENT_TLS;
	enum lane_id reads = is_client ? LANE_TO_BROKER : LANE_TO_CLIENT;
	struct tls_end *end = is_client ? session->client_tls : session->broker_tls;

	/* Agreed already, and what comes next has waited for a buffer. */
	if (tls_is_started(end)) {
		session_open_connected(session);
		return;
	}
	/* The other lane may be waiting too. */
	session_lane_stop(session);
	if (!tls_has_slot(end))
		session->active_ns = session->env->now_ns; /* the last moment without one */
	switch (session_tls_step(session->env, end, &session->lane[reads])) {
	case TLS_WANT_READ:
		session_lane_wait(session, reads, RELAY_WAIT_SOURCE);
		hold_slot(session, reads);
		return;
	case TLS_WANT_WRITE:
		session_lane_wait(session, lane_other(reads), RELAY_WAIT_SINK);
		hold_slot(session, lane_other(reads));
		return;
	case TLS_WANT_SLOT:
		return;
	case TLS_FAILED:
		failed(session, is_client);
		return;
	case TLS_DONE:
		if (is_client)
			client_agreed(session);
		else
			broker_agreed(session);
		return;
	}
}

void session_tls_client(struct session *session, struct tls_context *context)
{
	struct session_env *env = session->env;
	struct span seen = relay_undecided(&env->relay, &session->lane[LANE_TO_BROKER]);

	if (tls_begin_server(env->tls, context, session->client_fd, seen, &session->client_tls) <
	    0) {
		session_close(session, CLOSE_ENOBUFS, false);
		return;
	}
	/* Until then all that may be said to the client are alerts. */
	session->is_silent = true;
	session_move(session, SESSION_CLIENT_TLS);
	start_timer(session);
	session_tls_go_on(session);
}

void session_tls_offer(struct session *session, struct tls_end *end)
{
	struct span alpn;

	if (session->client_tls != NULL && tls_alpn(session->client_tls, &alpn))
		tls_offer_only(end, alpn);
}

void session_tls_broker(struct session *session, struct tls_context *context)
{
	struct session_env *env = session->env;

	CHECK(session->dial.host != NULL);
	if (tls_begin_client(env->tls, context, session->broker_fd, session->dial.host,
			     &session->broker_tls) < 0) {
		session_close_refuse(session, CLOSE_ENOBUFS, span_of(NULL, 0));
		return;
	}
	session_tls_offer(session, session->broker_tls);
	session_dial_forget(&session->dial);
	session_move(session, SESSION_BROKER_TLS);
	start_timer(session);
	session_tls_go_on(session);
}
