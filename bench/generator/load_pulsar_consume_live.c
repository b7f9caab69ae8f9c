/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Mode pulsar-consume with a rate. A line is a pair on a topic of its own, the consumer first, then
 * its publisher. The delivery is the answer to the SEND; the receipt is not waited for.
 */
#include "load_pulsar_consume.h"
#include "pulsar_consumer.h"
#include "pulsar_producer.h"
#include "requests.h"

#include <stdlib.h>

struct pair {
	struct pulsar_producer producer;
	struct pulsar_consumer consumer;
	struct requests_line *line;
};

struct pairs {
	struct requests requests;
	struct pair *all;
};

static void send_batch(struct requests_line *line, uint64_t number)
{
	struct pairs *p = (struct pairs *)line->owner;

	pulsar_producer_send(&p->all[line->index].producer, number);
}

static void pair_end(struct pair *pair)
{
	if (pair->line == NULL)
		return;
	requests_ended(pair->line);
	pair->line = NULL;
	pulsar_client_close(&pair->producer.client);
	pulsar_client_close(&pair->consumer.client);
}

static void on_producer_ready(struct pulsar_producer *p)
{
	struct pair *pair = p->owner;

	requests_ready(pair->line, p->client.broker);
}

static void on_receipt(struct pulsar_producer *p, uint64_t number, bool good)
{
	struct pair *pair = p->owner;

	if (!good)
		requests_answered(pair->line, number, false);
}

static void on_room(struct pulsar_producer *p)
{
	struct pair *pair = p->owner;

	requests_room(pair->line);
}

static void on_producer_end(struct pulsar_producer *p)
{
	pair_end(p->owner);
}

static void on_consumer_ready(struct pulsar_consumer *c)
{
	struct pair *pair = c->owner;

	pulsar_producer_start(&pair->producer, pair->line->index);
}

static void on_message(struct pulsar_consumer *c, const struct pulsar_command *command)
{
	struct pair *pair = c->owner;
	struct load *l = c->client.load;
	size_t bytes;
	struct wire_reader metadata = pulsar_metadata(command, &bytes);
	uint64_t messages = pulsar_number(&metadata, 11, 1);
	uint64_t number = pulsar_number(&metadata, 2, 0) / messages;

	if (!pulsar_producer_sent(&pair->producer, &metadata) || /* somebody else's */
	    !requests_answered(pair->line, number, true))
		return;
	l->work[LOAD_REQUESTS]++;
	l->work[LOAD_MESSAGES] += messages;
	l->work[LOAD_BYTES] += bytes;
}

static void on_consumer_end(struct pulsar_consumer *c)
{
	pair_end(c->owner);
}

static void pair_start(struct pairs *p, uint32_t i, const struct pulsar_batch *batch)
{
	static const struct pulsar_producer_user producer_user = { .on_ready = on_producer_ready,
								   .on_receipt = on_receipt,
								   .on_room = on_room,
								   .on_end = on_producer_end };
	static const struct pulsar_consumer_user consumer_user = { .on_ready = on_consumer_ready,
								   .on_message = on_message,
								   .on_end = on_consumer_end };
	struct load *l = p->requests.load;
	struct pair *pair = &p->all[i];

	pair->line = &p->requests.lines[i];
	pair->producer.user = &producer_user;
	pair->producer.batch = *batch;
	pair->consumer.user = &consumer_user;
	pair->producer.owner = pair->consumer.owner = pair;
	pulsar_client_prepare(&pair->producer.client, l, p->requests.epoll_fd, i);
	pulsar_client_prepare(&pair->consumer.client, l, p->requests.epoll_fd, i);
	if (l->ask.publish_to_text != NULL)
		pair->producer.client.to = &l->ask.publish_to;
	pulsar_consumer_start(&pair->consumer, i);
}

void load_pulsar_consume_live(struct load *l)
{
	struct pairs p;
	struct pulsar_batch batch;

	requests_init(&p.requests, l, send_batch);
	pulsar_batch_init(&batch, l->ask.message_bytes, l->ask.payload_bytes);
	p.all = load_alloc(l->ask.conn_count, sizeof(*p.all));
	for (uint32_t i = 0; i < l->ask.conn_count; i++)
		pair_start(&p, i, &batch);
	requests_run(&p.requests);
	for (uint32_t i = 0; i < l->ask.conn_count; i++) {
		pulsar_client_free(&p.all[i].producer.client);
		pulsar_client_free(&p.all[i].consumer.client);
	}
	free(p.all);
	pulsar_batch_free(&batch);
	requests_free(&p.requests);
}
