/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * session_lane: one direction of a session: asks the brain about bytes, lets the relay move what it
 * passed, and arms the one thing the lane waits for. This is the loop every proxied byte goes
 * through.
 */
#define _GNU_SOURCE
#include <errno.h>

#include "session_priv.h"

enum next {
	NEXT_MOVE, /* there may be something to move */
	NEXT_WAIT, /* wait for *ret_status */
	NEXT_DONE, /* parked, or the session is gone */
};

void session_lane_context(struct session *session, struct proto_context *ret_context)
{
	struct session_env *env = session->env;
	const struct config *config = session_config(env);

	env->nodes->count = 0;
	*ret_context = (struct proto_context){
		.route = env->route,
		.listener = env->route->listener_of_id[session->listener_id],
		.cluster = session->cluster,
		.client = session->client,
		.principal = session->principal != NULL ? span_str(session->principal)
							: span_of(NULL, 0),
		.user = session->user != NULL ? span_str(session->user) : span_of(NULL, 0),
		.now_ns = env->now_ns,
		.first_frame_max = (uint32_t)config->limits.first_frame,
		.frame_max = (uint32_t)config->limits.max_frame,
		.scratch = sink_of(env->scratch, PROTO_FRAME_MAX),
		.kafka = session_kafka(session),
		.is_draining = session->is_drain_due,
		.is_moved = session_known_moved(session),
		.pools = &env->protos,
		.stats = env->stats,
		.node = session_node(session),
		.spliced = session->lane[LANE_TO_CLIENT].spliced,
		.nodes = env->nodes,
	};
}

/* ---- what the brain wants done ---- */

static void note_moved(struct session *session, enum lane_id id, uint64_t n)
{
	session->active_ns = session->env->now_ns;
	session_count_moved(session, id, n);
}

static enum next do_need(struct session *session, enum lane_id id,
			 const struct proto_verdict *verdict, enum relay_status *ret_status)
{
	struct session_env *env = session->env;
	struct lane *lane = &session->lane[id];

	*ret_status =
		(verdict->is_bulk ? relay_peek : relay_read)(&env->relay, lane, (size_t)verdict->n,
							     verdict->max);
	if (*ret_status == RELAY_DECIDE)
		return NEXT_MOVE;
	/* A frame begun must be finished in time; between frames there is no hurry. The first one
	 * has the time of timeouts.hello. */
	if (session->state == SESSION_RELAY && session->frame_ns[id] == 0 &&
	    !session_is_login(session) &&
	    (verdict->is_begun || relay_undecided(&env->relay, lane).len > 0)) {
		session->frame_ns[id] = env->now_ns;
		session_close_schedule(session);
	}
	return NEXT_WAIT;
}

static enum next do_emit(struct session *session, enum lane_id id,
			 const struct proto_verdict *verdict)
{
	struct relay *relay = &session->env->relay;
	enum lane_id out = verdict->what == PROTO_EMIT ? id : lane_other(id);

	/* There is a buffer: session_lane_run saw to it before it asked. */
	bool has_more = relay_undecided(relay, &session->lane[id]).len > verdict->n;
	uint64_t before = session->lane[out].bytes;

	CHECK(relay_emit(relay, &session->lane[out], verdict->bytes, has_more));
	if (out != id && session->lane[out].bytes > before) /* its own turn does not see that */
		note_moved(session, out, session->lane[out].bytes - before);
	relay_drop(relay, &session->lane[id], (size_t)verdict->n);
	if (out != id && session->lane[out].out != NULL)
		session_lane_soon(session, out);
	return NEXT_MOVE;
}

/* Was the lane's source found reset while sending to it? */
static bool is_source_reset(const struct session *session, enum lane_id id)
{
	return id == LANE_TO_BROKER ? session->is_client_reset : session->is_broker_reset;
}

static void source_lost(struct session *session, enum lane_id id)
{
	const struct lane *lane = &session->lane[id];
	bool is_client = id == LANE_TO_BROKER;
	enum close_reason reason = is_client ? CLOSE_CLIENT_RST : CLOSE_BROKER_RST;

	if (lane->err == -EPROTO && lane->source_tls != NULL)
		reason = session_tls_reason(lane->source_tls, is_client);

	if (session->state == SESSION_HELLO)
		session_close(session, reason, true);
	else
		session_close_abort(session, id, reason);
}

/* Who is held and has been read from keeps its buffer for as long as others take: of these there
 * may be as many as half of the buffers, so that there are some for what they wait for. A session
 * that is unrouted is one of those there are buffers for. */
