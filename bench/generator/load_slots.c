/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Short connections; load_slots.h says what they are.
 */
#include "load_slots.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

enum { EVENTS_MAX = 64 };

static void slot_start(struct load_slots *s, struct load_slot *one)
{
	memset(one, 0, s->kind->slot_bytes);
	one->begin_ns = load_now_ns();
	one->fd = load_net_dial(s->load, &s->load->ask.to);
	if (one->fd < 0)
		return;
	s->open++;
	if (s->kind->opened != NULL)
		s->kind->opened(s, one);
	load_net_watch(s->epoll_fd, one->fd, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, one);
}

static void slot_end(struct load_slots *s, struct load_slot *one)
{
	if (s->kind->closed != NULL)
		s->kind->closed(s, one);
	close(one->fd);
	one->fd = -1;
	s->open--;
	if (s->load->stage < LOAD_DRAINING)
		slot_start(s, one);
}

/* The exchange is done: what still comes (of TLS, say) is not looked at, only its end. */
static void slot_close(struct load_slots *s, struct load_slot *one)
{
	static uint8_t unused[16 * 1024];
	ssize_t n;

	do {
		n = recv(one->fd, unused, sizeof(unused), 0);
	} while (n > 0);
	if (n < 0 && errno == EAGAIN)
		return;
	if (n < 0)
		load_count_error(s->load, errno);
	else if (s->load->stage == LOAD_MEASURING)
		s->load->work[LOAD_CONNECTIONS]++;
	slot_end(s, one);
}

static void slot_event(struct load_slots *s, struct load_slot *one, uint32_t events)
{
	int error = 0;
	socklen_t size = sizeof(error);

	if ((events & EPOLLERR) != 0)
		getsockopt(one->fd, SOL_SOCKET, SO_ERROR, &error, &size);
	if (error != 0) {
		load_count_error(s->load, error);
		slot_end(s, one);
		return;
	}
	if (!one->closing) {
		enum slot_verdict verdict = s->kind->exchange(s, one);

		if (verdict == SLOT_FAILED)
			slot_end(s, one);
		if (verdict != SLOT_WHOLE)
			return;
		if (s->load->stage == LOAD_MEASURING) {
			s->load->work[LOAD_ROUND_TRIPS]++;
			hist_add(&s->load->latency, load_now_ns() - one->begin_ns);
		}
		shutdown(one->fd, SHUT_WR);
		one->closing = true;
	}
	slot_close(s, one);
}

static void slots_loop(struct load_slots *s)
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

void load_slots_run(struct load *l, const struct load_slots_kind *kind, void *with)
{
	struct load_slots s = { .load = l, .kind = kind, .with = with };

	s.epoll_fd = load_net_epoll();
	s.all = load_alloc(l->ask.conn_count, kind->slot_bytes);
	for (uint32_t i = 0; i < l->ask.conn_count; i++)
		slot_start(&s, (struct load_slot *)(void *)(s.all + i * kind->slot_bytes));
	slots_loop(&s);
	load_window_finish(l);
	close(s.epoll_fd);
	free(s.all);
}

struct plain_slot {
	struct load_slot slot; /* must be first */
	size_t sent;
	size_t received;
};

static enum slot_verdict plain_failed(struct load_slots *s, int error)
{
	load_count_end(s->load, error);
	return SLOT_FAILED;
}

static enum slot_verdict plain_receive(struct load_slots *s, struct plain_slot *one)
{
	static uint8_t into[64 * 1024];
	const struct load_slots_plain *plain = s->with;

	while (one->received < plain->answer_bytes) {
		size_t left = plain->answer_bytes - one->received;
		ssize_t n = recv(one->slot.fd, into, left < sizeof(into) ? left : sizeof(into), 0);

		if (n < 0)
			return errno == EAGAIN ? SLOT_MORE : plain_failed(s, errno);
		if (n == 0)
			return plain_failed(s, 0);
		if (plain->answer != NULL &&
		    memcmp(into, plain->answer + one->received, (size_t)n) != 0) {
			s->load->errors[LOAD_ERROR_PROTOCOL]++;
			return SLOT_FAILED;
		}
		one->received += (size_t)n;
	}
	if (s->load->stage == LOAD_MEASURING)
		s->load->work[LOAD_BYTES] += plain->request_bytes + plain->answer_bytes;
	return SLOT_WHOLE;
}

static enum slot_verdict plain_exchange(struct load_slots *s, struct load_slot *slot)
{
	struct plain_slot *one = (struct plain_slot *)slot;
	const struct load_slots_plain *plain = s->with;

	while (one->sent < plain->request_bytes) {
		ssize_t n = send(slot->fd, plain->request + one->sent,
				 plain->request_bytes - one->sent, MSG_NOSIGNAL);

		if (n < 0 && errno == EAGAIN)
			break;
		if (n < 0)
			return plain_failed(s, errno);
		one->sent += (size_t)n;
	}
	return plain_receive(s, one);
}

void load_slots_run_plain(struct load *l, struct load_slots_plain *plain)
{
	static const struct load_slots_kind kind = { .slot_bytes = sizeof(struct plain_slot),
						     .exchange = plain_exchange };

	load_slots_run(l, &kind, plain);
}
