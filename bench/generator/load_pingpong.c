/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Mode pingpong: N connections, each with one message on its way: send, wait until the sink's
 * echo is complete, send again. After the warm-up the round trips that end inside the window are
 * counted and timed. A closed loop, so the latencies are only those of this load: the open loop
 * with intended send times is a mode of its own.
 */
#include "load.h"

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
	int fd;
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
	bool measuring;
	bool stopping;
};

static void ball_drop(struct game *g, struct ball *b)
{
	close(b->fd);
	b->fd = -1;
	g->open--;
}

static void ball_fail(struct game *g, struct ball *b, int error)
{
	if (error == 0)
		g->load->errors[LOAD_ERROR_EOF]++;
	else
		load_count_error(g->load, error);
	ball_drop(g, b);
}

static bool ball_send(struct game *g, struct ball *b)
{
	size_t at = g->load->message_bytes - b->to_send;
	ssize_t n = send(b->fd, g->message + at, b->to_send, MSG_NOSIGNAL);

	if (n < 0 && errno != EAGAIN) {
		ball_fail(g, b, errno);
		return false;
	}
	if (n > 0)
		b->to_send -= (size_t)n;
	return true;
}

static bool ball_serve(struct game *g, struct ball *b)
{
	b->to_send = b->to_receive = g->load->message_bytes;
	b->sent_ns = load_now_ns();
	return ball_send(g, b);
}

/* Edge-triggered: reads until the echo is whole or the socket is empty. */
static void ball_return(struct game *g, struct ball *b)
{
	while (b->to_receive > 0) {
		size_t want = b->to_receive < READ_BYTES ? b->to_receive : READ_BYTES;
		ssize_t n = recv(b->fd, g->read_into, want, 0);

		if (n < 0 && errno == EAGAIN)
			return;
		if (n <= 0) {
			ball_fail(g, b, n < 0 ? errno : 0);
			return;
		}
		b->to_receive -= (size_t)n;
	}
	if (g->measuring) {
		g->load->round_trips++;
		g->load->bytes += 2 * g->load->message_bytes;
		hist_add(&g->load->latency, load_now_ns() - b->sent_ns);
	}
	if (g->stopping)
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
	uint64_t open_ns = load_now_ns() + l->warm_ns;
	uint64_t stop_ns = UINT64_MAX;

	while (g->open > 0) {
		struct epoll_event events[EVENTS_MAX];
		int ready = epoll_wait(g->epoll_fd, events, EVENTS_MAX, 100);
		uint64_t now_ns = load_now_ns();

		if (stop_ns == UINT64_MAX && now_ns >= open_ns) {
			g->measuring = true;
			load_window_open(l);
			stop_ns = l->begin.wall_ns + l->run_ns;
		} else if (g->measuring && now_ns >= stop_ns) {
			g->measuring = false;
			g->stopping = true;
			load_window_close(l);
		} else if (g->stopping && now_ns >= stop_ns + l->grace_ns) {
			l->errors[LOAD_ERROR_STUCK] += g->open;
			return;
		}
		for (int i = 0; i < ready; i++)
			game_event(g, events[i].data.ptr);
	}
}

void load_pingpong_run(struct load *l)
{
	struct game *g = calloc(1, sizeof(*g));
	int *fds = calloc(l->conn_count, sizeof(*fds));

	if (g == NULL || fds == NULL)
		load_die("out of memory");
	g->load = l;
	g->epoll_fd = load_net_epoll();
	g->all = calloc(l->conn_count, sizeof(*g->all));
	g->message = malloc(l->message_bytes);
	if (g->all == NULL || g->message == NULL)
		load_die("out of memory");
	memset(g->message, 'p', l->message_bytes);

	g->open = load_net_open_all(l, fds, l->conn_count);
	l->connections = g->open;
	for (uint32_t i = 0; i < l->conn_count; i++) {
		struct ball *b = &g->all[i];

		b->fd = fds[i];
		if (b->fd < 0)
			continue;
		load_net_watch(g->epoll_fd, b->fd, EPOLLIN | EPOLLOUT | EPOLLET, b);
		ball_serve(g, b);
	}
	game_loop(g);
	if (l->end.wall_ns == 0) /* every connection failed before the end of the window */
		load_window_close(l);
	close(g->epoll_fd);
	free(g->message);
	free(g->all);
	free(g);
	free(fds);
}
