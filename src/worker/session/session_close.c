/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * session_close: the ways out. Ends stay what they were: FIN became FIN on the way
 * (session_lane.c), a reset of one end becomes a reset of the other once the last bytes are out, a
 * refused client is told why and gets the time to read it. Every session is counted and logged
 * exactly once, here.
 */
#define _GNU_SOURCE
#include <errno.h>

#include <penstock/tls/set.h>
#include <penstock/wire/hello.h>
#include <penstock/wire/kafka.h>

#include "session_priv.h"

static void on_timer(struct timer *timer);

static void set_timer(struct session *session, uint64_t deadline_ns)
{
	timer_set(&session->env->wheel, &session->timer, deadline_ns, on_timer);
}

/* Gives up everything but the two sockets and what the lanes hold. */
static void quiet(struct session *session)
{
	session_lane_stop(session);
	session_dial_cancel(&session->dial);
	session_side_close_all(session);
	timer_clear(&session->env->wheel, &session->timer);
}

void session_close(struct session *session, enum close_reason reason, bool reset)
{
	struct session_env *env = session->env;
	struct stat_listener *stats = &env->stats->listener[session->listener_id];
	struct proto_context context;

	CHECK(reason != CLOSE_NONE);
	quiet(session);
	session->reason = (uint8_t)reason;
	for (int id = 0; id < LANES; id++)
		relay_lane_fini(&env->relay, &session->lane[id]);
	/* Broker first, so that it does not keep a ghost of a client that is coming back. */
	session_tls_close(env, &session->broker_tls, &session->broker_fd, reset);
	session_tls_close(env, &session->client_tls, &session->client_fd, reset);
	if (session->is_unrouted) {
		env->unrouted--;
		stat_sub(env->stats, STAT_UNROUTED, 1);
	}
	if (session->is_tallied)
		tally_remove(env->office->per_ip, &session->client);
	if (session->is_entered)
		stat_route_leave(&env->office->gates[session->listener_id].count);
	session_log(session);
	session_lane_context(session, &context);
	if (session->proto.ops != NULL)
		session->proto.ops->end(&session->proto, &context);
	if (session->place != SESSION_NO_PLACE)
		stat_count(&session_node(session)->active, 0 - UINT64_C(1));
	if (session->rule_id != SESSION_NO_RULE)
		stat_route_leave(&env->office->routes[session->rule_id]);
	if (session->server_name != NULL)
		pool_put(&env->names, session->server_name);
	session->server_name = NULL;
	if (session->principal != NULL)
		pool_put(&env->names, session->principal);
	session->principal = NULL;
	if (session->user != NULL)
		pool_put(&env->names, session->user);
	session->user = NULL;
	if (session->signer != NULL)
		tls_context_put(session->signer);
	session->signer = NULL;
	stat_closed(stats, reason);
	stat_sub(env->stats, STAT_SESSIONS_IN_USE, 1);
	atomic_fetch_sub_explicit(&env->office->loads[env->worker].sessions, 1,
				  memory_order_relaxed);
	session_move(session, SESSION_CLOSED);
	session_move(session, SESSION_FREE);
	session->id = 0;
	pool_put(&env->sessions, session);
}

/* ---- abort: one end was reset ---- */

static void abort_go_on(struct session *session)
{
	struct session_env *env = session->env;
	enum lane_id id = (enum lane_id)session->abort_lane;
	struct lane *lane = &session->lane[id];
	uint64_t before = lane->bytes;
	enum relay_status status = relay_flush(&env->relay, lane);
	bool is_late = env->now_ns >= session->abort_ns;

	session_count_moved(session, id, lane->bytes - before);

	if (status == RELAY_WAIT_SINK && !is_late) {
		session_lane_wait(session, id, status);
		set_timer(session, session->abort_ns);
		return;
	}
	/* Acknowledged by nobody yet (acks=0): a reset now would throw it away. */
	if (status == RELAY_DECIDE && !is_late && net_unsent(lane->sink) > 0) {
		set_timer(session, env->now_ns + TIMER_SLOT_NS);
		return;
	}
	session_close(session, (enum close_reason)session->reason, true);
}

void session_close_abort(struct session *session, enum lane_id lane, enum close_reason reason)
{
	struct session_env *env = session->env;

	quiet(session);
	relay_lane_fini(&env->relay, &session->lane[lane_other(lane)]);
	session->reason = (uint8_t)reason;
	session->abort_lane = (uint8_t)lane;
	session->abort_ns = env->now_ns + SESSION_ABORT_NS;
	session_move(session, SESSION_ABORT);
	abort_go_on(session);
}

/* ---- linger: the client reads why ---- */

