/* SPDX-License-Identifier: Apache-2.0 */
/*
 * primary.h - a pod's primary interface, which the TAP takes the way out from
 *
 * For the control thread, inside the pod's network namespace. Both verbs may be called again at any time, also after a
 * call that was cut short anywhere: they look at what the kernel has, not at what was done before.
 */
#ifndef PODSWITCH_PRIMARY_H
#define PODSWITCH_PRIMARY_H

#include "tap/base/address.h"
#include "tap/base/failure.h"

#define PRIMARY_MAX_KEEP 64
#define PRIMARY_MAX_REMOTES 64

/* The routing protocol number of every route of ours in the main table; unassigned in rtnetlink's list. */
#define PRIMARY_PROTOCOL 0x50

/* Of the unreachable defaults: behind whatever default route the TAP is given. */
#define PRIMARY_UNREACHABLE_METRIC 0x7fffff00

/* The tables of ours, "ps" and a number; see primary.c. */
#define PRIMARY_PARKED_TABLE 0x70730001
#define PRIMARY_BOUND_TABLE 0x70730002

struct primary_config {
	struct prefix primary_keep[PRIMARY_MAX_KEEP]; /* networks that stay on the primary interface; not /0 */
	size_t n_keep;
	struct address remotes[PRIMARY_MAX_REMOTES]; /* machines that the tunnel itself needs to reach */
	size_t n_remotes;
};

/*
 * Makes `ifname` the only way out of the pod, whether it is there and has a default route already or not: what it does
 * not lead to is unreachable, but for networks that the pod has routes to, config->keep and config->remotes. The last
 * two go where the pod would have sent them without us; where it had no way there, nothing is added. Called again with
 * another configuration it changes to that, without a moment in which what stays in it is not reachable.
 *
 * To be called before `ifname` is given its default route (-EEXIST otherwise, from link_setup), and again when an
 * interface has come. No router advertisement is accepted any more in the namespace, on any interface.
 *
 * Errors: -EINVAL with key "keep" or "remote"; -EROFS or -EACCES where /proc/sys may not be written; what the kernel
 * says otherwise. After an error some of it may be done, never so that there is another way out than before the call.
 */
int primary_take(const char *ifname, const struct primary_config *config, struct failure *why);

/*
 * Puts the pod's own default routes back as they were and removes everything of ours. -EBUSY with key "default_via"
 * while `ifname` has a default route that stands in the way of one of them: take that away first. That router
 * advertisements were accepted before is not known any more; they stay refused.
 */
int primary_restore(const char *ifname, struct failure *why);

#endif
