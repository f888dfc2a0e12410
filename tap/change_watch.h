/* SPDX-License-Identifier: Apache-2.0 */
/*
 * change_watch.h - notices that interfaces, addresses, routes, rules or packet filters of a namespace have changed
 *
 * Not what has changed: whoever goes by any of these looks anew. Filters are seen where they are nf_tables', which
 * iptables-nft's are; the older iptables tells nobody. One thread.
 */
#ifndef PODSWITCH_CHANGE_WATCH_H
#define PODSWITCH_CHANGE_WATCH_H

#include <stdbool.h>

struct change_watch {
	int routes, filters; /* netlink sockets; -1: none */
};

#define CHANGE_WATCH_NONE                                                                                              \
	{                                                                                                              \
		.routes = -1, .filters = -1                                                                            \
	}

/* Of the namespace of the calling thread. What cannot be opened is not watched. */
void change_watch_open(struct change_watch *watch);
void change_watch_close(struct change_watch *watch);

/* Whether anything has changed since the last call. Does not block. */
bool change_watch_seen(struct change_watch *watch);

#endif
