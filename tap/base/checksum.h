/* SPDX-License-Identifier: Apache-2.0 */
/*
 * checksum.h - the Internet checksum in pieces (RFC 1071, RFC 1624)
 *
 * Byte order, once for all: a 16-bit word is taken as it lies in the packet, without ntohs(). The sum is the same in
 * either byte order but for the order of its own two bytes (RFC 1071, section 2 B), so what is computed from words as
 * loaded is right when it is stored as it is, with memcpy(). Words that come from host integers (lengths, protocol
 * numbers) are converted in here.
 *
 * A `sum` is a partial sum: 32 bits, of which only the value modulo 0xffff matters, begun with 0 and fed with pieces.
 * It becomes a checksum by checksum_finish(). A `check` is the 16-bit field of a header.
 *
 * Data may be unaligned. Nothing here can fail; any thread.
 */
#ifndef PODSWITCH_CHECKSUM_H
#define PODSWITCH_CHECKSUM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Adds `length` bytes that begin at an even offset of what is being summed. An odd last byte counts as if a zero
 * followed it, so that only the last piece may be of odd length; for others see checksum_append.
 */
uint32_t checksum_add(uint32_t sum, const void *data, size_t length);

/* Adds `length` bytes that begin `offset` bytes into what is being summed, be that even or odd. */
uint32_t checksum_append(uint32_t sum, size_t offset, const void *data, size_t length);

/* The sum of the IPv4 pseudo-header (RFC 9293, section 3.1): addresses as in the packet, `length` in host order. */
uint32_t checksum_pseudo4(const void *source, const void *destination, uint8_t protocol, uint16_t length);

/* The same for IPv6 (RFC 8200, section 8.1); `protocol` is the upper layer's, not an extension header's. */
uint32_t checksum_pseudo6(const void *source, const void *destination, uint8_t protocol, uint32_t length);

/* Adds two partial sums, or a word as loaded to one. */
static inline uint32_t checksum_join(uint32_t a, uint32_t b)
{
	uint32_t sum = a + b;
	return sum + (sum < a);
}

/* The sum in 16 bits, not complemented: what the check field holds when the checksum is left to an offload. */
static inline uint16_t checksum_fold(uint32_t sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)((sum & 0xffff) + (sum >> 16));
}

/* The checksum to store. */
static inline uint16_t checksum_finish(uint32_t sum)
{
	return (uint16_t)~checksum_fold(sum);
}

/* The same for UDP, where 0 means "none" and 0xffff stands in for it (RFC 768; required over IPv6). */
static inline uint16_t checksum_finish_udp(uint32_t sum)
{
	uint16_t check = checksum_finish(sum);
	return check ? check : 0xffff;
}

/* Whether a sum over everything, the check field and pseudo-header included, says that nothing was damaged. */
static inline bool checksum_valid(uint32_t sum)
{
	return checksum_fold(sum) == 0xffff;
}

/*
 * The check field after one word of what it covers changed from `was` to `now`, all as loaded (RFC 1624, equation 3).
 * Not for a UDP field of 0, which says that there is no checksum.
 */
static inline uint16_t checksum_update(uint16_t check, uint16_t was, uint16_t now)
{
	return checksum_finish((uint32_t)(uint16_t)~check + (uint16_t)~was + now);
}

#endif
