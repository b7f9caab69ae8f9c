/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The kernel's clocks. The simulator links its own file with these two functions.
 */
#include <penstock/base/clock.h>

#include <time.h>

uint64_t clock_now_ns(void)
{
	struct timespec ts;
	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	uint64_t now = (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
	return now ? now : 1;
}

uint64_t clock_wall_us(void)
{
	struct timespec ts;
	(void)clock_gettime(CLOCK_REALTIME, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / NS_PER_US;
}
