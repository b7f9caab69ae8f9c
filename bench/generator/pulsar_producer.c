/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * A Pulsar producer; pulsar_producer.h says what it does.
 */
#include "pulsar_producer.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void on_client_ready(struct pulsar_client *c)
{
	struct pulsar_producer *p = (struct pulsar_producer *)c;
	uint8_t bytes[PULSAR_FRAME_BYTES];
	struct wire_writer w = WIRE_WRITER(bytes);

	pulsar_put_producer(&w, c->topic, p->name, ++c->request);
	pulsar_client_put(c, &w);
}

static void give_up(struct pulsar_producer *p)
{
	pulsar_client_close(&p->client);
	p->user->on_end(p);
}

static void on_command(struct pulsar_client *c, const struct pulsar_command *command)
{
	struct pulsar_producer *p = (struct pulsar_producer *)c;
	uint64_t number = pulsar_number(&command->body, 2, 0) / pulsar_batch_messages(&p->batch);

	if (command->type == PULSAR_SEND_RECEIPT) {
		p->user->on_receipt(p, number, true);
	} else if (command->type == PULSAR_SEND_ERROR) {
		load_count_refusal(c->load, "pulsar", pulsar_number(&command->body, 3, 0));
		p->user->on_receipt(p, number, false);
	} else if (command->type == PULSAR_PRODUCER_SUCCESS) {
		p->user->on_ready(p);
	} else if (command->type == PULSAR_ERROR) {
		load_count_refusal(c->load, "pulsar", pulsar_number(&command->body, 2, 0));
		give_up(p);
	} else if (command->type == PULSAR_CLOSE_PRODUCER) {
		load_count_end(c->load, 0);
		give_up(p);
	}
}

static void on_room(struct pulsar_client *c)
{
	struct pulsar_producer *p = (struct pulsar_producer *)c;

	p->user->on_room(p);
}

static void on_end(struct pulsar_client *c)
{
	struct pulsar_producer *p = (struct pulsar_producer *)c;

	p->user->on_end(p);
}

void pulsar_producer_start(struct pulsar_producer *p, uint32_t line)
{
	static const struct pulsar_client_user user = { .on_ready = on_client_ready,
							.on_command = on_command,
							.on_room = on_room,
							.on_end = on_end };

	snprintf(p->name, sizeof(p->name), "penstock-bench-%d-%u", (int)getpid(), line);
	p->batch.producer = p->name;
	p->client.user = &user;
	p->client.looks_up = true;
	pulsar_client_start(&p->client);
}

void pulsar_producer_send(struct pulsar_producer *p, uint64_t number)
{
	uint8_t bytes[2 * PULSAR_FRAME_BYTES];
	struct wire_writer w = WIRE_WRITER(bytes);

	pulsar_put_send(&w, &p->batch, number);
	pulsar_client_put(&p->client, &w);
	framed_put_tail(p->client.broker, p->batch.payload, p->batch.payload_bytes);
}

bool pulsar_producer_sent(const struct pulsar_producer *p, const struct wire_reader *metadata)
{
	struct wire_reader name = pulsar_bytes(metadata, 1);

	return name.left == strlen(p->name) && memcmp(name.at, p->name, name.left) == 0;
}
