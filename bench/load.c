/* SPDX-License-Identifier: Apache-2.0 */
/*
 * load.c - the load generators of the throughput harness: verbs, sockets, clocks
 *
 *   stream  TCP, a thread a stream: received bytes in a window, retransmits        stream.c
 *   flood   UDP by sendmmsg, at a rate or as fast as it goes: packets, loss        flood.c
 *   ask     UDP request and response, one at a time: percentiles of the time       exchange.c
 *   dial    TCP connections made, used for a byte each way, and closed, in a row   dial.c
 *
 * The first argument is the congestion control of all its TCP sockets.
 */
#include "bench/load.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

volatile sig_atomic_t load_stopped;
static const char *congestion;

static const struct verb {
	const char *name;
	const char *usage;
	int arguments;
	int (*run)(char **argv);
} verbs[] = {
	{"stream-receive", "PORT STREAMS WARM SECONDS", 4, stream_receive},
	{"stream-send", "ADDRESS PORT STREAMS", 3, stream_send},
	{"flood-receive", "PORT WARM SECONDS", 3, flood_receive},
	{"flood-send", "ADDRESS PORT BYTES RATE", 4, flood_send},
	{"echo", "PORT", 1, exchange_echo},
	{"ask", "ADDRESS PORT BYTES WARM SECONDS", 5, exchange_ask},
	{"accept", "PORT", 1, dial_accept},
	{"dial", "ADDRESS PORT WARM SECONDS", 4, dial_connect},
};

void load_die(const char *what)
{
	fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
	exit(1);
}

void *load_allocate(size_t count, size_t size)
{
	void *memory = calloc(count, size);

	if (!memory)
		load_die("calloc");
	return memory;
}

void load_say(const char *line)
{
	puts(line);
	fflush(stdout);
}

uint64_t load_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * NS_PER_SECOND + (uint64_t)now.tv_nsec;
}

void load_sleep_until(uint64_t when)
{
	const struct timespec until = {.tv_sec = (time_t)(when / NS_PER_SECOND),
				       .tv_nsec = (long)(when % NS_PER_SECOND)};

	clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
}

/* Opens the first address `name` and `port` stand for, by bind() or connect(). */
static int open_socket(int type, const char *name, const char *port,
		       int (*attach)(int fd, const struct sockaddr *to, socklen_t length))
{
	const struct addrinfo hints = {.ai_family = name ? AF_UNSPEC : AF_INET,
				       .ai_socktype = type,
				       .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE};
	const int on = 1;
	struct addrinfo *found;

	if (getaddrinfo(name, port, &hints, &found)) {
		errno = EINVAL;
		load_die(name ? name : port);
	}
	int fd = socket(found->ai_family, type | SOCK_CLOEXEC, 0);
	if (fd < 0)
		load_die("socket");
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	/* What is accepted inherits it from the listening socket. */
	if (type == SOCK_STREAM &&
	    setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, congestion, (socklen_t)strlen(congestion)))
		load_die(congestion);
	if (attach(fd, found->ai_addr, found->ai_addrlen))
		load_die(name ? name : port);
	freeaddrinfo(found);
	return fd;
}

int load_bind(int type, const char *port)
{
	int fd = open_socket(type, NULL, port, bind);

	if (type == SOCK_STREAM && listen(fd, SOMAXCONN))
		load_die("listen");
	return fd;
}

int load_connect(int type, const char *address, const char *port)
{
	return open_socket(type, address, port, connect);
}

void load_set_timeout(int fd, uint64_t timeout)
{
	const struct timeval limit = {.tv_sec = (time_t)(timeout / NS_PER_SECOND),
				      .tv_usec = (suseconds_t)(timeout % NS_PER_SECOND / 1000)};

	if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)))
		load_die("SO_RCVTIMEO");
}

unsigned long load_number(const char *text)
{
	char *end;
	unsigned long value = strtoul(text, &end, 10);

	if (end == text || *end) {
		errno = EINVAL;
		load_die(text);
	}
	return value;
}

uint64_t load_seconds(const char *text)
{
	char *end;
	double value = strtod(text, &end);

	if (end == text || *end || !(value >= 0) || value > LOAD_LIFETIME) {
		errno = EINVAL;
		load_die(text);
	}
	return (uint64_t)(value * (double)NS_PER_SECOND);
}

static void on_stop(int number)
{
	(void)number;
	load_stopped = 1;
}

/* No SA_RESTART: a call that blocks is to return when SIGTERM comes. */
static void prepare(void)
{
	const struct sigaction stop = {.sa_handler = on_stop};

	sigaction(SIGTERM, &stop, NULL);
	signal(SIGPIPE, SIG_IGN);
	prctl(PR_SET_TIMERSLACK, 1UL); /* the default of 50 us would make bursts of paced packets */
	alarm(LOAD_LIFETIME);
}

int main(int argc, char **argv)
{
	for (size_t i = 0; argc > 2 && i < sizeof(verbs) / sizeof(verbs[0]); i++) {
		if (strcmp(argv[2], verbs[i].name) || argc - 3 != verbs[i].arguments)
			continue;
		congestion = argv[1];
		prepare();
		return verbs[i].run(argv + 3);
	}
	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
		fprintf(stderr, "usage: load CONGESTION %s %s\n", verbs[i].name, verbs[i].usage);
	return 2;
}
