/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Copying a response with other addresses in it.
 */
#include "wire_kafka_copy.h"

#include "wire_kafka_read.h"

/* The next `len` bytes, which are not kept any longer. */
static struct span take_kept(struct wire_kafka_copy *copy, size_t len)
{
	struct span piece = { 0 };
	bool is_taken = span_take(&copy->kept, len, &piece);
	CHECK(is_taken);
	return piece;
}

void wire_kafka_copy_flush(struct wire_kafka_copy *copy, struct span rest)
{
	CHECK(rest.len <= copy->kept.len);
	sink_span(copy->sink, take_kept(copy, copy->kept.len - rest.len));
}

/* How a response says that there is no node. */
static bool is_nobody(const struct kafka_node *node)
{
	return node->id < 0 && node->host.len == 0;
}

static enum wire put_address(struct wire_kafka_copy *copy, bool is_flexible,
			     const struct wire_kafka_token *token)
{
	struct kafka_name name = { 0 };
	if (is_nobody(&token->node))
		return WIRE_OK;
	if (!copy->names->name(copy->names->owner, &token->node, &name)) {
		copy->bad = KAFKA_BAD_NO_NAME;
		return WIRE_BAD;
	}
	sink_span(copy->sink, take_kept(copy, (size_t)(token->address.at - copy->kept.at)));
	(void)take_kept(copy, token->address.len);
	wire_kafka_put_string(copy->sink, is_flexible, name.host);
	if (token->op == WIRE_KAFKA_LISTENER)
		sink_u16(copy->sink, name.port);
	else
		sink_u32(copy->sink, name.port);
	copy->nodes++;
	return WIRE_OK;
}

static bool is_last_step(enum wire_kafka_op op)
{
	return op >= WIRE_KAFKA_FINISH;
}

enum wire wire_kafka_copy_run(struct wire_kafka_copy *copy, struct kafka_walk *walk,
			      struct span *rest, enum wire_kafka_op *ret_end)
{
	struct wire_kafka_token token;
	for (;;) {
		enum wire res = wire_kafka_walk_next(walk, rest, &token);
		if (res == WIRE_BAD)
			copy->bad = walk->bad;
		if (res != WIRE_OK)
			return res;
		if (is_last_step(token.op))
			break;
		if (!span_skip(rest, token.skip))
			return WIRE_MORE;
		if (token.op != WIRE_KAFKA_SKIP &&
		    put_address(copy, walk->is_flexible, &token) != WIRE_OK)
			return WIRE_BAD;
	}
	*ret_end = token.op;
	return WIRE_OK;
}
