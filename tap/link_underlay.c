/* SPDX-License-Identifier: Apache-2.0 */
/* link_underlay.c - the interface of the underlay TAP: makes the node forward what is written to it */
#include "tap/link.h"
#include "tap/link_target.h"
#include "tap/net_settings.h"

#include <linux/if_addr.h>
#include <linux/ip.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <stdio.h>

/* IFLA_AF_SPEC { AF_INET { IFLA_INET_CONF { id: value } } } works without a writable /proc/sys. */
static int put_devconf(struct nl_msg *msg)
{
	static const struct {
		int id;
		uint32_t value;
	} wanted[] = {{IPV4_DEVCONF_FORWARDING, 1}, {IPV4_DEVCONF_ACCEPT_LOCAL, 1}, {IPV4_DEVCONF_RP_FILTER, 2}};
	struct nlattr *spec = nla_nest_start(msg, IFLA_AF_SPEC);
	struct nlattr *inet = spec ? nla_nest_start(msg, AF_INET) : NULL;
	struct nlattr *conf = inet ? nla_nest_start(msg, IFLA_INET_CONF) : NULL;

	if (!conf)
		return -ENOMEM;
	for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++)
		if (nla_put_u32(msg, wanted[i].id, wanted[i].value))
			return -ENOMEM;
	nla_nest_end(msg, conf);
	nla_nest_end(msg, inet);
	nla_nest_end(msg, spec);
	return 0;
}

static int set_devconf(struct link_target *t)
{
	static const uint32_t group = LINK_UNDERLAY_GROUP;
	struct nl_msg *msg = link_message(t, IFF_NOARP, IFF_NOARP);

	netlink_put(&msg, IFLA_GROUP, &group, sizeof(group));
	if (msg && put_devconf(msg)) {
		nlmsg_free(msg);
		msg = NULL;
	}
	return netlink_request(&t->nl, msg);
}

/*
 * Since Linux 6.17 IPv6 can forward from a single interface (force_forwarding); older kernels forward from all or none.
 * Where it cannot be set, the probes are lost and IPv6 datagrams take the sockets.
 */
static void force_ip6_forwarding(const char *ifname)
{
	char name[80];
	snprintf(name, sizeof(name), "ipv6/conf/%s/force_forwarding", ifname);
	(void)net_settings_write(name, "1");
}

/*
 * An interface without any address fails even a loose reverse path filter (fib_validate_source), and the filter cannot
 * be turned off for one interface while it is on for all. The address has no other use: with scope host it is never
 * chosen as a source.
 */
static struct nl_msg *underlay_address(const struct link_target *t)
{
	static const uint8_t address[] = {
		127, 189, 42, 1}; /* loopback: programs that look for an address of the pod's own pass over it */
	struct ifaddrmsg head = {.ifa_family = AF_INET,
				 .ifa_prefixlen = 8 * sizeof(address),
				 .ifa_scope = RT_SCOPE_HOST,
				 .ifa_index = (unsigned)t->ifindex};
	struct nl_msg *msg = netlink_message(RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE, &head, sizeof(head));

	netlink_put(&msg, IFA_LOCAL, address, sizeof(address));
	return msg;
}

int link_setup_underlay(const char *ifname, struct failure *why)
{
	struct link_target t;
	int code = link_target_open(&t, ifname, why);

	if (code)
		return code;
	code = set_devconf(&t);
	if (!code)
		code = netlink_request(&t.nl, underlay_address(&t));
	if (!code)
		code = link_set_flags(&t, IFF_UP, IFF_UP);
	if (code)
		link_refuse(&t, code, "ifname", ifname, why);
	netlink_close(&t.nl);
	if (!code)
		force_ip6_forwarding(ifname);
	return code;
}
