/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * wire_kafka_walk: walking a response field by field, from its size field on, by the layout of its
 * API and version. The walk can stop after any field and go on when more bytes are there.
 * Thread:   any (pure functions over spans; struct kafka_walk holds the place)
 * Errors:   WIRE_MORE takes nothing; WIRE_BAD with walk->bad
 */
#pragma once

#include <penstock/wire/kafka_rewrite.h>

enum wire_kafka_op {
	WIRE_KAFKA_SKIP,    /* `bytes` bytes */
	WIRE_KAFKA_STRING,  /* a string of no interest */
	WIRE_KAFKA_RECORDS, /* bytes of no interest */
	WIRE_KAFKA_TAGS,    /* tagged fields of no interest */
	WIRE_KAFKA_ARRAY,   /* entries, up to the END that belongs to it */
	WIRE_KAFKA_END,
	WIRE_KAFKA_ENDPOINTS_OF, /* i8: are the nodes of this response controllers? */
	WIRE_KAFKA_NODE_ID,	 /* i32: whose listeners follow */
	WIRE_KAFKA_NODE,	 /* i32 id, string host, i32 port */
	WIRE_KAFKA_NODE_RACK,	 /* and string rack */
	WIRE_KAFKA_LISTENER,	 /* string name, string host, u16 port */
	/* The last step of every layout: */
	WIRE_KAFKA_FINISH,    /* the frame ends here */
	WIRE_KAFKA_REST,      /* the rest of the frame is of no interest */
	WIRE_KAFKA_TAIL_TAGS, /* tagged fields, 0: NodeEndpoints (wire_kafka_tail.h) */
	WIRE_KAFKA_TAIL_ARRAY /* NodeEndpoints, then tagged fields */
};

struct wire_kafka_step {
	uint8_t op;
	uint8_t bytes;	      /* WIRE_KAFKA_SKIP */
	uint8_t since, until; /* versions that have this field; until 0: all later ones */
};

struct wire_kafka_layout {
	int16_t key;
	uint8_t since, until; /* versions */
	const struct wire_kafka_step *steps;
};
/* Index of the layout; -1: none. */
int wire_kafka_layout_find(int16_t key, int16_t version);
const struct wire_kafka_layout *wire_kafka_layout(int index);
#define WIRE_KAFKA_LAYOUT_ENDPOINTS 0 /* NodeEndpoints alone: an array of nodes */

struct wire_kafka_token {
	enum wire_kafka_op op; /* SKIP, NODE or LISTENER, or a last step, which is found again */
	uint32_t skip;	       /* bytes behind what was taken, to be left out unread */
	struct kafka_node node;
	struct span address; /* host and port as they were written */
};

/* The API must have a layout for this version. */
void wire_kafka_walk_begin(struct kafka_walk *walk, int layout, int16_t version, bool is_flexible,
			   uint64_t size);
/* The next field off the front of `rest`. What it says of `skip` is taken from the walk, not from
 * `rest`. */
enum wire wire_kafka_walk_next(struct kafka_walk *walk, struct span *rest,
			       struct wire_kafka_token *ret_token);
