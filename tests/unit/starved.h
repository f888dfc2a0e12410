/* SPDX-License-Identifier: Apache-2.0 */
/*
 * starved.h - how much slower than on a machine of its own a test may be
 *
 * A process that was ready to run while others had the processor is late, and that is not its fault: on a busy machine
 * a limit on real time has to leave it out. Of its first thread; 0 where the kernel does not say (CONFIG_SCHED_INFO).
 */
#ifndef PODSWITCH_STARVED_H
#define PODSWITCH_STARVED_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/types.h>

/* ns since the process was made */
static inline uint64_t starved_ns(pid_t pid)
{
	char path[64];
	unsigned long long ran, starved = 0;

	snprintf(path, sizeof(path), "/proc/%ld/schedstat", (long)pid);
	FILE *file = fopen(path, "re");
	if (file && fscanf(file, "%llu %llu", &ran, &starved) != 2)
		starved = 0;
	if (file)
		fclose(file);
	return starved;
}

static inline uint64_t starved_ms(pid_t pid)
{
	return starved_ns(pid) / 1000000;
}

/* What deadlines are multiplied by, on slow machines and with sanitizers. */
static inline unsigned long slowness(void)
{
	const char *text = getenv("SLOW");

	return text ? strtoul(text, NULL, 10) : 1;
}

/* Whether the process has, or waits for, a processor right now. */
static inline bool is_runnable(pid_t pid)
{
	char path[64], state = 0;

	snprintf(path, sizeof(path), "/proc/%ld/stat", (long)pid);
	FILE *file = fopen(path, "re");
	if (file && fscanf(file, "%*d (%*[^)]) %c", &state) != 1)
		state = 0;
	if (file)
		fclose(file);
	return state == 'R';
}

#endif
