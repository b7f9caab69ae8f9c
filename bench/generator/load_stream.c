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
#include "load_stream.h"

#include "tls_client.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

enum {
	EVENTS_MAX = 64,
	SETTLE_MS = 20, /* lets the proxy finish dialling before the window opens */
	LAST_BYTES = 256 * 1024,
	DROP_BYTES = 4 * 1024 * 1024,
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
	ssize_t n = send(one->channel.fd, s->chunk + one->chunk_at, left, MSG_NOSIGNAL);

	if (n < 0)
		return errno == EAGAIN ? 0 : errno;
	one->moved += (uint64_t)n;
	one->chunk_at = (size_t)n == left ? 0 : one->chunk_at + (size_t)n;
	return 0;
}

/* Once: the next events have nothing to add. */
static int up_stop(struct streams *s, struct stream *one)
{
	(void)s;
	if (one->is_stopped)
		return 0;
	one->is_stopped = true;
	return shutdown(one->channel.fd, SHUT_WR) == 0 ? 0 : errno;
}

uint64_t stream_up_bytes(const struct stream *one)
{
	return one->moved;
}

static int down_start(struct streams *s, struct stream *one)
{
	uint64_t size = s->load->ask.message_bytes;

	return send(one->channel.fd, &size, sizeof(size), MSG_NOSIGNAL) < 0 ? errno : 0;
}

/* The kernel drops the data unread, as in sink discard. */
static int down_move(struct streams *s, struct stream *one)
{
	static uint8_t unused[DROP_BYTES];
	ssize_t n = recv(one->channel.fd, unused, sizeof(unused), MSG_TRUNC);

	(void)s;
	if (n < 0)
		return errno == EAGAIN ? 0 : errno;
	one->moved += (uint64_t)n;
	return n == 0 ? STREAM_ENDED : 0;
}

static int down_stop(struct streams *s, struct stream *one)
{
	(void)s;
	if (one->is_stopped)
		return 0;
	one->is_stopped = true;
	return send(one->channel.fd, "", 1, MSG_NOSIGNAL) < 0 ? errno : 0;
}

uint64_t stream_down_bytes(const struct stream *one)
{
	return one->moved + one->answered - STREAM_COUNT_BYTES;
}

static const struct stream_way up = {
	EPOLLOUT, EPOLLIN, up_start, up_move, up_stop, stream_up_bytes
};
static const struct stream_way down = { EPOLLIN,   EPOLLIN,   down_start,
					down_move, down_stop, stream_down_bytes };

static void stream_close(struct streams *s, struct stream *one)
{
	load_channel_close(&one->channel);
	s->open--;
}

static void stream_fail(struct streams *s, struct stream *one, int error)
{
	load_count_end(s->load, error == STREAM_ENDED ? 0 : error);
	stream_close(s, one);
}

static void stream_end(struct streams *s, struct stream *one)
{
	uint64_t count;

	memcpy(&count, one->last, sizeof(count));
	if (one->answered < STREAM_COUNT_BYTES) {
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
	/* the last bytes, then the new ones */
	static uint8_t into[STREAM_COUNT_BYTES + LAST_BYTES];
	ssize_t n = load_channel_recv(&one->channel, into + STREAM_COUNT_BYTES, LAST_BYTES);

	if (n > 0) {
		memcpy(into, one->last, STREAM_COUNT_BYTES);
		memcpy(one->last, into + n, STREAM_COUNT_BYTES);
		one->answered += (uint64_t)n;
	} else if (n == 0) {
		stream_end(s, one);
	} else if (errno != EAGAIN) {
		stream_fail(s, one, errno);
	}
}

static void streams_each(struct streams *s, bool starting)
{
	uint32_t events = starting ? s->way->events : s->way->stop_events;

	for (uint32_t i = 0; i < s->load->ask.conn_count; i++) {
		struct stream *one = &s->all[i];

		if (one->channel.fd < 0)
			continue;
		load_net_rewatch(s->epoll_fd, one->channel.fd, events, one);
		int error = starting ? s->way->start(s, one) : s->way->stop(s, one);
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
			streams_each(s, false);
			continue; /* the events above are of another interest set */
		}
		if (now_ns >= stop_ns + LOAD_GRACE_NS) {
			l->errors[LOAD_ERROR_STUCK] += s->open;
			return;
		}
		for (int i = 0; i < ready; i++) {
			struct stream *one = events[i].data.ptr;
			int error = moving ? s->way->move(s, one) : s->way->stop(s, one);

			if (error != 0)
				stream_fail(s, one, error);
			else if (!moving)
				stream_finish(s, one);
		}
	}
}

static const struct stream_way *stream_way_of(const struct options *ask)
{
	if (ask->tls)
		return ask->down ? &stream_down_tls : &stream_up_tls;
	return ask->down ? &down : &up;
}

static void load_stream_run(struct load *l)
{
	struct streams s = { .load = l,
			     .way = stream_way_of(&l->ask),
			     .epoll_fd = load_net_epoll() };
	struct load_channel *opened = load_alloc(l->ask.conn_count, sizeof(*opened));
	struct tls_client *tls = load_channel_tls(l);

	s.all = load_alloc(l->ask.conn_count, sizeof(*s.all));
	s.chunk = load_alloc(1, l->ask.message_bytes);
	memset(s.chunk, 'p', l->ask.message_bytes);

	s.open = load_channel_open_all(l, tls, opened, l->ask.conn_count);
	nanosleep(&(struct timespec){ .tv_nsec = SETTLE_MS * 1000000L }, NULL);
	for (uint32_t i = 0; i < l->ask.conn_count; i++) {
		s.all[i].channel = opened[i];
		if (opened[i].fd >= 0)
			load_net_watch(s.epoll_fd, opened[i].fd, 0, &s.all[i]);
	}
	load_window_open(l);
	streams_each(&s, true);
	streams_loop(&s);
	load_window_finish(l);
	if (tls != NULL)
		tls_client_note(tls, l);
	close(s.epoll_fd);
	tls_client_free(tls);
	free(s.chunk);
	free(s.all);
	free(opened);
}

const struct load_mode load_stream = {
	.name = "stream",
	.summary = "bytes one way, as many as go (sink: discard; --down: source)",
	.about =
		"N connections send chunks of -b bytes as fast as they are taken; with --down the "
		"sink sends and the generator receives. The window is from the first byte until the last one has "
		"been confirmed; -w and --hgrm mean nothing here and are taken for the sake of scripts. With --tls the "
		"handshakes are made before the window, and the sink is marked instead of discard, since not "
		"every proxy that ends TLS passes a half-close on."
		"\n\nWork: bytes, confirmed by the sink's own count. No latency. beside, with --tls: version, "
		"cipher suite and group.",
	.takes = OPTION_COMMON | OPTION_DOWN | OPTION_MAYBE_TLS,
	.message_bytes = 65536,
	.run = load_stream_run,
};
