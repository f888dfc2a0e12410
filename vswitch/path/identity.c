/* SPDX-License-Identifier: Apache-2.0 */
/* identity.c - a port's own addresses, and whether a frame of its pod is sent in their name */
#include "vswitch/path/identity.h"

#include "tap/arp_probe.h"
#include "tap/base/bootp.h"
#include "tap/base/wire.h"
#include "vswitch/path/dhcp_request.h"

#include <string.h>

enum {
	/* RFC 4861, section 4: in the messages of neighbour discovery */
	ND_TARGET = 8,
	ND_OPTIONS = 24,
	ND_OPTIONS_OF_SOLICITATION = 8, /* of a router's */
	ND_OPTION_SOURCE = 1,
	ND_OPTION_TARGET = 2,

	DHCP6_CLIENT_PORT = 546,
	DHCP6_SERVER_PORT = 547,

	ICMP4_ROUTER_ADVERTISEMENT = 9, /* RFC 1256 */
	IGMP_QUERY = 0x11,              /* RFC 3376 */
	PROTO_VRRP = 112,               /* RFC 9568 */
};

static const uint8_t nobody[16];

struct identity identity_of(const struct link_config *link)
{
	struct identity own = {0};
	for (size_t i = 0; i < link->n_addresses; i++) {
		const struct address *address = &link->addresses[i].address;
		if (address->family == AF_INET)
			memcpy(own.ip4[own.n4++], address->bytes, 4);
		else if (address->family == AF_INET6)
			memcpy(own.ip6[own.n6++], address->bytes, 16);
	}
	return own;
}

static bool is_own_ip4(const struct identity *own, const uint8_t *address)
{
	for (unsigned i = 0; i < own->n4; i++)
		if (!memcmp(own->ip4[i], address, 4))
			return true;
	return false;
}

/* fe80::/64 and the MAC in the modified EUI-64 format. */
static bool is_own_link_local(const uint8_t *mac, const uint8_t *address)
{
	const uint8_t expected[16] = {0xfe,       0x80,   0,      0,    0,    0,      0,      0,
				      mac[0] ^ 2, mac[1], mac[2], 0xff, 0xfe, mac[3], mac[4], mac[5]};
	return !memcmp(expected, address, 16);
}

static bool is_own_ip6(const struct identity *own, const struct frame *frame, const uint8_t *address)
{
	for (unsigned i = 0; i < own->n6; i++)
		if (!memcmp(own->ip6[i], address, 16))
			return true;
	return is_own_link_local(frame_src(frame), address);
}

static enum drop check_arp(const struct identity *own, const struct frame *frame)
{
	const uint8_t *arp = frame->data + ETH_HEADER;
	if (!arp_probe_is_arp(frame->data, frame->length) || memcmp(arp + ARP_SENDER_MAC, frame_src(frame), 6) != 0)
		return DROP_FOREIGN_ARP;
	/* Who asks whether an address is free has none yet (RFC 5227). */
	bool may = !memcmp(arp + ARP_SENDER, nobody, 4) || is_own_ip4(own, arp + ARP_SENDER);
	return may ? DROP_NONE : DROP_FOREIGN_ARP;
}

/* What follows the IP headers, as far as it can be seen. */
struct inner_transport {
	uint8_t protocol;
	bool whole;  /* neither a fragment nor one of several */
	uint32_t at; /* offset; 0: this is a later fragment */
};

static enum drop check_udp4(const struct frame *frame, const struct inner_transport *transport, uint16_t tunnel)
{
	const uint8_t *udp = frame->data + transport->at;
	unsigned from = load16(udp + UDP_SRC), to = load16(udp + UDP_DST), length = load16(udp + UDP_LENGTH);
	if (to == tunnel)
		return DROP_FOREIGN_TUNNEL;
	if (from == DHCP_SERVER_PORT || to == DHCP_CLIENT_PORT)
		return DROP_FOREIGN_DHCP;
	if (to != DHCP_SERVER_PORT)
		return DROP_NONE;
	bool seen = transport->whole && length >= UDP_HEADER && frame_reaches(frame, transport->at, length);
	return seen && dhcp_request_is_own(udp + UDP_HEADER, length - UDP_HEADER, frame_src(frame)) ? DROP_NONE
												    : DROP_FOREIGN_DHCP;
}

static struct inner_transport find_transport4(const struct frame *frame, bool super)
{
	const uint8_t *ip = frame->data + frame->l3;
	unsigned fragment = load16(ip + IP4_FRAGMENT) & IP4_MF_AND_OFFSET;
	struct inner_transport found = {.protocol = ip[IP4_PROTOCOL], .whole = !fragment && !super};
	if (!(fragment & IP4_OFFSET))
		found.at = frame->l3 + (ip[IP4_VERSION_IHL] & 0xfU) * 4;
	return found;
}

