/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Kafka's frames from the broker's side; kafka_answers.h says which. An answer is u32 size,
 * u32 correlation id, tagged fields (not in ApiVersions), body.
 */
#include "kafka_answers.h"

#include "kafka_wire.h"

enum {
	BROKER = 1,	      /* its node id */
	RECORD_COUNT_AT = 57, /* in a record batch */
};

static const struct {
	uint16_t key;
	uint16_t version;
} spoken[] = {
	{ KAFKA_PRODUCE, KAFKA_PRODUCE_VERSION },
	{ KAFKA_FETCH, KAFKA_FETCH_VERSION },
	{ KAFKA_METADATA, KAFKA_METADATA_VERSION },
	{ KAFKA_API_VERSIONS, KAFKA_API_VERSIONS_VERSION },
};

enum { SPOKEN_COUNT = sizeof(spoken) / sizeof(spoken[0]) };

static bool is_spoken(const struct kafka_request *q)
{
	for (int i = 0; i < SPOKEN_COUNT; i++) {
		if (q->key == spoken[i].key && q->version == spoken[i].version)
			return true;
	}
	return q->key == KAFKA_API_VERSIONS;
}

bool kafka_parse_request(const struct frame *frame, struct kafka_request *ret_request)
{
	struct wire_reader r = { .at = frame->bytes, .left = frame->have };
	struct kafka_request *q = ret_request;

	wire_take_u32(&r);
	q->key = wire_take_u16(&r);
	q->version = wire_take_u16(&r);
	q->id = wire_take_u32(&r);
	if (r.broken || !is_spoken(q))
		return false;
	uint16_t client_bytes = wire_take_u16(&r);
	wire_take(&r, client_bytes == UINT16_MAX ? 0 : client_bytes);
	if (q->key != KAFKA_API_VERSIONS)
		kafka_skip_tags(&r);
	q->body = r;
	return !r.broken;
}

bool kafka_parse_produce_request(const struct kafka_request *q, struct kafka_partition *ret_p)
{
	struct wire_reader r = q->body;
	struct kafka_partition *p = ret_p;

	*p = (struct kafka_partition){ 0 };
	kafka_take_text(&r);  /* transaction */
	wire_take_u16(&r);    /* acks */
	wire_take_u32(&r);    /* time-out */
	kafka_take_count(&r); /* topics */
	p->topic = kafka_take_text(&r);
	kafka_take_count(&r); /* partitions */
	p->index = wire_take_u32(&r);
	p->records_bytes = kafka_take_count(&r);
	p->records = wire_take_part(&r, r.left < p->records_bytes ? r.left : p->records_bytes);
	struct wire_reader records = p->records;
	wire_take(&records, RECORD_COUNT_AT);
	p->record_count = wire_take_u32(&records);
	return !r.broken && !records.broken;
}

bool kafka_parse_fetch_request(const struct kafka_request *q, struct kafka_partition *ret_p)
{
	struct wire_reader r = q->body;
	struct kafka_partition *p = ret_p;

	*p = (struct kafka_partition){ 0 };
	wire_take(&r, 4 + 4 + 4 + 1 + 4 + 4); /* time to wait to session epoch */
	kafka_take_count(&r);		      /* topics */
	p->topic = wire_take_part(&r, KAFKA_UUID_BYTES);
	kafka_take_count(&r); /* partitions */
	p->index = wire_take_u32(&r);
	wire_take_u32(&r); /* leader epoch */
	p->offset = wire_take_u64(&r);
	wire_take_u32(&r); /* epoch */
	wire_take_u64(&r); /* start */
	p->max_bytes = wire_take_u32(&r);
	return !r.broken;
}

/* Returns where the frame begins. */
static size_t begin(struct wire_writer *w, const struct kafka_request *q)
{
	size_t at = w->size;

	wire_put_u32(w, 0); /* the size */
	wire_put_u32(w, q->id);
	if (q->key != KAFKA_API_VERSIONS)
		kafka_put_no_tags(w);
	return at;
}

/* In a version that is not spoken the answer is one of version 0 with an error, as KIP-511 says. */
void kafka_put_api_versions_answer(struct wire_writer *w, const struct kafka_request *q)
{
	bool known = q->version == KAFKA_API_VERSIONS_VERSION;
	size_t at = begin(w, q);

	wire_put_u16(w, known ? KAFKA_NONE : KAFKA_UNSUPPORTED_VERSION);
	if (known)
		kafka_put_count(w, SPOKEN_COUNT);
	else
		wire_put_u32(w, SPOKEN_COUNT);
	for (int i = 0; i < SPOKEN_COUNT; i++) {
		wire_put_u16(w, spoken[i].key);
		wire_put_u16(w, spoken[i].version);
		wire_put_u16(w, spoken[i].version);
		if (known)
			kafka_put_no_tags(w);
	}
	if (known) {
		wire_put_u32(w, 0); /* throttled */
		kafka_put_no_tags(w);
	}
	kafka_put_size(w, at, 0);
}

