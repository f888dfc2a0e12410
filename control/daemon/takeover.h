/* SPDX-License-Identifier: Apache-2.0 */
/*
 * takeover.h - one podswitchd takes the switch over from another that runs, without a frame being lost
 *
 *    the new one                                         the old one
 *    starts its workers, paused
 *    calls takeover.begin on the control socket   --->   stops serving the socket, goes on forwarding
 *    takes                                        <---   TAPs, sockets, the table, leases (handed.h)
 *    is whole: gateways and ports from the state
 *    directory, with what it was handed
 *    "commit"                                     --->   is paused: nothing is read any more
 *                                                 <---   counters, "yours"
 *    "done"                                       --->   will not read again, whatever comes
 *                                                 <---   "bye"
 *    goes on: its workers read
 *    its control socket is at the path
 *    hangs up                                     --->   ends
 *
 * Whatever fails before "done": the new one ends, and the old one notices that the connection is closed, or that its
 * patience is over (10 s for all, 2 s of them paused), and goes on as if nothing had happened. Until then its control
 * thread does nothing else. Without "bye" the new one must not read: the old one may do so.
 *
 * Control thread.
 */
#ifndef PODSWITCH_TAKEOVER_H
#define PODSWITCH_TAKEOVER_H

#include "control/daemon/methods.h"

#define TAKEOVER_METHOD "takeover.begin"

/*
 * Gives everything to who is at the other end of `connection`, which is closed in any case. True: it has it now, and
 * nothing of ours may be used any more but closed.
 */
bool takeover_give(const struct methods *methods, int connection);

struct takeover;

/*
 * Asks the podswitchd at `socket` to hand over. *out is NULL when none answers there: the start is then like any other.
 * One of a version that cannot hand over is told to stop. *lock is the lock of its state directory, or -1.
 */
int takeover_begin(const char *socket, struct takeover **out, int *lock, struct failure *why);

/* Takes all that the old one has: into `vs`, which is paused, and for the two questions below. */
int takeover_receive(struct takeover *takeover, struct vswitch *vs, const struct switch_options *options,
		     struct failure *why);

/* After what is in the state directory was restored: what was learned, and nothing is kept that nobody asked for. */
void takeover_restored(struct takeover *takeover, struct vswitch *vs);

/* What was handed over of a gateway or port that is restored; false, or NULL: nothing. */
bool takeover_has_gateway(const struct takeover *takeover, const char *name, bool *pod_underlay);
struct handed_port *takeover_find_port(const struct takeover *takeover, const char *name);

/* With everything restored: `vs` goes on from where the old one was. On error it must not: the old one does. */
int takeover_commit(struct takeover *takeover, struct vswitch *vs, struct failure *why);

/* Hangs up, when all is in place, or when it failed, with the reason for the old one's log. NULL is accepted. */
void takeover_end(struct takeover *takeover, const char *reason);

#endif
