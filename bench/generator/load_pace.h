/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The schedule of an open loop. Every message has an intended send time that depends on the asked
 * rate only, never on an answer: latency is counted from it, so that a message which had to wait
 * its turn behind a slow one has that wait in its figure (no coordinated omission).
 *
 *	load_pace_start(&p, &l->ask, load_now_ns());
 *	for (;;) {
 *		ready = load_pace_wait(&p, epoll_fd, events, most);
 *		while (load_pace_due(&p, l)) {
 *			uint64_t intended_ns = load_pace_take(&p, l);
 *			... send on connection load_pace_pick(&p, count), remember intended_ns
 *		}
 *		... for an answer: load_pace_answered(l, intended_ns)
 *	}
 */
#ifndef BENCH_LOAD_PACE_H
#define BENCH_LOAD_PACE_H

#include "load.h"

#include <sys/epoll.h>

struct load_pace {
	uint64_t next_ns; /* intended time of the next message */
	double exact_ns;  /* the same, with the fraction, so that rounding does not add up */
	double gap_ns;
	uint64_t spin_ns;
	enum options_schedule schedule;
	uint64_t random;
	uint32_t last_pick;
};

/* Refuses when no --rate was given. */
void load_pace_start(struct load_pace *p, const struct options *ask, uint64_t first_ns);

/* Whether the next message should be on its way; never for one intended after the window. What
 * the generator has not sent 0.1 s after the window counts as offered and is given up. */
bool load_pace_due(struct load_pace *p, struct load *l);

/* The intended time of the message that is sent now; counts it and how late it is. */
uint64_t load_pace_take(struct load_pace *p, struct load *l);

/* The connection for it: in turn when the schedule is uniform, any when it is Poisson, so that
 * each connection alone has the same kind of schedule as all together. */
uint32_t load_pace_pick(struct load_pace *p, uint32_t count);

/* Counts the latency of a message, if it was intended in the window. */
void load_pace_answered(struct load *l, uint64_t intended_ns);

/* Why this run is not worth its figures, written to `into`; NULL when it is. Latency is counted
 * from the intended time, so the generator's own lateness is part of it: at the median, by
 * which proxies are judged, it may be a fifth of the latency there, at the 99th percentile half.
 * And 99 % of the offered messages must have been answered before 0.1 s after the window: else
 * the load was not the one asked for. */
const char *load_pace_fault(const struct load *l, char *into, size_t size);

/* epoll_wait until the next message is due, to the microsecond. A timer would wake an idle
 * virtual CPU 20 to 40 us late, so the last --spin-us are spent awake; each turn of that wait
 * yields the core, since the sink may share it. */
int load_pace_wait(const struct load_pace *p, int epoll_fd, struct epoll_event *events, int most);

#endif
