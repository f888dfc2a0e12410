/* SPDX-License-Identifier: Apache-2.0 */
/*
 * address_check.c - whether somebody else has the addresses that a port was given
 *
 *               due               asked     taken
 *    idle       never             0         none, n = 0 or all free
 *    asking     the next probe    1 to 3    none, or as the round before found
 *    taken      the next round    0         whose it is
 */
#include "tap/address_check.h"

#include "tap/arp_probe.h"
#include "tap/base/wire.h"

#include <string.h>
#include <sys/socket.h>

#define NEVER UINT64_MAX
#define APART 100   /* ms from a probe to the next */
#define LAST 200    /* ms after the last one */
#define AGAIN 10000 /* ms until an address that is taken is looked at again, and up to as much more */

static bool is_all_used(const struct address_check *check)
{
	for (size_t i = 0; i < check->n; i++)
		if (!check->used[i])
			return false;
	return true;
}

void address_check_begin(struct address_check *check, const struct address *list, size_t n, const bool *used,
			 uint64_t random, uint64_t now)
{
	*check = (struct address_check){.random = random, .due = NEVER};
	check->n = n < ADDRESS_CHECK_MAX ? n : ADDRESS_CHECK_MAX;
	memcpy(check->list, list, check->n * sizeof(*list));
	memcpy(check->used, used, check->n * sizeof(*used));
	if (!is_all_used(check))
		check->due = now;
}

void address_check_again(struct address_check *check, uint64_t now)
{
	if (!check->n)
		return;
	check->asked = 0;
	check->due = now;
}

static bool is_idle(const struct address_check *check)
{
	return !check->n || check->due == NEVER;
}

bool address_check_withholds(const struct address_check *check, const struct address *address)
{
	for (size_t i = 0; i < check->n; i++)
		if (!check->used[i] && address_equal(&check->list[i], address))
			return true;
	return false;
}

bool address_check_is_new(const struct address_check *check)
{
	return !is_idle(check) && !is_all_used(check) && !check->taken.family;
}

uint64_t address_check_due(const struct address_check *check)
{
	return check->n ? check->due : NEVER;
}

size_t address_check_ask(struct address_check *check, uint64_t now, enum address_check_news *news)
{
	*news = ADDRESS_CHECK_NONE;
	if (is_idle(check) || now < check->due)
		return 0;
	if (check->asked == ADDRESS_CHECK_PROBES) {
		*news = is_all_used(check) ? ADDRESS_CHECK_NONE : ADDRESS_CHECK_FREE;
		memset(check->used, true, sizeof(check->used));
		check->taken = (struct address){0};
		check->due = NEVER;
		return 0;
	}
	check->asked++;
	check->due = now + (check->asked == ADDRESS_CHECK_PROBES ? LAST : APART);
	return check->n;
}

/* xorshift64 */
static uint64_t wait_again(struct address_check *check)
{
	check->random = check->random ? check->random : 1;
	check->random ^= check->random << 13;
	check->random ^= check->random >> 7;
	check->random ^= check->random << 17;
	return AGAIN + (check->random >> 32) % AGAIN;
}

enum address_check_news address_check_hear(struct address_check *check, const uint8_t *frame, const struct mac *own,
					   uint64_t now)
{
	for (size_t i = 0; check->asked && !is_idle(check) && i < check->n; i++) {
		if (!arp_probe_conflicts(frame, own, check->list[i].bytes))
			continue;
		check->taken = check->list[i];
		memcpy(check->holder.bytes, frame + ETH_HEADER + ARP_SENDER_MAC, sizeof(check->holder.bytes));
		check->used[i] = false;
		check->asked = 0;
		check->due = now + wait_again(check);
		return ADDRESS_CHECK_TAKEN;
	}
	return ADDRESS_CHECK_NONE;
}
