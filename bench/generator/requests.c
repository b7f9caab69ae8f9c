/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Requests and answers; requests.h says what they are.
 */
#include "requests.h"

#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

enum {
	EVENTS_MAX = 64,
	SENDS_PER_TURN = 64, /* then answers are looked at, also by a generator that is behind */
	TIMES_ROOM_FIRST = 16,
	TIMES_ROOM_MOST = 1 << 20,
	TURN_MS = 100, /* between looks at the clock */
};

/* Before the run: a broker may have to load a topic, and filling some takes its time. */
#define SILENCE_NS_MAX UINT64_C(10000000000)
#define READY_NS_MAX   UINT64_C(120000000000)

void requests_init(struct requests *r, struct load *l,
		   void (*send)(struct requests_line *line, uint64_t number))
{
	*r = (struct requests){ .load = l,
				.epoll_fd = load_net_epoll(),
				.send = send,
				.window = l->ask.window,
				.starting_count = l->ask.conn_count };
	r->lines = load_alloc(l->ask.conn_count, sizeof(*r->lines));
	for (uint32_t i = 0; i < l->ask.conn_count; i++) {
		r->lines[i].owner = r;
		r->lines[i].index = i;
	}
}

/* Where the time of a request is kept, or would be. */
static struct requests_time *time_of(const struct requests_line *line, uint64_t number)
{
	return &line->times[number & (line->times_room - 1)];
}

static void grow_times(struct requests_line *line)
{
	struct requests_line larger = { .times_room = line->times_room == 0
							      ? TIMES_ROOM_FIRST
							      : 2 * line->times_room };

	larger.times = load_alloc(larger.times_room, sizeof(*larger.times));
	for (uint64_t i = 0; i < line->times_room; i++) {
		if (line->times[i].number != 0)
			*time_of(&larger, line->times[i].number - 1) = line->times[i];
	}
	free(line->times);
	line->times = larger.times;
	line->times_room = larger.times_room;
}

/* One more request for the line; false when so many are unanswered that this is no load any more
 * but a standstill. */
static bool ask(struct requests_line *line, uint64_t intended_ns)
{
	while (line->times_room == 0 || time_of(line, line->asked)->number != 0) {
		if (line->times_room == TIMES_ROOM_MOST)
			return false;
		grow_times(line);
	}
	*time_of(line, line->asked) =
		(struct requests_time){ .number = line->asked + 1, .intended_ns = intended_ns };
	line->asked++;
	line->unanswered++;
	return true;
}

static void push(struct requests_line *line)
{
	while (line->via != NULL && line->sent < line->asked && framed_takes_more(line->via)) {
		line->owner->send(line, line->sent++);
		if (line->via->tail_bytes > 0)
			framed_flush(line->via);
	}
}

void requests_room(struct requests_line *line)
{
	push(line);
}

void requests_ready(struct requests_line *line, struct framed *via)
{
	line->via = via;
	line->owner->starting_count--;
	line->owner->ready_count++;
}

/* What it has not answered is lost with it. */
void requests_ended(struct requests_line *line)
{
	if (line->via == NULL)
		line->owner->starting_count--;
	else
		line->owner->ready_count--;
	line->via = NULL;
	line->unanswered = 0;
}

static bool is_open_loop(const struct requests *r)
{
	return r->load->ask.rate > 0;
}

bool requests_answered(struct requests_line *line, uint64_t number, bool good)
{
	struct load *l = line->owner->load;

	if (line->times_room == 0 || time_of(line, number)->number != number + 1) {
		l->errors[LOAD_ERROR_PROTOCOL]++;
		return false;
	}

	if (good)
		load_pace_answered(l, time_of(line, number)->intended_ns);
	time_of(line, number)->number = 0;
	line->unanswered--;
	if (!is_open_loop(line->owner) && l->stage < LOAD_DRAINING) {
		ask(line, load_now_ns());
		push(line);
	}
	return good && l->stage == LOAD_MEASURING;
}

/* ---- the run --------------------------------------------------------------------------------- */

static void wait_ready(struct requests *r)
{
	uint64_t begin_ns = load_now_ns();
	uint64_t now_ns = begin_ns, heard_ns = begin_ns;

	while (r->starting_count > 0 && now_ns < heard_ns + SILENCE_NS_MAX &&
	       now_ns < begin_ns + READY_NS_MAX) {
		struct epoll_event events[EVENTS_MAX];
		int ready = epoll_wait(r->epoll_fd, events, EVENTS_MAX, TURN_MS);

		now_ns = load_now_ns();
		if (ready > 0)
			heard_ns = now_ns;
		for (int i = 0; i < ready; i++)
			load_net_handle(&events[i]);
	}
	r->load->errors[LOAD_ERROR_STUCK] += r->starting_count;
	r->load->work[LOAD_CONNECTIONS] = r->ready_count;
}

static void send_due(struct requests *r)
{
	for (int i = 0; i < SENDS_PER_TURN && load_pace_due(&r->pace, r->load); i++) {
		uint64_t intended_ns = load_pace_take(&r->pace, r->load);
		struct requests_line *line =
			&r->lines[load_pace_pick(&r->pace, r->load->ask.conn_count)];

		/* What cannot go stays offered and unanswered: the run is invalid. */
		if (line->via == NULL || !ask(line, intended_ns))
			continue;
		push(line);
		framed_flush(line->via);
	}
}

static void fill_windows(struct requests *r)
{
	for (uint32_t i = 0; i < r->load->ask.conn_count; i++) {
		struct requests_line *line = &r->lines[i];

		if (line->via == NULL)
			continue;
		for (uint64_t n = 0; n < r->window; n++)
			ask(line, load_now_ns());
		push(line);
		framed_flush(line->via);
	}
}

static uint64_t unanswered(const struct requests *r)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < r->load->ask.conn_count; i++)
		sum += r->lines[i].unanswered;
	return sum;
}

static bool is_done(struct requests *r)
{
	if (r->ready_count == 0)
		return true;
	if (r->load->stage < LOAD_DRAINING)
		return false;
	return unanswered(r) == 0 && !(is_open_loop(r) && load_pace_due(&r->pace, r->load));
}

static int wait_events(struct requests *r, struct epoll_event *events)
{
	if (is_open_loop(r) && (r->load->stage < LOAD_DRAINING || load_pace_due(&r->pace, r->load)))
		return load_pace_wait(&r->pace, r->epoll_fd, events, EVENTS_MAX);
	return epoll_wait(r->epoll_fd, events, EVENTS_MAX, TURN_MS);
}

void requests_run(struct requests *r)
{
	wait_ready(r);
	load_window_start(r->load);
	if (is_open_loop(r))
		load_pace_start(&r->pace, &r->load->ask, load_now_ns());
	else
		fill_windows(r);
	while (!is_done(r)) {
		struct epoll_event events[EVENTS_MAX];
		int ready = wait_events(r, events);

		if (load_window_stage(r->load, load_now_ns()) == LOAD_OVER)
			break;
		if (is_open_loop(r))
			send_due(r);
		for (int i = 0; i < ready; i++)
			load_net_handle(&events[i]);
	}
	load_window_finish(r->load);
	r->load->errors[LOAD_ERROR_STUCK] += unanswered(r);
}

void requests_free(struct requests *r)
{
	for (uint32_t i = 0; i < r->load->ask.conn_count; i++)
		free(r->lines[i].times);
	free(r->lines);
	close(r->epoll_fd);
}
