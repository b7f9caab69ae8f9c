/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * A Pulsar consumer; pulsar_consumer.h says what it does.
 */
#include "pulsar_consumer.h"

#include <stdio.h>
#include <unistd.h>

enum { PERMITS = 1000 }; /* the real clients' default */

static void subscribe(struct pulsar_consumer *c)
{
	char name[64];
	struct pulsar_subscription subscription = { .topic = c->client.topic,
						    .name = name,
						    .consumer = ++c->id,
						    .from_earliest = c->from_earliest };
	uint8_t bytes[2 * PULSAR_FRAME_BYTES];
	struct wire_writer w = WIRE_WRITER(bytes);

	snprintf(name, sizeof(name), "penstock-bench-%d-%u-%llu", (int)getpid(), c->line,
		 (unsigned long long)c->id);
	pulsar_put_subscribe(&w, &subscription, ++c->client.request);
	pulsar_client_put(&c->client, &w);
}

void pulsar_consumer_rewind(struct pulsar_consumer *c)
{
	uint8_t bytes[PULSAR_FRAME_BYTES];
	struct wire_writer w = WIRE_WRITER(bytes);

	pulsar_put_close_consumer(&w, c->id, 0);
	pulsar_client_put(&c->client, &w);
	subscribe(c);
}

static void flow(struct pulsar_consumer *c, uint64_t permits)
{
	uint8_t bytes[PULSAR_FRAME_BYTES];
	struct wire_writer w = WIRE_WRITER(bytes);

	c->used = 0;
	pulsar_put_flow(&w, c->id, permits);
	pulsar_client_put(&c->client, &w);
}

static void acknowledge(struct pulsar_consumer *c, const struct pulsar_command *command)
{
	struct wire_reader id = pulsar_bytes(&command->body, 2);
	uint8_t bytes[PULSAR_FRAME_BYTES];
	struct wire_writer w = WIRE_WRITER(bytes);

	pulsar_put_ack(&w, c->id, &id);
	pulsar_client_put(&c->client, &w);
}

static void on_message(struct pulsar_consumer *c, const struct pulsar_command *command)
{
	size_t bytes;
	struct wire_reader metadata = pulsar_metadata(command, &bytes);

	if (pulsar_number(&command->body, 1, 0) == c->id) {
		c->used += pulsar_number(&metadata, 11, 1);
		if (c->used >= PERMITS / 2) {
			acknowledge(c, command);
			flow(c, c->used);
		}
	}
	c->user->on_message(c, command);
}

static void on_command(struct pulsar_client *client, const struct pulsar_command *command)
{
	struct pulsar_consumer *c = (struct pulsar_consumer *)client;
	uint64_t request = pulsar_number(&command->body, 1, 0);

	if (command->type == PULSAR_MESSAGE) {
		on_message(c, command);
	} else if (command->type == PULSAR_SUCCESS && request == client->request) {
		flow(c, PERMITS);
		c->user->on_ready(c);
	} else if (command->type == PULSAR_ERROR || command->type == PULSAR_CLOSE_CONSUMER) {
		if (command->type == PULSAR_ERROR)
			load_count_refusal(client->load, "pulsar",
					   pulsar_number(&command->body, 2, 0));
		else
			load_count_end(client->load, 0);
		pulsar_client_close(client);
		c->user->on_end(c);
	}
}

static void on_client_ready(struct pulsar_client *client)
{
	subscribe((struct pulsar_consumer *)client);
}

static void on_end(struct pulsar_client *client)
{
	struct pulsar_consumer *c = (struct pulsar_consumer *)client;

	c->user->on_end(c);
}

void pulsar_consumer_start(struct pulsar_consumer *c, uint32_t line)
{
	static const struct pulsar_client_user user = { .on_ready = on_client_ready,
							.on_command = on_command,
							.on_end = on_end };

	c->line = line;
	c->client.user = &user;
	c->client.looks_up = true;
	pulsar_client_start(&c->client);
}
