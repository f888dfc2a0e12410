/* SPDX-License-Identifier: Apache-2.0 */
/* icmp.c - the ICMP error for a frame that does not fit the path */
#include "vswitch/path/icmp.h"

#include "tap/base/checksum.h"
#include "tap/base/wire.h"

#define QUOTE4 (576 - IP4_HEADER - ICMP_HEADER)         /* RFC 1812, section 4.3.2.3 */
#define QUOTE6 (IP6_MIN_MTU - IP6_HEADER - ICMP_HEADER) /* RFC 4443, section 2.4 (c) */
#define TTL 64

static bool is_error4(const struct frame *frame)
{
	if (frame->protocol != PROTO_ICMP4 || !frame->l4)
		return false;
	uint8_t type = frame->data[frame->l4 + ICMP_TYPE];
	return (type >= ICMP4_UNREACHABLE && type <= ICMP4_REDIRECT) || type == ICMP4_TIME_EXCEEDED ||
	       type == ICMP4_PARAMETER;
}

static bool is_error6(const struct frame *frame)
{
	return frame->protocol == PROTO_ICMP6 && frame->l4 && frame->data[frame->l4 + ICMP_TYPE] <= ICMP6_LAST_ERROR;
}

/*
 * RFC 1122: no answer to a source in 0.0.0.0/8, from or to 224.0.0.0 and above, or to a later fragment, which has no
 * ports.
 */
static bool is_answerable4(const struct frame *frame)
{
	const uint8_t *ip = frame->data + frame->l3;
	return !(load16(ip + IP4_FRAGMENT) & IP4_OFFSET) && ip[IP4_SRC] != 0 && ip[IP4_SRC] < 224 &&
	       ip[IP4_DST] < 224 && !is_error4(frame);
}

static bool is_answerable6(const struct frame *frame)
{
	static const uint8_t unspecified[16];
	const uint8_t *ip = frame->data + frame->l3;
	return memcmp(ip + IP6_SRC, unspecified, 16) != 0 && ip[IP6_SRC] != 0xff && ip[IP6_DST] != 0xff &&
	       !is_error6(frame);
}

static void write_ethernet(const struct frame *frame, uint8_t *out)
{
	memcpy(out + ETH_DST, frame->data + ETH_SRC, 6);
	memcpy(out + ETH_SRC, frame->data + ETH_DST, 6);
	store16(out + ETH_TYPE, frame->ethertype);
}

static size_t build4(const struct frame *frame, unsigned mtu, uint8_t *out, size_t quote)
{
	const uint8_t *packet = frame->data + frame->l3;
	uint8_t *ip = out + ETH_HEADER, *icmp = ip + IP4_HEADER;
	memset(ip, 0, IP4_HEADER + ICMP_HEADER);
	ip[IP4_VERSION_IHL] = 0x45;
	ip[IP4_TOS] = 0xc0; /* internetwork control, as RFC 1812 section 4.3.2.5 recommends */
	store16(ip + IP4_LENGTH, (uint16_t)(IP4_HEADER + ICMP_HEADER + quote));
	ip[IP4_TTL] = TTL;
	ip[IP4_PROTOCOL] = PROTO_ICMP4;
	memcpy(ip + IP4_SRC, packet + IP4_DST, 4);
	memcpy(ip + IP4_DST, packet + IP4_SRC, 4);
	store_word(ip + IP4_CHECKSUM, checksum_finish(checksum_add(0, ip, IP4_HEADER)));
	icmp[ICMP_TYPE] = ICMP4_UNREACHABLE;
	icmp[ICMP_CODE] = ICMP4_FRAG_NEEDED;
	store16(icmp + ICMP_MTU4, (uint16_t)mtu);
	memcpy(icmp + ICMP_HEADER, packet, quote);
	store_word(icmp + ICMP_CHECKSUM, checksum_finish(checksum_add(0, icmp, ICMP_HEADER + quote)));
	return ETH_HEADER + IP4_HEADER + ICMP_HEADER + quote;
}

static size_t build6(const struct frame *frame, unsigned mtu, uint8_t *out, size_t quote)
{
	const uint8_t *packet = frame->data + frame->l3;
	uint8_t *ip = out + ETH_HEADER, *icmp = ip + IP6_HEADER;
	memset(ip, 0, IP6_HEADER + ICMP_HEADER);
	ip[IP6_VERSION_CLASS] = 0x60;
	store16(ip + IP6_LENGTH, (uint16_t)(ICMP_HEADER + quote));
	ip[IP6_NEXT] = PROTO_ICMP6;
	ip[IP6_HOPS] = TTL;
	memcpy(ip + IP6_SRC, packet + IP6_DST, 16);
	memcpy(ip + IP6_DST, packet + IP6_SRC, 16);
	icmp[ICMP_TYPE] = ICMP6_TOO_BIG;
	store16(icmp + ICMP_MTU6 + 2, (uint16_t)mtu);
	memcpy(icmp + ICMP_HEADER, packet, quote);
	uint32_t length = (uint32_t)(ICMP_HEADER + quote);
	uint32_t sum = checksum_pseudo6(ip + IP6_SRC, ip + IP6_DST, PROTO_ICMP6, length);
	store_word(icmp + ICMP_CHECKSUM, checksum_finish(checksum_add(sum, icmp, length)));
	return ETH_HEADER + IP6_HEADER + length;
}

size_t icmp_too_big(const struct frame *frame, unsigned mtu, uint8_t *out, size_t size)
{
	size_t packet = frame->ip_end - frame->l3;
	size_t headers = ETH_HEADER + (frame->version == 4 ? IP4_HEADER : IP6_HEADER) + ICMP_HEADER;
	size_t quote = frame->version == 4 ? QUOTE4 : QUOTE6;
	if (!frame->version || frame_is_group(frame) || packet <= mtu || mtu > UINT16_MAX || size < headers)
		return 0;
	if (quote > packet)
		quote = packet;
	if (quote > size - headers)
		quote = size - headers;
	write_ethernet(frame, out);
	if (frame->version == 4)
		return is_answerable4(frame) ? build4(frame, mtu, out, quote) : 0;
	return is_answerable6(frame) ? build6(frame, mtu, out, quote) : 0;
}
