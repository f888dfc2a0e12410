/* SPDX-License-Identifier: Apache-2.0 */
/* test_explain.c - each reason for waiting has its own sentence, with what to change */
#include "control/kube/explain.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#undef fail /* cmocka has a macro of the name of our function */

#include "tests/unit/fake_watch.h"
#include "tests/unit/quotes.h"

static void on_change(void *context)
{
	(void)context;
}

/* Fails the test, with both texts, unless `out` has `part` in it. */
static void assert_says(const char *out, const char *part)
{
	if (!strstr(out, part))
		assert_string_equal(out, part);
}

static int set_up(void **state)
{
	struct cluster *cluster;
	const struct cluster_config config = {.node = "n1", .changed = on_change};
	struct failure why;

	assert_int_equal(cluster_open(NULL, &config, &cluster, &why), 0);
	*state = cluster;
	return 0;
}

static int tear_down(void **state)
{
	cluster_close(*state);
	return 0;
}

/* ---- a Service without endpoints ---- */

static const struct {
	const char *service, *slices, *said;
} without[] = {
	{"'spec':{'type':'ExternalName','externalName':'vpn.example.org'}", "[]", "is an ExternalName"},
	{"'spec':{'selector':{'app':'vpn'}}", "[]", "no pod in namespace media has the labels"},
	{"'spec':{'selector':{'app':'vpn'}}",
	 "[{'metadata':{'namespace':'media','name':'s','labels':{'kubernetes.io/service-name':'vpn'}},"
	 "'endpoints':[{'addresses':['10.0.0.1'],'conditions':{'ready':false}}]}]",
	 "its pods are there and not Ready"},
	{"'spec':{'selector':{'app':'vpn'}}",
	 "[{'metadata':{'namespace':'media','name':'s','labels':{'kubernetes.io/service-name':'other'}},"
	 "'endpoints':[{'addresses':['10.0.0.1']}]}]",
	 "no pod in namespace media has the labels"},
	{"'spec':{}", "[]", "has no selector"},
	{"'spec':{'selector':{}}", "[]", "has no selector"},
};

static void no_endpoint(void **state)
{
	const struct choice choice = {.namespace = "media", .name = "vpn"};
	char services[400], slices[400], out[EXPLAIN_SIZE];

	for (size_t i = 0; i < sizeof(without) / sizeof(without[0]); i++) {
		snprintf(services, sizeof(services), "[{'metadata':{'namespace':'media','name':'vpn'},%s}]",
			 without[i].service);
		snprintf(slices, sizeof(slices), "%s", without[i].slices);
		watch_fill("services", services);
		watch_fill("endpointslices", slices);
		explain_no_endpoint(*state, &choice, out);
		assert_non_null(strstr(out, "media/vpn"));
		assert_says(out, without[i].said);
	}
}

/* ---- a gateway that does not answer ---- */

#define CLIENT(state) "'state':'up','client':{'state':'" state "'}"
#define SILENT(underlay, silence) CLIENT("waiting") ",'underlay':'" underlay "','silence':{" silence "}"

static const struct {
	const char *status, *said[3];
} waits[] = {
	{CLIENT("waiting"), {"given no address by DHCP yet", "dnsmasq", "let UDP port 67 in"}},
	{CLIENT("probing"), {"does not answer ARP"}},
	{"'state':'gone','client':{'state':'off'}", {"the port is gone"}},
	{"'state':'up','client':{'state':'waiting','trouble':'it is 10.96.0.9/28'}",
	 {"cannot be used: it is 10.96.0.9"}},
	{SILENT("host", "'reason':'other_source','from':'10.100.0.12'"),
	 {"from 10.100.0.12 (node n2) instead of 10.244.2.7", "masquerading", "podswitch.io/underlay=pod"}},
	{SILENT("host", "'reason':'other_source','from':'fd00::12'"), {"from fd00::12 instead of", "masquerading"}},
	{SILENT("pod", "'reason':'other_source','from':'10.1.1.1'"), {"from 10.1.1.1 instead of", "NAT between pods"}},
	{SILENT("pod", "'reason':'other_vni','from':'10.244.2.7','vni':43"),
	 {"VNI 43 instead of 42", "podswitch.io/vni=43"}},
	{SILENT("pod", "'reason':'icmp','from':'10.244.2.7','icmp':'port unreachable'"),
	 {"UDP port 4789", "port unreachable", "podswitch.io/port"}},
	{SILENT("pod", "'reason':'icmp','from':'10.100.0.12','icmp':'communication prohibited'"),
	 {"(node n2)", "let that port in from the pods"}},
	{SILENT("host", "'reason':'icmp','from':'10.100.0.12','icmp':'communication prohibited'"),
	 {"from the nodes", "podswitch.io/underlay=pod"}},
	{SILENT("pod", "'reason':'nothing','sent':12"),
	 {"datagrams sent to UDP port 4789 with VNI 42, none came back", "podswitch.io/vni",
	  "let that port in from the pods, and answers out to them (gluetun: FIREWALL_INPUT_PORTS"}},
	{SILENT("host", "'reason':'nothing','sent':12"),
	 {"in from the nodes, whose addresses they have (podswitch.io/underlay=pod", "FIREWALL_OUTBOUND_SUBNETS"}},
};

