/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * pace: a token bucket that lets `rate` units a second through, after a pause up to a second's
 * worth at once. It is kept as one time: when everything let through so far would have been through
 * at that rate. Whoever comes with more than is left goes, too, and those behind wait for it, so
 * that a frame larger than a second's worth is no trouble. Thread:   one owner; the _shared ones:
 * any Memory:   the caller's; begins as zero
 */
#pragma once

#include <stdatomic.h>

#include <penstock/base/check.h>

#define PACE_BURST_NS (1000ull * 1000 * 1000)

struct pace {
	uint64_t due_ns;
};

/* When the next unit may go: 0: now. */
uint64_t pace_wait(const struct pace *pace, uint64_t now_ns);
/* n units go, at `rate` of them a second (more than 0). */
void pace_take(struct pace *pace, uint64_t rate, uint64_t n, uint64_t now_ns);

/* One for several threads; `due_ns` is as in struct pace. */
uint64_t pace_wait_shared(const _Atomic uint64_t *due_ns, uint64_t now_ns);
void pace_take_shared(_Atomic uint64_t *due_ns, uint64_t rate, uint64_t n, uint64_t now_ns);
