/* SPDX-License-Identifier: Apache-2.0 */
/* rule.c - the policy rules of the current network namespace that come first of all */
#include "tap/rule.h"

#include <linux/fib_rules.h>
#include <linux/rtnetlink.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <string.h>

struct rule_reader {
	struct rule_list *list;
	uint8_t protocol;
};

void rule_list_append(struct rule_list *list, const struct rule *rule)
{
	if (list->n < RULE_MAX)
		list->rules[list->n++] = *rule;
}

static uint32_t rule_u32(struct nlmsghdr *raw, int attribute)
{
	struct nlattr *found = nlmsg_find_attr(raw, sizeof(struct fib_rule_hdr), attribute);

	return found && nla_len(found) >= (int)sizeof(uint32_t) ? nla_get_u32(found) : 0;
}

static bool is_protocol(struct nlmsghdr *raw, uint8_t protocol)
{
	struct nlattr *found = nlmsg_find_attr(raw, sizeof(struct fib_rule_hdr), FRA_PROTOCOL);

	return found && nla_get_u8(found) == protocol;
}

static struct rule rule_of(struct nlmsghdr *raw)
{
	const struct fib_rule_hdr *head = nlmsg_data(raw);
	struct nlattr *oif = nlmsg_find_attr(raw, sizeof(*head), FRA_OIFNAME);
	struct rule rule = {.family = head->family,
			    .action = head->action,
			    .table = head->action == FR_ACT_TO_TBL ? rule_u32(raw, FRA_TABLE) : 0,
			    .mark = rule_u32(raw, FRA_FWMARK),
			    .mask = rule_u32(raw, FRA_FWMASK)};

	if (oif)
		nla_strlcpy(rule.oif, oif, sizeof(rule.oif));
	rule.narrow = nlmsg_find_attr(raw, sizeof(*head), FRA_SUPPRESS_IFGROUP);
	if (rule.narrow) {
		rule.beyond = rule_u32(raw, FRA_SUPPRESS_PREFIXLEN);
		rule.except = rule_u32(raw, FRA_SUPPRESS_IFGROUP);
	}
	return rule;
}

static void note_foreign(struct rule_list *list, const struct nlmsghdr *raw)
{
	list->is_preceded = true;
	if (list->n_foreign < RULE_FOREIGN_MAX && raw->nlmsg_len <= RULE_FOREIGN_SIZE)
		memcpy(list->foreign[list->n_foreign++].bytes, raw, raw->nlmsg_len);
}

/* They come in the order of their preferences: behind the first ones there is nothing for us. */
static bool take_rule(void *context, struct nlmsghdr *raw)
{
	struct rule_reader *reader = context;

	if (raw->nlmsg_type != RTM_NEWRULE || !nlmsg_valid_hdr(raw, sizeof(struct fib_rule_hdr)))
		return true;
	if (rule_u32(raw, FRA_PRIORITY))
		return false;
	struct rule rule = rule_of(raw);
	if (is_protocol(raw, reader->protocol))
		rule_list_append(reader->list, &rule);
	else if (rule.table != RT_TABLE_LOCAL && !reader->list->n)
		note_foreign(reader->list, raw);
	return true;
}

static int rule_dump(struct netlink *nl, uint8_t family, struct rule_reader *reader)
{
	struct fib_rule_hdr head = {.family = family};

	return netlink_dump(nl, RTM_GETRULE, &head, sizeof(head), (struct netlink_filter){0, 0}, take_rule, reader);
}

int rule_list_read(struct netlink *nl, uint8_t family, uint8_t protocol, struct rule_list *out)
{
	struct rule_reader reader = {.list = out, .protocol = protocol};
	int code = -EAGAIN;

	for (int turn = 0; code == -EAGAIN && turn < NETLINK_TURNS; turn++) {
		*out = (struct rule_list){0};
		code = rule_dump(nl, family, &reader);
	}
	return code;
}

static bool rule_equal(const struct rule *a, const struct rule *b)
{
	return a->family == b->family && a->action == b->action && a->table == b->table && a->mark == b->mark &&
	       a->mask == b->mask && !strcmp(a->oif, b->oif) && a->narrow == b->narrow && a->beyond == b->beyond &&
	       a->except == b->except;
}

static size_t skip_bound(const struct rule_list *list, size_t i, bool loosely)
{
	while (loosely && i < list->n && list->rules[i].oif[0])
		i++;
	return i;
}

