/* SPDX-License-Identifier: Apache-2.0 */
/* test_kept_networks.c - what stays on pods' first interface in clusters of many kinds and sizes */
#include "control/kube/kept_networks.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include <cmocka.h>
#undef fail /* cmocka has a macro of the name of our function */

#include "tests/unit/fake_watch.h"
#include "tests/unit/starved.h"

struct fixture {
	struct cluster *cluster;
	struct kept_networks_config config;
	struct kept_networks kept;
	struct prefix keep[40];
	struct network_set seen;
};

static void on_change(void *context)
{
	(void)context;
}

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	const struct cluster_config config = {.node = "n1", .changed = on_change};

	assert_int_equal(cluster_open(NULL, &config, &f->cluster, NULL), 0);
	f->config.node = "n1";
	f->config.keep = f->keep;
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	cluster_close(f->cluster);
	network_set_free(&f->seen);
	free(f);
	return 0;
}

/* ---- what is found ---- */

static void find(struct fixture *f)
{
	assert_int_equal(kept_networks_find(f->cluster, &f->config, &f->kept, &f->kept), 0);
	assert_in_range(f->kept.n, 0, KEPT_NETWORKS_MAX);
	assert_in_range(f->kept.n_named, 0, f->kept.n);
}

static bool is_local(const struct prefix *network)
{
	char text[ADDRESS_TEXT];

	prefix_format(network, text);
	for (size_t i = 0; local_networks[i]; i++)
		if (!strcmp(text, local_networks[i]))
			return true;
	return false;
}

/* All but the ten that are always there; behind '|' those around pods. */
static const char *found(struct fixture *f)
{
	static char text[32768];
	char prefix[ADDRESS_TEXT];
	size_t used = 0;

	find(f);
	text[0] = '\0';
	for (size_t i = 0; i < f->kept.n; i++)
		if (!is_local(&f->kept.list[i]))
			used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%s%s",
						 i >= f->kept.n_named ? "|" : "",
						 prefix_format(&f->kept.list[i], prefix), " ");
	return text;
}

static bool keeps(struct fixture *f, const char *text)
{
	struct address address;

	assert_int_equal(address_parse(text, &address), 0);
	return kept_networks_of(&f->kept, &address, false);
}

/* How many IPv4 addresses stay that are not for private use. */
static uint64_t public_addresses(const struct fixture *f)
{
	uint64_t n = 0;

	for (size_t i = 0; i < f->kept.n; i++)
		if (f->kept.list[i].address.family == AF_INET && !network_is_private(&f->kept.list[i]))
			n += 1ull << (32 - f->kept.list[i].length);
	return n;
}

/* ---- the cluster ---- */

#define ADDRESS(type, a) "{'type':'" type "','address':'" a "'}"
#define INTERNAL(a) ADDRESS("InternalIP", a)
#define EXTERNAL(a) ADDRESS("ExternalIP", a)

static void put_node(const char *name, const char *spec, const char *addresses)
{
	char text[2048];

	snprintf(text, sizeof(text), "{'metadata':{'name':'%s'},'spec':{%s},'status':{'addresses':[%s]}}", name, spec,
		 addresses);
	watch_say("nodes", text);
}

/* Copies `text` with a number for each of H, L and N: i / 256, i % 256, i. */
static const char *numbered(char *out, size_t size, const char *text, int i)
{
	size_t used = 0;

	out[0] = '\0';
	for (; *text; text++) {
		int number = *text == 'H' ? i / 256 : *text == 'L' ? i % 256 : i;
		if (strchr("HLN", *text))
			used += (size_t)snprintf(out + used, size - used, "%d", number);
		else
			used += (size_t)snprintf(out + used, size - used, "%c", *text);
	}
	return out;
}

/* Nodes n1, n2, ..., whose specs and addresses are numbered. */
static void put_nodes(int from, int to, const char *spec, const char *addresses)
{
	char name[16], first[512], second[512];

	for (int i = from; i <= to; i++) {
		snprintf(name, sizeof(name), "n%d", i);
		put_node(name, numbered(first, sizeof(first), spec, i), numbered(second, sizeof(second), addresses, i));
	}
}

