/* SPDX-License-Identifier: Apache-2.0 */
/*
 * train.c - datagrams that leave together
 *
 * There is at most one open train for a port, remote and socket. A datagram that cannot join it closes it first: other
 * ECN, other way, longer than the others, or the train is full. A datagram shorter than the others joins and closes it.
 * As a flow always has the same socket (its source port), its order never changes.
 *
 *    train_add()        train_find(): the open train of this way, or a free one; when all are in use,
 *                       one of them, in turn, is closed
 *    train_close()      one ring_tx of all the datagrams: queued, counted, `count` is 0 again
 *    train_add_super()  closes the train of its way, then sends the segments themselves as one or more trains
 *
 * The train holds pointers only: the bytes stay in the ring's receive buffers until ring_flush().
 */
#include "vswitch/path/train.h"

#include "tap/base/wire.h"
#include "vswitch/path/model.h"
#include "vswitch/path/refused_train.h"

#include <netinet/udp.h>

static struct cmsghdr *add_control(struct msghdr *message, int level, int type, size_t size)
{
	struct cmsghdr *c = (struct cmsghdr *)((uint8_t *)message->msg_control + message->msg_controllen);
	c->cmsg_level = level;
	c->cmsg_type = type;
	c->cmsg_len = CMSG_LEN(size);
	message->msg_controllen += CMSG_SPACE(size);
	return c;
}

/*
 * The outer TOS is 0, as Linux's vxlan has it, except for ECN, and is only given when it is not 0. A train gives the
 * length of its datagrams.
 */
static void set_control(struct ring_tx *tx, const struct train_flow *flow, uint32_t size)
{
	bool ip6 = flow->remote->to.ss_family == AF_INET6;
	int tos = (int)flow->ecn;
	uint16_t segment = (uint16_t)size;
	tx->message.msg_control = tx->control;
	tx->message.msg_controllen = 0;
	if (tos) {
		struct cmsghdr *c = add_control(&tx->message, ip6 ? IPPROTO_IPV6 : IPPROTO_IP,
						ip6 ? IPV6_TCLASS : IP_TOS, sizeof(tos));
		memcpy(CMSG_DATA(c), &tos, sizeof(tos));
	}
	if (tx->count > 1) {
		struct cmsghdr *c = add_control(&tx->message, SOL_UDP, UDP_SEGMENT, sizeof(segment));
		memcpy(CMSG_DATA(c), &segment, sizeof(segment));
	}
	if (!tx->message.msg_controllen)
		tx->message.msg_control = NULL;
}

/*
 * A transmission with room for `n_iov` pieces and `n_bytes` bytes of headers. For the TAP, the outer headers come
 * first.
 */
static struct ring_tx *train_begin(struct worker *worker, const struct train_flow *flow, unsigned n_iov,
				   unsigned n_bytes)
{
	if (!flow->egress)
		return ring_tx(worker->ring, n_iov, n_bytes);
	struct ring_tx *tx = ring_tx(worker->ring, n_iov + 1, n_bytes + UNDERLAY_TAP_HEADERS);
	tx->message.msg_iov[tx->message.msg_iovlen++].iov_base = tx->bytes;
	tx->bytes += UNDERLAY_TAP_HEADERS;
	return tx;
}

static void add_piece(struct ring_tx *tx, void *bytes, uint32_t length)
{
	tx->message.msg_iov[tx->message.msg_iovlen++] = (struct iovec){bytes, length};
}

static void train_queue_socket(struct worker *worker, struct ring_tx *tx, const struct train_flow *flow, uint32_t size)
{
	tx->message.msg_name = (void *)&flow->remote->to;
	tx->message.msg_namelen = flow->remote->to_length;
	set_control(tx, flow, size);
	ring_send(worker->ring, flow->fd, tx);
}

/* `whole` is a super-frame that leaves uncut, or NULL. */
static void train_queue_tap(struct worker *worker, struct ring_tx *tx, const struct train_flow *flow, uint32_t size,
			    const struct segment_plan *whole)
{
	const struct underlay_tap_route *route = &flow->egress->route;
	const struct underlay_tap_flow tap_flow = {.source_port = flow->source_port, .ecn = flow->ecn};
	struct iovec *headers = &tx->message.msg_iov[0];
	uint32_t total = (uint32_t)tx->total;
	headers->iov_len = whole ? underlay_tap_super(route, &tap_flow, whole, headers->iov_base)
				 : underlay_tap_train(route, &tap_flow, size, total, headers->iov_base);
	tx->by_tap = true;
	ring_write(worker->ring, flow->egress->tap, tx);
}

/* Pieces, count and total of the transmission are filled: adds where it goes, counts it and queues it. */
static void train_queue(struct worker *worker, struct ring_tx *tx, const struct train_flow *flow, uint32_t size,
			const struct segment_plan *whole)
{
	struct gateway_counters *counters = &flow->port->gateway->counters[worker->index];
	tx->port = flow->port;
	tx->remote = (void *)flow->remote;
	count(&counters->tx_datagrams, tx->count);
	count(&counters->tx_bytes, tx->total);
	if (flow->egress)
		train_queue_tap(worker, tx, flow, size, whole);
	else
		train_queue_socket(worker, tx, flow, size);
}

