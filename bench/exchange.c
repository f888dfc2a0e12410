/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exchange.c - UDP request and response, one at a time: how long it takes
 *
 * A response that does not come within TIMEOUT counts as having taken so long: leaving it out would flatter whoever
 * loses packets.
 */
#include "bench/load.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define MAX_BYTES 1400
#define MAX_SAMPLES (8U << 20)
#define TIMEOUT (NS_PER_SECOND / 10)

int exchange_echo(char **argv)
{
	int fd = load_bind(SOCK_DGRAM, argv[0]);
	char data[MAX_BYTES];
	struct sockaddr_storage from;

	load_say("ready");
	while (!load_stopped) {
		socklen_t length = sizeof(from);
		ssize_t got = recvfrom(fd, data, sizeof(data), 0, (struct sockaddr *)&from, &length);
		if (got > 0)
			sendto(fd, data, (size_t)got, 0, (struct sockaddr *)&from, length);
	}
	close(fd);
	return 0;
}

/* The time of one exchange, ns. Late responses to earlier requests are thrown away. */
static uint64_t ask(int fd, char *data, size_t bytes, uint64_t number, uint64_t *lost)
{
	char answer[MAX_BYTES];
	uint64_t begin = load_now();

	memcpy(data, &number, sizeof(number));
	if (send(fd, data, bytes, 0) < 0 && errno != ECONNREFUSED && errno != EINTR)
		load_die("send");
	while (load_now() - begin < TIMEOUT && !load_stopped) {
		ssize_t got = recv(fd, answer, sizeof(answer), 0);
		if (got == (ssize_t)bytes && !memcmp(answer, &number, sizeof(number)))
			return load_now() - begin;
	}
	(*lost)++;
	return TIMEOUT;
}

static int by_size(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

/* The smallest sample that `share` of all do not exceed, in us. */
static double percentile(const uint32_t *samples, size_t count, double share)
{
	size_t at = (size_t)((double)count * share);

	return count ? samples[at < count ? at : count - 1] / 1000.0 : 0;
}

static void report(uint32_t *samples, size_t count, uint64_t lost)
{
	qsort(samples, count, sizeof(*samples), by_size);
	printf("{\"count\": %zu, \"lost\": %" PRIu64 ", \"min\": %.2f, \"p50\": %.2f, \"p90\": %.2f, \"p99\": %.2f, "
	       "\"p999\": %.2f, \"max\": %.2f}\n",
	       count, lost, percentile(samples, count, 0), percentile(samples, count, 0.5),
	       percentile(samples, count, 0.9), percentile(samples, count, 0.99), percentile(samples, count, 0.999),
	       percentile(samples, count, 1));
}

int exchange_ask(char **argv)
{
	unsigned long bytes = load_number(argv[2]);
	uint64_t warm = load_seconds(argv[3]), window = load_seconds(argv[4]);
	uint64_t number = 0, lost = 0;
	char data[MAX_BYTES] = {0};
	size_t count = 0;
	uint32_t *samples = load_allocate(MAX_SAMPLES, sizeof(*samples));

	if (bytes < sizeof(number) || bytes > MAX_BYTES) {
		errno = ERANGE;
		load_die(argv[2]);
	}
	int fd = load_connect(SOCK_DGRAM, argv[0], argv[1]);
	load_set_timeout(fd, TIMEOUT);
	for (uint64_t end = load_now() + warm; load_now() < end && !load_stopped;)
		ask(fd, data, bytes, number++, &lost);
	lost = 0;
	load_say("start");
	for (uint64_t end = load_now() + window; load_now() < end && count < MAX_SAMPLES && !load_stopped;)
		samples[count++] = (uint32_t)ask(fd, data, bytes, number++, &lost);
	report(samples, count, lost);
	free(samples);
	return 0;
}
