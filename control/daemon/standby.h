/* SPDX-License-Identifier: Apache-2.0 */
/*
 * standby.h - a podswitchd that waits beside the one that serves, and takes over at its end
 *
 *     the one that waits                              the one that serves
 *     calls takeover.wait on the control socket --->  keeps the connection, one at a time
 *     waits                                           is told to stop, and goes on forwarding
 *     hears "takeover.now"                      <---
 *     takes over as any other does (takeover.h) --->  ends
 *
 * The connection also ends when the one that serves is killed: then nobody answers at its socket any more, and the one
 * that waits starts with what the state directory has. Where a supervisor ends the old process before it makes the new
 * one, two that wait for each other in turn are how no frame is lost.
 *
 * Control thread.
 */
#ifndef PODSWITCH_STANDBY_H
#define PODSWITCH_STANDBY_H

#include "control/daemon/options.h"
#include "tap/base/failure.h"

#include <stdbool.h>
#include <stdint.h>

#define STANDBY_METHOD "takeover.wait"
#define STANDBY_NONE_METHOD "takeover.nobody"

/* ---- of the one that waits ---- */

/*
 * Waits until it is time to take over from whoever answers at `socket`. 0: now; also when nobody answers, and when the
 * one that does is of a version that nobody can wait for. -ECANCELED: `stop_fd` has become readable. Other errors are
 * those of the connection, and what the other one refuses with, as when it has somebody waiting already.
 */
int standby_wait(const char *socket, const char *instance, int stop_fd, struct failure *why);

/* ---- of the one that serves ---- */

struct standby {
	int connection; /* of the one that waits; -1: nobody does */
	bool called;    /* it was told to take over */
	uint64_t alone; /* ms of clock_ms(), up to which nobody will come, as the method said: all is uninstalled */
	bool asked;     /* by the method: the next connection that is released is one that wants to wait */
	char instance[INSTANCE_SIZE];
};

#define STANDBY_NONE                                                                                                   \
	{                                                                                                              \
		.connection = -1                                                                                       \
	}

/* Whether that instance waits here. */
bool standby_is(const struct standby *standby, const char *instance);

/* Keeps a connection whose owner has asked to wait; false: it has not, and the connection is somebody else's. */
bool standby_keep(struct standby *standby, int connection);

/* Tells the one that waits, if there is one, to take over; once. True: it was told, now or before. */
bool standby_call(struct standby *standby);

/* Something arrived on the connection: whoever waits has nothing to say, so it has gone. */
void standby_close(struct standby *standby);

#endif
