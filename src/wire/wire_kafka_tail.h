/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * wire_kafka_tail: the end of Produce, Fetch, ShareFetch and ShareAcknowledge responses, where the
 * addresses are, with other addresses in it: of whatever length that makes, or of exactly the
 * length it had. To keep a length, what was saved is filled up with a tagged field nobody knows,
 * which every client skips (KIP-482):
 *
 *     Produce, Fetch           tags count | 0: NodeEndpoints | others | PAD
 *     ShareFetch, -Acknowledge NodeEndpoints | tags count | others | PAD
 */
#pragma once

#include "wire_kafka_copy.h"

struct wire_kafka_tail {
	enum wire_kafka_op op; /* TAIL_TAGS or TAIL_ARRAY */
	struct span bytes;     /* from there to the end of the frame */
	const struct kafka_names *names;
	struct sink *sink;
	size_t room;	/* bytes to be written, no more and no less; 0: as many as it takes */
	bool is_bare;	/* leave all addresses out */
	uint32_t nodes; /* out: addresses replaced */
	enum kafka_bad bad;
};

/* Are there addresses? BAD where it is no tail. */
enum wire wire_kafka_tail_scan(struct wire_kafka_tail *tail, bool *ret_has_nodes);
/* WIRE_OK, or WIRE_BAD with tail->bad: KAFKA_BAD_ROOM means that it does not fit. */
enum wire wire_kafka_tail_write(struct wire_kafka_tail *tail);
