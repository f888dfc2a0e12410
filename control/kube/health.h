/* SPDX-License-Identifier: Apache-2.0 */
/*
 * health.h - the agent over HTTP: /healthz, /readyz and /metrics
 *
 * Served by the caller's own thread, between its other work, so an answer of /healthz shows that the loop turns.
 * Clients that are silent, slow or too many do not keep others from it: http_clients.h.
 */
#ifndef PODSWITCH_HEALTH_H
#define PODSWITCH_HEALTH_H

#include "tap/base/failure.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct health;

struct health_config {
	const char *listen; /* "ADDRESS:PORT", "[ADDRESS]:PORT" */
	/* Whether all is well; else *reason says what is missing, for people. */
	bool (*ready)(void *context, const char **reason);
	/* Writes metrics in Prometheus' text format. */
	void (*metrics)(void *context, FILE *out);
	void *context;
};

/* 0, or -EINVAL ("listen"), -EADDRINUSE and the like. */
int health_open(const struct health_config *config, struct health **out, struct failure *why);
void health_close(struct health *health);

/* Poll it for reading; call health_turn() then, and after every sleep. `now` in ms. */
int health_fd(const struct health *health);
void health_turn(struct health *health, uint64_t now);

struct health_counters {
	unsigned clients;             /* connected */
	uint64_t slow, idle, crowded; /* connections ended for being slow or idle, and to make room for newer ones */
};
void health_count(const struct health *health, struct health_counters *out);

#endif