static void waiting(void **state)
{
	const struct gateway_spec spec = {.vni = 42, .port = 4789};
	const struct choice choice = {.namespace = "media", .name = "vpn", .spec = &spec};
	struct attachment attachment = {.gateway = "media/vpn"};
	char status[600], out[EXPLAIN_SIZE];

	assert_int_equal(address_parse("10.244.2.7", &attachment.endpoint), 0);
	watch_fill("nodes", "[{'metadata':{'name':'n2'},'status':{'addresses':[{'type':'Hostname','address':'n2'},"
			    "{'type':'InternalIP','address':'10.100.0.12'}]}}]");
	for (size_t i = 0; i < sizeof(waits) / sizeof(waits[0]); i++) {
		snprintf(status, sizeof(status), "{%s}", waits[i].status);
		attachment.status = json_of(status);
		explain_waiting(*state, &attachment, &choice, out);
		json_decref(attachment.status);
		for (size_t k = 0; k < 3 && waits[i].said[k]; k++)
			assert_says(out, waits[i].said[k]);
	}
}

static void address_is_taken(void **state)
{
	const struct gateway_spec spec = {.vni = 42, .port = 4789};
	const struct choice choice = {.spec = &spec, .has_address = true};
	struct attachment attachment = {.gateway = "media/vpn"};
	char out[EXPLAIN_SIZE];

	attachment.status = json_of("{" CLIENT("waiting','trouble':'172.16.0.10 is in use by 02:00:00:00:00:01") "}");
	explain_waiting(*state, &attachment, &choice, out);
	json_decref(attachment.status);
	assert_says(out,
		    "podswitch.io/address at media/vpn cannot be used: 172.16.0.10 is in use by 02:00:00:00:00:01");
}

/* An Event is sent for each text that is new: what only counts on makes none. */
static void steady(void **state)
{
	const struct gateway_spec spec = {.vni = 42, .port = 4789};
	const struct choice choice = {.spec = &spec};
	struct attachment attachment = {.gateway = "media/vpn"};
	char before[EXPLAIN_SIZE] = "", out[EXPLAIN_SIZE], status[200];

	for (int sent = 12; sent < 14; sent++) {
		snprintf(status, sizeof(status), "{" SILENT("pod", "'reason':'nothing','sent':%d") "}", sent);
		attachment.status = json_of(status);
		explain_waiting(*state, &attachment, &choice, out);
		json_decref(attachment.status);
		if (*before)
			assert_string_equal(out, before);
		memcpy(before, out, sizeof(before));
	}
}

/* With the longest names there can be, the text is cut and nothing else happens. */
static void longest(void **state)
{
	const struct gateway_spec spec = {.vni = 16777215, .port = 65535};
	const struct choice choice = {.spec = &spec};
	struct attachment attachment = {.endpoint = {.family = AF_INET6}};
	char out[EXPLAIN_SIZE];

	memset(attachment.gateway, 'x', sizeof(attachment.gateway) - 1);
	attachment.status = json_of("{" SILENT("host", "'reason':'nothing','sent':123456789012") "}");
	explain_waiting(*state, &attachment, &choice, out);
	assert_true(strlen(out) < EXPLAIN_SIZE);
	json_decref(attachment.status);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(no_endpoint, set_up, tear_down),
		cmocka_unit_test_setup_teardown(address_is_taken, set_up, tear_down),
		cmocka_unit_test_setup_teardown(waiting, set_up, tear_down),
		cmocka_unit_test_setup_teardown(steady, set_up, tear_down),
		cmocka_unit_test_setup_teardown(longest, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
