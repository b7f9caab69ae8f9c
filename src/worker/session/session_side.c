/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * session_side: connections to other brokers of the cluster on behalf of one client, for lookups
 * its own broker redirected there (DECISIONS 3.1). At most four per session; the client's own
 * connection keeps flowing meanwhile. What a side connection answers is put into the client's lane
 * between two frames.
 */
#define _GNU_SOURCE
#include <string.h>

#include "session_priv.h"

static struct session_side *side_of_lane(struct lane *lane, bool is_rx)
{
	return is_rx ? CONTAINER_OF(lane, struct session_side, rx)
		     : CONTAINER_OF(lane, struct session_side, tx);
}

static const struct proto_ops *ops_of(const struct session_side *side)
{
	return side->session->proto.ops;
}

/* ---- ending ---- */

static void side_free(struct session_side *side)
{
	struct session *session = side->session;
	struct session_env *env = session->env;

	session_dial_cancel(&side->dial);
	timer_clear(&env->wheel, &side->timer);
	uring_cancel(env->ring, &side->rx.op);
	uring_cancel(env->ring, &side->tx.op);
	relay_lane_fini(&env->relay, &side->rx);
	relay_lane_fini(&env->relay, &side->tx);
	session_tls_close(env, &side->tls, &side->fd, false);
	session->sides[side->index] = NULL;
	stat_sub(env->stats, STAT_HOPS_IN_USE, 1);
	pool_put(&env->sides, side);
}

/* Its questions are answered with an error, or asked again elsewhere, by the brain. */
static void side_lost(struct session_side *side)
{
	struct session *session = side->session;
	struct proto_context context;
	uint32_t index = side->index;

	side_free(side);
	session_lane_context(session, &context);
	session->proto.ops->side_lost(&session->proto, index, &context);
}

void session_side_close_all(struct session *session)
{
	for (uint32_t i = 0; i < PROTO_SIDES; i++)
		if (session->sides[i] != NULL)
			side_free(session->sides[i]);
}

/* ---- talking ---- */

static void on_rx(struct uring_op *op, int events);
static void on_tx(struct uring_op *op, int events);

static void on_silence(struct timer *timer)
{
	struct session_side *side = CONTAINER_OF(timer, struct session_side, timer);
	struct session *session = side->session;

	side_lost(side);
	session_side_tend(session);
	session_lane_resume_held(session);
}

/* One deadline for everything a side is awaited for: a client waits 30 s for a lookup at most. */
static void side_time(struct session_side *side)
{
	struct session_env *env = side->session->env;
	uint64_t connect_ns = session_config(env)->timeouts.connect_ns;

	if (!ops_of(side)->side_is_busy(&side->session->proto, side->index))
		timer_clear(&env->wheel, &side->timer);
	else if (!timer_is_set(&side->timer))
		timer_set(&env->wheel, &side->timer,
			  env->now_ns + SESSION_ANSWER_CONNECTS * connect_ns, on_silence);
}

/* No buffer to read into or to write into: goes on when there is one. */
static void starve(struct session_side *side, struct lane *lane)
{
	relay_queue_push(&side->session->env->relay.starved, lane);
}

static void greet(struct session_side *side, struct sink *sink)
{
	struct proto_context context;

	side->is_greeted = true;
	session_lane_context(side->session, &context);
	session_open_proxy_header(side->session, sink);
	ops_of(side)->side_greet(&side->session->proto, side->index, &context, sink);
}

