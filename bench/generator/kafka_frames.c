/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Kafka's frames of a client; kafka_frames.h says which. A request is u32 size, u16 key,
 * u16 version, u32 correlation id, the client's id, tagged fields, body.
 */
#include "kafka_frames.h"

#include "crc32c.h"
#include "kafka_wire.h"
#include "load.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
	ACKS = 1,
	TIMEOUT_MS = 30000,
	WAIT_MS = 500, /* what a fetch waits for when there is nothing */
	MAGIC = 2,
	/* places in a record batch */
	AT_LENGTH = 8,
	AT_CRC = 17,
	AT_ATTRIBUTES = 21,
	BATCH_HEAD_BYTES = 61,
	RECORD_HEAD_BYTES_MAX = 32,
};

static const char client[] = "penstock-bench";

/* ---- writing --------------------------------------------------------------------------------- */

static void begin(struct wire_writer *w, enum kafka_key key, uint16_t version, uint32_t id)
{
	wire_put_u32(w, 0); /* the size */
	wire_put_u16(w, (uint16_t)key);
	wire_put_u16(w, version);
	wire_put_u32(w, id);
	wire_put_u16(w, sizeof(client) - 1); /* not compact, in any version */
	wire_put(w, client, sizeof(client) - 1);
	kafka_put_no_tags(w);
}

void kafka_put_api_versions(struct wire_writer *w, uint32_t id)
{
	size_t at = w->size;

	begin(w, KAFKA_API_VERSIONS, KAFKA_API_VERSIONS_VERSION, id);
	kafka_put_text(w, client);
	kafka_put_text(w, "1");
	kafka_put_no_tags(w);
	kafka_put_size(w, at, 0);
}

static void put_topic(struct wire_writer *w, const char *topic)
{
	static const uint8_t no_uuid[KAFKA_UUID_BYTES];

	kafka_put_count(w, 1);
	wire_put(w, no_uuid, sizeof(no_uuid));
	kafka_put_text(w, topic);
	kafka_put_no_tags(w);
}

void kafka_put_metadata(struct wire_writer *w, uint32_t id, const char *topic)
{
	size_t at = w->size;

	begin(w, KAFKA_METADATA, KAFKA_METADATA_VERSION, id);
	if (topic != NULL)
		put_topic(w, topic);
	else
		kafka_put_null(w);
	wire_put_u8(w, true);  /* create it */
	wire_put_u8(w, false); /* no list of operations */
	kafka_put_no_tags(w);
	kafka_put_size(w, at, 0);
}

void kafka_put_produce(struct wire_writer *w, uint32_t id, const char *topic, uint32_t partition,
		       size_t records_bytes)
{
	size_t at = w->size;

	begin(w, KAFKA_PRODUCE, KAFKA_PRODUCE_VERSION, id);
	kafka_put_null(w); /* transaction */
	wire_put_u16(w, ACKS);
	wire_put_u32(w, TIMEOUT_MS);
	kafka_put_count(w, 1);
	kafka_put_text(w, topic);
	kafka_put_count(w, 1);
	wire_put_u32(w, partition);
	kafka_put_count(w, records_bytes);
	kafka_put_size(w, at, records_bytes + KAFKA_PRODUCE_END_BYTES);
}

void kafka_put_fetch(struct wire_writer *w, uint32_t id, const uint8_t topic[KAFKA_UUID_BYTES],
		     uint32_t partition, uint64_t offset, uint64_t max_bytes)
{
	size_t at = w->size;

	begin(w, KAFKA_FETCH, KAFKA_FETCH_VERSION, id);
	wire_put_u32(w, WAIT_MS);
	wire_put_u32(w, 1); /* bytes at least */
	wire_put_u32(w, (uint32_t)max_bytes);
	wire_put_u8(w, 0);	     /* uncommitted ones too */
	wire_put_u32(w, 0);	     /* no session: */
	wire_put_u32(w, UINT32_MAX); /* each fetch says it all */
	kafka_put_count(w, 1);
	wire_put(w, topic, KAFKA_UUID_BYTES);
	kafka_put_count(w, 1);
	wire_put_u32(w, partition);
	wire_put_u32(w, UINT32_MAX); /* leader epoch: unknown */
	wire_put_u64(w, offset);
	wire_put_u32(w, UINT32_MAX); /* last epoch: unknown */
	wire_put_u64(w, UINT64_MAX); /* start of a follower's log */
	wire_put_u32(w, (uint32_t)max_bytes);
	kafka_put_no_tags(w);
	kafka_put_no_tags(w);
	kafka_put_count(w, 0); /* to forget */
	kafka_put_text(w, ""); /* rack */
	kafka_put_no_tags(w);
	kafka_put_size(w, at, 0);
}

/* ---- record batches -------------------------------------------------------------------------- */

static uint64_t zigzag(int64_t value)
{
	return (uint64_t)value << 1 ^ (uint64_t)(value >> 63);
}

