/* SPDX-License-Identifier: Apache-2.0 */
/*
 * confinement.h - a program gives up what it does not need, once and for all
 *
 * Called once, before the first thread is started: threads inherit all of it.
 */
#ifndef PODSWITCH_CONFINEMENT_H
#define PODSWITCH_CONFINEMENT_H

#include "control/base/call_filter.h"
#include "tap/base/capability.h"
#include "tap/base/failure.h"

struct confinement {
	uint64_t capabilities;           /* CAPABILITY()s to keep */
	const struct call_filter *calls; /* the system calls to keep; NULL: all */
};

/*
 * Keeps the capabilities and the system calls that are named, and sets no_new_privs. Makes the process not dumpable:
 * others of the same user can neither trace it nor read its memory, and it leaves no core. A kernel without seccomp
 * filters costs a line in the log. 0 or a negative errno.
 */
int confine(const struct confinement *confinement, struct failure *why);

/* Once all is started, with the same: takes back the system calls that only the start needed. Any thread. */
int confine_started(const struct confinement *confinement, struct failure *why);

#endif
