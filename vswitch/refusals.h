/* SPDX-License-Identifier: Apache-2.0 */
/* refusals.h - what the kernel refused somewhere, and is therefore off there: log lines, and a report. Control thread.
 */
#ifndef PODSWITCH_REFUSALS_H
#define PODSWITCH_REFUSALS_H

#include "vswitch/path/model.h"

/* Logs the bans that workers have imposed since the last call. */
void refusals_log(struct vswitch *vs, uint32_t now);

#endif
