/* SPDX-License-Identifier: Apache-2.0 */
/*
 * too_big.h - a pod's frame that does not fit the path is dropped, and the pod is told
 *
 *    the path as the control thread last saw it (paths.h)  --+
 *                                                            +--> DROP_TOO_BIG, ICMP error --> worker's replies
 *    the kernel refused the datagram: its device shrank    --+
 *
 * The error waits for the end of the round, as nothing may be queued while refusals are reported.
 */
#ifndef PODSWITCH_TOO_BIG_H
#define PODSWITCH_TOO_BIG_H

#include "vswitch/path/model.h"

/* The most bytes of UDP payload that the way from `port` to `remote` takes; 0: not known yet, so no limit. Worker. */
static inline unsigned too_big_limit(const struct port *port, const struct remote *remote)
{
	return atomic_load_explicit(port->underlay ? &port->room : &remote->room, memory_order_relaxed);
}

/*
 * Notes the ICMP error for a frame of `length` bytes from this port, when a UDP payload may have `room` bytes. The
 * caller counts the drop. Without effect when the frame must not be answered (icmp.h), or WORKER_REPLIES wait. Worker.
 */
void too_big_answer(struct worker *worker, struct port *port, uint8_t *frame, size_t length, unsigned room);

/* The UDP payload that an outer packet of `path` bytes to this remote has room for; 0: none. Any thread. */
unsigned too_big_room(const struct remote *remote, int path);

#endif
