/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Mode kafka-metadata: connections that ask for a topic's partitions and brokers, again and again.
 */
#include "kafka_client.h"
#include "requests.h"

#include <stdlib.h>

struct askers {
	struct requests requests;
	struct kafka_client *clients;
};

static void send_metadata(struct requests_line *line, uint64_t number)
{
	struct askers *all = (struct askers *)line->owner;
	struct kafka_client *c = &all->clients[line->index];
	uint8_t bytes[KAFKA_FRAME_BYTES];
	struct wire_writer w = WIRE_WRITER(bytes);

	kafka_put_metadata(&w, (uint32_t)number, c->topic);
	framed_put(c->broker, bytes, w.size);
}

static void on_ready(struct kafka_client *c)
{
	requests_ready(c->owner, c->broker);
}

static void on_answer(struct kafka_client *c, uint32_t id, struct wire_reader body)
{
	struct kafka_leader leader;
	uint16_t error = kafka_parse_metadata(body, c->line, &leader);

	if (requests_answered(c->owner, id, kafka_client_is_good(c, error)))
		c->load->work[LOAD_REQUESTS]++;
}

static void on_room(struct kafka_client *c)
{
	requests_room(c->owner);
}

static void on_end(struct kafka_client *c)
{
	requests_ended(c->owner);
}

static void load_kafka_metadata_run(struct load *l)
{
	static const struct kafka_client_user user = {
		.on_ready = on_ready, .on_answer = on_answer, .on_room = on_room, .on_end = on_end
	};
	struct askers all;

	requests_init(&all.requests, l, send_metadata);
	all.clients = load_alloc(l->ask.conn_count, sizeof(*all.clients));
	for (uint32_t i = 0; i < l->ask.conn_count; i++) {
		struct kafka_client *c = &all.clients[i];

		c->user = &user;
		c->owner = &all.requests.lines[i];
		kafka_client_prepare(c, l, all.requests.epoll_fd, i);
		kafka_client_start(c);
	}
	requests_run(&all.requests);
	for (uint32_t i = 0; i < l->ask.conn_count; i++)
		kafka_client_free(&all.clients[i]);
	free(all.clients);
	requests_free(&all.requests);
}

const struct load_mode load_kafka_metadata = {
	.name = "kafka-metadata",
	.summary = "Kafka metadata requests (sink: kafka)",
	.about = "Each of -c connections asks for the metadata of its topic (--topics of them, in "
		 "turn), with --window unanswered, or --rate a second in all.\n\nWork: requests. "
		 "Latency: of a request. Errors: kafka_N is error N of Kafka's protocol.",
	.takes = (OPTION_COMMON & ~(uint32_t)OPTION_BYTES) | OPTION_TOPIC | OPTION_TOPICS |
		 OPTION_PACE | OPTION_WINDOW,
	.message_bytes = 1,
	.run = load_kafka_metadata_run,
};
