/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fdb.c - the forwarding database
 *
 * A key is the MAC and the gateway in one 64-bit word, and a value is one word too, so that every entry is read and
 * written with single atomic accesses. A bucket has eight slots and one word of tags: a byte of each slot's hash, or 0
 * if the slot was never used.
 *
 *    look-up:  hash the key (with a secret of this start, as pods choose their MACs)
 *              compare the eight tags of the bucket at once
 *              read the slots whose tag matches
 *              all eight slots were used at some time? then go on with the next bucket
 *
 * A removed entry becomes a tombstone and keeps its tag. The next rehash sweeps tombstones.
 *
 * The tags are a seventeenth of the table. They stay in the caches when the table is far too large for them, so a miss
 * hardly ever goes to memory, and a hit goes there once. No branch depends on which of the slots it is: that cannot be
 * predicted, and a misprediction would throw away the next look-ups, which the processor had already sent to memory.
 *
 * Writing: a reader that sees a tag sees the key, and one that sees the key sees the value; each is stored with release
 * after what it announces. A slot may be given to another key between two loads of a reader, so a reader loads the key
 * again after the value.
 */
#include "vswitch/base/fdb.h"

#include <errno.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#define SLOTS 8
#define SECRETS 3
#define CACHE_LINE 64
#define FIRST_BUCKETS 512 /* a power of two; 68 KiB */
#define LAST_TRIES 3      /* a worker's tries to get the lock before it gives up learning from this frame */

/* Keys that no entry has, as no gateway has such an id. (Frames may be destined to 00:00:00:00:00:00.) */
#define NEVER_USED 0
#define TOMBSTONE UINT64_MAX

/* A value word: seen (32) | answered (1) | claimed at (11, cut) | claimed (1) | kind (2) | is_port (1) | index (16). */
#define VALUE_PORT (1ULL << 16)
#define VALUE_KIND_SHIFT 17
#define VALUE_CLAIMED (1ULL << 19)
#define VALUE_CLAIM_SHIFT 20
#define VALUE_ANSWERED (1ULL << 31)
#define CLAIM_CLOCK 2048 /* seconds, after which the cut clock begins anew */
#define CLAIM_BEHIND 16  /* seconds of it that are the future: another worker's clock is ahead of ours */
#define VALUE_SEEN_SHIFT 32
#define VALUE_PLACE ((1ULL << 17) - 1)

struct slot {
	_Atomic uint64_t key, value;
};

_Static_assert(CACHE_LINE % sizeof(struct slot) == 0, "a slot lies in one cache line");

struct fdb {
	struct slot *slots; /* SLOTS for each bucket */
	_Atomic uint64_t
		*tags; /* a word for each bucket, the first slot's tag in the lowest byte; allocated behind the slots */
	uint64_t mask; /* buckets - 1 */
	uint64_t secret[SECRETS];
	atomic_size_t entries, tombstones;
	atomic_flag lock;
	_Atomic uint64_t refusals;
	struct fdb_limits limits;
	uint32_t *of_gateway; /* learned entries of each gateway; under the lock, like of_place */
	uint32_t *of_place;   /* remotes, then ports */
};

static uint64_t fdb_make_key(uint16_t gateway, const uint8_t *mac)
{
	uint32_t head;
	uint16_t tail;
	memcpy(&head, mac, sizeof(head));
	memcpy(&tail, mac + sizeof(head), sizeof(tail));
	return (uint64_t)tail << 48 | (uint64_t)head << 16 | gateway;
}

