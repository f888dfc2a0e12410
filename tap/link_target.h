/* SPDX-License-Identifier: Apache-2.0 */
/*
 * link_target.h - an interface of the current network namespace, looked up and ready to be changed
 *
 * What the files link*.c share. Control thread.
 */
#ifndef PODSWITCH_LINK_TARGET_H
#define PODSWITCH_LINK_TARGET_H

#include "tap/base/address.h"
#include "tap/netlink.h"

struct link_target {
	struct netlink nl; /* to be closed with netlink_close() */
	const char *ifname;
	int ifindex;
	struct mac mac; /* this and the rest: as found */
	unsigned mtu;
	bool up;
};

/* Opens a netlink socket and looks the interface up. -ENODEV (key "ifname") when there is none. */
int link_target_open(struct link_target *t, const char *ifname, struct failure *why);

/* Fills `why` for what netlink_request() returned about the parameter `key` with this value, and returns `code`. */
int link_refuse(struct link_target *t, int code, const char *key, const char *value, struct failure *why);

/* Changes the one attribute IFLA_... of the interface. 0 or a negative errno, which link_refuse() explains. */
int link_set_attribute(struct link_target *t, int attribute, const void *data, size_t size);

/* Sets, of the interface's flags (IFF_...), those in `mask` to what they are in `flags`. The same. */
int link_set_flags(struct link_target *t, unsigned flags, unsigned mask);

/* Sets one of the interface's IPv4 settings (IPV4_DEVCONF_...), without a writable /proc/sys. The same. */
int link_set_devconf(struct link_target *t, int id, uint32_t value);

/* The same as a request, for attributes to be added to. */
struct nl_msg *link_message(const struct link_target *t, unsigned flags, unsigned mask);

#endif
