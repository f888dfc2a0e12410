/* SPDX-License-Identifier: Apache-2.0 */
/*
 * parking.h - holding every worker between two rounds while the control thread changes what they read
 *
 * Control thread only. Calls do not nest, and a pair of them costs each worker one round: it does its mail only after
 * it has flushed what it had.
 */
#ifndef PODSWITCH_PARKING_H
#define PODSWITCH_PARKING_H

struct vswitch;

/* Returns when every worker waits; until workers_resume() the whole model may be changed without locks. */
void workers_park(struct vswitch *vs);

/* Returns when every worker has left the place where it waited. */
void workers_resume(struct vswitch *vs);

#endif
