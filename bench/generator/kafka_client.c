/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * A Kafka client up to its leader's connection; kafka_client.h says the steps.
 */
#include "kafka_client.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

enum {
	TRIES_MAX = 500, /* of Metadata, for a topic that is being made */
	TRY_NS = 10000000,
};

void kafka_client_prepare(struct kafka_client *c, struct load *l, int epoll_fd, uint32_t line)
{
	c->load = l;
	c->epoll_fd = epoll_fd;
	c->line = line;
	topic_name(&l->ask, line, c->topic);
}

static void fail(struct kafka_client *c)
{
	framed_close(&c->bootstrap);
	framed_close(&c->other);
	c->step = KAFKA_STEP_IDLE;
	c->user->on_end(c);
}

bool kafka_client_is_good(struct kafka_client *c, uint16_t error)
{
	if (error == KAFKA_BROKEN)
		c->load->errors[LOAD_ERROR_PROTOCOL]++;
	else if (error != KAFKA_NONE)
		load_count_refusal(c->load, "kafka", error);
	return error == KAFKA_NONE;
}

void kafka_client_refuse(struct kafka_client *c, uint16_t error)
{
	kafka_client_is_good(c, error);
	fail(c);
}

/* Flushed at once, since the turn may be that of the other connection. */
static void put(struct framed *f, const struct wire_writer *w)
{
	framed_put(f, w->bytes, w->size);
	framed_flush(f);
}

static void dial(struct kafka_client *c, struct framed *f, const struct load_addr *to)
{
	uint8_t bytes[KAFKA_FRAME_BYTES];
	struct wire_writer w = WIRE_WRITER(bytes);
	int fd = load_net_dial(c->load, to);

	if (fd < 0) {
		fail(c);
		return;
	}
	framed_open(f, fd, c->epoll_fd);
	kafka_put_api_versions(&w, 0);
	put(f, &w);
}

static void ask_metadata(struct kafka_client *c)
{
	uint8_t bytes[KAFKA_FRAME_BYTES];
	struct wire_writer w = WIRE_WRITER(bytes);

	c->step = KAFKA_STEP_METADATA;
	kafka_put_metadata(&w, ++c->tries, c->topic);
	put(&c->bootstrap, &w);
}

static void be_ready(struct kafka_client *c, struct framed *broker)
{
	c->step = KAFKA_STEP_READY;
	c->broker = broker;
	c->user->on_ready(c);
	framed_flush(broker);
}

static void go_to_leader(struct kafka_client *c)
{
	char address[KAFKA_NAME_BYTES + 16];
	struct load_addr to;

	if (!c->seeks_leader || c->load->ask.stay) {
		be_ready(c, &c->bootstrap);
		return;
	}
	snprintf(address, sizeof(address), "%s:%u", c->leader.host, c->leader.port);
	load_net_parse(address, &to);
	if (load_net_is_same(&to, &c->load->ask.to)) {
		be_ready(c, &c->bootstrap);
		return;
	}
	c->step = KAFKA_STEP_LEADER;
	dial(c, &c->other, &to);
}

static bool is_being_made(uint16_t error)
{
	return error == KAFKA_UNKNOWN_TOPIC_OR_PARTITION || error == KAFKA_LEADER_NOT_AVAILABLE;
}

static void on_metadata(struct kafka_client *c, struct wire_reader body)
{
	uint16_t error = kafka_parse_metadata(body, c->line, &c->leader);

	if (error == KAFKA_NONE) {
		go_to_leader(c);
	} else if (is_being_made(error) && c->tries < TRIES_MAX) {
		/* Before the run: nobody minds that all wait. */
		nanosleep(&(struct timespec){ .tv_nsec = TRY_NS }, NULL);
		ask_metadata(c);
	} else {
		kafka_client_refuse(c, error);
	}
}

static void on_versions(struct kafka_client *c, struct framed *f, struct wire_reader body)
{
	uint16_t error = kafka_parse_api_versions(body);

	if (error != KAFKA_NONE)
		kafka_client_refuse(c, error);
	else if (f == &c->other)
		be_ready(c, f);
	else
		ask_metadata(c);
}

static void on_frame(struct framed *f, const struct frame *frame)
{
	struct kafka_client *c = f->owner;
	bool versions = c->step == KAFKA_STEP_VERSIONS || c->step == KAFKA_STEP_LEADER;
	struct wire_reader body;
	uint32_t id = kafka_parse(frame, versions, &body);

	if (versions)
		on_versions(c, f, body);
	else if (c->step == KAFKA_STEP_METADATA)
		on_metadata(c, body);
	else
		c->user->on_answer(c, id, body);
}

static void on_room(struct framed *f)
{
	struct kafka_client *c = f->owner;

	if (c->step == KAFKA_STEP_READY && f == c->broker)
		c->user->on_room(c);
}

/* Whoever has its leader does not mind losing the connection it learned of it on. */
static void on_end(struct framed *f, int error)
{
	struct kafka_client *c = f->owner;

	if (c->step == KAFKA_STEP_READY && f != c->broker)
		return;
	load_count_end(c->load, error);
	fail(c);
}

void kafka_client_start(struct kafka_client *c)
{
	static const struct framed_user user = { .on_frame = on_frame,
						 .on_room = on_room,
						 .on_end = on_end };

	c->bootstrap.user = c->other.user = &user;
	c->bootstrap.owner = c->other.owner = c;
	c->step = KAFKA_STEP_VERSIONS;
	dial(c, &c->bootstrap, &c->load->ask.to);
}

void kafka_client_free(struct kafka_client *c)
{
	framed_free(&c->bootstrap);
	framed_free(&c->other);
}
