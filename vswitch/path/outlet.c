/* SPDX-License-Identifier: Apache-2.0 */
/* outlet.c - the underlay TAP of one network namespace, and what tells when to look anew whether it leads anywhere */
#include "vswitch/path/outlet.h"

#define CHANGE_PAUSE 100 /* ms between two looks when changes follow each other */

bool outlet_is_due(struct outlet *outlet, uint64_t now, uint64_t *next)
{
	outlet->changed |= change_watch_seen(&outlet->changes);
	*next = outlet->changed ? outlet->looked + CHANGE_PAUSE : outlet->due;
	return now >= *next;
}

void outlet_close(struct outlet *outlet)
{
	change_watch_close(&outlet->changes);
	underlay_tap_close(outlet->tap);
	outlet->tap = NULL;
}
