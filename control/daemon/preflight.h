/* SPDX-License-Identifier: Apache-2.0 */
/* preflight.h - what podswitchd lacks here, said at its start instead of at each pod's */
#ifndef PODSWITCH_PREFLIGHT_H
#define PODSWITCH_PREFLIGHT_H

#include "tap/base/failure.h"

#include <stdint.h>

/*
 * 0, or a negative errno with one line on what is missing and how to give it: /dev/net/tun, CAP_NET_ADMIN,
 * CAP_SYS_ADMIN. What only some ports need is logged.
 */
int preflight(struct failure *why);

/* The capabilities (CAPABILITY()) that podswitchd has a use for, those that only some ports need among them. */
uint64_t preflight_capabilities(void);

#endif
