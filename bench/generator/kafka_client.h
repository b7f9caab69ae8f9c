/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * One Kafka client of one partition, as far as the connection to its leader: ApiVersions and
 * Metadata at the bootstrap address, until the topic is there, then ApiVersions at the leader's,
 * unless that is the same.
 */
#ifndef BENCH_KAFKA_CLIENT_H
#define BENCH_KAFKA_CLIENT_H

#include "framed.h"
#include "kafka_frames.h"
#include "load.h"
#include "topic.h"

struct kafka_client;

struct kafka_client_user {
	void (*on_ready)(struct kafka_client *c); /* client->broker may be used */
	/* From the broker, once ready. */
	void (*on_answer)(struct kafka_client *c, uint32_t id, struct wire_reader body);
	void (*on_room)(struct kafka_client *c);
	/* All is closed and the reason counted. */
	void (*on_end)(struct kafka_client *c);
};

enum kafka_step {
	KAFKA_STEP_IDLE,
	KAFKA_STEP_VERSIONS,
	KAFKA_STEP_METADATA,
	KAFKA_STEP_LEADER, /* ApiVersions at the leader */
	KAFKA_STEP_READY,
};

struct kafka_client {
	const struct kafka_client_user *user;
	void *owner;
	struct load *load;
	int epoll_fd;
	uint32_t line;
	bool seeks_leader; /* false: the bootstrap connection will do */
	char topic[TOPIC_NAME_BYTES];

	enum kafka_step step;
	struct framed bootstrap;
	struct framed other; /* to the leader, if it is elsewhere */
	struct framed *broker;
	struct kafka_leader leader;
	uint32_t tries;
};

/* Sets what every client of a run has in common, and the topic of the line. */
void kafka_client_prepare(struct kafka_client *c, struct load *l, int epoll_fd, uint32_t line);
/* With the fields above `step` set, the others zero. It ends at once when it cannot dial. */
void kafka_client_start(struct kafka_client *c);
/* Counts the error of an answer; whether there is none. */
bool kafka_client_is_good(struct kafka_client *c, uint16_t error);
/* Counts the error, ends. */
void kafka_client_refuse(struct kafka_client *c, uint16_t error);
void kafka_client_free(struct kafka_client *c);

#endif
