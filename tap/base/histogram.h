/* SPDX-License-Identifier: Apache-2.0 */
/* histogram.h - durations as Prometheus counts them: cumulative buckets, sum and number */
#ifndef PODSWITCH_HISTOGRAM_H
#define PODSWITCH_HISTOGRAM_H

#include <stdint.h>

#define HISTOGRAM_BUCKETS 18

/* Upper bounds in seconds; longer durations count in `n` and `sum` only. */
static const double histogram_bounds[HISTOGRAM_BUCKETS] = {
	0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 60};

struct histogram {
	uint64_t buckets[HISTOGRAM_BUCKETS]; /* each includes all shorter ones */
	uint64_t n;
	double sum; /* seconds */
};

static inline void histogram_add(struct histogram *histogram, double seconds)
{
	for (int i = 0; i < HISTOGRAM_BUCKETS; i++)
		histogram->buckets[i] += seconds <= histogram_bounds[i];
	histogram->n++;
	histogram->sum += seconds;
}

#endif