static void put_pod(const char *name, const char *status)
{
	char text[512];

	snprintf(text, sizeof(text), "{'metadata':{'namespace':'a','name':'%s'},'spec':{},'status':{%s}}", name,
		 status);
	watch_say("pods of this node", text);
}

static void put_kubernetes(const char *spec)
{
	char text[512];

	snprintf(text, sizeof(text), "{'metadata':{'namespace':'default','name':'kubernetes'},'spec':{%s}}", spec);
	watch_say("services", text);
}

/* ---- nodes ---- */

static void nodes_have_addresses(void **state)
{
	struct fixture *f = *state;

	assert_string_equal(found(f), "");
	put_node("n2", "",
		 INTERNAL("192.168.7.2") "," ADDRESS("Hostname", "10.9.9.9") "," EXTERNAL("203.0.113.5") "," INTERNAL(
			 "none") ",7,{}");
	put_node("n1", "", INTERNAL("192.168.7.9") "," EXTERNAL("203.0.113.9") "," INTERNAL("2001:db8::9"));
	/* The own node comes first, whatever its name and its addresses. */
	assert_string_equal(found(f), "192.168.7.9/32 203.0.113.9/32 2001:db8::9/128 192.168.7.2/32 203.0.113.5/32 ");
	assert_int_equal(f->kept.left_out, 0);
}

/* A route to such an address fails, and with it would each pod's port. */
static void nonsense_addresses(void **state)
{
	struct fixture *f = *state;
	static const char *const addresses[] = {
		"0.0.0.0",         "127.0.0.1",       "::",           "::1", "224.0.0.1",
		"255.255.255.255", "::ffff:10.0.0.1", "fe80::1%eth0", ""};
	char text[128];

	for (size_t i = 0; i < sizeof(addresses) / sizeof(addresses[0]); i++) {
		snprintf(text, sizeof(text), INTERNAL("%s"), addresses[i]);
		put_node("n1", "", text);
		assert_string_equal(found(f), "");
	}
	put_node("n1", "'podCIDRs':['127.0.0.0/24','ff00::/32','10.1.0.0/24']", "");
	assert_string_equal(found(f), "10.1.0.0/24 ");
	assert_string_equal(f->kept.what, "addresses that are no machine's");
}

/* The 41st node used to take all of 10.0.0.0/8 away from the gateway. */
static void many_nodes_far_apart(void **state)
{
	struct fixture *f = *state;

	put_nodes(1, 40, "", INTERNAL("10.L.0.9"));
	find(f);
	assert_int_equal(f->kept.n_named, 50);
	put_nodes(41, 41, "", INTERNAL("10.L.0.9"));
	find(f);
	assert_int_equal(f->kept.n_named, 51);
	assert_false(keeps(f, "10.41.0.10"));
	/* With more than fit, it is neighbours that share a network, and the own node has its own in any case. */
	put_nodes(42, 200, "", INTERNAL("10.L.0.9"));
	find(f);
	assert_true(keeps(f, "10.1.0.9") && keeps(f, "10.41.0.9") && keeps(f, "10.200.0.9"));
	assert_false(keeps(f, "10.208.0.9"));
	assert_int_equal(f->kept.list[0].length, 32);
	assert_int_equal(f->kept.left_out, 0);
}

