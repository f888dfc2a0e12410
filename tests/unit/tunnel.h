/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tunnel.h - what Linux makes of a write to the underlay TAP
 *
 * Believes the virtio header where Linux does, refuses what virtio_net_hdr_tnl_to_skb() of Linux 6.17 refuses, finds
 * the headers in the bytes as well, and cuts with cut.h into what arrives at the far end. Offsets are numbers.
 */
#ifndef PODSWITCH_TESTS_TUNNEL_H
#define PODSWITCH_TESTS_TUNNEL_H

#include "tests/unit/cut.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

/* struct virtio_net_hdr_v1_hash_tunnel, and the new flags and types at its beginning. */
enum { TUNNEL_VNET = 24, TUNNEL_CSUM = 8, TUNNEL_IP4 = 0x20, TUNNEL_IP6 = 0x40 };

struct tunnel {
	unsigned flags, gso_type, hdr_len, gso_size, csum_start, csum_offset, outer_l4, inner_l3;
	bool whole;               /* a super-frame inside */
	size_t size;              /* payload bytes where it is cut */
	unsigned count;           /* datagrams that arrive */
	struct test_packet outer; /* what was written, from the Ethernet header on */
	struct test_packet inner; /* the super-frame */
};

/* Fields from before virtio 1 are in the machine's byte order, the others little endian. */
static inline unsigned tunnel_native16(const uint8_t *at)
{
	uint16_t value;
	memcpy(&value, at, sizeof(value));
	return value;
}

static inline unsigned tunnel_little16(const uint8_t *at)
{
	return at[0] | (unsigned)at[1] << 8;
}

static inline void tunnel_header(struct tunnel *tunnel, const uint8_t *at)
{
	static const uint8_t nothing[10];
	tunnel->flags = at[0];
	tunnel->gso_type = at[1];
	tunnel->hdr_len = tunnel_native16(at + 2);
	tunnel->gso_size = tunnel_native16(at + 4);
	tunnel->csum_start = tunnel_native16(at + 6);
	tunnel->csum_offset = tunnel_native16(at + 8);
	assert_memory_equal(at + 10, nothing,
			    sizeof(nothing)); /* buffers and hash, which are for the other direction */
	tunnel->outer_l4 = tunnel_little16(at + 20);
	tunnel->inner_l3 = tunnel_little16(at + 22);
}

/* Checks for every write: complete IP and UDP headers for all of it, and a partial checksum. */
static inline void tunnel_outer(struct test_packet *outer)
{
	const uint8_t *ip = outer->bytes + 14;
	bool ip4 = packet_get16(outer->bytes + 12) == 0x0800;
	outer->l4 = ip4 ? 34 : 54;
	size_t inner = outer->length - outer->l4;
	const uint8_t *udp = outer->bytes + outer->l4;
	assert_int_equal(ip[0], ip4 ? 0x45 : 0x60);
	if (ip4) {
		assert_int_equal(packet_get16(ip + 2), outer->length - 14);
		assert_int_equal(packet_get16(ip + 6), 0x4000); /* DF */
		assert_int_equal(packet_sum(0, ip, 20), 0xffff);
	} else {
		assert_int_equal(packet_get16(outer->bytes + 12), 0x86dd);
		assert_int_equal(packet_get16(ip + 4), inner);
	}
	assert_int_equal(ip[ip4 ? 9 : 6], 17);
	assert_int_equal(ip[ip4 ? 8 : 7], 65); /* the node itself is the first hop, 64 are left */
	assert_int_equal(packet_get16(udp + 4), inner);
	assert_int_equal(packet_get16(udp + 6), packet_pseudo(outer->bytes, 17, inner));
}

/* Where the inner packet's TCP or UDP header is; extension headers are those of packet.h. */
static inline size_t tunnel_find_l4(const uint8_t *frame)
{
	size_t at = 54;
	if (frame[14] >> 4 == 4)
		return 14 + (size_t)(frame[14] & 15) * 4;
	for (uint8_t next = frame[20]; next == 60; at += 8)
		next = frame[at];
	return at;
}

