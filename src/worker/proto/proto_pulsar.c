/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * proto_pulsar: the Pulsar brain: what a client's first frame makes of its connection.
 *
 *   CONNECT names a broker (field 6)     data connection to that broker
 *   CONNECT has an empty field 6         data connection to any broker
 *   CONNECT has no field 6               lookup connection: a relay to any broker that changes
 *                                        LOOKUP_RESPONSE only
 *
 * The broker gets the client's own CONNECT without field 6 and authenticates the client itself, so
 * every authentication method works and brokers need no proxyRoles. On a data
 * connection nothing after CONNECT is looked at. Role mode (proto_pulsar_role.c) makes CONNECT anew
 * and waits for CONNECTED.
 */
#define _GNU_SOURCE
#include <string.h>

#include "proto_pulsar_priv.h"

void proto_pulsar_need(struct proto_verdict *ret, size_t n)
{
	*ret = (struct proto_verdict){ .what = PROTO_NEED, .n = n, .max = PROTO_FRAME_MAX };
}

void proto_pulsar_refuse(struct proto_verdict *ret, enum close_reason reason)
{
	*ret = (struct proto_verdict){ .what = PROTO_REFUSE, .reason = reason };
}

/* ---- the kept CONNECT ---- */

static void keep_put(struct proto *proto, struct proto_pools *pools)
{
	struct pulsar_keep *keep = proto->pulsar.keep;

	if (keep == NULL)
		return;
	bool is_small = keep->size == PULSAR_KEEP_SMALL;

	/* Somebody's token: gone before the next session gets this memory. */
	explicit_bzero(keep->frame, keep->len);
	pool_put(is_small ? &pools->keep_small : &pools->keep_big, keep);
	proto->pulsar.keep = NULL;
}

/* A CONNECT that finds no room is not kept: its redirects are then answered with
 * ServiceNotReady. */
static struct pulsar_keep *keep_get(struct proto_pools *pools, size_t len)
{
	struct pulsar_keep *keep = NULL;

	if (len <= PULSAR_KEEP_SMALL) {
		keep = pool_get(&pools->keep_small);
		if (keep != NULL)
			keep->size = PULSAR_KEEP_SMALL;
	}
	if (keep == NULL && len <= PROTO_FRAME_MAX) {
		keep = pool_get(&pools->keep_big);
		if (keep != NULL)
			keep->size = PROTO_FRAME_MAX;
	}
	return keep;
}

static void keep_set(struct proto *proto, struct proto_pools *pools, struct span frame)
{
	keep_put(proto, pools);
	proto->pulsar.keep = keep_get(pools, frame.len);
	if (proto->pulsar.keep == NULL)
		return;
	memcpy(proto->pulsar.keep->frame, frame.at, frame.len);
	proto->pulsar.keep->len = (uint32_t)frame.len;
}

void proto_pulsar_forget(struct proto *proto, struct proto_context *context)
{
	keep_put(proto, context->pools);
}

void proto_pulsar_keep_refresh(struct proto *proto, struct proto_context *context,
			       struct span auth_data)
{
	const struct pulsar_keep *keep = proto->pulsar.keep;

	if (keep == NULL)
		return;
	struct sink sink = context->scratch;

	pulsar_write_connect_refreshed(&sink, span_of(keep->frame, keep->len), auth_data);
	if (sink.full)
		keep_put(proto, context->pools);
	else
		keep_set(proto, context->pools, sink_written(&sink));
	explicit_bzero(sink.at, sink.len);
}

/* ---- the first frame ---- */

static enum close_reason mistake_reason(struct span bytes)
{
	switch (pulsar_mistake(bytes)) {
	case PULSAR_MISTAKE_HTTP:
		return CLOSE_NOT_PULSAR_HTTP;
	case PULSAR_MISTAKE_TLS:
		return CLOSE_NOT_PULSAR_TLS;
	case PULSAR_MISTAKE_KAFKA:
		return CLOSE_NOT_PULSAR_KAFKA;
	case PULSAR_MISTAKE_SSH:
		return CLOSE_NOT_PULSAR_SSH;
	case PULSAR_MISTAKE_PROXY:
		return CLOSE_PROXY_UNTRUSTED;
	case PULSAR_MISTAKE_NONE:
		break;
	}
	return CLOSE_NONE;
}

static enum close_reason size_reason(struct span bytes, const struct proto_context *context)
{
	uint32_t total;

	if (!span_u32(&bytes, &total))
		return CLOSE_NONE;
	if (total < PULSAR_TOTAL_MIN)
		return CLOSE_FRAME_ZERO;
	if (total > context->first_frame_max - 4)
		return CLOSE_FRAME_TOO_BIG;
	return CLOSE_NONE;
}

