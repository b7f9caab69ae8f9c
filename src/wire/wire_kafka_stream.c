/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Long responses, piece by piece. Everything before the tail goes by; the tail is held until it is
 * all there, and written again in exactly as many bytes: with the new addresses if they fit, else
 * without any, which sends the client to ask for Metadata (docs/adr/0017).
 */
#include "wire_kafka_tail.h"

/* A read that wants to see a partition's head must not take the records behind it, which would then
 * be copied instead of spliced; unless they are small anyway. */
#define BULK	  32768
#define MAX_BULK  512
#define MAX_SMALL 65536

void kafka_stream_begin(struct kafka_stream *stream, int16_t key, int16_t version,
			uint64_t frame_size)
{
	CHECK(kafka_way(key, version) == KAFKA_WAY_STREAM);
	*stream = (struct kafka_stream){ .bulk = UINT32_MAX };
	wire_kafka_walk_begin(&stream->walk, wire_kafka_layout_find(key, version), version,
			      kafka_is_flexible(key, version), frame_size);
}

static void say_bad(struct kafka_stream_step *ret, enum kafka_bad bad)
{
	*ret = (struct kafka_stream_step){ .what = KAFKA_STREAM_BAD, .bad = bad };
}

static void say_need(const struct kafka_stream *stream, struct kafka_stream_step *ret, size_t n)
{
	size_t max = stream->bulk >= BULK ? MAX_BULK : MAX_SMALL;
	if (max > stream->walk.left)
		max = (size_t)stream->walk.left;
	*ret = (struct kafka_stream_step){
		.what = KAFKA_STREAM_NEED,
		.n = n,
		.max = max > n ? max : n,
	};
}

/* The tail is all there, with addresses in it. */
static void emit_tail(struct wire_kafka_tail *tail, struct kafka_stream_step *ret)
{
	const struct sink before = *tail->sink;
	tail->room = tail->bytes.len;
	enum wire res = wire_kafka_tail_write(tail);
	if (res != WIRE_OK && tail->bad == KAFKA_BAD_ROOM) {
		*tail->sink = before;
		tail->is_bare = true;
		res = wire_kafka_tail_write(tail);
	}
	if (res != WIRE_OK) {
		*tail->sink = before;
		say_bad(ret, tail->bad);
		return;
	}
	CHECK(tail->sink->len - before.len == tail->room);
	*ret = (struct kafka_stream_step){
		.what = KAFKA_STREAM_EMIT,
		.n = tail->room,
		.nodes = tail->nodes,
		.is_bare = tail->is_bare,
		.is_last = true,
	};
}

static void see_tail(struct kafka_stream *stream, enum wire_kafka_op op, struct span rest,
		     const struct kafka_names *names, struct sink *sink,
		     struct kafka_stream_step *ret)
{
	uint64_t left = stream->walk.left;
	struct wire_kafka_tail tail = { .op = op, .names = names, .sink = sink };
	bool has_nodes;
	if (left > KAFKA_TAIL_MAX) {
		say_bad(ret, KAFKA_BAD_TAIL);
		return;
	}
	if (rest.len < left) {
		say_need(stream, ret, (size_t)left);
		return;
	}
	tail.bytes = span_of(rest.at, (size_t)left);
	if (wire_kafka_tail_scan(&tail, &has_nodes) != WIRE_OK)
		say_bad(ret, tail.bad);
	else if (has_nodes)
		emit_tail(&tail, ret);
	else
		*ret = (struct kafka_stream_step){ .what = KAFKA_STREAM_PASS,
						   .n = left,
						   .is_last = true };
}

void kafka_stream_see(struct kafka_stream *stream, struct span bytes,
		      const struct kafka_names *names, struct sink *sink,
		      struct kafka_stream_step *ret)
{
	const uint64_t left = stream->walk.left;
	struct wire_kafka_token token = { .op = WIRE_KAFKA_SKIP };
	struct span rest = bytes;
	enum wire res = WIRE_OK;
	while (res == WIRE_OK && token.op == WIRE_KAFKA_SKIP && span_skip(&rest, token.skip)) {
		res = wire_kafka_walk_next(&stream->walk, &rest, &token);
		if (res == WIRE_OK && token.skip > MAX_BULK)
			stream->bulk = token.skip;
	}
	if (res == WIRE_BAD)
		say_bad(ret, stream->walk.bad);
	else if (stream->walk.left < left)
		*ret = (struct kafka_stream_step){ .what = KAFKA_STREAM_PASS,
						   .n = left - stream->walk.left };
	else if (res == WIRE_MORE)
		say_need(stream, ret, bytes.len + 1);
	else
		see_tail(stream, token.op, rest, names, sink, ret);
}
