/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * cpu: which CPUs this process may use, and pinning.
 * Thread:   any
 * Errors:   0 or -errno
 */
#pragma once

#include <penstock/base/check.h>

#define CPU_MAX 1024

struct cpu_list {
	uint16_t cpu[CPU_MAX];
	uint32_t count;
};

/* The CPUs of our affinity mask, in order. */
MUST_USE int cpu_available(struct cpu_list *ret_list);
/* "2-5,8" */
MUST_USE bool cpu_parse(const char *text, struct cpu_list *ret_list);
/* Pins the calling thread. */
MUST_USE int cpu_pin(uint16_t cpu);
