/* SPDX-License-Identifier: Apache-2.0 */
/*
 * primary.h - making a TAP the pod's only way out, instead of its primary interface
 *
 * For the control thread, inside the pod's network namespace. Both functions may be called again at any time, even
 * after a call that was interrupted anywhere: they look at what the kernel has, not at what was done before.
 */
#ifndef PODSWITCH_PRIMARY_H
#define PODSWITCH_PRIMARY_H

#include "tap/base/address.h"
#include "tap/base/failure.h"
#include "tap/pod_filter.h"

#define PRIMARY_MAX_KEEP 256
#define PRIMARY_MAX_REMOTES 64

/* The routing protocol number of our rules, and of our routes to what stays; rtnetlink assigns it to nobody. */
#define PRIMARY_PROTOCOL 0x50

/* Our routing tables, "ps" and a number; see primary.c. The first two were those of earlier versions. */
#define PRIMARY_PARKED_TABLE 0x70730001
#define PRIMARY_THROW_TABLE 0x70730002
#define PRIMARY_WAY_TABLE 0x70730003
#define PRIMARY_BOUND_TABLE 0x70730004

/* Our groups of interfaces; see primary.c. */
#define PRIMARY_SEEN_GROUP 0x70730001
#define PRIMARY_FROZEN_GROUP 0x70730002

struct primary_config {
	struct prefix primary_keep[PRIMARY_MAX_KEEP]; /* networks that stay on the primary interface; not /0 */
	size_t n_keep;
	struct address remotes[PRIMARY_MAX_REMOTES]; /* addresses that the tunnel itself must reach */
	size_t n_remotes;
	bool names;              /* what the pod asks at port 53 goes to `resolver`, by `ifname` */
	struct address resolver; /* IPv4; family 0: not known yet, so nobody is asked */
	uint16_t tunnel;         /* UDP port of the gateway's VXLAN, which the pod itself may not send to; 0: it may */
	bool inbound;            /* answers to connections that came in by the primary interface leave by it */
};

/* What is known of one pod from one call to the next; all zero at first, as after a restart. */
struct primary_state {
	struct pod_filter_state filter;
	unsigned changes;     /* made by the last call */
	bool preceded;        /* somebody else's rule is consulted before ours */
	char unfiltered[160]; /* why there is no packet filter, or "" */
};

/*
 * Makes `ifname` the pod's only way out, whether it exists and has a default route already or not; its routes belong
 * into PRIMARY_WAY_TABLE. Everything that they do not lead to becomes unreachable, except networks that the pod has
 * routes to, config->primary_keep and config->remotes. The last two go where the pod would send them without us; where
 * it has no route, none is added. A call with another configuration changes to that one, and what is in both stays
 * reachable all the time. With the same configuration, it repairs what somebody has changed since.
 *
 * Without nf_tables in the kernel there is no packet filter, which is no error unless config->inbound or config->names
 * needs it.
 *
 * Errors: -EINVAL with key "keep" or "remote"; -EOPNOTSUPP with key "inbound" or "dns"; or what the kernel says. After
 * an error part of it may be done, but there is never another way out than before the call.
 */
int primary_take(const char *ifname, const struct primary_config *config, struct primary_state *state,
		 struct failure *why);

/* Removes everything of ours: the pod's own routes, which were there all the time, are in force again. */
int primary_restore(const char *ifname, struct failure *why);

#endif
