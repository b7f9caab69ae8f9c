/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * A Kafka client that stores batches at a partition's leader, some of them before it says that it
 * is ready: a leader of a new topic refuses for a while, and a reader wants something to read.
 */
#ifndef BENCH_KAFKA_PRODUCER_H
#define BENCH_KAFKA_PRODUCER_H

#include "kafka_client.h"

struct kafka_producer;

struct kafka_producer_user {
	void (*on_ready)(struct kafka_producer *p); /* all of store_count are stored */
	/* From then on. */
	void (*on_answer)(struct kafka_producer *p, uint32_t id, struct wire_reader body);
	void (*on_room)(struct kafka_producer *p);
	void (*on_end)(struct kafka_producer *p);
};

/* Zeroed, with what stands above `sent` set and the client prepared. */
struct kafka_producer {
	struct kafka_client client; /* must be first */
	const struct kafka_producer_user *user;
	void *owner;
	const struct kafka_batch *batch;
	uint64_t store_count; /* 1 at least */

	uint64_t sent;
	uint64_t stored;
	uint32_t refusals;
	uint64_t first_offset; /* of what is stored */
	uint64_t end_offset;
};

void kafka_producer_start(struct kafka_producer *p);
void kafka_producer_send(struct kafka_producer *p, uint32_t id);

#endif
