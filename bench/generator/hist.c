/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The latency histogram of the load generator; hist.h says what it promises.
 */
#include "hist.h"

static unsigned cell_of(uint64_t ns)
{
	if (ns < HIST_STEPS)
		return (unsigned)ns;

	unsigned octave = 63u - (unsigned)__builtin_clzll(ns) - HIST_STEP_BITS;
	unsigned step = (unsigned)(ns >> octave) - HIST_STEPS;
	unsigned cell = (octave + 1) * HIST_STEPS + step;
	unsigned last = HIST_OCTAVES * HIST_STEPS - 1;

	return cell < last ? cell : last;
}

/* The upper edge of a cell, so that a percentile is never reported lower than it was. */
static uint64_t cell_ns(unsigned cell)
{
	if (cell < HIST_STEPS)
		return cell;

	unsigned octave = cell / HIST_STEPS - 1;
	uint64_t step = cell % HIST_STEPS + HIST_STEPS;

	return ((step + 1) << octave) - 1;
}

void hist_add(struct hist *h, uint64_t ns)
{
	h->count++;
	if (ns > h->ns_max)
		h->ns_max = ns;
	h->cell[cell_of(ns)]++;
}

uint64_t hist_ns_at(const struct hist *h, double share)
{
	uint64_t wanted = (uint64_t)(share * (double)h->count + 0.5);
	uint64_t seen = 0;

	if (h->count == 0)
		return 0;
	if (wanted == 0)
		wanted = 1;
	for (unsigned i = 0; i < HIST_OCTAVES * HIST_STEPS; i++) {
		seen += h->cell[i];
		if (seen >= wanted)
			return cell_ns(i) < h->ns_max ? cell_ns(i) : h->ns_max;
	}
	return h->ns_max;
}
