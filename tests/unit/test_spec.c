/* SPDX-License-Identifier: Apache-2.0 */
/* test_spec.c - what Services say, and what they may not say. JSON is written with ' for ". */
#include "control/base/names.c"
#include "control/kube/spec.c"

/* After our own: cmocka makes a macro of fail(). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/quotes.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

#define TEXT 2048

/* The Service media/vpn with these annotations and this spec. */
static int read_service(const char *annotations, const char *spec, struct gateway_spec *out, struct failure *why)
{
	char text[TEXT];

	assert_true((size_t)snprintf(text, sizeof(text),
				     "{'metadata':{'name':'vpn','namespace':'media','annotations':{%s}},'spec':{%s}}",
				     annotations, spec) < sizeof(text));
	json_t *service = json_of(text);
	memset(out, 0x5a, sizeof(*out));
	int code = spec_read(service, out, why);
	json_decref(service);
	return code;
}

static const char *const modes[] = {"dhcp", "static"};
static const char *const underlays[] = {"unset", "auto", "host", "pod"};

/* All that a spec says, but for what pod-gateway's defaults say as well. */
static const char *describe(const struct gateway_spec *spec)
{
	static char out[TEXT];
	char network[ADDRESS_TEXT], router[ADDRESS_TEXT];

	int used = snprintf(out, sizeof(out), "%s/%s vni %u port %u%s %s router %s %s mtu %u %s", spec->namespace,
			    spec->name, spec->vni, spec->port, spec->port_given ? "!" : "",
			    prefix_format(&spec->network, network), address_format(&spec->router, router),
			    modes[spec->mode], spec->mtu, underlays[spec->underlay]);
	for (size_t i = 0; i < spec->n_not_routed; i++)
		used += snprintf(out + used, sizeof(out) - (size_t)used, " %s",
				 prefix_format(&spec->not_routed[i], network));
	return out;
}

#define DEFAULTS "media/vpn vni 42 port 8472 172.16.0.0/24 router 172.16.0.1 dhcp mtu 0 unset"

/* 32 networks, of which none is like another. */
#define NETWORKS8(a)                                                                                                   \
	a ".0.0.0/8," a ".1.0.0/16," a ".2.0.0/16," a ".3.0.0/16," a ".4.0.0/16," a ".5.0.0/16," a ".6.0.0/16," a      \
	  ".7.0.0/16,"
#define NETWORKS32 NETWORKS8("1") NETWORKS8("2") NETWORKS8("3") NETWORKS8("4")

