/* SPDX-License-Identifier: Apache-2.0 */
/* frame.c - bounds-checked view of an inner Ethernet frame */
#include "vswitch/path/frame.h"

#include "tap/base/checksum.h"
#include "tap/base/wire.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

/* Keeps the offset of the L4 header if it is one that we read and is not cut short. */
static void note_l4(struct frame *frame, uint32_t offset)
{
	uint32_t need = frame->protocol == PROTO_TCP                                       ? TCP_HEADER
			: frame->protocol == PROTO_UDP                                     ? UDP_HEADER
			: frame->protocol == PROTO_ICMP4 || frame->protocol == PROTO_ICMP6 ? ICMP_HEADER
											   : UINT32_MAX;
	if (frame_reaches(frame, offset, need))
		frame->l4 = (uint16_t)offset;
}

static void parse_ip4(struct frame *frame)
{
	const uint8_t *ip = frame->data + ETH_HEADER;
	uint32_t room = frame->length - ETH_HEADER;
	if (room < IP4_HEADER || ip[IP4_VERSION_IHL] >> 4 != 4)
		return;
	uint32_t header = (ip[IP4_VERSION_IHL] & 0xfU) * 4;
	uint32_t total = load16(ip + IP4_LENGTH);
	if (header < IP4_HEADER || total < header || total > room)
		return;
	frame->version = 4;
	frame->l3 = ETH_HEADER;
	frame->ip_end = ETH_HEADER + total;
	frame->protocol = ip[IP4_PROTOCOL];
	if (!(load16(ip + IP4_FRAGMENT) & IP4_MF_AND_OFFSET))
		note_l4(frame, ETH_HEADER + header);
}

/* Length of the extension header at `offset`; 0 when the chain ends there. */
static uint32_t ip6_extension(const struct frame *frame, uint32_t offset, uint8_t kind)
{
	if (kind != PROTO_HOPOPTS && kind != PROTO_ROUTING && kind != PROTO_DSTOPTS)
		return 0;
	if (!frame_reaches(frame, offset, 8))
		return 0;
	return (frame->data[offset + 1] + 1U) * 8;
}

static void parse_ip6(struct frame *frame)
{
	const uint8_t *ip = frame->data + ETH_HEADER;
	uint32_t room = frame->length - ETH_HEADER;
	if (room < IP6_HEADER || ip[IP6_VERSION_CLASS] >> 4 != 6)
		return;
	uint32_t total = IP6_HEADER + (uint32_t)load16(ip + IP6_LENGTH);
	if (total > room)
		return;
	frame->version = 6;
	frame->l3 = ETH_HEADER;
	frame->ip_end = ETH_HEADER + total;
	frame->protocol = ip[IP6_NEXT];
	uint32_t offset = ETH_HEADER + IP6_HEADER;
	for (unsigned i = 0; i < IP6_MAX_EXTENSIONS; i++) {
		uint32_t skip = ip6_extension(frame, offset, frame->protocol);
		if (!skip || !frame_reaches(frame, offset, skip))
			break;
		frame->protocol = frame->data[offset];
		offset += skip;
	}
	note_l4(frame, offset);
}

enum drop frame_parse(struct frame *out, uint8_t *data, size_t length)
{
	*out = (struct frame){.data = data, .length = (uint32_t)length};
	if (length < ETH_HEADER || length > UINT32_MAX)
		return DROP_RUNT;
	out->ethertype = load16(data + ETH_TYPE);
	if (out->ethertype == ETHERTYPE_VLAN_C || out->ethertype == ETHERTYPE_VLAN_S ||
	    out->ethertype == ETHERTYPE_VLAN_OLD)
		return DROP_VLAN;
	const uint8_t *src = data + ETH_SRC;
	if (src[0] & 1 || !(src[0] | src[1] | src[2] | src[3] | src[4] | src[5]))
		return DROP_BAD_SOURCE;
	if (out->ethertype == ETHERTYPE_IP4)
		parse_ip4(out);
	else if (out->ethertype == ETHERTYPE_IP6)
		parse_ip6(out);
	return DROP_NONE;
}

