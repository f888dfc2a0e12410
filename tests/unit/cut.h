/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cut.h - super-frames cut slowly and plainly, to compare with what the switch cuts and joins
 *
 * The headers of segments are written here once more, from RFC 9293, RFC 768 and what Linux does, with offsets as
 * numbers and the plain sums of packet.h.
 */
#ifndef PODSWITCH_TESTS_CUT_H
#define PODSWITCH_TESTS_CUT_H

#include "tests/unit/packet.h"

#include <linux/virtio_net.h>
#include <stdlib.h>

/* virtio 1.2, section 5.1.6 */
enum { CUT_NEEDS_CSUM = 1, CUT_TCPV4 = 1, CUT_TCPV6 = 4, CUT_UDP = 5, CUT_ECN = 0x80 };

static inline size_t below(size_t n)
{
	return (size_t)rand() % n;
}

static inline void random_bytes(uint8_t *at, size_t length)
{
	for (size_t i = 0; i < length; i++)
		at[i] = (uint8_t)(rand() >> 7);
}

static inline uint32_t packet_get32(const uint8_t *at)
{
	return packet_get16(at) << 16 | packet_get16(at + 2);
}

static inline void packet_put32(uint8_t *at, uint32_t value)
{
	packet_put16(at, value >> 16);
	packet_put16(at + 2, value);
}

/* The protocol is in the IPv4 header, the IPv6 header, or the last extension header, of eight bytes. */
static inline bool packet_is_tcp(const struct test_packet *packet)
{
	size_t at = packet->bytes[14] >> 4 == 4 ? 23 : packet->l4 == 54 ? 20 : packet->l4 - 8;
	return packet->bytes[at] == 6;
}

/* Bytes in front of the payload. */
static inline size_t packet_headers(const struct test_packet *packet)
{
	return packet->l4 + (packet_is_tcp(packet) ? (size_t)(packet->bytes[packet->l4 + 12] >> 4) * 4 : 8);
}

static inline unsigned cut_count(const struct test_packet *whole, size_t size)
{
	return (unsigned)((whole->end - packet_headers(whole) + size - 1) / size);
}

/* Segment `index` of those with `size` bytes of payload. Ids count up, unless `same_id` says that they stay. */
static inline void cut(const struct test_packet *whole, size_t size, unsigned index, bool same_id,
		       struct test_packet *out)
{
	size_t headers = packet_headers(whole), at = headers + index * size;
	size_t length = whole->end - at < size ? whole->end - at : size;
	bool tcp = packet_is_tcp(whole);
	uint8_t *ip = out->bytes + 14, *l4 = out->bytes + whole->l4;
	memcpy(out->bytes, whole->bytes, headers);
	memcpy(out->bytes + headers, whole->bytes + at, length);
	out->l4 = whole->l4;
	out->end = out->length = headers + length;
	if (ip[0] >> 4 == 4) {
		packet_put16(ip + 2, out->end - 14);
		packet_put16(ip + 4, packet_get16(ip + 4) + (same_id ? 0 : index));
		packet_fix_ip4(out->bytes);
	} else {
		packet_put16(ip + 4, out->end - 54);
	}
	if (tcp) {
		bool last = index + 1 == cut_count(whole, size);
		packet_put32(l4 + 4, (uint32_t)(packet_get32(l4 + 4) + index * size));
		l4[13] = (uint8_t)(l4[13] & (last ? 0xff : 0xf6) & (index ? 0x7f : 0xff)); /* FIN, PSH; CWR */
	} else {
		packet_put16(l4 + 4, 8 + length);
	}
	packet_fix_l4(out, tcp ? 6 : 17, false);
}

/* Whether all checksums are right, by the plain sums. */
static inline bool packet_intact(const struct test_packet *packet)
{
	uint8_t protocol = packet_is_tcp(packet) ? 6 : 17;
	size_t inner = packet->end - packet->l4;
	if (packet->bytes[14] >> 4 == 4 && packet_sum(0, packet->bytes + 14, (packet->bytes[14] & 15U) * 4) != 0xffff)
		return false;
	return packet_sum(packet_pseudo(packet->bytes, protocol, inner), packet->bytes + packet->l4, inner) == 0xffff;
}

/* A packet with everything random that `recipe` does not set. */
static inline void packet_random(struct test_packet *packet, const struct recipe *recipe)
{
	packet_build(packet, recipe);
	uint8_t *ip = packet->bytes + 14, *l4 = packet->bytes + packet->l4;
	size_t header = packet_l4_header(recipe);
	if (recipe->version == 4) {
		packet_put16(ip + 4, below(65536));
		ip[6] = below(2) ? 0x40 : 0;
		ip[8] = (uint8_t)(1 + below(255));
		packet_fix_ip4(packet->bytes);
	} else {
		ip[1] = (uint8_t)((ip[1] & 0xf0) | below(16));
		ip[7] = (uint8_t)(1 + below(255));
	}
	random_bytes(l4 + header, recipe->payload);
	if (recipe->protocol == 6) {
		random_bytes(l4 + 4, 8);            /* sequence and acknowledgement */
		random_bytes(l4 + 14, 2);           /* window */
		random_bytes(l4 + 20, header - 20); /* options: nobody reads them */
	}
	packet_fix_l4(packet, recipe->protocol, recipe->partial);
}

/* A super-frame as a TAP hands it over, with all that may come between its headers. */
static inline struct recipe random_recipe(uint8_t version, uint8_t protocol)
{
	return (struct recipe){.version = version,
			       .protocol = protocol,
			       .tos = (uint8_t)rand(),
			       .ip_options = (unsigned)below(3) * 4,
			       .extensions = (unsigned)below(3),
			       .tcp_options = (unsigned)below(11) * 4,
			       .padding = below(4) ? 0 : 5,
			       .partial = true};
}

/* The virtio header of a super-frame that is cut at `size`. */
static inline struct virtio_net_hdr super_vnet(const struct test_packet *packet, size_t size)
{
	bool tcp = packet_is_tcp(packet), ip4 = packet->bytes[14] >> 4 == 4;
	struct virtio_net_hdr vnet = {.flags = CUT_NEEDS_CSUM,
				      .gso_type = !tcp  ? CUT_UDP
						  : ip4 ? CUT_TCPV4
							: CUT_TCPV6,
				      .hdr_len = (uint16_t)packet_headers(packet),
				      .gso_size = (uint16_t)size,
				      .csum_start = (uint16_t)packet->l4,
				      .csum_offset = tcp ? 16 : 6};
	if (tcp && packet->bytes[packet->l4 + 13] & 0x80)
		vnet.gso_type |= CUT_ECN;
	return vnet;
}

#endif