/* Internal and external addresses used to have a cover in common, which was too wide and dropped: no node was kept. */
static void private_and_public_addresses(void **state)
{
	struct fixture *f = *state;

	put_nodes(1, 41, "", INTERNAL("10.100.0.L") "," EXTERNAL("34.1.2.L"));
	find(f);
	assert_true(keeps(f, "10.100.0.1") && keeps(f, "10.100.0.41"));
	assert_true(keeps(f, "34.1.2.1") && keeps(f, "34.1.2.41"));
	assert_int_equal(public_addresses(f), 41);
	assert_int_equal(f->kept.left_out, 0);
	/* Far apart, they do not fit any more, and none is made to by a cover. */
	put_nodes(1, 100, "", INTERNAL("10.100.0.L") "," EXTERNAL("34.L.2.1"));
	find(f);
	assert_true(keeps(f, "10.100.0.1") && keeps(f, "10.100.0.100"));
	assert_int_equal(public_addresses(f), 1 + SHARE_EXTERNAL);
	assert_int_equal(f->kept.left_out, 100 - 1 - SHARE_EXTERNAL);
	assert_string_equal(f->kept.what, "nodes' external addresses");
	assert_true(keeps(f, "34.1.2.1"));
}

static void newcomers_take_nothing_away(void **state)
{
	struct fixture *f = *state;
	char address[32];

	put_nodes(101, 100 + SHARE_EXTERNAL, "", EXTERNAL("34.L.2.1"));
	find(f);
	/* All of these would come first by address. */
	put_nodes(2, 90, "", EXTERNAL("34.L.2.1"));
	find(f);
	for (int i = 101; i <= 100 + SHARE_EXTERNAL; i++) {
		snprintf(address, sizeof(address), "34.%d.2.1", i);
		assert_true(keeps(f, address));
	}
	assert_int_equal(f->kept.left_out, 89);
	assert_string_equal(prefix_format(&f->kept.example, address), "34.2.2.1/32");
	/* The order does not say who was first. */
	struct kept_networks now = f->kept;
	find(f);
	assert_true(prefix_lists_equal(now.list, now.n, f->kept.list, f->kept.n));
}

/* From one node to a thousand, none that was reached is lost, and half of them change nothing. */
static void grows_steadily(void **state)
{
	struct fixture *f = *state;
	struct kept_networks before;
	char address[32];
	unsigned changes = 0;

	for (int i = 1; i <= 1000; i++) {
		put_nodes(i, i, "", INTERNAL("10.H.L.9"));
		before = f->kept;
		find(f);
		changes += !prefix_lists_equal(before.list, before.n, f->kept.list, f->kept.n);
		for (int k = 1; k <= i; k += 37) {
			snprintf(address, sizeof(address), "10.%d.%d.9", k / 256, k % 256);
			assert_true(keeps(f, address));
		}
	}
	assert_int_equal(f->kept.left_out, 0);
	assert_in_range(changes, 2, 500);
	assert_false(keeps(f, "10.16.0.9"));
}

static void addresses_of_the_nodes_network(void **state)
{
	struct fixture *f = *state;

	watch_say("nodes", "{'metadata':{'name':'n1','labels':{'a':'b'},'annotations':{'projectcalico.org/IPv4Address':"
			   "'10.0.0.5/24','projectcalico.org/IPv4IPIPTunnelAddr':'10.42.77.64','x':'10.7.7.7',"
			   "'flannel.alpha.coreos.com/public-ip':'203.0.113.7'}}}");
	assert_string_equal(found(f), "10.0.0.5/32 10.42.77.64/32 ");
	watch_fill(
		"ciliumnodes",
		"[{'metadata':{'name':'n2'},'spec':{'addresses':[{'type':'CiliumInternalIP','ip':'10.0.3.7'},"
		"{'type':'InternalIP','ip':'203.0.113.8'}],'ipam':{'podCIDRs':['10.1.3.0/24'],'pool':{'10.9.0.1':{}},"
		"'pools':{'allocated':[{'pool':'default','cidrs':['10.10.0.0/26','fd00:10::/96']}]}}}}]");
	assert_string_equal(found(f), "10.0.0.5/32 10.42.77.64/32 10.1.3.0/24 10.10.0.0/26 fd00:10::/96 10.0.3.7/32 ");
}

/* ---- pods ---- */

