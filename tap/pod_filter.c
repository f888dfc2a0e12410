/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pod_filter.c - the packet filter in a pod: what routes cannot stop, and the answers that may leave as they came
 *
 * The kernel consults no routing table that we could fill for
 *
 *    - IPv4 multicast and 255.255.255.255 of a socket that is bound to an interface (ip_route_output_key_hash_rcu),
 *    - IPv6 multicast, for which it has a route per interface in the table of local addresses (ff00::/8),
 *    - routes that somebody adds to that table, which comes before all others.
 *
 * So the way out is looked at once more, at the end of postrouting. Interfaces are given by number: names may hold
 * characters that mean something to nft.
 *
 *    way_out   postrouting, last    other interfaces than those watched pass; answers that are marked pass; broadcasts
 *                                   are dropped, networks that stay pass, and so does what the link needs (IGMP: RFC
 *                                   3376, MLD: RFC 3810, neighbour discovery: RFC 4861), in the form that no router
 *                                   forwards or no host accepts from afar; the rest is dropped and counted.
 *                                   With `tunnel`, VXLAN is podswitchd's alone: in a datagram of the pod's own a
 *                                   frame could be in any name, and the gateway takes it from the pod's address.
 *                                   What comes in by an underlay TAP is podswitchd's, too
 *
 * With `inbound`, by connection tracking:
 *
 *    came_in   prerouting           a new connection to one of the pod's own addresses, by an interface that is
 *                                   watched, is marked; so are its packets, for a reverse path filter to find the
 *                                   way by which they came (src_valid_mark)
 *    answers   output, re-routes    packets in the reply direction of a marked connection get the mark, and all others
 *                                   lose it, whoever set it. The first packet of a TCP connection (SYN alone) is no
 *                                   answer, even between the ports of a connection that was there before
 *
 * With `names`, by translation of addresses:
 *
 *    names         output           questions to port 53, but for those to the pod itself (a resolver of its own), go
 * to the gateway's; the kernel then looks for the way to that one names_from    postrouting      from the TAP's
 * address, as the pod had chosen one for the way to the other way_out                        none leaves by an
 * interface that is watched, whatever the translation has missed
 *
 * Every change in the namespace's rules, of whichever table, increments a generation number. While it is what it was
 * after we wrote, nobody has touched ours, and asking for it costs one message. Else our table is listed and compared
 * with what it was.
 */
#include "tap/pod_filter.h"

#include "tap/link.h"
#include "tap/netlink.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <netlink/socket.h>
#include <nftables/libnftables.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#define FORGET "add table inet podswitch\ndelete table inet podswitch\n"
#define LIST "list table inet podswitch\n"
#define LAST 2147483647
#define QUESTION 16 /* bytes of UDP: a VXLAN header without a frame, which inquiry.c sends */

/* The generation number */

static int take_generation(struct nl_msg *msg, void *context)
{
	struct nlattr *found = nlmsg_find_attr(nlmsg_hdr(msg), sizeof(struct nfgenmsg), NFTA_GEN_ID);

	if (found && nla_len(found) >= (int)sizeof(uint32_t))
		*(uint32_t *)context = ntohl(nla_get_u32(found));
	return NL_OK;
}

static int ask_nftables(int type, int flags, nl_recvmsg_msg_cb_t take, void *context)
{
	struct nfgenmsg head = {.nfgen_family = AF_UNSPEC};
	struct nl_sock *sock = nl_socket_alloc();
	int result = sock ? nl_connect(sock, NETLINK_NETFILTER) : -1;

	if (result >= 0) {
		nl_socket_disable_auto_ack(sock);
		nl_socket_modify_cb(sock, NL_CB_VALID, NL_CB_CUSTOM, take, context);
		result = nl_send_simple(sock, NFNL_SUBSYS_NFTABLES << 8 | type, flags, &head, sizeof(head));
	}
	if (result >= 0)
		result = nl_recvmsgs_default(sock);
	nl_socket_free(sock);
	return result < 0 ? -EOPNOTSUPP : 0;
}

/*
 * Where the kernel lacks nf_tables this fails, and libnftables must not be called: it ends the process when it cannot
 * open its socket.
 */
static int read_generation(uint32_t *out)
{
	return ask_nftables(NFT_MSG_GETGEN, 0, take_generation, out);
}

/* What a pod may grow. Before it changes anything libnftables reads all of it, and the objects for each table anew. */
static const struct {
	int type;
	unsigned most;
	const char *what;
} bounds[] = {
	{NFT_MSG_GETTABLE, 64, "tables"},
	{NFT_MSG_GETCHAIN, 2048, "chains"},
	{NFT_MSG_GETSET, 2048, "sets"},
	{NFT_MSG_GETOBJ, 2048, "objects"},
};

