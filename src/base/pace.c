/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * pace: GCRA, the token bucket without a bucket: a time and one addition.
 */
#include <penstock/base/pace.h>

#include <penstock/base/clock.h>

static uint64_t wait(uint64_t due_ns, uint64_t now_ns)
{
	return due_ns > now_ns + PACE_BURST_NS ? due_ns - PACE_BURST_NS : 0;
}

/* Seconds and the rest by themselves: a frame may have 2^30 bytes. */
static uint64_t later(uint64_t due_ns, uint64_t rate, uint64_t n, uint64_t now_ns)
{
	uint64_t from = due_ns > now_ns ? due_ns : now_ns;
	CHECK(rate > 0);
	return from + n / rate * NS_PER_S + n % rate * NS_PER_S / rate;
}

uint64_t pace_wait(const struct pace *pace, uint64_t now_ns)
{
	return wait(pace->due_ns, now_ns);
}

void pace_take(struct pace *pace, uint64_t rate, uint64_t n, uint64_t now_ns)
{
	pace->due_ns = later(pace->due_ns, rate, n, now_ns);
}

uint64_t pace_wait_shared(const _Atomic uint64_t *due_ns, uint64_t now_ns)
{
	return wait(atomic_load_explicit(due_ns, memory_order_relaxed), now_ns);
}

void pace_take_shared(_Atomic uint64_t *due_ns, uint64_t rate, uint64_t n, uint64_t now_ns)
{
	uint64_t old = atomic_load_explicit(due_ns, memory_order_relaxed);
	while (!atomic_compare_exchange_weak_explicit(due_ns, &old, later(old, rate, n, now_ns),
						      memory_order_relaxed, memory_order_relaxed))
		continue;
}
