/* SPDX-License-Identifier: Apache-2.0 */
/*
 * confinement.h - a program gives up what it does not need, once and for all
 *
 * Called once, before the first thread is started: threads inherit all of it.
 */
#ifndef PODSWITCH_CONFINEMENT_H
#define PODSWITCH_CONFINEMENT_H

#include "tap/base/capability.h"
#include "tap/base/failure.h"

/*
 * Keeps of the capabilities those in `kept` (CAPABILITY()), sets no_new_privs, and makes the process not dumpable:
 * others of the same user can neither trace it nor read its memory, and it leaves no core. 0 or a negative errno.
 */
int confine(uint64_t kept, struct failure *why);

#endif
