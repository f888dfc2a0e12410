/* SPDX-License-Identifier: Apache-2.0 */
/* fdb.c - the forwarding database; fdb.h holds the theory */
#include "vswitch/fdb.h"

#include <errno.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#define SLOTS 4
#define FIRST_BUCKETS 1024 /* a power of two; 64 KiB */
#define LAST_TRIES 3       /* of a worker for the lock, before it gives up learning this frame */
#define SECRET_SIZE 192

/* Keys that no entry has, as no gateway has such an id; frames may well be destined to 00:00:00:00:00:00. */
#define NEVER_USED 0
#define TOMBSTONE UINT64_MAX

/* A value word: seen (32) | unused (13) | kind (2) | is_port (1) | index (16). */
#define VALUE_PORT (1ULL << 16)
#define VALUE_KIND_SHIFT 17
#define VALUE_SEEN_SHIFT 32
#define VALUE_PLACE ((1ULL << 17) - 1)

struct bucket {
	_Atomic uint64_t key[SLOTS];
	_Atomic uint64_t value[SLOTS];
};

_Static_assert(sizeof(struct bucket) == 64, "a bucket is a cache line");

struct fdb {
	struct bucket *buckets;
	uint64_t mask;
	atomic_size_t entries, tombstones;
	atomic_flag lock;
	_Atomic uint64_t refusals;
	struct fdb_limits limits;
	uint32_t *of_gateway; /* learned entries a gateway; under the lock, like of_place */
	uint32_t *of_place;   /* remotes, then ports */
	uint8_t secret[SECRET_SIZE];
};

struct slot {
	_Atomic uint64_t *key, *value;
};

static uint64_t make_key(uint16_t gateway, const uint8_t *mac)
{
	uint64_t key = 0;
	for (unsigned i = 0; i < 6; i++)
		key = key << 8 | mac[i];
	return key << 16 | gateway;
}

static bool is_entry(uint64_t key)
{
	return key != NEVER_USED && key != TOMBSTONE;
}

static uint64_t make_value(enum fdb_kind kind, struct fdb_place place, uint32_t seen)
{
	return (uint64_t)seen << VALUE_SEEN_SHIFT | (uint64_t)kind << VALUE_KIND_SHIFT |
	       (place.is_port ? VALUE_PORT : 0) | place.index;
}

static enum fdb_kind value_kind(uint64_t value)
{
	return (enum fdb_kind)(value >> VALUE_KIND_SHIFT & 3);
}

static struct fdb_place value_place(uint64_t value)
{
	return (struct fdb_place){.is_port = value & VALUE_PORT, .index = (uint16_t)value};
}

static uint32_t value_seen(uint64_t value)
{
	return (uint32_t)(value >> VALUE_SEEN_SHIFT);
}

/* Workers take the time once a round: one may see an entry that another has just refreshed "in the future". */
static bool is_aged(const struct fdb *fdb, uint32_t seen, uint32_t now)
{
	int32_t age = (int32_t)(now - seen);
	return age > 0 && (uint32_t)age > fdb->limits.ageing;
}

static bool value_live(const struct fdb *fdb, uint64_t value, uint32_t now)
{
	return value_kind(value) != FDB_LEARNED || !is_aged(fdb, value_seen(value), now);
}

static void unpack(uint64_t key, uint64_t value, struct fdb_entry *out)
{
	out->gateway = (uint16_t)key;
	for (int i = 0; i < 6; i++)
		out->mac[i] = (uint8_t)(key >> (56 - 8 * i));
	out->kind = value_kind(value);
	out->place = value_place(value);
	out->seen = value_seen(value);
}

static uint32_t *place_count(struct fdb *fdb, struct fdb_place place)
{
	return &fdb->of_place[(place.is_port ? FDB_MAX_PLACES : 0) + place.index];
}

static uint64_t home(const struct fdb *fdb, uint64_t key)
{
	return XXH3_64bits_withSecret(&key, sizeof(key), fdb->secret, sizeof(fdb->secret)) & fdb->mask;
}

/* The slot that holds `key`, or {NULL}. */
static struct slot find(const struct fdb *fdb, uint64_t key)
{
	for (uint64_t i = home(fdb, key), n = 0; n <= fdb->mask; i = (i + 1) & fdb->mask, n++) {
		struct bucket *bucket = &fdb->buckets[i];
		for (int s = 0; s < SLOTS; s++) {
			uint64_t found = atomic_load_explicit(&bucket->key[s], memory_order_acquire);
			if (found == key)
				return (struct slot){&bucket->key[s], &bucket->value[s]};
			if (found == NEVER_USED)
				return (struct slot){0};
		}
	}
	return (struct slot){0};
}

