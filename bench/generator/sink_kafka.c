/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Sink kafka: a broker as far as a gateway and our own clients can tell. It leads every partition
 * of every topic. A topic's log is the first batch that was produced to it, over and over, at
 * whatever offset is asked for (sink_topic.h).
 */
#include "kafka_answers.h"
#include "load.h"
#include "sink.h"
#include "sink_topic.h"

#include <stdlib.h>
#include <string.h>

enum {
	ANSWERS_BYTES = 64 * 1024, /* of one turn, sent together */
	ANSWER_BYTES = 8 * 1024,   /* the longest, with the most partitions */
	PARTITIONS_MAX = 128,
	FETCH_BYTES_MAX = 8 << 20, /* of records in one answer */
	WHOLE_BYTES = 8 << 20,	   /* kept of a Produce, until the topic has its first */
};

struct broker_guest {
	struct guest guest;
	struct frames in;
	struct sink *sink; /* set when it has a turn */
	bool broken;
	uint8_t *block; /* room for the head of an answer to a Fetch, then batches */
	const struct sink_topic *block_of;
	size_t block_batches;
};

static uint8_t answer_bytes[ANSWERS_BYTES];
static struct wire_writer answers = { .bytes = answer_bytes, .room = sizeof(answer_bytes) };

static bool send_answers(struct broker_guest *b)
{
	size_t size = answers.size;

	answers.size = 0;
	return size == 0 || sink_answer(b->sink, &b->guest, answers.bytes, size);
}

/* Its number is in the last four bytes. */
static void put_topic(const struct sink_topic *t, uint64_t partitions)
{
	uint8_t uuid[KAFKA_UUID_BYTES] = { 0 };

	wire_set_u32(uuid + KAFKA_UUID_BYTES - 4, t->number);
	kafka_put_metadata_topic(&answers, t->name, uuid, partitions);
}

static const struct sink_topic *topic_of(struct wire_reader uuid)
{
	wire_take(&uuid, KAFKA_UUID_BYTES - 4);
	return sink_topic_at(wire_take_u32(&uuid));
}

static bool put_topics(struct wire_reader names, uint64_t count, uint64_t partitions)
{
	for (uint64_t i = 0; i < count; i++) {
		struct wire_reader name = kafka_take_topic(&names);
		const struct sink_topic *t = names.broken ? NULL : sink_topic_get(&name);

		if (t == NULL || answers.room - answers.size < ANSWER_BYTES)
			return false;
		put_topic(t, partitions);
	}
	return true;
}

static bool put_all_topics(uint64_t partitions)
{
	const struct sink_topic *t;

	for (uint32_t i = 1; (t = sink_topic_at(i)) != NULL; i++) {
		if (answers.room - answers.size < ANSWER_BYTES)
			return false;
		put_topic(t, partitions);
	}
	return true;
}

static bool on_metadata(struct broker_guest *b, const struct kafka_request *q)
{
	uint64_t partitions = b->sink->ask->partitions == 0 ? 1 : b->sink->ask->partitions;
	char host[KAFKA_NAME_BYTES];
	struct wire_reader names = q->body;
	bool all;
	uint64_t count = kafka_take_topics(&names, &all);

	sink_address(b->sink, &b->guest, host, sizeof(host));

	char *colon = strrchr(host, ':');
	if (colon == NULL || partitions > PARTITIONS_MAX)
		load_refuse("sink kafka: --advertise is HOST:PORT, --partitions 128 at the most");
	*colon = '\0';

	size_t at = kafka_begin_metadata_answer(&answers, q, host, (uint16_t)atoi(colon + 1),
						all ? sink_topic_count() : count);
	bool fits = all ? put_all_topics(partitions) : put_topics(names, count, partitions);
	kafka_end_metadata_answer(&answers, at);
	return fits;
}

static bool on_produce(struct broker_guest *b, const struct kafka_request *q)
{
	struct kafka_partition p;

	if (!kafka_parse_produce_request(q, &p))
		return false;

	struct sink_topic *t = sink_topic_get(&p.topic);
	if (t == NULL)
		return false;
	if (p.records.left == p.records_bytes)
		sink_topic_keep(t, p.records.at, p.records_bytes, p.record_count);
	if (t->first != NULL)
		b->in.keep_bytes = FRAMES_KEEP_BYTES;
	kafka_put_produce_answer(&answers, q, &p, t->published);
	t->published += p.record_count;
	return true;
}

