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

/* The transmission's pieces, count and total are there; says where it goes and queues it. */
static void depart(struct worker *worker, struct ring_tx *tx, const struct train_way *way, uint32_t size)
{
	struct gateway_counters *counters = &way->port->gateway->counters[worker->index];
	tx->port = way->port;
	tx->remote = (void *)way->remote;
	tx->message.msg_name = (void *)&way->remote->to;
	tx->message.msg_namelen = way->remote->to_length;
	set_control(tx, way, size);
	count(&counters->tx_datagrams, tx->count);
	count(&counters->tx_bytes, tx->total);
	ring_send(worker->ring, way->fd, tx);
}

static void close_train(struct worker *worker, struct train *train)
{
	if (!train->count)
		return;
	struct ring_tx *tx = ring_tx(worker->ring, train->count, 0);
	memcpy(tx->message.msg_iov, train->datagrams, train->count * sizeof(train->datagrams[0]));
	tx->message.msg_iovlen = train->count;
	tx->count = train->count;
	tx->total = train->total;
	tx->frame = train->frame;
	tx->length = train->length;
	depart(worker, tx, &train->way, train->size);
	train->count = 0;
}

/* The open train of this way, closed when its ECN is another; else one that is free now. */
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
	if (train->count && (train->way.ecn != way->ecn || length > train->size || train->count == TRAIN_FRAMES ||
			     train->total + length > TRAIN_BYTES))
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
	struct ring_tx *tx = ring_tx(worker->ring, 2 * (to - from), (to - from) * head);
	uint8_t *bytes = tx->bytes;
	for (unsigned i = from; i < to; i++, bytes += head) {
		const uint8_t *payload;
		memcpy(bytes, vxlan, VXLAN_HEADER);
		uint32_t length = segment_write(plan, i, bytes + VXLAN_HEADER, &payload);
		tx->message.msg_iov[tx->message.msg_iovlen++] = (struct iovec){bytes, head};
		tx->message.msg_iov[tx->message.msg_iovlen++] = (struct iovec){(void *)payload, length};
		tx->total += head + length;
		tx->count++;
	}
	tx->frame = plan->frame->data;
	tx->length = plan->frame->length;
	depart(worker, tx, way, head + plan->size);
}

void train_add_super(struct worker *worker, const struct train_way *way, const uint8_t *vxlan,
		     const struct segment_plan *plan)
{
	struct train *before = find_train(worker, way);
	if (before->count)
		close_train(worker, before);
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
