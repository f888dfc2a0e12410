/* SPDX-License-Identifier: Apache-2.0 */
/*
 * checksum.c - the Internet checksum in pieces
 *
 * As 2^16 is 1 modulo 0xffff, 64-bit words have the same sum as 16-bit ones if every carry is added back. Only
 * sum_bytes() walks over data: a faster one for some processor would replace it.
 */
#include "tap/base/checksum.h"

#include <arpa/inet.h>
#include <string.h>

#define ADDRESS4 4 /* bytes */
#define ADDRESS6 16

static uint64_t load64(const uint8_t *at)
{
	uint64_t word;
	memcpy(&word, at, sizeof(word));
	return word;
}

/* Loads up to eight bytes, padded with zeroes. */
static uint64_t load_tail(const uint8_t *at, size_t length)
{
	uint64_t word = 0;
	uint8_t *to = (uint8_t *)&word;
	for (size_t i = 0; i < length; i++)
		to[i] = at[i];
	return word;
}

static uint64_t add64(uint64_t a, uint64_t b)
{
	uint64_t sum = a + b;
	return sum + (sum < a);
}

static uint32_t fold64(uint64_t sum)
{
	return checksum_join((uint32_t)sum, (uint32_t)(sum >> 32));
}

/* Two sums, and a count of their carries, so that no addition has to wait for the carry of the one before. */
static uint32_t sum_bytes(const uint8_t *at, size_t length)
{
	uint64_t a = 0, b = 0, carries = 0;

	for (; length >= 32; at += 32, length -= 32) {
		uint64_t word = load64(at);
		a += word;
		carries += a < word;
		word = load64(at + 8);
		b += word;
		carries += b < word;
		word = load64(at + 16);
		a += word;
		carries += a < word;
		word = load64(at + 24);
		b += word;
		carries += b < word;
	}
	a = add64(add64(a, b), carries);
	for (; length >= 8; at += 8, length -= 8)
		a = add64(a, load64(at));
	return fold64(add64(a, load_tail(at, length)));
}

uint32_t checksum_add(uint32_t sum, const void *data, size_t length)
{
	return checksum_join(sum, sum_bytes(data, length));
}

uint32_t checksum_append(uint32_t sum, size_t offset, const void *data, size_t length)
{
	uint32_t piece = sum_bytes(data, length);
	/* At an odd offset every byte is the other half of its word: multiply by 2^8 modulo 0xffff. */
	if (offset & 1)
		piece = piece << 8 | piece >> 24;
	return checksum_join(sum, piece);
}

uint32_t checksum_pseudo4(const void *source, const void *destination, uint8_t protocol, uint16_t length)
{
	uint32_t sum = (uint32_t)htons(protocol) + htons(length);
	return checksum_add(checksum_add(sum, source, ADDRESS4), destination, ADDRESS4);
}

uint32_t checksum_pseudo6(const void *source, const void *destination, uint8_t protocol, uint32_t length)
{
	uint32_t sum = checksum_join(htonl(protocol), htonl(length));
	return checksum_add(checksum_add(sum, source, ADDRESS6), destination, ADDRESS6);
}