static int count_down(struct nl_msg *msg, void *context)
{
	unsigned *left = context;

	(void)msg;
	return --*left ? NL_OK : NL_STOP;
}

static int check_bounds(struct failure *why)
{
	for (size_t i = 0; i < sizeof(bounds) / sizeof(bounds[0]); i++) {
		unsigned left = bounds[i].most + 1;
		(void)ask_nftables(bounds[i].type, NLM_F_DUMP, count_down, &left);
		if (!left)
			return fail(why, -E2BIG, NULL, "the pod has more than %u nftables %s of its own; remove some",
				    bounds[i].most, bounds[i].what);
	}
	return 0;
}

/*
 * The rules as text
 *
 * While rules are exchanged a packet may still meet the old ones, when their sets are those of now already. In a set
 * that goes it finds nothing any more: it would be dropped, or let out where the rule is about what is not in the set.
 * So there are no unnamed sets, and the named ones stay; only what is in them changes.
 */

/* Whether another prefix says it as well. A set takes none that overlap. */
static bool is_covered(const struct pod_filter *filter, size_t i)
{
	const struct prefix *it = &filter->stays[i];

	for (size_t k = 0; k < filter->n_stays; k++) {
		const struct prefix *other = &filter->stays[k];
		bool comes_first = other->length < it->length || (other->length == it->length && k < i);
		if (comes_first && prefix_contains(other, &it->address))
			return true;
	}
	return false;
}

static void write_set(FILE *out, const struct pod_filter *filter, uint8_t family)
{
	char text[ADDRESS_TEXT];
	const char *set = family == AF_INET ? "stays4" : "stays6";

	fprintf(out, "flush set inet podswitch %s\n", set);
	for (size_t i = 0; i < filter->n_stays; i++) {
		struct prefix network = prefix_network(&filter->stays[i]);
		if (network.address.family == family && !is_covered(filter, i))
			fprintf(out, "add element inet podswitch %s { %s }\n", set, prefix_format(&network, text));
	}
}

static void write_sets(FILE *out, const struct pod_filter *filter)
{
	fprintf(out, "add table inet podswitch\n"
		     "add set inet podswitch stays4 { type ipv4_addr; flags interval; }\n"
		     "add set inet podswitch stays6 { type ipv6_addr; flags interval; }\n"
		     "flush table inet podswitch\n");
	write_set(out, filter, AF_INET);
	write_set(out, filter, AF_INET6);
}

static void write_interfaces(FILE *out, const char *how, const struct pod_filter *filter)
{
	for (size_t i = 0; i < filter->n_watched; i++)
		fprintf(out, "%s != %u ", how, filter->watched[i]);
	fprintf(out, "%s != %d accept\n", how, INT_MAX);
}

static void write_inbound(FILE *out, const struct pod_filter *filter)
{
	fprintf(out, "chain came_in {\ntype filter hook prerouting priority -149; policy accept;\n");
	write_interfaces(out, "iif", filter);
	fprintf(out,
		"fib daddr type != local accept\n"
		"ct direction original ct state new ct mark set ct mark & 0x%08x | 0x%08x\n"
		"ct direction original ct mark & 0x%08x == 0x%08x meta mark set meta mark & 0x%08x | 0x%08x\n}\n",
		~POD_FILTER_MASK, POD_FILTER_MARK, POD_FILTER_MASK, POD_FILTER_MARK, ~POD_FILTER_MASK, POD_FILTER_MARK);
	fprintf(out,
		"chain answers {\ntype route hook output priority -149; policy accept;\n"
		"ct direction reply ct mark & 0x%08x == 0x%08x tcp flags & (fin | syn | rst | ack) != syn "
		"meta mark set meta mark & 0x%08x | 0x%08x accept\n"
		"ct direction reply ct mark & 0x%08x == 0x%08x meta l4proto != tcp "
		"meta mark set meta mark & 0x%08x | 0x%08x accept\n"
		"meta mark & 0x%08x == 0x%08x meta mark set meta mark & 0x%08x\n}\n",
		POD_FILTER_MASK, POD_FILTER_MARK, ~POD_FILTER_MASK, POD_FILTER_MARK, POD_FILTER_MASK, POD_FILTER_MARK,
		~POD_FILTER_MASK, POD_FILTER_MARK, POD_FILTER_MASK, POD_FILTER_MARK, ~POD_FILTER_MASK);
}

