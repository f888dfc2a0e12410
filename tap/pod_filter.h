/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pod_filter.h - the packet filter in a pod: what routes cannot stop, and the answers that may leave as they came
 *
 * A table `inet podswitch` of nftables in the pod's network namespace. Its last chain sees every packet that leaves,
 * after all other filters and translations. It drops what leaves by a watched interface, unless the destination is one
 * of `stays`, or the packet is one that the link itself needs.
 *
 * Control thread, in the pod's namespace.
 */
#ifndef PODSWITCH_POD_FILTER_H
#define PODSWITCH_POD_FILTER_H

#include "tap/base/address.h"
#include "tap/base/failure.h"

#include <stdbool.h>
#include <stddef.h>

/* Of packets, and of connections, that came in by a watched interface: "ps" in the upper half. */
#define POD_FILTER_MARK 0x70730000u
#define POD_FILTER_MASK 0xffff0000u

/* Of what podswitchd's own sockets in the pod send: "pt". Nobody else may set marks without a right to. */
#define POD_FILTER_TUNNEL_MARK 0x70740000u

struct pod_filter {
	bool names;              /* what the pod asks at port 53 goes to `resolver` */
	struct address resolver; /* IPv4, behind the interface `tap`; family 0: not known yet, nobody is asked */
	unsigned tap;            /* interface index */
	bool inbound;            /* marks connections that come in by watched interfaces, and the answers to them */
	const unsigned *watched;
	size_t n_watched;
	const struct prefix *stays;
	size_t n_stays;
	uint16_t tunnel; /* UDP port, host order, to which only datagrams with POD_FILTER_TUNNEL_MARK go; 0: none */
	const struct address *broadcasts; /* IPv4 broadcast addresses of networks in `stays` */
	size_t n_broadcasts;
};

/* What pod_filter_put() last wrote, to see whether it is still there. All zero at first. */
struct pod_filter_state {
	uint64_t text;       /* hash of the rules; 0: none were written */
	uint64_t listing;    /* hash of how the kernel lists them */
	uint32_t generation; /* of the namespace's rules, which every change increments */
};

/*
 * Keeps a few low descriptors back for libnftables, which waits by select(2): that ends the process when its socket's
 * number is 1024 or more. Once, at the start, before others are opened.
 */
void pod_filter_hold_descriptors(void);

/*
 * Puts the filter in force, in one transaction, and unless it had been changed no packet meets anything in between. 1
 * when somebody had changed what was there, else 0. -EOPNOTSUPP where the kernel has no nf_tables; -E2BIG where the pod
 * has so much of its own in them that reading it would take others' time; or -EINVAL with the kernel's words, key
 * "inbound" or "dns" when it can do all but that.
 */
int pod_filter_put(const struct pod_filter *filter, struct pod_filter_state *state, struct failure *why);

/* Removes it, if it is there, but for the case of -E2BIG. */
void pod_filter_remove(void);

#endif
