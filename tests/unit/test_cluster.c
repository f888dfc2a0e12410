/* SPDX-License-Identifier: Apache-2.0 */
/* test_cluster.c - what is made of objects as API servers of several versions and shapes send them */
#include "control/kube/cluster.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#undef fail /* cmocka has a macro of the name of our function */

#include "tests/unit/fake_watch.h"

#define OWN "our own DaemonSet"

struct fixture {
	struct cluster *cluster;
	unsigned changes;
	struct failure why;
};

static void on_change(void *context)
{
	struct fixture *f = context;

	f->changes++;
}

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	const struct cluster_config config = {
		.node = "n1", .daemonset = "podswitch/podswitch", .changed = on_change, .context = f};

	assert_int_equal(cluster_open(NULL, &config, &f->cluster, &f->why), 0);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	cluster_close(f->cluster);
	for (unsigned i = 0; i < FAKE_WATCHES; i++)
		assert_null(fake_watches[i]);
	free(f);
	return 0;
}

/* ---- opening and keeping ---- */

static void follows_what_it_needs(void **state)
{
	struct fixture *f = *state;
	static const char *const needed[] = {"pods of this node", "namespaces", "services", "endpointslices", "nodes"};

	assert_string_equal(watch_of("pods of this node")->field, "spec.nodeName=n1");
	assert_string_equal(watch_of("endpointslices")->path, "/apis/discovery.k8s.io/v1/endpointslices");
	assert_string_equal(watch_of(OWN)->path, "/apis/apps/v1/namespaces/podswitch/daemonsets");
	assert_string_equal(watch_of(OWN)->field, "metadata.name=podswitch");
	for (size_t i = 0; i < 5; i++) {
		assert_false(cluster_synced(f->cluster));
		assert_string_equal(cluster_missing(f->cluster), needed[i]);
		watch_fill(needed[i], "[]");
	}
	/* Neither Services' ranges nor our own DaemonSet are waited for. */
	assert_true(cluster_synced(f->cluster));
	assert_string_equal(cluster_missing(f->cluster), "");
}

static void opening_fails(void **state)
{
	struct fixture *f = *state;
	static const char *const wrong[] = {"podswitch", "a/b/c", ""};
	struct cluster_config config = {.node = "n1", .changed = on_change, .context = f};
	struct cluster *other = NULL;

	tear_down(state);
	f = calloc(1, sizeof(*f));
	for (size_t i = 0; i < 3; i++) {
		config.daemonset = wrong[i];
		assert_int_equal(cluster_open(NULL, &config, &other, &f->why), -EINVAL);
		assert_string_equal(f->why.key, "daemonset");
	}
	fake_watch_limit = 3;
	config.daemonset = NULL;
	assert_int_equal(cluster_open(NULL, &config, &other, &f->why), -ENOMEM);
	assert_null(other);
	fake_watch_limit = FAKE_WATCHES;
	for (unsigned i = 0; i < FAKE_WATCHES; i++)
		assert_null(fake_watches[i]);
	free(f);
	set_up(state);
}

static void keeps_what_decisions_need(void **state)
{
	struct fixture *f = *state;

	watch_fill("pods of this node",
		   "[{'metadata':{'namespace':'a','name':'p','resourceVersion':'1','labels':{'x':'y'}},"
		   "'spec':{'hostNetwork':true,'secret':1,'containers':[{'name':'c','env':[1]},{'image':'i'}],"
		   "'initContainers':[{'name':'gateway-init','args':[]}]},'status':{'phase':'Running','x':1}}]");
	json_t *expected =
		json_of("{'metadata':{'namespace':'a','name':'p','labels':{'x':'y'}},'spec':{'hostNetwork':true,"
			"'containers':[{'name':'c'},{}],'initContainers':[{'name':'gateway-init'}]},'status':{'phase':'"
			"Running'}}");
	assert_true(json_equal(cluster_pod(f->cluster, "a", "p"), expected));
	json_decref(expected);
	assert_int_equal(json_object_size(cluster_pods(f->cluster)), 1);
	assert_null(cluster_pod(f->cluster, "a", "q"));
	assert_null(cluster_pod(f->cluster, "", "p"));
	watch_fill("namespaces", "[{'metadata':{'name':'a'}},{'metadata':{}}]");
	assert_non_null(cluster_namespace(f->cluster, "a"));
	/* The other's object is only borrowed. */
	json_t *object = json_of("{'metadata':{'name':'b','resourceVersion':'7'}}");
	watch_of("namespaces")->callbacks.changed(watch_of("namespaces")->context, object);
	assert_string_equal(text_at(object, "metadata", "resourceVersion"), "7");
	json_decref(object);
}

