/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The table of counters, from stat.def, and the histogram of dial times.
 */
#include <penstock/base/stat.h>

#include <penstock/base/clock.h>

const struct stat_row stat_rows[STAT_COUNT] = {
#define STAT(NAME, name, label_text, kind, sentence) \
	[STAT_##NAME] = { .metric = name, .labels = label_text, .type = #kind, .help = sentence },
#include <penstock/base/stat.def>
#undef STAT
};

/* Bucket i counts durations of at most 2^i microseconds; the last one everything longer too. */
static uint32_t bucket_of(uint64_t us)
{
	if (us <= 1)
		return 0;
	uint32_t bucket = 64 - (uint32_t)__builtin_clzll(us - 1);
	return bucket < STAT_BUCKETS ? bucket : STAT_BUCKETS - 1;
}

void stat_dial(struct stat_block *block, uint64_t ns)
{
	/* Rounded up: a bucket's bound must not be exceeded by what it counts. */
	uint64_t us = ns / NS_PER_US + (ns % NS_PER_US != 0);
	stat_count(&block->dial_us[bucket_of(us)], 1);
	stat_count(&block->dial_us_sum, us);
}

bool stat_route_enter(struct stat_route *route, uint64_t most)
{
	if (atomic_fetch_add_explicit(&route->active, 1, memory_order_relaxed) >= most) {
		stat_route_leave(route);
		return false;
	}
	atomic_fetch_add_explicit(&route->total, 1, memory_order_relaxed);
	return true;
}

void stat_route_leave(struct stat_route *route)
{
	CHECK(atomic_fetch_sub_explicit(&route->active, 1, memory_order_relaxed) > 0);
}
