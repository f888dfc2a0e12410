/* SPDX-License-Identifier: Apache-2.0 */
/*
 * checksum.h - the Internet checksum in pieces (RFC 1071, RFC 1624)
 *
 * Byte order: a 16-bit word is taken as it is in the packet, without ntohs(). The sum is the same in either byte order
 * except for the order of its own two bytes (RFC 1071, section 2 B). So what is computed from words as loaded is right
 * when it is stored as it is, with memcpy(). Words from host integers (lengths, protocol numbers) are converted here.
 *
 * A `sum` is a partial sum: 32 bits, of which only the value modulo 0xffff matters. It starts with 0, pieces are added,
 * and checksum_finish() turns it into a checksum. A `check` is the 16-bit field of a header.
 *
 * Data may be unaligned. Nothing here can fail. Any thread.
 */
#ifndef PODSWITCH_CHECKSUM_H
#define PODSWITCH_CHECKSUM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Adds `length` bytes that begin at an even offset of the summed data. An odd last byte counts as if a zero followed
 * it, so only the last piece may have an odd length; see checksum_append() for others.
 */
uint32_t checksum_add(uint32_t sum, const void *data, size_t length);

/* Adds `length` bytes that begin `offset` bytes into the summed data, even or odd. */
uint32_t checksum_append(uint32_t sum, size_t offset, const void *data, size_t length);

/* The sum of the IPv4 pseudo-header (RFC 9293, section 3.1): addresses as in the packet, `length` in host order. */
uint32_t checksum_pseudo4(const void *source, const void *destination, uint8_t protocol, uint16_t length);

/* The same for IPv6 (RFC 8200, section 8.1); `protocol` is the upper layer's, not an extension header's. */
uint32_t checksum_pseudo6(const void *source, const void *destination, uint8_t protocol, uint32_t length);

/* Adds two partial sums, or a partial sum and a word as loaded. */
static inline uint32_t checksum_join(uint32_t a, uint32_t b)
{
	uint32_t sum = a + b;
	return sum + (sum < a);
}

/* The sum in 16 bits, not complemented: what the check field contains when an offload completes it. */
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

/* The same for UDP, where 0 means "no checksum" and is replaced by 0xffff (RFC 768; required over IPv6). */
static inline uint16_t checksum_finish_udp(uint32_t sum)
{
	uint16_t check = checksum_finish(sum);
	return check ? check : 0xffff;
}

/* Whether a sum over everything, including check field and pseudo-header, shows no damage. */
static inline bool checksum_valid(uint32_t sum)
{
	return checksum_fold(sum) == 0xffff;
}

/*
 * The new check field after one word of the summed data has changed from `was` to `now`, all as loaded (RFC 1624,
 * equation 3). Not for a UDP field of 0, which means that there is no checksum.
 */
static inline uint16_t checksum_update(uint16_t check, uint16_t was, uint16_t now)
{
	return checksum_finish((uint32_t)(uint16_t)~check + (uint16_t)~was + now);
}

#endif