/* Record number `index`; its size stands before it. */
static void put_record(struct wire_writer *w, uint32_t index, size_t value_bytes)
{
	uint8_t bytes[RECORD_HEAD_BYTES_MAX];
	struct wire_writer head = WIRE_WRITER(bytes);

	wire_put_u8(&head, 0);		       /* attributes */
	wire_put_varint(&head, zigzag(0));     /* timestamp delta */
	wire_put_varint(&head, zigzag(index)); /* offset delta */
	wire_put_varint(&head, zigzag(-1));    /* no key */
	wire_put_varint(&head, zigzag((int64_t)value_bytes));
	wire_put_varint(w, zigzag((int64_t)(head.size + value_bytes + 1)));
	wire_put(w, bytes, head.size);
	memset(w->bytes + w->size, 'p', value_bytes);
	w->size += value_bytes;
	wire_put_varint(w, zigzag(0)); /* headers */
}

static void put_batch_head(struct wire_writer *w, uint32_t record_count)
{
	uint64_t now_ms = (uint64_t)time(NULL) * 1000;

	wire_put_u64(w, 0);	     /* base offset: the broker's */
	wire_put_u32(w, 0);	     /* length, set at the end */
	wire_put_u32(w, UINT32_MAX); /* leader epoch */
	wire_put_u8(w, MAGIC);
	wire_put_u32(w, 0); /* sum, set at the end */
	wire_put_u16(w, 0); /* attributes: not compressed, time of creation */
	wire_put_u32(w, record_count - 1);
	wire_put_u64(w, now_ms);
	wire_put_u64(w, now_ms);
	wire_put_u64(w, UINT64_MAX); /* no producer id, */
	wire_put_u16(w, UINT16_MAX); /* epoch */
	wire_put_u32(w, UINT32_MAX); /* and sequence */
	wire_put_u32(w, record_count);
}

void kafka_batch_init(struct kafka_batch *b, size_t bytes, size_t record_bytes)
{
	size_t value_bytes = record_bytes == 0 || record_bytes > bytes ? bytes : record_bytes;
	struct wire_writer w = { 0 };

	b->record_count = (uint32_t)(bytes / value_bytes);
	w.room = BATCH_HEAD_BYTES + b->record_count * (value_bytes + RECORD_HEAD_BYTES_MAX) +
		 KAFKA_PRODUCE_END_BYTES;
	w.bytes = load_alloc(1, w.room);
	put_batch_head(&w, b->record_count);
	for (uint32_t i = 0; i < b->record_count; i++)
		put_record(&w, i, value_bytes);
	wire_set_u32(w.bytes + AT_LENGTH, (uint32_t)(w.size - AT_LENGTH - 4));
	wire_set_u32(w.bytes + AT_CRC, crc32c(w.bytes + AT_ATTRIBUTES, w.size - AT_ATTRIBUTES));
	b->records = w.bytes;
	b->records_bytes = w.size;
}

void kafka_batch_free(struct kafka_batch *b)
{
	free(b->records);
}

/* ---- reading --------------------------------------------------------------------------------- */

uint32_t kafka_parse(const struct frame *frame, bool api_versions, struct wire_reader *ret_body)
{
	struct wire_reader r = { .at = frame->bytes, .left = frame->have };

	wire_take_u32(&r);
	uint32_t id = wire_take_u32(&r);
	if (!api_versions)
		kafka_skip_tags(&r);
	*ret_body = r;
	return id;
}

uint16_t kafka_parse_api_versions(struct wire_reader r)
{
	static const struct {
		uint16_t key;
		uint16_t version;
	} needed[] = {
		{ KAFKA_PRODUCE, KAFKA_PRODUCE_VERSION },
		{ KAFKA_FETCH, KAFKA_FETCH_VERSION },
		{ KAFKA_METADATA, KAFKA_METADATA_VERSION },
	};
	enum { NEEDED = sizeof(needed) / sizeof(needed[0]) };
	unsigned found = 0;
	uint16_t error = wire_take_u16(&r);

	if (error != KAFKA_NONE)
		return error;
	for (uint64_t n = kafka_take_count(&r); n > 0 && !r.broken; n--) {
		uint16_t key = wire_take_u16(&r);
		uint16_t least = wire_take_u16(&r), most = wire_take_u16(&r);

		kafka_skip_tags(&r);
		for (int i = 0; i < NEEDED; i++)
			found += key == needed[i].key && least <= needed[i].version &&
				 needed[i].version <= most;
	}
	return found == NEEDED ? KAFKA_NONE : KAFKA_UNSUPPORTED_VERSION;
}

