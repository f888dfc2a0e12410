/* SPDX-License-Identifier: Apache-2.0 */
/*
 * demux.c - (UDP port, outer source, VNI) -> gateway and remote
 *
 * An open-addressing hash table with linear probing, half full at most. Nothing is ever removed: a change builds a
 * new table. Three kinds of keys:
 *
 *    (port, source, VNI)       -> gateway and remote    a configured remote
 *    (port, no source, VNI)    -> gateway               a hub
 *    (port, source, ANY_VNI)   -> used                  some gateway has this source; tells unknown_vni and
 *                                                       unknown_remote apart
 *
 * The hash has a secret, as the outer source of a datagram can be forged.
 */
#include "vswitch/base/demux.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#define SECRET_SIZE 192
#define ANY_VNI UINT32_MAX /* in place of a VNI: marks a source that some gateway has */

struct demux_key {
	uint8_t source[16];
	uint32_t vni;
	uint16_t port;
	uint16_t family; /* 0: a hub */
};

struct demux_entry {
	struct demux_key key;
	uint16_t gateway; /* 0: the slot is free */
	uint16_t remote;
};

struct demux {
	size_t mask;
	uint8_t secret[SECRET_SIZE];
	struct demux_entry entries[];
};

_Static_assert(sizeof(struct demux_key) == 24, "no padding: keys are hashed and compared as bytes");

static struct demux_key demux_make_key(uint16_t port, const struct address *source, uint32_t vni)
{
	struct demux_key key = {.vni = vni, .port = port};
	if (source) {
		memcpy(key.source, source->bytes, sizeof(key.source));
		key.family = source->family;
	}
	return key;
}

struct demux *demux_new(size_t entries, const uint8_t *secret, size_t secret_size)
{
	/* Each remote takes two entries: its own, and the mark of its source. */
	size_t n = 16;
	while (n < entries * 4)
		n *= 2;
	struct demux *demux = calloc(1, sizeof(*demux) + n * sizeof(demux->entries[0]));
	if (!demux)
		return NULL;
	demux->mask = n - 1;
	for (size_t i = 0; i < SECRET_SIZE; i++)
		demux->secret[i] = secret[i % secret_size];
	return demux;
}

void demux_free(struct demux *demux)
{
	free(demux);
}

/* The entry with this key, or the free slot where it would be. */
static struct demux_entry *demux_slot(const struct demux *demux, const struct demux_key *key)
{
	size_t i = XXH3_64bits_withSecret(key, sizeof(*key), demux->secret, SECRET_SIZE) & demux->mask;
	while (demux->entries[i].gateway && memcmp(&demux->entries[i].key, key, sizeof(*key)) != 0)
		i = (i + 1) & demux->mask;
	return (struct demux_entry *)&demux->entries[i];
}

int demux_add(struct demux *demux, uint16_t port, const struct address *source, uint32_t vni, uint16_t gateway,
	      uint16_t remote, uint16_t *holder)
{
	struct demux_key key = demux_make_key(port, source, vni);
	struct demux_entry *entry = demux_slot(demux, &key);
	if (entry->gateway) {
		if (holder)
			*holder = entry->gateway;
		return -EEXIST;
	}
	*entry = (struct demux_entry){.key = key, .gateway = gateway, .remote = remote};
	if (source) {
		key = demux_make_key(port, source, ANY_VNI);
		*demux_slot(demux, &key) = (struct demux_entry){.key = key, .gateway = gateway, .remote = remote};
	}
	return 0;
}

struct demux_match demux_find(const struct demux *demux, uint16_t port, const struct address *source, uint32_t vni)
{
	struct demux_key key = demux_make_key(port, source, vni);
	const struct demux_entry *entry = demux_slot(demux, &key);
	if (entry->gateway)
		return (struct demux_match){.gateway = entry->gateway, .remote = entry->remote, .known = true};
	key = demux_make_key(port, NULL, vni);
	entry = demux_slot(demux, &key);
	if (entry->gateway)
		return (struct demux_match){.gateway = entry->gateway};
	key = demux_make_key(port, source, ANY_VNI);
	return (struct demux_match){.source_known = demux_slot(demux, &key)->gateway != 0};
}
