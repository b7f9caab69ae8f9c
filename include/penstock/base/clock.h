/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * clock: the only source of time. Timers, deadlines and durations use clock_now_ns (monotonic);
 * the wall clock is for log lines only. The simulator replaces this file.
 * Thread:   any
 */
#pragma once

#include <stdint.h>

#define NS_PER_US 1000ull
#define NS_PER_MS 1000000ull
#define NS_PER_S  1000000000ull

/* Monotonic nanoseconds; never 0, so 0 can mean "no deadline". */
uint64_t clock_now_ns(void);

/* Wall clock, microseconds since the epoch. */
uint64_t clock_wall_us(void);
