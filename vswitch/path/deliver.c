/* SPDX-License-Identifier: Apache-2.0 */
/*
 * deliver.c - handing frames to a pod's TAP
 *
 *    deliver_segment(frame)
 *        |
 *      a group of this flow is held? --no----------------------------------+
 *        | yes                                                             |
 *      coalesce_join() takes it? --yes--> done, still held                 |
 *        | no                                                              v
 *      the group leaves first; then ----------------------> may it begin a group?
 *                                                             | yes        | no
 *                                             held, at most WORKER_GROUPS  written alone
 *
 * A super-frame of UDP that a gateway on this node has sent is cut first where the TAP takes none.
 *
 * So the order within a flow is kept. At the end of the round deliver_all_held() writes every group. Groups keep no
 * order among each other: they are different flows.
 *
 * tx_frames is counted when a write is queued, and taken back by deliver_refused().
 */
#include "vswitch/path/deliver.h"

#include "tap/base/wire.h"
#include "tap/tap.h"
#include "vswitch/path/coalesce.h"
#include "vswitch/path/decap.h"
#include "vswitch/path/mail.h"

/* A write of a virtio header and `n` pieces, which follow it at msg_iov[1], with room for `n_bytes` of headers. */
static struct ring_tx *begin_write(struct worker *worker, struct port *port, unsigned n, unsigned n_bytes)
{
	struct ring_tx *tx = ring_tx(worker->ring, n + 1, n_bytes);
	tx->port = port;
	tx->message.msg_iov[0] = (struct iovec){&tx->vnet, TAP_VNET_HEADER};
	tx->message.msg_iovlen = n + 1;
	return tx;
}

/* Queues it: `length` bytes of a frame that was joined from `n_frames`. */
static void end_write(struct worker *worker, struct ring_tx *tx, unsigned n_frames, uint32_t length)
{
	struct port *port = tx->port;
	struct port_counters *counters = &port->counters[worker->index];
	tx->count = n_frames;
	tx->total = tx->length = length;
	ring_write(worker->ring, port->tap, tx);
	count(&counters->tx_frames, 1);
	count(&counters->tx_bytes, length);
}

static void write_tap(struct worker *worker, struct port *port, const struct virtio_net_hdr *vnet,
		      const struct iovec *pieces, unsigned n, unsigned n_frames, uint32_t length)
{
	if (port->tap < 0) {
		worker_drop(worker, port, NULL, DROP_TAP_DOWN);
		return;
	}
	struct ring_tx *tx = begin_write(worker, port, n, 0);
	tx->vnet = *vnet;
	memcpy(&tx->message.msg_iov[1], pieces, n * sizeof(*pieces));
	end_write(worker, tx, n_frames, length);
}

/* The frames that a super-frame stands for, one by one: a TAP before Linux 6.2 knows none of UDP. */
static void write_cut(struct worker *worker, struct port *port, const struct segment_plan *plan)
{
	if (port->tap < 0) {
		worker_drop(worker, port, NULL, DROP_TAP_DOWN);
		return;
	}
	for (unsigned i = 0; i < plan->count; i++) {
		const uint8_t *payload;
		struct ring_tx *tx = begin_write(worker, port, 2, plan->headers);
		uint32_t length = segment_write(plan, i, tx->bytes, &payload);
		tx->message.msg_iov[1] = (struct iovec){tx->bytes, plan->headers};
		tx->message.msg_iov[2] = (struct iovec){(void *)payload, length};
		end_write(worker, tx, 1, plan->headers + length);
	}
}

void deliver_whole(struct worker *worker, struct port *port, const struct frame *frame,
		   const struct virtio_net_hdr *vnet)
{
	write_tap(worker, port, vnet, &(struct iovec){frame->data, frame->length}, 1, 1, frame->length);
}