static const struct {
	const char *annotations;
	const char *spec;
	const char *described;
} accepted[] = {
	{"", "", DEFAULTS},
	{"'podswitch.io/vni':'0'", "", "media/vpn vni 0 port 8472 172.16.0.0/24 router 172.16.0.1 dhcp mtu 0 unset"},
	{"'podswitch.io/vni':'16777215','podswitch.io/mode':'static','podswitch.io/mtu':'1400'", "",
	 "media/vpn vni 16777215 port 8472 172.16.0.0/24 router 172.16.0.1 static mtu 1400 unset"},
	{"'podswitch.io/mtu':'576','podswitch.io/underlay':'host'", "",
	 "media/vpn vni 42 port 8472 172.16.0.0/24 router 172.16.0.1 dhcp mtu 576 host"},
	{"'podswitch.io/mtu':'65000','podswitch.io/underlay':'pod'", "",
	 "media/vpn vni 42 port 8472 172.16.0.0/24 router 172.16.0.1 dhcp mtu 65000 pod"},
	{"'podswitch.io/mtu':'0','podswitch.io/mode':'dhcp'", "", DEFAULTS},
	{"'podswitch.io/underlay':'auto'", "",
	 "media/vpn vni 42 port 8472 172.16.0.0/24 router 172.16.0.1 dhcp mtu 0 auto"},
	/* Blanks around it; and what a template with a value that is not set leaves. */
	{"'podswitch.io/vni':' 43 ','podswitch.io/network':'\\t10.9.0.0/16\\n'", "",
	 "media/vpn vni 43 port 8472 10.9.0.0/16 router 10.9.0.1 dhcp mtu 0 unset"},
	{"'podswitch.io/vni':'','podswitch.io/port':' ','podswitch.io/network':'','podswitch.io/mode':'',"
	 "'podswitch.io/mtu':'','podswitch.io/underlay':''",
	 "", DEFAULTS},
	/* Ports. */
	{"", "'ports':[{'port':9,'protocol':'UDP'},{'name':'vxlan','port':4789,'protocol':'UDP'}]",
	 "media/vpn vni 42 port 4789 172.16.0.0/24 router 172.16.0.1 dhcp mtu 0 unset"},
	{"'podswitch.io/port':'4789'", "'ports':[{'port':7,'protocol':'UDP'}]",
	 "media/vpn vni 42 port 4789! 172.16.0.0/24 router 172.16.0.1 dhcp mtu 0 unset"},
	{"'podswitch.io/port':'8472'", "",
	 "media/vpn vni 42 port 8472! 172.16.0.0/24 router 172.16.0.1 dhcp mtu 0 unset"},
	{"",
	 "'ports':[{'port':80,'protocol':'TCP'},{'port':81},{'port':4789,'protocol':'UDP'},{'port':9,'protocol':'UDP'}"
	 "]",
	 "media/vpn vni 42 port 4789 172.16.0.0/24 router 172.16.0.1 dhcp mtu 0 unset"},
	{"", "'ports':[{'port':4789,'protocol':'UDP','targetPort':4790}]",
	 "media/vpn vni 42 port 4790 172.16.0.0/24 router 172.16.0.1 dhcp mtu 0 unset"},
	{"", "'ports':[{'port':4789,'protocol':'UDP','targetPort':'vxlan'}]",
	 "media/vpn vni 42 port 4789 172.16.0.0/24 router 172.16.0.1 dhcp mtu 0 unset"},
	{"", "'ports':[{'port':80,'protocol':'TCP'}]", DEFAULTS},
	{"",
	 "'ports':[{'port':65536,'protocol':'UDP'},{'port':-1,'protocol':'UDP'},{'port':'x','protocol':'UDP'},3,null]",
	 DEFAULTS},
	{"", "'ports':{'port':4789,'protocol':'UDP'}", DEFAULTS},
	/* Networks. */
	{"'podswitch.io/network':'10.9.0.0/16'", "",
	 "media/vpn vni 42 port 8472 10.9.0.0/16 router 10.9.0.1 dhcp mtu 0 unset"},
	{"'podswitch.io/network':'10.9.8.16/30'", "",
	 "media/vpn vni 42 port 8472 10.9.8.16/30 router 10.9.8.17 dhcp mtu 0 unset"},
	{"'podswitch.io/network':'10.0.0.0/8'", "",
	 "media/vpn vni 42 port 8472 10.0.0.0/8 router 10.0.0.1 dhcp mtu 0 unset"},
	{"'podswitch.io/network':'192.168.242'", "",
	 "media/vpn vni 42 port 8472 192.168.242.0/24 router 192.168.242.1 dhcp mtu 0 unset"},
	/* Lists. */
	{"'podswitch.io/not-routed':'10.0.0.0/8, 192.168.7.9/16\\n fd00::1/16,,'", "",
	 DEFAULTS " 10.0.0.0/8 192.168.0.0/16 fd00::/16"},
	{"'podswitch.io/not-routed':''", "", DEFAULTS},
	{"'podswitch.io/not-routed':' , '", "", DEFAULTS},
	{"'podswitch.io/not-routed':'8.8.8.8'", "", DEFAULTS " 8.8.8.8/32"},
	/* Not ours, or not text. */
	{"'podswitch.io/else':'x','vni':'7','podswitch.io/vni':7", "", DEFAULTS},
};

