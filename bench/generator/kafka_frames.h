/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Kafka's frames, as much of them as a client and the fake broker need, each in one version that
 * brokers 3.9 to 4.4 and later accept, all of them flexible (compact strings, tagged fields).
 * Produce and Fetch are those whose answers may name brokers (KIP-951), as those of today's clients
 * may: a gateway has to look at them.
 */
#ifndef BENCH_KAFKA_FRAMES_H
#define BENCH_KAFKA_FRAMES_H

#include "frames.h"
#include "wire.h"

enum kafka_key {
	KAFKA_PRODUCE = 0,
	KAFKA_FETCH = 1,
	KAFKA_METADATA = 3,
	KAFKA_API_VERSIONS = 18,
};

/* The version of each that is spoken here. */
enum {
	KAFKA_PRODUCE_VERSION = 11,
	KAFKA_FETCH_VERSION = 17,
	KAFKA_METADATA_VERSION = 12,
	KAFKA_API_VERSIONS_VERSION = 3,
};

enum kafka_error {
	KAFKA_NONE = 0,
	KAFKA_UNKNOWN_TOPIC_OR_PARTITION = 3,
	KAFKA_LEADER_NOT_AVAILABLE = 5,
	KAFKA_NOT_LEADER = 6,
	KAFKA_UNSUPPORTED_VERSION = 35,
	KAFKA_BROKEN = 0xffff, /* the answer: not among Kafka's own */
};

enum {
	KAFKA_NAME_BYTES = 256, /* topics and hosts are shorter */
	KAFKA_UUID_BYTES = 16,
	KAFKA_FRAME_BYTES = 1024,    /* every frame of ours but for its records */
	KAFKA_PRODUCE_END_BYTES = 3, /* zeros that follow the records of a Produce */
};

/* ---- a client's ------------------------------------------------------------------------------ */

void kafka_put_api_versions(struct wire_writer *w, uint32_t id);
/* A topic of NULL: of all. */
void kafka_put_metadata(struct wire_writer *w, uint32_t id, const char *topic);
/* Behind it go the records, and KAFKA_PRODUCE_END_BYTES zeros. */
void kafka_put_produce(struct wire_writer *w, uint32_t id, const char *topic, uint32_t partition,
		       size_t records_bytes);
void kafka_put_fetch(struct wire_writer *w, uint32_t id, const uint8_t topic[KAFKA_UUID_BYTES],
		     uint32_t partition, uint64_t offset, uint64_t max_bytes);

/* A record batch with as many records of `record_bytes` as go into `bytes`, one of `bytes` when
 * `record_bytes` is 0. It has room for KAFKA_PRODUCE_END_BYTES zeros behind it. */
struct kafka_batch {
	uint8_t *records;
	size_t records_bytes;
	uint32_t record_count;
};

void kafka_batch_init(struct kafka_batch *b, size_t bytes, size_t record_bytes);
void kafka_batch_free(struct kafka_batch *b);

/* The correlation id of an answer; `ret_body` is behind the header. Only ApiVersions' has no tagged
 * fields there. */
uint32_t kafka_parse(const struct frame *frame, bool api_versions, struct wire_reader *ret_body);

/* KAFKA_NONE: all that is needed here is offered. */
uint16_t kafka_parse_api_versions(struct wire_reader body);

struct kafka_leader {
	uint16_t error;
	uint8_t topic[KAFKA_UUID_BYTES];
	uint32_t partition_count;
	uint32_t partition;
	char host[KAFKA_NAME_BYTES];
	uint32_t port;
};

/* The leader of partition number `line`, modulo how many there are, of the one topic asked for;
 * the same error is in it. */
uint16_t kafka_parse_metadata(struct wire_reader body, uint32_t line,
			      struct kafka_leader *ret_leader);
/* How many topics all are. */
uint16_t kafka_parse_metadata_of_all(struct wire_reader body, uint64_t *ret_topics);
/* Of the one partition asked for. */
uint16_t kafka_parse_produce(struct wire_reader body, uint64_t *ret_offset);
uint16_t kafka_parse_fetch(struct wire_reader body, uint64_t *ret_records_bytes);

#endif