/* The slot that a new `key` may take. Under the lock; the caller has made sure that there is one. */
static struct slot find_room(struct fdb *fdb, uint64_t key)
{
	for (uint64_t i = home(fdb, key);; i = (i + 1) & fdb->mask) {
		struct bucket *bucket = &fdb->buckets[i];
		for (int s = 0; s < SLOTS; s++)
			if (!is_entry(atomic_load_explicit(&bucket->key[s], memory_order_relaxed)))
				return (struct slot){&bucket->key[s], &bucket->value[s]};
	}
}

static size_t capacity(const struct fdb *fdb)
{
	return (size_t)(fdb->mask + 1) * SLOTS;
}

static size_t used(const struct fdb *fdb)
{
	return atomic_load_explicit(&fdb->entries, memory_order_relaxed) +
	       atomic_load_explicit(&fdb->tombstones, memory_order_relaxed);
}

static bool full(const struct fdb *fdb)
{
	return used(fdb) >= capacity(fdb) / 8 * 7;
}

bool fdb_crowded(const struct fdb *fdb)
{
	return used(fdb) >= capacity(fdb) / 2;
}

static void lock(struct fdb *fdb)
{
	while (atomic_flag_test_and_set_explicit(&fdb->lock, memory_order_acquire))
		sched_yield();
}

static bool try_lock(struct fdb *fdb)
{
	for (int i = 0; i < LAST_TRIES; i++)
		if (!atomic_flag_test_and_set_explicit(&fdb->lock, memory_order_acquire))
			return true;
	return false;
}

static void unlock(struct fdb *fdb)
{
	atomic_flag_clear_explicit(&fdb->lock, memory_order_release);
}

static void count_learned(struct fdb *fdb, uint64_t key, uint64_t value, int by)
{
	if (value_kind(value) != FDB_LEARNED)
		return;
	fdb->of_gateway[(uint16_t)key % FDB_MAX_GATEWAYS] += (uint32_t)by;
	*place_count(fdb, value_place(value)) += (uint32_t)by;
}

/* Readers that see the key see the value: the value is stored first, and the key with release. */
static void insert(struct fdb *fdb, uint64_t key, uint64_t value)
{
	struct slot slot = find_room(fdb, key);
	if (atomic_load_explicit(slot.key, memory_order_relaxed) == TOMBSTONE)
		atomic_fetch_sub_explicit(&fdb->tombstones, 1, memory_order_relaxed);
	atomic_store_explicit(slot.value, value, memory_order_release);
	atomic_store_explicit(slot.key, key, memory_order_release);
	atomic_fetch_add_explicit(&fdb->entries, 1, memory_order_relaxed);
	count_learned(fdb, key, value, 1);
}

static void erase(struct fdb *fdb, struct slot slot)
{
	uint64_t key = atomic_load_explicit(slot.key, memory_order_relaxed);
	count_learned(fdb, key, atomic_load_explicit(slot.value, memory_order_relaxed), -1);
	atomic_store_explicit(slot.key, TOMBSTONE, memory_order_release);
	atomic_fetch_sub_explicit(&fdb->entries, 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&fdb->tombstones, 1, memory_order_relaxed);
}

static void replace(struct fdb *fdb, struct slot slot, uint64_t value)
{
	uint64_t key = atomic_load_explicit(slot.key, memory_order_relaxed);
	count_learned(fdb, key, atomic_load_explicit(slot.value, memory_order_relaxed), -1);
	atomic_store_explicit(slot.value, value, memory_order_release);
	count_learned(fdb, key, value, 1);
}

static struct bucket *make_buckets(size_t n)
{
	struct bucket *buckets = aligned_alloc(sizeof(*buckets), n * sizeof(*buckets));
	if (buckets)
		memset(buckets, 0, n * sizeof(*buckets));
	return buckets;
}

