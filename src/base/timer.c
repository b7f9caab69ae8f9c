/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The wheel of deadlines. A deadline belongs to the first slot boundary not before it, so a slot
 * that has been reached holds nothing early:
 *
 *     slot time      tick-1        tick        tick+1     ...
 *     deadlines        |<- (8 ms] ->|<- (8 ms] ->|
 *                   reached      next to be emptied
 *
 * A slot reached is moved as a whole to the list `due` and worked off from there, over several
 * calls if `most` says so. What was set in the past goes to `late`, which only the next call
 * empties, so a callback that sets itself again cannot hold the loop.
 */
#include <penstock/base/timer.h>

#define SLOT_MASK (TIMER_SLOTS - 1u)

static uint64_t slot_time(uint64_t deadline_ns)
{
	return deadline_ns / TIMER_SLOT_NS + (deadline_ns % TIMER_SLOT_NS != 0);
}

static void list_push(struct timer **list, struct timer *timer)
{
	timer->next = *list;
	timer->link = list;
	if (timer->next != NULL)
		timer->next->link = &timer->next;
	*list = timer;
}

static void list_remove(struct timer *timer)
{
	*timer->link = timer->next;
	if (timer->next != NULL)
		timer->next->link = timer->link;
	timer->next = NULL;
	timer->link = NULL;
}

static void list_move(struct timer **to, struct timer **from)
{
	CHECK(*to == NULL);
	*to = *from;
	*from = NULL;
	if (*to != NULL)
		(*to)->link = to;
}

static void mark(struct timer_wheel *wheel, size_t slot, bool is_used)
{
	uint64_t bit = 1ull << (slot % 64);
	if (is_used)
		wheel->used[slot / 64] |= bit;
	else
		wheel->used[slot / 64] &= ~bit;
}

static void place(struct timer_wheel *wheel, struct timer *timer)
{
	uint64_t time = slot_time(timer->deadline_ns);
	if (time < wheel->tick) {
		list_push(&wheel->late, timer);
		return;
	}
	list_push(&wheel->slot[time & SLOT_MASK], timer);
	mark(wheel, time & SLOT_MASK, true);
}

/* Whether `link` is the head of a slot's list. */
static bool is_slot(const struct timer_wheel *wheel, struct timer *const *link)
{
	uintptr_t at = (uintptr_t)link;
	return at >= (uintptr_t)&wheel->slot[0] && at < (uintptr_t)(&wheel->slot[0] + TIMER_SLOTS);
}

static void take_out(struct timer_wheel *wheel, struct timer *timer)
{
	struct timer **link = timer->link;
	list_remove(timer);
	if (*link == NULL && is_slot(wheel, link))
		mark(wheel, (size_t)(link - wheel->slot), false);
}

void timer_wheel_init(struct timer_wheel *wheel, uint64_t now_ns)
{
	*wheel = (struct timer_wheel){ .tick = now_ns / TIMER_SLOT_NS + 1 };
}

void timer_set(struct timer_wheel *wheel, struct timer *timer, uint64_t deadline_ns, timer_fn *fn)
{
	if (timer_is_set(timer))
		take_out(wheel, timer);
	else
		wheel->count++;
	timer->deadline_ns = deadline_ns;
	timer->fn = fn;
	place(wheel, timer);
}

void timer_clear(struct timer_wheel *wheel, struct timer *timer)
{
	if (!timer_is_set(timer))
		return;
	take_out(wheel, timer);
	wheel->count--;
}

/* How many slots from `from` on are empty, looking no further than one turn. */
static uint64_t gap(const struct timer_wheel *wheel, uint64_t from)
{
	for (uint64_t skipped = 0; skipped < TIMER_SLOTS;) {
		uint64_t slot = (from + skipped) & SLOT_MASK;
		uint64_t word = wheel->used[slot / 64] >> (slot % 64);
		if (word != 0)
			return skipped + (uint64_t)__builtin_ctzll(word);
		skipped += 64 - slot % 64;
	}
	return TIMER_SLOTS;
}

uint64_t timer_next_ns(const struct timer_wheel *wheel)
{
	if (wheel->count == 0)
		return 0;
	if (wheel->due != NULL || wheel->late != NULL)
		return 1; /* the past: now */
	/* The slot may hold later turns only; then the wake-up is for nothing, once a turn. */
	return (wheel->tick + gap(wheel, wheel->tick)) * TIMER_SLOT_NS;
}

/* Works off `due`; false when `most` was reached before its end. */
static bool fire(struct timer_wheel *wheel, uint64_t now_ns, uint32_t most, uint32_t *fired)
{
	while (wheel->due != NULL) {
		struct timer *timer = wheel->due;
		if (timer->deadline_ns > now_ns) {
			list_remove(timer);
			place(wheel, timer); /* a later turn */
			continue;
		}
		if (*fired == most)
			return false;
		list_remove(timer);
		wheel->count--;
		(*fired)++;
		timer->fn(timer);
	}
	return true;
}

uint32_t timer_run(struct timer_wheel *wheel, uint64_t now_ns, uint32_t most)
{
	uint64_t reached = now_ns / TIMER_SLOT_NS;
	uint32_t fired = 0;

	if (!fire(wheel, now_ns, most, &fired))
		return fired;
	list_move(&wheel->due, &wheel->late);
	if (!fire(wheel, now_ns, most, &fired))
		return fired;
	/* After a pause of more than a turn every slot is due, but none of them twice. */
	if (reached >= TIMER_SLOTS && wheel->tick <= reached - TIMER_SLOTS)
		wheel->tick = reached - TIMER_SLOTS + 1;
	while (wheel->tick <= reached) {
		uint64_t time = wheel->tick + gap(wheel, wheel->tick);
		if (time > reached)
			break;
		list_move(&wheel->due, &wheel->slot[time & SLOT_MASK]);
		mark(wheel, time & SLOT_MASK, false);
		wheel->tick = time + 1;
		if (!fire(wheel, now_ns, most, &fired))
			return fired;
	}
	if (wheel->tick <= reached)
		wheel->tick = reached + 1;
	return fired;
}