/* What is new is told, and nothing else: each telling has every pod looked at. */
static void tells_of_news_only(void **state)
{
	struct fixture *f = *state;

	watch_fill("services", "[]");
	assert_int_equal(f->changes, 1);
	watch_say("services", "{'metadata':{'namespace':'a','name':'s','resourceVersion':'1'},'spec':{}}");
	assert_int_equal(f->changes, 2);
	watch_say("services", "{'metadata':{'namespace':'a','name':'s','resourceVersion':'2'},'status':{'new':1}}");
	assert_int_equal(f->changes, 2);
	watch_say("services", "{'metadata':{'namespace':'a','name':'s','annotations':{'k':'v'}}}");
	assert_int_equal(f->changes, 3);
	watch_take("services", "{'metadata':{'namespace':'a','name':'other'}}");
	watch_say("services", "{'metadata':{}}");
	assert_int_equal(f->changes, 3);
	watch_take("services", "{'metadata':{'namespace':'a','name':'s'}}");
	assert_int_equal(f->changes, 4);
	assert_null(cluster_service(f->cluster, "a", "s"));
	/* A list takes the place of all there was. */
	watch_say("services", "{'metadata':{'namespace':'a','name':'s'}}");
	watch_fill("services", "[{'metadata':{'namespace':'a','name':'t'}}]");
	assert_null(cluster_service(f->cluster, "a", "s"));
	assert_non_null(cluster_service(f->cluster, "a", "t"));
}

static void hears_namespaces(void **state)
{
	struct fixture *f = *state;

	watch_fill("pods of this node", "[]");
	watch_fill("namespaces", "[]");
	assert_true(cluster_watches_namespaces(f->cluster));
	watch_of("namespaces")->live = false;
	assert_false(cluster_watches_namespaces(f->cluster));
	watch_of("pods of this node")->live = false;
	assert_true(cluster_watches_namespaces(f->cluster));
}

static void visit_watch(void *context, const char *what, const struct watch_counters *counters, bool live)
{
	unsigned *seen = context;

	assert_non_null(watch_of(what));
	assert_int_equal(counters->events, 2);
	*seen += 1 + (live ? 100 : 0);
}

static void counts(void **state)
{
	struct fixture *f = *state;
	unsigned seen = 0;

	watch_fill("nodes", "[]");
	cluster_count(f->cluster, visit_watch, &seen);
	assert_int_equal(seen, 106);
	watch_fill("ciliumnodes", "[]");
	seen = 0;
	cluster_count(f->cluster, visit_watch, &seen);
	assert_int_equal(seen, 207);
}

/* ---- what the cluster's networks are learned from ---- */

static void networks_have_a_version(void **state)
{
	struct fixture *f = *state;
	static const char *const kinds_of_networks[] = {"pods of this node", "services",         "nodes",
							"servicecidrs",      "Calico's ippools", "ciliumpodippools",
							"ciliumnodes"};
	unsigned version = cluster_networks_version(f->cluster);

	for (size_t i = 0; i < sizeof(kinds_of_networks) / sizeof(kinds_of_networks[0]); i++) {
		watch_say(kinds_of_networks[i], "{'metadata':{'name':'x'}}");
		assert_int_not_equal(cluster_networks_version(f->cluster), version);
		version = cluster_networks_version(f->cluster);
	}
	watch_say("namespaces", "{'metadata':{'name':'a'}}");
	watch_say("endpointslices", "{'metadata':{'namespace':'a','name':'s'}}");
	watch_say("nodes", "{'metadata':{'name':'x','labels':{'a':'b'}},'status':{'conditions':[]}}");
	assert_int_equal(cluster_networks_version(f->cluster), version);
	watch_say("endpointslices", "{'metadata':{'namespace':'default','name':'kubernetes'}}");
	assert_int_not_equal(cluster_networks_version(f->cluster), version);
}

static void networks_are_answered(void **state)
{
	struct fixture *f = *state;

	assert_false(cluster_networks_answered(f->cluster));
	watch_of("Calico's ippools")->unanswered = true;
	watch_fill("pods of this node", "[]");
	watch_fill("services", "[]");
	watch_fill("nodes", "[]");
	assert_false(cluster_networks_answered(f->cluster));
	watch_of("Calico's ippools")->unanswered = false;
	assert_true(cluster_networks_answered(f->cluster));
	assert_false(watch_of(OWN)->optional);
}