static bool may_keep(struct session *session, enum lane_id id)
{
	struct session_env *env = session->env;

	if (session->lane[id].in == NULL || session->is_unrouted)
		return true;
	if (env->kept >= env->relay.bufs.capacity / 2)
		return false;
	env->kept++;
	session->keeps |= (uint8_t)(1u << id);
	return true;
}

static void end_hold(struct session *session, enum lane_id id)
{
	uint8_t bit = (uint8_t)(1u << id);

	if ((session->keeps & bit) != 0)
		session->env->kept--;
	session->held &= (uint8_t)~bit;
	session->keeps &= (uint8_t)~bit;
}

static enum next do_hold(struct session *session, enum lane_id id, uint64_t until_ns)
{
	struct lane *lane = &session->lane[id];
	bool has_end = until_ns > 0 || !session->lane[lane_other(id)].sent_fin;

	if (until_ns > 0 && lane->in == NULL && is_source_reset(session, id)) {
		source_lost(session, id); /* it has gone: nobody waits any more */
		return NEXT_DONE;
	}
	if (has_end && !may_keep(session, id)) {
		session_close_refuse(session, CLOSE_ENOBUFS, span_of(NULL, 0));
		return NEXT_DONE;
	}
	if (until_ns > 0 && (session->hold_ns == 0 || until_ns < session->hold_ns)) {
		session->hold_ns = until_ns;
		session_close_schedule(session);
	}
	if (has_end) {
		uring_cancel(session->env->ring, &lane->op);
		session->held |= (uint8_t)(1u << id);
		return NEXT_DONE;
	}
	/* The lane it waits for has ended: it would wait for ever. Lookups that nobody can answer
	 * any more may go to the broker, which Kafka's requests may not without having been looked
	 * at; an answer that may not go as it is ends the session. */
	if (id == LANE_TO_BROKER && session->proto.kind == PROTO_KIND_LOOKUP) {
		relay_pass(&session->env->relay, lane, RELAY_ALL);
		return NEXT_MOVE;
	}
	if (is_source_reset(session, id)) /* found by the lane that is lost, which says no reason */
		source_lost(session, id);
	else
		session_close(session, (enum close_reason)session->reason, true);
	return NEXT_DONE;
}

/* An authentication has its own time, from its first request to its end, whichever lane is at work.
 */
static void note_login(struct session *session)
{
	if (UNLIKELY(session->is_unrouted) && session->state == SESSION_RELAY &&
	    session->proto.kafka->login == KAFKA_LOGIN_OVER)
		session_open_routed(session);
	if (!session_is_login(session)) {
		session->login_ns = 0;
	} else if (session->login_ns == 0) {
		session->login_ns = session->env->now_ns;
		session_close_schedule(session);
	}
}

static enum next carry_out(struct session *session, enum lane_id id,
			   const struct proto_verdict *verdict, enum relay_status *ret_status)
{
	struct lane *lane = &session->lane[id];

	note_login(session);
	if (verdict->what != PROTO_NEED) /* the frame at hand is whole, or not what is waited for */
		session->frame_ns[id] = 0;
	switch (verdict->what) {
	case PROTO_NEED:
		return do_need(session, id, verdict, ret_status);
	case PROTO_PASS:
		relay_pass(&session->env->relay, lane, verdict->n);
		return NEXT_MOVE;
	case PROTO_DROP:
		relay_drop(&session->env->relay, lane, (size_t)verdict->n);
		return NEXT_MOVE;
	case PROTO_EMIT:
	case PROTO_REPLY:
		return do_emit(session, id, verdict);
	case PROTO_HOLD:
		return do_hold(session, id, verdict->until_ns);
	case PROTO_DIAL:
		CHECK(id == LANE_TO_BROKER && session->state == SESSION_HELLO);
		session_open_dial(session, verdict->target);
		return NEXT_DONE;
	case PROTO_ROUTE:
		CHECK(id == LANE_TO_BROKER && session->state == SESSION_HELLO);
		session_open_route(session, verdict->rule);
		return NEXT_DONE;
	case PROTO_REFUSE:
		session_close_refuse(session, verdict->reason, verdict->bytes);
		return NEXT_DONE;
	}
	return NEXT_DONE;
}

/* For finding its route, also at the next target, and for the log. */
void session_lane_keep_name(struct session *session, struct span name)
{
	CHECK(session->server_name == NULL);
	session->server_name = pool_get(&session->env->names);
	CHECK(session->server_name != NULL); /* there is one for each session there can be */
	bool is_whole = span_to_str(name, session->server_name, HOST_MAX);

	CHECK(is_whole); /* hello_read lets no longer one through */
	for (char *at = session->server_name; *at != '\0'; at++)
		if (*at >= 'A' && *at <= 'Z')
			*at = (char)(*at - 'A' + 'a');
}

