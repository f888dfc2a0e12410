/* SPDX-License-Identifier: Apache-2.0 */
/*
 * load.h - what the load generators share
 *
 * A generator is one verb of the program `load`. Whoever measures prints "ready" when its peer may start, "start" when
 * the warm-up is over, and at the end one JSON object; whoever only sends or answers runs until SIGTERM. No verb
 * outlives LOAD_LIFETIME, whatever becomes of who started it. Errors end the program.
 */
#ifndef PODSWITCH_LOAD_H
#define PODSWITCH_LOAD_H

#include <signal.h>
#include <stddef.h>
#include <stdint.h>

#define LOAD_LIFETIME 120 /* seconds */
#define NS_PER_SECOND 1000000000ULL

extern volatile sig_atomic_t load_stopped; /* SIGTERM came */

/* Prints `what` and errno to stderr, and exits. */
_Noreturn void load_die(const char *what);

/* Zeroed memory; never NULL. */
void *load_allocate(size_t count, size_t size);

/* Prints a line at once: the harness waits for it. */
void load_say(const char *line);

uint64_t load_now(void); /* CLOCK_MONOTONIC, ns */
void load_sleep_until(uint64_t when);

/* Sockets: `type` is SOCK_STREAM (listening, when bound) or SOCK_DGRAM. `timeout` in ns, for receiving. */
int load_bind(int type, const char *port);
int load_connect(int type, const char *address, const char *port);
void load_set_timeout(int fd, uint64_t timeout);

/* Arguments: whole numbers, and seconds with a fraction as ns. */
unsigned long load_number(const char *text);
uint64_t load_seconds(const char *text);

/* The verbs; `argv` holds what follows the verb, as many as its usage says. Each returns the exit code. */
int stream_receive(char **argv); /* PORT STREAMS WARM SECONDS */
int stream_send(char **argv);    /* ADDRESS PORT STREAMS */
int flood_receive(char **argv);  /* PORT WARM SECONDS */
int flood_send(char **argv);     /* ADDRESS PORT BYTES RATE */
int exchange_echo(char **argv);  /* PORT */
int exchange_ask(char **argv);   /* ADDRESS PORT BYTES WARM SECONDS */
int dial_accept(char **argv);    /* PORT */
int dial_connect(char **argv);   /* ADDRESS PORT WARM SECONDS */

#endif
