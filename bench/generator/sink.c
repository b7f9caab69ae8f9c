/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What every sink shares: the list of kinds, listening and accepting, answers that wait (for the
 * socket, or because a delay was asked), and the loop.
 */
#define _GNU_SOURCE 1
#include "sink.h"

#include "load.h"

#include <errno.h>
#include <netdb.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

enum {
	EVENTS_MAX = 256,
	ACCEPTS_PER_TURN = 64,
	NS_PER_S = 1000000000,
};

const struct sink_kind *const sink_kinds[] = {
	&sink_echo, &sink_discard, &sink_marked, &sink_source, &sink_hello,
	&sink_mice, &sink_pulsar,  &sink_kafka,	 NULL,
};

/* An answer that is not due yet. */
struct sink_delayed {
	struct sink_delayed *next;
	struct guest *guest;
	uint64_t due_ns;
	size_t size;
	uint8_t bytes[];
};

static void guest_free(struct guest *g)
{
	free(g->kept);
	free(g);
}

static void guest_close(struct guest *g)
{
	if (g->kind->closed != NULL)
		g->kind->closed(g);
	close(g->fd);
	g->closed = true;
	if (g->delayed_count == 0)
		guest_free(g);
}

static void guest_keep(struct guest *g, const uint8_t *bytes, size_t size)
{
	if (g->kept_end + size > g->kept_room) {
		size_t room = 2 * (g->kept_end + size);
		uint8_t *larger = realloc(g->kept, room);

		if (larger == NULL)
			load_die("memory");
		g->kept = larger;
		g->kept_room = room;
	}
	memcpy(g->kept + g->kept_end, bytes, size);
	g->kept_end += size;
}

bool sink_send(struct guest *g, const uint8_t *bytes, size_t size)
{
	ssize_t sent = 0;

	if (g->kept_end == 0) {
		sent = send(g->fd, bytes, size, MSG_NOSIGNAL);
		if (sent < 0 && errno != EAGAIN)
			return false;
		if (sent < 0)
			sent = 0;
	}
	if ((size_t)sent < size)
		guest_keep(g, bytes + sent, size - (size_t)sent);
	return true;
}

static bool guest_flush(struct guest *g)
{
	ssize_t n = send(g->fd, g->kept + g->kept_at, g->kept_end - g->kept_at, MSG_NOSIGNAL);

	if (n < 0)
		return errno == EAGAIN;
	g->kept_at += (size_t)n;
	if (g->kept_at == g->kept_end)
		g->kept_at = g->kept_end = 0;
	return true;
}

static void guest_watch(struct sink *s, struct guest *g)
{
	uint32_t events = g->kept_end > 0 ? EPOLLOUT : EPOLLIN | (g->pushing ? EPOLLOUT : 0);

	if (events != g->watched)
		load_net_rewatch(s->epoll_fd, g->fd, events, g);
	g->watched = events;
}

static bool guest_turn(struct sink *s, struct guest *g, uint32_t events)
{
	if (g->kept_end > 0)
		return guest_flush(g);
	if ((events & ~(uint32_t)EPOLLOUT) != 0 && !g->kind->readable(s, g))
		return false;
	if ((events & EPOLLOUT) != 0 && g->pushing && g->kept_end == 0)
		return g->kind->writable(s, g);
	return true;
}

bool sink_answer(struct sink *s, struct guest *g, const void *bytes, size_t size)
{
	if (s->ask->delay_us == 0) {
		bool open = sink_send(g, bytes, size);

		guest_watch(s, g); /* it may not be this guest's turn */
		return open;
	}

	struct sink_delayed *one = load_alloc(1, sizeof(*one) + size);
	one->guest = g;
	one->due_ns = load_now_ns() + s->ask->delay_us * 1000;
	one->size = size;
	memcpy(one->bytes, bytes, size);
	if (s->delayed_first == NULL)
		s->delayed_first = one;
	else
		s->delayed_last->next = one;
	s->delayed_last = one;
	g->delayed_count++;
	return true;
}

void sink_address(const struct sink *s, const struct guest *g, char *into, size_t room)
{
	struct sockaddr_storage here;
	socklen_t size = sizeof(here);
	char host[64], port[8];

	if (s->ask->advertise != NULL) {
		snprintf(into, room, "%s", s->ask->advertise);
		return;
	}
	if (getsockname(g->fd, (struct sockaddr *)&here, &size) != 0 ||
	    getnameinfo((struct sockaddr *)&here, size, host, sizeof(host), port, sizeof(port),
			NI_NUMERICHOST | NI_NUMERICSERV) != 0)
		load_die("the address of a connection");
	snprintf(into, room, "%s:%s", host, port);
}

/* Sends what is due; returns how long to wait for the next, and NULL when there is none. */
static const struct timespec *sink_delayed_turn(struct sink *s, struct timespec *wait)
{
	while (s->delayed_first != NULL) {
		struct sink_delayed *one = s->delayed_first;
		struct guest *g = one->guest;
		uint64_t now_ns = load_now_ns();

		if (one->due_ns > now_ns) {
			wait->tv_sec = (time_t)((one->due_ns - now_ns) / NS_PER_S);
			wait->tv_nsec = (long)((one->due_ns - now_ns) % NS_PER_S);
			return wait;
		}
		s->delayed_first = one->next;
		g->delayed_count--;
		if (!g->closed) {
			if (sink_send(g, one->bytes, one->size))
				guest_watch(s, g);
			else
				guest_close(g);
		} else if (g->delayed_count == 0) {
			guest_free(g);
		}
		free(one);
	}
	return NULL;
}

static void sink_accept(struct sink *s, int listen_fd)
{
	size_t size = s->kind->guest_bytes != 0 ? s->kind->guest_bytes : sizeof(struct guest);

	for (int i = 0; i < ACCEPTS_PER_TURN; i++) {
		int fd = accept4(listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		struct guest *g;

		if (fd < 0)
			return;
		g = load_alloc(1, size);
		g->fd = fd;
		g->kind = s->kind;
		g->watched = EPOLLIN;
		load_net_watch(s->epoll_fd, fd, EPOLLIN, g);
	}
}

static void sink_turn(struct sink *s)
{
	struct epoll_event events[EVENTS_MAX];
	struct timespec wait;
	const struct timespec *until = sink_delayed_turn(s, &wait);
	int ready = epoll_pwait2(s->epoll_fd, events, EVENTS_MAX, until, NULL);

	for (int i = 0; i < ready; i++) {
		struct guest *g = events[i].data.ptr;

		if (g->listening)
			sink_accept(s, g->fd);
		else if (guest_turn(s, g, events[i].events))
			guest_watch(s, g);
		else
			guest_close(g);
	}
}

_Noreturn void sink_serve(const struct sink_kind *kind, const struct options *ask)
{
	struct sink s = { .kind = kind, .ask = ask, .epoll_fd = load_net_epoll() };

	signal(SIGPIPE, SIG_IGN);
	prctl(PR_SET_TIMERSLACK, 1); /* else every delay is up to 50 us longer */
	for (uint32_t i = 0; i < ask->listen_count; i++) {
		struct guest *listener = load_alloc(1, sizeof(*listener));

		listener->listening = true;
		listener->fd = load_net_listen(&ask->listen[i]);
		load_net_watch(s.epoll_fd, listener->fd, EPOLLIN, listener);
	}
	printf("{\"mode\":\"sink\",\"listening\":%u}\n", ask->listen_count);
	fflush(stdout);
	for (;;)
		sink_turn(&s);
}
