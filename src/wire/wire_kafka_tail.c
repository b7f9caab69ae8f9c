/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Tails with other addresses in them.
 */
#include "wire_kafka_tail.h"

#include "wire_kafka_read.h"

#define TAG_ENDPOINTS 0
#define TAG_PAD	      125 /* one byte; Kafka numbers its fields from 0 on */

static enum wire bad(struct wire_kafka_tail *tail, enum kafka_bad reason)
{
	tail->bad = reason;
	return WIRE_BAD;
}

/* ---- NodeEndpoints: an array of nodes ------------------------------------------------------- */

static enum wire put_endpoints(struct wire_kafka_tail *tail, struct span *rest)
{
	struct wire_kafka_copy copy = { .names = tail->names, .sink = tail->sink, .kept = *rest };
	struct kafka_walk walk;
	enum wire_kafka_op end;
	wire_kafka_walk_begin(&walk, WIRE_KAFKA_LAYOUT_ENDPOINTS, 0, true, rest->len);
	enum wire res = wire_kafka_copy_run(&copy, &walk, rest, &end);
	if (res != WIRE_OK)
		return bad(tail, res == WIRE_BAD ? copy.bad : KAFKA_BAD_OVERRUN);
	wire_kafka_copy_flush(&copy, *rest);
	tail->nodes += copy.nodes;
	return WIRE_OK;
}

static enum wire skip_endpoints(struct wire_kafka_tail *tail, struct span *rest,
				bool *ret_has_nodes)
{
	struct wire_kafka_token token = { 0 };
	struct kafka_walk walk;
	*ret_has_nodes = false;
	wire_kafka_walk_begin(&walk, WIRE_KAFKA_LAYOUT_ENDPOINTS, 0, true, rest->len);
	while (token.op != WIRE_KAFKA_REST) {
		if (wire_kafka_walk_next(&walk, rest, &token) != WIRE_OK)
			return bad(tail, walk.bad);
		if (!span_skip(rest, token.skip))
			return bad(tail, KAFKA_BAD_OVERRUN);
		*ret_has_nodes = *ret_has_nodes || token.op == WIRE_KAFKA_NODE_RACK;
	}
	return WIRE_OK;
}

/* ---- the tagged fields ---------------------------------------------------------------------- */

struct field {
	uint32_t number;
	struct span content;
	struct span whole;
};

static enum wire take_field(struct wire_kafka_tail *tail, struct span *rest, struct field *ret)
{
	struct span begin = *rest;
	struct wire_kafka_tag tag;
	if (wire_kafka_tag(rest, &tag) != WIRE_OK || tag.number > INT32_MAX)
		return bad(tail, KAFKA_BAD_TAGS);
	if (!span_take(rest, tag.size, &ret->content))
		return bad(tail, KAFKA_BAD_OVERRUN);
	ret->number = tag.number;
	ret->whole = span_of(begin.at, begin.len - rest->len);
	return WIRE_OK;
}

static bool is_endpoints(const struct wire_kafka_tail *tail, const struct field *field)
{
	return tail->op == WIRE_KAFKA_TAIL_TAGS && field->number == TAG_ENDPOINTS;
}

static enum wire put_endpoints_field(struct wire_kafka_tail *tail, const struct field *field)
{
	struct span rest = field->content;
	sink_varint(tail->sink, field->number);
	size_t at = tail->sink->len;
	if (put_endpoints(tail, &rest) != WIRE_OK)
		return WIRE_BAD;
	if (rest.len > 0)
		return bad(tail, KAFKA_BAD_TRAILING);
	uint32_t size = (uint32_t)(tail->sink->len - at);
	wire_kafka_insert_varint(tail->sink, at, size, wire_kafka_varint_size(size));
	return WIRE_OK;
}

static void put_pad(struct sink *sink, uint32_t number, size_t size)
{
	static const uint8_t zeros[256];
	size_t len_size = 1;
	while ((size - len_size) >> (7 * len_size) > 0)
		len_size++;
	size -= len_size;
	sink_varint(sink, number);
	wire_kafka_put_varint(sink, (uint32_t)size, len_size);
	for (size_t n; size > 0; size -= n) {
		n = size < sizeof(zeros) ? size : sizeof(zeros);
		sink_bytes(sink, zeros, n);
	}
}

