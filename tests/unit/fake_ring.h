/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fake_ring.h - a ring that records what it is given
 *
 * As in the real one, bytes are read when they are pushed and not before, so a change in between is found. Then headers
 * that were written for a transmission are overwritten, as another one may reuse them.
 */
#ifndef PODSWITCH_TESTS_FAKE_RING_H
#define PODSWITCH_TESTS_FAKE_RING_H

#include "tap/base/address.h"
#include "tap/tap.h"
#include "vswitch/base/ring.h"

#include <netinet/udp.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum { FAKE_SENT = 4096, FAKE_BYTES = 8 << 20 };

/* A transmission as the kernel sees it. */
struct sent {
	int fd;
	bool to_tap;                /* a pod's */
	bool by_tap;                /* to a remote by the underlay TAP: the bytes begin with all its headers */
	char to[ADDRESS_TEXT];      /* by a socket */
	struct virtio_net_hdr vnet; /* to a pod's TAP */
	unsigned segment;           /* bytes of each datagram of a train, 0: it is one */
	unsigned ecn;
	bool at_once; /* by ring_send_now() */
	void *port;   /* as the notes say */
	uint32_t count;
	uint64_t total;
	size_t length;
	uint8_t *bytes;
};

static struct sent sent[FAKE_SENT];
static unsigned n_sent;
static uint8_t fake_memory[FAKE_BYTES];
static size_t fake_used;

static struct ring_tx fake_tx[RING_TX], fake_last;
static struct iovec fake_iov[RING_IOV];
static uint8_t fake_headers[RING_BYTES];
static unsigned n_fake_tx, n_fake_iov, n_fake_headers;
static struct {
	struct ring_tx *tx;
	int fd;
	bool written; /* else sent */
} fake_queue[RING_TX];
static unsigned n_fake_queue;

static void fake_forget(void)
{
	n_sent = n_fake_tx = n_fake_iov = n_fake_headers = n_fake_queue = 0;
	fake_used = 0;
}

static void fake_control(struct sent *one, struct msghdr *message)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c; c = CMSG_NXTHDR(message, c)) {
		if (c->cmsg_level == SOL_UDP && c->cmsg_type == UDP_SEGMENT) {
			uint16_t segment;
			assert_int_equal(c->cmsg_len, CMSG_LEN(sizeof(segment)));
			memcpy(&segment, CMSG_DATA(c), sizeof(segment));
			one->segment = segment;
			continue;
		}
		int tos;
		bool ip6 = ((const struct sockaddr *)message->msg_name)->sa_family == AF_INET6;
		assert_int_equal(c->cmsg_level, ip6 ? IPPROTO_IPV6 : IPPROTO_IP);
		assert_int_equal(c->cmsg_type, ip6 ? IPV6_TCLASS : IP_TOS);
		assert_int_equal(c->cmsg_len, CMSG_LEN(sizeof(tos)));
		memcpy(&tos, CMSG_DATA(c), sizeof(tos));
		one->ecn = (unsigned)tos;
	}
}

static void fake_gather(struct sent *one, const struct iovec *iov, size_t n)
{
	one->bytes = fake_memory + fake_used;
	one->length = 0;
	for (size_t i = 0; i < n; i++) {
		assert_true(iov[i].iov_len <= FAKE_BYTES - fake_used);
		memcpy(fake_memory + fake_used, iov[i].iov_base, iov[i].iov_len);
		one->length += iov[i].iov_len;
		fake_used += iov[i].iov_len;
	}
}

static void fake_write_pod(struct sent *one, const struct ring_tx *tx)
{
	const struct msghdr *message = &tx->message;
	assert_ptr_equal(message->msg_iov[0].iov_base, &tx->vnet);
	assert_int_equal(message->msg_iov[0].iov_len, TAP_VNET_HEADER);
	one->vnet = tx->vnet;
	fake_gather(one, message->msg_iov + 1, message->msg_iovlen - 1);
	assert_int_equal(one->total, one->length);
}

