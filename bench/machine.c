/* SPDX-License-Identifier: Apache-2.0 */
/*
 * machine.c - what this machine can do at all: a system call, a copy, a wake-up of another process
 *
 * Figures of two machines are only to be compared beside these. Prints one JSON object.
 */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define CALLS 2000000
#define COPY_BYTES 65536 /* as long as a super-frame; from one of many places, as frames come */
#define PLACES 256
#define COPIES 60000
#define WAKES 20000
#define TRIES 3

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
}

static double call_ns(void)
{
	double begin = now();

	for (unsigned i = 0; i < CALLS; i++)
		syscall(SYS_getppid);
	return (now() - begin) / CALLS;
}

/* ns for each 1,000 bytes: the reciprocal of GB/s in thousandths, so that the smallest is the best here, too */
static double copy_ns(void)
{
	uint8_t *from = malloc((size_t)COPY_BYTES * PLACES), *to = malloc(COPY_BYTES);

	if (!from || !to)
		exit(1);
	memset(from, 1, (size_t)COPY_BYTES * PLACES);
	memset(to, 2, COPY_BYTES);
	double begin = now();
	for (size_t i = 0; i < COPIES; i++) {
		memcpy(to, from + i * 31 % PLACES * COPY_BYTES, COPY_BYTES);
		__asm__ volatile("" : : "r"(to) : "memory"); /* else only the last copy is made */
	}
	double taken = now() - begin;
	free(from);
	free(to);
	return taken / ((double)COPY_BYTES * COPIES / 1000);
}

static void pass_on(int in, int out)
{
	uint64_t value;

	if (read(in, &value, sizeof(value)) != sizeof(value) || write(out, &value, sizeof(value)) != sizeof(value))
		exit(1);
}

/* A round trip between two processes by eventfd. */
static double wake_ns(void)
{
	int there = eventfd(0, EFD_CLOEXEC), back = eventfd(1, EFD_CLOEXEC);
	pid_t child = fork();

	if (there < 0 || back < 0 || child < 0)
		exit(1);
	if (!child) {
		for (unsigned i = 0; i < WAKES; i++)
			pass_on(there, back);
		_exit(0);
	}
	double begin = now();
	for (unsigned i = 0; i < WAKES; i++)
		pass_on(back, there);
	double taken = now() - begin;
	waitpid(child, NULL, 0);
	close(there);
	close(back);
	return taken / WAKES;
}

static double best(double (*measure)(void))
{
	double least = measure();

	for (int i = 1; i < TRIES; i++) {
		double again = measure();
		least = again < least ? again : least;
	}
	return least;
}

int main(void)
{
	printf("{\"getppid_ns\": %.1f, \"memcpy_gb_s\": %.2f, \"eventfd_round_trip_us\": %.2f}\n", best(call_ns),
	       1000 / best(copy_ns), best(wake_ns) / 1000);
	return 0;
}