/* The number of fields in front of them, which are written from `at` on, and a pad behind them. The
 * pad has the highest number, as they should ascend. Where there is no room for one, which takes
 * two bytes, the count is written in more bytes than it needs. */
static enum wire put_count(struct wire_kafka_tail *tail, size_t at, size_t used, uint32_t count,
			   uint32_t number_max)
{
	size_t size = wire_kafka_varint_size(count);
	if (tail->room > 0) {
		uint32_t number = number_max < TAG_PAD ? TAG_PAD : number_max + 1;
		size_t grown = wire_kafka_varint_size(count + 1);
		size_t head = wire_kafka_varint_size(number);
		if (used + size > tail->room)
			return bad(tail, KAFKA_BAD_ROOM);
		if (tail->room - used > grown + head) {
			put_pad(tail->sink, number, tail->room - used - grown - head);
			size = grown;
			count++;
		} else {
			size = tail->room - used;
		}
		if (size > WIRE_KAFKA_VARINT_MAX)
			return bad(tail, KAFKA_BAD_ROOM);
	}
	wire_kafka_insert_varint(tail->sink, at, count, size);
	return WIRE_OK;
}

static enum wire put_tags(struct wire_kafka_tail *tail, struct span *rest, size_t begin)
{
	size_t at = tail->sink->len;
	uint32_t count = 0, kept = 0, number_max = 0;
	struct field field;
	if (wire_kafka_varint(rest, &count) != WIRE_OK)
		return bad(tail, KAFKA_BAD_TAGS);
	for (uint32_t i = 0; i < count; i++) {
		if (take_field(tail, rest, &field) != WIRE_OK)
			return WIRE_BAD;
		if (!is_endpoints(tail, &field))
			sink_span(tail->sink, field.whole);
		else if (tail->is_bare)
			continue;
		else if (put_endpoints_field(tail, &field) != WIRE_OK)
			return WIRE_BAD;
		kept++;
		if (field.number > number_max)
			number_max = field.number;
	}
	if (rest->len > 0)
		return bad(tail, KAFKA_BAD_TRAILING);
	if (tail->sink->full)
		return bad(tail, KAFKA_BAD_ROOM);
	return put_count(tail, at, tail->sink->len - begin, kept, number_max);
}

/* ---- both ----------------------------------------------------------------------------------- */

enum wire wire_kafka_tail_write(struct wire_kafka_tail *tail)
{
	struct span rest = tail->bytes;
	size_t begin = tail->sink->len;
	enum wire res = WIRE_OK;
	bool has_nodes;
	tail->nodes = 0;
	if (tail->op == WIRE_KAFKA_TAIL_ARRAY && tail->is_bare) {
		res = skip_endpoints(tail, &rest, &has_nodes);
		sink_varint(tail->sink, 1);
	} else if (tail->op == WIRE_KAFKA_TAIL_ARRAY) {
		res = put_endpoints(tail, &rest);
	}
	if (res == WIRE_OK)
		res = put_tags(tail, &rest, begin);
	if (res == WIRE_OK && tail->sink->full)
		res = bad(tail, KAFKA_BAD_ROOM);
	return res;
}

enum wire wire_kafka_tail_scan(struct wire_kafka_tail *tail, bool *ret_has_nodes)
{
	struct span rest = tail->bytes;
	uint32_t count = 0;
	struct field field;
	bool has_nodes = false;
	if (tail->op == WIRE_KAFKA_TAIL_ARRAY && skip_endpoints(tail, &rest, &has_nodes) != WIRE_OK)
		return WIRE_BAD;
	if (wire_kafka_varint(&rest, &count) != WIRE_OK)
		return bad(tail, KAFKA_BAD_TAGS);
	for (uint32_t i = 0; i < count; i++) {
		if (take_field(tail, &rest, &field) != WIRE_OK)
			return WIRE_BAD;
		has_nodes = has_nodes || is_endpoints(tail, &field);
	}
	if (rest.len > 0)
		return bad(tail, KAFKA_BAD_TRAILING);
	*ret_has_nodes = has_nodes;
	return WIRE_OK;
}
