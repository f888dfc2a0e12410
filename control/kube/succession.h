/* SPDX-License-Identifier: Apache-2.0 */
/*
 * succession.h - one agent after the other on a node, without a moment between them in which pods wait
 *
 *     the new one                                         the old one
 *     succession_begin(): somebody answers                serves
 *     reads the cluster, and touches nothing              serves
 *     succession_claim() --- agent.hand_over --->         answers, and from then on does nothing more
 *     opens all that it needs to serve, and appears       waits for that
 *     at the socket
 *     succession_end() --- hangs up --->                  closes what it still has, and waits to be stopped
 *
 * A new one that never knows its cluster, as a version that lacks a right, never claims anything: the old one stays.
 * The plugin's requests that are under way are asked again by the plugin. One thread.
 */
#ifndef PODSWITCH_SUCCESSION_H
#define PODSWITCH_SUCCESSION_H

#include "control/base/client.h"

#include <stdbool.h>
#include <stdint.h>

#define SUCCESSION_METHOD "agent.hand_over"

struct succession {
	struct client client;
	bool connected;
	bool waits;     /* somebody else serves */
	uint64_t tried; /* ms of clock_ms(): the last claim that was not answered */
};

/*
 * Looks whether an agent answers at `socket` (borrowed), and notes in `waits` that it is to be waited for. One of a
 * version that cannot hand over is sent SIGTERM and waited for here, for which this process needs to share its process
 * ids: 0, or a negative errno when it does not go.
 */
int succession_begin(struct succession *succession, const char *socket, struct failure *why);

/*
 * Asks for the other one's place. True: it is ours now, also if nobody is there any more. False: the other one does not
 * answer; ask again. It may be called in each turn, and then asks once a second.
 */
bool succession_claim(struct succession *succession, const char *socket, uint64_t now);

/* Lets the other one go on to its end. Also when nothing was begun. */
void succession_end(struct succession *succession);

/* The other one's side: waits for succession_end() on the connection, for a moment, and closes it. */
void succession_let_go(int connection);

/*
 * For a probe: 0 when the agent that answers at `socket` was started as `instance` (NULL: whichever) and is ready; else
 * a negative errno and a reason.
 */
int succession_check(const char *socket, const char *instance, struct failure *why);

#endif
