/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Mode stream: N connections, each full of chunks in one direction. Both ways end with a count by
 * the sink of what it received or sent, so every byte that is counted here has cost the proxy its
 * whole price, and a lost one is seen.
 *
 *	up	the generator sends chunks, then half-closes; sink discard answers with its count
 *	down	the generator sends the size of a chunk (eight bytes); sink source sends such
 *		chunks until it gets one more byte, then its count, and half-closes
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
	COUNT_BYTES = sizeof(uint64_t),
	LAST_BYTES = 256 * 1024,
	DROP_BYTES = 4 * 1024 * 1024,
	ENDED = -1,
};

struct stream {
	int fd;
	size_t chunk_at; /* up: bytes of the current chunk that are already written */
	uint64_t moved;	 /* up: bytes sent; down: received, with the sink's count in the end */
	uint8_t last[COUNT_BYTES]; /* the last bytes received: in the end, the sink's count */
	uint64_t answered;	   /* bytes received after the stop */
};

struct streams {
	struct load *load;
	const struct stream_way *way;
	struct stream *all;
	uint8_t *chunk;
	int epoll_fd;
	uint32_t open;
};

/* The functions return 0, or an errno, or ENDED. */
struct stream_way {
	uint32_t events; /* to wait for until the stop */
	int (*start)(struct streams *s, struct stream *one);
	int (*move)(struct streams *s, struct stream *one);
	int (*stop)(struct stream *one);
	uint64_t (*bytes)(const struct stream *one); /* moved, the count excepted */
};

static int up_start(struct streams *s, struct stream *one)
{
	(void)s;
	(void)one;
	return 0;
}

static int up_move(struct streams *s, struct stream *one)
{
	size_t left = s->load->ask.message_bytes - one->chunk_at;
	ssize_t n = send(one->fd, s->chunk + one->chunk_at, left, MSG_NOSIGNAL);

	if (n < 0)
		return errno == EAGAIN ? 0 : errno;
	one->moved += (uint64_t)n;
	one->chunk_at = (size_t)n == left ? 0 : one->chunk_at + (size_t)n;
	return 0;
}

static int up_stop(struct stream *one)
{
	return shutdown(one->fd, SHUT_WR) == 0 ? 0 : errno;
}

static uint64_t up_bytes(const struct stream *one)
{
	return one->moved;
}

static int down_start(struct streams *s, struct stream *one)
{
	uint64_t size = s->load->ask.message_bytes;

	return send(one->fd, &size, sizeof(size), MSG_NOSIGNAL) < 0 ? errno : 0;
}

/* The kernel drops the data unread, as in sink discard. */
static int down_move(struct streams *s, struct stream *one)
{
	static uint8_t unused[DROP_BYTES];
	ssize_t n = recv(one->fd, unused, sizeof(unused), MSG_TRUNC);

	(void)s;
	if (n < 0)
		return errno == EAGAIN ? 0 : errno;
	one->moved += (uint64_t)n;
	return n == 0 ? ENDED : 0;
}

static int down_stop(struct stream *one)
{
	return send(one->fd, "", 1, MSG_NOSIGNAL) < 0 ? errno : 0;
}

static uint64_t down_bytes(const struct stream *one)
{
	return one->moved + one->answered - COUNT_BYTES;
}

static const struct stream_way up = { EPOLLOUT, up_start, up_move, up_stop, up_bytes };
static const struct stream_way down = { EPOLLIN, down_start, down_move, down_stop, down_bytes };

static void stream_close(struct streams *s, struct stream *one)
{
	close(one->fd);
	one->fd = -1;
	s->open--;
}

static void stream_fail(struct streams *s, struct stream *one, int error)
{
	load_count_end(s->load, error == ENDED ? 0 : error);
	stream_close(s, one);
}

static void stream_end(struct streams *s, struct stream *one)
{
	uint64_t count;

	memcpy(&count, one->last, sizeof(count));
	if (one->answered < COUNT_BYTES) {
		load_count_end(s->load, 0);
	} else if (count != s->way->bytes(one)) {
		s->load->errors[LOAD_ERROR_SHORT]++;
	} else {
		s->load->work[LOAD_BYTES] += count;
		s->load->work[LOAD_CONNECTIONS]++;
	}
	stream_close(s, one);
}