/* The whole first frame, or a verdict. */
static bool first_frame(struct span bytes, const struct proto_context *context,
			struct span *ret_frame, struct proto_verdict *ret)
{
	struct pulsar_head head;
	size_t need = 0;
	enum close_reason reason = mistake_reason(bytes);

	if (reason == CLOSE_NONE)
		reason = size_reason(bytes, context);
	if (reason != CLOSE_NONE) {
		proto_pulsar_refuse(ret, reason);
		return false;
	}
	switch (pulsar_head(bytes, &head, &need)) {
	case WIRE_MORE:
		proto_pulsar_need(ret, need);
		return false;
	case WIRE_BAD:
		proto_pulsar_refuse(ret, CLOSE_FRAME_MALFORMED);
		return false;
	case WIRE_OK:
		break;
	}
	if (head.type != PULSAR_CONNECT) {
		proto_pulsar_refuse(ret, CLOSE_FRAME_UNEXPECTED);
		return false;
	}
	if (bytes.len < head.frame_size) {
		proto_pulsar_need(ret, (size_t)head.frame_size);
		return false;
	}
	*ret_frame = span_of(bytes.at, (size_t)head.frame_size);
	return true;
}

static void see_first(struct proto *proto, struct span bytes, struct proto_context *context,
		      struct proto_verdict *ret)
{
	struct span frame;
	struct pulsar_connect connect;

	if (!first_frame(bytes, context, &frame, ret))
		return;
	if (pulsar_read_connect(frame, &connect) != WIRE_OK) {
		proto_pulsar_refuse(ret, CLOSE_FRAME_MALFORMED);
		return;
	}
	/* Only a proxy may say on whose behalf it comes. */
	if (connect.has_original || connect.has_proxy_version) {
		proto_pulsar_refuse(ret, CLOSE_SPOOFED_ORIGINAL);
		return;
	}
	enum close_reason reason = proto_pulsar_role_admit(proto, context, &connect);

	if (reason != CLOSE_NONE) {
		proto_pulsar_refuse(ret, reason);
		return;
	}
	bool is_data = connect.proxy_to_broker_url.at != NULL;

	proto->kind = is_data ? PROTO_KIND_DATA : PROTO_KIND_LOOKUP;
	/* Our own credential can be shown as often as needed. */
	proto->pulsar.is_multi_round = connect.is_auth_multi_round && !proto->pulsar.is_role;
	if (!is_data || proto->pulsar.is_role)
		keep_set(proto, context->pools, frame);
	*ret = (struct proto_verdict){ .what = PROTO_DIAL, .target = connect.proxy_to_broker_url };
}

/* In place of the frame, something else of it. */
static void emit(const struct proto_context *context, struct span frame, struct proto_verdict *ret)
{
	if (context->scratch.full) {
		proto_pulsar_refuse(ret, CLOSE_FRAME_TOO_BIG);
		return;
	}
	*ret = (struct proto_verdict){ .what = PROTO_EMIT,
				       .n = frame.len,
				       .bytes = sink_written(&context->scratch) };
}

/* Sends CONNECT on. The frame was checked when it was seen first, but a reload may have come
 * between, and with it another way to authenticate. */
static void see_dialled(struct proto *proto, struct span bytes, struct proto_context *context,
			struct proto_verdict *ret)
{
	struct pulsar_connect connect;
	struct span frame;

	if (!first_frame(bytes, context, &frame, ret) ||
	    pulsar_read_connect(frame, &connect) != WIRE_OK) {
		proto_pulsar_refuse(ret, CLOSE_BUG);
		return;
	}
	bool was_role = proto->pulsar.is_role;
	enum close_reason reason = proto_pulsar_role_admit(proto, context, &connect);

	if (reason == CLOSE_NONE && proto->pulsar.is_role != was_role)
		reason = CLOSE_LISTENER_GONE;
	if (reason != CLOSE_NONE) {
		proto_pulsar_refuse(ret, reason);
		return;
	}
	bool is_lookup = proto->kind == PROTO_KIND_LOOKUP;

	if (was_role) {
		proto->pulsar.phase = is_lookup ? PULSAR_PHASE_LOOKUP : PULSAR_PHASE_ROLE;
		proto_pulsar_role_connect(context, frame, &context->scratch);
		emit(context, frame, ret);
		return;
	}
	if (is_lookup) {
		proto->pulsar.phase = PULSAR_PHASE_LOOKUP;
		*ret = (struct proto_verdict){ .what = PROTO_PASS, .n = frame.len };
		return;
	}
	proto->pulsar.phase = PULSAR_PHASE_DATA;
	pulsar_write_connect_bare(&context->scratch, frame);
	emit(context, frame, ret);
}

static void pulsar_see(struct proto *proto, enum proto_channel channel, struct span bytes,
		       struct proto_context *context, struct proto_verdict *ret)
{
	struct proto_pulsar *pulsar = &proto->pulsar;

