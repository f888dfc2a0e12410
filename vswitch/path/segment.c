/* SPDX-License-Identifier: Apache-2.0 */
/* segment.c - cutting a super-frame of a pod into the frames that it stands for */
#include "vswitch/path/segment.h"

#include "tap/base/checksum.h"
#include "tap/base/wire.h"

static unsigned gso_kind(const struct virtio_net_hdr *vnet)
{
	return vnet->gso_type & (unsigned)~VIRTIO_NET_HDR_GSO_ECN;
}

/* Whether the checksum field is in the summed part, and inside the frame. */
static bool checksum_inside(const struct frame *frame, const struct virtio_net_hdr *vnet)
{
	return vnet->csum_start >= ETH_HEADER && (uint32_t)vnet->csum_start + vnet->csum_offset + 2 <= frame->length;
}

/* Whether the frame is what its gso_type says. */
static bool kind_fits(const struct frame *frame, const struct virtio_net_hdr *vnet)
{
	switch (gso_kind(vnet)) {
	case VIRTIO_NET_HDR_GSO_TCPV4:
		return frame->version == 4 && frame->protocol == PROTO_TCP && vnet->csum_offset == TCP_CHECKSUM;
	case VIRTIO_NET_HDR_GSO_TCPV6:
		return frame->version == 6 && frame->protocol == PROTO_TCP && vnet->csum_offset == TCP_CHECKSUM;
	case VIRTIO_NET_HDR_GSO_UDP_L4:
		return frame->version && frame->protocol == PROTO_UDP && vnet->csum_offset == UDP_CHECKSUM;
	default:
		return false;
	}
}

enum drop segment_check(const struct frame *frame, const struct virtio_net_hdr *vnet)
{
	bool partial = vnet->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM;
	if (partial && !checksum_inside(frame, vnet))
		return DROP_BAD_VNET;
	if (vnet->gso_type == VIRTIO_NET_HDR_GSO_NONE)
		return DROP_NONE;
	unsigned l4_header = frame_l4_header(frame);
	if (!partial || !vnet->gso_size || !l4_header || vnet->csum_start != frame->l4 || !kind_fits(frame, vnet))
		return DROP_BAD_VNET;
	uint32_t headers = frame->l4 + l4_header;
	if (headers > SEGMENT_MAX_HEADERS || headers >= frame->ip_end)
		return DROP_BAD_VNET;
	if ((frame->ip_end - headers + vnet->gso_size - 1) / vnet->gso_size > SEGMENT_MAX)
		return DROP_BAD_VNET;
	return DROP_NONE;
}

/* The field already holds the pseudo-header's sum, so the sum over everything includes it. */
static void fill_checksum(const struct frame *frame, const struct virtio_net_hdr *vnet)
{
	uint8_t *from = frame->data + vnet->csum_start, *field = from + vnet->csum_offset;
	uint32_t sum = checksum_add(0, from, frame->length - vnet->csum_start);
	bool udp = frame->protocol == PROTO_UDP && vnet->csum_offset == UDP_CHECKSUM;
	store_word(field, udp ? checksum_finish_udp(sum) : checksum_finish(sum));
}

enum drop segment_plan(struct frame *frame, const struct virtio_net_hdr *vnet, struct segment_plan *plan, bool *super)
{
	enum drop reason = segment_check(frame, vnet);
	*super = false;
	if (reason != DROP_NONE)
		return reason;
	if (vnet->gso_type == VIRTIO_NET_HDR_GSO_NONE) {
		if (vnet->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM)
			fill_checksum(frame, vnet);
		return DROP_NONE;
	}
	*plan = (struct segment_plan){
		.frame = frame,
		.headers = frame->l4 + frame_l4_header(frame),
		.size = vnet->gso_size,
		.gso_type = frame->protocol == PROTO_TCP ? vnet->gso_type : VIRTIO_NET_HDR_GSO_UDP_L4,
	};
	plan->count = (frame->ip_end - plan->headers + plan->size - 1) / plan->size;
	*super = true;
	return DROP_NONE;
}

/* The IP header of a segment that ends at `end`, with its length and, for IPv4, its id and checksum. */
static void write_ip(const struct frame *frame, unsigned index, uint8_t *out, uint32_t end)
{
	uint8_t *ip = out + frame->l3;
	if (frame->version == 6) {
		store16(ip + IP6_LENGTH, (uint16_t)(end - frame->l3 - IP6_HEADER));
		return;
	}
	store16(ip + IP4_LENGTH, (uint16_t)(end - frame->l3));
	store16(ip + IP4_ID, (uint16_t)(load16(ip + IP4_ID) + index));
	store16(ip + IP4_CHECKSUM, 0);
	store_word(ip + IP4_CHECKSUM, checksum_finish(checksum_add(0, ip, (size_t)(ip[IP4_VERSION_IHL] & 0xf) * 4)));
}

/* As Linux does: FIN and PSH belong to the last segment, CWR to the first. */
static void write_tcp(const struct segment_plan *plan, unsigned index, uint8_t *tcp)
{
	store32(tcp + TCP_SEQ, load32(tcp + TCP_SEQ) + index * plan->size);
	if (index + 1 < plan->count)
		tcp[TCP_FLAGS] &= (uint8_t) ~(TCP_FIN | TCP_PSH);
	if (index > 0)
		tcp[TCP_FLAGS] &= (uint8_t)~TCP_CWR;
}

uint32_t segment_write(const struct segment_plan *plan, unsigned index, uint8_t *out, const uint8_t **payload)
{
	const struct frame *frame = plan->frame;
	uint32_t at = plan->headers + index * plan->size;
	uint32_t length = frame->ip_end - at < plan->size ? frame->ip_end - at : plan->size;
	uint8_t *l4 = out + frame->l4;
	memcpy(out, frame->data, plan->headers);
	*payload = frame->data + at;
	write_ip(frame, index, out, plan->headers + length);
	uint8_t *field = l4 + (frame->protocol == PROTO_TCP ? TCP_CHECKSUM : UDP_CHECKSUM);
	if (frame->protocol == PROTO_TCP)
		write_tcp(plan, index, l4);
	else
		store16(l4 + UDP_LENGTH, (uint16_t)(UDP_HEADER + length));
	store16(field, 0);
	uint32_t sum = frame_pseudo_sum(frame, plan->headers + length - frame->l4);
	sum = checksum_add(sum, l4, plan->headers - frame->l4);
	sum = checksum_add(sum, *payload, length);
	store_word(field, frame->protocol == PROTO_UDP ? checksum_finish_udp(sum) : checksum_finish(sum));
	return length;
}