/* Sends what the brain has to say. False: the side is lost. */
static bool side_say(struct session_side *side)
{
	struct session_env *env = side->session->env;
	enum relay_status status;

	if (side->tx.op.is_armed)
		return true;
	relay_queue_leave(&side->tx);
	while ((status = relay_flush(&env->relay, &side->tx)) == RELAY_DECIDE) {
		if (!relay_has_buf(&env->relay)) {
			starve(side, &side->tx);
			return true;
		}
		struct sink sink = sink_of(env->scratch, RELAY_BUF_BYTES);

		if (side->is_greeted)
			ops_of(side)->side_say(&side->session->proto, side->index, &sink);
		else
			greet(side, &sink);
		if (sink.len == 0)
			return true;
		if (sink.full || !relay_emit(&env->relay, &side->tx, sink_written(&sink), false))
			return false;
	}
	if (status != RELAY_WAIT_SINK)
		return false;
	uring_poll(env->ring, &side->tx.op, side->tx.sink, POLLOUT, on_tx);
	return true;
}

/* Carries one verdict out. False: nothing more to do now; *ret_lost: the side is lost. */
static bool side_decide(struct session_side *side, bool *ret_lost)
{
	struct session *session = side->session;
	struct session_env *env = session->env;
	struct lane *to_client = &session->lane[LANE_TO_CLIENT];
	struct proto_context context;
	struct proto_verdict verdict = { .what = PROTO_HOLD };

	if (!relay_has_buf(&env->relay)) {
		starve(side, &side->rx);
		return false;
	}
	session_lane_context(session, &context);
	context.can_reply = relay_can_emit(to_client);
	ops_of(side)->see(&session->proto, (enum proto_channel)(PROTO_SIDE + (int)side->index),
			  relay_undecided(&env->relay, &side->rx), &context, &verdict);
	session_known_notes(session, &context);
	if (context.refused.len > 0)
		session_log_role(session, &side->dial.addrs[side->dial.addr_next - 1],
				 context.refused);
	switch (verdict.what) {
	case PROTO_NEED: {
		enum relay_status status =
			relay_read(&env->relay, &side->rx, (size_t)verdict.n, verdict.max);

		/* One shot either way: an answer is waited for, and seldom two. */
		if (status == RELAY_WAIT_SOURCE || status == RELAY_DRAINED)
			uring_poll(env->ring, &side->rx.op, side->rx.source, POLLIN, on_rx);
		else if (status == RELAY_WAIT_BUFFER)
			starve(side, &side->rx);
		*ret_lost = status == RELAY_FIN || status == RELAY_SOURCE_LOST;
		return status == RELAY_DECIDE;
	}
	case PROTO_DROP:
	case PROTO_PASS:
		if (verdict.n > relay_undecided(&env->relay, &side->rx).len)
			break; /* longer than anything a lookup is answered with */
		relay_drop(&env->relay, &side->rx, (size_t)verdict.n);
		return true;
	case PROTO_EMIT:
		CHECK(relay_emit(&env->relay, to_client, verdict.bytes, false));
		relay_drop(&env->relay, &side->rx, (size_t)verdict.n);
		if (to_client->out != NULL)
			session_lane_soon(session, LANE_TO_CLIENT);
		return true;
	case PROTO_REPLY:
		/* A PONG that finds the way blocked is not worth waiting for. */
		if (relay_can_emit(&side->tx))
			CHECK(relay_emit(&env->relay, &side->tx, verdict.bytes, false));
		relay_drop(&env->relay, &side->rx, (size_t)verdict.n);
		return true;
	case PROTO_HOLD:
		return false;
	case PROTO_DIAL:
	case PROTO_ROUTE:
	case PROTO_REFUSE:
		break;
	}
	*ret_lost = true;
	return false;
}

/* ---- TLS ---- */

/* False: the side is lost. */
static bool side_shake(struct session_side *side)
{
	struct session_env *env = side->session->env;

	relay_queue_leave(&side->rx);
	if (side->rx.op.is_armed || side->tx.op.is_armed)
		return true;
	switch (session_tls_step(env, side->tls, &side->rx)) {
	case TLS_WANT_READ:
		uring_poll(env->ring, &side->rx.op, side->rx.source, POLLIN, on_rx);
		return true;
	case TLS_WANT_WRITE:
		uring_poll(env->ring, &side->tx.op, side->tx.sink, POLLOUT, on_tx);
		return true;
	case TLS_WANT_SLOT:
		return true;
	case TLS_FAILED:
		return false;
	case TLS_DONE:
		break;
	}
	if (!session_tls_start(env, side->tls))
		return false;
	relay_lane_tls(&side->rx, side->tls, NULL);
	relay_lane_tls(&side->tx, NULL, side->tls);
	side->is_open = true;
	return true;
}

