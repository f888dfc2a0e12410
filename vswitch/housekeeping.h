/* SPDX-License-Identifier: Apache-2.0 */
/* housekeeping.h - what gateways and ports ask of the switch as a whole. Control thread. */
#ifndef PODSWITCH_HOUSEKEEPING_H
#define PODSWITCH_HOUSEKEEPING_H

#include "vswitch/path/model.h"

/* Makes switch_wakeup_fd() readable at `at`, milliseconds of the monotonic clock; UINT64_MAX: never. */
void switch_alarm(const struct vswitch *vs, uint64_t at);

/* Passes an event on to the listener, if there is one. */
void switch_notify(const struct vswitch *vs, const char *what, const char *name, const struct mac *mac);

/*
 * Whether to try again to open a socket or TAP that is busy: in the first seconds after the start, after a pause of
 * 10 ms. The kernel holds the descriptors of a podswitchd that was just killed until it has torn down its rings.
 */
bool switch_settling(const struct vswitch *vs);

#endif