/* The brokers of a Metadata answer: finds the address of one, or passes over them (node -1). */
static void take_brokers(struct wire_reader *r, uint32_t node, struct kafka_leader *ret_leader)
{
	for (uint64_t n = kafka_take_count(r); n > 0 && !r->broken; n--) {
		uint32_t id = wire_take_u32(r);
		struct wire_reader host = kafka_take_text(r);
		uint32_t port = wire_take_u32(r);

		kafka_take_text(r); /* rack */
		kafka_skip_tags(r);
		if (id == node && wire_text(&host, ret_leader->host, sizeof(ret_leader->host)))
			ret_leader->port = port;
	}
}

static void take_ids(struct wire_reader *r)
{
	wire_take(r, 4 * kafka_take_count(r));
}

/* The partitions of a topic; the leader of the one that was wanted, UINT32_MAX when it has none. */
static uint32_t take_partitions(struct wire_reader *r, uint32_t line,
				struct kafka_leader *ret_leader)
{
	uint32_t leader = UINT32_MAX;

	ret_leader->partition_count = (uint32_t)kafka_take_count(r);
	for (uint32_t n = 0; n < ret_leader->partition_count && !r->broken; n++) {
		uint16_t error = wire_take_u16(r);
		uint32_t index = wire_take_u32(r), node = wire_take_u32(r);

		wire_take_u32(r); /* epoch */
		take_ids(r);	  /* replicas */
		take_ids(r);	  /* those in sync */
		take_ids(r);	  /* those offline */
		kafka_skip_tags(r);
		if (index != line % ret_leader->partition_count)
			continue;
		ret_leader->partition = index;
		leader = node;
		if (ret_leader->error == KAFKA_NONE)
			ret_leader->error = error;
	}
	return leader;
}

/* To the topics; how many they are. `ret_brokers`: where the brokers are. */
static uint64_t take_to_topics(struct wire_reader *r, struct wire_reader *ret_brokers)
{
	struct kafka_leader nobody;

	wire_take_u32(r); /* throttled */
	*ret_brokers = *r;
	take_brokers(r, UINT32_MAX, &nobody);
	kafka_take_text(r); /* cluster */
	wire_take_u32(r);   /* controller */
	return kafka_take_count(r);
}

uint16_t kafka_parse_metadata_of_all(struct wire_reader r, uint64_t *ret_topics)
{
	struct wire_reader brokers;

	*ret_topics = take_to_topics(&r, &brokers);
	return r.broken ? KAFKA_BROKEN : KAFKA_NONE;
}

uint16_t kafka_parse_metadata(struct wire_reader r, uint32_t line, struct kafka_leader *ret_leader)
{
	struct wire_reader brokers;

	*ret_leader = (struct kafka_leader){ 0 };
	if (take_to_topics(&r, &brokers) != 1)
		return ret_leader->error = KAFKA_BROKEN;
	ret_leader->error = wire_take_u16(&r);
	kafka_take_text(&r); /* name */
	const uint8_t *uuid = wire_take(&r, KAFKA_UUID_BYTES);
	if (uuid != NULL)
		memcpy(ret_leader->topic, uuid, KAFKA_UUID_BYTES);
	wire_take_u8(&r); /* internal */
	uint32_t node = take_partitions(&r, line, ret_leader);
	take_brokers(&brokers, node, ret_leader);
	if (r.broken || brokers.broken)
		ret_leader->error = KAFKA_BROKEN;
	else if (ret_leader->port == 0 && ret_leader->error == KAFKA_NONE)
		ret_leader->error = KAFKA_LEADER_NOT_AVAILABLE;
	return ret_leader->error;
}

uint16_t kafka_parse_produce(struct wire_reader r, uint64_t *ret_offset)
{
	kafka_take_count(&r); /* topics */
	kafka_take_text(&r);
	kafka_take_count(&r); /* partitions */
	wire_take_u32(&r);    /* its index */
	uint16_t error = wire_take_u16(&r);
	*ret_offset = wire_take_u64(&r);
	return r.broken ? KAFKA_BROKEN : error;
}

uint16_t kafka_parse_fetch(struct wire_reader r, uint64_t *ret_records_bytes)
{
	*ret_records_bytes = 0;
	wire_take_u32(&r); /* throttled */
	uint16_t error = wire_take_u16(&r);
	wire_take_u32(&r); /* session */
	if (error != KAFKA_NONE)
		return error;
	kafka_take_count(&r); /* topics */
	wire_take(&r, KAFKA_UUID_BYTES);
	kafka_take_count(&r); /* partitions */
	wire_take_u32(&r);    /* its index */
	error = wire_take_u16(&r);
	wire_take(&r, 8 + 8 + 8); /* high watermark, last stable offset, start of the log */
	for (uint64_t n = kafka_take_count(&r); n > 0 && !r.broken; n--) {
		wire_take(&r, 8 + 8); /* an aborted transaction */
		kafka_skip_tags(&r);
	}
	wire_take_u32(&r); /* preferred replica */
	*ret_records_bytes = kafka_take_count(&r);
	return r.broken ? KAFKA_BROKEN : error;
}
