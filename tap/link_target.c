/* SPDX-License-Identifier: Apache-2.0 */
/* link_target.c - an interface of the current network namespace, looked up and ready to be changed */
#include "tap/link_target.h"

#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <netlink/route/link.h>
#include <string.h>

static int link_look_up(struct netlink *nl, const char *ifname, struct rtnl_link **link, struct failure *why)
{
	int code = netlink_code(nl, rtnl_link_get_kernel(nl->sock, 0, ifname, link));

	if (!code)
		return 0;
	if (code == -ENODEV || code == -ENOENT)
		return fail(why, -ENODEV, "ifname", "there is no interface %.40s", ifname);
	return fail(why, code, "ifname", "cannot look up the interface %.40s: %s", ifname, nl->text);
}

static struct mac link_get_mac(struct rtnl_link *link)
{
	struct mac mac = {0};
	struct nl_addr *found = rtnl_link_get_addr(link);

	if (found && nl_addr_get_len(found) == sizeof(mac.bytes))
		memcpy(mac.bytes, nl_addr_get_binary_addr(found), sizeof(mac.bytes));
	return mac;
}

int link_target_open(struct link_target *t, const char *ifname, struct failure *why)
{
	struct rtnl_link *link;

	*t = (struct link_target){.ifname = ifname};
	int code = netlink_open(&t->nl, why);
	if (code)
		return code;
	code = link_look_up(&t->nl, ifname, &link, why);
	if (code) {
		netlink_close(&t->nl);
		return code;
	}
	t->ifindex = rtnl_link_get_ifindex(link);
	t->mac = link_get_mac(link);
	t->mtu = rtnl_link_get_mtu(link);
	t->up = rtnl_link_get_flags(link) & IFF_UP;
	rtnl_link_put(link);
	return 0;
}

int link_refuse(struct link_target *t, int code, const char *key, const char *value, struct failure *why)
{
	bool v6 = strchr(value, ':') && strcmp(key, "mac");

	if (code == -EPERM)
		return fail(why, code, NULL, "changing the interface %s needs CAP_NET_ADMIN", t->ifname);
	if (code == -ENODEV)
		return fail(why, code, "ifname", "the interface %s has vanished", t->ifname);
	if (v6 && code == -EACCES)
		return fail(why, code, key, "%s: %s needs IPv6, which the sysctl net.ipv6.conf.%s.disable_ipv6 forbids",
			    key, value, t->ifname);
	if (v6 && (code == -EOPNOTSUPP || code == -EAFNOSUPPORT))
		return fail(why, code, key, "%s: %s needs IPv6, which this kernel was started without", key, value);
	return fail(why, code, key, "%s: %s: %s", key, value, t->nl.text);
}

struct nl_msg *link_message(const struct link_target *t, unsigned flags, unsigned mask)
{
	struct ifinfomsg head = {.ifi_index = t->ifindex, .ifi_flags = flags, .ifi_change = mask};

	return netlink_message(RTM_NEWLINK, 0, &head, sizeof(head));
}

int link_set_attribute(struct link_target *t, int attribute, const void *data, size_t size)
{
	struct nl_msg *msg = link_message(t, 0, 0);

	netlink_put(&msg, attribute, data, size);
	return netlink_request(&t->nl, msg);
}

/* IFLA_AF_SPEC { AF_INET { IFLA_INET_CONF { id: value } } } */
int link_set_devconf(struct link_target *t, int id, uint32_t value)
{
	struct nl_msg *msg = link_message(t, 0, 0);
	struct nlattr *spec = msg ? nla_nest_start(msg, IFLA_AF_SPEC) : NULL;
	struct nlattr *inet = spec ? nla_nest_start(msg, AF_INET) : NULL;
	struct nlattr *conf = inet ? nla_nest_start(msg, IFLA_INET_CONF) : NULL;

	if (!conf || nla_put_u32(msg, id, value)) {
		nlmsg_free(msg);
		return -ENOMEM;
	}
	nla_nest_end(msg, conf);
	nla_nest_end(msg, inet);
	nla_nest_end(msg, spec);
	return netlink_request(&t->nl, msg);
}

int link_set_flags(struct link_target *t, unsigned flags, unsigned mask)
{
	return netlink_request(&t->nl, link_message(t, flags, mask));
}