/* After the stop: reads to the end of the input, keeping its last eight bytes. */
static void stream_finish(struct streams *s, struct stream *one)
{
	static uint8_t into[COUNT_BYTES + LAST_BYTES]; /* the last bytes, then the new ones */
	ssize_t n = recv(one->fd, into + COUNT_BYTES, LAST_BYTES, 0);

	if (n > 0) {
		memcpy(into, one->last, COUNT_BYTES);
		memcpy(one->last, into + n, COUNT_BYTES);
		one->answered += (uint64_t)n;
	} else if (n == 0) {
		stream_end(s, one);
	} else if (errno != EAGAIN) {
		stream_fail(s, one, errno);
	}
}

static void streams_each(struct streams *s, uint32_t events, bool starting)
{
	for (uint32_t i = 0; i < s->load->ask.conn_count; i++) {
		struct stream *one = &s->all[i];

		if (one->fd < 0)
			continue;
		load_net_rewatch(s->epoll_fd, one->fd, events, one);
		int error = starting ? s->way->start(s, one) : s->way->stop(one);
		if (error != 0)
			stream_fail(s, one, error);
	}
}

static void streams_loop(struct streams *s)
{
	struct load *l = s->load;
	uint64_t stop_ns = l->begin.wall_ns + l->ask.run_ns;
	bool moving = true;

	while (s->open > 0) {
		struct epoll_event events[EVENTS_MAX];
		int ready = epoll_wait(s->epoll_fd, events, EVENTS_MAX, 100);
		uint64_t now_ns = load_now_ns();

		if (moving && now_ns >= stop_ns) {
			moving = false;
			streams_each(s, EPOLLIN, false);
			continue; /* the events above are of another interest set */
		}
		if (now_ns >= stop_ns + LOAD_GRACE_NS) {
			l->errors[LOAD_ERROR_STUCK] += s->open;
			return;
		}
		for (int i = 0; i < ready; i++) {
			struct stream *one = events[i].data.ptr;
			int error = 0;

			if (!moving)
				stream_finish(s, one);
			else
				error = s->way->move(s, one);
			if (error != 0)
				stream_fail(s, one, error);
		}
	}
}

static void load_stream_run(struct load *l)
{
	struct streams s = { .load = l,
			     .way = l->ask.down ? &down : &up,
			     .epoll_fd = load_net_epoll() };
	int *fds = load_alloc(l->ask.conn_count, sizeof(*fds));

	s.all = load_alloc(l->ask.conn_count, sizeof(*s.all));
	s.chunk = load_alloc(1, l->ask.message_bytes);
	memset(s.chunk, 'p', l->ask.message_bytes);

	s.open = load_net_open_all(l, &l->ask.to, fds, l->ask.conn_count);
	nanosleep(&(struct timespec){ .tv_nsec = SETTLE_MS * 1000000L }, NULL);
	for (uint32_t i = 0; i < l->ask.conn_count; i++) {
		s.all[i].fd = fds[i];
		if (fds[i] >= 0)
			load_net_watch(s.epoll_fd, fds[i], 0, &s.all[i]);
	}
	load_window_open(l);
	streams_each(&s, s.way->events, true);
	streams_loop(&s);
	load_window_finish(l);
	close(s.epoll_fd);
	free(s.chunk);
	free(s.all);
	free(fds);
}

const struct load_mode load_stream = {
	.name = "stream",
	.summary = "bytes one way, as many as go (sink: discard; with --down: source)",
	.about =
		"N connections send chunks of -b bytes as fast as they are taken; with --down the "
		"sink sends and the generator receives. The window is from the first byte until the last one has "
		"been confirmed; -w and --hgrm mean nothing here and are taken for the sake of scripts."
		"\n\nWork: bytes, confirmed by the sink's own count. No latency.",
	.takes = OPTION_COMMON | OPTION_DOWN,
	.message_bytes = 65536,
	.run = load_stream_run,
};
