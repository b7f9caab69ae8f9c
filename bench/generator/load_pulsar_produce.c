/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Mode pulsar-produce: producers that publish batches, or single messages, and wait for the
 * receipts.
 */
#include "pulsar_producer.h"
#include "requests.h"

#include <stdlib.h>

struct producers {
	struct requests requests;
	struct pulsar_producer *all;
};

static void send_batch(struct requests_line *line, uint64_t number)
{
	struct producers *p = (struct producers *)line->owner;

	pulsar_producer_send(&p->all[line->index], number);
}

static void on_ready(struct pulsar_producer *p)
{
	requests_ready(p->owner, p->client.broker);
}

static void on_receipt(struct pulsar_producer *p, uint64_t number, bool good)
{
	struct load *l = p->client.load;

	if (!requests_answered(p->owner, number, good))
		return;
	l->work[LOAD_REQUESTS]++;
	l->work[LOAD_MESSAGES] += pulsar_batch_messages(&p->batch);
	l->work[LOAD_BYTES] += p->batch.payload_bytes;
}

static void on_room(struct pulsar_producer *p)
{
	requests_room(p->owner);
}

static void on_end(struct pulsar_producer *p)
{
	requests_ended(p->owner);
}

static void load_pulsar_produce_run(struct load *l)
{
	static const struct pulsar_producer_user user = {
		.on_ready = on_ready, .on_receipt = on_receipt, .on_room = on_room, .on_end = on_end
	};
	struct producers p;
	struct pulsar_batch batch;

	requests_init(&p.requests, l, send_batch);
	pulsar_batch_init(&batch, l->ask.message_bytes, l->ask.payload_bytes);
	p.all = load_alloc(l->ask.conn_count, sizeof(*p.all));
	for (uint32_t i = 0; i < l->ask.conn_count; i++) {
		struct pulsar_producer *one = &p.all[i];

		one->user = &user;
		one->owner = &p.requests.lines[i];
		one->batch = batch;
		pulsar_client_prepare(&one->client, l, p.requests.epoll_fd, i);
		pulsar_producer_start(one, i);
	}
	requests_run(&p.requests);
	for (uint32_t i = 0; i < l->ask.conn_count; i++)
		pulsar_client_free(&p.all[i].client);
	free(p.all);
	pulsar_batch_free(&batch);
	requests_free(&p.requests);
}

const struct load_mode load_pulsar_produce = {
	.name = "pulsar-produce",
	.summary = "publish to Pulsar topics (sink: pulsar)",
	.about = "Each of -c clients connects, looks its topic up (--topics of them, in turn), "
		 "goes where the answer points, through the service address when it says so, and "
		 "publishes -b bytes at a time: one message, or a batch of messages of --payload "
		 "bytes. --window unanswered on each connection, or --rate of these a second in "
		 "all.\n\nWork: requests (SENDs with a receipt), their messages, and bytes of "
		 "payload. Latency: until the receipt.",
	.takes = OPTION_COMMON | OPTION_PAYLOAD | OPTION_TOPIC | OPTION_TOPICS | OPTION_NAMESPACE |
		 OPTION_PACE | OPTION_WINDOW | OPTION_STAY,
	.message_bytes = 64 * 1024,
	.run = load_pulsar_produce_run,
};
