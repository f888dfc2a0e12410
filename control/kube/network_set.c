/* SPDX-License-Identifier: Apache-2.0 */
/*
 * network_set.c - a set of networks, and how it is made to fit into a short list
 *
 * Tidy, a set is sorted by family and address and its networks are disjoint, so that any two which share a cover have
 * between them only networks in that cover: all work is done on neighbours, in one pass.
 *
 * Covers are made level by level: at level L, networks whose first L bits are alike become the smallest network around
 * them, for L from long to short, until there are few enough. Which takes in the fewest addresses first, to a factor of
 * two; and, other than by picking the cheapest pair each time, one network more never changes which of the others have
 * a cover, unless it begins the next level. A level of IPv6 is four bits, so that both families go at the same pace.
 */
#include "control/kube/network_set.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static_assert(32 - NETWORK_SET_LEVELS == NETWORK_SET_LEAST4 && 128 - 4 * NETWORK_SET_LEVELS == NETWORK_SET_LEAST6,
	      "the last level makes the shortest covers");

bool networks_overlap(const struct prefix *a, const struct prefix *b)
{
	return prefix_holds(a, b) || prefix_holds(b, a);
}

struct prefix network_of_address(const struct address *address)
{
	return (struct prefix){*address, (uint8_t)(8 * address_size(address->family))};
}

void network_set_add(struct network_set *set, const struct prefix *network)
{
	if (set->n == set->room) {
		size_t room = set->room ? 2 * set->room : 64;
		struct prefix *list = realloc(set->list, room * sizeof(*list));
		if (!list) {
			set->failed = true;
			return;
		}
		set->list = list;
		set->room = room;
	}
	set->list[set->n++] = prefix_network(network);
}

void network_set_free(struct network_set *set)
{
	free(set->list);
	*set = (struct network_set){0};
}

/* A network comes before those that lie in it. */
static int network_compare(const void *left, const void *right)
{
	const struct prefix *a = left, *b = right;
	if (a->address.family != b->address.family)
		return a->address.family == AF_INET ? -1 : 1;
	int order = memcmp(a->address.bytes, b->address.bytes, sizeof(a->address.bytes));
	return order ? order : a->length - b->length;
}

static struct prefix network_parent(const struct prefix *network)
{
	const struct prefix wider = {network->address, (uint8_t)(network->length - 1)};
	return prefix_network(&wider);
}

/* Joins the last two of `n` networks while they are the halves of one. Returns how many are left. */
static size_t join_halves(struct prefix *list, size_t n)
{
	while (n > 1 && list[n - 1].length && list[n - 1].length == list[n - 2].length) {
		struct prefix parent = network_parent(&list[n - 2]);
		if (!prefix_holds(&parent, &list[n - 1]))
			break;
		list[--n - 1] = parent;
	}
	return n;
}

void networks_sort(struct prefix *list, size_t n)
{
	if (n)
		qsort(list, n, sizeof(*list), network_compare);
}

void network_set_tidy(struct network_set *set)
{
	size_t n = 0;
	networks_sort(set->list, set->n);
	for (size_t i = 0; i < set->n; i++) {
		if (n && prefix_holds(&set->list[n - 1], &set->list[i]))
			continue;
		set->list[n++] = set->list[i];
		n = join_halves(set->list, n);
	}
	set->n = n;
}

void network_set_subtract(struct network_set *set, const struct network_set *known)
{
	size_t n = 0, k = 0;
	for (size_t i = 0; i < set->n; i++) {
		/* In both sets nothing lies in anything else: only the last one that begins before it can hold it. */
		while (k + 1 < known->n && network_compare(&known->list[k + 1], &set->list[i]) <= 0)
			k++;
		if (!known->n || !prefix_holds(&known->list[k], &set->list[i]))
			set->list[n++] = set->list[i];
	}
	set->n = n;
}

bool networks_have(const struct prefix *list, size_t n, const struct prefix *network)
{
	return n && bsearch(network, list, n, sizeof(*list), network_compare);
}

/* The smallest network with both, not shorter than `least`; false when that does not hold both. */
static bool make_cover(const struct prefix *a, const struct prefix *b, unsigned least, struct prefix *out)
{
	struct prefix cover = {a->address, (uint8_t)least};
	if (a->length < least || b->length < least || !prefix_contains(&cover, &b->address))
		return false;
	while (cover.length < a->length && cover.length < b->length) {
		cover.length++;
		if (!prefix_contains(&cover, &b->address)) {
			cover.length--;
			break;
		}
	}
	*out = prefix_network(&cover);
	return true;
}

static bool cover_is_allowed(const struct prefix *cover, const struct prefix *avoid, size_t n_avoid)
{
	for (size_t i = 0; i < n_avoid; i++)
		if (networks_overlap(cover, &avoid[i]))
			return false;
	return network_is_private(cover);
}

/* One pass at one level; `bits4` and `bits6` are what networks must have in common. */
static void cover_level(struct network_set *set, unsigned bits4, unsigned bits6, const struct prefix *avoid,
			size_t n_avoid)
{
	size_t n = 1;
	for (size_t i = 1; i < set->n; i++) {
		struct prefix *last = &set->list[n - 1], cover;
		unsigned bits = last->address.family == AF_INET6 ? bits6 : bits4;
		if (make_cover(last, &set->list[i], bits, &cover) && cover_is_allowed(&cover, avoid, n_avoid))
			*last = cover;
		else
			set->list[n++] = set->list[i];
	}
	set->n = n;
}

unsigned network_set_cover(struct network_set *set, size_t most, unsigned last, const struct prefix *avoid,
			   size_t n_avoid)
{
	unsigned level = 0;
	while (level < last && set->n > most) {
		level++;
		cover_level(set, 32 - level, 128 - 4 * level, avoid, n_avoid);
	}
	return level;
}
