/* SPDX-License-Identifier: Apache-2.0 */
/*
 * netlink.h - a route netlink socket that keeps the kernel's own error messages
 *
 * libnl maps the kernel's errno to some thirty codes of its own and drops the text that came with it. The user needs
 * both, so they are caught as they arrive. One thread at a time.
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

/* Accepts one that netlink_open() refused. */
void netlink_close(struct netlink *nl);

/* Sends a request, waits for the answer and frees it. NULL is accepted and gives -ENOMEM, so builders need no check. */
int netlink_request(struct netlink *nl, struct nl_msg *msg);

/* The negative errno for what a libnl function that used nl->sock returned; 0 for results that are no error. */
int netlink_code(struct netlink *nl, int result);

/*
 * Building a request: the header of the type's family, then attributes one by one. Without memory the message becomes
 * NULL, which all functions here accept; netlink_request() then reports -ENOMEM.
 */
struct nl_msg *netlink_message(int type, int flags, void *head, size_t size);
void netlink_put(struct nl_msg **msg, int attribute, const void *data, size_t size);

/* What the kernel is to leave out of a list: all for which the attribute has another value. 0: nothing. */
struct netlink_filter {
	int attribute;
	uint32_t value;
};

/*
 * Asks for a list (NLM_F_DUMP) of which the answers begin with such a head, and passes each message to `visit` until
 * that returns false. What a pod can grow is thus read up to a bound of the visitor's, and never kept by libnl, whose
 * caches take seconds for a hundred thousand routes. A socket of its own is for each list, so that the rest of one that
 * was left disturbs nobody. -EAGAIN when the list changed while it was read; otherwise a negative errno with nl->text.
 */
typedef bool netlink_visitor(void *context, struct nlmsghdr *message);
int netlink_dump(struct netlink *nl, int type, void *head, size_t size, struct netlink_filter filter,
		 netlink_visitor *visit, void *context);

/* The same for a request whose answer is one message; `msg` as in netlink_request(). On `nl` itself. */
int netlink_ask(struct netlink *nl, struct nl_msg *msg, netlink_visitor *visit, void *context);

#define NETLINK_TURNS 8 /* tries of a list that changes while it is read */

/*
 * The same, from the beginning when the list changed, up to NETLINK_TURNS times. *n is what the visitor has found so
 * far: it counts it up, and each beginning sets it to 0.
 */
int netlink_list(struct netlink *nl, int type, void *head, size_t size, struct netlink_filter filter,
		 netlink_visitor *visit, void *context, size_t *n);

/* libnl's idea of an address as ours; family 0 for NULL and for anything that is no IP address. */
struct address netlink_address(const struct nl_addr *from);

#endif
