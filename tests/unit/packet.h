/* SPDX-License-Identifier: Apache-2.0 */
/*
 * packet.h - frames made byte by byte, for tests of code that reads them
 *
 * Offsets are numbers and sums are computed slowly and plainly, so that nothing here shares a mistake with the code
 * under test. Sums are in host order.
 */
#ifndef PODSWITCH_TESTS_PACKET_H
#define PODSWITCH_TESTS_PACKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define PACKET_ROOM 70000

struct recipe {
	uint8_t version; /* 4, 6 */
	uint8_t protocol;
	uint8_t tos;
	unsigned ip_options;  /* bytes of IPv4 options, a multiple of 4 */
	unsigned extensions;  /* destination options headers of IPv6, 8 bytes each */
	unsigned tcp_options; /* bytes, a multiple of 4 */
	size_t payload;       /* bytes behind the L4 header */
	unsigned padding;     /* bytes behind the IP packet */
	bool partial;         /* the checksum field holds the pseudo-header's sum, as a kernel leaves it to a device */
};

struct test_packet {
	size_t length, l4, end;
	uint8_t bytes[PACKET_ROOM];
};

static inline void packet_put16(uint8_t *at, size_t value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

static inline unsigned packet_get16(const uint8_t *at)
{
	return (unsigned)at[0] << 8 | at[1];
}

/* RFC 1071 to the letter: pairs of bytes, the first the high half, with end-around carry. */
static inline uint32_t packet_sum(uint32_t sum, const uint8_t *data, size_t length)
{
	for (size_t i = 0; i < length; i++) {
		sum += i & 1 ? data[i] : (uint32_t)data[i] << 8;
		if (sum > 0xffff)
			sum -= 0xffff;
	}
	return sum;
}

/* The sum of the pseudo-header of what follows the IP header at byte 14, `length` bytes. */
static inline uint32_t packet_pseudo(const uint8_t *frame, uint8_t protocol, size_t length)
{
	uint8_t tail[4] = {0, protocol};
	bool ip4 = frame[14] >> 4 == 4;
	packet_put16(tail + 2, length);
	return packet_sum(packet_sum(0, frame + (ip4 ? 26 : 22), ip4 ? 8 : 32), tail, sizeof(tail));
}

static inline void packet_ethernet(struct test_packet *packet, unsigned type)
{
	static const uint8_t macs[12] = {0x02, 0, 0, 0, 0, 0x0b, 0x02, 0, 0, 0, 0, 0x0a};
	memcpy(packet->bytes, macs, sizeof(macs));
	packet_put16(packet->bytes + 12, type);
}

/* Recomputes the checksum of the IPv4 header. */
static inline void packet_fix_ip4(uint8_t *frame)
{
	uint8_t *ip = frame + 14;
	packet_put16(ip + 10, 0);
	packet_put16(ip + 10, ~packet_sum(0, ip, (ip[0] & 15U) * 4));
}

static inline void packet_ip4(struct test_packet *packet, const struct recipe *recipe, size_t inner)
{
	static const uint8_t addresses[8] = {10, 0, 0, 1, 10, 0, 0, 2};
	uint8_t *ip = packet->bytes + 14;
	unsigned header = 20 + recipe->ip_options;
	packet_ethernet(packet, 0x0800);
	memset(ip, 0, 20);
	ip[0] = (uint8_t)(0x40 | header / 4);
	ip[1] = recipe->tos;
	packet_put16(ip + 2, header + inner);
	packet_put16(ip + 4, 0x1234);
	ip[8] = 64;
	ip[9] = recipe->protocol;
	memcpy(ip + 12, addresses, sizeof(addresses));
	memset(ip + 20, 1, recipe->ip_options); /* no operation */
	packet_fix_ip4(packet->bytes);
	packet->l4 = 14 + header;
}

static inline void packet_ip6(struct test_packet *packet, const struct recipe *recipe, size_t inner)
{
	static const uint8_t addresses[32] = {0xfd, [15] = 1, [16] = 0xfd, [31] = 2};
	uint8_t *ip = packet->bytes + 14, *next = ip + 6, *at = ip + 40;
	packet_ethernet(packet, 0x86dd);
	ip[0] = (uint8_t)(0x60 | recipe->tos >> 4);
	ip[1] = (uint8_t)(recipe->tos << 4 | 1); /* flow label 12345 */
	ip[2] = 0x23;
	ip[3] = 0x45;
	packet_put16(ip + 4, recipe->extensions * 8 + inner);
	ip[7] = 64;
	memcpy(ip + 8, addresses, sizeof(addresses));
	for (unsigned i = 0; i < recipe->extensions; i++, next = at, at += 8) {
		static const uint8_t options[8] = {0, 0, 1, 4}; /* PadN over the four bytes that follow */
		*next = 60;
		memcpy(at, options, sizeof(options));
	}
	*next = recipe->protocol;
	packet->l4 = (size_t)(at - packet->bytes);
}

static inline size_t packet_l4_header(const struct recipe *recipe)
{
	return recipe->protocol == 6 ? 20 + recipe->tcp_options : 8;
}

/* Where the checksum is in the L4 header. */
static inline size_t packet_check_at(uint8_t protocol)
{
	return protocol == 6 ? 16 : protocol == 17 ? 6 : 2;
}

static inline void packet_l4(struct test_packet *packet, const struct recipe *recipe, size_t inner)
{
	uint8_t *l4 = packet->bytes + packet->l4;
	memset(l4, 0, packet_l4_header(recipe));
	if (recipe->protocol == 6) {
		memset(l4 + 20, 1, recipe->tcp_options);
		packet_put16(l4 + 6, 0x5678); /* of the sequence number */
		l4[12] = (uint8_t)((5 + recipe->tcp_options / 4) << 4);
		l4[13] = 0x10; /* ACK */
	} else if (recipe->protocol == 17) {
		packet_put16(l4 + 4, inner);
	} else {
		l4[0] = recipe->version == 4 ? 8 : 128; /* echo */
		return;
	}
	packet_put16(l4, 40000);
	packet_put16(l4 + 2, 443);
}

/* Recomputes the checksum of TCP, UDP or ICMP; the packet ends at `end`. */
static inline void packet_fix_l4(struct test_packet *packet, uint8_t protocol, bool partial)
{
	uint8_t *l4 = packet->bytes + packet->l4, *check = l4 + packet_check_at(protocol);
	size_t inner = packet->end - packet->l4;
	uint32_t sum = protocol == 1 ? 0 : packet_pseudo(packet->bytes, protocol, inner);
	packet_put16(check, 0);
	uint16_t whole = (uint16_t)~packet_sum(sum, l4, inner);
	if (protocol == 17 && !whole)
		whole = 0xffff;
	packet_put16(check, partial ? sum : whole);
}

/* A whole frame as the recipe says; zero means the usual value. */
static inline void packet_build(struct test_packet *packet, const struct recipe *recipe)
{
	size_t inner = packet_l4_header(recipe) + recipe->payload;
	if (recipe->version == 4)
		packet_ip4(packet, recipe, inner);
	else
		packet_ip6(packet, recipe, inner);
	packet_l4(packet, recipe, inner);
	uint8_t *payload = packet->bytes + packet->l4 + packet_l4_header(recipe);
	for (size_t i = 0; i < recipe->payload; i++)
		payload[i] = (uint8_t)(i * 7 + i / 256);
	packet->end = packet->l4 + inner;
	packet->length = packet->end + recipe->padding;
	memset(packet->bytes + packet->end, 0xee, recipe->padding);
	packet_fix_l4(packet, recipe->protocol, recipe->partial);
}

#endif