/* Its headers count for nothing; what arrives counts, as tunnel.h computes it. */
static void fake_write_underlay(struct sent *one, const struct ring_tx *tx)
{
	const struct msghdr *message = &tx->message;
	const uint8_t *headers = message->msg_iov[0].iov_base;
	size_t length = message->msg_iov[0].iov_len;
	assert_true(length == TAP_TUNNEL_VNET_HEADER + 42 || length == TAP_TUNNEL_VNET_HEADER + 62);
	assert_true(headers >= fake_headers && headers + length <= fake_headers + n_fake_headers);
	assert_null(message->msg_name);
	assert_null(message->msg_control);
	fake_gather(one, message->msg_iov, message->msg_iovlen);
}

static void fake_send(struct sent *one, struct ring_tx *tx)
{
	struct msghdr *message = &tx->message;
	struct endpoint to;
	assert_int_equal(endpoint_from_sockaddr(message->msg_name, message->msg_namelen, &to), 0);
	endpoint_format(&to, one->to);
	fake_control(one, message);
	fake_gather(one, message->msg_iov, message->msg_iovlen);
	assert_int_equal(one->total, one->length);
}

/* What ring_send_now() answers, and to which of its calls from the next on; the others pass. */
static bool ring_push_keep; /* headers stay, as while refusals are reported */
static int fake_refusal;
static unsigned fake_passes;

int ring_send_now(int fd, const struct msghdr *message)
{
	struct ring_tx tx = {.message = *message};
	if (fake_refusal && !fake_passes)
		return fake_refusal;
	fake_passes -= fake_refusal != 0;
	struct sent *one = &sent[n_sent++];
	*one = (struct sent){.fd = fd, .at_once = true};
	for (size_t i = 0; i < message->msg_iovlen; i++)
		one->total += message->msg_iov[i].iov_len;
	fake_send(one, &tx);
	return 0;
}

void ring_push(struct ring *ring)
{
	(void)ring;
	for (unsigned i = 0; i < n_fake_queue; i++) {
		struct ring_tx *tx = fake_queue[i].tx;
		struct sent *one = &sent[n_sent++];
		assert_true(n_sent <= FAKE_SENT);
		*one = (struct sent){.fd = fake_queue[i].fd, .by_tap = tx->by_tap};
		one->to_tap = fake_queue[i].written && !tx->by_tap;
		one->port = tx->port;
		one->count = tx->count;
		one->total = tx->total;
		if (one->to_tap)
			fake_write_pod(one, tx);
		else if (one->by_tap)
			fake_write_underlay(one, tx);
		else
			fake_send(one, tx);
	}
	if (ring_push_keep)
		return;
	memset(fake_headers, 0xdd, sizeof(fake_headers));
	n_fake_tx = n_fake_iov = n_fake_headers = n_fake_queue = 0;
}

struct ring_tx *ring_tx(struct ring *ring, unsigned n_iov, unsigned n_bytes)
{
	assert_true(n_iov <= RING_IOV && n_bytes <= RING_BYTES);
	if (n_fake_tx == RING_TX || RING_IOV - n_fake_iov < n_iov || RING_BYTES - n_fake_headers < n_bytes)
		ring_push(ring);
	struct ring_tx *tx = &fake_tx[n_fake_tx++];
	*tx = (struct ring_tx){.message = {.msg_iov = &fake_iov[n_fake_iov]}, .bytes = &fake_headers[n_fake_headers]};
	n_fake_iov += n_iov;
	n_fake_headers += n_bytes;
	return tx;
}

static void fake_enqueue(int fd, bool written, struct ring_tx *tx)
{
	const struct iovec *end = &fake_iov[n_fake_iov];
	assert_true(tx >= fake_tx && tx < fake_tx + n_fake_tx);
	assert_true(tx->message.msg_iovlen > 0 && tx->message.msg_iov + tx->message.msg_iovlen <= end);
	assert_true(written || !tx->by_tap);
	fake_queue[n_fake_queue].tx = tx;
	fake_queue[n_fake_queue].fd = fd;
	fake_queue[n_fake_queue++].written = written;
	fake_last = *tx;
}

void ring_send(struct ring *ring, int fd, struct ring_tx *tx)
{
	(void)ring;
	tx->fd = fd;
	fake_enqueue(fd, false, tx);
}

void ring_write(struct ring *ring, int fd, struct ring_tx *tx)
{
	(void)ring;
	fake_enqueue(fd, true, tx);
}

#endif
