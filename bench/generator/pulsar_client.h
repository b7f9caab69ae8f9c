/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * One Pulsar client of one topic, as far as the connection to the topic's broker: what the real
 * clients do. CONNECT to the service address, PARTITIONED_METADATA, LOOKUP; a redirect is followed;
 * then the broker's connection: through the service address with the broker named in CONNECT when
 * the answer says proxy_through_service_url, straight to the broker's address when it does not,
 * and the first connection itself when that is where it leads.
 */
#ifndef BENCH_PULSAR_CLIENT_H
#define BENCH_PULSAR_CLIENT_H

#include "framed.h"
#include "load.h"
#include "pulsar_frames.h"
#include "topic.h"

struct pulsar_client;

struct pulsar_client_user {
	void (*on_ready)(struct pulsar_client *c); /* client->broker may be used */
	/* From the broker, once ready. PING is answered already, errors are counted already. */
	void (*on_command)(struct pulsar_client *c, const struct pulsar_command *command);
	void (*on_room)(struct pulsar_client *c); /* NULL: does not matter */
	/* All is closed and the reason counted. */
	void (*on_end)(struct pulsar_client *c);
};

enum pulsar_step {
	PULSAR_STEP_IDLE,
	PULSAR_STEP_CONNECT,
	PULSAR_STEP_PARTITIONS,
	PULSAR_STEP_LOOKUP,
	PULSAR_STEP_BROKER, /* CONNECT to where the lookup pointed */
	PULSAR_STEP_READY,
};

struct pulsar_client {
	const struct pulsar_client_user *user;
	void *owner;
	struct load *load;
	int epoll_fd;
	const struct load_addr *to;
	bool looks_up; /* false: ready as soon as the service address has said CONNECTED */
	char topic[TOPIC_NAME_BYTES]; /* of the partition, once that is known */

	enum pulsar_step step;
	struct framed service;
	struct framed other; /* where it was sent, if that is not the service's connection */
	struct framed *broker;
	char other_name[PULSAR_NAME_BYTES]; /* "host:port" */
	uint64_t request;
	uint32_t hops;
	bool final; /* the next lookup is authoritative */
	bool redirected;
};

/* Sets what every client of a run has in common, and the topic of the line. */
void pulsar_client_prepare(struct pulsar_client *c, struct load *l, int epoll_fd, uint32_t line);
/* With the fields above `step` set, the others zero. It ends at once when it cannot dial. */
void pulsar_client_start(struct pulsar_client *c);
/* Sends nothing, tells nobody. */
void pulsar_client_close(struct pulsar_client *c);
void pulsar_client_free(struct pulsar_client *c);
/* To the broker. */
void pulsar_client_put(struct pulsar_client *c, const struct wire_writer *w);

#endif