static inline void tunnel_inner(struct tunnel *tunnel)
{
	struct test_packet *inner = &tunnel->inner;
	size_t at = tunnel->outer.l4 + 16; /* UDP and VXLAN */
	bool tcp, ip4;
	inner->length = inner->end = tunnel->outer.length - at;
	memcpy(inner->bytes, tunnel->outer.bytes + at, inner->length);
	inner->l4 = tunnel_find_l4(inner->bytes);
	tcp = packet_is_tcp(inner);
	ip4 = inner->bytes[14] >> 4 == 4;
	assert_int_equal(tunnel->flags, CUT_NEEDS_CSUM | TUNNEL_CSUM);
	assert_int_equal(tunnel->gso_type & 0x60, tunnel->outer.l4 == 34 ? TUNNEL_IP4 : TUNNEL_IP6);
	assert_int_equal(tunnel->gso_type & (tcp ? 0x1f : 0x9f), !tcp ? CUT_UDP : ip4 ? CUT_TCPV4 : CUT_TCPV6);
	assert_int_equal(tunnel->outer_l4, tunnel->outer.l4);
	assert_int_equal(tunnel->inner_l3, at + 14);
	assert_int_equal(tunnel->csum_start, at + inner->l4);
	assert_int_equal(tunnel->csum_offset, tcp ? 16 : 6);
	assert_int_equal(tunnel->hdr_len, at + packet_headers(inner));
	assert_int_equal(packet_get16(inner->bytes + inner->l4 + tunnel->csum_offset),
			 packet_pseudo(inner->bytes, tcp ? 6 : 17, inner->end - inner->l4));
	tunnel->size = tunnel->gso_size;
	tunnel->count = cut_count(inner, tunnel->size);
	assert_in_range(tunnel->count, 2, 128);
}

static inline void tunnel_train(struct tunnel *tunnel)
{
	const struct test_packet *outer = &tunnel->outer;
	assert_int_equal(tunnel->flags, CUT_NEEDS_CSUM);
	assert_int_equal(tunnel->csum_start, outer->l4);
	assert_int_equal(tunnel->csum_offset, 6);
	assert_int_equal(tunnel->hdr_len, outer->l4 + 8);
	assert_int_equal(tunnel->outer_l4, 0);
	assert_int_equal(tunnel->inner_l3, 0);
	if (!tunnel->gso_type)
		assert_int_equal(tunnel->gso_size, 0);
	else
		assert_int_equal(tunnel->gso_type, CUT_UDP);
	tunnel->size = tunnel->gso_type ? tunnel->gso_size : outer->end - outer->l4 - 8;
	tunnel->count = cut_count(outer, tunnel->size);
	assert_in_range(tunnel->count, tunnel->gso_type ? 2 : 1, tunnel->gso_type ? 128 : 1);
}

/* Checks `length` bytes of one write. */
static inline void tunnel_open(struct tunnel *tunnel, const uint8_t *bytes, size_t length)
{
	/* Linux forwards up to 64 KiB, with Ethernet header, whole. */
	assert_in_range(length, TUNNEL_VNET + 14 + 20 + 8 + 8, TUNNEL_VNET + 65535);
	tunnel_header(tunnel, bytes);
	tunnel->outer.length = tunnel->outer.end = length - TUNNEL_VNET;
	memcpy(tunnel->outer.bytes, bytes + TUNNEL_VNET, tunnel->outer.length);
	tunnel_outer(&tunnel->outer);
	tunnel->whole = tunnel->gso_type & (TUNNEL_IP4 | TUNNEL_IP6);
	if (tunnel->whole)
		tunnel_inner(tunnel);
	else
		tunnel_train(tunnel);
}

/* Datagram `index`, from its outer Ethernet header on and with every checksum made. */
static inline void tunnel_datagram(const struct tunnel *tunnel, unsigned index, struct test_packet *out)
{
	static struct test_packet piece;
	size_t at = tunnel->outer.l4 + 16;
	if (!tunnel->whole) {
		cut(&tunnel->outer, tunnel->size, index, false, out);
		return;
	}
	cut(&tunnel->inner, tunnel->size, index, false, &piece);
	memcpy(out->bytes, tunnel->outer.bytes, at);
	memcpy(out->bytes + at, piece.bytes, piece.length);
	out->length = out->end = at + piece.length;
	out->l4 = tunnel->outer.l4;
	packet_put16(out->bytes + (out->l4 == 34 ? 16 : 18), out->length - (out->l4 == 34 ? 14 : 54));
	if (out->l4 == 34)
		packet_fix_ip4(out->bytes);
	packet_put16(out->bytes + out->l4 + 4, out->length - out->l4);
	packet_fix_l4(out, 17, false);
}

/* TOS or traffic class of the outer header. */
static inline unsigned tunnel_tos(const struct test_packet *outer)
{
	return outer->l4 == 34 ? outer->bytes[15] : (outer->bytes[14] & 15U) << 4 | outer->bytes[15] >> 4;
}

#endif