static void put_one_id(struct wire_writer *w)
{
	kafka_put_count(w, 1);
	wire_put_u32(w, BROKER);
}

void kafka_put_metadata_topic(struct wire_writer *w, const char *name,
			      const uint8_t uuid[KAFKA_UUID_BYTES], uint64_t partitions)
{
	wire_put_u16(w, KAFKA_NONE);
	kafka_put_text(w, name);
	wire_put(w, uuid, KAFKA_UUID_BYTES);
	wire_put_u8(w, false); /* internal */
	kafka_put_count(w, partitions);
	for (uint32_t i = 0; i < partitions; i++) {
		wire_put_u16(w, KAFKA_NONE);
		wire_put_u32(w, i);
		wire_put_u32(w, BROKER); /* leader */
		wire_put_u32(w, 0);	 /* its epoch */
		put_one_id(w);		 /* replicas */
		put_one_id(w);		 /* those in sync */
		kafka_put_count(w, 0);	 /* those offline */
		kafka_put_no_tags(w);
	}
	wire_put_u32(w, UINT32_C(1) << 31); /* operations: not asked for */
	kafka_put_no_tags(w);
}

uint64_t kafka_take_topics(struct wire_reader *r, bool *ret_all)
{
	*ret_all = r->left > 0 && r->at[0] == 0;
	return kafka_take_count(r);
}

struct wire_reader kafka_take_topic(struct wire_reader *r)
{
	wire_take(r, KAFKA_UUID_BYTES);
	struct wire_reader name = kafka_take_text(r);

	kafka_skip_tags(r);
	return name;
}

size_t kafka_begin_metadata_answer(struct wire_writer *w, const struct kafka_request *q,
				   const char *host, uint16_t port, uint64_t topics)
{
	size_t at = begin(w, q);

	wire_put_u32(w, 0); /* throttled */
	kafka_put_count(w, 1);
	wire_put_u32(w, BROKER);
	kafka_put_text(w, host);
	wire_put_u32(w, port);
	kafka_put_null(w); /* rack */
	kafka_put_no_tags(w);
	kafka_put_text(w, "penstock-bench sink");
	wire_put_u32(w, BROKER); /* controller */
	kafka_put_count(w, topics);
	return at;
}

void kafka_end_metadata_answer(struct wire_writer *w, size_t at)
{
	kafka_put_no_tags(w);
	kafka_put_size(w, at, 0);
}

void kafka_put_produce_answer(struct wire_writer *w, const struct kafka_request *q,
			      const struct kafka_partition *p, uint64_t offset)
{
	size_t at = begin(w, q);

	kafka_put_count(w, 1);
	kafka_put_part(w, &p->topic);
	kafka_put_count(w, 1);
	wire_put_u32(w, p->index);
	wire_put_u16(w, KAFKA_NONE);
	wire_put_u64(w, offset);
	wire_put_u64(w, UINT64_MAX); /* time of appending: the records' own counts */
	wire_put_u64(w, 0);	     /* start of the log */
	kafka_put_count(w, 0);	     /* errors of records */
	kafka_put_null(w);	     /* message of one */
	kafka_put_no_tags(w);
	kafka_put_no_tags(w);
	wire_put_u32(w, 0); /* throttled */
	kafka_put_no_tags(w);
	kafka_put_size(w, at, 0);
}

void kafka_put_fetch_answer(struct wire_writer *w, const struct kafka_request *q,
			    const struct kafka_partition *p, enum kafka_error error,
			    size_t records_bytes)
{
	size_t at = begin(w, q);
	uint64_t end = p->offset + (UINT64_C(1) << 32); /* it never comes nearer */

	wire_put_u32(w, 0); /* throttled */
	wire_put_u16(w, KAFKA_NONE);
	wire_put_u32(w, 0); /* session */
	kafka_put_count(w, 1);
	wire_put(w, p->topic.at, p->topic.left);
	kafka_put_count(w, 1);
	wire_put_u32(w, p->index);
	wire_put_u16(w, (uint16_t)error);
	wire_put_u64(w, end);	     /* high watermark */
	wire_put_u64(w, end);	     /* last stable offset */
	wire_put_u64(w, 0);	     /* start of the log */
	kafka_put_count(w, 0);	     /* aborted transactions */
	wire_put_u32(w, UINT32_MAX); /* preferred replica: none */
	kafka_put_count(w, records_bytes);
	kafka_put_size(w, at, records_bytes + KAFKA_FETCH_END_BYTES);
}
