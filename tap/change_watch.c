/* SPDX-License-Identifier: Apache-2.0 */
/* change_watch.c - notices changes of a namespace by the kernel's netlink notifications */
#include "tap/change_watch.h"

#include <errno.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <unistd.h>

#define MESSAGES 4096 /* that one call reads; with more, the rest is seen as another change */

static int open_groups(int protocol, const int *groups, size_t n)
{
	const struct sockaddr_nl any = {.nl_family = AF_NETLINK};
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol);
	if (fd < 0)
		return -1;
	bool joined = !bind(fd, (const struct sockaddr *)&any, sizeof(any));
	for (size_t i = 0; joined && i < n; i++)
		joined = !setsockopt(fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &groups[i], sizeof(groups[i]));
	if (joined)
		return fd;
	close(fd);
	return -1;
}

void change_watch_open(struct change_watch *watch)
{
	static const int routes[] = {RTNLGRP_LINK,       RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR, RTNLGRP_IPV4_ROUTE,
				     RTNLGRP_IPV6_ROUTE, RTNLGRP_IPV4_RULE,   RTNLGRP_IPV6_RULE};
	static const int filters[] = {NFNLGRP_NFTABLES};
	watch->routes = open_groups(NETLINK_ROUTE, routes, sizeof(routes) / sizeof(routes[0]));
	watch->filters = open_groups(NETLINK_NETFILTER, filters, sizeof(filters) / sizeof(filters[0]));
}

static void close_one(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

void change_watch_close(struct change_watch *watch)
{
	close_one(&watch->routes);
	close_one(&watch->filters);
}

/* An error is ENOBUFS, more changes than there is room for, or EAGAIN, none. */
static bool drain(int fd)
{
	uint8_t scrap[64];
	bool seen = false;
	if (fd < 0)
		return false;
	for (int i = 0; i < MESSAGES; i++) {
		ssize_t got = recv(fd, scrap, sizeof(scrap), MSG_DONTWAIT | MSG_TRUNC);
		if (got < 0 && errno == EAGAIN)
			break;
		seen = true;
	}
	return seen;
}

bool change_watch_seen(struct change_watch *watch)
{
	bool routes = drain(watch->routes), filters = drain(watch->filters);
	return routes || filters;
}
