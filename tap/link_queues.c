/* SPDX-License-Identifier: Apache-2.0 */
/* link_queues.c - the queues of a TAP, as rtnetlink sees them */
#include "tap/link.h"
#include "tap/link_target.h"

#include <linux/if_link.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <netlink/attr.h>
#include <netlink/msg.h>

static bool take_queues(void *context, struct nlmsghdr *raw)
{
	struct link_queues *queues = context;

	if (raw->nlmsg_type != RTM_NEWLINK || !nlmsg_valid_hdr(raw, sizeof(struct ifinfomsg)))
		return true;
	struct nlattr *info = nlmsg_find_attr(raw, sizeof(struct ifinfomsg), IFLA_LINKINFO);
	struct nlattr *data = info ? nla_find(nla_data(info), nla_len(info), IFLA_INFO_DATA) : NULL;
	struct nlattr *n = data ? nla_find(nla_data(data), nla_len(data), IFLA_TUN_NUM_QUEUES) : NULL;
	struct nlattr *length = nlmsg_find_attr(raw, sizeof(struct ifinfomsg), IFLA_TXQLEN);
	if (n && nla_len(n) == sizeof(uint32_t))
		queues->n = nla_get_u32(n);
	if (length && nla_len(length) == sizeof(uint32_t))
		queues->length = nla_get_u32(length);
	return true;
}

int link_get_queues(const char *ifname, struct link_queues *out, struct failure *why)
{
	struct link_target t;
	int code = link_target_open(&t, ifname, why);

	if (code)
		return code;
	*out = (struct link_queues){.n = 1}; /* the kernel says a number only of a TAP that may have more */
	struct ifinfomsg head = {.ifi_family = AF_UNSPEC, .ifi_index = t.ifindex};
	code = netlink_ask(&t.nl, netlink_message(RTM_GETLINK, 0, &head, sizeof(head)), take_queues, out);
	netlink_close(&t.nl);
	return code ? fail(why, code, "ifname", "cannot count the queues of %s: %s", ifname, t.nl.text) : 0;
}

int link_unqueue(const char *ifname, struct failure *why)
{
	struct link_target t;
	int code = link_target_open(&t, ifname, why);

	if (code)
		return code;
	struct tcmsg head = {.tcm_family = AF_UNSPEC, .tcm_ifindex = t.ifindex, .tcm_parent = TC_H_ROOT};
	struct nl_msg *msg = netlink_message(RTM_NEWQDISC, NLM_F_CREATE | NLM_F_REPLACE, &head, sizeof(head));
	netlink_put(&msg, TCA_KIND, "noqueue", sizeof("noqueue"));
	code = netlink_request(&t.nl, msg);
	netlink_close(&t.nl);
	return code ? fail(why, code, "ifname", "cannot take the queues of %s away: %s", ifname, t.nl.text) : 0;
}
