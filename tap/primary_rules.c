/* SPDX-License-Identifier: Apache-2.0 */
/* primary_rules.c - the rules that lead past the pod's own routes; primary.c has the list */
#include "tap/primary_session.h"
#include "tap/rule.h"

#include <linux/fib_rules.h>
#include <linux/rtnetlink.h>
#include <string.h>

static const uint8_t families[] = {AF_INET, AF_INET6};

/* A route that refuses ends the look-up, however short its prefix is; the main table must not be asked then. */
static bool refuses_widely(const struct primary_session *s, uint8_t family)
{
	for (size_t i = 0; i < s->list.n; i++) {
		const struct route *route = &s->list.routes[i];
		if (route->table == RT_TABLE_MAIN && route->family == family && route->type != RTN_UNICAST &&
		    primary_is_wide(&route->to))
			return true;
	}
	return false;
}

static void want_rules(const struct primary_session *s, const struct primary_config *config, uint8_t family,
		       struct rule_list *out)
{
	struct rule answers = {.family = family,
			       .action = FR_ACT_TO_TBL,
			       .table = RT_TABLE_MAIN,
			       .mark = POD_FILTER_MARK,
			       .mask = POD_FILTER_MASK};
	struct rule later = {.family = family,
			     .action = FR_ACT_TO_TBL,
			     .table = RT_TABLE_MAIN,
			     .narrow = true,
			     .beyond = family == AF_INET ? PRIMARY_WIDE_IP4 - 1 : PRIMARY_WIDE_IP6 - 1,
			     .except = PRIMARY_FROZEN_GROUP};
	struct rule way = {.family = family, .action = FR_ACT_TO_TBL, .table = PRIMARY_WAY_TABLE};
	struct rule end = {.family = family, .action = FR_ACT_UNREACHABLE};

	*out = (struct rule_list){0};
	if (config->inbound)
		rule_list_append(out, &answers);
	if (!refuses_widely(s, family))
		rule_list_append(out, &later);
	rule_list_append(out, &way);
	/* One place is the last rule's. */
	for (size_t i = 0; family == AF_INET && i < s->n_links && out->n < RULE_MAX - 1; i++) {
		struct rule bound = {.family = family, .action = FR_ACT_TO_TBL, .table = PRIMARY_BOUND_TABLE};
		memcpy(bound.oif, s->links[i].name, sizeof(bound.oif));
		rule_list_append(out, &bound);
	}
	rule_list_append(out, &end);
}

/* A kernel without IPv6 has no IPv6 to stop. */
static bool lacks_family(uint8_t family, int code)
{
	return family == AF_INET6 && (code == -EOPNOTSUPP || code == -EAFNOSUPPORT);
}

static int read_rules(struct primary_session *s, uint8_t family, struct rule_list *out, struct failure *why)
{
	int code = rule_list_read(&s->nl, family, PRIMARY_PROTOCOL, out);

	return !code || lacks_family(family, code) ? code
						   : fail(why, code, NULL, "cannot list the rules: %s", s->nl.text);
}

static bool has_frozen(const struct primary_session *s)
{
	for (size_t i = 0; i < s->n_links; i++) {
		if (s->links[i].stage == LINK_FROZEN)
			return true;
	}
	return false;
}

/* Whether the rules of each family are in force, so that the pod's routes were copied. */
int primary_rules_in_force(struct primary_session *s, bool out[static 2], struct failure *why)
{
	struct rule_list rules;
	int code = 0;

	for (size_t i = 0; !code && i < sizeof(families); i++) {
		code = read_rules(s, families[i], &rules, why);
		out[i] = !code && has_frozen(s) && rules.n && rules.rules[rules.n - 1].action == FR_ACT_UNREACHABLE;
		code = lacks_family(families[i], code) ? 0 : code;
	}
	return code;
}

int primary_put_rules(struct primary_session *s, const struct primary_config *config, struct failure *why)
{
	struct rule_list now, wanted;
	int code = 0;

	for (size_t i = 0; !code && i < sizeof(families); i++) {
		code = read_rules(s, families[i], &now, why);
		if (lacks_family(families[i], code))
			return 0;
		want_rules(s, config, families[i], &wanted);
		if (code || rule_list_equal(&now, &wanted, false))
			continue;
		s->changes += !rule_list_equal(&now, &wanted, true);
		code = rule_list_change(&s->nl, &now, &wanted, PRIMARY_PROTOCOL);
		if (code)
			fail(why, code, NULL, "cannot put the rules of IPv%d in force: %s",
			     families[i] == AF_INET6 ? 6 : 4, s->nl.text);
	}
	return code;
}

/* Somebody else's rules with preference 0 may have been there first, or be first since ours were exchanged. */
int primary_lead_rules(struct primary_session *s, struct primary_state *state, struct failure *why)
{
	struct rule_list now;
	int code = 0;

	state->preceded = false;
	for (size_t i = 0; !code && i < sizeof(families); i++) {
		code = read_rules(s, families[i], &now, why);
		if (lacks_family(families[i], code))
			return 0;
		if (!code && now.is_preceded && rule_move_foreign(&s->nl, &now))
			state->preceded = true;
		state->preceded = state->preceded || now.n_foreign == RULE_FOREIGN_MAX;
	}
	return code;
}

int primary_delete_rules(struct primary_session *s, struct failure *why)
{
	static const struct rule_list nothing;
	struct rule_list now;
	int code = 0;

	for (size_t i = 0; !code && i < sizeof(families); i++) {
		code = read_rules(s, families[i], &now, why);
		if (lacks_family(families[i], code))
			return 0;
		if (!code && rule_list_change(&s->nl, &now, &nothing, PRIMARY_PROTOCOL))
			code = fail(why, -EIO, NULL, "cannot remove the rules: %s", s->nl.text);
	}
	return code;
}
