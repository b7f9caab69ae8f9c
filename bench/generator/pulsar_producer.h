/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * A Pulsar client with a producer: SENDs numbered from 0, and their receipts.
 */
#ifndef BENCH_PULSAR_PRODUCER_H
#define BENCH_PULSAR_PRODUCER_H

#include "pulsar_client.h"

struct pulsar_producer;

struct pulsar_producer_user {
	void (*on_ready)(struct pulsar_producer *p);
	void (*on_receipt)(struct pulsar_producer *p, uint64_t number, bool good);
	void (*on_room)(struct pulsar_producer *p);
	void (*on_end)(struct pulsar_producer *p);
};

/* Zeroed, with user, owner and the batch set and the client prepared. */
struct pulsar_producer {
	struct pulsar_client client; /* must be first */
	const struct pulsar_producer_user *user;
	void *owner;
	char name[64];
	struct pulsar_batch batch;
};

void pulsar_producer_start(struct pulsar_producer *p, uint32_t line);
void pulsar_producer_send(struct pulsar_producer *p, uint64_t number);
/* Whether the message with this metadata is one of its. */
bool pulsar_producer_sent(const struct pulsar_producer *p, const struct wire_reader *metadata);

#endif