static enum next decide(struct session *session, enum lane_id id, enum relay_status *ret_status)
{
	struct session_env *env = session->env;
	struct lane *lane = &session->lane[id];
	const struct lane *other = &session->lane[lane_other(id)];
	enum proto_channel channel = id == LANE_TO_BROKER ? PROTO_CLIENT : PROTO_BROKER;
	struct proto_context context;
	struct proto_verdict verdict = { .what = PROTO_HOLD };

	if (!relay_has_buf(&env->relay)) {
		*ret_status = RELAY_WAIT_BUFFER;
		return NEXT_WAIT;
	}
	session_lane_context(session, &context);
	context.can_reply = session->state == SESSION_RELAY && relay_can_emit(other);
	session->proto.ops->see(&session->proto, channel, relay_undecided(&env->relay, lane),
				&context, &verdict);
	session_known_notes(session, &context);
	if (UNLIKELY(context.is_denied))
		session_hint_denied(session);
	if (UNLIKELY(context.is_nowhere))
		session_hint_nowhere(session, context.nowhere);
	if (context.login_fault != KAFKA_LOGIN_NONE)
		session_log_login(session, &session->broker, context.login_fault, context.refused);
	else if (context.refused.len > 0)
		session_log_role(session, &session->broker, context.refused);
	if (context.server_name.len > 0)
		session_lane_keep_name(session, context.server_name);
	enum next next = carry_out(session, id, &verdict, ret_status);

	if (UNLIKELY(context.is_secret)) /* and the session may be gone */
		explicit_bzero(env->scratch, PROTO_FRAME_MAX);
	return next;
}

/* ---- waiting ---- */

static void on_source(struct uring_op *op, int events)
{
	struct lane *lane = CONTAINER_OF(op, struct lane, op);

	if (events < 0 || (events & (POLLRDHUP | POLLHUP | POLLERR)) != 0)
		lane->is_source_hup = true;
	lane->is_source_err |= events < 0 || (events & POLLERR) != 0;
	session_lane_run(session_of_lane(lane),
			 lane->is_to_client ? LANE_TO_CLIENT : LANE_TO_BROKER);
}

static void on_sink(struct uring_op *op, int events)
{
	struct lane *lane = CONTAINER_OF(op, struct lane, op);

	/* A sink that finished long ago makes a one-shot POLLOUT complete at once, for ever
	 * (io_uring adds POLLRDHUP to every poll): wait for edges from now on. */
	if (events > 0 && (events & POLLOUT) == 0 && (events & (POLLRDHUP | POLLHUP)) != 0)
		lane->is_sink_hup = true;
	session_lane_run(session_of_lane(lane),
			 lane->is_to_client ? LANE_TO_CLIENT : LANE_TO_BROKER);
}

static void on_watch(struct uring_op *op, int events)
{
	struct session *session = session_of_lane(CONTAINER_OF(op, struct lane, op));
	struct lane *lane = CONTAINER_OF(op, struct lane, op);
	bool is_client = !lane->is_to_client;

	if (events < 0 || (events & POLLERR) == 0)
		return; /* the FIN we know of */
	session_close_abort(session, is_client ? LANE_TO_BROKER : LANE_TO_CLIENT,
			    is_client ? CLOSE_CLIENT_RST : CLOSE_BROKER_RST);
}

/* Does it wait for edges, calling fn, already? */
static bool waits_for_edges(const struct lane *lane, uring_fn *fn)
{
	return lane->op.is_armed && lane->op.is_multishot && lane->op.fn == fn;
}

static void wait_for_source(struct session_env *env, struct lane *lane)
{
	uring_cancel(env->ring, &lane->op);
	uring_poll(env->ring, &lane->op, lane->source, POLLIN, on_source);
}

/* The many-shot stays armed from message to message, which saves arming it for each (ADR 0009).
 * Arming looks at the level; whatever comes after that is an edge. */
static void wait_for_arrival(struct session_env *env, struct lane *lane)
{
	if (lane->is_source_hup) {
		wait_for_source(env, lane);
		return;
	}
	if (waits_for_edges(lane, on_source))
		return;
	uring_cancel(env->ring, &lane->op);
	uring_poll_many(env->ring, &lane->op, lane->source, POLLIN, on_source);
}

/* Nobody reads from this end any more, so its reset must be watched for. Many-shot: the FIN already
 * there would complete a one-shot at once, for ever. The many-shot that told of the FIN goes on
 * serving, unless it told of the reset with it: a read says only that the stream has ended. */
