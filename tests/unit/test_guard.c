/* SPDX-License-Identifier: Apache-2.0 */
/* test_guard.c - an allow list holds whichever Service names the gateway's address: one table */
#include "control/kube/guard.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#undef fail /* cmocka has a macro of the name of our function */

#include "tests/unit/fake_watch.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* The gateway vpns/uk at 10.244.2.7 (not ready at .8), port 8472, for pods of `tools`. */
#define UK                                                                                                             \
	"{'metadata':{'namespace':'vpns','name':'uk','annotations':{'podswitch.io/allow-namespaces':'tools'}},"        \
	"'spec':{'clusterIP':'10.96.0.7','clusterIPs':['10.96.0.7','fd00:96::7'],'externalIPs':['192.0.2.7'],"         \
	"'ports':[{'protocol':'UDP','port':8472,'nodePort':30472}]},"                                                  \
	"'status':{'loadBalancer':{'ingress':[{'ip':'192.0.2.8'},{'hostname':'x'}]}}}"
#define UK_SLICE                                                                                                       \
	"{'metadata':{'namespace':'vpns','name':'uk-1','labels':{'kubernetes.io/service-name':'uk'}},'endpoints':["    \
	"{'addresses':['10.244.2.7','10.244.2.70']},{'addresses':['10.244.2.8'],'conditions':{'ready':false}}],"       \
	"'ports':[{'protocol':'UDP','port':8472}]}"

static struct cluster *cluster;

static void on_change(void *context)
{
	(void)context;
}

static int set_up(void **state)
{
	const struct cluster_config config = {.node = "n1", .changed = on_change};
	struct failure why;

	(void)state;
	assert_int_equal(cluster_open(NULL, &config, &cluster, &why), 0);
	watch_fill("services", "[" UK "]");
	watch_fill("endpointslices", "[" UK_SLICE "]");
	watch_fill("nodes", "[{'metadata':{'name':'n1'},'status':{'addresses':[{'type':'InternalIP','address':"
			    "'192.168.1.1'}]}}]");
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	cluster_close(cluster);
	return 0;
}

static const struct example {
	const char *name, *namespace, *service; /* the pod's, and the Service that it has: NAMESPACE/NAME */
	const char *annotations;                /* of that Service */
	const char *address;
	uint16_t port; /* of its slice */
	bool refused;
} examples[] = {
	{"another namespace's, by hand", "games", "games/mine", "", "10.244.2.7", 8472, true},
	{"an endpoint's second address", "games", "games/mine", "", "10.244.2.70", 8472, true},
	{"an endpoint that is not ready yet", "games", "games/mine", "", "10.244.2.8", 8472, true},
	{"the port by its annotation", "games", "games/mine", "'podswitch.io/port':'8472'", "10.244.2.7", 9, true},
	{"with a list of its own", "games", "games/mine", "'podswitch.io/allow-namespaces':'games'", "10.244.2.7", 8472,
	 true},
	{"another network", "games", "games/mine", "'podswitch.io/vni':'43'", "10.244.2.7", 8472, true},
	{"another port is another gateway", "games", "games/mine", "", "10.244.2.7", 4789, false},
	{"another address", "games", "games/mine", "", "10.244.2.9", 8472, false},
	{"a pod that the list names", "tools", "tools/mine", "", "10.244.2.7", 8472, false},
	{"a pod of the gateway's namespace", "vpns", "vpns/mine", "", "10.244.2.7", 8472, false},
	{"a second one beside it", "games", "vpns/open", "", "10.244.2.7", 8472, true},
	{"a second one that says who may", "games", "vpns/open", "'podswitch.io/allow-namespaces':'games'",
	 "10.244.2.7", 8472, false},
	{"a second one that says all may", "games", "vpns/open", "'podswitch.io/allow-namespaces':'*'", "10.244.2.7",
	 8472, false},
	{"by its ClusterIP", "games", "games/mine", "", "10.96.0.7", 1, true},
	{"by its ClusterIP of IPv6", "games", "games/mine", "", "fd00:96::7", 8472, true},
	{"by its external address", "games", "games/mine", "", "192.0.2.7", 8472, true},
	{"by its load balancer", "games", "games/mine", "", "192.0.2.8", 8472, true},
	{"by its nodePort", "games", "games/mine", "", "192.168.1.1", 30472, true},
	{"a node at another port", "games", "games/mine", "", "192.168.1.1", 8472, false},
	{"a nodePort's number elsewhere", "games", "games/mine", "", "10.244.9.9", 30472, false},
};