/* Errors are about what was sent to whoever reports them. Only a router's could be about anything else. */
static bool is_own_icmp4(const struct identity *own, const struct frame *frame, const struct inner_transport *transport)
{
	uint32_t quoted = transport->at + ICMP_HEADER;
	switch (frame->data[transport->at + ICMP_TYPE]) {
	case ICMP4_REDIRECT:
	case ICMP4_ROUTER_ADVERTISEMENT:
		return false;
	case ICMP4_UNREACHABLE:
	case ICMP4_QUENCH:
	case ICMP4_TIME_EXCEEDED:
	case ICMP4_PARAMETER:
		return transport->whole && frame_reaches(frame, quoted, IP4_HEADER) &&
		       is_own_ip4(own, frame->data + quoted + IP4_DST);
	default:
		return true;
	}
}

/* Whether it is a router's or a querier's word, of which a pod is neither. */
static bool is_routers(const struct frame *frame, const struct inner_transport *transport)
{
	return transport->protocol == PROTO_VRRP ||
	       (transport->protocol == PROTO_IGMP && frame->data[transport->at] == IGMP_QUERY);
}

static enum drop check_ip4(const struct identity *own, const struct frame *frame, bool super, uint16_t tunnel)
{
	if (frame->version != 4)
		return DROP_FOREIGN_TYPE;
	const uint8_t *source = frame->data + frame->l3 + IP4_SRC;
	struct inner_transport transport = find_transport4(frame, super);
	bool visible = transport.at && frame_reaches(frame, transport.at, UDP_HEADER);
	bool asks = !memcmp(source, nobody, 4) && (transport.protocol == PROTO_IGMP ||
						   (transport.protocol == PROTO_UDP && visible &&
						    load16(frame->data + transport.at + UDP_DST) == DHCP_SERVER_PORT));
	if (!asks && !is_own_ip4(own, source))
		return DROP_FOREIGN_ADDRESS;
	if (!visible)
		return DROP_NONE;
	if (is_routers(frame, &transport) ||
	    (transport.protocol == PROTO_ICMP4 && !is_own_icmp4(own, frame, &transport)))
		return DROP_FOREIGN_NEIGHBOUR;
	return transport.protocol == PROTO_UDP ? check_udp4(frame, &transport, tunnel) : DROP_NONE;
}

/* false: the chain of headers is too long, or broken. */
static bool find_transport6(const struct frame *frame, bool super, struct inner_transport *out)
{
	uint32_t at = frame->l3 + IP6_HEADER;
	uint8_t kind = frame->data[frame->l3 + IP6_NEXT];
	*out = (struct inner_transport){.whole = !super};
	for (unsigned i = 0; i <= IP6_MAX_EXTENSIONS; i++) {
		bool fragment = kind == PROTO_FRAGMENT;
		if (!fragment && kind != PROTO_HOPOPTS && kind != PROTO_ROUTING && kind != PROTO_DSTOPTS) {
			out->protocol = kind;
			out->at = at;
			return true;
		}
		if (!frame_reaches(frame, at, 8))
			return false;
		const uint8_t *header = frame->data + at;
		out->whole = out->whole && !fragment;
		out->protocol = kind = header[0];
		if (fragment && load16(header + 2) & 0xfff8)
			return true;
		at += fragment ? 8 : (header[1] + 1U) * 8;
	}
	return false;
}

/* Link-layer addresses are the frame's own. */
static bool has_own_links(const struct frame *frame, uint32_t at)
{
	while (at < frame->ip_end) {
		const uint8_t *option = frame->data + at;
		if (!frame_reaches(frame, at, 8) || !option[1] || !frame_reaches(frame, at, option[1] * 8U))
			return false;
		if ((option[0] == ND_OPTION_SOURCE || option[0] == ND_OPTION_TARGET) &&
		    memcmp(option + 2, frame_src(frame), 6) != 0)
			return false;
		at += option[1] * 8U;
	}
	return true;
}

/* A message of neighbour discovery that begins at `at`, from an own address or `asks`: from none. */
static bool is_own_discovery(const struct identity *own, const struct frame *frame, uint32_t at, bool asks)
{
	const uint8_t *message = frame->data + at;
	if (message[ICMP_TYPE] == ICMP6_ROUTER_SOLICITATION)
		return has_own_links(frame, at + ND_OPTIONS_OF_SOLICITATION);
	if (message[ICMP_TYPE] != ICMP6_SOLICITATION && message[ICMP_TYPE] != ICMP6_ADVERTISEMENT)
		return false; /* a router's */
	if (!frame_reaches(frame, at, ND_OPTIONS) || !has_own_links(frame, at + ND_OPTIONS))
		return false;
	return (message[ICMP_TYPE] == ICMP6_SOLICITATION && !asks) || is_own_ip6(own, frame, message + ND_TARGET);
}

