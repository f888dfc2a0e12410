/* SPDX-License-Identifier: Apache-2.0 */
/* calls.h - the system calls of podswitchd */
#ifndef PODSWITCH_CALLS_H
#define PODSWITCH_CALLS_H

#include "control/base/call_filter.h"

extern const struct call_filter podswitchd_calls;

#endif