bool frame_is_link_local(const struct frame *frame)
{
	static const uint8_t block[5] = {0x01, 0x80, 0xc2, 0x00, 0x00};
	return !memcmp(frame->data, block, sizeof(block)) && frame->data[5] < 0x10;
}

uint64_t frame_flow_hash(const struct frame *frame, const uint8_t *secret, size_t secret_size)
{
	uint8_t key[40] = {0};
	size_t used;
	if (frame->version == 4) {
		memcpy(key, frame->data + frame->l3 + IP4_SRC, 8);
		used = 8;
	} else if (frame->version == 6) {
		memcpy(key, frame->data + frame->l3 + IP6_SRC, 32);
		used = 32;
	} else {
		memcpy(key, frame->data, ETH_HEADER);
		return XXH3_64bits_withSecret(key, ETH_HEADER, secret, secret_size);
	}
	key[used++] = frame->protocol;
	if (frame->l4 && (frame->protocol == PROTO_TCP || frame->protocol == PROTO_UDP)) {
		memcpy(key + used, frame->data + frame->l4, 4);
		used += 4;
	}
	return XXH3_64bits_withSecret(key, used, secret, secret_size);
}

unsigned frame_ecn(const struct frame *frame)
{
	const uint8_t *ip = frame->data + frame->l3;
	if (frame->version == 4)
		return ip[IP4_TOS] & ECN_MASK;
	if (frame->version == 6)
		return ip[1] >> 4 & ECN_MASK;
	return ECN_NOT_ECT;
}

unsigned frame_ecn_encapsulate(const struct frame *frame)
{
	unsigned ecn = frame_ecn(frame);
	return ecn == ECN_CE ? ECN_ECT0 : ecn;
}

static void set_ecn(struct frame *frame, unsigned ecn)
{
	uint8_t *ip = frame->data + frame->l3;
	if (frame->version == 6) {
		ip[1] = (uint8_t)((ip[1] & ~(ECN_MASK << 4)) | ecn << 4);
		return;
	}
	uint16_t was = load_word(ip);
	ip[IP4_TOS] = (uint8_t)((ip[IP4_TOS] & ~ECN_MASK) | ecn);
	store_word(ip + IP4_CHECKSUM, checksum_update(load_word(ip + IP4_CHECKSUM), was, load_word(ip)));
}

enum drop frame_ecn_decapsulate(struct frame *frame, unsigned outer)
{
	if (!frame->version)
		return DROP_NONE;
	unsigned inner = frame_ecn(frame);
	if (outer == ECN_CE && inner == ECN_NOT_ECT)
		return DROP_ECN;
	if (outer == ECN_CE && inner != ECN_CE)
		set_ecn(frame, ECN_CE);
	else if (outer == ECN_ECT1 && inner == ECN_ECT0)
		set_ecn(frame, ECN_ECT1);
	return DROP_NONE;
}

uint32_t frame_pseudo_sum(const struct frame *frame, uint32_t length)
{
	const uint8_t *ip = frame->data + frame->l3;
	if (frame->version == 4)
		return checksum_pseudo4(ip + IP4_SRC, ip + IP4_DST, frame->protocol, (uint16_t)length);
	return checksum_pseudo6(ip + IP6_SRC, ip + IP6_DST, frame->protocol, length);
}

bool frame_checksum_is_partial(const struct frame *frame)
{
	uint32_t field;
	if (!frame->l4 || !frame->version)
		return false;
	if (frame->protocol == PROTO_TCP)
		field = frame->l4 + TCP_CHECKSUM;
	else if (frame->protocol == PROTO_UDP)
		field = frame->l4 + UDP_CHECKSUM;
	else
		return false;
	return load_word(frame->data + field) == checksum_fold(frame_pseudo_sum(frame, frame->ip_end - frame->l4));
}

unsigned frame_l4_header(const struct frame *frame)
{
	if (!frame->l4)
		return 0;
	if (frame->protocol == PROTO_UDP)
		return UDP_HEADER;
	if (frame->protocol != PROTO_TCP)
		return 0;
	unsigned length = (unsigned)(frame->data[frame->l4 + TCP_OFFSET] >> 4) * 4;
	return length >= TCP_HEADER && frame_reaches(frame, frame->l4, length) ? length : 0;
}
