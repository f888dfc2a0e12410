/* SPDX-License-Identifier: Apache-2.0 */
/*
 * network_set.h - a set of networks, and how it is made to fit into a short list
 *
 * A value: zero-initialise it, free it with network_set_free(). Any thread.
 */
#ifndef PODSWITCH_NETWORK_SET_H
#define PODSWITCH_NETWORK_SET_H

#include "tap/base/breadth.h"

#define NETWORK_SET_LEAST4 12 /* bits; no cover is made that is shorter */
#define NETWORK_SET_LEAST6 48
#define NETWORK_SET_LEVELS 20

struct network_set {
	struct prefix *list; /* no host bits */
	size_t n, room;
	bool failed; /* for want of memory: it is not complete */
};

/* Adds a network, in any order. Host bits are dropped. */
void network_set_add(struct network_set *set, const struct prefix *network);
void network_set_free(struct network_set *set);

/* Sorts it, drops what lies in another network of it, and joins neighbours that make up one network: nothing is added.
 */
void network_set_tidy(struct network_set *set);

/*
 * Makes a tidy set fit into `most` networks, by covers that take in addresses which were not in it: as few as possible,
 * only in private space (network_is_private()), none shorter than NETWORK_SET_LEAST4 or 6, and none that overlaps one
 * of `avoid`. Goes as far as level `last` (NETWORK_SET_LEVELS: all the way; a level more makes covers twice as large),
 * and returns the level that was needed. May leave more than `most`. What was in it stays in it.
 */
unsigned network_set_cover(struct network_set *set, size_t most, unsigned last, const struct prefix *avoid,
			   size_t n_avoid);

/* Takes what lies in a network of `known` out of `set`. Both are tidy. */
void network_set_subtract(struct network_set *set, const struct network_set *known);

/* By family and address; a network comes before those that lie in it. */
void networks_sort(struct prefix *list, size_t n);

/* Whether a sorted list has exactly this network. */
bool networks_have(const struct prefix *list, size_t n, const struct prefix *network);

/* Whether they share an address. */
bool networks_overlap(const struct prefix *a, const struct prefix *b);

/* The network of one address. */
struct prefix network_of_address(const struct address *address);

#endif
