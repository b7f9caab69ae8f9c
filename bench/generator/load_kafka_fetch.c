/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Mode kafka-fetch: fills its partitions with batches of one size, then reads them from the first
 * of these to the last, again and again. Of an answer only the beginning is kept, so how far it
 * brings the reader is told by its size.
 */
#include "kafka_producer.h"
#include "requests.h"

#include <stdlib.h>

struct fetcher {
	struct kafka_producer producer;
	uint64_t offset;
};

struct fetchers {
	struct requests requests;
	struct fetcher *all;
};

static void send_fetch(struct requests_line *line, uint64_t number)
{
	struct fetchers *all = (struct fetchers *)line->owner;
	struct fetcher *f = &all->all[line->index];
	struct kafka_client *c = &f->producer.client;
	uint8_t bytes[KAFKA_FRAME_BYTES];
	struct wire_writer w = WIRE_WRITER(bytes);

	if (f->offset < f->producer.first_offset || f->offset >= f->producer.end_offset)
		f->offset = f->producer.first_offset;
	kafka_put_fetch(&w, (uint32_t)number, c->leader.topic, c->leader.partition, f->offset,
			c->load->ask.max_bytes);
	framed_put(c->broker, bytes, w.size);
}

static void on_ready(struct kafka_producer *p)
{
	requests_ready(p->owner, p->client.broker);
}

static void on_answer(struct kafka_producer *p, uint32_t id, struct wire_reader body)
{
	struct fetcher *f = (struct fetcher *)p;
	struct load *l = p->client.load;
	uint64_t bytes;
	uint16_t error = kafka_parse_fetch(body, &bytes);
	/* The last batch of an answer may be cut off. */
	uint64_t messages = bytes / p->batch->records_bytes * p->batch->record_count;

	f->offset = messages > 0 ? f->offset + messages : p->first_offset;
	if (!requests_answered(p->owner, id, kafka_client_is_good(&p->client, error)))
		return;
	l->work[LOAD_REQUESTS]++;
	l->work[LOAD_MESSAGES] += messages;
	l->work[LOAD_BYTES] += bytes;
}

static void on_room(struct kafka_producer *p)
{
	requests_room(p->owner);
}

static void on_end(struct kafka_producer *p)
{
	requests_ended(p->owner);
}

static void load_kafka_fetch_run(struct load *l)
{
	static const struct kafka_producer_user user = {
		.on_ready = on_ready, .on_answer = on_answer, .on_room = on_room, .on_end = on_end
	};
	struct fetchers all;
	struct kafka_batch batch;

	requests_init(&all.requests, l, send_fetch);
	kafka_batch_init(&batch, l->ask.message_bytes, l->ask.payload_bytes);
	all.all = load_alloc(l->ask.conn_count, sizeof(*all.all));
	for (uint32_t i = 0; i < l->ask.conn_count; i++) {
		struct kafka_producer *p = &all.all[i].producer;

		p->user = &user;
		p->owner = &all.requests.lines[i];
		p->batch = &batch;
		p->store_count = (l->ask.fill_mib << 20) / batch.records_bytes + 1;
		kafka_client_prepare(&p->client, l, all.requests.epoll_fd, i);
		kafka_producer_start(p);
	}
	requests_run(&all.requests);
	for (uint32_t i = 0; i < l->ask.conn_count; i++)
		kafka_client_free(&all.all[i].producer.client);
	free(all.all);
	kafka_batch_free(&batch);
	requests_free(&all.requests);
}

const struct load_mode load_kafka_fetch = {
	.name = "kafka-fetch",
	.summary = "fetch from Kafka topics (sink: kafka)",
	.about = "Each of -c clients fills a partition as kafka-produce does, with --fill MiB, and "
		 "then fetches that again and again, --max-bytes at a time. One fetch is under way "
		 "on each connection, or --rate a second in all.\n\nWork: requests, their messages "
		 "(records), and bytes of batches. Latency: of a fetch.",
	.takes = OPTION_COMMON | OPTION_PAYLOAD | OPTION_TOPIC | OPTION_TOPICS | OPTION_PACE |
		 OPTION_STAY | OPTION_FILL | OPTION_MAX_BYTES,
	.message_bytes = 64 * 1024,
	.run = load_kafka_fetch_run,
};