static void pod_cidrs(void **state)
{
	struct fixture *f = *state;

	put_node("n1", "'podCIDR':'10.244.0.0/24','podCIDRs':['10.244.0.0/24']", INTERNAL("192.168.7.1"));
	assert_string_equal(found(f), "192.168.7.1/32 10.244.0.0/24 ");
	put_node("n2", "'podCIDR':'10.244.1.0/24'", "");
	put_node("n3", "'podCIDRs':['10.244.5.0/24','fd00:1::/64']", INTERNAL("10.244.5.1"));
	put_node("n4", "'podCIDRs':['nonsense',7,'fd00:1:0:1::/64']", "");
	put_node("n5", "", "");
	/* Neighbours are joined, and nothing is added. */
	assert_string_equal(found(f), "192.168.7.1/32 10.244.0.0/23 10.244.5.0/24 fd00:1::/63 ");
}

/* Networks that have nothing in common used to be no one's. */
static void two_pools(void **state)
{
	struct fixture *f = *state;

	put_node("n1", "'podCIDRs':['10.42.0.0/24']", "");
	put_node("n2", "'podCIDRs':['172.30.0.0/24','2001:db8::/64']", "");
	put_node("n3", "'podCIDRs':['198.51.100.0/26','192.0.2.0/26']", "");
	assert_string_equal(found(f), "10.42.0.0/24 172.30.0.0/24 192.0.2.0/26 198.51.100.0/26 2001:db8::/64 ");
}

static void pools_are_told(void **state)
{
	struct fixture *f = *state;

	put_node("n1", "'podCIDR':'10.42.0.0/24'", "");
	put_pod("p", "'podIP':'10.43.77.70'");
	assert_string_equal(found(f), "10.42.0.0/24 |10.43.77.64/26 ");
	watch_fill("Calico's ippools",
		   "[{'metadata':{'name':'a'},'spec':{'cidr':'10.43.0.0/16','allowedUses':['Workload','Tunnel']}},"
		   "{'metadata':{'name':'b'},'spec':{'cidr':'10.99.0.0/16','allowedUses':['LoadBalancer']}},"
		   "{'metadata':{'name':'c'},'spec':{'cidr':'fd00:43::/"
		   "48'}},{'metadata':{'name':'d'},'spec':{'cidr':7}}]");
	assert_string_equal(found(f), "10.42.0.0/24 10.43.0.0/16 fd00:43::/48 ");
	watch_fill("ciliumpodippools",
		   "[{'metadata':{'name':'a'},'spec':{'ipv4':{'cidrs':['10.44.0.0/16'],'maskSize':24},"
		   "'ipv6':{'cidrs':['fd00:44::/104']}}}]");
	assert_string_equal(found(f), "10.42.0.0/24 10.43.0.0/16 10.44.0.0/16 fd00:43::/48 fd00:44::/104 ");
}

/* Not one through which everything would go around the gateway. */
static void ranges_too_wide(void **state)
{
	struct fixture *f = *state;

	watch_fill("Calico's ippools", "[{'metadata':{'name':'a'},'spec':{'cidr':'0.0.0.0/0'}},"
				       "{'metadata':{'name':'b'},'spec':{'cidr':'128.0.0.0/1'}},"
				       "{'metadata':{'name':'c'},'spec':{'cidr':'::/0'}}]");
	assert_string_equal(found(f), "");
	assert_int_equal(f->kept.left_out, 3);
	assert_non_null(strstr(f->kept.what, "wider"));
	/* The administrator may. */
	assert_int_equal(prefix_parse("128.0.0.0/1", &f->keep[0]), 0);
	f->config.n_keep = 1;
	assert_string_equal(found(f), "128.0.0.0/1 ");
}

