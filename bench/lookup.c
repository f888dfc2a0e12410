/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lookup.c - how long a look-up in the switch's table takes, by the number of addresses in it
 *
 * Addresses are random, asked for in random order, one after the other without a frame's other work in between, from a
 * list that is read in order. At 1,000,000 addresses nearly every look-up is a cache miss, as the table does not fit in
 * the caches, and that is what is to be seen. Prints one JSON object: each figure with its rounds, ns a look-up.
 */
#include "vswitch/base/fdb.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#define ASKED (1U << 20) /* addresses in the list that is asked for */
#define GATEWAYS 64
#define ROUNDS 5
#define SECRET 256

struct key {
	uint16_t gateway;
	uint8_t mac[6];
};

static uint64_t seed = 0x9e3779b97f4a7c15ULL;

/* xorshift64*: the same addresses in every run */
static uint64_t next_random(void)
{
	seed ^= seed >> 12;
	seed ^= seed << 25;
	seed ^= seed >> 27;
	return seed * 0x2545f4914f6cdd1dULL;
}

/* `there`: addresses of the table and those that only miss differ in one bit, so that they never meet. */
static struct key random_key(int there)
{
	uint64_t value = next_random();
	struct key key = {.gateway = (uint16_t)(1 + (value >> 56) % GATEWAYS)};

	memcpy(key.mac, &value, sizeof(key.mac));
	key.mac[0] = (uint8_t)((key.mac[0] & 0xf8) | 2 | (there ? 4 : 0));
	return key;
}

static struct fdb *fill(const struct key *keys, size_t count)
{
	const struct fdb_limits limits = {.ageing = 300, .gateway = UINT32_MAX, .place = UINT32_MAX};
	uint8_t secret[SECRET];
	struct fdb *fdb;

	if (getrandom(secret, sizeof(secret), 0) != sizeof(secret) || fdb_open(&fdb, &limits, secret, sizeof(secret)))
		return NULL;
	for (size_t i = 0; i < count; i++) {
		const struct fdb_place place = {.index = (uint16_t)(i % 1000)};
		if (fdb_crowded(fdb) && fdb_reserve(fdb))
			return NULL;
		if (fdb_learn(fdb, keys[i].gateway, keys[i].mac, place, 1) != FDB_NEW)
			return NULL;
	}
	return fdb;
}

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
}

static double look_up(const struct fdb *fdb, const struct key *asked, uint32_t *found)
{
	struct fdb_entry entry;
	uint32_t hits = 0;
	double begin = now();

	for (size_t i = 0; i < ASKED; i++)
		hits += fdb_lookup(fdb, asked[i].gateway, asked[i].mac, 1, &entry);
	*found = hits;
	return (now() - begin) / ASKED;
}

/* Prints "NAME": [rounds]; false when what must be found is not, or the reverse. */
static int report(const char *name, const struct fdb *fdb, const struct key *asked, uint32_t expected)
{
	uint32_t found;

	printf("\"%s\": [", name);
	for (int i = 0; i < ROUNDS; i++) {
		printf("%s%.2f", i ? ", " : "", look_up(fdb, asked, &found));
		if (found != expected)
			return 0;
	}
	printf("]");
	return 1;
}

static int measure(struct key *keys, struct key *asked, size_t count)
{
	for (size_t i = 0; i < count; i++)
		keys[i] = random_key(1);
	struct fdb *fdb = fill(keys, count);
	if (!fdb)
		return 0;
	printf("\"%zu\": {", count);
	for (size_t i = 0; i < ASKED; i++)
		asked[i] = keys[next_random() % count];
	int well = report("hit", fdb, asked, ASKED);
	printf(", ");
	for (size_t i = 0; i < ASKED; i++)
		asked[i] = random_key(0);
	well = well && report("miss", fdb, asked, 0);
	printf("}");
	fdb_close(fdb);
	return well;
}

int main(void)
{
	static const size_t sizes[] = {10, 1000, 100000, 1000000};
	const size_t n_sizes = sizeof(sizes) / sizeof(sizes[0]);
	struct key *keys = malloc(sizes[n_sizes - 1] * sizeof(*keys));
	struct key *asked = malloc(ASKED * sizeof(*asked));
	int well = keys && asked;

	printf("{");
	for (size_t i = 0; i < n_sizes && well; i++) {
		printf("%s", i ? ", " : "");
		well = measure(keys, asked, sizes[i]);
	}
	printf("}\n");
	if (!well)
		fprintf(stderr, "lookup: the table could not be filled, or answered wrongly\n");
	free(keys);
	free(asked);
	return !well;
}
