/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Walking a response. The place is a step of the layout and, for each array begun, how many entries
 * are left; every step takes a few bytes or tells how many are to be left out unread. Nothing is
 * believed that the rest of the frame has no room for.
 */
#include "wire_kafka_walk.h"

#include "wire_kafka_read.h"

void wire_kafka_walk_begin(struct kafka_walk *walk, int layout, int16_t version, bool is_flexible,
			   uint64_t size)
{
	CHECK(layout >= 0 && version >= 0 && version <= UINT8_MAX);
	*walk = (struct kafka_walk){
		.left = size,
		.layout = (uint8_t)layout,
		.version = (uint8_t)version,
		.is_flexible = is_flexible,
		.node = -1,
	};
}

static const struct wire_kafka_step *step_at(const struct kafka_walk *walk)
{
	return &wire_kafka_layout(walk->layout)->steps[walk->step];
}

static enum wire bad(struct kafka_walk *walk, enum kafka_bad reason)
{
	walk->bad = (uint8_t)reason;
	return WIRE_BAD;
}

/* ---- steps without an address --------------------------------------------------------------- */

/* To the END of the array that the present step begins. */
static void skip_entries(struct kafka_walk *walk)
{
	for (uint32_t depth = 0;; walk->step++) {
		if (step_at(walk)->op == WIRE_KAFKA_ARRAY)
			depth++;
		else if (step_at(walk)->op == WIRE_KAFKA_END && --depth == 0)
			return;
	}
}

/* Every entry of every layout has a byte at least. */
static enum wire begin_array(struct kafka_walk *walk, struct span *rest)
{
	uint32_t count = 0;
	enum wire res = wire_kafka_count(rest, walk->is_flexible, &count);
	if (res != WIRE_OK)
		return res;
	if (count > walk->left)
		return WIRE_BAD;
	if (count == 0) {
		skip_entries(walk);
	} else {
		CHECK(walk->loops < KAFKA_WALK_LOOPS);
		walk->entries[walk->loops] = count;
		walk->first[walk->loops] = (uint8_t)(walk->step + 1);
		walk->loops++;
	}
	walk->step++;
	return WIRE_OK;
}

static void end_entry(struct kafka_walk *walk)
{
	CHECK(walk->loops > 0);
	uint8_t loop = (uint8_t)(walk->loops - 1);
	if (--walk->entries[loop] > 0) {
		walk->step = walk->first[loop];
		return;
	}
	walk->loops--;
	walk->step++;
}

static enum wire begin_tags(struct kafka_walk *walk, struct span *rest)
{
	uint32_t count = 0;
	enum wire res = WIRE_OK;
	if (walk->is_flexible)
		res = wire_kafka_varint(rest, &count);
	if (res != WIRE_OK)
		return res;
	if (count > walk->left / 2) /* a number and a size each */
		return WIRE_BAD;
	walk->tags = count;
	walk->step++;
	return WIRE_OK;
}

static enum wire skip_tag(struct kafka_walk *walk, struct span *rest,
			  struct wire_kafka_token *token)
{
	struct wire_kafka_tag tag;
	enum wire res = wire_kafka_tag(rest, &tag);
	if (res != WIRE_OK)
		return res;
	walk->tags--;
	token->skip = tag.size;
	return WIRE_OK;
}

/* ---- steps with one ------------------------------------------------------------------------- */

static enum wire take_address(struct kafka_walk *walk, struct span *rest, bool is_short_port,
			      struct wire_kafka_token *token)
{
	struct span begin = *rest;
	enum wire res = wire_kafka_string(rest, walk->is_flexible, &token->node.host);
	if (res == WIRE_OK && is_short_port) {
		int16_t port = 0;
		res = wire_kafka_i16(rest, &port);
		token->node.port = (uint16_t)port;
	} else if (res == WIRE_OK) {
		res = wire_kafka_i32(rest, &token->node.port);
	}
	if (res == WIRE_OK && token->node.host.at == NULL)
		return WIRE_BAD;
	token->address = span_of(begin.at, begin.len - rest->len);
	return res;
}

static enum wire take_node(struct kafka_walk *walk, struct span *rest, bool has_rack,
			   struct wire_kafka_token *token)
{
	enum wire res = wire_kafka_i32(rest, &token->node.id);
	if (res == WIRE_OK)
		res = take_address(walk, rest, false, token);
	if (res == WIRE_OK && has_rack)
		res = wire_kafka_string(rest, walk->is_flexible, &token->node.rack);
	token->node.kind = walk->is_controller ? KAFKA_NODE_CONTROLLER : KAFKA_NODE_BROKER;
	walk->step++;
	return res;
}

