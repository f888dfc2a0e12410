/* SPDX-License-Identifier: Apache-2.0 */
/* underlay_tap.c - the underlay TAP: encapsulated super-frames leave the node whole */
#include "vswitch/path/underlay_tap.h"

#include "tap/base/checksum.h"
#include "tap/late_close.h"
#include "tap/link.h"

#include <endian.h>
#include <stdlib.h>
#include <unistd.h>

#define HOPS (64 + 1)    /* 64 is what Linux's vxlan sends; the node itself takes one */
#define WHOLE_MOST 65535 /* an skb of 64 KiB or more, Ethernet header included, is cut (net/core/dev.c) */

/* struct virtio_net_hdr_v1_hash_tunnel of Linux 6.17's virtio_net.h. */
struct tunnel_vnet {
	struct virtio_net_hdr plain;
	uint16_t buffers;
	uint32_t hash;
	uint16_t hash_report, padding;
	uint16_t outer_l4, inner_l3; /* little endian always */
};

enum { F_TUNNEL_CSUM = 8, GSO_TUNNEL_IP4 = 0x20, GSO_TUNNEL_IP6 = 0x40 };

_Static_assert(sizeof(struct tunnel_vnet) == TAP_TUNNEL_VNET_HEADER, "as the kernel has it");

int underlay_tap_open(struct underlay_tap **out, struct failure *why)
{
	struct underlay_tap *tap = calloc(1, sizeof(*tap));
	if (!tap)
		return fail(why, -ENOMEM, NULL, "out of memory");
	tap->fd = -1;
	int error = tap_create_underlay(tap->ifname, &tap->fd, why);
	if (!error)
		error = link_setup_underlay(tap->ifname, why);
	if (!error)
		error = link_find(tap->ifname, &tap->mac, why);
	if (error) {
		underlay_tap_close(tap);
		return error;
	}
	*out = tap;
	return 0;
}

void underlay_tap_close(struct underlay_tap *tap)
{
	if (!tap)
		return;
	if (tap->fd >= 0)
		late_close(tap->fd);
	free(tap);
}

static void route_ip4(struct underlay_tap_route *out, const struct sockaddr_in *from, const struct sockaddr_in *to)
{
	uint8_t *ip = out->outer + ETH_HEADER;
	store16(out->outer + ETH_TYPE, ETHERTYPE_IP4);
	ip[IP4_VERSION_IHL] = 0x45;
	store16(ip + IP4_FRAGMENT, IP4_DF);
	ip[IP4_TTL] = HOPS;
	ip[IP4_PROTOCOL] = PROTO_UDP;
	memcpy(ip + IP4_SRC, &from->sin_addr, 4);
	memcpy(ip + IP4_DST, &to->sin_addr, 4);
	out->l4 = ETH_HEADER + IP4_HEADER;
	store_word(out->outer + out->l4 + UDP_DST, to->sin_port);
}

static void route_ip6(struct underlay_tap_route *out, const struct sockaddr_in6 *from, const struct sockaddr_in6 *to)
{
	uint8_t *ip = out->outer + ETH_HEADER;
	store16(out->outer + ETH_TYPE, ETHERTYPE_IP6);
	ip[IP6_VERSION_CLASS] = 0x60;
	ip[IP6_NEXT] = PROTO_UDP;
	ip[IP6_HOPS] = HOPS;
	memcpy(ip + IP6_SRC, &from->sin6_addr, 16);
	memcpy(ip + IP6_DST, &to->sin6_addr, 16);
	out->l4 = ETH_HEADER + IP6_HEADER;
	store_word(out->outer + out->l4 + UDP_DST, to->sin6_port);
}

void underlay_tap_route(struct underlay_tap_route *out, const struct underlay_tap *tap,
			const struct sockaddr_storage *from, const struct sockaddr_storage *to)
{
	*out = (struct underlay_tap_route){0};
	memcpy(out->outer + ETH_DST, tap->mac.bytes, sizeof(tap->mac.bytes));
	/* Another unicast source: the kernel drops frames that seem to come from the device itself. */
	memcpy(out->outer + ETH_SRC, tap->mac.bytes, sizeof(tap->mac.bytes));
	out->outer[ETH_SRC + 5] ^= 1;
	if (to->ss_family == AF_INET6)
		route_ip6(out, (const struct sockaddr_in6 *)from, (const struct sockaddr_in6 *)to);
	else
		route_ip4(out, (const struct sockaddr_in *)from, (const struct sockaddr_in *)to);
}