static void key_mac(uint64_t key, uint8_t *mac)
{
	uint32_t head = (uint32_t)(key >> 16);
	uint16_t tail = (uint16_t)(key >> 48);
	memcpy(mac, &head, sizeof(head));
	memcpy(mac + sizeof(head), &tail, sizeof(tail));
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

/*
 * Workers read the clock once a round. One may see an entry that another has just refreshed "in the future": its age is
 * negative. The limit never is, as fdb_open() cuts it.
 */
static bool is_aged(const struct fdb *fdb, uint32_t seen, uint32_t now)
{
	return (int32_t)(now - seen) > (int32_t)fdb->limits.ageing;
}

static bool value_live(const struct fdb *fdb, uint64_t value, uint32_t now)
{
	return !is_aged(fdb, value_seen(value), now) || value_kind(value) != FDB_LEARNED;
}

static inline void unpack(uint64_t key, uint64_t value, struct fdb_entry *out)
{
	out->gateway = (uint16_t)key;
	key_mac(key, out->mac);
	out->kind = value_kind(value);
	out->place = value_place(value);
	out->seen = value_seen(value);
	out->answered = value & VALUE_ANSWERED;
}

static uint32_t *place_count(struct fdb *fdb, struct fdb_place place)
{
	return &fdb->of_place[(place.is_port ? FDB_MAX_PLACES : 0) + place.index];
}

static inline uint64_t fold(uint64_t a, uint64_t b)
{
	unsigned __int128 product = (unsigned __int128)a * b;
	return (uint64_t)product ^ (uint64_t)(product >> 64);
}

/*
 * Multiplication by secrets, with both halves of the product folded into one, as in wyhash. Once is not enough:
 * consecutive addresses would go to buckets at equal distances, which with many secrets are close to each other. It
 * takes only a few instructions: the shorter a look-up is, the more look-ups the processor has on their way to memory
 * at a time.
 */
static inline uint64_t hash_of(const struct fdb *fdb, uint64_t key)
{
	return fold(fold(key ^ fdb->secret[0], fdb->secret[1]), fdb->secret[2]);
}

/* From bits that do not choose the bucket. Never 0, the tag of a slot that was never used. */
static inline uint64_t tag_of(uint64_t hash)
{
	uint64_t tag = hash >> 56;
	return tag + !tag;
}

/*
 * Sets the top bit of every byte of `tags` that equals `tag`. The byte above a match may be set too although it does
 * not match; the key then tells.
 */
static inline uint64_t match(uint64_t tags, uint64_t tag)
{
	uint64_t ones = UINT64_MAX / 255, differ = tags ^ tag * ones;
	return (differ - ones) & ~differ & ones << 7;
}

static inline unsigned first(uint64_t found)
{
	return (unsigned)__builtin_ctzll(found) / 8;
}

/* Slots are used in order, so the last one tells whether any was never used. */
static inline bool is_last(uint64_t tags)
{
	return tags >> 8 * (SLOTS - 1) == 0;
}

enum where { HERE, NOWHERE, FURTHER };

/* Looks at the one slot that has the key in nearly all cases; *slot is valid with HERE. */
static inline enum where find_near(const struct fdb *fdb, uint64_t key, struct slot **slot)
{
	uint64_t hash = hash_of(fdb, key), bucket = hash & fdb->mask;
	uint64_t tags = atomic_load_explicit(&fdb->tags[bucket], memory_order_acquire);
	uint64_t found = match(tags, tag_of(hash));
	if (!found)
		return is_last(tags) ? NOWHERE : FURTHER;
	*slot = &fdb->slots[bucket * SLOTS + first(found)];
	return atomic_load_explicit(&(*slot)->key, memory_order_acquire) == key ? HERE : FURTHER;
}

/* Searches to the end. Not inlined, so that the short way needs no registers saved. */
static __attribute__((noinline)) struct slot *find_far(const struct fdb *fdb, uint64_t key)
{
	uint64_t hash = hash_of(fdb, key), tag = tag_of(hash);
	for (uint64_t i = hash & fdb->mask, n = 0; n <= fdb->mask; i = (i + 1) & fdb->mask, n++) {
		uint64_t tags = atomic_load_explicit(&fdb->tags[i], memory_order_acquire);
		for (uint64_t found = match(tags, tag); found; found &= found - 1) {
			struct slot *slot = &fdb->slots[i * SLOTS + first(found)];
			if (atomic_load_explicit(&slot->key, memory_order_acquire) == key)
				return slot;
		}
		if (is_last(tags))
			return NULL;
	}
	return NULL;
}

/* The slot that holds `key`, or NULL. */
static struct slot *fdb_find(const struct fdb *fdb, uint64_t key)
{
	struct slot *slot = NULL;
	return find_near(fdb, key, &slot) == FURTHER ? find_far(fdb, key) : slot;
}

/* A slot for a new key with this hash. Under the lock; the caller has checked that there is one. */
static struct slot *fdb_find_room(struct fdb *fdb, uint64_t hash)
{
	for (uint64_t i = hash & fdb->mask;; i = (i + 1) & fdb->mask) {
		for (struct slot *slot = &fdb->slots[i * SLOTS]; slot < &fdb->slots[(i + 1) * SLOTS]; slot++)
			if (!is_entry(atomic_load_explicit(&slot->key, memory_order_relaxed)))
				return slot;
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

/*
 * Puts a new key into a slot and returns the key that was there before. The order of the stores is what readers rely
 * on.
 */
static uint64_t fdb_put(struct fdb *fdb, uint64_t key, uint64_t value)
{
	uint64_t hash = hash_of(fdb, key);
	struct slot *slot = fdb_find_room(fdb, hash);
	size_t index = (size_t)(slot - fdb->slots), shift = index % SLOTS * 8;
	_Atomic uint64_t *tags = &fdb->tags[index / SLOTS];
	uint64_t others = atomic_load_explicit(tags, memory_order_relaxed) & ~(UINT64_C(255) << shift);
	uint64_t before = atomic_load_explicit(&slot->key, memory_order_relaxed);
	atomic_store_explicit(&slot->value, value, memory_order_release);
	atomic_store_explicit(&slot->key, key, memory_order_release);
	atomic_store_explicit(tags, others | tag_of(hash) << shift, memory_order_release);
	return before;
}

static void insert(struct fdb *fdb, uint64_t key, uint64_t value)
{
	if (fdb_put(fdb, key, value) == TOMBSTONE)
		atomic_fetch_sub_explicit(&fdb->tombstones, 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&fdb->entries, 1, memory_order_relaxed);
	count_learned(fdb, key, value, 1);
}

/* The tag stays, to show that the slot was used. A look-up that it misleads finds a key that is no entry's. */
static void erase(struct fdb *fdb, struct slot *slot)
{
	uint64_t key = atomic_load_explicit(&slot->key, memory_order_relaxed);
	count_learned(fdb, key, atomic_load_explicit(&slot->value, memory_order_relaxed), -1);
	atomic_store_explicit(&slot->key, TOMBSTONE, memory_order_release);
	atomic_fetch_sub_explicit(&fdb->entries, 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&fdb->tombstones, 1, memory_order_relaxed);
}

static void replace(struct fdb *fdb, struct slot *slot, uint64_t value)
{
	uint64_t key = atomic_load_explicit(&slot->key, memory_order_relaxed);
	count_learned(fdb, key, atomic_load_explicit(&slot->value, memory_order_relaxed), -1);
	atomic_store_explicit(&slot->value, value, memory_order_release);
	count_learned(fdb, key, value, 1);
}

static size_t table_size(size_t buckets)
{
	return buckets * (SLOTS * sizeof(struct slot) + sizeof(uint64_t));
}

/* Gives the table new, empty buckets; the caller keeps the old ones. 0 or -ENOMEM. */
static int make_table(struct fdb *fdb, size_t buckets)
{
	struct slot *slots = aligned_alloc(CACHE_LINE, table_size(buckets));
	if (!slots)
		return -ENOMEM;
	memset(slots, 0, table_size(buckets));
	fdb->slots = slots;
	fdb->tags = (_Atomic uint64_t *)(slots + buckets * SLOTS);
	fdb->mask = buckets - 1;
	return 0;
}

/* Derived from the whole secret: other hashes that use the same secret do not reveal these. */
static void fdb_stretch_secret(struct fdb *fdb, const uint8_t *secret, size_t size)
{
	for (uint64_t i = 0; i < SECRETS; i++)
		fdb->secret[i] = XXH3_64bits_withSecret(&i, sizeof(i), secret, size) | 1;
}

int fdb_open(struct fdb **out, const struct fdb_limits *limits, const uint8_t *secret, size_t secret_size)
{
	struct fdb *fdb = calloc(1, sizeof(*fdb));
	if (!fdb)
		return -ENOMEM;
	fdb->limits = *limits;
	if (fdb->limits.ageing > INT32_MAX)
		fdb->limits.ageing = INT32_MAX;
	fdb_stretch_secret(fdb, secret, secret_size);
	fdb->of_gateway = calloc(FDB_MAX_GATEWAYS, sizeof(*fdb->of_gateway));
	fdb->of_place = calloc((size_t)2 * FDB_MAX_PLACES, sizeof(*fdb->of_place));
	if (!fdb->of_gateway || !fdb->of_place || make_table(fdb, FIRST_BUCKETS)) {
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
	free(fdb->slots);
	free(fdb->of_gateway);
	free(fdb->of_place);
	free(fdb);
}

static inline bool read_slot(const struct fdb *fdb, const struct slot *slot, uint64_t key, uint32_t now,
			     struct fdb_entry *out)
{
	uint64_t value = atomic_load_explicit(&slot->value, memory_order_acquire);
	/* Another entry may have taken the slot between the two loads; then the value is not this key's. */
	if (atomic_load_explicit(&slot->key, memory_order_acquire) != key || !value_live(fdb, value, now))
		return false;
	unpack(key, value, out);
	return true;
}

static __attribute__((noinline)) bool lookup_far(const struct fdb *fdb, uint64_t key, uint32_t now,
						 struct fdb_entry *out)
{
	const struct slot *slot = find_far(fdb, key);
	return slot && read_slot(fdb, slot, key, now, out);
}

bool fdb_lookup(const struct fdb *fdb, uint16_t gateway, const uint8_t mac[static 6], uint32_t now,
		struct fdb_entry *out)
{
	uint64_t key = fdb_make_key(gateway, mac);
	struct slot *slot;
	switch (find_near(fdb, key, &slot)) {
	case HERE:
		return read_slot(fdb, slot, key, now, out);
	case NOWHERE:
		return false;
	case FURTHER:
		break;
	}
	return lookup_far(fdb, key, now, out);
}

/* Refreshes a known address without the lock; false when something else about it has to change. */
static bool refresh(struct slot *slot, struct fdb_place place, uint32_t now)
{
	uint64_t value = atomic_load_explicit(&slot->value, memory_order_acquire);
	uint64_t fresh = make_value(FDB_LEARNED, place, now) | (value & VALUE_ANSWERED);
	if (value == fresh)
		return true;
	if (value_kind(value) != FDB_LEARNED || (value & VALUE_PLACE) != (fresh & VALUE_PLACE))
		return false;
	/* If another writer was faster, its value is as good as ours. */
	atomic_compare_exchange_strong_explicit(&slot->value, &value, fresh, memory_order_release,
						memory_order_relaxed);
	return true;
}

static bool fdb_has_room(struct fdb *fdb, uint16_t gateway, struct fdb_place place)
{
	return fdb->of_gateway[gateway % FDB_MAX_GATEWAYS] < fdb->limits.gateway &&
	       *place_count(fdb, place) < fdb->limits.place && !full(fdb);
}

/* The slow path, under the lock. */
static enum fdb_outcome learn_locked(struct fdb *fdb, uint64_t key, struct fdb_place place, uint32_t now)
{
	uint64_t fresh = make_value(FDB_LEARNED, place, now);
	struct slot *slot = fdb_find(fdb, key);
	if (!slot) {
		if (!fdb_has_room(fdb, (uint16_t)key, place))
			return FDB_REFUSED;
		insert(fdb, key, fresh);
		return FDB_NEW;
	}
	uint64_t value = atomic_load_explicit(&slot->value, memory_order_relaxed);
	bool elsewhere = (value & VALUE_PLACE) != (fresh & VALUE_PLACE);
	if (value_kind(value) == FDB_LOCAL)
		return FDB_OURS;
	if (value_kind(value) == FDB_STATIC)
		return elsewhere ? FDB_FIXED : FDB_KNOWN;
	if (elsewhere && *place_count(fdb, place) >= fdb->limits.place)
		return FDB_REFUSED;
	replace(fdb, slot, elsewhere ? fresh : fresh | (value & VALUE_ANSWERED));
	return elsewhere ? FDB_MOVED : FDB_KNOWN;
}

enum fdb_outcome fdb_learn(struct fdb *fdb, uint16_t gateway, const uint8_t mac[static 6], struct fdb_place place,
			   uint32_t now)
{
	uint64_t key = fdb_make_key(gateway, mac);
	struct slot *slot = fdb_find(fdb, key);
	if (slot && refresh(slot, place, now))
		return FDB_KNOWN;
	if (slot) {
		/* Answered without the lock as well: a flood of such frames must not take it. */
		uint64_t value = atomic_load_explicit(&slot->value, memory_order_acquire);
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

enum claim { CLAIM_FREE, CLAIM_BEGINS, CLAIM_WAITS };

/* What becomes of a claim to the entry with this value. */
static enum claim judge_claim(const struct fdb *fdb, uint64_t value, struct fdb_place place, uint32_t now)
{
	bool elsewhere = (value ^ make_value(FDB_LEARNED, place, 0)) & VALUE_PLACE;
	if (value_kind(value) != FDB_LEARNED || !elsewhere || !value_live(fdb, value, now))
		return CLAIM_FREE;
	if (!(value & VALUE_CLAIMED))
		return (int32_t)(now - value_seen(value)) > 0 ? CLAIM_BEGINS : CLAIM_WAITS;
	uint32_t waited = (now - (uint32_t)(value >> VALUE_CLAIM_SHIFT)) % CLAIM_CLOCK;
	return waited >= FDB_PATIENCE && waited < CLAIM_CLOCK - CLAIM_BEHIND ? CLAIM_FREE : CLAIM_WAITS;
}

/* False when the owner spoke just now: it has the address, and nobody need ask. */
static bool begin_claim(struct slot *slot, uint64_t value, uint32_t now)
{
	uint64_t claimed = value & ~((uint64_t)(CLAIM_CLOCK - 1) << VALUE_CLAIM_SHIFT);
	claimed |= VALUE_CLAIMED | (uint64_t)(now % CLAIM_CLOCK) << VALUE_CLAIM_SHIFT;
	return atomic_compare_exchange_strong_explicit(&slot->value, &value, claimed, memory_order_release,
						       memory_order_relaxed);
}

enum fdb_outcome fdb_claim(struct fdb *fdb, uint16_t gateway, const uint8_t mac[static 6], struct fdb_place place,
			   uint32_t now, bool may_begin)
{
	struct slot *slot = fdb_find(fdb, fdb_make_key(gateway, mac));
	uint64_t value = slot ? atomic_load_explicit(&slot->value, memory_order_acquire) : 0;
	switch (slot ? judge_claim(fdb, value, place, now) : CLAIM_FREE) {
	case CLAIM_BEGINS:
		return may_begin && begin_claim(slot, value, now) ? FDB_CLAIMED : FDB_HELD;
	case CLAIM_WAITS:
		return FDB_HELD;
	case CLAIM_FREE:
		break;
	}
	return fdb_learn(fdb, gateway, mac, place, now);
}

void fdb_answer(struct fdb *fdb, uint16_t gateway, const uint8_t mac[static 6])
{
	struct slot *slot = fdb_find(fdb, fdb_make_key(gateway, mac));
	uint64_t value = slot ? atomic_load_explicit(&slot->value, memory_order_acquire) : 0;
	/* If another writer was faster, the next frame tries again. */
	if (slot && value_kind(value) == FDB_LEARNED)
		atomic_compare_exchange_strong_explicit(&slot->value, &value, value | VALUE_ANSWERED,
							memory_order_release, memory_order_relaxed);
}

bool fdb_gateway_is_full(struct fdb *fdb, uint16_t gateway)
{
	lock(fdb);
	bool is_full = fdb->of_gateway[gateway % FDB_MAX_GATEWAYS] >= fdb->limits.gateway;
	unlock(fdb);
	return is_full;
}

int fdb_set(struct fdb *fdb, uint16_t gateway, const uint8_t mac[static 6], enum fdb_kind kind, struct fdb_place place)
{
	uint64_t key = fdb_make_key(gateway, mac), value = make_value(kind, place, 0);
	int error = 0;
	lock(fdb);
	struct slot *slot = fdb_find(fdb, key);
	if (slot)
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
	struct slot *slot = fdb_find(fdb, fdb_make_key(gateway, mac));
	if (slot)
		erase(fdb, slot);
	unlock(fdb);
	return slot != NULL;
}

size_t fdb_purge(struct fdb *fdb, bool (*should_remove)(void *context, const struct fdb_entry *entry), void *context)
{
	size_t purged = 0;
	for (size_t i = 0; i < capacity(fdb); i++) {
		struct slot *slot = &fdb->slots[i];
		if (!is_entry(atomic_load_explicit(&slot->key, memory_order_acquire)))
			continue;
		struct fdb_entry entry;
		lock(fdb);
		unpack(atomic_load(&slot->key), atomic_load(&slot->value), &entry);
		if (is_entry(atomic_load(&slot->key)) && should_remove(context, &entry)) {
			erase(fdb, slot);
			purged++;
		}
		unlock(fdb);
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
	for (size_t i = 0; i < capacity(fdb); i++) {
		struct slot *slot = &fdb->slots[i];
		uint64_t key = atomic_load_explicit(&slot->key, memory_order_acquire);
		if (!is_entry(key))
			continue;
		struct fdb_entry entry;
		unpack(key, atomic_load_explicit(&slot->value, memory_order_acquire), &entry);
		visit(context, &entry);
	}
}

int fdb_reserve(struct fdb *fdb)
{
	size_t n = FIRST_BUCKETS;
	while (n * SLOTS / 4 < fdb_count(fdb))
		n *= 2;
	struct slot *old = fdb->slots;
	size_t old_buckets = fdb->mask + 1;
	int error = make_table(fdb, n);
	if (error)
		return error;
	atomic_store(&fdb->tombstones, 0);
	for (size_t i = 0; i < old_buckets * SLOTS; i++) {
		uint64_t key = atomic_load(&old[i].key);
		if (is_entry(key))
			fdb_put(fdb, key, atomic_load(&old[i].value));
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