static void watch_source(struct session_env *env, struct lane *lane)
{
	if (waits_for_edges(lane, on_source) && !lane->is_source_err) {
		lane->op.fn = on_watch;
		return;
	}
	uring_cancel(env->ring, &lane->op);
	uring_poll_many(env->ring, &lane->op, lane->source, 0, on_watch);
}

static void wait_for_sink(struct session_env *env, struct lane *lane)
{
	if (waits_for_edges(lane, on_sink))
		return;
	uring_cancel(env->ring, &lane->op);
	if (!lane->is_sink_hup) {
		uring_poll(env->ring, &lane->op, lane->sink, POLLOUT, on_sink);
		return;
	}
	/* An edge that came before this does not come again: try once more, now that none can be
	 * missed. */
	uring_poll_many(env->ring, &lane->op, lane->sink, POLLOUT, on_sink);
	relay_queue_push(&env->again, lane);
}

void session_lane_wait(struct session *session, enum lane_id id, enum relay_status status)
{
	struct session_env *env = session->env;
	struct lane *lane = &session->lane[id];

	switch ((int)status) {
	case RELAY_WAIT_SOURCE:
		wait_for_source(env, lane);
		return;
	case RELAY_DRAINED:
		wait_for_arrival(env, lane);
		return;
	case RELAY_WAIT_SINK:
		wait_for_sink(env, lane);
		return;
	case RELAY_WAIT_BUFFER:
		uring_cancel(env->ring, &lane->op);
		relay_queue_push(&env->relay.starved, lane);
		return;
	case RELAY_AGAIN:
		uring_cancel(env->ring, &lane->op);
		relay_queue_push(&env->again, lane);
		return;
	default:
		CHECK(false);
	}
}

/* ---- ends ---- */

static void sink_lost(struct session *session, enum lane_id id);

/* False: not yet, or the sink is lost. */
static bool send_fin(struct session *session, enum lane_id id)
{
	struct lane *lane = &session->lane[id];
	bool is_last = session->lane[lane_other(id)].sent_fin;
	/* Both ends are read to their FIN then, so closing sends the other FIN, and no reset. Only
	 * close_notify may have to wait for room. */
	int ret = is_last && lane->sink_tls == NULL ? 0 : relay_finish(lane);

	if (ret == -EAGAIN) {
		session_lane_wait(session, id, RELAY_WAIT_SINK);
		return false;
	}
	if (ret < 0 && lane->sink_tls != NULL) {
		lane->err = ret;
		sink_lost(session, id);
		return false;
	}
	if (ret < 0)
		session->reason = CLOSE_BUG;
	lane->sent_fin = true;
	return true;
}

/* The source finished and all its bytes are sent: the sink gets its FIN. Never before: a FIN ahead
 * of bytes still in the pipe would cut the stream short. */
static void finished(struct session *session, enum lane_id id)
{
	struct lane *lane = &session->lane[id];
	struct session_env *env = session->env;
	bool is_client = id == LANE_TO_BROKER;

	if (session->state == SESSION_HELLO) {
		session_close(session, CLOSE_CLIENT_GONE, false);
		return;
	}
	if (is_source_reset(session, id)) {
		source_lost(session, id);
		return;
	}
	/* Half a frame that the brain never saw whole has no use for the other end. */
	session->frame_ns[id] = 0;
	relay_drop(&env->relay, lane, relay_undecided(&env->relay, lane).len);
	CHECK(relay_is_clean(lane));
	if (!send_fin(session, id))
		return;
	if (session->reason == CLOSE_NONE)
		session->reason = is_client ? CLOSE_CLIENT_FIN : CLOSE_BROKER_FIN;
	if (session->lane[lane_other(id)].sent_fin) {
		session_close(session, session->reason, false);
		return;
	}
	watch_source(env, lane);
	session->active_ns = env->now_ns; /* it is half closed from now on, however idle it was */
	session_close_schedule(session);
}

/* The sink is gone. What it had sent before is still to be read and delivered: the other lane comes
 * to its end by itself, and the end is a reset, whatever recv says then (the error was consumed by
 * our send). */
static void sink_lost(struct session *session, enum lane_id id)
{
	struct lane *lane = &session->lane[id];
	enum lane_id other = lane_other(id);

	if (id == LANE_TO_BROKER)
		session->is_broker_reset = true;
	else
		session->is_client_reset = true;
	uring_cancel(session->env->ring, &lane->op);
	relay_lane_fini(&session->env->relay, lane);
	session->frame_ns[id] = 0;
	lane->saw_fin = lane->sent_fin = true;
	lane->pass = RELAY_ALL;
	if (session->lane[other].sent_fin)
		source_lost(session, other);
	else
		session_lane_soon(session, other);
}

