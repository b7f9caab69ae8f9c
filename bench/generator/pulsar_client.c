/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * A Pulsar client up to its broker's connection; pulsar_client.h says the steps.
 */
#include "pulsar_client.h"

#include <stdio.h>
#include <string.h>

enum { HOPS_MAX = 20 };

void pulsar_client_prepare(struct pulsar_client *c, struct load *l, int epoll_fd, uint32_t line)
{
	c->load = l;
	c->epoll_fd = epoll_fd;
	c->to = &l->ask.to;
	topic_name_pulsar(&l->ask, line, c->topic);
}

static void fail(struct pulsar_client *c)
{
	pulsar_client_close(c);
	c->user->on_end(c);
}

static void fail_protocol(struct pulsar_client *c)
{
	c->load->errors[LOAD_ERROR_PROTOCOL]++;
	fail(c);
}

/* Flushed at once, since the turn may be that of the other connection. */
static void put(struct framed *f, const struct wire_writer *w)
{
	framed_put(f, w->bytes, w->size);
	framed_flush(f);
}

void pulsar_client_put(struct pulsar_client *c, const struct wire_writer *w)
{
	framed_put(c->broker, w->bytes, w->size);
}

/* Dials and says CONNECT; `broker` is what a proxy should connect it to, or NULL. */
static bool dial(struct pulsar_client *c, struct framed *f, const struct load_addr *to,
		 const char *broker)
{
	uint8_t bytes[PULSAR_FRAME_BYTES];
	struct wire_writer w = WIRE_WRITER(bytes);
	int fd = load_net_dial(c->load, to);

	if (fd < 0)
		return false;
	framed_open(f, fd, c->epoll_fd);
	pulsar_put_connect(&w, broker);
	put(f, &w);
	return true;
}

static void ask_partitions(struct pulsar_client *c)
{
	uint8_t bytes[PULSAR_FRAME_BYTES];
	struct wire_writer w = WIRE_WRITER(bytes);

	c->step = PULSAR_STEP_PARTITIONS;
	pulsar_put_partitions(&w, c->topic, ++c->request);
	put(&c->service, &w);
}

static void look_up(struct pulsar_client *c, struct framed *at)
{
	uint8_t bytes[PULSAR_FRAME_BYTES];
	struct wire_writer w = WIRE_WRITER(bytes);

	c->step = PULSAR_STEP_LOOKUP;
	pulsar_put_lookup(&w, c->topic, ++c->request, c->final);
	put(at, &w);
}

static void be_ready(struct pulsar_client *c, struct framed *broker)
{
	c->step = PULSAR_STEP_READY;
	c->broker = broker;
	c->user->on_ready(c);
	framed_flush(broker);
}

static void on_partitions(struct pulsar_client *c, const struct wire_reader *body)
{
	size_t size = strlen(c->topic);

	if (pulsar_number(body, 3, 0) != 0) {
		load_count_refusal(c->load, "pulsar", pulsar_number(body, 4, 0));
		fail(c);
		return;
	}
	if (pulsar_number(body, 1, 0) > 0) /* one of them will do */
		snprintf(c->topic + size, sizeof(c->topic) - size, "-partition-0");
	look_up(c, &c->service);
}

/* The "host:port" of a LOOKUP_RESPONSE. */
static bool broker_name(const struct wire_reader *body, char *into, size_t room)
{
	static const char scheme[] = "pulsar://";
	struct wire_reader url = pulsar_bytes(body, 1);

	if (url.left < sizeof(scheme) || memcmp(url.at, scheme, sizeof(scheme) - 1) != 0)
		return false;
	wire_take(&url, sizeof(scheme) - 1);
	return wire_text(&url, into, room);
}

/* The connection to where the last lookup pointed is there. */
static void arrive(struct pulsar_client *c, struct framed *at)
{
	if (c->redirected)
		look_up(c, at);
	else
		be_ready(c, at);
}

static void go(struct pulsar_client *c, const char *name, bool by_service)
{
	struct load_addr to = *c->to;

	if (!by_service && !c->load->ask.stay)
		load_net_parse(name, &to);
	if (c->other.open && strcmp(name, c->other_name) == 0) {
		arrive(c, &c->other);
		return;
	}
	framed_close(&c->other);
	if (!by_service && load_net_is_same(&to, c->to)) {
		arrive(c, &c->service);
		return;
	}
	snprintf(c->other_name, sizeof(c->other_name), "%s", name);
	c->step = PULSAR_STEP_BROKER;
	if (!dial(c, &c->other, &to, by_service ? name : NULL))
		fail(c);
}

