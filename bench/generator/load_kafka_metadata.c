/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Mode kafka-metadata: connections that ask for a topic's partitions and brokers, again and again;
 * and mode kafka-topics: the same for all topics there are, once they have been made.
 */
#include "kafka_client.h"
#include "requests.h"

#include <stdlib.h>

struct asker {
	struct kafka_client client;
	uint64_t unmade; /* of its share of the topics: asked for, and not answered */
};

struct askers {
	struct requests requests;
	struct asker *all;
	bool of_all_topics;
};

static void put_metadata(struct kafka_client *c, uint64_t number, const char *topic)
{
	uint8_t bytes[KAFKA_FRAME_BYTES];
	struct wire_writer w = WIRE_WRITER(bytes);

	kafka_put_metadata(&w, (uint32_t)number, topic);
	framed_put(c->broker, bytes, w.size);
}

static void send_metadata(struct requests_line *line, uint64_t number)
{
	struct askers *all = (struct askers *)line->owner;
	struct kafka_client *c = &all->all[line->index].client;

	put_metadata(c, number, all->of_all_topics ? NULL : c->topic);
}

/* To ask for a topic makes it. The answer may still say that it is not there. */
static void make_topics(struct asker *a)
{
	struct kafka_client *c = &a->client;
	const struct options *ask = &c->load->ask;
	char topic[TOPIC_NAME_BYTES];

	for (uint64_t i = c->line; i < ask->topics; i += ask->conn_count) {
		topic_name(ask, i, topic);
		put_metadata(c, i, topic);
		a->unmade++;
	}
}

static void on_ready(struct kafka_client *c)
{
	struct requests_line *line = c->owner;
	struct asker *a = (struct asker *)c;

	if (((struct askers *)line->owner)->of_all_topics)
		make_topics(a);
	if (a->unmade == 0)
		requests_ready(line, c->broker);
}

static uint16_t parse(const struct askers *all, const struct kafka_client *c,
		      struct wire_reader body)
{
	struct kafka_leader leader;
	uint64_t topics;

	if (!all->of_all_topics)
		return kafka_parse_metadata(body, c->line, &leader);
	uint16_t error = kafka_parse_metadata_of_all(body, &topics);
	if (error == KAFKA_NONE && topics < c->load->ask.topics)
		return KAFKA_UNKNOWN_TOPIC_OR_PARTITION;
	return error;
}

static void on_answer(struct kafka_client *c, uint32_t id, struct wire_reader body)
{
	struct requests_line *line = c->owner;
	struct asker *a = (struct asker *)c;

	if (a->unmade > 0) {
		if (--a->unmade == 0)
			requests_ready(line, c->broker);
		return;
	}
	uint16_t error = parse((struct askers *)line->owner, c, body);

	if (requests_answered(line, id, kafka_client_is_good(c, error)))
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

static void run(struct load *l, bool of_all_topics)
{
	static const struct kafka_client_user user = {
		.on_ready = on_ready, .on_answer = on_answer, .on_room = on_room, .on_end = on_end
	};
	struct askers all = { .of_all_topics = of_all_topics };

	requests_init(&all.requests, l, send_metadata);
	all.all = load_alloc(l->ask.conn_count, sizeof(*all.all));
	for (uint32_t i = 0; i < l->ask.conn_count; i++) {
		struct kafka_client *c = &all.all[i].client;

		c->user = &user;
		c->owner = &all.requests.lines[i];
		kafka_client_prepare(c, l, all.requests.epoll_fd, i);
		kafka_client_start(c);
	}
	requests_run(&all.requests);
	for (uint32_t i = 0; i < l->ask.conn_count; i++)
		kafka_client_free(&all.all[i].client);
	free(all.all);
	requests_free(&all.requests);
}

static void load_kafka_metadata_run(struct load *l)
{
	run(l, false);
}

static void load_kafka_topics_run(struct load *l)
{
	run(l, true);
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

const struct load_mode load_kafka_topics = {
	.name = "kafka-topics",
	.summary = "Kafka metadata requests for all topics (sink: kafka)",
	.about =
		"As kafka-metadata, but every request asks for all topics there are, once --topics "
		"of them have been made. Error kafka_3: there are fewer.",
	.takes = (OPTION_COMMON & ~(uint32_t)OPTION_BYTES) | OPTION_TOPIC | OPTION_TOPICS |
		 OPTION_PACE | OPTION_WINDOW,
	.message_bytes = 1,
	.run = load_kafka_topics_run,
};