static void nodes_are_kept_small(void **state)
{
	struct fixture *f = *state;

	watch_say("nodes",
		  "{'metadata':{'name':'n2','uid':'u','labels':{'a':'b'},'annotations':{'x':'y',"
		  "'projectcalico.org/IPv4Address':'10.0.0.5/24'}},'spec':{'podCIDR':'10.1.0.0/24','taints':[]},"
		  "'status':{'addresses':[{'type':'InternalIP','address':'10.0.0.5'},{'type':'ExternalIP'},7,"
		  "{'type':'Hostname','address':'n2'},{'type':'InternalIP','address':'fd00::5'}],'images':[1]}}");
	watch_say("ciliumnodes", "{'metadata':{'name':'n2'},'spec':{'addresses':[],'ipam':{'podCIDRs':['10.1.0.0/24'],"
				 "'pool':{'10.1.0.1':{}},'pools':{'allocated':[1],'requested':[2]}},'health':{}}}");
	json_t *node =
		json_of("{'metadata':{'name':'n2','annotations':{'projectcalico.org/IPv4Address':'10.0.0.5/24'}},"
			"'spec':{'podCIDR':'10.1.0.0/24'},'status':{'InternalIP':['10.0.0.5','fd00::5']}}");
	json_t *cilium = json_of("{'metadata':{'name':'n2'},'spec':{'addresses':[],'ipam':"
				 "{'podCIDRs':['10.1.0.0/24'],'allocated':[1]}}}");
	assert_true(json_equal(json_object_get(cluster_objects(f->cluster, CLUSTER_NODES), "n2"), node));
	assert_true(json_equal(json_object_get(cluster_objects(f->cluster, CLUSTER_CILIUM_NODES), "n2"), cilium));
	json_decref(node);
	json_decref(cilium);
}

/* ---- endpoints ---- */

static void put_slice(const char *name, const char *service, const char *endpoints, const char *ports)
{
	char text[16384];

	snprintf(text, sizeof(text),
		 "{'metadata':{'namespace':'media','name':'%s','labels':{'kubernetes.io/service-name':'%s'}},"
		 "'addressType':'IPv4','endpoints':%s,'ports':%s}",
		 name, service, endpoints, ports);
	watch_say("endpointslices", text);
}

/* "ADDRESS:PORT " of each endpoint of media/vpn. */
static const char *endpoints(const struct fixture *f)
{
	static char text[4096];
	struct cluster_endpoint list[CLUSTER_MAX_ENDPOINTS];
	char address[ADDRESS_TEXT];
	size_t n = cluster_endpoints(f->cluster, "media", "vpn", list), used = 0;

	text[0] = '\0';
	for (size_t i = 0; i < n; i++)
		used += (size_t)snprintf(text + used, sizeof(text) - used, "%s:%u ",
					 address_format(&list[i].address, address), list[i].port);
	return text;
}

#define UDP "[{'protocol':'UDP','port':8472}]"

static void endpoint_conditions(void **state)
{
	struct fixture *f = *state;
	static const struct {
		const char *conditions;
		bool ready;
	} cases[] = {
		{"", true},
		{",'conditions':{}", true},
		{",'conditions':{'ready':true}", true},
		{",'conditions':{'ready':null}", true},
		{",'conditions':{'ready':false}", false},
		{",'conditions':{'ready':true,'serving':true,'terminating':false}", true},
		{",'conditions':{'ready':true,'serving':true,'terminating':true}", false},
		{",'conditions':{'ready':false,'serving':true,'terminating':true}", false},
		{",'conditions':{'terminating':null}", true},
		/* v1beta1 */
		{",'topology':{'kubernetes.io/hostname':'n1'},'conditions':{'ready':true}", true},
		{",'conditions':7", true},
	};

	assert_string_equal(endpoints(f), "");
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char text[256];
		snprintf(text, sizeof(text), "[{'addresses':['10.0.0.1']%s}]", cases[i].conditions);
		put_slice("vpn-1", "vpn", text, UDP);
		assert_string_equal(endpoints(f), cases[i].ready ? "10.0.0.1:8472 " : "");
	}
}

static void endpoint_slices(void **state)
{
	struct fixture *f = *state;

	put_slice("vpn-1", "vpn", "[{'addresses':['10.0.0.1','10.0.0.9']},{'addresses':['10.0.0.2']}]", UDP);
	put_slice("vpn-2", "vpn", "[{'addresses':['10.0.0.2']},{'addresses':['fd00::3']}]",
		  "[{'protocol':'TCP','port':80},{'protocol':'UDP','port':4789},{'protocol':'UDP','port':1}]");
	put_slice("other-1", "other", "[{'addresses':['10.0.0.7']}]", UDP);
	watch_say("endpointslices", "{'metadata':{'namespace':'games','name':'vpn-1','labels':"
				    "{'kubernetes.io/service-name':'vpn'}},'endpoints':[{'addresses':['10.0.0.8']}]}");
	assert_string_equal(endpoints(f), "10.0.0.1:8472 10.0.0.2:8472 fd00::3:4789 ");
	watch_take("endpointslices", "{'metadata':{'namespace':'media','name':'vpn-1'}}");
	assert_string_equal(endpoints(f), "10.0.0.2:4789 fd00::3:4789 ");
}