bool rule_list_equal(const struct rule_list *a, const struct rule_list *b, bool loosely)
{
	size_t i = skip_bound(a, 0, loosely), k = skip_bound(b, 0, loosely);

	while (i < a->n && k < b->n && rule_equal(&a->rules[i], &b->rules[k])) {
		i = skip_bound(a, i + 1, loosely);
		k = skip_bound(b, k + 1, loosely);
	}
	return i == a->n && k == b->n;
}

static struct nl_msg *rule_message(int type, const struct rule *rule, uint8_t protocol)
{
	struct fib_rule_hdr head = {.family = rule->family, .action = rule->action};
	int flags = type == RTM_NEWRULE ? NLM_F_CREATE : 0;
	struct nl_msg *msg = netlink_message(type, flags, &head, sizeof(head));
	uint32_t preference = 0;

	netlink_put(&msg, FRA_PRIORITY, &preference, sizeof(preference));
	netlink_put(&msg, FRA_PROTOCOL, &protocol, sizeof(protocol));
	if (rule->action == FR_ACT_TO_TBL)
		netlink_put(&msg, FRA_TABLE, &rule->table, sizeof(rule->table));
	if (rule->oif[0])
		netlink_put(&msg, FRA_OIFNAME, rule->oif, strlen(rule->oif) + 1);
	if (rule->narrow) {
		netlink_put(&msg, FRA_SUPPRESS_PREFIXLEN, &rule->beyond, sizeof(rule->beyond));
		netlink_put(&msg, FRA_SUPPRESS_IFGROUP, &rule->except, sizeof(rule->except));
	}
	if (rule->mask) {
		netlink_put(&msg, FRA_FWMARK, &rule->mark, sizeof(rule->mark));
		netlink_put(&msg, FRA_FWMASK, &rule->mask, sizeof(rule->mask));
	}
	return msg;
}

int rule_list_change(struct netlink *nl, const struct rule_list *now, const struct rule_list *wanted, uint8_t protocol)
{
	int code = 0;

	for (size_t i = 0; !code && i < wanted->n; i++)
		code = netlink_request(nl, rule_message(RTM_NEWRULE, &wanted->rules[i], protocol));
	/* The kernel deletes the first of equal rules, so the old one. */
	for (size_t i = now->n; !code && i-- > 0;) {
		code = netlink_request(nl, rule_message(RTM_DELRULE, &now->rules[i], protocol));
		code = code == -ENOENT ? 0 : code;
	}
	return code;
}

static struct nl_msg *foreign_message(int type, const union rule_foreign *foreign)
{
	struct fib_rule_hdr head = *(struct fib_rule_hdr *)nlmsg_data(&foreign->head);
	struct nl_msg *msg = netlink_message(type, type == RTM_NEWRULE ? NLM_F_CREATE : 0, &head, sizeof(head));
	int rest = nlmsg_attrlen(&foreign->head, sizeof(head));
	uint32_t preference = 0;

	netlink_put(&msg, FRA_PRIORITY, &preference, sizeof(preference));
	for (struct nlattr *a = nlmsg_attrdata(&foreign->head, sizeof(head)); nla_ok(a, rest); a = nla_next(a, &rest))
		netlink_put(&msg, nla_type(a), nla_data(a), (size_t)nla_len(a));
	return msg;
}

int rule_move_foreign(struct netlink *nl, const struct rule_list *now)
{
	int code = 0;

	for (size_t i = 0; !code && i < now->n_foreign; i++) {
		code = netlink_request(nl, foreign_message(RTM_NEWRULE, &now->foreign[i]));
		if (!code)
			code = netlink_request(nl, foreign_message(RTM_DELRULE, &now->foreign[i]));
	}
	return code;
}

int rule_delete_all(struct netlink *nl, uint32_t preference, uint32_t table)
{
	int code = 0;

	for (int i = 0; !code && i < RULE_MAX; i++) {
		struct fib_rule_hdr head = {.family = AF_INET, .action = FR_ACT_TO_TBL};
		struct nl_msg *msg = netlink_message(RTM_DELRULE, 0, &head, sizeof(head));
		netlink_put(&msg, FRA_PRIORITY, &preference, sizeof(preference));
		netlink_put(&msg, FRA_TABLE, &table, sizeof(table));
		code = netlink_request(nl, msg);
	}
	return code == -ENOENT ? 0 : code ? code : -EBUSY;
}