static void test_accepted(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(accepted); i++) {
		struct gateway_spec spec;
		struct failure why = {0};
		if (read_service(accepted[i].annotations, accepted[i].spec, &spec, &why))
			print_message("%s: %s\n", accepted[i].annotations, why.text);
		assert_string_equal(describe(&spec), accepted[i].described);
		spec_free(&spec);
	}
}

static void test_probes(void **state)
{
	static const struct {
		const char *annotations, *target;
		unsigned interval;
	} probes[] = {
		{"", "none", 0},
		{"'podswitch.io/probe':'arp'", "none", 0},
		{"'podswitch.io/probe':'','podswitch.io/probe-interval':''", "none", 0},
		{"'podswitch.io/probe':' icmp:1.1.1.1 ','podswitch.io/probe-interval':'100ms'", "icmp:1.1.1.1", 100},
		{"'podswitch.io/probe':'tcp:9.9.9.9:853','podswitch.io/probe-interval':'2s'", "tcp:9.9.9.9:853", 2000},
		{"'podswitch.io/probe-interval':'5'", "none", 5000},
		{"'podswitch.io/probe-interval':'250s'", "none", 250000},
		{"'podswitch.io/probe-interval':'250000ms'", "none", 250000},
	};
	struct gateway_spec spec, plain;
	struct failure why = {0};

	(void)state;
	assert_int_equal(read_service("", "", &plain, &why), 0);
	for (size_t i = 0; i < COUNT(probes); i++) {
		char text[PATH_TARGET_TEXT];
		assert_int_equal(read_service(probes[i].annotations, "", &spec, &why), 0);
		assert_string_equal(path_target_format(&spec.probe_target, text), probes[i].target);
		assert_int_equal(spec.probe_interval, probes[i].interval);
		assert_int_equal(spec_equal(&spec, &plain), i < 3);
		spec_free(&spec);
	}
	spec_free(&plain);
}

static void test_ports_are_guessed(void **state)
{
	static const char *const first = "{'port':9,'protocol':'UDP'}", *const tcp = "{'name':'vxlan','port':7}",
				 *const named = "{'name':'vxlan','port':4789,'protocol':'UDP'}";
	static const struct {
		const char *const *one, *const *two;
		bool guessed;
	} pairs[] = {{&first, &first, true}, {&first, &named, false}, {&named, &first, false}, {&first, &tcp, false}};

	(void)state;
	for (size_t i = 0; i < COUNT(pairs); i++) {
		char ports[TEXT];
		struct gateway_spec spec;
		struct failure why = {0};
		snprintf(ports, sizeof(ports), "'ports':[%s,%s]", *pairs[i].one, *pairs[i].two);
		assert_int_equal(read_service("", ports, &spec, &why), 0);
		assert_int_equal(spec.port_guessed, pairs[i].guessed);
		spec_free(&spec);
	}
}

