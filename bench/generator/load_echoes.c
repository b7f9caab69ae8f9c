/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Open-loop echo connections; load_echoes.h says what they are.
 */
#include "load_echoes.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	READ_BYTES = 64 * 1024,
	SENDS_PER_TURN = 64, /* then answers are looked at, also by a generator that is behind */
	UNANSWERED_MAX = 1 << 22,
	TIMES_ROOM_FIRST = 16,
};

struct load_echo {
	struct load_handler handler; /* must be first */
	struct load_echoes *owner;
	int fd;
	size_t sent_at;	     /* bytes of the message being sent that are out */
	uint64_t sending;    /* messages not wholly sent: the socket was full */
	size_t received;     /* bytes of the echo being received */
	uint64_t *times;     /* intended times of unanswered messages, a ring */
	uint32_t times_room; /* a power of two */
	uint32_t times_first;
	uint32_t times_count;
};

static void echo_push(struct load_echo *c, uint64_t intended_ns)
{
	if (c->times_count == c->times_room) {
		uint32_t room = c->times_room == 0 ? TIMES_ROOM_FIRST : 2 * c->times_room;
		uint64_t *times = load_alloc(room, sizeof(*times));

		for (uint32_t i = 0; i < c->times_count; i++)
			times[i] = c->times[(c->times_first + i) & (c->times_room - 1)];
		free(c->times);
		c->times = times;
		c->times_room = room;
		c->times_first = 0;
	}
	c->times[(c->times_first + c->times_count++) & (c->times_room - 1)] = intended_ns;
	c->owner->unanswered++;
}

static uint64_t echo_pop(struct load_echo *c)
{
	uint64_t intended_ns = c->times[c->times_first];

	c->times_first = (c->times_first + 1) & (c->times_room - 1);
	c->times_count--;
	c->owner->unanswered--;
	return intended_ns;
}

/* Its unanswered messages are lost with it; the error is counted once. */
static void echo_fail(struct load_echo *c, int error)
{
	load_count_end(c->owner->load, error);
	close(c->fd);
	c->fd = -1;
	c->owner->open--;
	c->owner->unanswered -= c->times_count;
	c->times_count = 0;
}

static void echo_send(struct load_echo *c)
{
	size_t size = c->owner->load->ask.message_bytes;

	while (c->sending > 0) {
		ssize_t n = send(c->fd, c->owner->message + c->sent_at, size - c->sent_at,
				 MSG_NOSIGNAL);

		if (n < 0) {
			if (errno != EAGAIN)
				echo_fail(c, errno);
			return;
		}
		c->sent_at += (size_t)n;
		if (c->sent_at == size) {
			c->sent_at = 0;
			c->sending--;
		}
	}
}

/* Edge-triggered: reads until the socket is empty. */
static void echo_receive(struct load_echo *c)
{
	static uint8_t unused[READ_BYTES];
	struct load *l = c->owner->load;

	for (;;) {
		ssize_t n = recv(c->fd, unused, sizeof(unused), 0);

		if (n < 0 && errno == EAGAIN)
			return;
		if (n <= 0) {
			echo_fail(c, n < 0 ? errno : 0);
			return;
		}
		c->received += (size_t)n;
		if (l->stage == LOAD_MEASURING)
			l->work[LOAD_BYTES] += 2 * (uint64_t)n;
		while (c->received >= l->ask.message_bytes && c->times_count > 0) {
			c->received -= l->ask.message_bytes;
			load_pace_answered(l, echo_pop(c));
			if (l->stage == LOAD_MEASURING) {
				l->work[LOAD_MESSAGES]++;
				l->work[LOAD_ROUND_TRIPS]++;
			}
		}
		if ((size_t)n < sizeof(unused))
			return;
	}
}

static void echo_on_events(struct load_handler *h, uint32_t events)
{
	struct load_echo *c = (struct load_echo *)h;

	if (c->fd >= 0 && (events & EPOLLOUT) != 0 && c->sending > 0)
		echo_send(c);
	if (c->fd >= 0 && (events & ~(uint32_t)EPOLLOUT) != 0)
		echo_receive(c);
}

void load_echoes_open(struct load_echoes *e, struct load *l, int epoll_fd, char role)
{
	int *fds = load_alloc(l->ask.conn_count, sizeof(*fds));

	e->load = l;
	e->all = load_alloc(l->ask.conn_count, sizeof(*e->all));
	e->message = load_alloc(1, l->ask.message_bytes);
	memset(e->message, 'p', l->ask.message_bytes);
	e->open = load_net_open_all(l, &l->ask.to, fds, l->ask.conn_count);
	l->work[LOAD_CONNECTIONS] = e->open;
	for (uint32_t i = 0; i < l->ask.conn_count; i++) {
		struct load_echo *c = &e->all[i];

		c->handler.on_events = echo_on_events;
		c->owner = e;
		c->fd = fds[i];
		if (c->fd < 0)
			continue;
		load_net_watch(epoll_fd, c->fd, EPOLLIN | EPOLLOUT | EPOLLET, c);
		if (role != 0 && send(c->fd, &role, sizeof(role), MSG_NOSIGNAL) < 0)
			echo_fail(c, errno);
	}
	free(fds);
}

void load_echoes_start(struct load_echoes *e)
{
	load_pace_start(&e->pace, &e->load->ask, load_now_ns());
}

void load_echoes_send(struct load_echoes *e)
{
	for (int i = 0; i < SENDS_PER_TURN && load_pace_due(&e->pace, e->load); i++) {
		uint64_t intended_ns = load_pace_take(&e->pace, e->load);
		struct load_echo *c = &e->all[load_pace_pick(&e->pace, e->load->ask.conn_count)];

		/* A message that cannot go stays offered and unanswered: the run is invalid. */
		if (c->fd < 0 || e->unanswered >= UNANSWERED_MAX)
			continue;
		echo_push(c, intended_ns);
		if (c->sending++ == 0)
			echo_send(c);
	}
}

bool load_echoes_done(struct load_echoes *e)
{
	if (e->open == 0)
		return true;
	return e->load->stage >= LOAD_DRAINING && e->unanswered == 0 &&
	       !load_pace_due(&e->pace, e->load);
}

void load_echoes_close(struct load_echoes *e)
{
	e->load->errors[LOAD_ERROR_STUCK] += e->unanswered;
	for (uint32_t i = 0; i < e->load->ask.conn_count; i++) {
		if (e->all[i].fd >= 0)
			close(e->all[i].fd);
		free(e->all[i].times);
	}
	free(e->message);
	free(e->all);
}
