/* SPDX-License-Identifier: Apache-2.0 */
/* clock.h - the time that deadlines are counted in. Any thread. */
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

#endif