int fdb_open(struct fdb **out, const struct fdb_limits *limits, const uint8_t *secret, size_t secret_size)
{
	struct fdb *fdb = calloc(1, sizeof(*fdb));
	if (!fdb)
		return -ENOMEM;
	fdb->limits = *limits;
	for (size_t i = 0; i < SECRET_SIZE; i++)
		fdb->secret[i] = secret[i % secret_size];
	fdb->mask = FIRST_BUCKETS - 1;
	fdb->buckets = make_buckets(FIRST_BUCKETS);
	fdb->of_gateway = calloc(FDB_MAX_GATEWAYS, sizeof(*fdb->of_gateway));
	fdb->of_place = calloc((size_t)2 * FDB_MAX_PLACES, sizeof(*fdb->of_place));
	if (!fdb->buckets || !fdb->of_gateway || !fdb->of_place) {
		fdb_close(fdb);
		return -ENOMEM;
	}
	*out = fdb;
	return 0;
}

void fdb_close(struct fdb *fdb)
{
	if (!fdb)
		return;
	free(fdb->buckets);
	free(fdb->of_gateway);
	free(fdb->of_place);
	free(fdb);
}

bool fdb_lookup(const struct fdb *fdb, uint16_t gateway, const uint8_t mac[static 6], uint32_t now,
		struct fdb_entry *out)
{
	uint64_t key = make_key(gateway, mac);
	struct slot slot = find(fdb, key);
	if (!slot.key)
		return false;
	uint64_t value = atomic_load_explicit(slot.value, memory_order_acquire);
	/* Another entry may have taken the slot between the two loads: then the value is not this key's. */
	if (atomic_load_explicit(slot.key, memory_order_acquire) != key || !value_live(fdb, value, now))
		return false;
	unpack(key, value, out);
	return true;
}

/* Refreshes a known address without the lock; false when something about it has to change. */
static bool refresh(struct slot slot, struct fdb_place place, uint32_t now)
{
	uint64_t value = atomic_load_explicit(slot.value, memory_order_acquire);
	uint64_t fresh = make_value(FDB_LEARNED, place, now);
	if (value == fresh)
		return true;
	if (value_kind(value) != FDB_LEARNED || (value & VALUE_PLACE) != (fresh & VALUE_PLACE))
		return false;
	/* Lost against a writer: its news is as good as ours. */
	atomic_compare_exchange_strong_explicit(slot.value, &value, fresh, memory_order_release, memory_order_relaxed);
	return true;
}

static bool has_room(struct fdb *fdb, uint16_t gateway, struct fdb_place place)
{
	return fdb->of_gateway[gateway % FDB_MAX_GATEWAYS] < fdb->limits.gateway &&
	       *place_count(fdb, place) < fdb->limits.place && !full(fdb);
}

/* What the slow path does once it has the lock. */
static enum fdb_outcome learn_locked(struct fdb *fdb, uint64_t key, struct fdb_place place, uint32_t now)
{
	uint64_t fresh = make_value(FDB_LEARNED, place, now);
	struct slot slot = find(fdb, key);
	if (!slot.key) {
		if (!has_room(fdb, (uint16_t)key, place))
			return FDB_REFUSED;
		insert(fdb, key, fresh);
		return FDB_NEW;
	}
	uint64_t value = atomic_load_explicit(slot.value, memory_order_relaxed);
	bool elsewhere = (value & VALUE_PLACE) != (fresh & VALUE_PLACE);
	if (value_kind(value) == FDB_LOCAL)
		return FDB_OURS;
	if (value_kind(value) == FDB_STATIC)
		return elsewhere ? FDB_FIXED : FDB_KNOWN;
	if (elsewhere && *place_count(fdb, place) >= fdb->limits.place)
		return FDB_REFUSED;
	replace(fdb, slot, fresh);
	return elsewhere ? FDB_MOVED : FDB_KNOWN;
}

enum fdb_outcome fdb_learn(struct fdb *fdb, uint16_t gateway, const uint8_t mac[static 6], struct fdb_place place,
			   uint32_t now)
{
	uint64_t key = make_key(gateway, mac);
	struct slot slot = find(fdb, key);
	if (slot.key && refresh(slot, place, now))
		return FDB_KNOWN;
	if (slot.key) {
		/* Static and local entries answer without the lock too: a flood in their name must not take it. */
		uint64_t value = atomic_load_explicit(slot.value, memory_order_acquire);
		if (value_kind(value) == FDB_LOCAL)
			return FDB_OURS;
		if (value_kind(value) == FDB_STATIC)
			return (value ^ make_value(FDB_STATIC, place, 0)) & VALUE_PLACE ? FDB_FIXED : FDB_KNOWN;
	}
	if (!try_lock(fdb))
		return FDB_KNOWN;
	enum fdb_outcome outcome = learn_locked(fdb, key, place, now);
	unlock(fdb);
	if (outcome == FDB_REFUSED)
		atomic_fetch_add_explicit(&fdb->refusals, 1, memory_order_relaxed);
	return outcome;
}