static const struct {
	const char *key;
	const char *value;
	const char *text; /* a piece of it */
} refused[] = {
	{"podswitch.io/vni", "x",
	 "podswitch.io/vni: 'x' is no VXLAN network identifier; write a number from 0 to 16777215"},
	{"podswitch.io/vni", "042", "'042'"}, /* 34 to those who take it for octal */
	{"podswitch.io/vni", "00", NULL},
	{"podswitch.io/vni", "16777216", "'16777216'"},
	{"podswitch.io/vni", "-1", "'-1'"},
	{"podswitch.io/vni", "4 2", "'4 2'"},
	{"podswitch.io/vni", "0x2a", NULL},
	{"podswitch.io/vni", "4294967338", NULL}, /* 42 in 32 bits */
	{"podswitch.io/vni", "18446744073709551658", NULL},
	{"podswitch.io/port", "0", "podswitch.io/port: '0' is no UDP port; write a number from 1 to 65535"},
	{"podswitch.io/port", "65536", NULL},
	{"podswitch.io/port", "vxlan", NULL},
	{"podswitch.io/mtu", "575", "write 576 to 65000 bytes, or 0"},
	{"podswitch.io/mtu", "65001", NULL},
	{"podswitch.io/mtu", "auto", NULL},
	{"podswitch.io/network", "172", "write an IPv4 network such as 172.16.0.0/24"},
	{"podswitch.io/network", "172.16.0.0", "'172.16.0.0' is no network"},
	{"podswitch.io/network", "172.16", NULL},
	{"podswitch.io/network", "172.16.0.", NULL},
	{"podswitch.io/network", "172.16.0/24", NULL},
	{"podswitch.io/network", "172.16.256", NULL},
	{"podswitch.io/network", "172.16.0.7/24",
	 "is an address in a network; write the network itself, 172.16.0.0/24"},
	{"podswitch.io/network", "172.16.0.0/31", NULL},
	{"podswitch.io/network", "10.0.0.0/7", NULL},
	{"podswitch.io/network", "0.0.0.0/0", NULL},
	{"podswitch.io/network", "127.0.0.0/8", NULL},
	{"podswitch.io/network", "0.0.0", NULL},
	{"podswitch.io/network", "224.0.0.0/24", NULL},
	{"podswitch.io/network", "fd00::/64", NULL},
	{"podswitch.io/network", "a.b.c", "'a.b.c'"},
	{"podswitch.io/mode", "DHCP", "podswitch.io/mode: 'DHCP' is neither dhcp nor static; write one of them"},
	{"podswitch.io/underlay", "node", "podswitch.io/underlay: 'node' is none of auto, host and pod"},
	{"podswitch.io/probe", "http://1.1.1.1/",
	 "is asked by HTTP, which podswitch cannot do yet; write tcp:ADDRESS:PORT"},
	{"podswitch.io/probe", "https://example.org", "by HTTP"},
	{"podswitch.io/probe", "ping",
	 "podswitch.io/probe: 'ping' is no probe; write arp, or icmp:ADDRESS or tcp:ADDRESS:PORT"},
	{"podswitch.io/probe", "none", "is no probe"},
	{"podswitch.io/probe", "icmp:example.org", NULL},
	{"podswitch.io/probe", "icmp:2606:4700::1111", NULL},
	{"podswitch.io/probe", "icmp:1.1.1.1:80", NULL},
	{"podswitch.io/probe", "tcp:1.1.1.1", NULL},
	{"podswitch.io/probe", "tcp:1.1.1.1:0", NULL},
	{"podswitch.io/probe-interval", "99ms",
	 "podswitch.io/probe-interval: '99ms' is no interval; write 100ms to 250s"},
	{"podswitch.io/probe-interval", "0", NULL},
	{"podswitch.io/probe-interval", "251s", NULL},
	{"podswitch.io/probe-interval", "250001ms", NULL},
	{"podswitch.io/probe-interval", "1m", NULL},
	{"podswitch.io/probe-interval", "0.5s", NULL},
	{"podswitch.io/probe-interval", "-1s", NULL},
	{"podswitch.io/probe-interval", "1 s", NULL},
	{"podswitch.io/probe-interval", "s", NULL},
	{"podswitch.io/probe-interval", "01s", NULL},
	{"podswitch.io/probe-interval", "99999999999999999999s", NULL},
	{"podswitch.io/not-routed", "10.0.0.0/8 x", "podswitch.io/not-routed: 'x' is no network"},
	{"podswitch.io/not-routed", "10.0.0.0/33", "'10.0.0.0/33'"},
	{"podswitch.io/not-routed", "10.0.0.0/8;11.0.0.0/8", NULL},
	{"podswitch.io/not-routed", "0.0.0.0/0", "podswitch.io/gateway: none"},
	{"podswitch.io/not-routed", "::/0", NULL},
	{"podswitch.io/not-routed", "0.0.0.0/1,128.0.0.0/1", "'0.0.0.0/1' is too much: more than an eighth of IPv4"},
	{"podswitch.io/not-routed", "10.0.0.0/8 0.0.0.0/4 64.0.0.0/4 128.0.0.0/4", "'128.0.0.0/4' is too much"},
	{"podswitch.io/not-routed", "2000::/4 3000::/4", "write smaller networks"},
	{"podswitch.io/not-routed", "2400::/12,2600::/12", "'2600::/12' is too much"},
	{"podswitch.io/not-routed", NETWORKS32 "9.0.0.0/8", "'9.0.0.0/8' is one network too many; write 32"},
	{"podswitch.io/allow-namespaces", "Media", "podswitch.io/allow-namespaces: 'Media' is no namespace"},
	{"podswitch.io/allow-namespaces", "media, a.b", "'a.b'"},
	{"podswitch.io/allow-namespaces", "* media_", "'media_'"}, /* although all are allowed */
	{"podswitch.io/allow-namespaces", "media*", NULL},
	{"podswitch.io/vni",
	 "\\u00fc\\n\\u001b[2J\\u007f and much, much more of the same, more than anyone wants to read",
	 "'????[2J? and much, much more of the same, more than anyone wa...'"},
};

