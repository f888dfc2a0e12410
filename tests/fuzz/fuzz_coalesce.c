/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_coalesce.c - any sequence of frames is joined and cut apart again: not a byte differs
 *
 * The input is a list of orders, ORDER bytes each: the next segment of one stream, of any length, with a byte changed
 * anywhere and its checksums right or wrong. Random frames would hardly ever join.
 */
#include "tap/base/wire.h"
#include "vswitch/path/coalesce.h"
#include "vswitch/path/segment.h"

#include "tests/unit/cut.h"

#include <assert.h>

enum { ORDER = 7, MOST = 200 };

/* Flags of an order */
enum { CHANGED = 1, SUMS_RIGHT = 2, PARTIAL = 4, PADDED = 8, PUSHED = 16 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct stream {
	struct recipe recipe;
	uint32_t seq;
	uint16_t id;
	uint8_t fragment; /* the byte with DF */
};

static struct test_packet packets[MOST], as_given[MOST], piece;
static struct coalesce_group group;
static unsigned members[COALESCE_FRAMES];

static void fix_sums(struct test_packet *packet, const struct stream *stream, bool partial)
{
	if (stream->recipe.version == 4)
		packet_fix_ip4(packet->bytes);
	packet_fix_l4(packet, stream->recipe.protocol, partial);
}

static void build(struct test_packet *packet, struct stream *stream, const uint8_t *order)
{
	stream->recipe.payload = load16(order) % 1500U;
	stream->recipe.padding = order[2] & PADDED ? 5 : 0;
	packet_build(packet, &stream->recipe);
	if (stream->recipe.version == 4) {
		packet->bytes[20] = stream->fragment;
		packet_put16(packet->bytes + 18, stream->id++);
	}
	if (stream->recipe.protocol == 6) {
		packet_put32(packet->bytes + packet->l4 + 4, stream->seq);
		packet->bytes[packet->l4 + 13] |= order[2] & PUSHED ? 8 : 0;
		stream->seq += (uint32_t)stream->recipe.payload;
	}
	fix_sums(packet, stream, order[2] & PARTIAL);
	if (!(order[2] & CHANGED))
		return;
	packet->bytes[load16(order + 3) % packet->length] ^= order[5];
	/* Where the headers are still where the plain sums expect them. */
	if (order[2] & SUMS_RIGHT && packet->bytes[14] == (stream->recipe.version == 4 ? 0x45 : 0x60))
		fix_sums(packet, stream, order[2] & PARTIAL);
}

/* A member before it joined, with a partial checksum filled in. */
static struct test_packet *completed(unsigned member, const struct frame *frame)
{
	struct test_packet *packet = &as_given[member];
	struct frame before = *frame;
	before.data = packet->bytes;
	packet->length = packet->end = frame->ip_end;
	packet->l4 = frame->l4;
	if (frame_checksum_is_partial(&before))
		packet_fix_l4(packet, frame->protocol, false);
	return packet;
}

static void check_members(const struct test_packet *whole, const struct virtio_net_hdr *vnet)
{
	struct frame frame;
	bool atomic = whole->bytes[14] >> 4 == 4 && whole->bytes[20] & 0x40;
	assert(cut_count(whole, vnet->gso_size) == group.count);
	for (unsigned i = 0; i < group.count; i++) {
		struct test_packet *given = &as_given[members[i]];
		assert(frame_parse(&frame, given->bytes, given->length) == DROP_NONE);
		given = completed(members[i], &frame);
		cut(whole, vnet->gso_size, i, false, &piece);
		if (atomic) { /* ids that mean nothing */
			memcpy(piece.bytes + 18, given->bytes + 18, 2);
			packet_fix_ip4(piece.bytes);
		}
		assert(packet_intact(given));
		assert(piece.length == given->length && !memcmp(piece.bytes, given->bytes, given->length));
	}
}

/* The group leaves, and must consist of its members. */
static void finish(void)
{
	static struct test_packet whole;
	struct virtio_net_hdr vnet;
	struct segment_plan plan;
	struct frame frame;
	bool super;
	if (group.count < 2)
		return;
	uint32_t length = coalesce_finish(&group, &vnet);
	whole.length = whole.end = 0;
	for (unsigned i = 0; i < group.count; i++) {
		memcpy(whole.bytes + whole.end, group.pieces[i].iov_base, group.pieces[i].iov_len);
		whole.length = whole.end += group.pieces[i].iov_len;
	}
	assert(whole.length == length && length <= 14 + 65535);
	assert(frame_parse(&frame, whole.bytes, whole.length) == DROP_NONE && frame.ip_end == length);
	whole.l4 = frame.l4;
	assert(segment_plan(&frame, &vnet, &plan, &super) == DROP_NONE && super && plan.count == group.count);
	check_members(&whole, &vnet);
}

static void offer(unsigned n)
{
	struct frame frame;
	if (frame_parse(&frame, packets[n].bytes, packets[n].length) != DROP_NONE)
		return;
	if (group.count && coalesce_same_flow(&group, &group, &frame) && coalesce_join(&group, &frame)) {
		members[group.count - 1] = n;
		return;
	}
	finish();
	group.count = 0;
	if (!coalesce_can_start(&frame))
		return;
	coalesce_start(&group, &group, &frame);
	members[0] = n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 4)
		return 0;
	struct stream stream = {
		.recipe = {.version = data[0] & 1 ? 6 : 4, .protocol = data[0] & 2 ? 17 : 6, .tos = data[1]},
		.fragment = data[0] & 4 ? 0x40 : 0,
		.id = 0xfff8,
		.seq = 0xfffff000};
	stream.recipe.tcp_options = data[2] % 11 * 4U;
	group.count = 0;
	data += 4;
	size -= 4;
	for (unsigned n = 0; n < MOST && size >= ORDER; n++, data += ORDER, size -= ORDER) {
		build(&packets[n], &stream, data);
		as_given[n].length = packets[n].length;
		memcpy(as_given[n].bytes, packets[n].bytes, packets[n].length);
		offer(n);
	}
	finish();
	return 0;
}