static void pods_nobody_names(void **state)
{
	struct fixture *f = *state;
	struct prefix far;

	put_pod("p1", "'podIP':'10.42.77.70','podIPs':[{'ip':'10.42.77.70'},{'ip':'fd00:7:1:2::3'}]");
	assert_string_equal(found(f), "|10.42.77.64/26 |fd00:7:1:2::/64 ");
	/* One more in the block changes nothing. A public address is never learned from. */
	put_pod("p2", "'podIP':'10.42.77.71'");
	put_pod("p3", "'podIP':'203.0.113.9','podIPs':[{'ip':'203.0.113.9'},{'ip':'2001:db8::1'},7,{}]");
	put_pod("p4", "");
	assert_string_equal(found(f), "|10.42.77.64/26 |fd00:7:1:2::/64 ");
	assert_int_equal(prefix_parse("10.42.99.5/32", &far), 0);
	network_set_add(&f->seen, &far);
	f->config.seen = &f->seen;
	assert_string_equal(found(f), "|10.42.77.64/26 |fd00:7:1:2::/64 |10.42.99.0/26 ");
	/* A pod in the host's network has the node's address. */
	watch_fill("pods of this node", "[{'metadata':{'namespace':'a','name':'h'},'spec':{'hostNetwork':true},"
					"'status':{'podIP':'10.7.7.7'}}]");
	f->config.seen = NULL;
	assert_string_equal(found(f), "");
}

/* Whoever may write EndpointSlices in a namespace must not open a way around the gateway. */
static void slices_are_not_believed(void **state)
{
	struct fixture *f = *state;

	watch_fill(
		"endpointslices",
		"[{'metadata':{'namespace':'tenant','name':'forged','labels':{'kubernetes.io/service-name':'x'}},"
		"'endpoints':[{'addresses':['10.55.0.1'],'targetRef':{'kind':'Pod','namespace':'tenant','name':'p'}},"
		"{'addresses':['198.51.100.7']}]},"
		"{'metadata':{'namespace':'tenant','name':'kubernetes'},'endpoints':[{'addresses':['10.56.0.1']}]}]");
	assert_string_equal(found(f), "");
	watch_say("endpointslices", "{'metadata':{'namespace':'default','name':'kubernetes'},'endpoints':"
				    "[{'addresses':['10.57.0.1','198.51.100.8',7]},{},8]}");
	assert_string_equal(found(f), "10.57.0.1/32 ");
}

/* ---- Services ---- */

static void service_ranges_guessed(void **state)
{
	struct fixture *f = *state;
	static const struct {
		const char *spec, *expected;
	} cases[] = {
		{"'clusterIP':'10.96.0.1'", "10.96.0.0/16 "},
		{"'clusterIP':'10.96.0.1','clusterIPs':['10.96.0.1']", "10.96.0.0/16 "},
		{"'clusterIP':'10.43.0.1'", "10.43.0.0/16 "},
		{"'clusterIP':'34.118.224.1'", "34.118.224.0/19 "},
		{"'clusterIP':'10.0.16.1'", "10.0.16.0/20 "},
		{"'clusterIP':'192.168.255.129'", "192.168.255.128/25 "},
		{"'clusterIP':'fd00::1'", "fd00::/112 "},
		{"'clusterIPs':['10.96.0.1','fd00:10:96::1']", "10.96.0.0/16 fd00:10:96::/112 "},
		{"'clusterIP':'None'", ""},
		{"'clusterIP':''", ""},
		{"'clusterIP':7", ""},
		{"", ""},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		put_kubernetes(cases[i].spec);
		assert_string_equal(found(f), cases[i].expected);
	}
}

/* What is longer than the least is known by the Services that lie there. */
static void service_range_is_stretched(void **state)
{
	struct fixture *f = *state;

	watch_say("services", "{'metadata':{'namespace':'a','name':'far'},'spec':{'clusterIP':'10.107.3.4'}}");
	watch_say("services", "{'metadata':{'namespace':'a','name':'headless'},'spec':{'clusterIP':'None'}}");
	watch_say("services", "{'metadata':{'namespace':'a','name':'six'},'spec':{'clusterIP':'fd00::1:2'}}");
	assert_string_equal(found(f), "");
	put_kubernetes("'clusterIPs':['10.96.0.1','fd00::1']");
	assert_string_equal(found(f), "10.96.0.0/12 fd00::/111 ");
}