/* The translation of names_from is before that of other tables (100), of which only the first that matches counts. */
static void write_names(FILE *out, const struct pod_filter *filter)
{
	char resolver[ADDRESS_TEXT];

	if (!filter->resolver.family || !filter->tap)
		return;
	address_format(&filter->resolver, resolver);
	fprintf(out,
		"chain names {\ntype nat hook output priority -101; policy accept;\n"
		"fib daddr type local accept\n"
		"meta nfproto ipv4 tcp dport 53 dnat ip to %s\n"
		"meta nfproto ipv4 udp dport 53 dnat ip to %s\n}\n"
		"chain names_from {\ntype nat hook postrouting priority 99; policy accept;\n"
		"oif %u ip daddr %s tcp dport 53 masquerade\n"
		"oif %u ip daddr %s udp dport 53 masquerade\n}\n",
		resolver, resolver, filter->tap, resolver, filter->tap, resolver);
}

static void write_broadcasts(FILE *out, const struct pod_filter *filter)
{
	char text[ADDRESS_TEXT];

	for (size_t i = 0; i < filter->n_broadcasts; i++)
		fprintf(out, "ip daddr %s counter drop\n", address_format(&filter->broadcasts[i], text));
	fprintf(out, "ip daddr 255.255.255.255 counter drop\n");
}

static void write_icmp6(FILE *out, const char *form, const char *const types[])
{
	for (; *types; types++)
		fprintf(out, "%s icmpv6 type %s accept\n", form, *types);
}

static void write_way_out(FILE *out, const struct pod_filter *filter)
{
	static const char *const mld[] = {"mld-listener-query", "mld-listener-report", "mld-listener-done",
					  "mld2-listener-report", NULL};
	static const char *const neighbours[] = {"nd-router-solicit", "nd-neighbor-solicit", "nd-neighbor-advert",
						 NULL};

	fprintf(out, "chain way_out {\ntype filter hook postrouting priority %d; policy accept;\n", LAST);
	write_interfaces(out, "oif", filter);
	if (filter->tunnel)
		fprintf(out,
			"iifgroup %u meta mark set meta mark & 0x%08x | 0x%08x\n"
			"udp dport %u udp length > %d meta mark & 0x%08x != 0x%08x counter drop\n",
			LINK_UNDERLAY_GROUP, ~POD_FILTER_MASK, POD_FILTER_TUNNEL_MARK, filter->tunnel, QUESTION,
			POD_FILTER_MASK, POD_FILTER_TUNNEL_MARK);
	if (filter->names)
		fprintf(out, "tcp dport 53 ct direction original counter drop\n"
			     "udp dport 53 ct direction original counter drop\n");
	if (filter->inbound)
		fprintf(out, "meta mark & 0x%08x == 0x%08x ct direction reply accept\n", POD_FILTER_MASK,
			POD_FILTER_MARK);
	write_broadcasts(out, filter);
	fprintf(out, "ip daddr @stays4 accept\n"
		     "ip6 daddr @stays6 accept\n"
		     "ip daddr 224.0.0.0/4 ip ttl 1 meta l4proto igmp accept\n");
	write_icmp6(out, "ip6 daddr ff00::/8 ip6 hoplimit 1", mld);
	write_icmp6(out, "ip6 hoplimit 255", neighbours);
	fprintf(out, "counter drop\n}\n");
}

/* To be freed; NULL without memory. */
static char *write_table(const struct pod_filter *filter)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		return NULL;
	fprintf(out, FORGET);
	write_sets(out, filter);
	fprintf(out, "table inet podswitch {\n");
	if (filter->inbound)
		write_inbound(out, filter);
	if (filter->names)
		write_names(out, filter);
	write_way_out(out, filter);
	fprintf(out, "}\n");
	return fclose(out) ? NULL : text;
}

static uint64_t hash_text(const char *text)
{
	return XXH3_64bits(text, strlen(text));
}

/* Low descriptors, see pod_filter_hold_descriptors(). The lowest free ones are what is opened next. */
#define HELD 4
static int held[HELD] = {-1, -1, -1, -1};

