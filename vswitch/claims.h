/* SPDX-License-Identifier: Apache-2.0 */
/*
 * claims.h - addresses of a hub's clients that another remote claims: their owners are asked
 *
 *    worker:  fdb_claim() says FDB_CLAIMED -> worker->claims, wakes the control thread
 *    here:    the neighbour with that MAC, in the namespace of each of the hub's ports, is to be asked by the kernel
 *    kernel:  ARP or ND to the address alone -> the hub's port -> the FDB still says: to the owner
 *    owner:   answers -> its frame refutes the claim (fdb.h); or is silent, and the next frame moves the address
 *
 * So a client that has moved is served within five seconds: one in which its old place may have spoken last,
 * FDB_PATIENCE, and the time to its next frame. It is the port's kernel that is asked to ask, as it knows the address
 * of layer 3, and it does so however the hub's addresses were given. An owner that it does not know is not asked: it
 * keeps its address only while it speaks, but nothing is on its way to it either. Control thread.
 */
#ifndef PODSWITCH_CLAIMS_H
#define PODSWITCH_CLAIMS_H

#include "vswitch/path/model.h"

/* Asks the owners of what workers have noted, unless the last time is too short ago. Times as hub_make_room()'s. */
uint64_t claims_ask(struct vswitch *vs, uint32_t now, uint64_t now_ms);

/* Logs, at most once a minute for each hub, what was claimed since the last time. Once a second. */
void claims_log(struct vswitch *vs, uint32_t now);

#endif