static void service_ranges_are_told(void **state)
{
	struct fixture *f = *state;

	put_kubernetes("'clusterIP':'10.96.0.1'");
	watch_fill("servicecidrs",
		   "[{'metadata':{'name':'kubernetes'},'spec':{'cidrs':['10.96.0.0/12','fd00::/108']}},"
		   "{'metadata':{'name':'more'},'spec':{'cidrs':['10.97.0.0/16','10.200.0.0/16','x']}}]");
	assert_string_equal(found(f), "10.96.0.0/12 10.200.0.0/16 fd00::/108 ");
	watch_say("servicecidrs",
		  "{'metadata':{'name':'wide'},'spec':{'cidrs':['0.0.0.0/0','::/0','128.0.0.0/1','10.201.7.7/16']}}");
	assert_string_equal(found(f), "10.96.0.0/12 10.200.0.0/15 fd00::/108 ");
	watch_take("servicecidrs", "{'metadata':{'name':'wide'}}");
	/* Nothing is guessed beside them. */
	put_kubernetes("'clusterIP':'10.43.0.1'");
	assert_string_equal(found(f), "10.96.0.0/12 10.200.0.0/16 fd00::/108 ");
	put_kubernetes("'clusterIP':'10.96.0.1'");
	watch_fill("servicecidrs", "[]");
	assert_string_equal(found(f), "10.96.0.0/16 ");
}

/* ---- link-local, metadata, the configured ---- */

static void link_local_and_metadata(void **state)
{
	struct fixture *f = *state;
	static const char *const always[] = {"169.254.20.10",
					     "169.254.25.10",
					     "169.254.7.127",
					     "169.254.1.1",
					     "169.254.167.255",
					     "169.254.172.0",
					     "169.254.169.253",
					     "169.254.255.255",
					     "fe80::1",
					     "fd00:ec2::253",
					     "fd16:9254:7127:1337:ffff:ffff:ffff:ffff"};
	static const char *const metadata[] = {"169.254.169.254", "169.254.170.2", "169.254.170.23", "fd00:ec2::254",
					       "fd00:ec2::23",    "fd20:ce::254",  "100.100.100.200"};

	for (int on = 0; on < 2; on++) {
		f->config.metadata = on;
		find(f);
		for (size_t i = 0; i < sizeof(always) / sizeof(always[0]); i++)
			assert_true(keeps(f, always[i]));
		for (size_t i = 0; i < sizeof(metadata) / sizeof(metadata[0]); i++)
			assert_int_equal(keeps(f, metadata[i]), on);
		assert_int_equal(f->kept.left_out, 0);
		assert_false(keeps(f, "8.8.8.8") || keeps(f, "169.253.255.255") || keeps(f, "169.255.0.0"));
	}
}

/* Carrier-grade addresses as nodes', on both sides of one of metadata: no cover has that one. */
static void covers_keep_off_metadata(void **state)
{
	struct fixture *f = *state;

	put_nodes(1, 199, "", INTERNAL("100.100.L.1") "," INTERNAL("100.100.100.L"));
	find(f);
	assert_true(keeps(f, "100.100.99.1") && keeps(f, "100.100.101.1") && keeps(f, "100.100.100.199"));
	assert_false(keeps(f, "100.100.100.200"));
}

static void configured_networks(void **state)
{
	struct fixture *f = *state;

	for (unsigned i = 0; i < 40; i++)
		f->keep[i] = (struct prefix){{{203, 0, 113, (uint8_t)i}, AF_INET}, 32};
	f->config.n_keep = 2;
	put_node("n1", "", INTERNAL("203.0.113.1"));
	assert_string_equal(found(f), "203.0.113.0/32 203.0.113.1/32 ");
	f->config.n_keep = 40;
	find(f);
	assert_int_equal(f->kept.left_out, 40 - KEPT_NETWORKS_CONFIGURED);
}

/* ---- gateways ---- */