/* Reads and says what can be read and said. */
static void side_run(struct session_side *side)
{
	bool is_lost = false;

	if (!side->is_open && !side_shake(side)) {
		side_lost(side);
		return;
	}
	if (!side->is_open) {
		side_time(side);
		return;
	}
	relay_queue_leave(&side->rx);
	if (!side->rx.op.is_armed)
		while (side_decide(side, &is_lost))
			continue;
	if (is_lost || !side_say(side)) {
		side_lost(side);
		return;
	}
	side_time(side);
}

static void on_rx(struct uring_op *op, int events)
{
	struct session_side *side = side_of_lane(CONTAINER_OF(op, struct lane, op), true);
	struct session *session = side->session;

	(void)events; /* reading tells */
	session_side_tend(session);
	session_lane_resume_held(session);
}

void session_side_run(struct lane *lane)
{
	struct session *session = side_of_lane(lane, lane->is_to_client)->session;

	session_side_tend(session);
	session_lane_resume_held(session);
}

static void on_tx(struct uring_op *op, int events)
{
	struct session_side *side = side_of_lane(CONTAINER_OF(op, struct lane, op), false);

	(void)events;
	session_side_tend(side->session);
}

/* ---- beginning ---- */

/* The connected socket is the side's; it is open, or there is TLS to be spoken first. False: it
 * cannot be used. */
static bool take_socket(struct session_side *side)
{
	struct session_dial *dial = &side->dial;
	struct tls_context *context = session_dial_tls(dial);

	side->fd = dial->fd;
	dial->fd = -1;
	relay_lane_init(&side->rx, side->fd, -1, true);
	relay_lane_init(&side->tx, -1, side->fd, false);
	side->rx.is_side = side->tx.is_side = true;
	if (!session_dial_is_as_meant(dial))
		return false;
	side->is_open = context == NULL;
	if (context == NULL)
		return true;

	int ret = tls_begin_client(side->session->env->tls, context, side->fd, dial->host,
				   &side->tls);

	if (ret == 0)
		session_tls_offer(side->session, side->tls);
	session_dial_forget(dial);
	return ret == 0;
}

static void on_side_dialled(struct session_dial *dial, enum close_reason reason)
{
	struct session_side *side = CONTAINER_OF(dial, struct session_side, dial);
	struct session *session = side->session;

	if (reason == CLOSE_NONE && take_socket(side)) {
		session_side_tend(session);
		return;
	}
	side_lost(side);
	/* The failed questions are answered on the next tending, not in the middle of this one. */
	session_lane_soon(session, LANE_TO_CLIENT);
}

static struct session_side *side_new(struct session *session, uint32_t index, struct span host,
				     uint16_t port)
{
	struct session_env *env = session->env;
	struct session_side *side = pool_get(&env->sides);

	if (side == NULL)
		return NULL;
	const struct session_side old = {
		.dial.op.generation = side->dial.op.generation,
		.rx.op.generation = side->rx.op.generation,
		.tx.op.generation = side->tx.op.generation,
	};

	*side = old;
	side->session = session;
	side->index = index;
	side->port = port;
	if (!span_to_str(host, side->host, sizeof(side->host))) {
		pool_put(&env->sides, side);
		return NULL;
	}
	side->dial.session = session;
	side->dial.done = on_side_dialled;
	side->dial.which = (uint8_t)(index + 1);
	side->dial.fd = -1;
	side->fd = -1;
	relay_lane_init(&side->rx, -1, -1, true);
	relay_lane_init(&side->tx, -1, -1, false);
	session->sides[index] = side;
	stat_add(env->stats, STAT_HOPS_IN_USE, 1);
	return side;
}

