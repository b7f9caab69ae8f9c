/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * timer: deadlines in a hashed wheel: one slot per 8 ms, 1,024 slots, so one turn is 8.2 s; a
 * later deadline stays in its slot for more turns. Setting, clearing and moving cost a list
 * operation. A timer fires at its deadline or up to one slot later, never earlier.
 * Thread:   one
 * Memory:   intrusive; the owner of a struct timer clears it before it goes away
 */
#pragma once

#include <penstock/base/check.h>

struct timer;
typedef void timer_fn(struct timer *timer);

struct timer {
	struct timer *next;
	struct timer **link; /* what points at us; NULL: not set */
	uint64_t deadline_ns;
	timer_fn *fn;
};

#define TIMER_SLOTS   1024
#define TIMER_SLOT_NS (8ull * 1000 * 1000)

struct timer_wheel {
	struct timer *slot[TIMER_SLOTS];
	uint64_t used[TIMER_SLOTS / 64]; /* a bit per non-empty slot */
	uint64_t tick;			 /* the first slot time not yet reached, in slots */
	struct timer *due;		 /* out of their slots, being worked off */
	struct timer *late;		 /* set in the past: for the next timer_run */
	uint32_t count;
};

void timer_wheel_init(struct timer_wheel *wheel, uint64_t now_ns);
/* Sets or moves. A deadline in the past fires on the next timer_run. */
void timer_set(struct timer_wheel *wheel, struct timer *timer, uint64_t deadline_ns, timer_fn *fn);
void timer_clear(struct timer_wheel *wheel, struct timer *timer);
static inline bool timer_is_set(const struct timer *timer)
{
	return timer->link != NULL;
}
/* When to wake up next: not later than the earliest deadline + one slot; 0 when nothing is set. */
uint64_t timer_next_ns(const struct timer_wheel *wheel);
/* Fires what is due; at most `most` timers a call, so a mass expiry cannot hold the loop. */
uint32_t timer_run(struct timer_wheel *wheel, uint64_t now_ns, uint32_t most);
