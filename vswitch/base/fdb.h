/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fdb.h - the forwarding database: (gateway, MAC) -> a local port or a remote
 *
 * Keys are MAC and gateway in one 64-bit word, values are one word too, so that every entry is read and written with
 * single atomic accesses. A bucket has eight slots, and one word of tags: a byte of each slot's hash, 0 when the slot
 * was never used. A look-up hashes the key (with a secret of this start, as pods choose MACs), compares the tags of a
 * bucket all at once, reads the slots whose tag is right, and goes on to the next bucket unless this one has a slot
 * that was never used. Removed entries leave tombstones, tag and all, which the next rehash sweeps.
 *
 * The tags are a seventeenth of the table: they stay in the caches when the table is far too large for them, so that a
 * miss hardly ever goes to memory, and a hit goes there once. No branch depends on which of the slots it is: that
 * cannot be predicted, and what the processor then threw away would be the next look-ups, which it had sent to memory
 * already.
 *
 * Kinds: local entries are the MACs of ports here and static ones were set by the user; neither ages nor moves. Learned
 * ones come from traffic, age, move, and are bounded for each gateway and for each place, so that a flood of source
 * addresses can neither grow the table without end nor push anything else out: beyond a bound nothing new is learned.
 *
 * Threads: look-ups and fdb_learn() from any worker. Writers exclude each other by a lock that a worker only tries: it
 * is taken for a new or moved address, never for a known one, and a worker that does not get it learns from the next
 * frame. fdb_reserve() moves the table and needs the workers parked. Everything else is for the control thread.
 *
 * Time is in whole seconds of one monotonic clock, given by the caller.
 */
#ifndef PODSWITCH_FDB_H
#define PODSWITCH_FDB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FDB_MAX_GATEWAYS 4096 /* ids 1 to 4095 */
#define FDB_MAX_PLACES 65536  /* ports 0 to 65535, and remotes likewise */

struct fdb;

enum fdb_kind { FDB_STATIC = 1, FDB_LOCAL, FDB_LEARNED };

struct fdb_place {
	bool is_port;   /* else a remote */
	uint16_t index; /* the port's slot or the remote's id */
};

struct fdb_entry {
	uint16_t gateway;
	uint8_t mac[6];
	enum fdb_kind kind;
	struct fdb_place place;
	uint32_t seen; /* when a frame last came from there, seconds; FDB_LEARNED only */
};

struct fdb_limits {
	uint32_t ageing;  /* seconds after which a learned entry no longer counts */
	uint32_t gateway; /* learned entries a gateway may have */
	uint32_t place;   /* learned entries behind one remote or port */
};

enum fdb_outcome {
	FDB_KNOWN,   /* nothing new */
	FDB_NEW,     /* learned */
	FDB_MOVED,   /* learned before, elsewhere */
	FDB_FIXED,   /* a static entry says it is elsewhere: not from there */
	FDB_OURS,    /* the MAC of a local port */
	FDB_REFUSED, /* a bound is reached, or the table is full */
};

/* 0 or -ENOMEM. `secret` is copied; at least XXH3_SECRET_SIZE_MIN bytes. */
int fdb_open(struct fdb **out, const struct fdb_limits *limits, const uint8_t *secret, size_t secret_size);
void fdb_close(struct fdb *fdb);

/* Fills *out and returns true when there is an entry that has not aged out by `now`. */
bool fdb_lookup(const struct fdb *fdb, uint16_t gateway, const uint8_t mac[static 6], uint32_t now,
		struct fdb_entry *out);

/* A frame from `mac` came from `place`. */
enum fdb_outcome fdb_learn(struct fdb *fdb, uint16_t gateway, const uint8_t mac[static 6], struct fdb_place place,
			   uint32_t now);

/* Sets a static or local entry, in place of whatever is there. -ENOSPC when the table is full: call fdb_reserve(). */
int fdb_set(struct fdb *fdb, uint16_t gateway, const uint8_t mac[static 6], enum fdb_kind kind, struct fdb_place place);

/* Removes the entry; whether there was one. */
bool fdb_remove(struct fdb *fdb, uint16_t gateway, const uint8_t mac[static 6]);

/* Removes the entries for which `should_remove` says so; how many. */
size_t fdb_purge(struct fdb *fdb, bool (*should_remove)(void *context, const struct fdb_entry *entry), void *context);

/* Removes what has aged out by `now`; how many. */
size_t fdb_expire(struct fdb *fdb, uint32_t now);

/* Visits every entry, in no order. */
void fdb_visit(const struct fdb *fdb, void (*visit)(void *context, const struct fdb_entry *entry), void *context);

/* Whether the table is so full that it should be given room soon. Any thread. */
bool fdb_crowded(const struct fdb *fdb);

/* Rehashes with room for twice the entries there are. Workers parked. 0 or -ENOMEM (the table stays as it was). */
int fdb_reserve(struct fdb *fdb);

size_t fdb_count(const struct fdb *fdb);
uint64_t fdb_refusals(const struct fdb *fdb); /* how often FDB_REFUSED was the answer */

#endif
