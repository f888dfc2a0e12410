/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rule.h - the policy rules of the current network namespace that come first of all
 *
 * Preference 0 is the kernel's for the look-up of local addresses. Rules that are added with the same preference come
 * behind it, in the order in which they were added, and before everybody else's: `ip rule add` without a preference
 * takes one below 32766, and `ip rule flush` spares those with preference 0. Control thread.
 */
#ifndef PODSWITCH_RULE_H
#define PODSWITCH_RULE_H

#include "tap/netlink.h"

#include <net/if.h>

#define RULE_MAX 256

struct rule {
	uint8_t family;
	uint8_t action; /* FR_ACT_TO_TBL or FR_ACT_UNREACHABLE */
	uint32_t table; /* of FR_ACT_TO_TBL */
	uint32_t mark;  /* of packets with this fwmark under `mask`; mask 0: of all */
	uint32_t mask;
	char oif[IFNAMSIZ]; /* of sockets that are bound to this interface; "": of all */
	bool narrow;        /* what the table says counts only with a prefix longer than `beyond` bits, and by an */
	uint32_t beyond;    /* interface that is not in the group `except` */
	uint32_t except;
};

#define RULE_FOREIGN_MAX 8
#define RULE_FOREIGN_SIZE 512

/* A rule of somebody else, as the kernel sent it. */
union rule_foreign {
	struct nlmsghdr head;
	uint8_t bytes[RULE_FOREIGN_SIZE];
};

struct rule_list {
	struct rule rules[RULE_MAX];
	size_t n;
	union rule_foreign foreign[RULE_FOREIGN_MAX]; /* read: others with preference 0 that come before ours */
	size_t n_foreign;
	bool is_preceded; /* there are such, maybe more than could be read */
};

void rule_list_append(struct rule_list *list, const struct rule *rule);

/* Lists our rules of one family: those with preference 0 and this protocol. -EAFNOSUPPORT without that family. */
int rule_list_read(struct netlink *nl, uint8_t family, uint8_t protocol, struct rule_list *out);

/* `loosely`: whatever interfaces the rules for bound sockets are for. */
bool rule_list_equal(const struct rule_list *a, const struct rule_list *b, bool loosely);

/*
 * Makes `wanted` our rules of that family. The new ones are added behind `now` before those are deleted, the last
 * first: what the last rule stops is stopped all the time. 0 or a negative errno with nl->text.
 */
int rule_list_change(struct netlink *nl, const struct rule_list *now, const struct rule_list *wanted, uint8_t protocol);

/* Moves the rules of somebody else that come before ours behind them. 0 or a negative errno with nl->text. */
int rule_move_foreign(struct netlink *nl, const struct rule_list *now);

/* Deletes rules with this preference and look-up, of IPv4. 0 or a negative errno with nl->text. */
int rule_delete_all(struct netlink *nl, uint32_t preference, uint32_t table);

#endif
