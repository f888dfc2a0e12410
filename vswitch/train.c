/* SPDX-License-Identifier: Apache-2.0 */
/* train.c - datagrams that leave together */
#include "vswitch/train.h"

#include "vswitch/vswitch.h"
#include "vswitch/wire.h"

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

/* The outer TOS is 0 but for ECN, as Linux's default, and only then said; a train says how long its datagrams are. */
static void set_control(struct ring_tx *tx, const struct train_way *way, uint32_t size)
{
	bool ip6 = way->remote->to.ss_family == AF_INET6;
	int tos = (int)way->ecn;
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
 * A transmission with room for `n_iov` pieces and `n_bytes` bytes of headers. By the TAP, the outer headers come before
 * all of them.
 */
static struct ring_tx *begin(struct worker *worker, const struct train_way *way, unsigned n_iov, unsigned n_bytes)
{
	if (!way->by_tap)
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

static void depart_by_socket(struct worker *worker, struct ring_tx *tx, const struct train_way *way, uint32_t size)
{
	tx->message.msg_name = (void *)&way->remote->to;
	tx->message.msg_namelen = way->remote->to_length;
	set_control(tx, way, size);
	ring_send(worker->ring, way->fd, tx);
}

/* `whole` is a super-frame that is not to be cut, or NULL. */
static void depart_by_tap(struct worker *worker, struct ring_tx *tx, const struct train_way *way, uint32_t size,
			  const struct segment_plan *whole)
{
	const struct underlay_tap_route *route = &way->remote->egress.route;
	const struct underlay_tap_flow flow = {.source_port = way->source_port, .ecn = way->ecn};
	struct iovec *headers = &tx->message.msg_iov[0];
	uint32_t total = (uint32_t)tx->total;
	headers->iov_len = whole ? underlay_tap_super(route, &flow, whole, headers->iov_base)
				 : underlay_tap_train(route, &flow, size, total, headers->iov_base);
	tx->by_tap = true;
	ring_write(worker->ring, worker->vs->underlay_tap->fd, tx);
}

/* The transmission's pieces, count and total are there; says where it goes and queues it. */
static void depart(struct worker *worker, struct ring_tx *tx, const struct train_way *way, uint32_t size,
		   const struct segment_plan *whole)
{
	struct gateway_counters *counters = &way->port->gateway->counters[worker->index];
	tx->port = way->port;
	tx->remote = (void *)way->remote;
	count(&counters->tx_datagrams, tx->count);
	count(&counters->tx_bytes, tx->total);
	if (way->by_tap)
		depart_by_tap(worker, tx, way, size, whole);
	else
		depart_by_socket(worker, tx, way, size);
}

static void close_train(struct worker *worker, struct train *train)
{
	if (!train->count)
		return;
	struct ring_tx *tx = begin(worker, &train->way, train->count, 0);
	for (unsigned i = 0; i < train->count; i++)
		add_piece(tx, train->datagrams[i].iov_base, (uint32_t)train->datagrams[i].iov_len);
	tx->count = train->count;
	tx->total = train->total;
	tx->frame = train->frame;
	tx->length = train->length;
	depart(worker, tx, &train->way, train->size, NULL);
	train->count = 0;
}

/* The open train of this way, whatever its ECN; else one that is free now. */
static struct train *find_train(struct worker *worker, const struct train_way *way)
{
	struct trains *trains = &worker->trains;
	struct train *free = NULL;
	for (unsigned i = 0; i < TRAIN_OPEN; i++) {
		struct train *train = &trains->open[i];
		if (!train->count)
			free = train;
		else if (train->way.fd == way->fd && train->way.remote == way->remote && train->way.port == way->port)
			return train;
	}
	if (!free) {
		free = &trains->open[trains->next++ % TRAIN_OPEN];
		close_train(worker, free);
	}
	return free;
}

void train_add(struct worker *worker, const struct train_way *way, uint8_t *datagram, const struct frame *frame)
{
	uint32_t length = VXLAN_HEADER + frame->length;
	struct train *train = find_train(worker, way);
	if (train->count && (train->way.ecn != way->ecn || train->way.by_tap != way->by_tap || length > train->size ||
			     train->count == TRAIN_FRAMES || train->total + length > TRAIN_BYTES))
		close_train(worker, train);
	if (!train->count) {
		train->way = *way;
		train->size = length;
		train->total = 0;
		train->frame = frame->data;
		train->length = frame->length;
	}
	train->datagrams[train->count++] = (struct iovec){datagram, length};
	train->total += length;
	if (length < train->size || !worker->vs->offloads.trains || !worker->vs->offloads.udp_gso)
		close_train(worker, train);
}

/* Segments `from` to `to` of a plan, in one send. */
static void send_segments(struct worker *worker, const struct train_way *way, const uint8_t *vxlan,
			  const struct segment_plan *plan, unsigned from, unsigned to)
{
	uint32_t head = VXLAN_HEADER + plan->headers;
	struct ring_tx *tx = begin(worker, way, 2 * (to - from), (to - from) * head);
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
	depart(worker, tx, way, head + plan->size, NULL);
}

static bool leaves_whole(const struct train_way *way, const struct segment_plan *plan)
{
	return way->by_tap && plan->count > 1 && underlay_tap_fits(&way->remote->egress.route, plan);
}

static void send_whole(struct worker *worker, const struct train_way *way, const uint8_t *vxlan,
		       const struct segment_plan *plan)
{
	const struct frame *frame = plan->frame;
	struct ring_tx *tx = begin(worker, way, 2, VXLAN_HEADER);
	memcpy(tx->bytes, vxlan, VXLAN_HEADER);
	add_piece(tx, tx->bytes, VXLAN_HEADER);
	add_piece(tx, frame->data, frame->ip_end);
	tx->count = plan->count;
	tx->total = plan->count * (VXLAN_HEADER + plan->headers) + frame->ip_end - plan->headers;
	tx->frame = frame->data;
	tx->length = frame->length;
	depart(worker, tx, way, 0, plan);
}

void train_add_super(struct worker *worker, const struct train_way *way, const uint8_t *vxlan,
		     const struct segment_plan *plan)
{
	struct train *before = find_train(worker, way);
	if (before->count)
		close_train(worker, before);
	if (leaves_whole(way, plan)) {
		send_whole(worker, way, vxlan, plan);
		return;
	}
	uint32_t datagram = VXLAN_HEADER + plan->headers + plan->size;
	unsigned most = worker->vs->offloads.udp_gso && datagram < TRAIN_BYTES ? TRAIN_BYTES / datagram : 1;
	if (most > TRAIN_FRAMES)
		most = TRAIN_FRAMES;
	for (unsigned from = 0; from < plan->count; from += most)
		send_segments(worker, way, vxlan, plan, from, plan->count - from < most ? plan->count : from + most);
}

void train_close_all(struct worker *worker)
{
	for (unsigned i = 0; i < TRAIN_OPEN; i++)
		close_train(worker, &worker->trains.open[i]);
}
