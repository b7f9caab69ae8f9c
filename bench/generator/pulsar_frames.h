/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Pulsar's frames, as much of them as a client and the fake broker need: each pulsar_put_* appends
 * one whole frame, pulsar_parse opens one. A command is a small protobuf; fields are looked up by
 * their numbers (Pulsar's PulsarApi.proto).
 */
#ifndef BENCH_PULSAR_FRAMES_H
#define BENCH_PULSAR_FRAMES_H

#include "crc32c.h"
#include "frames.h"
#include "wire.h"

enum pulsar_type {
	PULSAR_CONNECT = 2,
	PULSAR_CONNECTED = 3,
	PULSAR_SUBSCRIBE = 4,
	PULSAR_PRODUCER = 5,
	PULSAR_SEND = 6,
	PULSAR_SEND_RECEIPT = 7,
	PULSAR_SEND_ERROR = 8,
	PULSAR_MESSAGE = 9,
	PULSAR_ACK = 10,
	PULSAR_FLOW = 11,
	PULSAR_SUCCESS = 13,
	PULSAR_ERROR = 14,
	PULSAR_CLOSE_PRODUCER = 15,
	PULSAR_CLOSE_CONSUMER = 16,
	PULSAR_PRODUCER_SUCCESS = 17,
	PULSAR_PING = 18,
	PULSAR_PONG = 19,
	PULSAR_PARTITIONED_METADATA = 21,
	PULSAR_PARTITIONED_METADATA_RESPONSE = 22,
	PULSAR_LOOKUP = 23,
	PULSAR_LOOKUP_RESPONSE = 24,
};

enum pulsar_lookup_type { PULSAR_REDIRECT, PULSAR_GO, PULSAR_FAILED };

enum {
	PULSAR_NAME_BYTES = 256,   /* topics, subscriptions and addresses are shorter */
	PULSAR_FRAME_BYTES = 1024, /* every frame without a payload, and the head of one with it */
	PULSAR_PROTOCOL = 21,
};

struct pulsar_command {
	enum pulsar_type type;
	struct wire_reader body;
	struct wire_reader rest; /* of the frame: checksum, metadata, messages; as far as kept */
	size_t rest_bytes;	 /* all of it */
};

bool pulsar_parse(const struct frame *frame, struct pulsar_command *ret_command);
uint64_t pulsar_number(const struct wire_reader *body, uint32_t field, uint64_t unless_given);
bool pulsar_has(const struct wire_reader *body, uint32_t field);
/* Empty when the field is not there. */
struct wire_reader pulsar_bytes(const struct wire_reader *body, uint32_t field);
/* MessageMetadata of a SEND or MESSAGE, and how many bytes of messages follow it. */
struct wire_reader pulsar_metadata(const struct pulsar_command *command, size_t *ret_bytes);

/* A client's. */
void pulsar_put_connect(struct wire_writer *w, const char *broker); /* NULL: not by a proxy */
void pulsar_put_partitions(struct wire_writer *w, const char *topic, uint64_t request);
void pulsar_put_lookup(struct wire_writer *w, const char *topic, uint64_t request, bool final);
void pulsar_put_producer(struct wire_writer *w, const char *topic, const char *name,
			 uint64_t request);
struct pulsar_subscription { /* exclusive, not durable */
	const char *topic;
	const char *name;
	uint64_t consumer;
	bool from_earliest; /* else from the latest */
};
void pulsar_put_subscribe(struct wire_writer *w, const struct pulsar_subscription *s,
			  uint64_t request);
void pulsar_put_flow(struct wire_writer *w, uint64_t consumer, uint64_t permits);
void pulsar_put_ack(struct wire_writer *w, uint64_t consumer, const struct wire_reader *message_id);
void pulsar_put_close_consumer(struct wire_writer *w, uint64_t consumer, uint64_t request);
void pulsar_put_bare(struct wire_writer *w, enum pulsar_type type); /* PING, PONG */

/* What a producer sends again and again: everything of a batch but its head. Producers can share
 * the payload: each has a copy of the struct, with its own name. */
struct pulsar_batch {
	const char *producer;
	uint32_t message_count; /* 0: not a batch but one plain message */
	uint8_t *payload;
	size_t payload_bytes;
	struct crc32c_tail sum;
};

/* One plain message of `bytes`, or as many of `message_bytes` as go into that, in Pulsar's batch
 * format; `message_bytes` 0: plain. */
void pulsar_batch_init(struct pulsar_batch *b, size_t bytes, size_t message_bytes);
void pulsar_batch_free(struct pulsar_batch *b);
/* The head of SEND number `number`, from 0; the payload goes behind it. */
void pulsar_put_send(struct wire_writer *w, const struct pulsar_batch *b, uint64_t number);
/* How many messages a SEND has, each with a sequence id: SEND n begins with n times that. */
uint64_t pulsar_batch_messages(const struct pulsar_batch *b);

/* A broker's. */
void pulsar_put_connected(struct wire_writer *w);
void pulsar_put_partitions_response(struct wire_writer *w, uint64_t request);
void pulsar_put_lookup_response(struct wire_writer *w, const char *broker_url, bool through_service,
				uint64_t request);
void pulsar_put_producer_success(struct wire_writer *w, uint64_t request,
				 const struct wire_reader *name);
void pulsar_put_success(struct wire_writer *w, uint64_t request);
void pulsar_put_receipt(struct wire_writer *w, uint64_t producer, uint64_t sequence_id,
			uint64_t entry);
/* The head of a MESSAGE; the rest of a SEND goes behind it. */
void pulsar_put_message(struct wire_writer *w, uint64_t consumer, uint64_t entry,
			size_t rest_bytes);

#endif
