/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The CPUs the kernel lets us use, lists of CPUs as taskset(1) writes them, and pinning.
 */
#define _GNU_SOURCE
#include <penstock/base/cpu.h>

#include <errno.h>
#include <pthread.h>
#include <sched.h>

#include <penstock/base/span.h>

_Static_assert(CPU_MAX <= CPU_SETSIZE, "a cpu_set_t must hold every CPU we can name");

int cpu_available(struct cpu_list *ret_list)
{
	cpu_set_t set;
	CPU_ZERO(&set);
	if (sched_getaffinity(0, sizeof(set), &set) < 0)
		return -errno;
	ret_list->count = 0;
	for (uint16_t cpu = 0; cpu < CPU_MAX; cpu++) {
		if (CPU_ISSET(cpu, &set))
			ret_list->cpu[ret_list->count++] = cpu;
	}
	return 0;
}

/* Appends low..high; false when one of them is there already: two workers on one CPU is a slip. */
static bool append(struct cpu_list *list, cpu_set_t *seen, uint64_t low, uint64_t high)
{
	if (low > high || high >= CPU_MAX)
		return false;
	for (uint64_t cpu = low; cpu <= high; cpu++) {
		if (CPU_ISSET(cpu, seen))
			return false;
		CPU_SET(cpu, seen);
		list->cpu[list->count++] = (uint16_t)cpu;
	}
	return true;
}

bool cpu_parse(const char *text, struct cpu_list *ret_list)
{
	struct span rest = span_str(text);
	cpu_set_t seen;
	CPU_ZERO(&seen);
	ret_list->count = 0;
	for (;;) {
		size_t comma = span_find(rest, ',');
		bool is_last = comma == rest.len;
		struct span part, low_text;
		if (!span_take(&rest, comma, &part))
			return false;
		size_t dash = span_find(part, '-');
		struct span high_text = part;
		if (!span_take(&high_text, dash, &low_text))
			return false;
		uint64_t low, high;
		if (!span_to_u64(low_text, &low))
			return false;
		high = low;
		if (dash < part.len &&
		    (!span_skip(&high_text, 1) || !span_to_u64(high_text, &high)))
			return false;
		if (!append(ret_list, &seen, low, high))
			return false;
		if (is_last)
			return true;
		if (!span_skip(&rest, 1))
			return false;
	}
}

int cpu_pin(uint16_t cpu)
{
	cpu_set_t set;
	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	return -pthread_setaffinity_np(pthread_self(), sizeof(set), &set);
}
