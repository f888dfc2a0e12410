/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_identity.c - any frame of a pod, and in whose name it is */
#include "tap/base/wire.h"
#include "vswitch/path/identity.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct identity own = {.n4 = 1, .n6 = 1, .ip4 = {{172, 16, 0, 11}}, .ip6 = {{0xfd, 0x42, [15] = 0x11}}};

/* What passes, seen with other eyes: by fixed offsets alone. */
static void check_passed(const struct frame *frame)
{
	static const uint8_t nobody[16], link_local[8] = {0xfe, 0x80};
	const uint8_t *l3 = frame->data + ETH_HEADER;
	switch (frame->ethertype) {
	case 0x0806:
		assert(frame->length >= 42 && !memcmp(l3 + 8, frame_src(frame), 6));
		assert(!memcmp(l3 + 14, own.ip4[0], 4) || !memcmp(l3 + 14, nobody, 4));
		return;
	case 0x0800:
		assert(frame->version == 4);
		assert(!memcmp(l3 + 12, own.ip4[0], 4) || !memcmp(l3 + 12, nobody, 4));
		return;
	default:
		assert(frame->ethertype == 0x86dd && frame->version == 6);
		assert(!memcmp(l3 + 8, own.ip6[0], 16) || !memcmp(l3 + 8, nobody, 16) ||
		       !memcmp(l3 + 8, link_local, 8));
		/* Without extension headers. */
		assert(l3[6] != 58 || (l3[40] != 134 && l3[40] != 137 && l3[40] != 130));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct frame frame;
	uint8_t *copy = malloc(size ? size : 1);
	memcpy(copy, data, size);
	if (frame_parse(&frame, copy, size) == DROP_NONE) {
		enum drop whole = identity_check(&own, &frame, false, 4789),
			  super = identity_check(&own, &frame, true, 4789);
		if (whole == DROP_NONE)
			check_passed(&frame);
		/* Of a super-frame less can be seen, so it never passes where the frame would not. */
		assert(super != DROP_NONE || whole == DROP_NONE);
	}
	free(copy);
	return 0;
}
