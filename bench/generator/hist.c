/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The latency histogram of the load generator; hist.h says what it promises.
 */
#include "hist.h"

#include <inttypes.h>
#include <math.h>

enum { HGRM_ROWS = 5 };

static const double NS_PER_US = 1e3;

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

/* The value at a share of the count, and how many values do not exceed it. */
static uint64_t find(const struct hist *h, double share, uint64_t *ret_count)
{
	uint64_t wanted = (uint64_t)(share * (double)h->count + 0.5);
	uint64_t seen = 0;

	if (wanted == 0)
		wanted = 1;
	for (unsigned i = 0; i < HIST_OCTAVES * HIST_STEPS; i++) {
		seen += h->cell[i];
		if (seen < wanted)
			continue;
		*ret_count = seen;
		return cell_ns(i) < h->ns_max ? cell_ns(i) : h->ns_max;
	}
	*ret_count = h->count;
	return h->ns_max;
}

uint64_t hist_ns_at(const struct hist *h, double share)
{
	uint64_t count;

	return h->count == 0 ? 0 : find(h, share, &count);
}

static void moments(const struct hist *h, double *ret_mean, double *ret_deviation)
{
	double count = h->count > 0 ? (double)h->count : 1;
	double sum = 0, squares = 0;

	for (unsigned i = 0; i < HIST_OCTAVES * HIST_STEPS; i++)
		sum += (double)h->cell[i] * (double)cell_ns(i);
	*ret_mean = sum / count;
	for (unsigned i = 0; i < HIST_OCTAVES * HIST_STEPS; i++) {
		double away = (double)cell_ns(i) - *ret_mean;

		squares += (double)h->cell[i] * away * away;
	}
	*ret_deviation = sqrt(squares / count);
}

/* Five rows for each halving of what is left above the percentile, as HdrHistogram has it. */
static void write_rows(const struct hist *h, FILE *into)
{
	uint64_t count = 0;

	for (unsigned row = 0; count < h->count; row++) {
		double left = ldexp(1, -(int)(row / HGRM_ROWS));
		double share = 1 - left + left / 2 * (row % HGRM_ROWS) / HGRM_ROWS;
		uint64_t ns = find(h, share, &count);

		fprintf(into, "%12.3f %14.12f %10" PRIu64 " %14.2f\n", (double)ns / NS_PER_US,
			share, count, 1 / (1 - share));
	}
	fprintf(into, "%12.3f %14.12f %10" PRIu64 " %14s\n", (double)h->ns_max / NS_PER_US, 1.0,
		h->count, "inf");
}

void hist_write_hgrm(const struct hist *h, FILE *into)
{
	double mean, deviation;

	moments(h, &mean, &deviation);
	fprintf(into, "%12s %14s %10s %14s\n\n", "Value", "Percentile", "TotalCount",
		"1/(1-Percentile)");
	write_rows(h, into);
	fprintf(into, "#[Mean    = %12.3f, StdDeviation   = %12.3f]\n", mean / NS_PER_US,
		deviation / NS_PER_US);
	fprintf(into, "#[Max     = %12.3f, Total count    = %12" PRIu64 "]\n",
		(double)h->ns_max / NS_PER_US, h->count);
	fprintf(into, "#[Buckets = %12d, SubBuckets     = %12d]\n", HIST_OCTAVES, HIST_STEPS);
}