void pod_filter_hold_descriptors(void)
{
	for (size_t i = 0; i < HELD; i++)
		if (held[i] < 0)
			held[i] = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

/* False when none is held: then nothing was taken. */
static bool lend_descriptors(void)
{
	bool some = held[0] >= 0;

	for (size_t i = 0; i < HELD; i++) {
		if (held[i] >= 0)
			close(held[i]);
		held[i] = -1;
	}
	return some;
}

/* Running them */

/* The first line, as the others show where in the text it is. */
static int refuse_rules(struct nft_ctx *nft, struct failure *why)
{
	const char *words = nft_ctx_get_error_buffer(nft);
	const char *colon = words ? strstr(words, "Error: ") : NULL;

	words = colon ? colon + strlen("Error: ") : words ? words : "no reason given";
	return fail(why, -EINVAL, NULL, "the kernel refuses the packet filter: %.*s", (int)strcspn(words, "\n"), words);
}

/* With `listing` not NULL, the hash of what was printed. */
static int run_rules(const char *text, uint64_t *listing, struct failure *why)
{
	bool lent = lend_descriptors();
	struct nft_ctx *nft = nft_ctx_new(NFT_CTX_DEFAULT);

	if (!nft) {
		if (lent)
			pod_filter_hold_descriptors();
		return fail(why, -ENOMEM, NULL, "no memory for nftables");
	}
	nft_ctx_buffer_error(nft);
	nft_ctx_buffer_output(nft);
	nft_ctx_output_set_flags(nft, NFT_CTX_OUTPUT_STATELESS | NFT_CTX_OUTPUT_NUMERIC_ALL);
	int code = nft_run_cmd_from_buffer(nft, text) ? refuse_rules(nft, why) : 0;
	if (!code && listing)
		*listing = hash_text(nft_ctx_get_output_buffer(nft));
	nft_ctx_free(nft);
	if (lent)
		pod_filter_hold_descriptors();
	return code;
}

/* Whether the table is as it was written; then it need not be looked at again until the next change. */
static bool is_intact(struct pod_filter_state *state, uint64_t text, uint32_t generation)
{
	uint64_t listing = 0;

	if (state->text != text)
		return false;
	if (state->generation != generation && (run_rules(LIST, &listing, NULL) || listing != state->listing))
		return false;
	state->generation = generation;
	return true;
}

static bool can_do(const struct pod_filter *filter)
{
	char *text = write_table(filter);
	bool can = text && !run_rules(text, NULL, NULL);

	free(text);
	return can;
}

/* Whether it is only `inbound`, or `names`, that this kernel cannot do. */
static int explain_filter(const struct pod_filter *filter, int code, struct failure *why)
{
	struct pod_filter plain = *filter;

	plain.names = false;
	if (filter->names && can_do(&plain))
		return fail(why, -EOPNOTSUPP, "dns",
			    "dns: needs address translation in nftables, which this kernel does not have (nf_nat, "
			    "nft_chain_nat, nft_masq, nft_fib_inet)");
	plain.inbound = false;
	if (filter->inbound && can_do(&plain))
		return fail(why, -EOPNOTSUPP, "inbound",
			    "inbound: needs connection tracking in nftables, which this kernel does not have "
			    "(nf_conntrack, nft_ct, nft_fib_inet, nft_chain_route)");
	return code;
}

/*
 * Without deleting the table first, which is in the way of packets. But what somebody has put into it, or an earlier
 * version, may be in the way of ours.
 */
static int run_table(const char *text, bool touched, struct failure *why)
{
	if (!touched && !run_rules(text + strlen(FORGET), NULL, NULL))
		return 0;
	return run_rules(text, NULL, why);
}

int pod_filter_put(const struct pod_filter *filter, struct pod_filter_state *state, struct failure *why)
{
	uint32_t generation = 0;
	int code = read_generation(&generation);
	char *text = code ? NULL : write_table(filter);

	if (code)
		return fail(why, code, filter->inbound ? "inbound" : NULL,
			    "%sthis kernel has no nftables (nf_tables, nf_tables_inet)",
			    filter->inbound ? "inbound: " : "");
	if (!text)
		return fail(why, -ENOMEM, NULL, "no memory for the packet filter");
	uint64_t hash = hash_text(text);
	bool touched = state->text == hash;
	if (is_intact(state, hash, generation)) {
		free(text);
		return 0;
	}
	int over = check_bounds(why);
	code = over ? over : run_table(text, touched, why);
	free(text);
	if (over)
		return over;
	if (code)
		return explain_filter(filter, code, why);
	*state = (struct pod_filter_state){.text = hash};
	if (run_rules(LIST, &state->listing, NULL) || read_generation(&state->generation))
		*state = (struct pod_filter_state){0};
	return touched;
}

void pod_filter_remove(void)
{
	uint32_t generation;

	/* Else it stays: what whoever grew so much is left with is closed, not open. */
	if (!read_generation(&generation) && !check_bounds(NULL))
		(void)run_rules(FORGET, NULL, NULL);
}
