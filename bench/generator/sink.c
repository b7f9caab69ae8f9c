/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The far end of every run: a server that echoes, or one that discards and, once the sender has
 * half-closed, answers with the number of bytes it got (eight bytes, this machine's order) and
 * closes. One thread, one epoll set. Discarding asks the kernel to drop the data unread
 * (MSG_TRUNC), so that the sink, which shares its core with the generator, costs little.
 */
#define _GNU_SOURCE 1
#include "load.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

enum {
	EVENTS_MAX = 256,
	ECHO_BYTES = 64 * 1024,
	DISCARD_BYTES = 4 * 1024 * 1024,
	ACCEPTS_PER_TURN = 64,
};

/* A listener is a guest with `listening` set: one type behind every epoll pointer. */
struct guest {
	int fd;
	bool listening;
	uint64_t received;
	size_t kept_at;
	size_t kept_bytes;
	uint8_t *kept; /* echo that did not fit into the socket; reading waits until it is out */
};

struct sink {
	enum sink_mode mode;
	int epoll_fd;
};

static uint8_t hot[DISCARD_BYTES]; /* one buffer for all: only a blocked echo keeps its own */

static void guest_close(struct guest *g)
{
	close(g->fd);
	free(g->kept);
	free(g);
}

static void sink_accept(struct sink *s, int listen_fd)
{
	for (int i = 0; i < ACCEPTS_PER_TURN; i++) {
		int fd = accept4(listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		struct guest *g;

		if (fd < 0)
			return;
		g = calloc(1, sizeof(*g));
		if (g == NULL)
			load_die("out of memory");
		g->fd = fd;
		load_net_watch(s->epoll_fd, fd, EPOLLIN, g);
	}
}

/* False when the guest is gone. */
static bool echo_flush(struct sink *s, struct guest *g)
{
	ssize_t n = send(g->fd, g->kept + g->kept_at, g->kept_bytes, MSG_NOSIGNAL);

	if (n < 0)
		return errno == EAGAIN;
	g->kept_at += (size_t)n;
	g->kept_bytes -= (size_t)n;
	if (g->kept_bytes == 0) {
		g->kept_at = 0;
		load_net_rewatch(s->epoll_fd, g->fd, EPOLLIN, g);
	}
	return true;
}

static bool echo_turn(struct sink *s, struct guest *g)
{
	if (g->kept_bytes > 0)
		return echo_flush(s, g);

	ssize_t n = recv(g->fd, hot, ECHO_BYTES, 0);
	if (n < 0)
		return errno == EAGAIN;
	if (n == 0)
		return false;

	ssize_t sent = send(g->fd, hot, (size_t)n, MSG_NOSIGNAL);
	if (sent < 0) {
		if (errno != EAGAIN)
			return false;
		sent = 0;
	}
	if (sent == n)
		return true;
	if (g->kept == NULL)
		g->kept = malloc(ECHO_BYTES);
	if (g->kept == NULL)
		return false;
	g->kept_bytes = (size_t)(n - sent);
	memcpy(g->kept, hot + sent, g->kept_bytes);
	load_net_rewatch(s->epoll_fd, g->fd, EPOLLOUT, g);
	return true;
}

static bool discard_turn(struct guest *g)
{
	ssize_t n = recv(g->fd, hot, DISCARD_BYTES, MSG_TRUNC);

	if (n < 0)
		return errno == EAGAIN;
	if (n > 0) {
		g->received += (uint64_t)n;
		return true;
	}
	if (send(g->fd, &g->received, sizeof(g->received), MSG_NOSIGNAL) < 0)
		perror("penstock-bench: sink answer");
	return false;
}

_Noreturn void sink_run(enum sink_mode mode, const struct load_addr *addrs, uint32_t count)
{
	struct sink s = { .mode = mode, .epoll_fd = load_net_epoll() };

	signal(SIGPIPE, SIG_IGN);
	for (uint32_t i = 0; i < count; i++) {
		struct guest *listener = calloc(1, sizeof(*listener));

		if (listener == NULL)
			load_die("out of memory");
		listener->listening = true;
		listener->fd = load_net_listen(&addrs[i]);
		load_net_watch(s.epoll_fd, listener->fd, EPOLLIN, listener);
	}
	printf("{\"mode\":\"sink\",\"listening\":%u}\n", count);
	fflush(stdout);

	for (;;) {
		struct epoll_event events[EVENTS_MAX];
		int ready = epoll_wait(s.epoll_fd, events, EVENTS_MAX, -1);

		for (int i = 0; i < ready; i++) {
			struct guest *g = events[i].data.ptr;

			if (g->listening)
				sink_accept(&s, g->fd);
			else if (!(mode == SINK_ECHO ? echo_turn(&s, g) : discard_turn(g)))
				guest_close(g);
		}
	}
}