static void deliver_alone(struct worker *worker, struct port *port, const struct frame *frame, uint32_t inner_gso)
{
	struct virtio_net_hdr vnet;
	uint32_t length = decap_shape(frame, port->config.link.mtu, inner_gso, &vnet);
	struct frame whole = *frame;
	struct segment_plan plan;
	bool super;
	if (vnet.gso_type == VIRTIO_NET_HDR_GSO_UDP_L4 && !port->takes_uso &&
	    segment_plan(&whole, &vnet, &plan, &super) == DROP_NONE && super)
		write_cut(worker, port, &plan);
	else
		write_tap(worker, port, &vnet, &(struct iovec){frame->data, length}, 1, 1, length);
}

/* Groups */

static void deliver_group(struct worker *worker, struct coalesce_group *group)
{
	struct virtio_net_hdr vnet;
	if (group->count == 1) {
		deliver_alone(worker, group->port, &group->first, 0);
		return;
	}
	uint32_t length = coalesce_finish(group, &vnet);
	write_tap(worker, group->port, &vnet, group->pieces, group->count, group->count, length);
}

static void deliver_group_at(struct worker *worker, unsigned index)
{
	deliver_group(worker, &worker->groups[index]);
	worker->n_groups--;
	if (index != worker->n_groups)
		worker->groups[index] = worker->groups[worker->n_groups];
}

/* A fragment does not show its ports, so it may belong to any group of this port: all of them go first. */
static void deliver_groups_of(struct worker *worker, const struct port *port)
{
	for (unsigned i = worker->n_groups; i-- > 0;)
		if (worker->groups[i].port == port)
			deliver_group_at(worker, i);
}

static bool deliver_may_group(const struct worker *worker, const struct port *port, const struct frame *frame,
			      uint32_t inner_gso)
{
	bool refused = frame->protocol == PROTO_UDP ? !port->takes_uso : port->refuses_tso;
	return worker->vs->offloads.tap_gro && !inner_gso && !frame_is_group(frame) && !refused &&
	       !ban_holds(&port->gro_ban, worker->now) && frame->ip_end - frame->l3 <= port->config.link.mtu &&
	       coalesce_can_start(frame);
}

void deliver_segment(struct worker *worker, struct port *port, const struct frame *frame, uint32_t inner_gso)
{
	for (unsigned i = 0; i < worker->n_groups; i++) {
		if (!coalesce_same_flow(&worker->groups[i], port, frame))
			continue;
		if (!inner_gso && coalesce_join(&worker->groups[i], frame))
			return;
		deliver_group_at(worker, i);
		break;
	}
	if (frame->version && !frame->l4)
		deliver_groups_of(worker, port);
	if (!deliver_may_group(worker, port, frame, inner_gso)) {
		deliver_alone(worker, port, frame, inner_gso);
		return;
	}
	if (worker->n_groups == WORKER_GROUPS)
		deliver_group_at(worker, 0);
	coalesce_start(&worker->groups[worker->n_groups++], port, frame);
}

void deliver_all_held(struct worker *worker)
{
	while (worker->n_groups)
		deliver_group_at(worker, worker->n_groups - 1);
}

void deliver_refused(struct worker *worker, const struct ring_tx *tx, int error)
{
	struct port *port = tx->port;
	struct port_counters *counters = &port->counters[worker->index];
	uncount(&counters->tx_frames, 1);
	uncount(&counters->tx_bytes, tx->length);
	for (uint32_t i = 0; i < tx->count; i++)
		worker_drop(worker, port, NULL, error == -EIO ? DROP_TAP_DOWN : DROP_TAP_FAILED);
	/*
	 * Only for what we have joined: another pod's super-frame may be refused for what that pod made of it. The
	 * bytes are gone, as a TAP's refusal is reported late; from now on segments are delivered as they come.
	 */
	if (error == -EINVAL && tx->count > 1 && ban_impose(&port->gro_ban, error, worker->now)) {
		atomic_store(&worker->vs->banned, true);
		mail_wake_control(worker);
	}
}
