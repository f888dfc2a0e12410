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

#define PRIMARY_MAX_KEEP 256
#define PRIMARY_MAX_REMOTES 64

/* The routing protocol number of all our routes in the main table; rtnetlink assigns it to nobody. */
#define PRIMARY_PROTOCOL 0x50

/* The metric of the unreachable default routes: behind every default route that the TAP gets. */
#define PRIMARY_UNREACHABLE_METRIC 0x7fffff00

/* Our routing tables, "ps" and a number; see primary.c. */
#define PRIMARY_PARKED_TABLE 0x70730001
#define PRIMARY_BOUND_TABLE 0x70730002

struct primary_config {
	struct prefix primary_keep[PRIMARY_MAX_KEEP]; /* networks that stay on the primary interface; not /0 */
	size_t n_keep;
	struct address remotes[PRIMARY_MAX_REMOTES]; /* addresses that the tunnel itself must reach */
	size_t n_remotes;
};

/*
 * Makes `ifname` the pod's only way out, whether it exists and has a default route already or not. Everything that it
 * does not lead to becomes unreachable, except networks that the pod has routes to, config->primary_keep and
 * config->remotes. The last two go where the pod would have sent them without us; where it had no route, none is added.
 * A call with another configuration changes to that one, and what is in both stays reachable all the time.
 *
 * Call it before `ifname` gets its default route (otherwise link_setup() returns -EEXIST), and again after an interface
 * was added. From then on no interface in the namespace accepts router advertisements.
 *
 * Errors: -EINVAL with key "keep" or "remote"; -EROFS or -EACCES where /proc/sys may not be written; or what the kernel
 * says. After an error part of it may be done, but there is never another way out than before the call.
 */
int primary_take(const char *ifname, const struct primary_config *config, struct failure *why);

/*
 * Restores the pod's own default routes and removes everything of ours. -EBUSY with key "default_via" while `ifname`
 * has a default route that is in the way of one of them: remove that first. Nobody knows whether router advertisements
 * were accepted before; they stay refused.
 */
int primary_restore(const char *ifname, struct failure *why);

#endif