/* Nodes on both sides of a gateway's network: covers of the same size are found that keep off it. */
static void covers_keep_off_gateways(void **state)
{
	struct fixture *f = *state;
	struct prefix network;

	put_nodes(1, 100, "", INTERNAL("10.8.L.9"));
	find(f);
	assert_true(keeps(f, "10.8.64.200"));
	watch_say("services", "{'metadata':{'namespace':'media','name':'vpn','annotations':"
			      "{'podswitch.io/network':'10.8.64.128/25'}},'spec':{}}");
	find(f);
	assert_false(keeps(f, "10.8.64.200"));
	assert_true(keeps(f, "10.8.64.9") && keeps(f, "10.8.1.9") && keeps(f, "10.8.100.9"));
	assert_int_equal(prefix_parse("10.8.64.128/25", &network), 0);
	assert_null(kept_networks_overlap(&f->kept, &network));
	/* One that is in the way of everything has no say. */
	struct kept_networks before = f->kept;
	watch_say("services", "{'metadata':{'namespace':'tenant','name':'x','annotations':"
			      "{'podswitch.io/network':'10.0.0.0/8'}},'spec':{}}");
	find(f);
	assert_true(keeps(f, "10.8.64.9") && keeps(f, "10.8.1.9") && keeps(f, "10.8.100.9"));
	assert_int_equal(before.left_out, 0);
	assert_int_equal(f->kept.left_out, 0);
	assert_false(keeps(f, "10.8.128.9"));
}

/* A tenant whose gateways' networks are in the way cannot make other covers wider than they were. */
static void gateways_open_nothing(void **state)
{
	struct fixture *f = *state;
	char name[16], text[256];

	for (int i = 0; i < 60; i++) {
		int at = i / 2 * 16 + i % 2 + 1; /* pairs, each in a block of 16 */
		snprintf(name, sizeof(name), "n%d", i + 100);
		snprintf(text, sizeof(text), INTERNAL("10.8.%d.%d"), at / 256, at % 256);
		put_node(name, "", text);
	}
	find(f);
	assert_true(keeps(f, "10.8.1.145") && !keeps(f, "10.8.1.153"));
	for (int i = 0; i < 24; i++) {
		snprintf(text, sizeof(text),
			 "{'metadata':{'namespace':'tenant','name':'s%d','annotations':{'podswitch.io/network':"
			 "'10.8.%d.%d/30'}},'spec':{}}",
			 i, i * 16 / 256, i * 16 % 256);
		watch_say("services", text);
	}
	find(f);
	assert_true(keeps(f, "10.8.1.145") && !keeps(f, "10.8.1.153"));
}

static void overlaps(void **state)
{
	struct fixture *f = *state;
	struct prefix network = SPEC_NETWORK;
	char text[ADDRESS_TEXT];

	put_node("n1", "'podCIDR':'172.16.0.0/16'", INTERNAL("172.16.9.1"));
	find(f);
	assert_string_equal(prefix_format(kept_networks_overlap(&f->kept, &network), text), "172.16.0.0/16");
	network.address.bytes[1] = 17;
	assert_null(kept_networks_overlap(&f->kept, &network));
}

/* ---- size ---- */

/* Of this process, as others may be busy. */
static double milliseconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

#ifdef __OPTIMIZE__
#define OPTIMISED true
#else
#define OPTIMISED false
#endif

static int smaller(const void *a, const void *b)
{
	uint32_t left = *(const uint32_t *)a, right = *(const uint32_t *)b;

	return left < right ? -1 : left > right;
}

/* ms for work whose amount never changes: by it a limit follows the processor, which may be slow, or shared. */
static double sort_numbers(void)
{
	static uint32_t numbers[100000];
	double began = milliseconds();

	for (uint32_t i = 0, next = 1; i < sizeof(numbers) / sizeof(*numbers); i++)
		numbers[i] = next = next * 1664525 + 1013904223;
	qsort(numbers, sizeof(numbers) / sizeof(*numbers), sizeof(*numbers), smaller);
	return milliseconds() - began;
}

