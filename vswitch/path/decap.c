/* SPDX-License-Identifier: Apache-2.0 */
/* decap.c - what a received datagram is, and how the frame in it is handed to a TAP */
#include "vswitch/path/decap.h"

#include "tap/base/wire.h"
#include "vswitch/path/probe.h"
#include "vswitch/path/segment.h"

enum drop decap_header(const uint8_t *data, size_t length, bool ignore_reserved, uint32_t *vni)
{
	if (length < VXLAN_HEADER)
		return DROP_SHORT_HEADER;
	if (!(data[VXLAN_FLAGS] & VXLAN_FLAG_I))
		return probe_is(data, length) ? DROP_PROBE : DROP_BAD_FLAGS;
	if (!ignore_reserved &&
	    (data[VXLAN_FLAGS] != VXLAN_FLAG_I || load24(data + VXLAN_RESERVED1) != 0 || data[VXLAN_RESERVED2] != 0))
		return DROP_RESERVED_BITS;
	*vni = load24(data + VXLAN_VNI);
	return DROP_NONE;
}

enum drop decap_split(uint8_t *data, size_t length, uint32_t gro_size, size_t *segment)
{
	*segment = length;
	if (!gro_size || length <= VXLAN_HEADER)
		return DROP_NONE;
	struct frame first;
	if (frame_parse(&first, data + VXLAN_HEADER, length - VXLAN_HEADER) == DROP_NONE && first.version) {
		if (VXLAN_HEADER + (size_t)first.ip_end == length)
			return DROP_NONE;
		if (VXLAN_HEADER + (size_t)first.ip_end > gro_size)
			return DROP_BAD_LENGTH;
	}
	if (gro_size < length)
		*segment = gro_size;
	return DROP_NONE;
}

/* Fills in what makes the frame a super-frame, if it can be one. */
static void shape_super(const struct frame *frame, unsigned mtu, uint32_t inner_gso, struct virtio_net_hdr *out)
{
	unsigned headers = frame->l4 + frame_l4_header(frame);
	unsigned ip_headers = headers - frame->l3;
	if (!frame_l4_header(frame))
		return;
	if (frame->protocol == PROTO_UDP && inner_gso && headers + inner_gso < frame->ip_end) {
		out->gso_type = VIRTIO_NET_HDR_GSO_UDP_L4;
		out->gso_size = (uint16_t)inner_gso;
	} else if (frame->protocol == PROTO_TCP && frame->ip_end - frame->l3 > mtu && mtu > ip_headers) {
		out->gso_type = frame->version == 4 ? VIRTIO_NET_HDR_GSO_TCPV4 : VIRTIO_NET_HDR_GSO_TCPV6;
		if (frame->data[frame->l4 + TCP_FLAGS] & TCP_CWR)
			out->gso_type |= VIRTIO_NET_HDR_GSO_ECN;
		out->gso_size = (uint16_t)(mtu - ip_headers);
	} else {
		return;
	}
	out->hdr_len = (uint16_t)headers;
}

uint32_t decap_shape(const struct frame *frame, unsigned mtu, uint32_t inner_gso, struct virtio_net_hdr *out)
{
	*out = (struct virtio_net_hdr){0};
	if (!frame_checksum_is_partial(frame))
		return frame->length;
	out->flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
	out->csum_start = frame->l4;
	out->csum_offset = frame->protocol == PROTO_TCP ? TCP_CHECKSUM : UDP_CHECKSUM;
	shape_super(frame, mtu, inner_gso, out);
	return frame->ip_end;
}