static void endpoint_nonsense(void **state)
{
	struct fixture *f = *state;

	put_slice("vpn-1", "vpn", "[{'addresses':['vpn.example.com']},{'addresses':[]},{},7,{'addresses':[7]},null]",
		  UDP);
	put_slice("vpn-2", "vpn", "{'addresses':['10.0.0.1']}", UDP);
	assert_string_equal(endpoints(f), "");
	put_slice("vpn-1", "vpn", "[{'addresses':['10.0.0.1']}]",
		  "[{'protocol':'UDP','port':0},{'protocol':'UDP','port':65536},{'protocol':'UDP','port':-1},"
		  "{'protocol':'UDP','port':'8472'},{'port':8472},{'protocol':7,'port':8472},null]");
	put_slice("vpn-2", "vpn", "null", "null");
	assert_string_equal(endpoints(f), "10.0.0.1:0 ");
}

static void too_many_endpoints(void **state)
{
	struct fixture *f = *state;
	struct cluster_endpoint list[CLUSTER_MAX_ENDPOINTS];
	char text[16384] = "[";

	for (unsigned i = 0; i < 200; i++)
		snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s{'addresses':['10.0.1.%u']}",
			 i ? "," : "", i);
	strcat(text, "]");
	put_slice("vpn-1", "vpn", text, UDP);
	assert_int_equal(cluster_endpoints(f->cluster, "media", "vpn", list), CLUSTER_MAX_ENDPOINTS);
}

/* ---- the end ---- */

#define DAEMONSET(more) "{'metadata':{'namespace':'podswitch','name':'podswitch'" more "}}"

static void uninstalled_when_deleted(void **state)
{
	struct fixture *f = *state;

	watch_fill(OWN, "[" DAEMONSET("") "]");
	assert_false(cluster_uninstalled(f->cluster));
	watch_take(OWN, DAEMONSET(""));
	assert_true(cluster_uninstalled(f->cluster));
	/* Installed again before the node's agent had to go. */
	watch_say(OWN, DAEMONSET(""));
	assert_false(cluster_uninstalled(f->cluster));
}

static void uninstalled_when_it_is_to_go(void **state)
{
	struct fixture *f = *state;

	watch_fill(OWN, "[" DAEMONSET("") "]");
	watch_say(OWN, DAEMONSET(",'deletionTimestamp':'2026-01-01T00:00:00Z','finalizers':['foregroundDeletion']"));
	assert_true(cluster_uninstalled(f->cluster));
	watch_take(OWN, DAEMONSET(",'deletionTimestamp':'2026-01-01T00:00:00Z'"));
	assert_true(cluster_uninstalled(f->cluster));
}

static void uninstalled_by_a_list(void **state)
{
	struct fixture *f = *state;

	watch_fill(OWN, "[" DAEMONSET("") "]");
	watch_fill(OWN, "[]");
	assert_true(cluster_uninstalled(f->cluster));
}

/* Its pods are to stay (--cascade=orphan): to be taken over by another, say. */
static void not_uninstalled_when_orphaned(void **state)
{
	struct fixture *f = *state;

	watch_fill(OWN, "[" DAEMONSET("") "]");
	watch_say(OWN, DAEMONSET(",'deletionTimestamp':'2026-01-01T00:00:00Z','finalizers':['orphan']"));
	assert_false(cluster_uninstalled(f->cluster));
	watch_take(OWN, DAEMONSET(",'deletionTimestamp':'2026-01-01T00:00:00Z','finalizers':['orphan']"));
	assert_false(cluster_uninstalled(f->cluster));
}

/* It was never there, or only going: an agent that runs without one, or whose right to read it is new. */
static void not_uninstalled_when_never_seen(void **state)
{
	struct fixture *f = *state;

	assert_false(cluster_uninstalled(f->cluster));
	watch_fill(OWN, "[]");
	assert_false(cluster_uninstalled(f->cluster));
	watch_say(OWN, DAEMONSET(",'deletionTimestamp':'2026-01-01T00:00:00Z'"));
	assert_false(cluster_uninstalled(f->cluster));
	watch_take(OWN, DAEMONSET(""));
	assert_false(cluster_uninstalled(f->cluster));
}

int main(void)
{
#define TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(follows_what_it_needs),
		TEST(opening_fails),
		TEST(keeps_what_decisions_need),
		TEST(tells_of_news_only),
		TEST(hears_namespaces),
		TEST(counts),
		TEST(networks_have_a_version),
		TEST(networks_are_answered),
		TEST(nodes_are_kept_small),
		TEST(endpoint_conditions),
		TEST(endpoint_slices),
		TEST(endpoint_nonsense),
		TEST(too_many_endpoints),
		TEST(uninstalled_when_deleted),
		TEST(uninstalled_when_it_is_to_go),
		TEST(uninstalled_by_a_list),
		TEST(not_uninstalled_when_orphaned),
		TEST(not_uninstalled_when_never_seen),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
