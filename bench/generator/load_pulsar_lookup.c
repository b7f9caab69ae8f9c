/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Mode pulsar-lookup: connections that ask for the brokers of topics and do nothing else. What the
 * answers say is counted, and never followed.
 */
#include "pulsar_client.h"
#include "requests.h"

#include <stdlib.h>

struct lookups {
	struct requests requests;
	struct pulsar_client *clients;
};

static void send_lookup(struct requests_line *line, uint64_t number)
{
	struct lookups *all = (struct lookups *)line->owner;
	uint64_t topic = number * all->requests.load->ask.conn_count + line->index;
	uint8_t bytes[PULSAR_FRAME_BYTES];
	struct wire_writer w = WIRE_WRITER(bytes);
	char name[TOPIC_NAME_BYTES];

	topic_name_pulsar(&all->requests.load->ask, topic, name);
	pulsar_put_lookup(&w, name, number, false);
	pulsar_client_put(&all->clients[line->index], &w);
}

static void on_ready(struct pulsar_client *c)
{
	requests_ready(c->owner, c->broker);
}

static void on_room(struct pulsar_client *c)
{
	requests_room(c->owner);
}

static void on_end(struct pulsar_client *c)
{
	requests_ended(c->owner);
}

static void on_answer(struct pulsar_client *c, const struct wire_reader *body)
{
	uint64_t type = pulsar_number(body, 3, PULSAR_FAILED);

	if (type == PULSAR_FAILED)
		load_count_refusal(c->load, "pulsar", pulsar_number(body, 6, 0));
	if (!requests_answered(c->owner, pulsar_number(body, 4, 0), type != PULSAR_FAILED))
		return;
	c->load->work[LOAD_LOOKUPS]++;
	if (type == PULSAR_REDIRECT)
		c->load->work[LOAD_REDIRECTS]++;
}

static void on_command(struct pulsar_client *c, const struct pulsar_command *command)
{
	if (command->type == PULSAR_LOOKUP_RESPONSE) {
		on_answer(c, &command->body);
	} else if (command->type == PULSAR_ERROR) {
		load_count_refusal(c->load, "pulsar", pulsar_number(&command->body, 2, 0));
		requests_answered(c->owner, pulsar_number(&command->body, 1, 0), false);
	}
}

static void load_pulsar_lookup_run(struct load *l)
{
	static const struct pulsar_client_user user = {
		.on_ready = on_ready, .on_command = on_command, .on_room = on_room, .on_end = on_end
	};
	struct lookups all;

	requests_init(&all.requests, l, send_lookup);
	all.clients = load_alloc(l->ask.conn_count, sizeof(*all.clients));
	for (uint32_t i = 0; i < l->ask.conn_count; i++) {
		struct pulsar_client *c = &all.clients[i];

		c->user = &user;
		c->owner = &all.requests.lines[i];
		pulsar_client_prepare(c, l, all.requests.epoll_fd, i);
		pulsar_client_start(c);
	}
	requests_run(&all.requests);
	for (uint32_t i = 0; i < l->ask.conn_count; i++)
		pulsar_client_free(&all.clients[i]);
	free(all.clients);
	requests_free(&all.requests);
}

const struct load_mode load_pulsar_lookup = {
	.name = "pulsar-lookup",
	.summary = "Pulsar topic lookups (sink: pulsar)",
	.about = "Asks for the brokers of --topics topics in turn, on -c connections with --window "
		 "unanswered on each, or --rate a second in all, and follows no answer.\n\nWork: "
		 "lookups answered, redirects among them. Latency: of a lookup. Errors: pulsar_N "
		 "is error N of Pulsar's protocol.",
	.takes = (OPTION_COMMON & ~(uint32_t)OPTION_BYTES) | OPTION_TOPIC | OPTION_TOPICS |
		 OPTION_NAMESPACE | OPTION_PACE | OPTION_WINDOW,
	.message_bytes = 1,
	.run = load_pulsar_lookup_run,
};
