/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stream.c - TCP streams: how many bytes arrive in a window of time
 *
 * The receiver decides: once all streams are accepted and the warm-up is over it counts what recv() copied out, then
 * leaves, which ends the senders. A stream is an endless repetition of PERIOD bytes of a pattern. The receiver compares
 * the ends of each piece it is given with what belongs there; as PERIOD is a prime, a segment lost, doubled or
 * exchanged puts the rest out of step. Comparing every byte would measure the comparison.
 */
#include "bench/load.h"

#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define PERIOD 131071
#define PROBE 8
#define MAX_STREAMS 64

struct stream {
	int fd;
	_Atomic uint64_t bytes;
	_Atomic bool corrupt;
	uint32_t retransmits;
};

static struct stream streams[MAX_STREAMS];
static uint8_t pattern[PERIOD];

static void pattern_make(void)
{
	for (uint32_t i = 0; i < PERIOD; i++)
		pattern[i] = (uint8_t)(i * 2654435761U >> 24);
}

static bool pattern_fits(const uint8_t *data, size_t length, uint64_t offset)
{
	for (size_t i = 0; i < length; i++) {
		if (data[i] != pattern[(offset + i) % PERIOD])
			return false;
	}
	return true;
}

static bool ends_fit(const uint8_t *data, size_t length, uint64_t offset)
{
	size_t probe = length < PROBE ? length : PROBE;

	return pattern_fits(data, probe, offset) && pattern_fits(data + length - probe, probe, offset + length - probe);
}

static void *drain(void *context)
{
	struct stream *stream = context;
	uint8_t *buffer = load_allocate(1, PERIOD);
	uint64_t total = 0;
	ssize_t got;

	while ((got = recv(stream->fd, buffer, PERIOD, 0)) > 0) {
		if (!ends_fit(buffer, (size_t)got, total))
			atomic_store_explicit(&stream->corrupt, true, memory_order_relaxed);
		total += (uint64_t)got;
		atomic_store_explicit(&stream->bytes, total, memory_order_relaxed);
	}
	free(buffer);
	return NULL;
}

static void *fill(void *context)
{
	struct stream *stream = context;
	struct tcp_info info = {0};
	socklen_t length = sizeof(info);
	size_t at = 0;
	ssize_t sent;

	while (!load_stopped && (sent = send(stream->fd, pattern + at, PERIOD - at, 0)) >= 0)
		at = (at + (size_t)sent) % PERIOD;
	if (!getsockopt(stream->fd, IPPROTO_TCP, TCP_INFO, &info, &length))
		stream->retransmits = info.tcpi_total_retrans;
	return NULL;
}

static unsigned count_streams(const char *text)
{
	unsigned long count = load_number(text);

	if (count < 1 || count > MAX_STREAMS) {
		errno = ERANGE;
		load_die(text);
	}
	return (unsigned)count;
}

static pthread_t start(void *(*run)(void *), struct stream *stream)
{
	pthread_t thread;

	errno = pthread_create(&thread, NULL, run, stream);
	if (errno)
		load_die("pthread_create");
	return thread;
}

static uint64_t received(unsigned count, uint64_t bytes[])
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < count; i++) {
		bytes[i] = atomic_load_explicit(&streams[i].bytes, memory_order_relaxed);
		sum += bytes[i];
	}
	return sum;
}

static void report(unsigned count, const uint64_t before[], const uint64_t after[], uint64_t elapsed)
{
	uint64_t least = UINT64_MAX, most = 0, sum = 0;
	unsigned corrupt = 0;

	for (unsigned i = 0; i < count; i++) {
		uint64_t bytes = after[i] - before[i];
		sum += bytes;
		least = bytes < least ? bytes : least;
		most = bytes > most ? bytes : most;
		corrupt += atomic_load(&streams[i].corrupt);
	}
	printf("{\"bytes\": %" PRIu64 ", \"seconds\": %.6f, \"least\": %" PRIu64 ", \"most\": %" PRIu64
	       ", \"corrupt\": %u}\n",
	       sum, (double)elapsed / (double)NS_PER_SECOND, least, most, corrupt);
}

int stream_receive(char **argv)
{
	unsigned count = count_streams(argv[1]);
	uint64_t warm = load_seconds(argv[2]), window = load_seconds(argv[3]);
	uint64_t before[MAX_STREAMS], after[MAX_STREAMS];
	int listener = load_bind(SOCK_STREAM, argv[0]);

	pattern_make();
	load_say("ready");
	for (unsigned i = 0; i < count; i++) {
		streams[i].fd = accept(listener, NULL, NULL);
		if (streams[i].fd < 0)
			load_die("accept");
		start(drain, &streams[i]);
	}
	load_sleep_until(load_now() + warm);
	load_say("start");
	uint64_t begin = load_now();
	received(count, before);
	load_sleep_until(begin + window);
	uint64_t end = load_now();
	received(count, after);
	report(count, before, after, end - begin);
	fflush(stdout);
	_exit(0); /* the threads are in recv() */
}

int stream_send(char **argv)
{
	unsigned count = count_streams(argv[2]);
	pthread_t threads[MAX_STREAMS];
	uint64_t retransmits = 0;

	pattern_make();
	for (unsigned i = 0; i < count; i++)
		streams[i].fd = load_connect(SOCK_STREAM, argv[0], argv[1]);
	for (unsigned i = 0; i < count; i++)
		threads[i] = start(fill, &streams[i]);
	for (unsigned i = 0; i < count; i++) {
		pthread_join(threads[i], NULL);
		retransmits += streams[i].retransmits;
	}
	printf("{\"retransmits\": %" PRIu64 "}\n", retransmits);
	return 0;
}