/* As is_own_icmp4(). */
static bool is_own_error6(const struct identity *own, const struct frame *frame,
			  const struct inner_transport *transport)
{
	uint32_t quoted = transport->at + ICMP_HEADER;
	return transport->whole && frame_reaches(frame, quoted, IP6_HEADER) &&
	       is_own_ip6(own, frame, frame->data + quoted + IP6_DST);
}

static enum drop check_icmp6(const struct identity *own, const struct frame *frame,
			     const struct inner_transport *transport, bool asks)
{
	if (!frame_reaches(frame, transport->at, ICMP_HEADER))
		return DROP_FOREIGN_NEIGHBOUR;
	uint8_t type = frame->data[transport->at + ICMP_TYPE];
	if (type == ICMP6_MLD_QUERY || (type <= ICMP6_LAST_ERROR && !is_own_error6(own, frame, transport)))
		return DROP_FOREIGN_NEIGHBOUR;
	if (type < ICMP6_ROUTER_SOLICITATION || type > ICMP6_REDIRECT)
		return DROP_NONE;
	/* Nobody may cut them in pieces (RFC 6980). */
	return transport->whole && is_own_discovery(own, frame, transport->at, asks) ? DROP_NONE
										     : DROP_FOREIGN_NEIGHBOUR;
}

/* Without an address only DAD, a router's solicitation and membership reports (RFC 3590) are sent. */
static bool asks_without_address(const struct frame *frame, const struct inner_transport *transport)
{
	if (memcmp(frame->data + frame->l3 + IP6_SRC, nobody, 16) != 0 || transport->protocol != PROTO_ICMP6 ||
	    !transport->at || !frame_reaches(frame, transport->at, ICMP_HEADER))
		return false;
	uint8_t type = frame->data[transport->at + ICMP_TYPE];
	return type == ICMP6_ROUTER_SOLICITATION || type == ICMP6_SOLICITATION || type == ICMP6_MLD_REPORT ||
	       type == ICMP6_MLD_DONE || type == ICMP6_MLD2_REPORT;
}

static enum drop check_udp6(const struct frame *frame, const struct inner_transport *transport, uint16_t tunnel)
{
	if (!frame_reaches(frame, transport->at, UDP_HEADER))
		return transport->whole ? DROP_NONE : DROP_FOREIGN_TYPE; /* its ports may be in the next fragment */
	const uint8_t *udp = frame->data + transport->at;
	unsigned from = load16(udp + UDP_SRC), to = load16(udp + UDP_DST);
	if (to == tunnel)
		return DROP_FOREIGN_TUNNEL;
	bool dhcp = from == DHCP6_SERVER_PORT || to == DHCP6_SERVER_PORT || to == DHCP6_CLIENT_PORT;
	return dhcp ? DROP_FOREIGN_DHCP : DROP_NONE;
}

static enum drop check_ip6(const struct identity *own, const struct frame *frame, bool super, uint16_t tunnel)
{
	struct inner_transport transport;
	if (frame->version != 6 || !find_transport6(frame, super, &transport))
		return DROP_FOREIGN_TYPE;
	bool asks = asks_without_address(frame, &transport);
	if (!asks && !is_own_ip6(own, frame, frame->data + frame->l3 + IP6_SRC))
		return DROP_FOREIGN_ADDRESS;
	if (!transport.at)
		return DROP_NONE;
	if (transport.protocol == PROTO_ICMP6)
		return check_icmp6(own, frame, &transport, asks);
	if (transport.protocol == PROTO_VRRP)
		return DROP_FOREIGN_NEIGHBOUR;
	return transport.protocol == PROTO_UDP ? check_udp6(frame, &transport, tunnel) : DROP_NONE;
}

enum drop identity_check(const struct identity *own, const struct frame *frame, bool super, uint16_t tunnel)
{
	switch (frame->ethertype) {
	case ETHERTYPE_ARP:
		return check_arp(own, frame);
	case ETHERTYPE_IP4:
		return check_ip4(own, frame, super, tunnel);
	case ETHERTYPE_IP6:
		return check_ip6(own, frame, super, tunnel);
	default:
		return DROP_FOREIGN_TYPE;
	}
}