/* Batches one after the other, at the offsets that follow the one asked for. The offset is not in
 * the sum of a batch. */
static void fill_block(struct broker_guest *b, const struct sink_topic *t,
		       const struct kafka_partition *p)
{
	size_t most = p->max_bytes < FETCH_BYTES_MAX ? p->max_bytes : FETCH_BYTES_MAX;
	size_t batches = most > t->first_bytes ? most / t->first_bytes : 1;
	size_t bytes = batches * t->first_bytes;

	if (b->block_of != t || b->block_batches != batches) {
		free(b->block);
		b->block = load_alloc(1, ANSWER_BYTES + bytes + KAFKA_FETCH_END_BYTES);
		for (size_t i = 0; i < batches; i++)
			memcpy(b->block + ANSWER_BYTES + i * t->first_bytes, t->first,
			       t->first_bytes);
		b->block_of = t;
		b->block_batches = batches;
	}
	for (size_t i = 0; i < batches; i++)
		wire_set_u64(b->block + ANSWER_BYTES + i * t->first_bytes,
			     p->offset + i * t->first_messages);
}

static bool on_fetch(struct broker_guest *b, const struct kafka_request *q)
{
	struct kafka_partition p;
	uint8_t bytes[KAFKA_FRAME_BYTES];
	struct wire_writer head = WIRE_WRITER(bytes);

	if (!kafka_parse_fetch_request(q, &p))
		return false;

	const struct sink_topic *t = topic_of(p.topic);
	if (t == NULL || t->first == NULL) {
		kafka_put_fetch_answer(&answers, q, &p, KAFKA_UNKNOWN_TOPIC_OR_PARTITION, 0);
		wire_put(&answers, "\0\0", KAFKA_FETCH_END_BYTES);
		return true;
	}
	fill_block(b, t, &p);

	size_t records_bytes = b->block_batches * t->first_bytes;
	kafka_put_fetch_answer(&head, q, &p, KAFKA_NONE, records_bytes);
	uint8_t *at = b->block + ANSWER_BYTES - head.size;
	memcpy(at, bytes, head.size);
	return send_answers(b) && sink_answer(b->sink, &b->guest, at,
					      head.size + records_bytes + KAFKA_FETCH_END_BYTES);
}

static bool answer(struct broker_guest *b, const struct kafka_request *q)
{
	if (q->key == KAFKA_METADATA)
		return on_metadata(b, q);
	if (q->key == KAFKA_PRODUCE)
		return on_produce(b, q);
	if (q->key == KAFKA_FETCH)
		return on_fetch(b, q);
	kafka_put_api_versions_answer(&answers, q);
	return true;
}

static bool on_frame(void *owner, const struct frame *frame)
{
	struct broker_guest *b = owner;
	struct kafka_request q;

	b->broken = !kafka_parse_request(frame, &q) || !answer(b, &q);
	if (!b->broken && answers.room - answers.size < ANSWER_BYTES)
		b->broken = !send_answers(b);
	return !b->broken;
}

static bool kafka_readable(struct sink *s, struct guest *g)
{
	struct broker_guest *b = (struct broker_guest *)g;

	b->sink = s;
	if (b->in.keep_bytes == 0)
		b->in.keep_bytes = WHOLE_BYTES;
	bool fine = frames_read(&b->in, g->fd, on_frame, b) > 0 && !b->broken && send_answers(b);

	answers.size = 0;
	return fine;
}

static void kafka_closed(struct guest *g)
{
	struct broker_guest *b = (struct broker_guest *)g;

	free(b->block);
	frames_free(&b->in);
}

const struct sink_kind sink_kafka = {
	.name = "kafka",
	.summary = "a fake Kafka broker",
	.about = "Leads every partition of every topic (--partitions each, 1 by default), "
		 "acknowledges everything. A topic's log is the batch that was produced first, "
		 "over and over, without end.",
	.takes = OPTION_LISTEN | OPTION_DELAY | OPTION_ADVERTISE | OPTION_PARTITIONS,
	.guest_bytes = sizeof(struct broker_guest),
	.readable = kafka_readable,
	.closed = kafka_closed,
};