static void five_thousand_nodes(void **state)
{
	struct fixture *f = *state;
	double best = 1e9, sort = 1e9;
	char address[64];

	put_nodes(1, 5000, "'podCIDRs':['10.H.L.0/24','fd00:10:N::/64']",
		  INTERNAL("172.20.H.L") "," INTERNAL("2600:1f18:H::L") "," EXTERNAL("34.H.L.7"));
	find(f);
	/* The best of five, as this is not the only program. */
	for (int i = 0; i < 5; i++) {
		double began = milliseconds(), took;
		find(f);
		took = milliseconds() - began;
		best = took < best ? took : best;
		took = sort_numbers();
		sort = took < sort ? took : sort;
	}
	printf("5000 nodes, dual stack: %.1f ms, %zu networks, %zu left out; 100000 numbers sorted in %.1f ms\n", best,
	       f->kept.n, f->kept.left_out, sort);
	/* The sanitizers take their time, and what the compiler has not optimised does. */
	assert_true(best < (getenv("ASAN_OPTIONS") || !OPTIMISED ? 400.0 * (double)slowness() : 2.5 * sort));
	for (int i = 1; i <= 5000; i++) {
		snprintf(address, sizeof(address), "172.20.%d.%d", i / 256, i % 256);
		assert_true(keeps(f, address));
		snprintf(address, sizeof(address), "10.%d.%d.5", i / 256, i % 256);
		assert_true(keeps(f, address));
	}
	assert_true(keeps(f, "2600:1f18:0::1") && keeps(f, "34.0.1.7"));
	assert_false(keeps(f, "10.32.0.1") || keeps(f, "172.20.32.1"));
	assert_in_range(public_addresses(f), 1, 1 + SHARE_EXTERNAL + SHARE_INTERNAL);
	assert_true(f->kept.left_out > 9000);
}

/* The same nodes in any order make the same list. */
static void order_does_not_matter(void **state)
{
	struct fixture *f = *state;
	struct kept_networks up;

	put_nodes(1, 300, "'podCIDR':'10.H.L.0/24'", INTERNAL("172.20.H.L"));
	find(f);
	up = f->kept;
	watch_fill("nodes", "[]");
	f->kept = (struct kept_networks){0};
	for (int i = 300; i >= 1; i--)
		put_nodes(i, i, "'podCIDR':'10.H.L.0/24'", INTERNAL("172.20.H.L"));
	find(f);
	assert_true(prefix_lists_equal(up.list, up.n, f->kept.list, f->kept.n));
}

static void holds(void **state)
{
	struct fixture *f = *state;
	struct kept_networks small;

	put_nodes(1, 3, "", INTERNAL("10.0.0.L"));
	find(f);
	small = f->kept;
	put_nodes(4, 4, "", INTERNAL("10.0.0.L"));
	find(f);
	assert_true(kept_networks_hold(&f->kept, &small));
	assert_false(kept_networks_hold(&small, &f->kept));
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(nodes_have_addresses),
		TEST(nonsense_addresses),
		TEST(many_nodes_far_apart),
		TEST(private_and_public_addresses),
		TEST(newcomers_take_nothing_away),
		TEST(grows_steadily),
		TEST(addresses_of_the_nodes_network),
		TEST(pod_cidrs),
		TEST(two_pools),
		TEST(pools_are_told),
		TEST(ranges_too_wide),
		TEST(pods_nobody_names),
		TEST(slices_are_not_believed),
		TEST(service_ranges_guessed),
		TEST(service_range_is_stretched),
		TEST(service_ranges_are_told),
		TEST(link_local_and_metadata),
		TEST(covers_keep_off_metadata),
		TEST(configured_networks),
		TEST(covers_keep_off_gateways),
		TEST(gateways_open_nothing),
		TEST(overlaps),
		TEST(five_thousand_nodes),
		TEST(order_does_not_matter),
		TEST(holds),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
