/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Mode pingpong: N connections, each with one message on its way: send, wait until the sink's
 * echo is complete, send again. After the warm-up the round trips that end inside the window are
 * counted and timed. A closed loop, so the latencies are only those of this load: the open loop
 * with intended send times is a mode of its own.
 */
#include "load_channel.h"
#include "tls_client.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

enum {
	EVENTS_MAX = 64,
	READ_BYTES = 64 * 1024,
};

struct ball {
	struct load_channel channel;
	size_t to_send;
	size_t to_receive;
	uint64_t sent_ns;
};

struct game {
	struct load *load;
	struct ball *all;
	uint8_t *message;
	uint8_t read_into[READ_BYTES];
	int epoll_fd;
	uint32_t open;
};

static void ball_drop(struct game *g, struct ball *b)
{
	load_channel_close(&b->channel);
	g->open--;
}

static void ball_fail(struct game *g, struct ball *b, int error)
{
	load_count_end(g->load, error);
	ball_drop(g, b);
}

static bool ball_send(struct game *g, struct ball *b)
{
	size_t at = g->load->ask.message_bytes - b->to_send;
	ssize_t n = load_channel_send(&b->channel, g->message + at, b->to_send);

	if (n == 0 || (n < 0 && errno != EAGAIN)) {
		ball_fail(g, b, n < 0 ? errno : 0);
		return false;
	}
	if (n > 0)
		b->to_send -= (size_t)n;
	return true;
}

static bool ball_serve(struct game *g, struct ball *b)
{
	b->to_send = b->to_receive = g->load->ask.message_bytes;
	b->sent_ns = load_now_ns();
	return ball_send(g, b);
}

/* Edge-triggered: reads until the echo is whole or the socket is empty. */
static void ball_return(struct game *g, struct ball *b)
{
	while (b->to_receive > 0) {
		size_t want = b->to_receive < READ_BYTES ? b->to_receive : READ_BYTES;
		ssize_t n = load_channel_recv(&b->channel, g->read_into, want);

		if (n < 0 && errno == EAGAIN)
			return;
		if (n <= 0) {
			ball_fail(g, b, n < 0 ? errno : 0);
			return;
		}
		b->to_receive -= (size_t)n;
	}
	if (g->load->stage == LOAD_MEASURING) {
		g->load->work[LOAD_ROUND_TRIPS]++;
		g->load->work[LOAD_BYTES] += 2 * g->load->ask.message_bytes;
		hist_add(&g->load->latency, load_now_ns() - b->sent_ns);
	}
	if (g->load->stage == LOAD_DRAINING)
		ball_drop(g, b);
	else
		ball_serve(g, b);
}

static void game_event(struct game *g, struct ball *b)
{
	if (b->to_send > 0 && !ball_send(g, b))
		return;
	if (b->to_receive > 0)
		ball_return(g, b);
}

static void game_loop(struct game *g)
{
	struct load *l = g->load;

	load_window_start(l);
	while (g->open > 0) {
		struct epoll_event events[EVENTS_MAX];
		int ready = epoll_wait(g->epoll_fd, events, EVENTS_MAX, 100);

		if (load_window_stage(l, load_now_ns()) == LOAD_OVER) {
			l->errors[LOAD_ERROR_STUCK] += g->open;
			return;
		}
		for (int i = 0; i < ready; i++)
			game_event(g, events[i].data.ptr);
	}
}

static void load_pingpong_run(struct load *l)
{
	struct game *g = load_alloc(1, sizeof(*g));
	struct load_channel *opened = load_alloc(l->ask.conn_count, sizeof(*opened));
	struct tls_client *tls = load_channel_tls(l);

	g->load = l;
	g->epoll_fd = load_net_epoll();
	g->all = load_alloc(l->ask.conn_count, sizeof(*g->all));
	g->message = load_alloc(1, l->ask.message_bytes);
	memset(g->message, 'p', l->ask.message_bytes);

	g->open = load_channel_open_all(l, tls, opened, l->ask.conn_count);
	l->work[LOAD_CONNECTIONS] = g->open;
	for (uint32_t i = 0; i < l->ask.conn_count; i++) {
		struct ball *b = &g->all[i];

		b->channel = opened[i];
		if (b->channel.fd < 0)
			continue;
		load_net_watch(g->epoll_fd, b->channel.fd, EPOLLIN | EPOLLOUT | EPOLLET, b);
		ball_serve(g, b);
	}
	game_loop(g);
	load_window_finish(l);
	if (tls != NULL)
		tls_client_note(tls, l);
	close(g->epoll_fd);
	tls_client_free(tls);
	free(g->message);
	free(g->all);
	free(g);
	free(opened);
}

const struct load_mode load_pingpong = {
	.name = "pingpong",
	.summary = "closed loop of one message per connection (sink: echo)",
	.about =
		"N connections each send a message of -b bytes, wait for its echo and send again."
		"\n\nWork: round trips. Latency: of a round trip, and true for this closed loop only: a "
		"slow answer delays the messages after it, which mode open would count. beside, with --tls: "
		"version, cipher suite and group.",
	.takes = OPTION_COMMON | OPTION_MAYBE_TLS,
	.message_bytes = 128,
	.run = load_pingpong_run,
};
