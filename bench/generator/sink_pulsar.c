/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Sink pulsar: a broker as far as a gateway and our own clients can tell. It owns every topic. What
 * is published goes to the consumers of the topic that began at its latest, as far as they have
 * permits; one that began at the earliest gets the topic's backlog instead (sink_topic.h).
 */
#include "load.h"
#include "pulsar_frames.h"
#include "sink.h"
#include "sink_topic.h"

#include <stdlib.h>
#include <string.h>

enum {
	ANSWERS_BYTES = 64 * 1024,     /* of one turn, sent together */
	WHOLE_BYTES = 8 * 1024 * 1024, /* kept of a frame whose payload is wanted */
	BLOCK_BYTES = 64 * 1024,       /* of backlog at a time, or one frame when that is longer */
};

/* One connection; with one producer or one consumer, as our clients make them. */
struct broker_guest {
	struct guest guest;
	struct frames in;
	struct sink *sink; /* set when it has a turn */
	bool broken;
	struct sink_topic *topic;

	struct broker_guest *next; /* among the topic's live readers */
	bool live;
	uint64_t consumer;
	uint64_t permits;
	uint8_t *block; /* frames of the backlog */
	size_t block_frames;
	size_t block_frame_bytes;
};

static uint8_t answer_bytes[ANSWERS_BYTES];
static struct wire_writer answers = { .bytes = answer_bytes, .room = sizeof(answer_bytes) };

static bool send_answers(struct broker_guest *b)
{
	size_t size = answers.size;

	answers.size = 0;
	return size == 0 || sink_answer(b->sink, &b->guest, answers.bytes, size);
}

/* ---- consumers ------------------------------------------------------------------------------- */

static void forget_reader(struct broker_guest *b)
{
	struct broker_guest **at;

	if (!b->live)
		return;
	b->live = false;
	for (at = (struct broker_guest **)&b->topic->readers; *at != b; at = &(*at)->next)
		;
	*at = b->next;
}

static void forget_backlog(struct broker_guest *b)
{
	free(b->block);
	b->block = NULL;
	b->guest.pushing = false;
}

/* Frames of the backlog, one after the other, for one send. */
static void make_block(struct broker_guest *b)
{
	const struct sink_topic *t = b->topic;
	uint8_t bytes[PULSAR_FRAME_BYTES];
	struct wire_writer head = WIRE_WRITER(bytes);

	pulsar_put_message(&head, b->consumer, 0, t->first_bytes);
	b->block_frame_bytes = head.size + t->first_bytes;
	b->block_frames = BLOCK_BYTES / b->block_frame_bytes + 1;
	b->block = load_alloc(b->block_frames, b->block_frame_bytes);
	for (size_t i = 0; i < b->block_frames; i++) {
		uint8_t *at = b->block + i * b->block_frame_bytes;

		memcpy(at, bytes, head.size);
		memcpy(at + head.size, t->first, t->first_bytes);
	}
}

static void on_subscribe(struct broker_guest *b, const struct wire_reader *body)
{
	struct wire_reader topic = pulsar_bytes(body, 1);

	forget_reader(b);
	forget_backlog(b);
	b->topic = sink_topic_get(&topic);
	b->consumer = pulsar_number(body, 4, 0);
	b->permits = 0;
	if (b->topic == NULL)
		return;
	pulsar_put_success(&answers, pulsar_number(body, 5, 0));
	if (pulsar_has(body, 9)) {
		if (b->topic->first != NULL)
			make_block(b);
		return;
	}
	b->live = true;
	b->next = b->topic->readers;
	b->topic->readers = b;
}

static void on_flow(struct broker_guest *b, const struct wire_reader *body)
{
	if (pulsar_number(body, 1, 0) != b->consumer)
		return;
	b->permits += pulsar_number(body, 2, 0);
	b->guest.pushing = b->block != NULL;
}

static void on_close_consumer(struct broker_guest *b, const struct wire_reader *body)
{
	forget_reader(b);
	forget_backlog(b);
	pulsar_put_success(&answers, pulsar_number(body, 2, 0));
}

/* A broker sends a batch when there is any permit left. */
static bool take_permits(struct broker_guest *b, uint64_t messages)
{
	if (b->permits == 0)
		return false;
	b->permits -= messages < b->permits ? messages : b->permits;
	return true;
}

static bool pulsar_writable(struct sink *s, struct guest *g)
{
	struct broker_guest *b = (struct broker_guest *)g;
	size_t frames = 0;

	(void)s;
	while (frames < b->block_frames && take_permits(b, b->topic->first_messages))
		frames++;
	g->pushing = frames == b->block_frames;
	return frames == 0 || sink_send(g, b->block, frames * b->block_frame_bytes);
}

/* ---- producers ------------------------------------------------------------------------------- */

