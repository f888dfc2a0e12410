/* SPDX-License-Identifier: Apache-2.0 */
/*
 * netlink.h - a route netlink socket that keeps the kernel's own words
 *
 * libnl folds the kernel's errno into some thirty codes of its own and forgets the text that came with it. Both are
 * what the user needs, so they are caught on their way in. One thread at a time.
 */
#ifndef PODSWITCH_NETLINK_H
#define PODSWITCH_NETLINK_H

#include "tap/base/address.h"
#include "tap/base/failure.h"

#include <netlink/addr.h>
#include <netlink/netlink.h>

struct netlink {
	struct nl_sock *sock;
	int error;      /* errno of the refusal that libnl is about to report; 0: none */
	char text[128]; /* why the last call failed, in the kernel's words if it had any */
};

/* Opens the socket in the namespace of the calling thread. *nl must not move until it is closed. */
int netlink_open(struct netlink *nl, struct failure *why);

/* Accepts one that netlink_open refused. */
void netlink_close(struct netlink *nl);

/* Sends a request, waits for its answer and frees it. NULL is accepted: -ENOMEM, so that builders need no check. */
int netlink_request(struct netlink *nl, struct nl_msg *msg);

/* The negative errno for what a libnl function that used nl->sock returned; 0 for results that are no error. */
int netlink_code(struct netlink *nl, int result);

/*
 * Builds a request: the header of the type's family in `head`, then attributes one by one. When there is no memory the
 * message is NULL from then on, which every function here accepts, so only netlink_request() has to tell.
 */
struct nl_msg *netlink_message(int type, int flags, void *head, size_t size);
void netlink_put(struct nl_msg **msg, int attribute, const void *data, size_t size);

/* libnl's idea of an address as ours; family 0 for NULL and for anything that is no IP address. */
struct address netlink_address(const struct nl_addr *from);

#endif
