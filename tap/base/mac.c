/* SPDX-License-Identifier: Apache-2.0 */
/* mac.c - a MAC address made from a name */
#include "tap/base/mac.h"

#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#define LOCALLY_ADMINISTERED 0x02
#define GROUP 0x01

struct mac mac_derive(const char *seed)
{
	struct mac mac;
	uint64_t hash = XXH3_64bits(seed, strlen(seed));
	memcpy(mac.bytes, &hash, sizeof(mac.bytes));
	mac.bytes[0] = (uint8_t)((mac.bytes[0] & ~GROUP) | LOCALLY_ADMINISTERED);
	return mac;
}