static bool is_ip6(const struct underlay_tap_route *route)
{
	return route->l4 == ETH_HEADER + IP6_HEADER;
}

/* Writes the outer headers for `payload` bytes, with a partial UDP checksum. Returns their length. */
static size_t write_outer(const struct underlay_tap_route *route, const struct underlay_tap_flow *flow,
			  uint32_t payload, uint8_t *out)
{
	uint8_t *ip = out + ETH_HEADER, *udp = out + route->l4;
	uint16_t length = (uint16_t)(UDP_HEADER + payload);
	uint32_t pseudo;
	memcpy(out, route->outer, (size_t)route->l4 + UDP_HEADER);
	store16(udp + UDP_SRC, flow->source_port);
	store16(udp + UDP_LENGTH, length);
	if (is_ip6(route)) {
		ip[IP6_VERSION_CLASS + 1] = (uint8_t)(flow->ecn << 4);
		store16(ip + IP6_LENGTH, length);
		pseudo = checksum_pseudo6(ip + IP6_SRC, ip + IP6_DST, PROTO_UDP, length);
	} else {
		ip[IP4_TOS] = (uint8_t)flow->ecn;
		store16(ip + IP4_LENGTH, (uint16_t)(IP4_HEADER + length));
		store_word(ip + IP4_CHECKSUM, checksum_finish(checksum_add(0, ip, IP4_HEADER)));
		pseudo = checksum_pseudo4(ip + IP4_SRC, ip + IP4_DST, PROTO_UDP, length);
	}
	store_word(udp + UDP_CHECKSUM, checksum_fold(pseudo));
	return (size_t)route->l4 + UDP_HEADER;
}

size_t underlay_tap_train(const struct underlay_tap_route *route, const struct underlay_tap_flow *flow, uint32_t size,
			  uint32_t total, uint8_t *out)
{
	size_t outer = write_outer(route, flow, total, out + sizeof(struct tunnel_vnet));
	struct tunnel_vnet vnet = {.plain = {.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
					     .hdr_len = (uint16_t)outer,
					     .csum_start = route->l4,
					     .csum_offset = UDP_CHECKSUM}};
	if (total > size) {
		vnet.plain.gso_type = VIRTIO_NET_HDR_GSO_UDP_L4;
		vnet.plain.gso_size = (uint16_t)size;
	}
	memcpy(out, &vnet, sizeof(vnet));
	return sizeof(vnet) + outer;
}

size_t underlay_tap_super(const struct underlay_tap_route *route, const struct underlay_tap_flow *flow,
			  const struct segment_plan *plan, uint8_t *out)
{
	const struct frame *frame = plan->frame;
	size_t outer = write_outer(route, flow, VXLAN_HEADER + frame->ip_end, out + sizeof(struct tunnel_vnet));
	size_t inner = outer + VXLAN_HEADER;
	struct tunnel_vnet vnet = {
		.plain = {.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM | F_TUNNEL_CSUM,
			  .gso_type = (uint8_t)(plan->gso_type | (is_ip6(route) ? GSO_TUNNEL_IP6 : GSO_TUNNEL_IP4)),
			  .hdr_len = (uint16_t)(inner + plan->headers),
			  .gso_size = (uint16_t)plan->size,
			  .csum_start = (uint16_t)(inner + frame->l4),
			  .csum_offset = frame->protocol == PROTO_TCP ? TCP_CHECKSUM : UDP_CHECKSUM},
		.outer_l4 = htole16(route->l4),
		.inner_l3 = htole16((uint16_t)(inner + frame->l3)),
	};
	memcpy(out, &vnet, sizeof(vnet));
	return sizeof(vnet) + outer;
}

bool underlay_tap_fits(const struct underlay_tap_route *route, const struct segment_plan *plan)
{
	return (uint32_t)route->l4 + UDP_HEADER + VXLAN_HEADER + plan->frame->ip_end <= WHOLE_MOST;
}
