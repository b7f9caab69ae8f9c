/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Virtual time, the one source of chance, the events of the world in a heap ordered by time and
 * then by age, and the end of a run that went wrong. Also clock.h: the product lives in this time.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <penstock/base/rng.h>

#include "sim.h"

#define TURNS_MAX 500 /* without a byte, a connection or a sleep in between */
#define READ_CLOCK_NS                                                              \
	40 /* what looking at the clock costs: a spinning loop must come to an end \
	    */
#define BEGIN_NS      (1000 * NS_PER_S)
#define BEGIN_WALL_US 1700000000000000ull

struct event {
	uint64_t at_ns;
	uint64_t age;
	sim_fn *fn;
	void *context;
};

static struct {
	uint64_t seed;
	uint64_t now_ns;
	uint64_t turned_ns;
	struct rng rng;
	struct event *heap;
	size_t count, room;
	uint64_t next_age;
	uint32_t turns;
	bool is_verbose;
} sim;

void sim_begin(uint64_t seed, bool is_verbose)
{
	sim.seed = seed;
	sim.is_verbose = is_verbose;
	sim.now_ns = BEGIN_NS;
	/* Mixed, since neighbouring seeds of SplitMix64 may be one stream a step apart. */
	rng_seed(&sim.rng, seed);
	rng_seed(&sim.rng, rng_next(&sim.rng));
}

uint64_t sim_now(void)
{
	return sim.now_ns;
}

uint64_t sim_seed(void)
{
	return sim.seed;
}

uint64_t clock_now_ns(void)
{
	sim.now_ns += READ_CLOCK_NS;
	return sim.now_ns;
}

uint64_t clock_wall_us(void)
{
	return BEGIN_WALL_US + sim.now_ns / NS_PER_US;
}

/* ---- chance ---- */

uint64_t sim_below(uint64_t bound)
{
	return rng_below(&sim.rng, bound);
}

uint64_t sim_between(uint64_t low, uint64_t high)
{
	CHECK(low <= high);
	return low + sim_below(high - low + 1);
}

bool sim_chance(uint32_t per_mille)
{
	return per_mille > 0 && sim_below(1000) < per_mille;
}

uint64_t sim_skewed(uint64_t high)
{
	uint64_t bits = 0;

	if (high == 0)
		return 0;
	while (bits < 63 && high >> bits > 1)
		bits++;
	uint64_t most = 2ull << sim_below(bits + 1);

	return sim_below(most <= high ? most : high + 1);
}

/* ---- events ---- */

static bool is_before(const struct event *a, const struct event *b)
{
	return a->at_ns != b->at_ns ? a->at_ns < b->at_ns : a->age < b->age;
}

static void swap(struct event *a, struct event *b)
{
	struct event old = *a;

	*a = *b;
	*b = old;
}

void sim_at(uint64_t delay_ns, sim_fn *fn, void *context)
{
	if (sim.count == sim.room) {
		sim.room = sim.room > 0 ? 2 * sim.room : 256;
		sim.heap = realloc(sim.heap, sim.room * sizeof(sim.heap[0]));
		CHECK(sim.heap != NULL);
	}
	size_t at = sim.count++;

	sim.heap[at] = (struct event){
		.at_ns = sim.now_ns + delay_ns,
		.age = sim.next_age++,
		.fn = fn,
		.context = context,
	};
	while (at > 0 && is_before(&sim.heap[at], &sim.heap[(at - 1) / 2])) {
		swap(&sim.heap[at], &sim.heap[(at - 1) / 2]);
		at = (at - 1) / 2;
	}
}

static void ring_alarm(void *context)
{
	struct sim_alarm *alarm = context;

	if (alarm->at_ns == 0 || alarm->at_ns > sim.now_ns)
		return; /* it has rung, or is for later */
	alarm->at_ns = 0;
	alarm->fn(alarm->context);
}

void sim_alarm(struct sim_alarm *alarm, uint64_t at_ns, sim_fn *fn, void *context)
{
	if (alarm->at_ns != 0 && alarm->at_ns <= at_ns)
		return;
	*alarm = (struct sim_alarm){ .at_ns = at_ns, .fn = fn, .context = context };
	sim_at(at_ns > sim.now_ns ? at_ns - sim.now_ns : 0, ring_alarm, alarm);
}

static struct event take_first(void)
{
	struct event first = sim.heap[0];
	size_t at = 0;

	sim.heap[0] = sim.heap[--sim.count];
	for (;;) {
		size_t least = at;

		for (size_t child = 2 * at + 1; child <= 2 * at + 2; child++)
			if (child < sim.count && is_before(&sim.heap[child], &sim.heap[least]))
				least = child;
		if (least == at)
			return first;
		swap(&sim.heap[at], &sim.heap[least]);
		at = least;
	}
}

uint64_t sim_next_ns(void)
{
	return sim.count > 0 ? sim.heap[0].at_ns : UINT64_MAX;
}

void sim_advance(uint64_t to_ns)
{
	while (sim.count > 0 && sim.heap[0].at_ns <= to_ns) {
		struct event event = take_first();

		if (event.at_ns > sim.now_ns)
			sim.now_ns = event.at_ns;
		event.fn(event.context);
	}
	if (to_ns > sim.now_ns)
		sim.now_ns = to_ns;
}

/* ---- progress and failure ---- */

void sim_progress(void)
{
	sim.turns = 0;
}

void sim_turn(void)
{
	if (sim.now_ns - sim.turned_ns > NS_PER_MS)
		sim.turns = 0;
	sim.turned_ns = sim.now_ns;
	if (++sim.turns > TURNS_MAX)
		sim_fail("livelock: %u turns without a byte moved or a sleep", TURNS_MAX);
}

static void print_time(void)
{
	uint64_t us = (sim.now_ns - BEGIN_NS) / NS_PER_US;

	(void)fprintf(stderr, "%4llu.%06llu ", (unsigned long long)(us / 1000000),
		      (unsigned long long)(us % 1000000));
}

void sim_trace(const char *format, ...)
{
	va_list args;

	if (!sim.is_verbose)
		return;
	print_time();
	va_start(args, format);
	(void)vfprintf(stderr, format, args);
	va_end(args);
	(void)fputc('\n', stderr);
}

void sim_fail(const char *format, ...)
{
	va_list args;

	print_time();
	(void)fprintf(stderr, "FAILED: ");
	va_start(args, format);
	(void)vfprintf(stderr, format, args);
	va_end(args);
	(void)fputc('\n', stderr);
	sim_flow_show();
	sim_worker_show();
	_Exit(1);
}

void *sim_alloc(size_t size)
{
	struct kept {
		struct kept *next;
		_Alignas(16) uint8_t bytes[];
	};
	static struct kept *all; /* reachable, so not a leak */
	struct kept *kept = calloc(1, sizeof(*kept) + size);

	CHECK(kept != NULL);
	kept->next = all;
	all = kept;
	return kept->bytes;
}
