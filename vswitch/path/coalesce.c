/* SPDX-License-Identifier: Apache-2.0 */
/* coalesce.c - joining segments that arrived, before a pod gets them */
#include "vswitch/path/coalesce.h"

#include "tap/base/checksum.h"
#include "tap/base/wire.h"
#include "vswitch/path/segment.h"

#define MAX_IP UINT16_MAX

static const uint8_t *l3(const struct frame *frame)
{
	return frame->data + frame->l3;
}

static const uint8_t *l4(const struct frame *frame)
{
	return frame->data + frame->l4;
}

static bool plain_ip(const struct frame *frame)
{
	if (frame->version == 4)
		return frame->l4 == frame->l3 + IP4_HEADER;
	return frame->version == 6 && frame->l4 == frame->l3 + IP6_HEADER;
}

/* TCP or UDP with payload, and headers that segmentation copies unchanged. */
static bool is_data(const struct frame *frame)
{
	unsigned header = frame_l4_header(frame);
	return header && plain_ip(frame) && (uint32_t)frame->l4 + header < frame->ip_end;
}

bool coalesce_can_start(const struct frame *frame)
{
	if (!is_data(frame))
		return false;
	if (frame->protocol == PROTO_UDP)
		return load16(l4(frame) + UDP_LENGTH) == frame->ip_end - frame->l4;
	/* What ends a group cannot begin one. */
	return !(l4(frame)[TCP_FLAGS] & (TCP_FIN | TCP_SYN | TCP_RST | TCP_PSH | TCP_URG | TCP_CWR));
}

void coalesce_start(struct coalesce_group *group, void *port, const struct frame *frame)
{
	group->port = port;
	group->first = *frame;
	group->headers = frame->l4 + frame_l4_header(frame);
	group->size = group->payload = frame->ip_end - group->headers;
	group->closed = group->verified = false;
	group->count = 1;
	group->pieces[0] = (struct iovec){frame->data, frame->ip_end};
	if (frame->protocol == PROTO_TCP) {
		group->next_seq = load32(l4(frame) + TCP_SEQ) + group->payload;
		group->last_flags = l4(frame)[TCP_FLAGS];
	}
}

bool coalesce_same_flow(const struct coalesce_group *group, const void *port, const struct frame *frame)
{
	const struct frame *first = &group->first;
	if (group->port != port || first->version != frame->version || first->protocol != frame->protocol ||
	    !frame->l4 || memcmp(l4(first), l4(frame), 4) != 0)
		return false;
	return frame->version == 4 ? !memcmp(l3(first) + IP4_SRC, l3(frame) + IP4_SRC, 8)
				   : !memcmp(l3(first) + IP6_SRC, l3(frame) + IP6_SRC, 32);
}

/* What must be equal in the Ethernet and IP headers. Ids count up, or stay the same where DF makes them meaningless. */
static bool same_ip(const struct coalesce_group *group, const struct frame *frame)
{
	const uint8_t *a = l3(&group->first), *b = l3(frame);
	if (memcmp(group->first.data, frame->data, ETH_HEADER) != 0)
		return false;
	if (frame->version == 6)
		return load32(a) == load32(b) && a[IP6_HOPS] == b[IP6_HOPS];
	uint16_t step = (uint16_t)(load16(b + IP4_ID) - load16(a + IP4_ID));
	bool fixed = step == 0 && load16(a + IP4_FRAGMENT) == IP4_DF;
	return a[IP4_TOS] == b[IP4_TOS] && a[IP4_TTL] == b[IP4_TTL] &&
	       load16(a + IP4_FRAGMENT) == load16(b + IP4_FRAGMENT) && (step == group->count || fixed);
}

/* The next bytes of the stream, with the same acknowledgement and options. */
static bool continues_tcp(const struct coalesce_group *group, const struct frame *frame)
{
	const uint8_t *a = l4(&group->first), *b = l4(frame);
	uint8_t ends = TCP_FIN | TCP_PSH;
	return load32(b + TCP_SEQ) == group->next_seq && load32(a + TCP_ACK) == load32(b + TCP_ACK) &&
	       a[TCP_OFFSET] == b[TCP_OFFSET] && load16(a + TCP_WINDOW) == load16(b + TCP_WINDOW) &&
	       load16(a + TCP_URGENT) == load16(b + TCP_URGENT) && (a[TCP_FLAGS] & ~ends) == (b[TCP_FLAGS] & ~ends) &&
	       !memcmp(a + TCP_HEADER, b + TCP_HEADER, group->headers - group->first.l4 - TCP_HEADER);
}

