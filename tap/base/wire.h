/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wire.h - every header on the wire, and every limit
 *
 * Headers are named by the offsets of their fields. Fields are loaded and stored byte by byte, in network order: frames
 * may have any alignment, and no struct is laid over foreign bytes.
 */
#ifndef PODSWITCH_WIRE_H
#define PODSWITCH_WIRE_H

#include <stdint.h>
#include <string.h>

static inline uint16_t load16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static inline uint32_t load24(const uint8_t *p)
{
	return (uint32_t)p[0] << 16 | (uint32_t)p[1] << 8 | p[2];
}

static inline uint32_t load32(const uint8_t *p)
{
	return (uint32_t)load16(p) << 16 | load16(p + 2);
}

static inline void store16(uint8_t *p, uint16_t value)
{
	p[0] = (uint8_t)(value >> 8);
	p[1] = (uint8_t)value;
}

static inline void store24(uint8_t *p, uint32_t value)
{
	p[0] = (uint8_t)(value >> 16);
	p[1] = (uint8_t)(value >> 8);
	p[2] = (uint8_t)value;
}

static inline void store32(uint8_t *p, uint32_t value)
{
	store16(p, (uint16_t)(value >> 16));
	store16(p + 2, (uint16_t)value);
}

/* A 16-bit word as it is in the packet, for the sums of checksum.h. */
static inline uint16_t load_word(const uint8_t *p)
{
	uint16_t word;
	memcpy(&word, p, sizeof(word));
	return word;
}

static inline void store_word(uint8_t *p, uint16_t word)
{
	memcpy(p, &word, sizeof(word));
}

/* Ethernet (IEEE 802.3) */
enum {
	ETH_DST = 0,
	ETH_SRC = 6,
	ETH_TYPE = 12,
	ETH_HEADER = 14,
	ETHERTYPE_IP4 = 0x0800,
	ETHERTYPE_ARP = 0x0806,
	ETHERTYPE_RARP = 0x8035,
	ETHERTYPE_VLAN_C = 0x8100,
	ETHERTYPE_IP6 = 0x86dd,
	ETHERTYPE_VLAN_S = 0x88a8,
	ETHERTYPE_VLAN_OLD = 0x9100,
};

/* ARP for IPv4 over Ethernet (RFC 826), after the Ethernet header */
enum {
	ARP_HTYPE = 0,
	ARP_PTYPE = 2,
	ARP_SIZES = 4,
	ARP_OPERATION = 6,
	ARP_SENDER_MAC = 8,
	ARP_SENDER = 14,
	ARP_TARGET_MAC = 18,
	ARP_TARGET = 24,
	ARP_LENGTH = 28,
	ARP_REQUEST = 1,
	ARP_REPLY = 2,
	ARP_SIZES_VALUE = 6 << 8 | 4,
};

/* VXLAN (RFC 7348, section 5): flags, 24 reserved bits, VNI, 8 reserved bits */
enum {
	VXLAN_FLAGS = 0,
	VXLAN_RESERVED1 = 1,
	VXLAN_VNI = 4,
	VXLAN_RESERVED2 = 7,
	VXLAN_HEADER = 8,
	VXLAN_FLAG_I = 0x08,
};

/* IPv4 (RFC 791) */
enum {
	IP4_VERSION_IHL = 0,
	IP4_TOS = 1,
	IP4_LENGTH = 2,
	IP4_ID = 4,
	IP4_FRAGMENT = 6,
	IP4_TTL = 8,
	IP4_PROTOCOL = 9,
	IP4_CHECKSUM = 10,
	IP4_SRC = 12,
	IP4_DST = 16,
	IP4_HEADER = 20,
	IP4_DF = 0x4000,
	IP4_MF_AND_OFFSET = 0x3fff,
	IP4_OFFSET = 0x1fff,
};

/* IPv6 (RFC 8200) */
enum {
	IP6_VERSION_CLASS = 0,
	IP6_LENGTH = 4,
	IP6_NEXT = 6,
	IP6_HOPS = 7,
	IP6_SRC = 8,
	IP6_DST = 24,
	IP6_HEADER = 40,
	IP6_MIN_MTU = 1280,
	IP6_MAX_EXTENSIONS = 6, /* longer chains are forwarded, but nobody looks behind them */
};

/* What follows IP */
enum {
	PROTO_HOPOPTS = 0,
	PROTO_ICMP4 = 1,
	PROTO_IGMP = 2,
	PROTO_TCP = 6,
	PROTO_UDP = 17,
	PROTO_ROUTING = 43,
	PROTO_FRAGMENT = 44,
	PROTO_ICMP6 = 58,
	PROTO_DSTOPTS = 60,

	TCP_SRC = 0,
	TCP_DST = 2,
	TCP_SEQ = 4,
	TCP_ACK = 8,
	TCP_OFFSET = 12,
	TCP_FLAGS = 13,
	TCP_FIN = 0x01,
	TCP_SYN = 0x02,
	TCP_RST = 0x04,
	TCP_PSH = 0x08,
	TCP_URG = 0x20,
	TCP_CWR = 0x80,
	TCP_WINDOW = 14,
	TCP_CHECKSUM = 16,
	TCP_URGENT = 18,
	TCP_HEADER = 20,

	UDP_SRC = 0,
	UDP_DST = 2,
	UDP_LENGTH = 4,
	UDP_CHECKSUM = 6,
	UDP_HEADER = 8,

	ICMP_TYPE = 0,
	ICMP_CODE = 1,
	ICMP_CHECKSUM = 2,
	ICMP_MTU4 = 6, /* RFC 1191: 16 bits */
	ICMP_MTU6 = 4, /* RFC 4443: 32 bits */
	ICMP_HEADER = 8,
	ICMP4_UNREACHABLE = 3,
	ICMP4_FRAG_NEEDED = 4,
	ICMP4_QUENCH = 4,
	ICMP4_REDIRECT = 5,
	ICMP4_TIME_EXCEEDED = 11,
	ICMP4_PARAMETER = 12,
	ICMP6_TOO_BIG = 2,
	ICMP6_ROUTER_SOLICITATION = 133, /* RFC 4861: the first of neighbour discovery */
	ICMP6_ROUTER_ADVERTISEMENT = 134,
	ICMP6_SOLICITATION = 135,
	ICMP6_ADVERTISEMENT = 136,
	ICMP6_REDIRECT = 137,
	ICMP6_MLD_QUERY = 130,
	ICMP6_MLD_REPORT = 131,
	ICMP6_MLD_DONE = 132,
	ICMP6_MLD2_REPORT = 143,
	ICMP6_LAST_ERROR = 127,
};

/* ECN, the low two bits of TOS and traffic class (RFC 3168) */
enum { ECN_NOT_ECT = 0, ECN_ECT1 = 1, ECN_ECT0 = 2, ECN_CE = 3, ECN_MASK = 3 };

/* Bytes that the tunnel adds to the pod's IP packet: outer IP, UDP, VXLAN, inner Ethernet. */
#define TUNNEL_OVERHEAD_IP4 (IP4_HEADER + UDP_HEADER + VXLAN_HEADER + ETH_HEADER)
#define TUNNEL_OVERHEAD_IP6 (IP6_HEADER + UDP_HEADER + VXLAN_HEADER + ETH_HEADER)

_Static_assert(TUNNEL_OVERHEAD_IP4 == 50 && TUNNEL_OVERHEAD_IP6 == 70, "the overheads everyone quotes");

/* The source ports of RFC 7348, section 5: the dynamic range of RFC 6335. */
#define SOURCE_PORT_FIRST 49152
#define SOURCE_PORT_LAST 65535

#endif