static void on_producer(struct broker_guest *b, const struct wire_reader *body)
{
	struct wire_reader topic = pulsar_bytes(body, 1), name = pulsar_bytes(body, 4);

	forget_reader(b);
	b->topic = sink_topic_get(&topic);
	if (b->topic == NULL)
		return;
	pulsar_put_producer_success(&answers, pulsar_number(body, 3, 0), &name);
	b->in.keep_bytes = WHOLE_BYTES; /* the first may become the backlog */
}

static void deliver(struct broker_guest *from, const struct pulsar_command *command,
		    uint64_t messages)
{
	struct broker_guest *b;
	uint8_t bytes[PULSAR_FRAME_BYTES];

	if (command->rest.left < command->rest_bytes) /* came before the consumer did */
		return;
	for (b = from->topic->readers; b != NULL; b = b->next) {
		struct wire_writer head = WIRE_WRITER(bytes);

		if (!take_permits(b, messages))
			continue;
		pulsar_put_message(&head, b->consumer, from->topic->published, command->rest_bytes);
		/* A failure is met again in the consumer's own turn. */
		if (sink_answer(from->sink, &b->guest, bytes, head.size))
			sink_answer(from->sink, &b->guest, command->rest.at, command->rest.left);
	}
}

static void on_send(struct broker_guest *b, const struct pulsar_command *command)
{
	const struct wire_reader *body = &command->body;
	uint64_t messages = pulsar_number(body, 3, 1);
	struct sink_topic *t = b->topic;

	if (t == NULL)
		return;
	if (command->rest.left == command->rest_bytes)
		sink_topic_keep(t, command->rest.at, command->rest.left, messages);
	pulsar_put_receipt(&answers, pulsar_number(body, 1, 0), pulsar_number(body, 2, 0),
			   t->published);
	deliver(b, command, messages);
	t->published++;
	b->in.keep_bytes = t->first == NULL || t->readers != NULL ? WHOLE_BYTES : 0;
}

/* ---- every connection ------------------------------------------------------------------------ */

static void on_lookup(struct broker_guest *b, const struct wire_reader *body)
{
	static const char scheme[] = "pulsar://";
	char url[PULSAR_NAME_BYTES];

	memcpy(url, scheme, sizeof(scheme));
	sink_address(b->sink, &b->guest, url + strlen(scheme), sizeof(url) - strlen(scheme));
	pulsar_put_lookup_response(&answers, url, b->sink->ask->through_service,
				   pulsar_number(body, 2, 0));
}

static bool on_frame(void *owner, const struct frame *frame)
{
	struct broker_guest *b = owner;
	struct pulsar_command command;

	if (!pulsar_parse(frame, &command)) {
		b->broken = true;
		return false;
	}
	if (command.type == PULSAR_SEND)
		on_send(b, &command);
	else if (command.type == PULSAR_CONNECT)
		pulsar_put_connected(&answers);
	else if (command.type == PULSAR_PARTITIONED_METADATA)
		pulsar_put_partitions_response(&answers, pulsar_number(&command.body, 2, 0));
	else if (command.type == PULSAR_LOOKUP)
		on_lookup(b, &command.body);
	else if (command.type == PULSAR_PRODUCER)
		on_producer(b, &command.body);
	else if (command.type == PULSAR_SUBSCRIBE)
		on_subscribe(b, &command.body);
	else if (command.type == PULSAR_FLOW)
		on_flow(b, &command.body);
	else if (command.type == PULSAR_CLOSE_CONSUMER)
		on_close_consumer(b, &command.body);
	else if (command.type == PULSAR_CLOSE_PRODUCER)
		pulsar_put_success(&answers, pulsar_number(&command.body, 2, 0));
	else if (command.type == PULSAR_PING)
		pulsar_put_bare(&answers, PULSAR_PONG);
	if (answers.room - answers.size < PULSAR_FRAME_BYTES)
		b->broken = !send_answers(b);
	return !b->broken;
}

static bool pulsar_readable(struct sink *s, struct guest *g)
{
	struct broker_guest *b = (struct broker_guest *)g;

	b->sink = s;
	bool fine = frames_read(&b->in, g->fd, on_frame, b) > 0 && !b->broken && send_answers(b);

	answers.size = 0;
	return fine;
}

static void pulsar_closed(struct guest *g)
{
	struct broker_guest *b = (struct broker_guest *)g;

	forget_reader(b);
	forget_backlog(b);
	frames_free(&b->in);
}

const struct sink_kind sink_pulsar = {
	.name = "pulsar",
	.summary = "a fake Pulsar broker",
	.about = "Owns every topic, acknowledges everything. A consumer from the latest gets what "
		 "is published from then on, one from the earliest copies of what was published "
		 "first, without end.",
	.takes = OPTION_LISTEN | OPTION_DELAY | OPTION_ADVERTISE | OPTION_THROUGH,
	.guest_bytes = sizeof(struct broker_guest),
	.readable = pulsar_readable,
	.writable = pulsar_writable,
	.closed = pulsar_closed,
};
