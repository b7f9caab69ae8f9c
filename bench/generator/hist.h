/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * A histogram of durations in nanoseconds with a bounded relative error: 128 linear steps per
 * power of two, so any value read back is within 0.8 % of a value that was added. Adding costs a
 * count-leading-zeros and one increment, so that the generator stays cheap. One thread only.
 */
#ifndef BENCH_HIST_H
#define BENCH_HIST_H

#include <stdint.h>
#include <stdio.h>

enum {
	HIST_STEP_BITS = 7,
	HIST_STEPS = 1 << HIST_STEP_BITS,
	HIST_OCTAVES = 33, /* up to 2^39 ns, nine minutes; longer is counted as that */
};

struct hist {
	uint64_t count;
	uint64_t ns_max;
	uint64_t cell[HIST_OCTAVES * HIST_STEPS];
};

void hist_add(struct hist *h, uint64_t ns);

/* The smallest duration that at least `share` (0..1) of the values do not exceed; 0 when empty. */
uint64_t hist_ns_at(const struct hist *h, double share);

/* The percentile distribution as HdrHistogram's tools print and read it, in microseconds. */
void hist_write_hgrm(const struct hist *h, FILE *into);

#endif
