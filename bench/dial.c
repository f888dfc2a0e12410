/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dial.c - TCP connections one after the other: made, used for one byte each way, closed
 *
 * The server closes first, so that waiting out the old connection (TIME_WAIT) is its business and the client does not
 * run out of ports.
 */
#include "bench/load.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

int dial_accept(char **argv)
{
	int listener = load_bind(SOCK_STREAM, argv[0]);
	char byte;

	load_say("ready");
	while (!load_stopped) {
		int fd = accept(listener, NULL, NULL);
		if (fd < 0)
			continue;
		load_set_timeout(fd, NS_PER_SECOND);
		if (recv(fd, &byte, 1, 0) == 1)
			send(fd, &byte, 1, 0);
		close(fd);
	}
	close(listener);
	return 0;
}

static bool dial(const char *address, const char *port)
{
	char byte = 'x';
	int fd = load_connect(SOCK_STREAM, address, port);

	load_set_timeout(fd, NS_PER_SECOND);
	bool answered = send(fd, &byte, 1, 0) == 1 && recv(fd, &byte, 1, 0) == 1;
	bool closed = answered && recv(fd, &byte, 1, 0) == 0;
	close(fd);
	return closed;
}

int dial_connect(char **argv)
{
	uint64_t warm = load_seconds(argv[2]), window = load_seconds(argv[3]);
	uint64_t done = 0, failed = 0;

	for (uint64_t end = load_now() + warm; load_now() < end && !load_stopped;)
		dial(argv[0], argv[1]);
	load_say("start");
	uint64_t begin = load_now();
	while (load_now() < begin + window && !load_stopped) {
		bool well = dial(argv[0], argv[1]);
		done += well;
		failed += !well;
	}
	double seconds = (double)(load_now() - begin) / (double)NS_PER_SECOND;
	printf("{\"connections\": %" PRIu64 ", \"failed\": %" PRIu64 ", \"seconds\": %.6f}\n", done, failed, seconds);
	return 0;
}