/* The side connection to this broker, a free place for one, or one nobody waits for. */
static bool find_side(struct session *session, struct span host, uint16_t port, uint32_t *ret_index)
{
	uint32_t found = PROTO_SIDES;

	for (uint32_t i = 0; i < PROTO_SIDES; i++) {
		const struct session_side *side = session->sides[i];

		if (side != NULL && side->port == port && span_is(host, side->host)) {
			*ret_index = i;
			return true;
		}
		if (side == NULL)
			found = i;
		else if (found == PROTO_SIDES && side->is_open &&
			 !session->proto.ops->side_is_busy(&session->proto, i))
			found = i;
	}
	*ret_index = found;
	return found < PROTO_SIDES;
}

/* One question gets its side. False: it must wait for one. */
static bool place(struct session *session, const struct proto_ask *ask)
{
	const struct proto_ops *ops = session->proto.ops;
	struct proto_context context;
	struct span host;
	uint16_t port;
	uint32_t index = 0;

	session_lane_context(session, &context);
	if (!addr_split(ask->target, &host, &port)) {
		ops->ask_failed(&session->proto, ask->ticket, &context);
		return true;
	}
	if (!find_side(session, host, port, &index))
		return false;
	struct session_side *side = session->sides[index];
	bool is_there = side != NULL && side->port == port && span_is(host, side->host);

	if (side != NULL && !is_there)
		side_free(side);
	if (!is_there) {
		side = side_new(session, index, host, port);
		if (side == NULL) {
			ops->ask_failed(&session->proto, ask->ticket, &context);
			return true;
		}
	}
	ops->ask_assign(&session->proto, ask->ticket, index);
	stat_add(session->env->stats, STAT_REDIRECT_HOPS, 1);
	if (!is_there) /* may end at once, and then has answered the question */
		session_dial_begin(&side->dial, ask->target);
	return true;
}

static void give_answers(struct session *session)
{
	struct session_env *env = session->env;
	struct lane *to_client = &session->lane[LANE_TO_CLIENT];
	struct proto_context context;

	session_lane_context(session, &context);
	while (relay_can_emit(to_client) && relay_has_buf(&env->relay)) {
		struct sink sink = sink_of(env->scratch, PROTO_FRAME_MAX);

		if (!session->proto.ops->answer_next(&session->proto, &context, &sink))
			return;
		CHECK(relay_emit(&env->relay, to_client, sink_written(&sink), false));
		if (to_client->out != NULL)
			session_lane_soon(session, LANE_TO_CLIENT);
	}
	if (relay_can_emit(to_client) && to_client->queue == NULL)
		session_lane_wait(session, LANE_TO_CLIENT, RELAY_WAIT_BUFFER);
}

/* Gives every question a side, if there is one for it. True: at least one got one. */
static bool place_all(struct session *session)
{
	struct proto_ask ask;
	bool is_any = false;

	while (session->proto.ops->ask_next(&session->proto, &ask) && place(session, &ask))
		is_any = true;
	return is_any;
}

void session_side_tend(struct session *session)
{
	bool is_first = true;

	if (session->is_tending)
		return; /* a dial that ended at once: the loop below goes on with it */
	session->is_tending = true;
	/* An answer may be a further redirect, to a side that is open already: another round. Each
	 * lookup has ten redirects, so this ends. */
	while (place_all(session) || is_first) {
		for (uint32_t i = 0; i < PROTO_SIDES; i++)
			if (session->sides[i] != NULL && session->sides[i]->fd >= 0)
				side_run(session->sides[i]);
		is_first = false;
	}
	give_answers(session);
	session->is_tending = false;
}