/* By the underlay TAP it is not the socket that cuts, nor its device that refused. */
static bool train_may_leave(const struct worker *worker, const struct train_flow *flow)
{
	return worker->vs->offloads.udp_gso &&
	       (flow->egress || !ban_holds(train_ban(flow->port, (struct remote *)flow->remote), worker->now));
}

static void train_close(struct worker *worker, struct train *train)
{
	if (!train->count)
		return;
	struct ring_tx *tx = train_begin(worker, &train->flow, train->count, 0);
	for (unsigned i = 0; i < train->count; i++)
		add_piece(tx, train->datagrams[i].iov_base, (uint32_t)train->datagrams[i].iov_len);
	tx->count = train->count;
	tx->total = train->total;
	tx->frame = train->frame;
	tx->length = train->length;
	train_queue(worker, tx, &train->flow, train->size, NULL);
	train->count = 0;
}

/* The open train of this way, whatever its ECN; otherwise a free one. */
static struct train *train_find(struct worker *worker, const struct train_flow *flow)
{
	struct trains *trains = &worker->trains;
	struct train *free = NULL;
	for (unsigned i = 0; i < TRAIN_OPEN; i++) {
		struct train *train = &trains->open[i];
		if (!train->count)
			free = train;
		else if (train->flow.fd == flow->fd && train->flow.remote == flow->remote &&
			 train->flow.port == flow->port)
			return train;
	}
	if (!free) {
		free = &trains->open[trains->next++ % TRAIN_OPEN];
		train_close(worker, free);
	}
	return free;
}

void train_add(struct worker *worker, const struct train_flow *flow, uint8_t *datagram, const struct frame *frame)
{
	uint32_t length = VXLAN_HEADER + frame->length;
	struct train *train = train_find(worker, flow);
	if (train->count &&
	    (train->flow.ecn != flow->ecn || train->flow.egress != flow->egress || length > train->size ||
	     train->count == TRAIN_FRAMES || train->total + length > TRAIN_BYTES))
		train_close(worker, train);
	if (!train->count) {
		train->flow = *flow;
		train->size = length;
		train->total = 0;
		train->frame = frame->data;
		train->length = frame->length;
	}
	train->datagrams[train->count++] = (struct iovec){datagram, length};
	train->total += length;
	if (length < train->size || !worker->vs->offloads.trains || !train_may_leave(worker, flow))
		train_close(worker, train);
}

/* Segments `from` to `to` - 1 of a plan, in one send. */
static void train_send_segments(struct worker *worker, const struct train_flow *flow, const uint8_t *vxlan,
				const struct segment_plan *plan, unsigned from, unsigned to)
{
	uint32_t head = VXLAN_HEADER + plan->headers;
	struct ring_tx *tx = train_begin(worker, flow, 2 * (to - from), (to - from) * head);
	uint8_t *bytes = tx->bytes;
	for (unsigned i = from; i < to; i++, bytes += head) {
		const uint8_t *payload;
		memcpy(bytes, vxlan, VXLAN_HEADER);
		uint32_t length = segment_write(plan, i, bytes + VXLAN_HEADER, &payload);
		add_piece(tx, bytes, head);
		add_piece(tx, (void *)payload, length);
		tx->total += head + length;
		tx->count++;
	}
	tx->frame = plan->frame->data;
	tx->length = plan->frame->length;
	train_queue(worker, tx, flow, head + plan->size, NULL);
}

static bool leaves_whole(const struct train_flow *flow, const struct segment_plan *plan)
{
	return flow->egress && plan->count > 1 && underlay_tap_fits(&flow->egress->route, plan);
}

static void train_send_whole(struct worker *worker, const struct train_flow *flow, const uint8_t *vxlan,
			     const struct segment_plan *plan)
{
	const struct frame *frame = plan->frame;
	struct ring_tx *tx = train_begin(worker, flow, 2, VXLAN_HEADER);
	memcpy(tx->bytes, vxlan, VXLAN_HEADER);
	add_piece(tx, tx->bytes, VXLAN_HEADER);
	add_piece(tx, frame->data, frame->ip_end);
	tx->count = plan->count;
	tx->total = plan->count * (VXLAN_HEADER + plan->headers) + frame->ip_end - plan->headers;
	tx->frame = frame->data;
	tx->length = frame->length;
	train_queue(worker, tx, flow, 0, plan);
}

void train_add_super(struct worker *worker, const struct train_flow *flow, const uint8_t *vxlan,
		     const struct segment_plan *plan)
{
	struct train *before = train_find(worker, flow);
	if (before->count)
		train_close(worker, before);
	if (leaves_whole(flow, plan)) {
		train_send_whole(worker, flow, vxlan, plan);
		return;
	}
	uint32_t datagram = VXLAN_HEADER + plan->headers + plan->size;
	unsigned most = train_may_leave(worker, flow) && datagram < TRAIN_BYTES ? TRAIN_BYTES / datagram : 1;
	if (most > TRAIN_FRAMES)
		most = TRAIN_FRAMES;
	for (unsigned from = 0; from < plan->count; from += most)
		train_send_segments(worker, flow, vxlan, plan, from,
				    plan->count - from < most ? plan->count : from + most);
}

void train_close_all(struct worker *worker)
{
	for (unsigned i = 0; i < TRAIN_OPEN; i++)
		train_close(worker, &worker->trains.open[i]);
}
