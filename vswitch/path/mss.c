/* SPDX-License-Identifier: Apache-2.0 */
/* mss.c - the size of segments that the ends of a TCP connection ask for */
#include "vswitch/path/mss.h"

#include "tap/base/checksum.h"
#include "tap/base/wire.h"

/* TCP options (RFC 9293, section 3.1): a kind; for all but the first two a length, which includes these two bytes. */
enum { TCP_OPTION_END = 0, TCP_OPTION_NOP = 1, TCP_OPTION_MSS = 2, TCP_OPTION_MSS_LENGTH = 4 };

static uint16_t swap16(uint16_t word)
{
	return (uint16_t)(word << 8 | word >> 8);
}

/* The value may be at an odd offset of the summed data: then its bytes count as if they were exchanged. */
static void fix_checksum(uint8_t *tcp, unsigned at, uint16_t was, uint16_t now)
{
	uint16_t check = load_word(tcp + TCP_CHECKSUM);
	if (at & 1)
		check = checksum_update(check, swap16(was), swap16(now));
	else
		check = checksum_update(check, was, now);
	store_word(tcp + TCP_CHECKSUM, check);
}

static bool lower(uint8_t *tcp, unsigned at, uint16_t most, bool partial)
{
	uint16_t was = load_word(tcp + at);
	if (load16(tcp + at) <= most)
		return false;
	store16(tcp + at, most);
	if (!partial)
		fix_checksum(tcp, at, was, load_word(tcp + at));
	return true;
}

/* Options from TCP_HEADER to `end`; the walk ends at the first that makes no sense. */
static bool lower_options(uint8_t *tcp, unsigned end, uint16_t most, bool partial)
{
	bool changed = false;
	for (unsigned at = TCP_HEADER; at < end && tcp[at] != TCP_OPTION_END;) {
		if (tcp[at] == TCP_OPTION_NOP) {
			at++;
			continue;
		}
		unsigned length = at + 1 < end ? tcp[at + 1] : 0;
		if (length < 2 || length > end - at)
			break;
		if (tcp[at] == TCP_OPTION_MSS && length == TCP_OPTION_MSS_LENGTH)
			changed |= lower(tcp, at + 2, most, partial);
		at += length;
	}
	return changed;
}

bool mss_clamp(const struct frame *frame, unsigned mtu, bool partial)
{
	unsigned ip = frame->version == 6 ? IP6_HEADER : IP4_HEADER, header = frame_l4_header(frame);
	uint8_t *tcp = frame->data + frame->l4;
	if (frame->protocol != PROTO_TCP || !header || !(tcp[TCP_FLAGS] & TCP_SYN) || mtu <= ip + TCP_HEADER)
		return false;
	unsigned most = mtu - ip - TCP_HEADER;
	return lower_options(tcp, header, most < UINT16_MAX ? (uint16_t)most : UINT16_MAX, partial);
}
