/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Mode kafka-produce: record batches to the leaders of partitions, acknowledged by the leader.
 */
#include "kafka_producer.h"
#include "requests.h"

#include <stdlib.h>

struct producers {
	struct requests requests;
	struct kafka_producer *all;
};

static void send_batch(struct requests_line *line, uint64_t number)
{
	struct producers *p = (struct producers *)line->owner;

	kafka_producer_send(&p->all[line->index], (uint32_t)number);
}

static void on_ready(struct kafka_producer *p)
{
	requests_ready(p->owner, p->client.broker);
}

static void on_answer(struct kafka_producer *p, uint32_t id, struct wire_reader body)
{
	struct load *l = p->client.load;
	uint64_t offset;
	uint16_t error = kafka_parse_produce(body, &offset);

	if (!requests_answered(p->owner, id, kafka_client_is_good(&p->client, error)))
		return;
	l->work[LOAD_REQUESTS]++;
	l->work[LOAD_MESSAGES] += p->batch->record_count;
	l->work[LOAD_BYTES] += p->batch->records_bytes;
}

static void on_room(struct kafka_producer *p)
{
	requests_room(p->owner);
}

static void on_end(struct kafka_producer *p)
{
	requests_ended(p->owner);
}

static void load_kafka_produce_run(struct load *l)
{
	static const struct kafka_producer_user user = {
		.on_ready = on_ready, .on_answer = on_answer, .on_room = on_room, .on_end = on_end
	};
	struct producers p;
	struct kafka_batch batch;

	requests_init(&p.requests, l, send_batch);
	kafka_batch_init(&batch, l->ask.message_bytes, l->ask.payload_bytes);
	p.all = load_alloc(l->ask.conn_count, sizeof(*p.all));
	for (uint32_t i = 0; i < l->ask.conn_count; i++) {
		struct kafka_producer *one = &p.all[i];

		one->user = &user;
		one->owner = &p.requests.lines[i];
		one->batch = &batch;
		one->store_count = 1;
		kafka_client_prepare(&one->client, l, p.requests.epoll_fd, i);
		kafka_producer_start(one);
	}
	requests_run(&p.requests);
	for (uint32_t i = 0; i < l->ask.conn_count; i++)
		kafka_client_free(&p.all[i].client);
	free(p.all);
	kafka_batch_free(&batch);
	requests_free(&p.requests);
}

const struct load_mode load_kafka_produce = {
	.name = "kafka-produce",
	.summary = "produce to Kafka topics (sink: kafka)",
	.about = "Each of -c clients asks for its topic (--topics of them, in turn), connects to "
		 "the leader of a partition, which is another for each client as far as there are, "
		 "and sends batches of -b bytes, acks=1: one record, or records of --payload "
		 "bytes. --window unanswered on each connection, or --rate batches a second in "
		 "all.\n\nWork: requests, their messages (records), and bytes of batches. Latency: "
		 "until the answer.",
	.takes = OPTION_COMMON | OPTION_PAYLOAD | OPTION_TOPIC | OPTION_TOPICS | OPTION_PACE |
		 OPTION_WINDOW | OPTION_STAY,
	.message_bytes = 64 * 1024,
	.run = load_kafka_produce_run,
};
