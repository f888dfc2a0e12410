/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chain.h - keeps podswitch-cni on its node: its entry in the network configuration, and its program
 *
 * The primary CNI owns the node's network configuration and rewrites it when it is upgraded or restarted; others take
 * part in it. So the folder is looked at when the agent starts, at every change, and every few seconds; and what is
 * missing is put back at once.
 *
 *     change, or LOOK_PERIOD --> look --> as it should be            --> nothing
 *                                 |-----> not, and some are left     --> written
 *                                 '-----> not, used up: "contested"  --> again when a minute is over
 *
 * Against a program that takes the entry out each time there is nothing to win: after three in a minute we say so, in
 * an Event on the Node, in the log and by not being ready, and wait for the minute to end. Then we try again:
 * whoever only settles down for a while finds both entries in the end.
 *
 * One thread, the agent's.
 */
#ifndef PODSWITCH_CHAIN_H
#define PODSWITCH_CHAIN_H

#include "control/kube/settings.h"

#include <stdint.h>

struct chain;

/* Tells people; an Event on the Node. */
typedef void chain_report(void *context, bool warning, const char *reason, const char *message);

/*
 * NULL where the plugin was never installed, or no directories were given. `note` is a file that says, to the next
 * start of the agent in the same pod, that it was. Borrows settings.
 */
struct chain *chain_open(const struct settings *settings, const char *note, chain_report *report, void *context);
void chain_close(struct chain *chain);

/* To poll for reading; -1: nothing. All accept NULL. */
int chain_fd(const struct chain *chain);

/* Puts back what is missing; `now` in ms of clock_ms(). */
void chain_turn(struct chain *chain, uint64_t now);

/* Whether no pod can start past the plugin; else *reason says what to change. */
bool chain_ready(const struct chain *chain, const char **reason);

/* Whether a folder is not the node's any more, which exchanged it: a container that starts again gets the new one. */
bool chain_outdated(const struct chain *chain);

struct chain_counters {
	bool kept;         /* whether there is anything to keep */
	bool in_force;     /* no pod can start past the plugin */
	bool astray;       /* the container runtime reads other folders */
	bool contested;    /* another program takes the entry out */
	uint64_t rewrites; /* of the configuration */
	uint64_t programs; /* times the program was put back */
};
void chain_count(const struct chain *chain, struct chain_counters *out);

#endif
