/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Rewriting a response that is there as a whole, or Metadata as far as its brokers.
 */
#include "wire_kafka_tail.h"
#include "wire_kafka_why.h"

#define SIZE_FIELD 4
#define NODE_LEAST 10 /* of Metadata, in any version */

/* The bytes of a prefix that are surely wanted: the nodes still to come are not empty. */
static uint64_t prefix_need(const struct kafka_walk *walk, struct span frame, struct span rest,
			    uint64_t frame_size)
{
	uint64_t need = frame.len - rest.len;
	if (walk->loops > 0)
		need += (uint64_t)walk->entries[0] * NODE_LEAST;
	if (need <= frame.len)
		need = frame.len + 1;
	return need < frame_size ? need : frame_size;
}

/* The tail of a response that is all there. Nothing is kept behind it. */
static enum wire rewrite_tail(struct wire_kafka_copy *copy, enum wire_kafka_op op,
			      struct span bytes)
{
	struct wire_kafka_tail tail = {
		.op = op, .bytes = bytes, .names = copy->names, .sink = copy->sink
	};
	bool has_nodes;
	enum wire res = wire_kafka_tail_scan(&tail, &has_nodes);
	if (res == WIRE_OK && has_nodes) {
		wire_kafka_copy_flush(copy, bytes);
		res = wire_kafka_tail_write(&tail);
		copy->kept = span_of(NULL, 0);
		copy->nodes = tail.nodes;
	}
	copy->bad = tail.bad;
	return res;
}

static enum wire rewrite(struct wire_kafka_copy *copy, struct kafka_walk *walk, struct span frame,
			 uint64_t frame_size, struct kafka_rewritten *ret, struct kafka_why *why)
{
	struct span rest = frame;
	enum wire_kafka_op end;
	size_t begin = copy->sink->len;
	copy->kept = frame;
	enum wire res = wire_kafka_copy_run(copy, walk, &rest, &end);
	if (res == WIRE_MORE)
		return wire_kafka_more(why, prefix_need(walk, frame, rest, frame_size));
	if (res == WIRE_OK && (end == WIRE_KAFKA_TAIL_TAGS || end == WIRE_KAFKA_TAIL_ARRAY)) {
		res = rewrite_tail(copy, end, rest);
		rest = span_of(NULL, 0);
	}
	if (res == WIRE_BAD)
		return wire_kafka_bad(why, copy->bad);
	if (copy->sink->len == begin && !copy->sink->full) {
		*ret = (struct kafka_rewritten){ .pass = frame_size };
		return WIRE_OK;
	}
	if (copy->kept.len > 0)
		wire_kafka_copy_flush(copy, rest);
	size_t taken = frame.len - rest.len, written = copy->sink->len - begin;
	uint64_t size = frame_size - taken + written - SIZE_FIELD;
	if (copy->sink->full || size > INT32_MAX)
		return wire_kafka_bad(why, KAFKA_BAD_ROOM);
	sink_patch_u32(copy->sink, begin, (uint32_t)size);
	*ret = (struct kafka_rewritten){
		.taken = taken,
		.pass = frame_size - taken,
		.nodes = copy->nodes,
	};
	return WIRE_OK;
}

enum wire kafka_rewrite(struct span bytes, int16_t key, int16_t version,
			const struct kafka_names *names, struct sink *sink,
			struct kafka_rewritten *ret, struct kafka_why *why)
{
	struct wire_kafka_copy copy = { .names = names, .sink = sink };
	struct kafka_response head;
	struct kafka_walk walk;
	const struct sink before = *sink;
	int layout = wire_kafka_layout_find(key, version);
	if (layout < 0)
		return wire_kafka_bad(why, KAFKA_BAD_VERSION);
	enum wire res = kafka_response_head(bytes, INT32_MAX, &head, why);
	if (res != WIRE_OK)
		return res;
	if (kafka_way(key, version) != KAFKA_WAY_PREFIX && bytes.len < head.frame_size)
		return wire_kafka_more(why, head.frame_size);
	if (bytes.len > head.frame_size)
		bytes.len = (size_t)head.frame_size;
	wire_kafka_walk_begin(&walk, layout, version, kafka_is_flexible(key, version),
			      head.frame_size);
	res = rewrite(&copy, &walk, bytes, head.frame_size, ret, why);
	if (res != WIRE_OK)
		*sink = before;
	return res;
}
