/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_segment.c - any virtio header in front of any frame, and every segment cut from it */
#include "vswitch/path/segment.h"

#include "tap/base/checksum.h"
#include "tap/base/wire.h"

#include <assert.h>
#include <stdlib.h>

#define VNET 10

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Exactly as long as needed, so that a sanitizer sees a byte too many. */
static uint8_t *copy_of(const uint8_t *data, size_t size)
{
	uint8_t *copy = malloc(size ? size : 1);
	assert(copy);
	for (size_t i = 0; i < size; i++)
		copy[i] = data[i];
	return copy;
}

static bool has_routing(const struct frame *frame)
{
	/* The address in the header is then not the one that the checksum is about. */
	return frame->version == 6 && frame->l4 != ETH_HEADER + IP6_HEADER;
}

/* A segment by itself is a frame whose lengths and checksums are right. */
static void check_segment(const struct segment_plan *plan, const uint8_t *head, const uint8_t *payload, uint32_t length)
{
	struct frame frame;
	uint32_t sum = 0;
	uint8_t *bytes = malloc(plan->headers + length);
	assert(bytes);
	memcpy(bytes, head, plan->headers);
	memcpy(bytes + plan->headers, payload, length);
	assert(frame_parse(&frame, bytes, plan->headers + length) == DROP_NONE);
	assert(frame.version == plan->frame->version && frame.l4 == plan->frame->l4 && frame.ip_end == frame.length);
	const uint8_t *ip = bytes + frame.l3;
	uint32_t l4_length = frame.ip_end - frame.l4;
	if (frame.version == 4) {
		assert(checksum_valid(checksum_add(0, ip, (size_t)(ip[0] & 0xf) * 4)));
		sum = checksum_pseudo4(ip + IP4_SRC, ip + IP4_DST, frame.protocol, (uint16_t)l4_length);
	} else {
		sum = checksum_pseudo6(ip + IP6_SRC, ip + IP6_DST, frame.protocol, l4_length);
	}
	assert(has_routing(&frame) || checksum_valid(checksum_add(sum, bytes + frame.l4, l4_length)));
	assert(frame.protocol != PROTO_UDP || load16(bytes + frame.l4 + UDP_LENGTH) == l4_length);
	free(bytes);
}

static void check_plan(const struct segment_plan *plan)
{
	uint32_t all = 0;
	assert(plan->count >= 1 && plan->count <= SEGMENT_MAX);
	assert(plan->headers <= SEGMENT_MAX_HEADERS && plan->headers < plan->frame->ip_end);
	for (unsigned i = 0; i < plan->count; i++) {
		const uint8_t *payload;
		uint8_t *head = malloc(plan->headers);
		assert(head);
		uint32_t length = segment_write(plan, i, head, &payload);
		assert(length > 0 && length <= plan->size && (length == plan->size || i + 1 == plan->count));
		assert(payload == plan->frame->data + plan->headers + all);
		all += length;
		check_segment(plan, head, payload, length);
		free(head);
	}
	assert(plan->headers + all == plan->frame->ip_end);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct virtio_net_hdr vnet;
	struct segment_plan plan;
	struct frame frame;
	bool super;
	_Static_assert(sizeof(vnet) == VNET, "the header as a TAP has it");
	if (size < VNET)
		return 0;
	memcpy(&vnet, data, VNET);
	size -= VNET;
	uint8_t *bytes = copy_of(data + VNET, size);
	if (frame_parse(&frame, bytes, size) == DROP_NONE) {
		enum drop checked = segment_check(&frame, &vnet);
		enum drop reason = segment_plan(&frame, &vnet, &plan, &super);
		assert(reason == checked && (reason == DROP_NONE || reason == DROP_BAD_VNET));
		assert(!super || reason == DROP_NONE);
		/* Only a partial checksum is written. */
		assert((!super && reason == DROP_NONE && vnet.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) ||
		       !memcmp(bytes, data + VNET, size));
		if (super)
			check_plan(&plan);
	}
	free(bytes);
	return 0;
}
