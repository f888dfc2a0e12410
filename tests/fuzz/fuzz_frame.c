/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_frame.c - any bytes as a frame, and every question about it */
#include "tap/base/checksum.h"
#include "tap/base/wire.h"
#include "vswitch/path/frame.h"
#include "vswitch/path/icmp.h"
#include "vswitch/path/mss.h"

#include <assert.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What frame.h promises about the fields. */
static void check_fields(const struct frame *frame, size_t size)
{
	assert(frame->length == size && frame->ip_end <= size);
	if (!frame->version) {
		assert(!frame->l3 && !frame->l4 && !frame->ip_end);
		return;
	}
	assert(frame->version == 4 || frame->version == 6);
	assert(frame->l3 == ETH_HEADER && frame->ip_end >= frame->l3 + (frame->version == 4 ? IP4_HEADER : IP6_HEADER));
	assert(!frame->l4 || (frame->l4 > frame->l3 && frame->l4 < frame->ip_end));
	unsigned header = frame_l4_header(frame);
	assert(!header || frame->l4 + header <= frame->ip_end);
}

static void check_reply(const struct frame *frame, unsigned mtu, size_t room)
{
	struct frame reply;
	uint8_t *out = malloc(room ? room : 1);
	size_t length = icmp_too_big(frame, mtu, out, room);
	assert(length <= room);
	if (length) {
		assert(frame->version && frame->ip_end - frame->l3 > mtu);
		enum drop reason = frame_parse(&reply, out, length);
		/* Its source is the frame's destination, which may be anything. */
		assert(reason == DROP_NONE || reason == DROP_BAD_SOURCE);
		assert(reason != DROP_NONE || (reply.version == frame->version && reply.l4 && reply.ip_end == length));
		/* An error is not answered with an error. */
		assert(reason != DROP_NONE || icmp_too_big(&reply, 0, out, room) == 0);
	}
	free(out);
}

static void check_ecn(const struct frame *frame, unsigned outer)
{
	struct frame copy = *frame;
	unsigned before = frame_ecn(frame);
	enum drop reason = frame_ecn_decapsulate(&copy, outer);
	unsigned after = frame_ecn(&copy);
	assert(before < 4 && after < 4 && frame_ecn_encapsulate(frame) != ECN_CE);
	assert(reason == DROP_NONE || (reason == DROP_ECN && outer == ECN_CE && before == ECN_NOT_ECT));
	assert(reason == DROP_NONE || after == before);
	assert(before != ECN_CE || after == ECN_CE);
}

/* Only MSS options and the checksum may change, and only once. */
static void check_clamp(const struct frame *frame, unsigned mtu)
{
	uint32_t length = frame->ip_end - frame->l4;
	bool was = frame->version && frame->l4 &&
		   checksum_valid(checksum_add(frame_pseudo_sum(frame, length), frame->data + frame->l4, length));
	bool changed = mss_clamp(frame, mtu, false);
	assert(!changed || (frame->protocol == PROTO_TCP && frame->data[frame->l4 + TCP_FLAGS] & TCP_SYN));
	assert(!changed ||
	       was == checksum_valid(checksum_add(frame_pseudo_sum(frame, length), frame->data + frame->l4, length)));
	assert(!mss_clamp(frame, mtu, false));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t secret[192] = {1};
	/* Two bytes that are not of the frame: the outer ECN, and the MTU of the answer. */
	if (size < 2)
		return 0;
	unsigned outer = data[0] & ECN_MASK, mtu = data[1] * 16U;
	size_t room = (size_t)(data[0] >> 2) * 16;
	data += 2;
	size -= 2;
	struct frame frame;
	uint8_t *bytes = malloc(size ? size : 1);
	for (size_t i = 0; i < size; i++)
		bytes[i] = data[i];
	if (frame_parse(&frame, bytes, size) == DROP_NONE) {
		check_fields(&frame, size);
		uint64_t hash = frame_flow_hash(&frame, secret, sizeof(secret));
		bool partial = frame_checksum_is_partial(&frame);
		assert(!partial || (frame.l4 && (frame.protocol == PROTO_TCP || frame.protocol == PROTO_UDP)));
		assert(!frame_is_link_local(&frame) || frame_is_group(&frame));
		check_reply(&frame, mtu, 2048);
		check_reply(&frame, mtu, room);
		check_clamp(&frame, mtu);
		check_ecn(&frame, outer);
		assert(frame_flow_hash(&frame, secret, sizeof(secret)) == hash || !frame.version);
	}
	free(bytes);
	return 0;
}
