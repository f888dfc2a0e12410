/* SPDX-License-Identifier: Apache-2.0 */
/*
 * refused_train.h - a train that the kernel refused: was it the train, or would it refuse any datagram?
 *
 *    the train is refused: EIO, EINVAL, EOPNOTSUPP, EMSGSIZE
 *         |
 *      its first datagram alone  --- refused, too ---> it is not about trains: a blackhole route, a path
 *         | passes                                     MTU that shrank. All of it is dropped for that reason.
 *      the others, one by one
 *         |
 *      no more trains from there for a while (ban.h)
 *
 * The same errno may mean either: EINVAL is the answer of a blackhole route, and of a kernel before 6.11 to a train
 * whose datagrams are larger than the path MTU.
 *
 * "There" is the remote on the host underlay, as the device that refused is the one on the way to it. In a pod's own
 * network it is the port alone, as pods can make a train be refused and must not slow down others.
 *
 * This happens while refusals are reported, when nothing may be queued. So the datagrams leave by system calls of their
 * own, from the bytes that the train pointed to. It is rare: once for each train that is under way when a ban begins.
 */
#ifndef PODSWITCH_REFUSED_TRAIN_H
#define PODSWITCH_REFUSED_TRAIN_H

#include "vswitch/path/ban.h"
#include "vswitch/path/model.h"

/* The ban that trains from this port to this remote are subject to. Worker. */
static inline struct ban *train_ban(struct port *port, struct remote *remote)
{
	return port->underlay ? &port->train_ban : &remote->train_ban;
}

/*
 * Sends the datagrams of a train that was refused with *error singly, if that says anything. How many of them were
 * sent, with their bytes in *bytes; the others are to be dropped for *error. Worker.
 */
uint32_t refused_train_send(struct worker *worker, const struct ring_tx *tx, int *error, uint64_t *bytes);

#endif