static void test_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(refused); i++) {
		char annotations[TEXT];
		struct gateway_spec spec, zero = {0};
		struct failure why = {0};
		snprintf(annotations, sizeof(annotations), "'%s':'%s'", refused[i].key, refused[i].value);
		if (read_service(annotations, "'selector':{'a':'b'}", &spec, &why) != -EINVAL)
			print_message("%s is accepted\n", annotations);
		assert_int_equal(why.code, -EINVAL);
		assert_string_equal(why.key, refused[i].key);
		assert_memory_equal(&spec, &zero, sizeof(spec));
		if (!strstr(why.text, refused[i].text ? refused[i].text : refused[i].key))
			print_message("%s\n", why.text);
		assert_non_null(strstr(why.text, refused[i].text ? refused[i].text : refused[i].key));
	}
}

static void test_networks_at_most(void **state)
{
	(void)state;
	struct gateway_spec spec;
	struct failure why = {0};

	assert_int_equal(read_service("'podswitch.io/not-routed':'" NETWORKS32 "'", "", &spec, &why), 0);
	assert_int_equal(spec.n_not_routed, 32);
	spec_free(&spec);
}

static void test_names(void **state)
{
	(void)state;
	static const char *const wrong[] = {
		"{}",
		"[]",
		"null_",
		"{'metadata':{'name':'vpn'}}",
		"{'metadata':{'namespace':'media'}}",
		"{'metadata':{'name':'vpn.x','namespace':'media'}}",
		"{'metadata':{'name':'','namespace':'media'}}",
		"{'metadata':{'name':7,'namespace':'media'}}",
	};
	struct gateway_spec spec;
	struct failure why;

	for (size_t i = 0; i < COUNT(wrong); i++) {
		json_t *service = strcmp(wrong[i], "null_") ? json_of(wrong[i]) : NULL;
		assert_int_equal(spec_read(service, &spec, &why), -EINVAL);
		json_decref(service);
	}
}

static bool allows(const char *list, const char *namespace)
{
	char annotations[TEXT];
	struct gateway_spec spec;
	struct failure why = {0};

	snprintf(annotations, sizeof(annotations), list ? "'podswitch.io/allow-namespaces':'%s'" : "", list);
	assert_int_equal(read_service(annotations, "", &spec, &why), 0);
	bool allowed = spec_allows(&spec, namespace);
	spec_free(&spec);
	return allowed;
}

static void test_allow(void **state)
{
	(void)state;
	assert_true(allows(NULL, "games"));
	assert_true(allows("*", "games"));
	assert_true(allows("tools *", "games"));
	assert_true(allows("tools,games", "games"));
	assert_true(allows("  tools\\ngames\\n", "games"));
	assert_true(allows("", "media")); /* its own */
	assert_true(allows("tools", "media"));
	assert_false(allows("", "games"));
	assert_false(allows("tools", "games"));
	assert_false(allows("game gamess", "games"));
}

