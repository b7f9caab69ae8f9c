/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The schedule of an open loop; load_pace.h says what it promises.
 */
#define _GNU_SOURCE 1
#include "load_pace.h"

#include <math.h>
#include <sched.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <time.h>

enum {
	NS_PER_S = 1000000000,
	AFTER_NS_MAX = NS_PER_S / 10,
	WAIT_NS_MAX = NS_PER_S / 10, /* the stage of the run is looked at this often at least */
};

static const double ACHIEVED_LEAST = .99;

/* Splitmix64: every run has the same arrivals, so that two contenders meet the same load. */
static uint64_t pace_random(struct load_pace *p)
{
	uint64_t x = p->random += UINT64_C(0x9e3779b97f4a7c15);

	x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
	return x ^ (x >> 31);
}

/* Above 0 and up to 1. */
static double pace_random_share(struct load_pace *p)
{
	return (double)((pace_random(p) >> 11) + 1) * 0x1p-53;
}

void load_pace_start(struct load_pace *p, const struct options *ask, uint64_t first_ns)
{
	if (ask->rate == 0)
		load_refuse("an open loop needs --rate");
	*p = (struct load_pace){ .next_ns = first_ns,
				 .exact_ns = (double)first_ns,
				 .gap_ns = (double)NS_PER_S / (double)ask->rate,
				 .spin_ns = ask->spin_us * 1000,
				 .schedule = ask->schedule };
	prctl(PR_SET_TIMERSLACK, 1); /* else the kernel may wake this thread 50 us late */
}

static void pace_step(struct load_pace *p)
{
	p->exact_ns += p->schedule == SCHEDULE_UNIFORM ? p->gap_ns
						       : -log(pace_random_share(p)) * p->gap_ns;
	p->next_ns = (uint64_t)p->exact_ns;
}

bool load_pace_due(struct load_pace *p, struct load *l)
{
	uint64_t now_ns = load_now_ns();

	if (l->stage < LOAD_DRAINING)
		return p->next_ns <= now_ns;
	if (p->next_ns < l->end.wall_ns && now_ns < l->end.wall_ns + AFTER_NS_MAX)
		return true;
	for (; p->next_ns < l->end.wall_ns; pace_step(p))
		l->offered++;
	p->next_ns = UINT64_MAX; /* from here on only answers wake this thread */
	return false;
}

uint64_t load_pace_take(struct load_pace *p, struct load *l)
{
	uint64_t intended_ns = p->next_ns;

	if (load_window_holds(l, intended_ns)) {
		l->offered++;
		hist_add(&l->late, load_now_ns() - intended_ns);
	}
	pace_step(p);
	return intended_ns;
}

uint32_t load_pace_pick(struct load_pace *p, uint32_t count)
{
	p->last_pick = p->schedule == SCHEDULE_UNIFORM ? (p->last_pick + 1) % count
						       : (uint32_t)(pace_random(p) % count);
	return p->last_pick;
}

void load_pace_answered(struct load *l, uint64_t intended_ns)
{
	if (!load_window_holds(l, intended_ns))
		return;

	uint64_t now_ns = load_now_ns();
	hist_add(&l->latency, now_ns - intended_ns);
	if (l->stage == LOAD_MEASURING || now_ns < l->end.wall_ns + AFTER_NS_MAX)
		l->in_time++;
}

const char *load_pace_fault(const struct load *l, char *into, size_t size)
{
	static const struct {
		double share;
		double late_most; /* of the latency there */
	} points[] = { { .5, .2 }, { .99, .5 } };
	double achieved = (double)l->in_time / (double)l->offered;

	if (achieved < ACHIEVED_LEAST) {
		snprintf(into, size, "achieved %.1f %% of the offered rate", 100 * achieved);
		return into;
	}
	for (size_t i = 0; i < sizeof(points) / sizeof(points[0]); i++) {
		uint64_t late_ns = hist_ns_at(&l->late, points[i].share);
		uint64_t latency_ns = hist_ns_at(&l->latency, points[i].share);

		if ((double)late_ns <= points[i].late_most * (double)latency_ns)
			continue;
		snprintf(into, size, "late at p%.0f: %.1f us of a latency of %.1f us",
			 100 * points[i].share, (double)late_ns / 1e3, (double)latency_ns / 1e3);
		return into;
	}
	return NULL;
}

int load_pace_wait(const struct load_pace *p, int epoll_fd, struct epoll_event *events, int most)
{
	uint64_t now_ns = load_now_ns();
	uint64_t until_ns = now_ns + WAIT_NS_MAX;

	if (p->next_ns < until_ns)
		until_ns = p->next_ns;
	if (until_ns > now_ns + p->spin_ns) {
		struct timespec wait = { .tv_nsec = (long)(until_ns - now_ns - p->spin_ns) };
		int ready = epoll_pwait2(epoll_fd, events, most, &wait, NULL);

		if (ready != 0)
			return ready;
	}
	for (;;) {
		int ready = epoll_wait(epoll_fd, events, most, 0);

		if (ready != 0 || load_now_ns() >= until_ns)
			return ready;
		sched_yield();
	}
}