/* ---- running ---- */

/* The source has been emptied, or nearly so. */
static void wait_for_more(struct session *session, enum lane_id id, enum relay_status status)
{
	struct session_env *env = session->env;
	struct lane *lane = &session->lane[id];

	if (!relay_gathers(&env->relay, lane, &session->lane[lane_other(id)], env->now_ns)) {
		session_lane_wait(session, id, status);
		return;
	}
	uring_cancel(env->ring, &lane->op);
	relay_gather(&env->relay, lane, env->now_ns);
}

static void settle(struct session *session, enum lane_id id, enum relay_status status)
{
	switch (status) {
	case RELAY_WAIT_SOURCE:
	case RELAY_DRAINED:
		wait_for_more(session, id, status);
		return;
	case RELAY_WAIT_SINK:
	case RELAY_WAIT_BUFFER:
	case RELAY_AGAIN:
		session_lane_wait(session, id, status);
		return;
	case RELAY_FIN:
		finished(session, id);
		return;
	case RELAY_SOURCE_LOST:
		source_lost(session, id);
		return;
	case RELAY_SINK_LOST:
		sink_lost(session, id);
		return;
	case RELAY_DECIDE:
		break;
	}
	CHECK(false);
}

static void move_and_wait(struct session *session, enum lane_id id)
{
	struct lane *lane = &session->lane[id];
	uint64_t before = lane->bytes;
	enum relay_status status;

	for (;;) {
		enum next next = NEXT_WAIT;

		status = relay_move(&session->env->relay, lane);
		if (lane->bytes != before) {
			note_moved(session, id, lane->bytes - before);
			before = lane->bytes;
		}
		if (status == RELAY_DECIDE)
			next = decide(session, id, &status);
		if (next == NEXT_DONE)
			return;
		if (next == NEXT_WAIT)
			break;
	}
	if (lane->bytes != before)
		note_moved(session, id, lane->bytes - before);
	settle(session, id, status);
}

void session_lane_run(struct session *session, enum lane_id id)
{
	struct session_env *env = session->env;
	struct lane *lane = &session->lane[id];
	uint64_t session_id = session->id;
	uint64_t before = lane->bytes;

	relay_queue_leave(lane);
	if (!lane->op.is_multishot)
		uring_cancel(env->ring, &lane->op);
	end_hold(session, id);
	switch ((enum session_state)session->state) {
	case SESSION_HEADER:
		session_open_header(session);
		return;
	case SESSION_CLIENT_TLS:
	case SESSION_BROKER_TLS:
		session_tls_go_on(session);
		return;
	case SESSION_HELLO:
		move_and_wait(session, id);
		return;
	case SESSION_RELAY:
		break;
	case SESSION_ABORT:
	case SESSION_LINGER:
		session_close_go_on(session);
		return;
	case SESSION_DIAL:
		if (session->broker_fd >= 0)
			session_open_connected(session);
		return;
	case SESSION_FREE:
	case SESSION_CLOSED:
		return;
	}
	if (lane->sent_fin)
		return;
	move_and_wait(session, id);
	if (session->id != session_id || session->state != SESSION_RELAY)
		return;
	relay_push(&session->lane[LANE_TO_BROKER]);
	relay_push(&session->lane[LANE_TO_CLIENT]);
	if (UNLIKELY(session->proto.kind == PROTO_KIND_LOOKUP))
		session_side_tend(session);
	/* A lane that is held itself may have sent what the other waited for: both would wait for
	 * ever. */
	if (UNLIKELY(session->held != 0 &&
		     ((session->held & (1u << id)) == 0 || lane->bytes != before)))
		session_lane_resume_held(session);
}

void session_lane_soon(struct session *session, enum lane_id id)
{
	struct lane *lane = &session->lane[id];

	/* What has just been put into a starved lane goes out without another buffer. */
	if (lane->queue == &session->env->relay.starved)
		relay_queue_leave(lane);
	if (lane->queue != NULL)
		return;
	uring_cancel(session->env->ring, &lane->op);
	relay_queue_push(&session->env->again, lane);
}

void session_lane_resume_held(struct session *session)
{
	for (int id = 0; id < LANES; id++)
		if ((session->held & (1u << id)) != 0)
			session_lane_soon(session, (enum lane_id)id);
}

void session_lane_stop(struct session *session)
{
	for (int id = 0; id < LANES; id++) {
		relay_queue_leave(&session->lane[id]);
		uring_cancel(session->env->ring, &session->lane[id].op);
		end_hold(session, (enum lane_id)id);
	}
}
