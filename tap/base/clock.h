/* SPDX-License-Identifier: Apache-2.0 */
/* clock.h - the times that deadlines and ages are counted in. Any thread. */
#ifndef PODSWITCH_CLOCK_H
#define PODSWITCH_CLOCK_H

#include <stdint.h>
#include <time.h>

/* Milliseconds of CLOCK_MONOTONIC. */
static inline uint64_t clock_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* Microseconds of CLOCK_MONOTONIC. */
static inline uint64_t clock_us(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

/*
 * Seconds of CLOCK_MONOTONIC_COARSE plus one: never 0, which can so mean "no time". The coarse clock lags by up to one
 * scheduler tick and is cheap enough to be read in every round of a worker.
 */
static inline uint32_t clock_seconds(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	return (uint32_t)now.tv_sec + 1;
}

#endif
