/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_vxlan.c - any bytes as a datagram of a VXLAN socket: header, train, frames, and their virtio headers */
#include "tap/base/wire.h"
#include "vswitch/path/decap.h"

#include <assert.h>
#include <stdlib.h>

#define CONTROL 6 /* bytes in front of the datagram */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What the kernel checks in a virtio header, and what would be nonsense although it accepts it. */
static void check_shape(const struct frame *frame, unsigned mtu, uint32_t inner_gso)
{
	struct virtio_net_hdr vnet;
	uint32_t length = decap_shape(frame, mtu, inner_gso, &vnet);
	assert(length >= ETH_HEADER && length <= frame->length);
	if (!(vnet.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM)) {
		assert(!vnet.flags && !vnet.gso_type && !vnet.gso_size && !vnet.hdr_len && length == frame->length);
		return;
	}
	assert(vnet.csum_start + vnet.csum_offset + 2U <= length);
	assert(vnet.hdr_len <= length);
	if (!vnet.gso_type) {
		assert(!vnet.gso_size);
		return;
	}
	assert(vnet.gso_size > 0 && vnet.hdr_len > vnet.csum_start);
	assert(vnet.hdr_len + vnet.gso_size < length);
	assert(frame->protocol != PROTO_TCP || vnet.hdr_len - frame->l3 + vnet.gso_size <= mtu);
}

static void check_segment(uint8_t *data, size_t length, const uint8_t *control, uint32_t inner_gso)
{
	uint32_t vni = UINT32_MAX;
	struct frame frame;
	enum drop reason = decap_header(data, length, control[4] & 1, &vni);
	assert((reason == DROP_NONE) == (vni <= 0xffffff));
	assert(reason != DROP_NONE || decap_header(data, length, true, &vni) == DROP_NONE);
	if (reason != DROP_NONE)
		return;
	if (frame_parse(&frame, data + VXLAN_HEADER, length - VXLAN_HEADER) != DROP_NONE)
		return;
	if (frame_ecn_decapsulate(&frame, control[4] >> 1 & ECN_MASK) == DROP_NONE)
		check_shape(&frame, load16(control + 2), inner_gso);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t segment = 0;
	if (size <= CONTROL)
		return 0;
	size_t length = size - CONTROL;
	uint32_t gro_size = load16(data);
	uint8_t *bytes = malloc(length);
	for (size_t i = 0; i < length; i++)
		bytes[i] = data[CONTROL + i];
	if (decap_split(bytes, length, gro_size, &segment) == DROP_NONE) {
		assert(segment > 0 && segment <= length);
		assert(segment == length || segment == gro_size);
		uint32_t inner_gso = segment == length ? gro_size : 0;
		for (size_t at = 0; at < length; at += segment)
			check_segment(bytes + at, length - at < segment ? length - at : segment, data, inner_gso);
	}
	free(bytes);
	return 0;
}