	if (channel >= PROTO_SIDE) {
		proto_pulsar_side_see(proto, (uint32_t)(channel - PROTO_SIDE), bytes, context, ret);
		return;
	}
	switch ((enum pulsar_phase)pulsar->phase) {
	case PULSAR_PHASE_FIRST:
		see_first(proto, bytes, context, ret);
		return;
	case PULSAR_PHASE_DIALLED:
		if (channel == PROTO_CLIENT)
			see_dialled(proto, bytes, context, ret);
		else /* the broker has nothing to say before CONNECT */
			*ret = (struct proto_verdict){ .what = PROTO_HOLD };
		return;
	case PULSAR_PHASE_ROLE:
		proto_pulsar_role_see(proto, channel, bytes, context, ret);
		return;
	case PULSAR_PHASE_DATA:
		*ret = (struct proto_verdict){ .what = PROTO_PASS, .n = PROTO_ALL };
		return;
	case PULSAR_PHASE_LOOKUP:
		if (channel == PROTO_CLIENT)
			proto_pulsar_lookup_client(proto, bytes, context, ret);
		else
			proto_pulsar_lookup_broker(proto, bytes, context, ret);
		return;
	}
}

static void pulsar_begin(struct proto *proto, struct proto_pools *pools)
{
	(void)pools;
	proto->pulsar.phase = PULSAR_PHASE_FIRST;
}

static void pulsar_end(struct proto *proto, struct proto_context *context)
{
	keep_put(proto, context->pools);
	proto_pulsar_book_end(proto, context);
}

static void pulsar_dialled(struct proto *proto)
{
	CHECK(proto->pulsar.phase == PULSAR_PHASE_FIRST);
	proto->pulsar.phase = PULSAR_PHASE_DIALLED;
}

/* DECISIONS 3.1: target denied -> NotAllowedError; no broker, or the named one does not answer ->
 * ServiceNotReady. A client that does not speak Pulsar is told nothing. */
static void pulsar_refuse(struct proto *proto, enum close_reason reason, struct sink *sink)
{
	enum pulsar_error error = PULSAR_SERVICE_NOT_READY;

	(void)proto;
	switch ((int)reason) {
	case CLOSE_NOT_PULSAR_HTTP:
	case CLOSE_NOT_PULSAR_TLS:
	case CLOSE_NOT_PULSAR_KAFKA:
	case CLOSE_NOT_PULSAR_SSH:
	case CLOSE_PROXY_UNTRUSTED:
	case CLOSE_PROXY_MALFORMED:
	case CLOSE_PROXY_MISSING:
		return;
	case CLOSE_TARGET_HOST_DENIED:
	case CLOSE_TARGET_NETWORK_DENIED:
	case CLOSE_TARGET_PORT_DENIED:
	case CLOSE_TARGET_SYNTAX_DENIED:
	case CLOSE_TARGET_SPECIAL_DENIED:
	case CLOSE_SPOOFED_ORIGINAL:
	case CLOSE_CONN_LIMIT:
	case CLOSE_CONN_LIMIT_IP:
	case CLOSE_CONN_LIMIT_LISTENER:
	case CLOSE_FRAME_TOO_BIG:
	case CLOSE_FRAME_ZERO:
	case CLOSE_FRAME_MALFORMED:
	case CLOSE_FRAME_UNEXPECTED:
	case CLOSE_ROLE_EARLY:
		error = PULSAR_NOT_ALLOWED;
		break;
	case CLOSE_AUTH_TLS:
	case CLOSE_ROLE_NO_PRINCIPAL:
	case CLOSE_ROLE_METHOD:
	case CLOSE_ROLE_REFUSED:
		error = PULSAR_AUTHENTICATION_ERROR;
		break;
	default:
		break;
	}
	struct sink text = sink_of((uint8_t[256]){ 0 }, 255);

	sink_printf(&text, "penstock: %s (%s)", close_rows[reason].text, close_rows[reason].name);
	pulsar_write_error(sink, UINT64_MAX, error, (const char *)text.at);
}

const struct proto_ops proto_pulsar_ops = {
	.name = "pulsar",
	.begin = pulsar_begin,
	.end = pulsar_end,
	.see = pulsar_see,
	.dialled = pulsar_dialled,
	.refuse = pulsar_refuse,
	.ask_next = proto_pulsar_side_ask_next,
	.ask_assign = proto_pulsar_side_ask_assign,
	.side_greet = proto_pulsar_side_greet,
	.side_say = proto_pulsar_side_say,
	.side_is_busy = proto_pulsar_side_is_busy,
	.side_lost = proto_pulsar_side_lost,
	.ask_failed = proto_pulsar_side_ask_failed,
	.answer_next = proto_pulsar_side_answer_next,
};
