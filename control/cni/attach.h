/* SPDX-License-Identifier: Apache-2.0 */
/*
 * attach.h - a pod's attachment to its gateway: asked for, removed and checked through the agent
 *
 * The agent and podswitchd decide and configure. Here are the waits, and what happens when one of the two is away.
 *
 * One thread.
 */
#ifndef PODSWITCH_ATTACH_H
#define PODSWITCH_ATTACH_H

#include "control/cni/environment.h"
#include "control/cni/request.h"

#include <jansson.h>
#include <stdint.h>

struct attach {
	const struct environment *environment;
	const struct request *request;
	uint64_t started; /* clock_ms() when the configuration had been read */
	int stop_fd;      /* readable: stop waiting; -1: none */
};

/*
 * ADD: returns when the pod reaches its gateway, or has none. 0 and a new reference in *out, the result to print. On an
 * error whatever was made is removed, as far as the agent or podswitchd answers.
 */
enum cni_code attach_add(const struct attach *attach, json_t **out, struct refusal *why);

/* Removes what an ADD made that failed, or whose result could not be printed. */
void attach_undo(const struct attach *attach);

/* DEL. Takes at most 5 seconds from `started`; leaves a tombstone when nobody answers. */
void attach_remove(const struct attach *attach);

/* CHECK, GC and STATUS. */
enum cni_code attach_check(const struct attach *attach, struct refusal *why);
enum cni_code attach_collect(const struct attach *attach, struct refusal *why);
enum cni_code attach_status(const struct attach *attach, struct refusal *why);

#endif