/* Whether the checksum is right, or was left partial. UDP without a checksum stays alone: the group would add one. */
static bool coalesce_checksum_valid(const struct frame *frame)
{
	uint32_t length = frame->ip_end - frame->l4;
	const uint8_t *ip = l3(frame);
	if (frame->protocol == PROTO_UDP && !load_word(l4(frame) + UDP_CHECKSUM))
		return false;
	if (frame->version == 4 && !checksum_valid(checksum_add(0, ip, IP4_HEADER)))
		return false;
	if (frame_checksum_is_partial(frame))
		return true;
	return checksum_valid(checksum_add(frame_pseudo_sum(frame, length), l4(frame), length));
}

static bool coalesce_fits(const struct coalesce_group *group, const struct frame *frame)
{
	uint32_t payload = frame->ip_end - group->headers;
	return !group->closed && group->count < COALESCE_FRAMES && payload <= group->size &&
	       group->headers - ETH_HEADER + group->payload + payload <= MAX_IP;
}

bool coalesce_join(struct coalesce_group *group, const struct frame *frame)
{
	bool tcp = frame->protocol == PROTO_TCP;
	if (!is_data(frame) || frame->l4 + frame_l4_header(frame) != group->headers || !coalesce_fits(group, frame) ||
	    !same_ip(group, frame))
		return false;
	if (tcp ? !continues_tcp(group, frame) : !coalesce_can_start(frame))
		return false;
	if (!group->verified && !coalesce_checksum_valid(&group->first))
		group->closed = true;
	group->verified = true;
	if (group->closed || !coalesce_checksum_valid(frame))
		return false;
	uint32_t payload = frame->ip_end - group->headers;
	group->pieces[group->count++] = (struct iovec){frame->data + group->headers, payload};
	group->payload += payload;
	group->closed = payload < group->size;
	if (tcp) {
		group->next_seq += payload;
		group->last_flags = l4(frame)[TCP_FLAGS];
		group->closed |= group->last_flags & (TCP_FIN | TCP_PSH);
	}
	return true;
}

uint32_t coalesce_finish(struct coalesce_group *group, struct virtio_net_hdr *vnet)
{
	const struct frame *first = &group->first;
	uint8_t *ip = first->data + first->l3, *transport = first->data + first->l4;
	uint32_t length = group->headers + group->payload, l4_length = length - first->l4;
	bool tcp = first->protocol == PROTO_TCP;
	if (first->version == 4) {
		uint16_t was = load_word(ip + IP4_LENGTH);
		store16(ip + IP4_LENGTH, (uint16_t)(length - first->l3));
		store_word(ip + IP4_CHECKSUM,
			   checksum_update(load_word(ip + IP4_CHECKSUM), was, load_word(ip + IP4_LENGTH)));
	} else {
		store16(ip + IP6_LENGTH, (uint16_t)l4_length);
	}
	if (tcp)
		transport[TCP_FLAGS] = group->last_flags;
	else
		store16(transport + UDP_LENGTH, (uint16_t)l4_length);
	*vnet = (struct virtio_net_hdr){.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
					.hdr_len = (uint16_t)group->headers,
					.gso_size = (uint16_t)group->size,
					.csum_start = first->l4,
					.csum_offset = tcp ? TCP_CHECKSUM : UDP_CHECKSUM};
	vnet->gso_type = !tcp                  ? VIRTIO_NET_HDR_GSO_UDP_L4
			 : first->version == 4 ? VIRTIO_NET_HDR_GSO_TCPV4
					       : VIRTIO_NET_HDR_GSO_TCPV6;
	store_word(transport + vnet->csum_offset, checksum_fold(frame_pseudo_sum(first, l4_length)));
	return length;
}