int fdb_set(struct fdb *fdb, uint16_t gateway, const uint8_t mac[static 6], enum fdb_kind kind, struct fdb_place place)
{
	uint64_t key = make_key(gateway, mac), value = make_value(kind, place, 0);
	int error = 0;
	lock(fdb);
	struct slot slot = find(fdb, key);
	if (slot.key)
		replace(fdb, slot, value);
	else if (full(fdb))
		error = -ENOSPC;
	else
		insert(fdb, key, value);
	unlock(fdb);
	return error;
}

bool fdb_remove(struct fdb *fdb, uint16_t gateway, const uint8_t mac[static 6])
{
	lock(fdb);
	struct slot slot = find(fdb, make_key(gateway, mac));
	if (slot.key)
		erase(fdb, slot);
	unlock(fdb);
	return slot.key != NULL;
}

size_t fdb_purge(struct fdb *fdb, bool (*doomed)(void *context, const struct fdb_entry *entry), void *context)
{
	size_t purged = 0;
	for (uint64_t i = 0; i <= fdb->mask; i++) {
		for (int s = 0; s < SLOTS; s++) {
			struct slot slot = {&fdb->buckets[i].key[s], &fdb->buckets[i].value[s]};
			if (!is_entry(atomic_load_explicit(slot.key, memory_order_acquire)))
				continue;
			struct fdb_entry entry;
			lock(fdb);
			unpack(atomic_load(slot.key), atomic_load(slot.value), &entry);
			if (is_entry(atomic_load(slot.key)) && doomed(context, &entry)) {
				erase(fdb, slot);
				purged++;
			}
			unlock(fdb);
		}
	}
	return purged;
}

struct expiry {
	const struct fdb *fdb;
	uint32_t now;
};

static bool is_expired(void *context, const struct fdb_entry *entry)
{
	const struct expiry *expiry = context;
	return entry->kind == FDB_LEARNED && is_aged(expiry->fdb, entry->seen, expiry->now);
}

size_t fdb_expire(struct fdb *fdb, uint32_t now)
{
	if (!fdb_count(fdb))
		return 0;
	return fdb_purge(fdb, is_expired, &(struct expiry){fdb, now});
}

void fdb_visit(const struct fdb *fdb, void (*visit)(void *context, const struct fdb_entry *entry), void *context)
{
	for (uint64_t i = 0; i <= fdb->mask; i++) {
		for (int s = 0; s < SLOTS; s++) {
			uint64_t key = atomic_load_explicit(&fdb->buckets[i].key[s], memory_order_acquire);
			if (!is_entry(key))
				continue;
			struct fdb_entry entry;
			unpack(key, atomic_load_explicit(&fdb->buckets[i].value[s], memory_order_acquire), &entry);
			visit(context, &entry);
		}
	}
}

int fdb_reserve(struct fdb *fdb)
{
	size_t n = FIRST_BUCKETS;
	while (n * SLOTS / 4 < fdb_count(fdb))
		n *= 2;
	struct bucket *old = fdb->buckets, *fresh = make_buckets(n);
	if (!fresh)
		return -ENOMEM;
	uint64_t old_mask = fdb->mask;
	fdb->buckets = fresh;
	fdb->mask = n - 1;
	atomic_store(&fdb->tombstones, 0);
	for (uint64_t i = 0; i <= old_mask; i++) {
		for (int s = 0; s < SLOTS; s++) {
			uint64_t key = atomic_load(&old[i].key[s]);
			if (!is_entry(key))
				continue;
			struct slot slot = find_room(fdb, key);
			atomic_store(slot.value, atomic_load(&old[i].value[s]));
			atomic_store(slot.key, key);
		}
	}
	free(old);
	return 0;
}

size_t fdb_count(const struct fdb *fdb)
{
	return atomic_load_explicit(&fdb->entries, memory_order_relaxed);
}

uint64_t fdb_refusals(const struct fdb *fdb)
{
	return atomic_load_explicit(&fdb->refusals, memory_order_relaxed);
}