static bool selects(const char *selector, const char *namespace, const char *labels)
{
	char spec_text[TEXT];
	struct gateway_spec spec;
	struct failure why = {0};

	snprintf(spec_text, sizeof(spec_text), selector ? "'selector':%s" : "", selector);
	assert_int_equal(read_service("", spec_text, &spec, &why), 0);
	json_t *json = labels ? json_of(labels) : NULL;
	bool selected = spec_selects(&spec, namespace, json);
	json_decref(json);
	spec_free(&spec);
	return selected;
}

static void test_selects(void **state)
{
	(void)state;
	assert_true(selects("{'app':'vpn'}", "media", "{'app':'vpn'}"));
	assert_true(selects("{'app':'vpn','a':'b'}", "media", "{'x':'y','a':'b','app':'vpn'}"));
	assert_false(selects("{'app':'vpn','a':'b'}", "media", "{'app':'vpn'}"));
	assert_false(selects("{'app':'vpn'}", "media", "{'app':'vpn2'}"));
	assert_false(selects("{'app':'vpn'}", "games", "{'app':'vpn'}"));
	assert_false(selects("{'app':'vpn'}", "media", NULL));
	assert_false(selects("{'app':'vpn'}", "media", "['app']"));
	assert_false(selects("{}", "media", "{'app':'vpn'}"));
	assert_false(selects(NULL, "media", "{'app':'vpn'}"));
	assert_false(selects("'app=vpn'", "media", "{'app':'vpn'}"));
}

/* Each differs from the first in one thing, the last in nothing. */
static void test_equal(void **state)
{
	(void)state;
	static const char *const others[][2] = {
		{"'podswitch.io/vni':'43'", ""},
		{"'podswitch.io/port':'8472'", ""},
		{"", "'ports':[{'port':7,'protocol':'UDP'}]"},
		{"'podswitch.io/network':'172.16.1'", ""},
		{"'podswitch.io/network':'172.16.0.0/25'", ""},
		{"'podswitch.io/mode':'static'", ""},
		{"'podswitch.io/mtu':'1400'", ""},
		{"'podswitch.io/underlay':'host'", ""},
		{"'podswitch.io/not-routed':'10.0.0.0/8'", ""},
		{"'podswitch.io/allow-namespaces':''", ""},
		{"", "'selector':{'a':'b'}"},
		{"", ""},
	};
	struct gateway_spec first, other;
	struct failure why;

	assert_int_equal(read_service("", "", &first, &why), 0);
	for (size_t i = 0; i < COUNT(others); i++) {
		struct gateway_spec again;
		assert_int_equal(read_service(others[i][0], others[i][1], &other, &why), 0);
		assert_int_equal(read_service(others[i][0], others[i][1], &again, &why), 0);
		assert_int_equal(spec_equal(&first, &other), i + 1 == COUNT(others));
		assert_int_equal(spec_equal(&other, &first), i + 1 == COUNT(others));
		assert_true(spec_equal(&other, &again));
		spec_free(&other);
		spec_free(&again);
	}
	assert_int_equal(read_service("'podswitch.io/not-routed':'10.0.0.0/8'", "'selector':{'a':'b'}", &other, &why),
			 0);
	spec_free(&first);
	assert_int_equal(read_service("'podswitch.io/not-routed':'11.0.0.0/8'", "'selector':{'a':'b'}", &first, &why),
			 0);
	assert_false(spec_equal(&first, &other));
	spec_free(&first);
	assert_int_equal(read_service("'podswitch.io/not-routed':'10.0.0.0/8'", "'selector':{'a':'c'}", &first, &why),
			 0);
	assert_false(spec_equal(&first, &other));
	spec_free(&first);
	spec_free(&other);
	spec_free(&other);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_accepted),
		cmocka_unit_test(test_probes),
		cmocka_unit_test(test_ports_are_guessed),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_networks_at_most),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_allow),
		cmocka_unit_test(test_selects),
		cmocka_unit_test(test_equal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
