/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pod_queues.h - a busy pod's TAP has several queues
 *
 * All that a pod sends waits in its TAP's queue, so a question to a name server waits behind what a download keeps
 * there, and one worker reads it all. With several queues a flow has one to itself, or shares it with few (steering.h),
 * and all workers read. Most pods never send enough to gain by it, and each queue is a descriptor to be watched: so a
 * TAP gets them while its pod is busy.
 *
 * No flow's frames change their order by that: queues that come are not read before all that came by the first one is
 * forwarded, and before they go the first one rests until they are empty.
 *
 * Control thread, workers not parked.
 */
#ifndef PODSWITCH_POD_QUEUES_H
#define PODSWITCH_POD_QUEUES_H

#include "vswitch/path/model.h"

/*
 * Gives queues to pods that have become busy, of which a worker tells (pods_crowded). With `all`, once a second, takes
 * those of pods that are busy no longer. `now` is ms of the monotonic clock.
 */
void pod_queues_turn(struct vswitch *vs, uint64_t now, bool all);

/* Back to one queue; nothing is lost. */
void pod_queues_end(struct vswitch *vs, struct port *port);

/* The same when the port ends, and with it what waits in the queues. Without workers, too. */
void pod_queues_close(struct vswitch *vs, struct port *port);

#endif
