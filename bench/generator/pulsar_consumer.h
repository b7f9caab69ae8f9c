/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * A Pulsar client with an exclusive consumer, not durable, as a reader's. Permits are renewed when
 * half of them are used, as the real clients do, and what came so far is acknowledged with that.
 */
#ifndef BENCH_PULSAR_CONSUMER_H
#define BENCH_PULSAR_CONSUMER_H

#include "pulsar_client.h"

struct pulsar_consumer;

struct pulsar_consumer_user {
	void (*on_ready)(struct pulsar_consumer *c); /* subscribed, again after each rewind */
	void (*on_message)(struct pulsar_consumer *c, const struct pulsar_command *command);
	void (*on_end)(struct pulsar_consumer *c);
};

/* Zeroed, with user, owner and from_earliest set and the client prepared. */
struct pulsar_consumer {
	struct pulsar_client client; /* must be first */
	const struct pulsar_consumer_user *user;
	void *owner;
	bool from_earliest; /* else from the latest */
	uint32_t line;
	uint64_t id;   /* one more with each subscription */
	uint64_t used; /* permits since the last FLOW */
};

void pulsar_consumer_start(struct pulsar_consumer *c, uint32_t line);
/* Ends the subscription and makes one that begins where the first one did. */
void pulsar_consumer_rewind(struct pulsar_consumer *c);

#endif