static void linger_go_on(struct session *session)
{
	struct session_env *env = session->env;
	struct lane *lane = &session->lane[LANE_TO_CLIENT];
	enum relay_status status = relay_flush(&env->relay, lane);

	if (status == RELAY_WAIT_SINK) {
		session_lane_wait(session, LANE_TO_CLIENT, status);
		return;
	}
	if (status == RELAY_DECIDE && !lane->sent_fin) {
		/* What the broker said after that is of no use to anybody. */
		relay_drop(&env->relay, lane, relay_undecided(&env->relay, lane).len);

		int ret = relay_finish(lane);

		if (ret == -EAGAIN) {
			session_lane_wait(session, LANE_TO_CLIENT, RELAY_WAIT_SINK);
			return;
		}
		lane->sent_fin = true;
		if (ret < 0)
			status = RELAY_SINK_LOST;
	}
	/* Closing with unread bytes would send RST, which can overtake the error. */
	ssize_t n = -EIO;

	if (status == RELAY_DECIDE)
		n = net_recv(session->client_fd, env->scratch, PROTO_FRAME_MAX);
	/* Half a record that the kernel is to open keeps a socket readable: edges, then. */
	if (n > 0)
		session_lane_wait(session, LANE_TO_BROKER, RELAY_WAIT_SOURCE);
	else if (n == -EAGAIN)
		session_lane_wait(session, LANE_TO_BROKER, RELAY_DRAINED);
	else
		session_close(session, (enum close_reason)session->reason, false);
}

/* The client will say a ClientHello, and has not been answered: what its brain knows to say is for
 * later. */
static bool is_before_tls(const struct session *session)
{
	int32_t index = session->env->route->listener_of_id[session->listener_id];

	return session->client_tls == NULL && !session->is_routed && index >= 0 &&
	       tls_set_listener(session->env->route->tls, (uint32_t)index) != NULL;
}

/* The last words in the client's protocol; none for some reasons. */
static void say(struct session *session, enum close_reason reason, struct sink *sink)
{
	const struct hello unknown = { .version = 0 };

	if (!is_before_tls(session)) {
		if (session->proto.ops != NULL)
			session->proto.ops->refuse(&session->proto, reason, sink);
	} else if (reason == CLOSE_CONN_LIMIT_IP || reason == CLOSE_CONN_LIMIT_LISTENER) {
		hello_write_alert(sink, &unknown, HELLO_ALERT_INTERNAL_ERROR);
	}
}

/* Inside TLS, and nothing is known of what is spoken there: with a close_notify the end would look
 * like an answer that is empty. */
static bool has_no_words(const struct session *session)
{
	return session->client_tls != NULL && session->proto.ops == NULL;
}

/* A broker of Kafka that is away would have reset the connection, which clients try again. An
 * orderly end before the first answer means the wrong protocol to some (franz-go), and they do not.
 */
static bool is_away(const struct session *session, enum close_reason reason)
{
	char who = close_rows[reason].who;

	return session->proto.kind == PROTO_KIND_KAFKA && !session->proto.kafka->is_dialled &&
	       (who == 'S' || who == 's');
}

/* A request is there that will not be answered, behind a response that may still be under way: a
 * reset, which unread bytes would make of the end, takes that along. */
static bool is_between(const struct session *session, enum close_reason reason)
{
	return session->proto.kind == PROTO_KIND_KAFKA &&
	       (reason == CLOSE_DRAIN || reason == CLOSE_NODE_MOVED) &&
	       relay_can_emit(&session->lane[LANE_TO_CLIENT]);
}

void session_close_refuse(struct session *session, enum close_reason reason, struct span bytes)
{
	struct session_env *env = session->env;
	struct sink sink = sink_of(env->scratch + PROTO_FRAME_MAX, PROTO_FRAME_MAX);
	struct lane *lane = &session->lane[LANE_TO_CLIENT];

	quiet(session);
	relay_lane_fini(&env->relay, &session->lane[LANE_TO_BROKER]);
	session_tls_close(env, &session->broker_tls, &session->broker_fd, false);
	if (!session->is_silent && bytes.len == 0) {
		say(session, reason, &sink);
		bytes = sink_written(&sink);
	}
	/* An alert that TLS has sent is to be read too. */
	if (!session->is_silent && !is_between(session, reason) &&
	    (bytes.len == 0 || !relay_can_emit(lane) ||
	     !relay_emit(&env->relay, lane, bytes, false))) {
		session_close(session, reason, has_no_words(session) || is_away(session, reason));
		return;
	}
	session->reason = (uint8_t)reason;
	session_move(session, SESSION_LINGER);
	set_timer(session, env->now_ns + SESSION_LINGER_NS);
	linger_go_on(session);
}

void session_close_go_on(struct session *session)
{
	if (session->state == SESSION_ABORT)
		abort_go_on(session);
	else
		linger_go_on(session);
}

/* ---- time ---- */