static size_t filter(struct guards *guards, const struct example *e, char *out, size_t size)
{
	char text[512];
	struct gateway_spec spec;
	struct failure why;
	struct cluster_endpoint endpoint = {.port = e->port};
	const char *slash = strchr(e->service, '/');
	snprintf(text, sizeof(text), "{'metadata':{'namespace':'%.*s','name':'%s','annotations':{%s}}}",
		 (int)(slash - e->service), e->service, slash + 1, e->annotations);
	json_t *service = json_of(text);
	assert_int_equal(spec_read(service, &spec, &why), 0);
	assert_int_equal(address_parse(e->address, &endpoint.address), 0);
	size_t n = guards_filter(guards, cluster, &spec, e->namespace, &endpoint, 1, out, size);
	spec_free(&spec);
	json_decref(service);
	return n;
}

static void test_table(void **state)
{
	struct guards guards = {0};
	char text[512];
	unsigned wrong = 0;

	(void)state;
	for (size_t i = 0; i < COUNT(examples); i++) {
		const struct example *e = &examples[i];
		bool right = filter(&guards, e, text, sizeof(text)) == !e->refused && !*text == !e->refused &&
			     (!e->refused || strstr(text, "belongs to the gateway vpns/uk, which does not take pods"));
		if (!right)
			print_message("%s: '%s'\n", e->name, text);
		wrong += !right;
	}
	assert_int_equal(wrong, 0);
	guards_free(&guards);
}

/* What is guarded follows the cluster: the list, the Service and its endpoints come, change and go. */
static void test_changes(void **state)
{
	struct guards guards = {0};
	char text[512];
	const struct example *e = &examples[0];

	(void)state;
	assert_int_equal(filter(&guards, e, text, sizeof(text)), 0);
	watch_say("services", "{'metadata':{'namespace':'vpns','name':'uk','annotations':{"
			      "'podswitch.io/allow-namespaces':'games'}}}");
	assert_int_equal(filter(&guards, e, text, sizeof(text)), 1);
	watch_say("services", "{'metadata':{'namespace':'vpns','name':'uk','annotations':{"
			      "'podswitch.io/allow-namespaces':'_'}}}"); /* malformed: nobody else */
	assert_int_equal(filter(&guards, e, text, sizeof(text)), 0);
	watch_say("services", "{'metadata':{'namespace':'vpns','name':'uk'}}");
	assert_int_equal(filter(&guards, e, text, sizeof(text)), 1);
	watch_say("services", UK);
	assert_int_equal(filter(&guards, e, text, sizeof(text)), 0);
	watch_take("endpointslices", UK_SLICE);
	assert_int_equal(filter(&guards, e, text, sizeof(text)), 1);
	watch_say("endpointslices", UK_SLICE);
	watch_take("services", UK);
	assert_int_equal(filter(&guards, e, text, sizeof(text)), 1);
	guards_free(&guards);
}

/* Of several endpoints the others stay; nothing is said while there are any. */
static void test_some_are_left(void **state)
{
	struct guards guards = {0};
	struct cluster_endpoint list[3] = {{.port = 8472}, {.port = 8472}, {.port = 8472}};
	const struct gateway_spec spec = {.namespace = "games", .name = "mine", .port = 8472};
	char text[512];

	(void)state;
	assert_int_equal(address_parse("10.244.2.7", &list[0].address), 0);
	assert_int_equal(address_parse("10.244.3.1", &list[1].address), 0);
	assert_int_equal(address_parse("10.244.2.8", &list[2].address), 0);
	assert_int_equal(guards_filter(&guards, cluster, &spec, "games", list, 3, text, sizeof(text)), 1);
	assert_string_equal(text, "");
	assert_int_equal(list[0].address.bytes[2], 3);
	assert_int_equal(guards_filter(&guards, cluster, &spec, "games", list, 0, text, sizeof(text)), 0);
	assert_string_equal(text, "");
	guards_free(&guards);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_table, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_changes, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_some_are_left, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
