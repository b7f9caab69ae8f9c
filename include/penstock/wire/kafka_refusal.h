/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * wire/kafka_refusal: errors said in a broker's place where a response repeats what was asked for:
 * for each topic, each partition, each resource (kafka_refusal.def). The request is walked as it
 * arrives; names and numbers go into the answer, everything else, records above all, is left out
 * unread. What is kept between two pieces is the answer so far and struct kafka_refusal.
 *
 * Thread:   any (pure functions)
 * Memory:   the answer grows in the caller's sink, which must hold nothing else
 * Errors:   as in wire/kafka.h; WIRE_BAD with KAFKA_BAD_ROOM: the answer does not fit
 */
#pragma once

#include <penstock/wire/kafka.h>

#define KAFKA_REFUSAL_LOOPS 3

struct kafka_refusal {
	uint64_t left; /* of the request's frame */
	uint64_t skip; /* of that, to be left out unread */
	uint32_t tags; /* of the section at hand, likewise */
	uint32_t entries[KAFKA_REFUSAL_LOOPS];
	uint8_t first[KAFKA_REFUSAL_LOOPS]; /* letter that each of these begins with */
	uint8_t loops;
	uint8_t row, letter;
	uint8_t stage; /* of the request: header, body, end */
	bool is_flexible;
};

/* Is there such an answer for this key and version? */
bool kafka_refusal_has(const struct kafka_request *request);
/* Begins one, which there must be, in the sink, which is empty. */
void kafka_refusal_begin(struct kafka_refusal *refusal, const struct kafka_request *request,
			 struct sink *sink);
/* `bytes` begin where the walk is, at first with the request's size field. *ret_taken of them, all
 * within the request, are done with, on WIRE_MORE too. WIRE_OK: the request is over, and the whole
 * answer is in the sink. WIRE_MORE: why->need bytes behind those taken are wanted. Not to be called
 * again after WIRE_OK or WIRE_BAD. */
enum wire kafka_refusal_see(struct kafka_refusal *refusal, struct span bytes, struct sink *sink,
			    size_t *ret_taken, struct kafka_why *why);
