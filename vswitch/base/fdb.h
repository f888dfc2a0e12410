/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fdb.h - the forwarding database: (gateway, MAC) -> a local port or a remote
 *
 * Kinds: local entries are the MACs of ports on this node, and static ones were set by the user; neither ages nor
 * moves. Learned ones come from traffic, age and move. They are bounded for each gateway and for each place, so that a
 * flood of source addresses can neither grow the table without end nor push anything else out: beyond a bound nothing
 * new is learned.
 *
 * Where anybody may be a remote (a hub), an address does not move at once, lest one datagram of a stranger take it:
 *
 *    a frame with the address comes from elsewhere: fdb_claim()
 *       |
 *    the owner spoke in this second? ---yes---> FDB_HELD: the entry stays
 *       |
 *    the first such claim? -------------yes---> FDB_CLAIMED: the entry stays, and the caller asks the owner
 *       |
 *    FDB_PATIENCE seconds ago? ---------no----> FDB_HELD
 *       |
 *    FDB_MOVED                                  every frame of the owner's refutes the claim, and all begins anew
 *
 * Threads: any worker may look up and learn. Writers exclude each other by a lock that a worker only tries: it is
 * needed for a new or moved address, never for a known one, and a worker that does not get it learns from the next
 * frame. fdb_reserve() moves the table and needs the workers parked. All the rest is for the control thread.
 *
 * Time is in whole seconds of one monotonic clock, passed in by the caller.
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
	uint16_t index; /* the id of the port or remote */
};

struct fdb_entry {
	uint16_t gateway;
	uint8_t mac[6];
	enum fdb_kind kind;
	struct fdb_place place;
	uint32_t seen; /* when a frame last came from there, seconds; this and the next only of FDB_LEARNED */
	bool answered; /* fdb_answer() was called for it since it is there */
};

struct fdb_limits {
	uint32_t ageing;  /* seconds after which a learned entry no longer counts */
	uint32_t gateway; /* learned entries a gateway may have */
	uint32_t place;   /* learned entries behind one remote or port */
};

enum fdb_outcome {
	FDB_KNOWN,   /* nothing new */
	FDB_NEW,     /* learned */
	FDB_MOVED,   /* had been learned elsewhere */
	FDB_FIXED,   /* a static entry says that it is elsewhere */
	FDB_OURS,    /* the MAC of a local port */
	FDB_REFUSED, /* a bound is reached, or the table is full */
	FDB_CLAIMED, /* stays elsewhere, and is claimed from now on; only of fdb_claim(), like the next */
	FDB_HELD,    /* stays elsewhere for now */
};

/*
 * Whole seconds for which an owner must be silent after a claim. It is asked thrice in that time, a second apart, so
 * one lost answer does not cost it its address; and a client that has moved is served a few seconds later.
 */
#define FDB_PATIENCE 3

/* 0 or -ENOMEM. `secret` is copied; at least XXH3_SECRET_SIZE_MIN bytes. */
int fdb_open(struct fdb **out, const struct fdb_limits *limits, const uint8_t *secret, size_t secret_size);
void fdb_close(struct fdb *fdb);

/* Fills *out and returns true if there is an entry that has not aged out by `now`. */
bool fdb_lookup(const struct fdb *fdb, uint16_t gateway, const uint8_t mac[static 6], uint32_t now,
		struct fdb_entry *out);

/* Learns from a frame with source `mac` that came from `place`. */
enum fdb_outcome fdb_learn(struct fdb *fdb, uint16_t gateway, const uint8_t mac[static 6], struct fdb_place place,
			   uint32_t now);

/*
 * The same, but an address that was learned elsewhere moves only when its owner is silent, see above. With `may_begin`
 * false no claim begins, as the caller cannot ask the owner now.
 */
enum fdb_outcome fdb_claim(struct fdb *fdb, uint16_t gateway, const uint8_t mac[static 6], struct fdb_place place,
			   uint32_t now, bool may_begin);

/* Notes that a frame was sent to this address: it is no stranger's, and stays when there is too little room. */
void fdb_answer(struct fdb *fdb, uint16_t gateway, const uint8_t mac[static 6]);

/* Whether the gateway has as many learned entries as it may have. Control thread. */
bool fdb_gateway_is_full(struct fdb *fdb, uint16_t gateway);

/* Sets a static or local entry, in place of any other. -ENOSPC when the table is full: call fdb_reserve(). */
int fdb_set(struct fdb *fdb, uint16_t gateway, const uint8_t mac[static 6], enum fdb_kind kind, struct fdb_place place);

/* Removes the entry; returns whether there was one. */
bool fdb_remove(struct fdb *fdb, uint16_t gateway, const uint8_t mac[static 6]);

/* Removes the entries for which `should_remove` returns true; returns how many. */
size_t fdb_purge(struct fdb *fdb, bool (*should_remove)(void *context, const struct fdb_entry *entry), void *context);

/* Removes entries that have aged out by `now`; returns how many. */
size_t fdb_expire(struct fdb *fdb, uint32_t now);

/* Visits every entry, in no particular order. */
void fdb_visit(const struct fdb *fdb, void (*visit)(void *context, const struct fdb_entry *entry), void *context);

/* Whether the table is so full that fdb_reserve() should be called soon. Any thread. */
bool fdb_crowded(const struct fdb *fdb);

/* Rehashes with room for twice the entries there are. Workers parked. 0, or -ENOMEM: the table stays as it was. */
int fdb_reserve(struct fdb *fdb);

size_t fdb_count(const struct fdb *fdb);
uint64_t fdb_refusals(const struct fdb *fdb); /* how often fdb_learn() returned FDB_REFUSED */

#endif
