/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * proto_pulsar_side: redirects followed on side connections. Each is opened with the client's own
 * CONNECT, so the other broker authenticates and authorises the client itself (in role mode with
 * ours, made of it); once it says
 * CONNECTED the redirected LOOKUPs are sent, with their own request ids, and the answers go to the
 * client. One redirect may lead to the next, ten at the most.
 */
#include "proto_pulsar_priv.h"

static void drop(struct proto_verdict *ret, uint64_t n)
{
	*ret = (struct proto_verdict){ .what = PROTO_DROP, .n = n };
}

static bool side_is_ready(const struct proto *proto, uint32_t side)
{
	return (proto->pulsar.side_ready & (1u << side)) != 0;
}

static void fail_entry(struct pulsar_entry *entry, struct proto_context *context)
{
	entry->state = PULSAR_ENTRY_FAILED;
	stat_add(context->stats, STAT_REDIRECT_FAILURES, 1);
}

/* An answer, or a further redirect. */
static void side_lookup_response(struct proto *proto, uint32_t side, struct span frame,
				 struct proto_context *context, struct proto_verdict *ret)
{
	struct pulsar_lookup_response response;

	if (pulsar_read_lookup_response(frame, &response) != WIRE_OK) {
		proto_pulsar_refuse(ret, CLOSE_BROKER_FRAME_MALFORMED);
		return;
	}
	struct pulsar_entry *entry =
		proto_pulsar_book_find(proto, response.request_id, PULSAR_ENTRY_AT_SIDE);

	if (entry == NULL || entry->side != side) {
		drop(ret, frame.len); /* an answer to a question nobody asked here */
		return;
	}
	if (response.has_type && response.type == PULSAR_LOOKUP_REDIRECT) {
		struct span target;
		bool is_tls;

		entry->is_authoritative = response.is_authoritative;
		if (++entry->redirects > PULSAR_REDIRECTS_MAX ||
		    !pulsar_url_split(proto_pulsar_lookup_url(&response, context), &target,
				      &is_tls) ||
		    !proto_pulsar_book_redirect(proto, entry, target))
			fail_entry(entry, context);
		else
			entry->state = PULSAR_ENTRY_ASK;
		drop(ret, frame.len);
		return;
	}
	if (!context->can_reply) {
		*ret = (struct proto_verdict){ .what = PROTO_HOLD };
		return;
	}
	bool is_connect = response.has_type && response.type == PULSAR_LOOKUP_CONNECT;

	if (is_connect)
		pulsar_write_lookup_through(&context->scratch, frame,
					    proto_pulsar_lookup_url(&response, context));
	else
		sink_span(&context->scratch, frame);
	if (context->scratch.full) {
		proto_pulsar_refuse(ret, CLOSE_BROKER_FRAME_MALFORMED);
		return;
	}
	proto_pulsar_book_remove(proto, context, entry);
	*ret = (struct proto_verdict){ .what = PROTO_EMIT,
				       .n = frame.len,
				       .bytes = sink_written(&context->scratch) };
}

void proto_pulsar_side_see(struct proto *proto, uint32_t side, struct span bytes,
			   struct proto_context *context, struct proto_verdict *ret)
{
	struct pulsar_head head;

	if (proto_pulsar_lookup_head(bytes, PROTO_FRAME_MAX - 4, CLOSE_BROKER_FRAME_MALFORMED,
				     &head, ret) == PULSAR_SEEN_VERDICT)
		return;
	if (!proto_pulsar_lookup_whole(&head, bytes, ret))
		return;
	switch (head.type) {
	case PULSAR_CONNECTED:
		proto->pulsar.side_ready |= (uint8_t)(1u << side);
		drop(ret, head.frame_size);
		return;
	case PULSAR_PING:
		pulsar_write_pong(&context->scratch);
		*ret = (struct proto_verdict){ .what = PROTO_REPLY,
					       .n = head.frame_size,
					       .bytes = sink_written(&context->scratch) };
		return;
	case PULSAR_LOOKUP_RESPONSE:
		side_lookup_response(proto, side, span_of(bytes.at, (size_t)head.frame_size),
				     context, ret);
		return;
	case PULSAR_ERROR: /* our CONNECT was not accepted */
		if (!proto->pulsar.is_role || side_is_ready(proto, side) ||
		    !proto_pulsar_role_error(span_of(bytes.at, (size_t)head.frame_size), context,
					     ret))
			proto_pulsar_refuse(ret, CLOSE_BROKER_GONE);
		return;
	case PULSAR_AUTH_CHALLENGE:
		if (proto->pulsar.is_role &&
		    !(side_is_ready(proto, side) && proto_pulsar_role_is_forwarding(context)))
			proto_pulsar_role_challenged(proto,
						     span_of(bytes.at, (size_t)head.frame_size),
						     context, ret);
		else /* it cannot be replayed here, or has expired */
			proto_pulsar_refuse(ret, CLOSE_BROKER_GONE);
		return;
	default:
		drop(ret, head.frame_size);
		return;
	}
}

