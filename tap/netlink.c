/* SPDX-License-Identifier: Apache-2.0 */
/* netlink.c - a route netlink socket that keeps the kernel's own error messages */
#include "tap/netlink.h"

#include <linux/netlink.h>
#include <netlink/attr.h>
#include <netlink/errno.h>
#include <netlink/msg.h>
#include <netlink/socket.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

/*
 * Called by libnl for an error answer. The text follows the copy of our request, of which NETLINK_CAP_ACK leaves only
 * the header.
 */
static int keep_error(struct sockaddr_nl *from, struct nlmsgerr *answer, void *context)
{
	struct netlink *nl = context;
	struct nlmsghdr *header = (struct nlmsghdr *)((char *)answer - NLMSG_HDRLEN);
	struct nlattr *words = NULL;

	(void)from;
	nl->error = -answer->error;
	if ((header->nlmsg_flags & NLM_F_ACK_TLVS) && (header->nlmsg_flags & NLM_F_CAPPED))
		words = nlmsg_find_attr(header, sizeof(*answer), NLMSGERR_ATTR_MSG);
	if (words)
		nla_strlcpy(nl->text, words, sizeof(nl->text));
	else
		snprintf(nl->text, sizeof(nl->text), "%s", strerror(nl->error));
	return NL_STOP;
}

/* The errno for a failure inside libnl, without an answer from the kernel. */
static int netlink_errno_of(int result)
{
	switch (-result) {
	case NLE_NOMEM:
		return -ENOMEM;
	case NLE_AGAIN:
	case NLE_DUMP_INTR:
		return -EAGAIN;
	case NLE_INTR:
		return -EINTR;
	case NLE_NODEV:
		return -ENODEV;
	case NLE_OBJ_NOTFOUND:
		return -ENOENT;
	case NLE_PERM:
		return -EPERM;
	default:
		return -EIO;
	}
}

int netlink_code(struct netlink *nl, int result)
{
	int code = nl->error ? -nl->error : netlink_errno_of(result);

	if (result >= 0)
		return 0;
	if (!nl->error)
		snprintf(nl->text, sizeof(nl->text), "%s", nl_geterror(result));
	nl->error = 0;
	return code;
}

int netlink_open(struct netlink *nl, struct failure *why)
{
	int on = 1;

	*nl = (struct netlink){.sock = nl_socket_alloc()};
	if (!nl->sock)
		return fail(why, -ENOMEM, NULL, "no memory for a netlink socket");
	errno = 0;
	int result = nl_connect(nl->sock, NETLINK_ROUTE);
	if (result < 0) {
		int code = errno ? -errno : netlink_errno_of(result);
		netlink_close(nl);
		return fail(why, code, NULL, "cannot open a netlink socket: %s", strerror(-code));
	}
	/* Linux before 4.12 has neither; then strerror() has to do. */
	setsockopt(nl_socket_get_fd(nl->sock), SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof(on));
	setsockopt(nl_socket_get_fd(nl->sock), SOL_NETLINK, NETLINK_EXT_ACK, &on, sizeof(on));
	nl_socket_modify_err_cb(nl->sock, NL_CB_CUSTOM, keep_error, nl);
	return 0;
}

void netlink_close(struct netlink *nl)
{
	if (nl->sock)
		nl_socket_free(nl->sock);
	nl->sock = NULL;
}

int netlink_request(struct netlink *nl, struct nl_msg *msg)
{
	if (!msg) {
		snprintf(nl->text, sizeof(nl->text), "%s", strerror(ENOMEM));
		return -ENOMEM;
	}
	int result = nl_send_auto(nl->sock, msg);
	if (result >= 0)
		result = nl_wait_for_ack(nl->sock);
	nlmsg_free(msg);
	return netlink_code(nl, result);
}

struct visit {
	netlink_visitor *visit;
	void *context;
};

static int pass_on(struct nl_msg *msg, void *context)
{
	const struct visit *visit = context;

	return visit->visit(visit->context, nlmsg_hdr(msg)) ? NL_OK : NL_STOP;
}

static int ask_list(struct netlink *own, int type, void *head, size_t size, struct netlink_filter filter)
{
	struct nl_msg *msg = nlmsg_alloc_simple(type, NLM_F_DUMP);
	int on = 1, result = -NLE_NOMEM;

	/* Without it (before Linux 4.20) the filter is disregarded, and the visitor sees more. */
	setsockopt(nl_socket_get_fd(own->sock), SOL_NETLINK, NETLINK_GET_STRICT_CHK, &on, sizeof(on));
	if (msg && !nlmsg_append(msg, head, size, NLMSG_ALIGNTO) &&
	    (!filter.attribute || !nla_put_u32(msg, filter.attribute, filter.value)))
		result = nl_send_auto(own->sock, msg);
	nlmsg_free(msg);
	return result;
}

int netlink_dump(struct netlink *nl, int type, void *head, size_t size, struct netlink_filter filter,
		 netlink_visitor *visit, void *context)
{
	struct visit each = {visit, context};
	struct failure why = {0};
	struct netlink own;
	int code = netlink_open(&own, &why);

	if (code) {
		snprintf(nl->text, sizeof(nl->text), "%.100s", why.text);
		return code;
	}
	nl_socket_modify_cb(own.sock, NL_CB_VALID, NL_CB_CUSTOM, pass_on, &each);
	int result = ask_list(&own, type, head, size, filter);
	if (result >= 0)
		result = nl_recvmsgs_default(own.sock);
	code = netlink_code(&own, result);
	snprintf(nl->text, sizeof(nl->text), "%s", own.text);
	netlink_close(&own);
	return code;
}

int netlink_ask(struct netlink *nl, struct nl_msg *msg, netlink_visitor *visit, void *context)
{
	struct visit each = {visit, context};
	nl_socket_modify_cb(nl->sock, NL_CB_VALID, NL_CB_CUSTOM, pass_on, &each);
	if (msg)
		nlmsg_hdr(msg)->nlmsg_flags |= NLM_F_ACK; /* else nothing says that there is no more */
	return netlink_request(nl, msg);
}

int netlink_list(struct netlink *nl, int type, void *head, size_t size, struct netlink_filter filter,
		 netlink_visitor *visit, void *context, size_t *n)
{
	int code = -EAGAIN;

	for (int turn = 0; code == -EAGAIN && turn < NETLINK_TURNS; turn++) {
		*n = 0;
		code = netlink_dump(nl, type, head, size, filter, visit, context);
	}
	return code;
}

struct address netlink_address(const struct nl_addr *from)
{
	struct address out = {0};
	int family = from ? nl_addr_get_family(from) : 0;

	if (family != AF_INET && family != AF_INET6)
		return out;
	out.family = (uint8_t)family;
	/* A default route's destination has no bytes at all. */
	if (nl_addr_get_len(from) <= address_size(out.family))
		memcpy(out.bytes, nl_addr_get_binary_addr(from), nl_addr_get_len(from));
	return out;
}

struct nl_msg *netlink_message(int type, int flags, void *head, size_t size)
{
	struct nl_msg *msg = nlmsg_alloc_simple(type, flags);

	if (msg && !nlmsg_append(msg, head, size, NLMSG_ALIGNTO))
		return msg;
	nlmsg_free(msg);
	return NULL;
}

void netlink_put(struct nl_msg **msg, int attribute, const void *data, size_t size)
{
	if (!*msg || !nla_put(*msg, attribute, (int)size, data))
		return;
	nlmsg_free(*msg);
	*msg = NULL;
}
