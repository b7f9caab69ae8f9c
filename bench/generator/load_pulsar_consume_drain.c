/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Mode pulsar-consume without a rate. First every topic gets its messages; a reader then takes them
 * as fast as they come, from the earliest on, and again when it has had them all. The loop is that
 * of the requests, which are none.
 */
#include "load_pulsar_consume.h"
#include "pulsar_consumer.h"
#include "pulsar_producer.h"
#include "requests.h"

#include <stdlib.h>

enum { FILL_UNANSWERED_MAX = 64 };

struct drain {
	struct pulsar_producer producer;
	struct pulsar_consumer consumer;
	struct requests_line *line;
	uint64_t fill_count; /* SENDs that fill the topic */
	uint64_t sent;
	uint64_t stored;
	uint64_t read; /* of this subscription */
};

struct drains {
	struct requests requests;
	struct drain *all;
};

static void drain_end(struct drain *d)
{
	requests_ended(d->line);
}

static void fill(struct pulsar_producer *p)
{
	struct drain *d = p->owner;

	while (d->sent < d->fill_count && d->sent - d->stored < FILL_UNANSWERED_MAX &&
	       framed_takes_more(p->client.broker)) {
		pulsar_producer_send(p, d->sent++);
		framed_flush(p->client.broker);
	}
}

static void on_receipt(struct pulsar_producer *p, uint64_t number, bool good)
{
	struct drain *d = p->owner;

	(void)number;
	d->stored++;
	if (good && d->stored < d->fill_count) {
		fill(p);
		return;
	}
	pulsar_client_close(&p->client);
	if (good)
		pulsar_consumer_start(&d->consumer, d->line->index);
	else
		drain_end(d);
}

static void on_producer_end(struct pulsar_producer *p)
{
	drain_end(p->owner);
}

static void on_subscribed(struct pulsar_consumer *c)
{
	struct drain *d = c->owner;

	d->read = 0;
	if (d->line->via == NULL)
		requests_ready(d->line, c->client.broker);
}

static void on_message(struct pulsar_consumer *c, const struct pulsar_command *command)
{
	struct drain *d = c->owner;
	struct load *l = c->client.load;
	size_t bytes;
	struct wire_reader metadata = pulsar_metadata(command, &bytes);

	if (l->stage == LOAD_MEASURING) {
		l->work[LOAD_REQUESTS]++;
		l->work[LOAD_MESSAGES] += pulsar_number(&metadata, 11, 1);
		l->work[LOAD_BYTES] += bytes;
	}
	if (++d->read == d->fill_count)
		pulsar_consumer_rewind(c);
}

static void on_consumer_end(struct pulsar_consumer *c)
{
	drain_end(c->owner);
}

static void drain_start(struct drains *all, uint32_t i, const struct pulsar_batch *batch)
{
	static const struct pulsar_producer_user producer_user = { .on_ready = fill,
								   .on_receipt = on_receipt,
								   .on_room = fill,
								   .on_end = on_producer_end };
	static const struct pulsar_consumer_user consumer_user = { .on_ready = on_subscribed,
								   .on_message = on_message,
								   .on_end = on_consumer_end };
	struct load *l = all->requests.load;
	struct drain *d = &all->all[i];

	d->line = &all->requests.lines[i];
	d->fill_count = (l->ask.fill_mib << 20) / batch->payload_bytes + 1;
	d->producer.user = &producer_user;
	d->producer.batch = *batch;
	d->consumer.user = &consumer_user;
	d->consumer.from_earliest = true;
	d->producer.owner = d->consumer.owner = d;
	pulsar_client_prepare(&d->producer.client, l, all->requests.epoll_fd, i);
	pulsar_client_prepare(&d->consumer.client, l, all->requests.epoll_fd, i);
	if (l->ask.publish_to_text != NULL)
		d->producer.client.to = &l->ask.publish_to;
	pulsar_producer_start(&d->producer, i);
}

void load_pulsar_consume_drain(struct load *l)
{
	struct drains all;
	struct pulsar_batch batch;

	requests_init(&all.requests, l, NULL);
	all.requests.window = 0;
	pulsar_batch_init(&batch, l->ask.message_bytes, l->ask.payload_bytes);
	all.all = load_alloc(l->ask.conn_count, sizeof(*all.all));
	for (uint32_t i = 0; i < l->ask.conn_count; i++)
		drain_start(&all, i, &batch);
	requests_run(&all.requests);
	for (uint32_t i = 0; i < l->ask.conn_count; i++) {
		pulsar_client_free(&all.all[i].producer.client);
		pulsar_client_free(&all.all[i].consumer.client);
	}
	free(all.all);
	pulsar_batch_free(&batch);
	requests_free(&all.requests);
}
