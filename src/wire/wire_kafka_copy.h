/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * wire_kafka_copy: bytes of a response copied from a span that holds them all into a sink, with the
 * addresses replaced. Nothing is copied before the first address, so that a response without one
 * costs only the walk.
 *
 *     frame   | copied | kept                            |
 *                      |          address |  rest        |
 */
#pragma once

#include "wire_kafka_walk.h"

struct wire_kafka_copy {
	const struct kafka_names *names;
	struct sink *sink;
	struct span kept; /* not copied yet */
	uint32_t nodes;
	enum kafka_bad bad;
};

/* Walks to the last step of the layout, which is in *ret_end. MORE and BAD leave the sink half
 * written. */
enum wire wire_kafka_copy_run(struct wire_kafka_copy *copy, struct kafka_walk *walk,
			      struct span *rest, enum wire_kafka_op *ret_end);
/* What is kept, up to where `rest` begins. */
void wire_kafka_copy_flush(struct wire_kafka_copy *copy, struct span rest);
