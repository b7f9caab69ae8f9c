/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Mode stream: N connections each send chunks as fast as the proxy takes them, one way. The work
 * is counted from the first byte until the sink has seen the last one: after the end of the time
 * each connection is half-closed, and the sink answers with the number of bytes it received. So
 * every byte that is counted has cost the proxy its whole price, and a lost one is seen.
 */
#include "load.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

enum {
	EVENTS_MAX = 64,
	SETTLE_MS = 20, /* lets the proxy finish dialling before the window opens */
};

struct stream {
	int fd;
	size_t chunk_at; /* bytes of the current chunk that are already written */
	uint64_t sent;
	uint64_t told; /* the sink's count, filled as it arrives */
	size_t told_bytes;
};

struct streams {
	struct load *load;
	struct stream *all;
	uint8_t *chunk;
	int epoll_fd;
	uint32_t open;
};

static void stream_end(struct streams *s, struct stream *one)
{
	close(one->fd);
	one->fd = -1;
	s->open--;
}

static void stream_send(struct streams *s, struct stream *one)
{
	size_t left = s->load->ask.message_bytes - one->chunk_at;
	ssize_t n = send(one->fd, s->chunk + one->chunk_at, left, MSG_NOSIGNAL);

	if (n < 0) {
		if (errno == EAGAIN)
			return;
		load_count_error(s->load, errno);
		stream_end(s, one);
		return;
	}
	one->sent += (uint64_t)n;
	one->chunk_at = (size_t)n == left ? 0 : one->chunk_at + (size_t)n;
}

static void stream_finish(struct streams *s, struct stream *one)
{
	uint8_t *into = (uint8_t *)&one->told + one->told_bytes;
	uint8_t extra;
	bool whole = one->told_bytes == sizeof(one->told);
	ssize_t n = whole ? recv(one->fd, &extra, 1, 0)
			  : recv(one->fd, into, sizeof(one->told) - one->told_bytes, 0);

	if (n < 0 && errno == EAGAIN)
		return;
	if (n > 0 && !whole) {
		one->told_bytes += (size_t)n;
		return;
	}
	if (n < 0) {
		load_count_error(s->load, errno);
	} else if (one->told != one->sent) {
		s->load->errors[LOAD_ERROR_SHORT]++;
	} else {
		s->load->work[LOAD_BYTES] += one->sent;
		s->load->work[LOAD_CONNECTIONS]++;
	}
	stream_end(s, one);
}

static void stream_half_close(struct streams *s)
{
	for (uint32_t i = 0; i < s->load->ask.conn_count; i++) {
		struct stream *one = &s->all[i];

		if (one->fd < 0)
			continue;
		shutdown(one->fd, SHUT_WR);
		load_net_rewatch(s->epoll_fd, one->fd, EPOLLIN, one);
	}
}

static void stream_loop(struct streams *s)
{
	struct load *l = s->load;
	uint64_t stop_ns = l->begin.wall_ns + l->ask.run_ns;
	uint64_t last_ns = stop_ns + LOAD_GRACE_NS;
	bool sending = true;

	while (s->open > 0) {
		struct epoll_event events[EVENTS_MAX];
		int ready = epoll_wait(s->epoll_fd, events, EVENTS_MAX, 100);
		uint64_t now_ns = load_now_ns();

		if (sending && now_ns >= stop_ns) {
			sending = false;
			stream_half_close(s);
			continue; /* the events above are of another interest set */
		}
		if (now_ns >= last_ns) {
			l->errors[LOAD_ERROR_STUCK] += s->open;
			return;
		}
		for (int i = 0; i < ready; i++) {
			if (sending)
				stream_send(s, events[i].data.ptr);
			else
				stream_finish(s, events[i].data.ptr);
		}
	}
}

static void load_stream_run(struct load *l)
{
	struct streams s = { .load = l, .epoll_fd = load_net_epoll() };
	int *fds = load_alloc(l->ask.conn_count, sizeof(*fds));

	s.all = load_alloc(l->ask.conn_count, sizeof(*s.all));
	s.chunk = load_alloc(1, l->ask.message_bytes);
	memset(s.chunk, 'p', l->ask.message_bytes);

	s.open = load_net_open_all(l, &l->ask.to, fds, l->ask.conn_count);
	nanosleep(&(struct timespec){ .tv_nsec = SETTLE_MS * 1000000L }, NULL);
	for (uint32_t i = 0; i < l->ask.conn_count; i++) {
		s.all[i].fd = fds[i];
		if (fds[i] >= 0)
			load_net_watch(s.epoll_fd, fds[i], EPOLLOUT, &s.all[i]);
	}
	load_window_open(l);
	stream_loop(&s);
	load_window_finish(l);
	close(s.epoll_fd);
	free(s.chunk);
	free(s.all);
	free(fds);
}

const struct load_mode load_stream = {
	.name = "stream",
	.summary = "bytes one way, as many as go (sink: discard)",
	.about =
		"N connections send chunks of -b bytes as fast as they are taken. The window is from "
		"the first byte until\nthe sink has confirmed the last. Work: bytes.",
	.takes = OPTION_COMMON,
	.message_bytes = 65536,
	.run = load_stream_run,
};
