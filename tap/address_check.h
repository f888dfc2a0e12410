/* SPDX-License-Identifier: Apache-2.0 */
/*
 * address_check.h - whether somebody else has the addresses that a port was given (RFC 5227, section 2.1)
 *
 *     begin --3 probes, 0.1 s apart, 0.2 s more--> free
 *       ^           |
 *       |           '--an answer, or another's probe for the same address--> taken --10 to 20 s--.
 *       '----------------------------------------------------------------------------------------'
 *
 * RFC 5227 has seconds between probes, and one before the first, for links on which hosts sleep. On a VXLAN network an
 * answer takes milliseconds, and a pod waits for it to start.
 *
 * A probe finds whom the network brings it to: the gateway, and pods of the same gateway that it lets speak with each
 * other. Whoever takes the address later is not noticed: the defence of section 2.4 is not done here.
 *
 * Values and times that are passed in, ms of any monotonic clock. One thread at a time.
 */
#ifndef PODSWITCH_ADDRESS_CHECK_H
#define PODSWITCH_ADDRESS_CHECK_H

#include "tap/base/address.h"
#include "tap/base/mac.h"

#include <stddef.h>

#define ADDRESS_CHECK_MAX 8    /* addresses */
#define ADDRESS_CHECK_PROBES 3 /* of each address */

/* Zero: nothing to check. Read it only with the functions below. */
struct address_check {
	struct address list[ADDRESS_CHECK_MAX];
	size_t n;
	bool used[ADDRESS_CHECK_MAX]; /* the pod may have it, also while it is checked once more */
	unsigned asked;               /* probes of each, in this round */
	uint64_t due;                 /* ms */
	uint64_t random;
	struct address taken; /* family 0: none */
	struct mac holder;
};

enum address_check_news {
	ADDRESS_CHECK_NONE,
	ADDRESS_CHECK_FREE, /* nobody has them: they may be used */
	ADDRESS_CHECK_TAKEN /* somebody has one of them: they must not */
};

/*
 * Begins to check these IPv4 addresses, at most ADDRESS_CHECK_MAX. Those that the pod has already (used[i]) it keeps
 * until somebody answers; if it has all, nothing is checked before address_check_again(). `random` tells ports apart,
 * so that two that want one address do not ask at the same time for ever.
 */
void address_check_begin(struct address_check *check, const struct address *list, size_t n, const bool *used,
			 uint64_t random, uint64_t now);

/* From the beginning, in another network: what the pod has it keeps until somebody answers. */
void address_check_again(struct address_check *check, uint64_t now);

/* Whether the address must not be used now. */
bool address_check_withholds(const struct address_check *check, const struct address *address);

/* Whether it is being found out now, for the first time. */
bool address_check_is_new(const struct address_check *check);

/* When address_check_ask() has something to do, ms; UINT64_MAX: never. */
uint64_t address_check_due(const struct address_check *check);

/* Call it when it is due: returns how many addresses of the list are to be probed now, from the first one on. */
size_t address_check_ask(struct address_check *check, uint64_t now, enum address_check_news *news);

/* Takes an ARP frame (arp_probe_is_arp()). `own` is the port's MAC. */
enum address_check_news address_check_hear(struct address_check *check, const uint8_t *frame, const struct mac *own,
					   uint64_t now);

#endif
