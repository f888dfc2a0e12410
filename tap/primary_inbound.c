/* SPDX-License-Identifier: Apache-2.0 */
/* primary_inbound.c - the reverse path filter accepts who connects by the primary interface */
#include "tap/net_settings.h"
#include "tap/primary_session.h"

#include <linux/ip.h>
#include <linux/rtnetlink.h>
#include <netlink/attr.h>

/*
 * With a strict filter (rp_filter 1) the kernel drops what comes in by another interface than the one by which an
 * answer would leave. src_valid_mark makes it look for that with the packet's mark, for which there is a rule.
 * IFLA_AF_SPEC works without a writable /proc/sys.
 */
static struct nl_msg *accept_message(const struct primary_link *link)
{
	struct ifinfomsg head = {.ifi_index = (int)link->ifindex};
	struct nl_msg *msg = netlink_message(RTM_NEWLINK, 0, &head, sizeof(head));
	struct nlattr *spec = msg ? nla_nest_start(msg, IFLA_AF_SPEC) : NULL;
	struct nlattr *inet = spec ? nla_nest_start(msg, AF_INET) : NULL;
	struct nlattr *conf = inet ? nla_nest_start(msg, IFLA_INET_CONF) : NULL;

	/* A message of one page has room for this. */
	if (!conf || nla_put_u32(msg, IPV4_DEVCONF_SRC_VMARK, 1))
		return msg;
	nla_nest_end(msg, conf);
	nla_nest_end(msg, inet);
	nla_nest_end(msg, spec);
	return msg;
}

/*
 * An answer is marked on its way out, when a first route for it was found. Where the TAP has no default route, for IPv6
 * for example, there is none. With these, what the kernel answers by itself and what belongs to an accepted TCP
 * connection has the mark of what it answers from the beginning. Where they cannot be written, it has to do without.
 */
static void reflect_marks(void)
{
	static const char *const marks[] = {"ipv4/tcp_fwmark_accept", "ipv4/fwmark_reflect", "ipv6/fwmark_reflect"};
	for (size_t i = 0; i < sizeof(marks) / sizeof(marks[0]); i++)
		(void)net_settings_write(marks[i], "1");
}

int primary_accept_marks(struct primary_session *s, struct failure *why)
{
	int code = 0;

	for (size_t i = 0; !code && i < s->n_links; i++) {
		code = netlink_request(&s->nl, accept_message(&s->links[i]));
		code = code == -ENODEV ? 0 : code;
	}
	reflect_marks();
	return code ? fail(why, code, "inbound", "inbound: cannot set src_valid_mark: %s", s->nl.text) : 0;
}
