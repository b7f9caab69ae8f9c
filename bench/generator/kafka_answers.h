/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Kafka's frames from the broker's side: what the fake broker reads and answers.
 */
#ifndef BENCH_KAFKA_ANSWERS_H
#define BENCH_KAFKA_ANSWERS_H

#include "kafka_frames.h"

struct kafka_request {
	uint16_t key;
	uint16_t version;
	uint32_t id;
	struct wire_reader body;
};

/* False: broken, or a key or version that is not spoken here; ApiVersions is taken in any. */
bool kafka_parse_request(const struct frame *frame, struct kafka_request *ret_request);

/* The one partition of a Produce or a Fetch. */
struct kafka_partition {
	struct wire_reader topic; /* Produce: its name, Fetch: its uuid */
	uint32_t index;
	uint64_t offset;	    /* Fetch */
	uint32_t max_bytes;	    /* Fetch */
	struct wire_reader records; /* Produce, as far as kept */
	size_t records_bytes;
	uint32_t record_count;
};

bool kafka_parse_produce_request(const struct kafka_request *q, struct kafka_partition *ret_p);
bool kafka_parse_fetch_request(const struct kafka_request *q, struct kafka_partition *ret_p);

void kafka_put_api_versions_answer(struct wire_writer *w, const struct kafka_request *q);
/* Metadata: how many topics are asked for, and, one after the other, their names. */
uint64_t kafka_take_topics(struct wire_reader *r, bool *ret_all);
struct wire_reader kafka_take_topic(struct wire_reader *r);
/* An answer with so many topics, which follow; the one broker is at host:port. Returns where the
 * frame begins. */
size_t kafka_begin_metadata_answer(struct wire_writer *w, const struct kafka_request *q,
				   const char *host, uint16_t port, uint64_t topics);
void kafka_put_metadata_topic(struct wire_writer *w, const char *name,
			      const uint8_t uuid[KAFKA_UUID_BYTES], uint64_t partitions);
void kafka_end_metadata_answer(struct wire_writer *w, size_t at);
void kafka_put_produce_answer(struct wire_writer *w, const struct kafka_request *q,
			      const struct kafka_partition *p, uint64_t offset);
/* The head of an answer with so many bytes of records; these and KAFKA_FETCH_END_BYTES zeros go
 * behind it. */
void kafka_put_fetch_answer(struct wire_writer *w, const struct kafka_request *q,
			    const struct kafka_partition *p, enum kafka_error error,
			    size_t records_bytes);

enum { KAFKA_FETCH_END_BYTES = 3 };

#endif