bool proto_pulsar_side_ask_next(struct proto *proto, struct proto_ask *ret_ask)
{
	struct pulsar_entry *entry =
		proto_pulsar_book_first(proto, PULSAR_ENTRY_ASK, PULSAR_ANY_SIDE);

	if (entry == NULL)
		return false;
	*ret_ask = (struct proto_ask){
		.ticket = (uint32_t)(entry - proto->pulsar.book->entries),
		.target = proto_pulsar_book_target(proto, entry),
	};
	return true;
}

void proto_pulsar_side_ask_assign(struct proto *proto, uint32_t ticket, uint32_t side)
{
	struct pulsar_entry *entry = &proto->pulsar.book->entries[ticket];

	CHECK(entry->state == PULSAR_ENTRY_ASK && side < PROTO_SIDES);
	entry->state = PULSAR_ENTRY_ASSIGNED;
	entry->side = (uint8_t)side;
}

void proto_pulsar_side_greet(struct proto *proto, uint32_t side,
			     const struct proto_context *context, struct sink *sink)
{
	const struct pulsar_keep *keep = proto->pulsar.keep;

	proto->pulsar.side_ready &= (uint8_t) ~(1u << side);
	if (keep == NULL)
		return;
	if (proto->pulsar.is_role)
		proto_pulsar_role_connect(context, span_of(keep->frame, keep->len), sink);
	else
		sink_bytes(sink, keep->frame, keep->len);
}

void proto_pulsar_side_say(struct proto *proto, uint32_t side, struct sink *sink)
{
	if (!side_is_ready(proto, side))
		return;
	for (;;) {
		struct pulsar_entry *entry =
			proto_pulsar_book_first(proto, PULSAR_ENTRY_ASSIGNED, side);
		size_t len = sink->len;

		if (entry == NULL)
			return;
		pulsar_write_lookup_again(sink, proto_pulsar_book_frame(proto, entry),
					  entry->is_authoritative);
		if (sink->full) {
			/* The rest when this is out. */
			sink->len = len;
			sink->full = false;
			return;
		}
		entry->state = PULSAR_ENTRY_AT_SIDE;
	}
}

bool proto_pulsar_side_is_busy(const struct proto *proto, uint32_t side)
{
	return proto_pulsar_book_first(proto, PULSAR_ENTRY_ASSIGNED, side) != NULL ||
	       proto_pulsar_book_first(proto, PULSAR_ENTRY_AT_SIDE, side) != NULL;
}

void proto_pulsar_side_lost(struct proto *proto, uint32_t side, struct proto_context *context)
{
	struct pulsar_entry *entry;

	proto->pulsar.side_ready &= (uint8_t) ~(1u << side);
	while ((entry = proto_pulsar_book_first(proto, PULSAR_ENTRY_ASSIGNED, side)) != NULL)
		fail_entry(entry, context);
	while ((entry = proto_pulsar_book_first(proto, PULSAR_ENTRY_AT_SIDE, side)) != NULL)
		fail_entry(entry, context);
}

void proto_pulsar_side_ask_failed(struct proto *proto, uint32_t ticket,
				  struct proto_context *context)
{
	fail_entry(&proto->pulsar.book->entries[ticket], context);
}

bool proto_pulsar_side_answer_next(struct proto *proto, struct proto_context *context,
				   struct sink *sink)
{
	struct pulsar_entry *entry =
		proto_pulsar_book_first(proto, PULSAR_ENTRY_FAILED, PULSAR_ANY_SIDE);

	if (entry == NULL)
		return false;
	pulsar_write_lookup_failed(sink, entry->request_id, PULSAR_SERVICE_NOT_READY,
				   "penstock: the broker this topic was redirected to did not "
				   "answer (redirect_not_followed)");
	proto_pulsar_book_remove(proto, context, entry);
	return true;
}
