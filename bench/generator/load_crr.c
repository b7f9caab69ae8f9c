/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Mode crr (connect, request, response, close): N slots, each opening a connection, sending one
 * message, waiting for its echo, half-closing, waiting for the proxy's FIN and starting over. A
 * connection counts when it is over at both ends, so the proxy has paid for its whole life. The
 * latency is from connect(2) to the complete echo.
 */
#include "load.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

enum {
	EVENTS_MAX = 64,
	MESSAGE_BYTES_MAX = 16 * 1024, /* one send(2) and one read take the whole message */
};

struct slot {
	int fd;
	bool sent;
	size_t to_receive;
	uint64_t begin_ns;
};

struct slots {
	struct load *load;
	struct slot *all;
	int epoll_fd;
	uint32_t open;
	uint8_t message[MESSAGE_BYTES_MAX];
	uint8_t read_into[MESSAGE_BYTES_MAX];
};

static void slot_start(struct slots *s, struct slot *one)
{
	one->begin_ns = load_now_ns();
	one->sent = false;
	one->to_receive = s->load->ask.message_bytes;
	one->fd = load_net_dial(s->load, &s->load->ask.to);
	if (one->fd < 0)
		return;
	s->open++;
	load_net_watch(s->epoll_fd, one->fd, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, one);
}

/* An error ends the connection; its slot starts again all the same, so the load stays. */
static void slot_end(struct slots *s, struct slot *one, int error)
{
	bool whole = one->sent && one->to_receive == 0;

	if (error != 0)
		load_count_error(s->load, error);
	else if (!whole)
		s->load->errors[LOAD_ERROR_EOF]++;
	else if (s->load->stage == LOAD_MEASURING)
		s->load->work[LOAD_CONNECTIONS]++;
	close(one->fd);
	one->fd = -1;
	s->open--;
	if (s->load->stage < LOAD_DRAINING)
		slot_start(s, one);
}

static void slot_receive(struct slots *s, struct slot *one)
{
	for (;;) {
		ssize_t n = recv(one->fd, s->read_into, sizeof(s->read_into), 0);

		if (n < 0 && errno == EAGAIN)
			return;
		if (n <= 0) {
			slot_end(s, one, n < 0 ? errno : 0);
			return;
		}
		one->to_receive -= (size_t)n < one->to_receive ? (size_t)n : one->to_receive;
		if (one->to_receive > 0)
			continue;
		if (s->load->stage == LOAD_MEASURING) {
			s->load->work[LOAD_ROUND_TRIPS]++;
			s->load->work[LOAD_BYTES] += 2 * s->load->ask.message_bytes;
			hist_add(&s->load->latency, load_now_ns() - one->begin_ns);
		}
		shutdown(one->fd, SHUT_WR);
		return; /* the FIN that answers is a new edge */
	}
}

static void slot_event(struct slots *s, struct slot *one, uint32_t events)
{
	if (!one->sent && (events & EPOLLOUT)) {
		ssize_t n = send(one->fd, s->message, s->load->ask.message_bytes, MSG_NOSIGNAL);

		if (n != (ssize_t)s->load->ask.message_bytes) {
			slot_end(s, one, n < 0 ? errno : EMSGSIZE);
			return;
		}
		one->sent = true;
	}
	if (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR))
		slot_receive(s, one);
}

static void slots_loop(struct slots *s)
{
	struct load *l = s->load;

	load_window_start(l);
	while (s->open > 0) {
		struct epoll_event events[EVENTS_MAX];
		int ready = epoll_wait(s->epoll_fd, events, EVENTS_MAX, 100);

		if (load_window_stage(l, load_now_ns()) == LOAD_OVER) {
			l->errors[LOAD_ERROR_STUCK] += s->open;
			return;
		}
		for (int i = 0; i < ready; i++)
			slot_event(s, events[i].data.ptr, events[i].events);
	}
}

static void load_crr_run(struct load *l)
{
	struct slots *s = load_alloc(1, sizeof(*s));

	if (l->ask.message_bytes > MESSAGE_BYTES_MAX)
		load_refuse("crr takes messages of up to 16384 bytes");
	s->load = l;
	s->epoll_fd = load_net_epoll();
	s->all = load_alloc(l->ask.conn_count, sizeof(*s->all));
	memset(s->message, 'p', sizeof(s->message));
	for (uint32_t i = 0; i < l->ask.conn_count; i++)
		slot_start(s, &s->all[i]);
	slots_loop(s);
	load_window_finish(l);
	close(s->epoll_fd);
	free(s->all);
	free(s);
}

const struct load_mode load_crr = {
	.name = "crr",
	.summary = "connect, one echo, close, again and again (sink: echo)",
	.about =
		"N connections at once, each over after one message and its echo. Work: connections "
		"that ended with\nboth FINs. Latency: from connect(2) to the complete echo.",
	.takes = OPTION_COMMON,
	.message_bytes = 128,
	.run = load_crr_run,
};
