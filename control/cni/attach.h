/* SPDX-License-Identifier: Apache-2.0 */
/*
 * attach.h - a pod's attachment to its gateway: asked for, taken back and looked at through the agent
 *
 * Nothing here decides or configures: the agent does, and podswitchd. Here are the waits, and what is done when one of
 * the two is away. An attachment's interface is not always CNI_IFNAME: behind another plugin's interface ours has the
 * name that the configuration gives. Of a DEL or CHECK, nothing but the result of the ADD tells which of the two it
 * was.
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
	uint64_t started; /* clock_ms() when the configuration was there */
	int stop_fd;      /* readable: stop waiting; -1: nothing does */
};

/*
 * ADD: returns when the pod has its way to the gateway, or needs none. 0 and a new reference in *out, the result to
 * print; else nothing is left behind, as far as that could be reached.
 */
enum cni_code attach_add(const struct attach *attach, json_t **out, struct refusal *why);

/* Takes back an ADD that failed, or whose result could not be delivered. */
void attach_undo(const struct attach *attach);

/* DEL. Takes at most 5 seconds from `started`, and leaves a tombstone when nobody answers. */
void attach_remove(const struct attach *attach);

/* CHECK, GC and STATUS. */
enum cni_code attach_check(const struct attach *attach, struct refusal *why);
enum cni_code attach_collect(const struct attach *attach, struct refusal *why);
enum cni_code attach_status(const struct attach *attach, struct refusal *why);

#endif