/* The deadline that is due first and what it means (NONE: lanes are held until then); 0: none. */
static uint64_t next_deadline(const struct session *session, enum close_reason *ret_reason)
{
	const struct config *config = session_config(session->env);
	bool is_half =
		session->lane[LANE_TO_BROKER].sent_fin || session->lane[LANE_TO_CLIENT].sent_fin;
	const struct {
		uint64_t since_ns, span_ns;
		enum close_reason reason;
	} rows[] = {
		{ session->active_ns, config->timeouts.idle_ns, CLOSE_IDLE },
		{ is_half ? session->active_ns : 0, config->timeouts.half_close_ns,
		  CLOSE_HALF_CLOSE_TIMEOUT },
		{ session->frame_ns[LANE_TO_BROKER], config->timeouts.frame_ns,
		  CLOSE_FRAME_TIMEOUT },
		{ session->frame_ns[LANE_TO_CLIENT], config->timeouts.frame_ns,
		  CLOSE_FRAME_TIMEOUT },
		{ session->login_ns, config->timeouts.handshake_ns, CLOSE_BROKER_AUTH_TIMEOUT },
		{ session->is_draining ? session->abort_ns : 0, 0, CLOSE_DRAIN },
		{ session->hold_ns, 0, CLOSE_NONE },
	};
	uint64_t first = 0;

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		if (rows[i].since_ns == 0 || rows[i].span_ns == CONFIG_OFF)
			continue;
		uint64_t at = rows[i].since_ns + rows[i].span_ns;

		if (first == 0 || at < first) {
			first = at;
			*ret_reason = rows[i].reason;
		}
	}
	return first;
}

void session_close_schedule(struct session *session)
{
	enum close_reason reason = CLOSE_NONE;
	uint64_t at = next_deadline(session, &reason);

	/* A timer that fires early looks again; moving it on every byte would cost more. */
	if (at != 0 && (!timer_is_set(&session->timer) || session->timer.deadline_ns > at))
		set_timer(session, at);
}

/* Has its client not come farther than the protocol's greetings? An end before its first answer
 * looks like a refusal to it, and some do not try again (franz-go, which does not count those of
 * ApiVersions and SASL). Nobody waits for that for ever. */
static bool is_new(const struct session *session)
{
	if (session->env->now_ns >= session->reached_ns + SESSION_GREETING_NS)
		return false;
	if (session->proto.kind == PROTO_KIND_LOOKUP)
		return !session->proto.pulsar.is_connected;
	switch (session->proto.kafka->last_key) {
	case KAFKA_API_VERSIONS:
	case KAFKA_SASL_HANDSHAKE:
	case KAFKA_SASL_AUTHENTICATE:
		return true;
	default:
		return session->lane[LANE_TO_CLIENT].bytes == 0;
	}
}

/* Is an answer awaited? */
static bool is_asked(const struct session *session)
{
	switch (session->proto.kind) {
	case PROTO_KIND_LOOKUP:
		return session->proto.pulsar.book != NULL;
	case PROTO_KIND_KAFKA:
		return session->proto.kafka->asked_count > 0 ||
		       session->proto.kafka->tokens_unanswered > 0 ||
		       session->proto.kafka->denial != NULL;
	case PROTO_KIND_NEW:
	case PROTO_KIND_DATA:
	case PROTO_KIND_FORWARD:
	case PROTO_KIND_ROUTED:
		break;
	}
	return false;
}

static void on_relay_timer(struct session *session)
{
	struct session_env *env = session->env;
	enum close_reason reason = CLOSE_NONE;
	uint64_t at = next_deadline(session, &reason);

	if (at == 0)
		return;
	if (at > env->now_ns) {
		set_timer(session, at);
		return;
	}
	if (reason == CLOSE_NONE) {
		session->hold_ns = 0; /* whoever has to wait longer says so again */
		session_lane_resume_held(session);
		session_close_schedule(session);
		return;
	}
	if (reason == CLOSE_DRAIN && (is_new(session) || is_asked(session) ||
				      !relay_can_emit(&session->lane[LANE_TO_CLIENT]))) {
		/* What is asked now is for another gateway. */
		session->is_drain_due = !is_new(session);
		session->abort_ns = env->now_ns + NS_PER_S / 10;
		set_timer(session, session->abort_ns);
		return;
	}
	/* Orderly for idle and drained connections; a peer stuck half-way gets a reset. */
	session_close(session, reason,
		      reason == CLOSE_HALF_CLOSE_TIMEOUT || reason == CLOSE_FRAME_TIMEOUT);
}

static void on_timer(struct timer *timer)
{
	struct session *session = CONTAINER_OF(timer, struct session, timer);

	switch ((enum session_state)session->state) {
	case SESSION_RELAY:
		on_relay_timer(session);
		return;
	case SESSION_ABORT:
		session_lane_stop(session);
		abort_go_on(session);
		return;
	case SESSION_LINGER:
		session_close(session, (enum close_reason)session->reason, false);
		return;
	case SESSION_FREE:
	case SESSION_HEADER:
	case SESSION_CLIENT_TLS:
	case SESSION_HELLO:
	case SESSION_DIAL:
	case SESSION_BROKER_TLS:
	case SESSION_CLOSED:
		break;
	}
	CHECK(false);
}

void session_close_drain(struct session *session)
{
	struct session_env *env = session->env;
	enum proto_kind kind = session->proto.kind;

	if (session->is_draining || session->state != SESSION_RELAY ||
	    (kind != PROTO_KIND_LOOKUP && kind != PROTO_KIND_KAFKA))
		return;
	session->is_draining = true;
	session->abort_ns = env->now_ns;
	if (env->drain_ends_ns > env->now_ns)
		session->abort_ns += rng_below(&env->rng, env->drain_ends_ns - env->now_ns);
	session_close_schedule(session);
}
