/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pod_egress.h - a busy pod's own underlay gets an underlay TAP (egress.h), in the pod's namespace
 *
 * With the pod underlay, datagrams leave by the pod's first interface. A TAP beside it lets super-frames leave whole
 * there, as the node's does for the host underlay. Most pods never send enough to gain by it, and each TAP is a device
 * that has to be made, watched and removed: so a pod gets one while it is busy, for the remote that it is busy with,
 * and only if that is a gateway's configured one.
 *
 * Control thread.
 */
#ifndef PODSWITCH_POD_EGRESS_H
#define PODSWITCH_POD_EGRESS_H

#include "vswitch/path/model.h"

/*
 * Makes TAPs for pods that have become busy, follows and probes those that are there, and removes those of pods that
 * are busy no longer. Returns when it wants to be called again, UINT64_MAX: not before the next second; `now` and that
 * are ms of the monotonic clock.
 */
uint64_t pod_egress_turn(struct vswitch *vs, uint64_t now);

/* Back to the sockets, before these change or the port does. Workers not parked. */
void pod_egress_end(struct vswitch *vs, struct port *port);

/* The same when there are no workers any more. */
void pod_egress_free(struct port *port);

#endif