static void on_lookup(struct pulsar_client *c, const struct wire_reader *body)
{
	uint64_t answer = pulsar_number(body, 3, PULSAR_FAILED);
	bool by_service = pulsar_number(body, 8, false) != 0;
	char name[PULSAR_NAME_BYTES];

	if (answer == PULSAR_FAILED) {
		load_count_refusal(c->load, "pulsar", pulsar_number(body, 6, 0));
		fail(c);
		return;
	}
	if (++c->hops > HOPS_MAX || !broker_name(body, name, sizeof(name))) {
		fail_protocol(c);
		return;
	}
	c->redirected = answer == PULSAR_REDIRECT;
	c->final = pulsar_number(body, 5, false) != 0;
	if (c->redirected && c->load->stage == LOAD_MEASURING)
		c->load->work[LOAD_REDIRECTS]++;
	go(c, name, by_service);
}

static void on_connected(struct pulsar_client *c, struct framed *f)
{
	if (f == &c->other)
		arrive(c, f);
	else if (c->looks_up)
		ask_partitions(c);
	else
		be_ready(c, f);
}

static void on_answer(struct pulsar_client *c, struct framed *f,
		      const struct pulsar_command *command)
{
	static const enum pulsar_type awaited[] = {
		[PULSAR_STEP_CONNECT] = PULSAR_CONNECTED,
		[PULSAR_STEP_PARTITIONS] = PULSAR_PARTITIONED_METADATA_RESPONSE,
		[PULSAR_STEP_LOOKUP] = PULSAR_LOOKUP_RESPONSE,
		[PULSAR_STEP_BROKER] = PULSAR_CONNECTED,
	};

	if (command->type == PULSAR_ERROR) {
		load_count_refusal(c->load, "pulsar", pulsar_number(&command->body, 2, 0));
		fail(c);
	} else if (command->type != awaited[c->step]) {
		fail_protocol(c);
	} else if (command->type == PULSAR_CONNECTED) {
		on_connected(c, f);
	} else if (command->type == PULSAR_LOOKUP_RESPONSE) {
		on_lookup(c, &command->body);
	} else {
		on_partitions(c, &command->body);
	}
}

static void answer_ping(struct framed *f)
{
	uint8_t bytes[PULSAR_FRAME_BYTES];
	struct wire_writer w = WIRE_WRITER(bytes);

	pulsar_put_bare(&w, PULSAR_PONG);
	put(f, &w);
}

static void on_frame(struct framed *f, const struct frame *frame)
{
	struct pulsar_client *c = f->owner;
	struct pulsar_command command;

	if (!pulsar_parse(frame, &command)) {
		fail_protocol(c);
		return;
	}
	if (command.type == PULSAR_PING)
		answer_ping(f);
	else if (c->step != PULSAR_STEP_READY)
		on_answer(c, f, &command);
	else if (f == c->broker)
		c->user->on_command(c, &command);
}

static void on_room(struct framed *f)
{
	struct pulsar_client *c = f->owner;

	if (c->step == PULSAR_STEP_READY && f == c->broker && c->user->on_room != NULL)
		c->user->on_room(c);
}

/* Whoever has its broker does not mind losing the connection it looked up on. */
static void on_end(struct framed *f, int error)
{
	struct pulsar_client *c = f->owner;

	if (c->step == PULSAR_STEP_READY && f != c->broker)
		return;
	load_count_end(c->load, error);
	fail(c);
}

void pulsar_client_start(struct pulsar_client *c)
{
	static const struct framed_user user = { .on_frame = on_frame,
						 .on_room = on_room,
						 .on_end = on_end };

	c->service.user = c->other.user = &user;
	c->service.owner = c->other.owner = c;
	c->step = PULSAR_STEP_CONNECT;
	c->final = c->redirected = false;
	c->hops = 0;
	if (!dial(c, &c->service, c->to, NULL))
		fail(c);
}

void pulsar_client_close(struct pulsar_client *c)
{
	framed_close(&c->service);
	framed_close(&c->other);
	c->step = PULSAR_STEP_IDLE;
}

void pulsar_client_free(struct pulsar_client *c)
{
	framed_free(&c->service);
	framed_free(&c->other);
}
