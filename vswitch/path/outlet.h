/* SPDX-License-Identifier: Apache-2.0 */
/*
 * outlet.h - the underlay TAP of one network namespace, and what tells when to look anew whether it leads anywhere
 *
 * The node's own, for the host underlay, or a pod's, for the pod underlay.
 *
 * Control thread, in the namespace for opening.
 */
#ifndef PODSWITCH_OUTLET_H
#define PODSWITCH_OUTLET_H

#include "tap/change_watch.h"
#include "vswitch/path/underlay_tap.h"

struct outlet {
	struct underlay_tap *tap;    /* NULL: there is none (yet), and every datagram takes the sockets */
	struct change_watch changes; /* of the namespace's interfaces, routes and filters */
	bool changed;                /* there were some since the remotes were last looked at */
	uint64_t looked, due;        /* ms of the monotonic clock, when that was, and when it is next */
};

#define OUTLET_NONE                                                                                                    \
	{                                                                                                              \
		.changes = CHANGE_WATCH_NONE                                                                           \
	}

/* Whether it is time: `now` is, or what has changed is older than a moment. If not, *next is when it will be. */
bool outlet_is_due(struct outlet *outlet, uint64_t now, uint64_t *next);

/* No worker may use it any more. */
void outlet_close(struct outlet *outlet);

#endif
