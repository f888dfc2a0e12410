/* SPDX-License-Identifier: Apache-2.0 */
/*
 * train.h - datagrams that leave together
 *
 * Datagrams of equal length, from one port to one remote by one source port, are handed to the kernel in one send with
 * UDP_SEGMENT; it cuts them apart as late as it can. The last one may be shorter. A worker keeps a few trains open
 * while it handles the events of a round, and queues all of them before the round ends, so nothing waits for more to
 * come.
 *
 * With `trains` or `udp_gso` off, or where a train was refused (refused_train.h), every datagram leaves alone. The
 * underlay TAP takes trains as the sockets do, but super-frames leave it whole.
 *
 * Only the worker that owns the trains may call these.
 */
#ifndef PODSWITCH_TRAIN_H
#define PODSWITCH_TRAIN_H

#include "vswitch/path/model.h"

/* Adds a datagram, VXLAN header and `frame`, whose bytes must stay until the flush. */
void train_add(struct worker *worker, const struct train_flow *flow, uint8_t *datagram, const struct frame *frame);

/* Queues the segments of a super-frame, each behind the VXLAN header at `vxlan`, in as few sends as possible. */
void train_add_super(struct worker *worker, const struct train_flow *flow, const uint8_t *vxlan,
		     const struct segment_plan *plan);

/* Queues every open train. At the end of a round. */
void train_close_all(struct worker *worker);

#endif