static enum wire take_listener(struct kafka_walk *walk, struct span *rest,
			       struct wire_kafka_token *token)
{
	enum wire res = wire_kafka_string(rest, walk->is_flexible, &token->node.listener);
	if (res == WIRE_OK)
		res = take_address(walk, rest, true, token);
	token->node.kind = KAFKA_NODE_CONTROLLER;
	token->node.id = walk->node;
	walk->step++;
	return res;
}

static enum wire take_endpoints_of(struct kafka_walk *walk, struct span *rest)
{
	uint8_t kind;
	if (!span_u8(rest, &kind))
		return WIRE_MORE;
	walk->is_controller = kind != 1; /* 1: brokers; what is neither is none of ours to map */
	walk->step++;
	return WIRE_OK;
}

/* ---- the walk ------------------------------------------------------------------------------- */

static bool has_version(const struct kafka_walk *walk, const struct wire_kafka_step *step)
{
	return walk->version >= step->since && (step->until == 0 || walk->version <= step->until);
}

static enum wire take_step(struct kafka_walk *walk, struct span *rest,
			   struct wire_kafka_token *token)
{
	const struct wire_kafka_step *step = step_at(walk);
	enum wire res = WIRE_OK;
	if (!has_version(walk, step)) {
		walk->step++;
		return WIRE_OK;
	}
	switch ((enum wire_kafka_op)step->op) {
	case WIRE_KAFKA_SKIP:
		token->skip = step->bytes;
		break;
	case WIRE_KAFKA_STRING:
		res = wire_kafka_string_len(rest, walk->is_flexible, &token->skip);
		break;
	case WIRE_KAFKA_RECORDS:
		res = wire_kafka_bytes_len(rest, walk->is_flexible, &token->skip);
		break;
	case WIRE_KAFKA_NODE_ID:
		res = wire_kafka_i32(rest, &walk->node);
		break;
	case WIRE_KAFKA_TAGS:
		return begin_tags(walk, rest);
	case WIRE_KAFKA_ARRAY:
		return begin_array(walk, rest);
	case WIRE_KAFKA_END:
		end_entry(walk);
		return WIRE_OK;
	case WIRE_KAFKA_ENDPOINTS_OF:
		return take_endpoints_of(walk, rest);
	case WIRE_KAFKA_NODE:
	case WIRE_KAFKA_NODE_RACK:
		token->op = step->op;
		return take_node(walk, rest, step->op == WIRE_KAFKA_NODE_RACK, token);
	case WIRE_KAFKA_LISTENER:
		token->op = step->op;
		return take_listener(walk, rest, token);
	case WIRE_KAFKA_FINISH:
	case WIRE_KAFKA_REST:
	case WIRE_KAFKA_TAIL_TAGS:
	case WIRE_KAFKA_TAIL_ARRAY:
		token->op = step->op;
		return WIRE_OK;
	}
	walk->step++;
	return res;
}

static enum kafka_bad reason_of(const struct kafka_walk *walk)
{
	static const uint8_t reasons[] = {
		[WIRE_KAFKA_TAGS] = KAFKA_BAD_TAGS,
		[WIRE_KAFKA_ARRAY] = KAFKA_BAD_ARRAY,
		[WIRE_KAFKA_NODE] = KAFKA_BAD_ADDRESS,
		[WIRE_KAFKA_NODE_RACK] = KAFKA_BAD_ADDRESS,
		[WIRE_KAFKA_LISTENER] = KAFKA_BAD_ADDRESS,
	};
	uint8_t op = walk->tags > 0 ? WIRE_KAFKA_TAGS : step_at(walk)->op;
	if (op < COUNT_OF(reasons) && reasons[op] != KAFKA_BAD_NONE)
		return reasons[op];
	return KAFKA_BAD_STRING;
}

enum wire wire_kafka_walk_next(struct kafka_walk *walk, struct span *rest,
			       struct wire_kafka_token *ret_token)
{
	struct wire_kafka_token token = { .op = WIRE_KAFKA_SKIP };
	struct kafka_walk next = *walk;
	struct span at = *rest;
	if (at.len > next.left)
		at.len = (size_t)next.left;
	size_t len = at.len;
	enum wire res =
		next.tags > 0 ? skip_tag(&next, &at, &token) : take_step(&next, &at, &token);
	if (res == WIRE_BAD)
		return bad(walk, reason_of(walk));
	if (res == WIRE_MORE)
		return len == next.left ? bad(walk, KAFKA_BAD_OVERRUN) : WIRE_MORE;
	next.left -= len - at.len;
	if (token.skip > next.left)
		return bad(walk, KAFKA_BAD_OVERRUN);
	next.left -= token.skip;
	if (token.op == WIRE_KAFKA_FINISH && next.left > 0)
		return bad(walk, KAFKA_BAD_TRAILING);
	if (!span_skip(rest, len - at.len))
		return bad(walk, KAFKA_BAD_OVERRUN);
	*walk = next;
	*ret_token = token;
	return WIRE_OK;
}
