/* SPDX-License-Identifier: Apache-2.0 */
/* test_methods.c - every method with what is right and what is wrong, over a switch without packets */
#include "control/daemon/methods.c"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "tests/unit/quotes.h"
#undef fail /* cmocka has a macro of the name of our function */

#include "tests/unit/fake_switch.h"
#include "tests/unit/shell.h"

struct fixture {
	struct config config;
	struct methods methods;
	char directory[64];
};

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct failure why = {0};

	f->config = (struct config)CONFIG_DEFAULT;
	f->methods.config = &f->config;
	strcpy(f->directory, "/dev/shm/podswitch-methods-XXXXXX");
	assert_non_null(mkdtemp(f->directory));
	assert_int_equal(switch_open(&f->config.options, &f->methods.vs, &why), 0);
	assert_int_equal(state_open(f->directory, &f->methods.state, &why), 0);
	log_set_level(LOG_ERROR);
	fake_refuse = 0;
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	switch_close(f->methods.vs);
	state_close(f->methods.state);
	assert_int_equal(shell_status(f->directory, "rm -rf \"$D\""), 0);
	free(f);
	return 0;
}

/* As after a stop and a start. */
static unsigned restart(struct fixture *f)
{
	struct failure why = {0};

	switch_close(f->methods.vs);
	state_close(f->methods.state);
	f->methods.kept_entries = 0;
	assert_int_equal(switch_open(&f->config.options, &f->methods.vs, &why), 0);
	assert_int_equal(state_open(f->directory, &f->methods.state, &why), 0);
	return methods_restore(&f->methods);
}

/* The code; a result goes to *result, if wanted. Single quotes in `params` stand for double ones. */
static int call_for(struct fixture *f, const char *name, const char *params, json_t **result, struct failure *why)
{
	json_t *object = NULL, *mine = NULL;

	if (params) {
		char *text = strdup(params);
		swap_quotes(text, '\'', '"');
		object = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
		free(text);
		assert_non_null(object);
	}
	*why = (struct failure){0};
	int code = methods_call(&f->methods, NULL, name, object, &mine, why);
	json_decref(object);
	if (code) {
		assert_null(mine);
		assert_true(why->text[0]);
	} else {
		assert_non_null(mine);
	}
	if (result)
		*result = mine;
	else
		json_decref(mine);
	return code;
}

static void ok(struct fixture *f, const char *name, const char *params)
{
	struct failure why;

	int code = call_for(f, name, params, NULL, &why);
	if (code)
		print_error("%s %s: %s\n", name, params, why.text);
	assert_int_equal(code, 0);
}

static void refused(struct fixture *f, const char *name, const char *params, int code, const char *key,
		    const char *text)
{
	struct failure why;

	int got = call_for(f, name, params, NULL, &why);
	if (got != code || strcmp(why.key, key) != 0 || !strstr(why.text, text))
		print_error("%s %s: %d [%s] %s\n", name, params, got, why.key, why.text);
	assert_int_equal(got, code);
	assert_string_equal(why.key, key);
	assert_non_null(strstr(why.text, text));
}

static json_t *result_of(struct fixture *f, const char *name, const char *params)
{
	struct failure why;
	json_t *result;

	assert_int_equal(call_for(f, name, params, &result, &why), 0);
	return result;
}

/* The result's part at `path` ("0.remotes.1.port"), as JSON with single quotes. */
static void expect(struct fixture *f, const char *name, const char *params, const char *path, const char *expected)
{
	char steps[128];
	json_t *result = result_of(f, name, params), *part = result;

	snprintf(steps, sizeof(steps), "%s", path);
	for (char *step = strtok(steps, "."); step; step = strtok(NULL, "."))
		part = json_is_array(part) ? json_array_get(part, strtoul(step, NULL, 10))
					   : json_object_get(part, step);
	char *text = part ? json_dumps(part, JSON_COMPACT | JSON_ENCODE_ANY | JSON_SORT_KEYS) : strdup("absent");
	swap_quotes(text, '"', '\'');
	assert_string_equal(text, expected);
	free(text);
	json_decref(result);
}

static bool kept(const struct fixture *f, const char *file)
{
	char path[320];

	snprintf(path, sizeof(path), "%s/%s", f->directory, file);
	return !access(path, F_OK);
}

/* ---- gateways ---- */

static void test_gateway(void **state)
{
	struct fixture *f = *state;
	const char *full = "{'name':'a','vni':42,'remote':['10.1.0.1','[fd00::9]:4790'],'port':4800,'underlay':'pod',"
			   "'mtu':1400,'learning':'off','isolate':false,'allow':['10.0.0.0/8','fd00::1']}";

	expect(f, "gateway.list", NULL, "", "[]");
	ok(f, "gateway.add", full);
	expect(f, "gateway.list", "{}", "0.config",
	       "{'allow':['10.0.0.0/8','fd00::1/"
	       "128'],'clamp_mss':true,'isolate':false,'learning':false,'mtu':1400,'name':'a','port':4800,"
	       "'remote':['10.1.0.1','[fd00::9]:4790'],'underlay':'pod','vni':42}");
	expect(f, "gateway.list", NULL, "0.remotes",
	       "[{'address':'10.1.0.1','egress':'sockets','port':4800,'state':'configured'},"
	       "{'address':'fd00::9','egress':'sockets','port':4790,'state':'configured'}]");
	expect(f, "gateway.list", NULL, "0.vni", "42");
	expect(f, "gateway.show", "{'name':'a'}", "underlay", "'pod'");
	expect(f, "gateway.show", "{'name':'a'}", "mtu", "1400");
	expect(f, "gateway.show", "{'name':'a'}", "ports", "0");

	ok(f, "gateway.add", full); /* the same again */
	refused(f, "gateway.add", "{'name':'a','vni':42}", JSONRPC_EXISTS, "name", "other settings");

	/* Only what is given changes. */
	ok(f, "gateway.set", "{'name':'a','remote':'10.1.0.2','learning':true}");
	expect(f, "gateway.show", "{'name':'a'}", "config",
	       "{'allow':['10.0.0.0/8','fd00::1/"
	       "128'],'clamp_mss':true,'isolate':false,'learning':true,'mtu':1400,'name':'a','port':4800,"
	       "'remote':['10.1.0.2'],'underlay':'pod','vni':42}");
	ok(f, "gateway.set", "{'name':'a','remote':'none','allow':[],'mtu':0,'underlay':'auto','isolate':'on'}");
	expect(f, "gateway.show", "{'name':'a'}", "config",
	       "{'allow':[],'clamp_mss':true,'isolate':true,'learning':true,'mtu':0,'name':'a','port':4800,'remote':[],"
	       "'underlay':'auto','vni':42}");
	expect(f, "gateway.set", "{'name':'a'}", "name", "'a'");
	expect(f, "gateway.remove", "{'name':'a'}", "", "{'name':'a'}");
	refused(f, "gateway.remove", "{'name':'a'}", JSONRPC_NOT_FOUND, "name", "no gateway 'a'");
	refused(f, "gateway.show", "{'name':'a'}", JSONRPC_NOT_FOUND, "name", "no gateway 'a'");
	refused(f, "gateway.set", "{'name':'a'}", JSONRPC_NOT_FOUND, "name", "no gateway 'a'");
}

static void test_gateway_defaults(void **state)
{
	struct fixture *f = *state;

	ok(f, "gateway.add", "{'name':'a','vni':0}");
	expect(f, "gateway.show", "{'name':'a'}", "config",
	       "{'allow':[],'clamp_mss':true,'isolate':true,'learning':true,'mtu':0,'name':'a','port':4789,'remote':[],"
	       "'underlay':'auto','vni':0}");
	ok(f, "gateway.add", "{'name':'b','vni':16777215,'port':65535,'mtu':65000,'remote':'10.0.0.1:1'}");
}

static void test_gateway_refused(void **state)
{
	static const struct {
		const char *params, *key, *text;
	} cases[] = {
		{NULL, "name", "missing"},
		{"{}", "name", "missing"},
		{"{'name':'a'}", "vni", "missing"},
		{"{'name':'','vni':1}", "name", "not a name"},
		{"{'name':'../x','vni':1}", "name", "not a name"},
		{"{'name':'a/b','vni':1}", "name", "not a name"},
		{"{'name':7,'vni':1}", "name", "must be a string"},
		{"{'name':'a','vni':1,'Remote':'10.0.0.1'}", "Remote", "no such key"},
		{"{'name':'a','vni':1,'force':true}", "force", "no such key"},
		{"{'name':'a','vni':1,'':1}", "", "no such key"},
		{"{'name':'a','vni':'1'}", "vni", "whole number"},
		{"{'name':'a','vni':1.0}", "vni", "whole number"},
		{"{'name':'a','vni':true}", "vni", "whole number"},
		{"{'name':'a','vni':null}", "vni", "whole number"},
		{"{'name':'a','vni':-1}", "vni", "give 0 to 16777215"},
		{"{'name':'a','vni':16777216}", "vni", "give 0 to 16777215"},
		{"{'name':'a','vni':4294967297}", "vni", "give 0 to 16777215"},
		{"{'name':'a','vni':1,'port':0}", "port", "give 1 to 65535"},
		{"{'name':'a','vni':1,'port':65536}", "port", "give 1 to 65535"},
		{"{'name':'a','vni':1,'mtu':575}", "mtu", "give 576 to 65000"},
		{"{'name':'a','vni':1,'mtu':65001}", "mtu", "out of range"},
		{"{'name':'a','vni':1,'underlay':'both'}", "underlay", "auto, host, pod"},
		{"{'name':'a','vni':1,'underlay':1}", "underlay", "auto, host, pod"},
		{"{'name':'a','vni':1,'learning':'yes'}", "learning", "on or off"},
		{"{'name':'a','vni':1,'isolate':1}", "isolate", "on or off"},
		{"{'name':'a','vni':1,'remote':'foo'}", "remote", "'foo' is not an IP address; give ADDRESS,"},
		{"{'name':'a','vni':1,'remote':''}", "remote", "not an IP address"},
		{"{'name':'a','vni':1,'remote':'10.0.0.1:0'}", "remote", "not an IP address"},
		{"{'name':'a','vni':1,'remote':'10.0.0.1:65536'}", "remote", "not an IP address"},
		{"{'name':'a','vni':1,'remote':' 10.0.0.1'}", "remote", "not an IP address"},
		{"{'name':'a','vni':1,'remote':'224.0.0.1'}", "remote", "unicast"},
		{"{'name':'a','vni':1,'remote':'255.255.255.255'}", "remote", "unicast"},
		{"{'name':'a','vni':1,'remote':'0.0.0.0'}", "remote", "unicast"},
		{"{'name':'a','vni':1,'remote':'::'}", "remote", "unicast"},
		{"{'name':'a','vni':1,'remote':'ff02::1'}", "remote", "unicast"},
		{"{'name':'a','vni':1,'remote':['10.0.0.1','10.0.0.1']}", "remote", "twice"},
		{"{'name':'a','vni':1,'remote':[1]}", "remote", "every element"},
		{"{'name':'a','vni':1,'remote':[['10.0.0.1']]}", "remote", "every element"},
		{"{'name':'a','vni':1,'remote':{}}", "remote", "array of strings"},
		{"{'name':'a','vni':1,'allow':'10.0.0.0/33'}", "allow", "not a prefix"},
		{"{'name':'a','vni':1,'allow':7}", "allow", "array of strings"},
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		refused(f, "gateway.add", cases[i].params, JSONRPC_INVALID_PARAMS, cases[i].key, cases[i].text);
	expect(f, "gateway.list", NULL, "", "[]");

	/* A refused change changes nothing, not even what came before the wrong key. */
	ok(f, "gateway.add", "{'name':'a','vni':1,'remote':'10.0.0.1'}");
	for (size_t i = 5; i < sizeof(cases) / sizeof(cases[0]); i++) {
		if (strcmp(cases[i].key, "name") != 0)
			refused(f, "gateway.set", cases[i].params, JSONRPC_INVALID_PARAMS, cases[i].key, cases[i].text);
	}
	expect(f, "gateway.show", "{'name':'a'}", "config.remote", "['10.0.0.1']");
	refused(f, "gateway.set", "{'vni':1}", JSONRPC_INVALID_PARAMS, "name", "missing");
	refused(f, "gateway.list", "{'name':'a'}", JSONRPC_INVALID_PARAMS, "name", "no such key");
	refused(f, "gateway.show", "{'name':'a','x':1}", JSONRPC_INVALID_PARAMS, "x", "no such key");
	refused(f, "gateway.remove", "{'name':'a','force':'maybe'}", JSONRPC_INVALID_PARAMS, "force", "on or off");
}

static void list_of(char *out, const char *head, const char *format, int count)
{
	out += sprintf(out, "%s[", head);
	for (int i = 0; i < count; i++)
		out += sprintf(out, "%s'%s%d'", i ? "," : "", format, i + 1);
	sprintf(out, "]}");
}

static void test_too_many(void **state)
{
	struct fixture *f = *state;
	char params[4096];

	list_of(params, "{'name':'a','vni':1,'remote':", "10.0.0.", GATEWAY_MAX_REMOTES);
	ok(f, "gateway.add", params);
	list_of(params, "{'name':'b','vni':1,'remote':", "10.0.0.", GATEWAY_MAX_REMOTES + 1);
	refused(f, "gateway.add", params, JSONRPC_INVALID_PARAMS, "remote", "65 are too many; give at most 64");
	list_of(params, "{'name':'b','vni':1,'allow':", "10.0.0.", GATEWAY_MAX_ALLOW + 1);
	refused(f, "gateway.add", params, JSONRPC_INVALID_PARAMS, "allow", "give at most 32");
	list_of(params, "{'name':'p','gateway':'a','netns':'n','address':", "10.0.0.", LINK_MAX_ADDRESSES + 1);
	refused(f, "port.add", params, JSONRPC_INVALID_PARAMS, "address", "give at most 8");
	list_of(params, "{'name':'p','gateway':'a','netns':'n','route':", "10.0.0.", LINK_MAX_ROUTES + 1);
	refused(f, "port.add", params, JSONRPC_INVALID_PARAMS, "route", "give at most 64");
}

/* ---- ports ---- */

static void test_port(void **state)
{
	struct fixture *f = *state;
	const char *full = "{'name':'p','gateway':'a','netns':77,'ifname':'tap0','mac':'02:00:00:00:AA:01',"
			   "'address':['172.16.0.10/24','fd01::2/64'],'default_via':'172.16.0.1','dhcp':false,"
			   "'route':['10.0.0.0/8,172.16.0.1','fd02::/16'],'mtu':1300}";

	ok(f, "gateway.add", "{'name':'a','vni':1}");
	ok(f, "gateway.add", "{'name':'b','vni':1}");
	refused(f, "port.add", "{'name':'p','gateway':'c','netns':'n'}", JSONRPC_NOT_FOUND, "gateway",
		"no gateway 'c'");
	ok(f, "port.add", full);
	ok(f, "port.add", full);
	expect(f, "port.list", NULL, "0.config",
	       "{'address':['172.16.0.10/24','fd01::2/64'],'default_via':'172.16.0.1','gateway':'a','ifname':'tap0',"
	       "'mac':'02:00:00:00:aa:01','mtu':1300,'name':'p','netns':'77',"
	       "'route':['10.0.0.0/8,172.16.0.1','fd02::/16']}");
	expect(f, "port.list", NULL, "0.addresses", "['172.16.0.10/24','fd01::2/64']");
	expect(f, "port.show", "{'name':'p'}", "mac", "'02:00:00:00:aa:01'");
	expect(f, "port.show", "{'name':'p'}", "state", "'up'");
	expect(f, "port.show", "{'name':'p'}", "counters.rx_frames", "5000000000");
	expect(f, "port.show", "{'name':'p'}", "counters.drops.bad_vnet", "9");
	expect(f, "port.show", "{'name':'p'}", "counters.drops.runt", "0");
	assert_string_equal(fake_counted, "p"); /* a visit to one pod, not to all of the node */
	ok(f, "port.list", NULL);
	assert_string_equal(fake_counted, "");
	expect(f, "gateway.show", "{'name':'a'}", "ports", "1");

	ok(f, "port.set", "{'name':'p','gateway':'b'}");
	expect(f, "port.show", "{'name':'p'}", "gateway", "'b'");
	expect(f, "port.show", "{'name':'p'}", "config.mtu", "1300");
	ok(f, "port.set", "{'name':'p','mtu':0,'mac':'auto','default_via':'none','address':'none','route':[]}");
	expect(f, "port.show", "{'name':'p'}", "config",
	       "{'address':[],'gateway':'b','ifname':'tap0','name':'p','netns':'77','route':[]}");
	expect(f, "port.show", "{'name':'p'}", "mtu", "1450");
	refused(f, "port.set", "{'name':'p','netns':'other'}", JSONRPC_INVALID_PARAMS, "netns", "cannot be changed");
	refused(f, "port.add", full, JSONRPC_EXISTS, "name", "other settings");
	refused(f, "gateway.remove", "{'name':'b'}", JSONRPC_IN_USE, "name", "--force");
	ok(f, "gateway.remove", "{'name':'b','force':true}");
	expect(f, "port.show", "{'name':'p'}", "state", "'detached'");
	expect(f, "port.remove", "{'name':'p'}", "", "{'name':'p'}");
	refused(f, "port.remove", "{'name':'p'}", JSONRPC_NOT_FOUND, "name", "no port 'p'");
	refused(f, "port.show", "{'name':'p'}", JSONRPC_NOT_FOUND, "name", "no port 'p'");
	refused(f, "port.set", "{'name':'p'}", JSONRPC_NOT_FOUND, "name", "no port 'p'");
}

static void test_port_refused(void **state)
{
	static const struct {
		const char *param, *key, *text;
	} cases[] = {
		{"'netns':''", "netns", "1 to 255"},
		{"'netns':0", "netns", "give 1 to"},
		{"'netns':-5", "netns", "give 1 to"},
		{"'netns':true", "netns", "process id"},
		{"'netns':'n','ifname':''", "ifname", "not an interface name"},
		{"'netns':'n','ifname':'sixteen-letters-'", "ifname", "1 to 15"},
		{"'netns':'n','ifname':'a/b'", "ifname", "not an interface name"},
		{"'netns':'n','ifname':'a b'", "ifname", "not an interface name"},
		{"'netns':'n','ifname':'a:0'", "ifname", "not an interface name"},
		{"'netns':'n','ifname':'tap%d'", "ifname", "not an interface name"},
		{"'netns':'n','ifname':'..'", "ifname", "not an interface name"},
		{"'netns':'n','ifname':3", "ifname", "must be a string"},
		{"'netns':'n','mac':'2:0:0:0:0:1'", "mac", "not a MAC address"},
		{"'netns':'n','mac':'01:00:00:00:00:01'", "mac", "group address"},
		{"'netns':'n','mac':'00:00:00:00:00:00'", "mac", "zero"},
		{"'netns':'n','mac':17", "mac", "must be a string"},
		{"'netns':'n','address':'172.16.0.300/24'", "address", "not an address"},
		{"'netns':'n','address':'172.16.0.1/33'", "address", "not an address"},
		{"'netns':'n','address':'172.16.0.1'", "address", "ADDRESS/LENGTH"},
		{"'netns':'n','address':'224.0.0.1/24'", "address", "unicast"},
		{"'netns':'n','address':['10.0.0.1/24','10.0.0.1/24']", "address", "twice"},
		{"'netns':'n','default_via':'gw'", "default_via", "not an IP address"},
		{"'netns':'n','default_via':['10.0.0.1']", "default_via", "must be a string"},
		{"'netns':'n','route':'10.0.0.0/8,'", "route", "not an IP address"},
		{"'netns':'n','route':',10.0.0.1'", "route", "not a route"},
		{"'netns':'n','route':'10.0.0.0/8,fd00::1'", "route", "mixes"},
		{"'netns':'n','route':'10.0.0.0/8,10.0.0.1,10.0.0.2'", "route", "not an IP address"},
		{"'netns':'n','dhcp':1", "dhcp", "dhcp: "},
		{"'netns':'n','hostname':'a_b'", "hostname", "not a host name"},
		{"'netns':'n','probe':251", "probe", "probe: "},
		{"'netns':'n','exclusive':'yes'", "exclusive", "exclusive: "},
		{"'netns':'n','exclusive':true,'keep':'0.0.0.0/0'", "keep", "not a network"},
		{"'netns':'n','exclusive':true,'keep':'10.0.0.0'", "keep", "ADDRESS/LENGTH"},
		{"'netns':'n','exclusive':true,'keep':['0.0.0.0/1','128.0.0.0/1']", "keep",
		 "keep: '128.0.0.0/1' is too much"},
		{"'netns':'n','exclusive':true,'keep':['0.0.0.0/2','64.0.0.0/2','128.0.0.0/2','192.0.0.0/2']", "keep",
		 "more than half of IPv4"},
		{"'netns':'n','exclusive':true,'keep':['::/1','8000::/1']", "keep", "or than four /12 of IPv6"},
		{"'netns':'n','mtu':100", "mtu", "give 576 to 65000, or 0"},
		{"'netns':'n','default-via':'10.0.0.1'", "default-via", "no such key"},
		{"'ifname':'vx1'", "netns", "missing"},
	};
	struct fixture *f = *state;
	char params[256];

	ok(f, "gateway.add", "{'name':'a','vni':1}");
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		snprintf(params, sizeof(params), "{'name':'p','gateway':'a',%s}", cases[i].param);
		refused(f, "port.add", params, JSONRPC_INVALID_PARAMS, cases[i].key, cases[i].text);
	}
	refused(f, "port.add", "{'name':'p','netns':'n'}", JSONRPC_INVALID_PARAMS, "gateway", "missing");
	refused(f, "port.add", "{'name':'p','gateway':'a','netns':'missing'}", JSONRPC_REFUSED, "netns", "missing");
	fake_refuse = -EEXIST; /* the kernel's: the interface is taken, our object is new */
	refused(f, "port.add", "{'name':'p','gateway':'a','netns':'n'}", JSONRPC_REFUSED, "ifname", "");
	fake_refuse = -EPERM;
	refused(f, "port.add", "{'name':'p','gateway':'a','netns':'n'}", JSONRPC_REFUSED, "ifname", "");
	expect(f, "port.list", NULL, "", "[]");
	assert_false(kept(f, "ports/p.json"));
}

/* ---- the table ---- */

static void test_fdb(void **state)
{
	struct fixture *f = *state;

	ok(f, "gateway.add", "{'name':'a','vni':5}");
	ok(f, "gateway.add", "{'name':'b','vni':6}");
	ok(f, "port.add", "{'name':'p','gateway':'a','netns':'n'}");
	ok(f, "fdb.add", "{'gateway':'a','mac':'02:00:00:00:00:AA','remote':'[fd00::1]:99'}");
	ok(f, "fdb.add", "{'gateway':'a','mac':'02:00:00:00:00:AA','remote':'[fd00::1]:99'}");
	ok(f, "fdb.add", "{'gateway':'a','mac':'02:00:00:00:00:bb','port':'p'}");
	ok(f, "fdb.add", "{'gateway':'b','mac':'02:00:00:00:00:aa','remote':'10.0.0.1'}");
	expect(f, "fdb.list", "{'gateway':'a'}", "",
	       "[{'age':0,'gateway':'a','kind':'static','mac':'02:00:00:00:00:aa','remote':'[fd00::1]:99','vni':5},"
	       "{'age':0,'gateway':'a','kind':'static','mac':'02:00:00:00:00:bb','port':'p','vni':5}]");
	expect(f, "fdb.list", NULL, "2.vni", "6");
	refused(f, "fdb.add", "{'gateway':'a','mac':'02:00:00:00:00:aa','port':'p'}", JSONRPC_EXISTS, "mac", "");
	refused(f, "fdb.add", "{'gateway':'a','mac':'02:00:00:00:00:cc','port':'q'}", JSONRPC_NOT_FOUND, "port", "'q'");
	refused(f, "fdb.add", "{'gateway':'a','mac':'02:00:00:00:00:cc'}", JSONRPC_INVALID_PARAMS, "port", "either");
	refused(f, "fdb.add", "{'gateway':'a','mac':'02:00:00:00:00:cc','port':'p','remote':'10.0.0.1'}",
		JSONRPC_INVALID_PARAMS, "remote", "either");
	refused(f, "fdb.add", "{'gateway':'a','mac':'02:00:00:00:00:cc','remote':['10.0.0.1']}", JSONRPC_INVALID_PARAMS,
		"remote", "must be a string");
	refused(f, "fdb.add", "{'gateway':'a','port':'p'}", JSONRPC_INVALID_PARAMS, "mac", "missing");
	refused(f, "fdb.list", "{'gateway':'c'}", JSONRPC_NOT_FOUND, "gateway", "'c'");
	refused(f, "fdb.list", "{'mac':'02:00:00:00:00:aa'}", JSONRPC_INVALID_PARAMS, "mac", "no such key");
	refused(f, "fdb.flush", "{'gateway':'c'}", JSONRPC_NOT_FOUND, "gateway", "'c'");
	expect(f, "fdb.flush", NULL, "", "{'flushed':3}");
	assert_true(kept(f, "fdb/a,02:00:00:00:00:aa.json"));
	ok(f, "fdb.remove", "{'gateway':'a','mac':'02:00:00:00:00:aa'}");
	assert_false(kept(f, "fdb/a,02:00:00:00:00:aa.json"));
	refused(f, "fdb.remove", "{'gateway':'a','mac':'02:00:00:00:00:aa'}", JSONRPC_NOT_FOUND, "mac", "");

	/* What goes with its port or gateway does not come back. */
	assert_true(kept(f, "fdb/a,02:00:00:00:00:bb.json"));
	ok(f, "port.remove", "{'name':'p'}");
	assert_false(kept(f, "fdb/a,02:00:00:00:00:bb.json"));
	assert_true(kept(f, "fdb/b,02:00:00:00:00:aa.json"));
	ok(f, "gateway.remove", "{'name':'b'}");
	assert_false(kept(f, "fdb/b,02:00:00:00:00:aa.json"));
}

/* ---- reports ---- */

static void test_reports(void **state)
{
	struct fixture *f = *state;
	char pid[16];

	ok(f, "gateway.add", "{'name':'a','vni':5}");
	expect(f, "stats.get", NULL, "uptime", "1.5");
	expect(f, "stats.get", NULL, "workers", "[{'events':0,'rounds':0,'starved':0}]");
	expect(f, "stats.get", NULL, "gateways.a.encap_frames", "1099511627776");
	expect(f, "stats.get", NULL, "gateways.a.drops.runt", "7");
	expect(f, "stats.get", NULL, "drops.ecn", "0");
	expect(f, "metrics.get", NULL, "gateways.0.drops", "{'runt':7}");
	expect(f, "metrics.get", NULL, "gateways.0.answers.n", "3");
	expect(f, "metrics.get", NULL, "drops.ecn", "0");
	snprintf(pid, sizeof(pid), "%d", (int)getpid());
	expect(f, "status.get", NULL, "pid", pid);
	expect(f, "status.get", NULL, "version", "'" PODSWITCH_VERSION "'");
	expect(f, "status.get", NULL, "refused",
	       "[{'seconds':60,'what':'trains','where':'port web','why':'Input/output error'}]");
	expect(f, "status.get", NULL, "features", "{'read_multishot':true,'send_zc':false}");
	expect(f, "status.get", NULL, "io", "{'backend':'epoll','why':'io_uring is forbidden'}");
	expect(f, "status.get", NULL, "socket", "'/run/podswitch/control.sock'");
	expect(f, "status.get", NULL, "state_dir", "'/run/podswitch/state'");
	expect(f, "status.get", NULL, "reserved", "'drop'");
	expect(f, "status.get", NULL, "ageing", "300");
	expect(f, "status.get", NULL, "vtep", "[]");
	expect(f, "status.get", NULL, "workers", "1");
	expect(f, "status.get", NULL, "instance", "''");
	refused(f, "status.get", "{'instance':''}", JSONRPC_INVALID_PARAMS, "instance", "1 to 127");
	refused(f, "status.get", "{'instance':'new'}", JSONRPC_REFUSED, "instance", "that answers is '', not 'new'");
	snprintf(f->config.instance, sizeof(f->config.instance), "new");
	expect(f, "status.get", "{'instance':'new'}", "instance", "'new'");
	refused(f, "status.get", "{'instance':'old'}", JSONRPC_REFUSED, "instance", "is 'new', not 'old'");
	struct standby standby = {.connection = 99, .instance = "next"};
	f->methods.standby = &standby;
	expect(f, "status.get", "{'instance':'next'}", "standby", "'next'");
	expect(f, "status.get", "{'instance':'new'}", "instance", "'new'");
	refused(f, "status.get", "{'instance':'old'}", JSONRPC_REFUSED, "instance", "is 'new', not 'old'");
	refused(f, STANDBY_METHOD, "{'instance':'more'}", JSONRPC_REFUSED, "", "has nobody wait");
	refused(f, STANDBY_METHOD, "{'more':1}", JSONRPC_INVALID_PARAMS, "more", "");
	f->methods.standby = NULL;
	refused(f, "status.get", "{'instances':'new'}", JSONRPC_INVALID_PARAMS, "instances", "");
	expect(f, "version.get", NULL, "", "{'version':'" PODSWITCH_VERSION "'}");
	static const char *const plain[] = {"stats.get",   "metrics.get",   "status.get",
					    "version.get", "monitor.start", "port.list"};
	for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]); i++)
		refused(f, plain[i], "{'verbose':true}", JSONRPC_INVALID_PARAMS, "verbose", "no such key");
	refused(f, "gateway.", NULL, JSONRPC_UNKNOWN_METHOD, "", "'gateway.'");
	refused(f, "Gateway.add", NULL, JSONRPC_UNKNOWN_METHOD, "", "'Gateway.add'");
}

/* What a client gets for `request`, or for nothing (NULL); "" as long as it has no answer. */
static void answered(const struct fixture *f, int client, const char *request, const char *wanted)
{
	char got[2048];

	if (request)
		assert_int_equal(write(client, request, strlen(request)), strlen(request));
	rpc_serve(f->methods.rpc);
	ssize_t length = read(client, got, sizeof(got) - 1);
	got[length > 0 ? length : 0] = '\0';
	if (*wanted ? !strstr(got, wanted) : *got)
		assert_string_equal(got, wanted);
}

#define REMOVE "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"port.remove\",\"params\":{\"name\":\"p\"}}\n"
#define ADD                                                                                                            \
	"{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"port.add\",\"params\":{\"name\":\"p\",\"gateway\":\"a\","          \
	"\"netns\":\"pod\"}}"                                                                                          \
	"\n"

/* One who removes a port, and one who adds it again meanwhile, are answered when the TAP is gone; others at once. */
static void test_tap_on_its_way(void **state)
{
	struct fixture *f = *state;
	struct failure why = {0};
	char path[96];
	int pairs[3][2];

	snprintf(path, sizeof(path), "%s/control.sock", f->directory);
	assert_int_equal(rpc_open(path, methods_call, &f->methods, &f->methods.rpc, &why), 0);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pairs[i]), 0);
		assert_int_equal(rpc_adopt(f->methods.rpc, pairs[i][0]), 0);
	}
	ok(f, "gateway.add", "{'name': 'a', 'vni': 1}");
	ok(f, "port.add", "{'name': 'p', 'gateway': 'a', 'netns': 'pod'}");
	f->methods.vs->ending = 5;
	answered(f, pairs[0][1], REMOVE, "");
	answered(f, pairs[1][1], ADD, "");
	answered(f, pairs[2][1], REMOVE, "there is no port 'p'");
	assert_int_equal(restart(f), 1); /* only the gateway is kept: the port does not come back */
	f->methods.vs->ending = 0;
	rpc_resume(f->methods.rpc, 4);
	answered(f, pairs[0][1], NULL, "");
	rpc_resume(f->methods.rpc, 5);
	answered(f, pairs[0][1], NULL, "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"name\":\"p\"}}\n");
	answered(f, pairs[1][1], NULL, "\"id\":2,\"result\":");
	answered(f, pairs[2][1], REMOVE, "\"result\":{\"name\":\"p\"}}\n");
	for (int i = 0; i < 3; i++)
		close(pairs[i][1]);
	rpc_close(f->methods.rpc);
	f->methods.rpc = NULL;
}

/* Events reach a client through the real server, before the answer to the call that causes them is due elsewhere. */
static void test_events(void **state)
{
	struct fixture *f = *state;
	struct failure why = {0};
	char path[96], got[2048];
	int pair[2];
	static const char requests[] =
		"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"monitor.start\"}\n"
		"{\"jsonrpc\":\"2.0\",\"method\":\"gateway.add\",\"params\":{\"name\":\"a\",\"vni\":1}}\n";

	snprintf(path, sizeof(path), "%s/control.sock", f->directory);
	assert_int_equal(rpc_open(path, methods_call, &f->methods, &f->methods.rpc, &why), 0);
	switch_listen(f->methods.vs, methods_event, &f->methods);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
	assert_int_equal(rpc_adopt(f->methods.rpc, pair[0]), 0);
	assert_int_equal(write(pair[1], requests, sizeof(requests) - 1), sizeof(requests) - 1);
	/* A turn serves at least one of them; on a slow machine it ends before the other. */
	rpc_serve(f->methods.rpc);
	rpc_serve(f->methods.rpc);
	const struct mac mac = {{2, 0, 0, 0, 0, 1}};
	methods_event(&f->methods, "fdb.learned", "a", &mac);
	rpc_serve(f->methods.rpc);
	ssize_t length = read(pair[1], got, sizeof(got) - 1);
	assert_true(length > 0);
	got[length] = '\0';
	char *second = strchr(got, '\n') + 1, *third = strchr(second, '\n') + 1;
	assert_memory_equal(got, "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"monitoring\":true}}\n", second - got);
	json_t *event = json_loads(second, JSON_DISABLE_EOF_CHECK, NULL);
	json_t *params = json_object_get(event, "params");
	assert_string_equal(json_string_value(json_object_get(event, "method")), "monitor.event");
	assert_string_equal(json_string_value(json_object_get(params, "event")), "gateway.added");
	assert_string_equal(json_string_value(json_object_get(params, "name")), "a");
	assert_null(json_object_get(params, "mac"));
	assert_true(json_number_value(json_object_get(params, "time")) > 1e9);
	json_decref(event);
	event = json_loads(third, JSON_DISABLE_EOF_CHECK, NULL);
	params = json_object_get(event, "params");
	assert_string_equal(json_string_value(json_object_get(params, "mac")), "02:00:00:00:00:01");
	json_decref(event);
	close(pair[1]);
	rpc_close(f->methods.rpc);
	f->methods.rpc = NULL;
}

/* ---- the state directory ---- */

static void test_restart(void **state)
{
	struct fixture *f = *state;

	ok(f, "gateway.add", "{'name':'b','vni':2,'remote':['10.0.0.1','[fd00::1]:99'],'learning':false,'mtu':1400}");
	ok(f, "gateway.add", "{'name':'a','vni':1}");
	ok(f, "gateway.add", "{'name':'gone','vni':1}");
	ok(f, "port.add", "{'name':'p','gateway':'b','netns':'n','address':'10.9.0.1/24','default_via':'10.9.0.2'}");
	ok(f, "port.set", "{'name':'p','mtu':1200,'route':'10.7.0.0/16,10.9.0.2','mac':'02:00:00:00:00:99'}");
	ok(f, "fdb.add", "{'gateway':'b','mac':'02:00:00:00:00:01','remote':'10.0.0.1'}");
	ok(f, "fdb.add", "{'gateway':'b','mac':'02:00:00:00:00:02','port':'p'}");
	ok(f, "gateway.remove", "{'name':'gone'}");
	json_t *ports = result_of(f, "port.list", NULL), *entries = result_of(f, "fdb.list", NULL);
	json_t *gateway = result_of(f, "gateway.show", "{'name':'b'}");

	assert_int_equal(restart(f), 5);
	json_t *now = result_of(f, "port.list", NULL);
	assert_true(json_equal(ports, now));
	json_decref(now);
	now = result_of(f, "fdb.list", NULL);
	assert_true(json_equal(entries, now));
	json_decref(now);
	now = result_of(f, "gateway.show", "{'name':'b'}");
	assert_true(json_equal(gateway, now));
	json_decref(now);
	json_decref(ports);
	json_decref(entries);
	json_decref(gateway);
	expect(f, "gateway.list", NULL, "0.name", "'a'");
	assert_true(f->methods.vs->ports[0].adopted);
	ok(f, "port.remove", "{'name':'p'}");
	assert_false(kept(f, "fdb/b,02:00:00:00:00:02.json"));
	assert_int_equal(restart(f), 3);
}

static void test_restart_with_damage(void **state)
{
	struct fixture *f = *state;

	ok(f, "gateway.add", "{'name':'a','vni':1}");
	ok(f, "gateway.add", "{'name':'b','vni':1}");
	ok(f, "port.add", "{'name':'p','gateway':'a','netns':'n'}");
	assert_int_equal(
		shell_status(f->directory,
			     "cd $D/gateways && cp a.json other.json && cp a.json z.json && echo '{' >b.json && "
			     "echo '{\"name\":\"c\",\"vni\":-1}' >c.json && "
			     "echo '{\"name\":\"d\",\"vni\":1,\"new\":1}' >d.json && "
			     "mkdir ../fdb && echo '{\"gateway\":\"a\",\"mac\":1}' >../fdb/a,x.json"),
		0);
	assert_int_equal(restart(f), 3);
	static const char *const bad[] = {"gateways/other", "gateways/z", "gateways/b", "gateways/c", "fdb/a,x"};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		char file[64];
		snprintf(file, sizeof(file), "%s.json.bad", bad[i]);
		assert_true(kept(f, file));
	}
	expect(f, "port.show", "{'name':'p'}", "state", "'up'");
	/* What a newer version has written besides is passed over, and stays for it. */
	expect(f, "gateway.show", "{'name':'d'}", "vni", "1");
	assert_int_equal(shell_status(f->directory, "grep -q new $D/gateways/d.json"), 0);
}

/* Somebody else has the UDP port when podswitchd starts: the gateway is not lost, and its port and entry wait for it.
 */
static void test_restart_with_a_shortage(void **state)
{
	struct fixture *f = *state;

	ok(f, "gateway.add", "{'name':'a','vni':1,'remote':'10.0.0.1'}");
	ok(f, "port.add", "{'name':'p','gateway':'a','netns':'n'}");
	ok(f, "fdb.add", "{'gateway':'a','mac':'02:00:00:00:00:01','remote':'10.0.0.1'}");
	ok(f, "gateway.add", "{'name':'b','vni':1}");
	fake_refuse = -EADDRINUSE; /* once: the first one, a */
	restart(f);
	assert_true(kept(f, "gateways/a.json"));
	assert_true(kept(f, "fdb/a,02:00:00:00:00:01.json"));
	expect(f, "gateway.list", NULL, "0.name", "'b'");
	refused(f, "port.show", "{'name':'p'}", JSONRPC_NOT_FOUND, "name", "p");
	methods_retry(&f->methods);
	expect(f, "gateway.show", "{'name':'a'}", "vni", "1");
	expect(f, "port.show", "{'name':'p'}", "state", "'up'");
	expect(f, "fdb.list", NULL, "0.kind", "'static'");
	/* What waits can be removed. */
	fake_refuse = -EMFILE;
	restart(f);
	ok(f, "port.remove", "{'name':'p'}");
	ok(f, "fdb.remove", "{'gateway':'a','mac':'02:00:00:00:00:01'}");
	ok(f, "gateway.remove", "{'name':'a'}");
	assert_false(kept(f, "ports/p.json") || kept(f, "fdb/a,02:00:00:00:00:01.json"));
	assert_false(kept(f, "gateways/a.json"));
	refused(f, "gateway.remove", "{'name':'a'}", JSONRPC_NOT_FOUND, "name", "a");
	methods_retry(&f->methods);
	refused(f, "gateway.show", "{'name':'a'}", JSONRPC_NOT_FOUND, "name", "a");
}

static void test_detached_port_stays(void **state)
{
	struct fixture *f = *state;

	ok(f, "gateway.add", "{'name':'a','vni':1}");
	ok(f, "port.add", "{'name':'p','gateway':'a','netns':'n'}");
	ok(f, "gateway.remove", "{'name':'a','force':true}");
	assert_int_equal(restart(f), 1);
	expect(f, "port.show", "{'name':'p'}", "state", "'detached'");
}

static void test_state_not_written(void **state)
{
	struct fixture *f = *state;

	ok(f, "gateway.add", "{'name':'a','vni':1}");
	ok(f, "port.add", "{'name':'p','gateway':'a','netns':'n'}");
	ok(f, "fdb.add", "{'gateway':'a','mac':'02:00:00:00:00:02','port':'p'}");
	assert_int_equal(
		shell_status(f->directory, "cd $D && for d in gateways ports fdb; do mv $d $d.away; touch $d; done"),
		0);
	/* It is reported, and in force. */
	refused(f, "gateway.add", "{'name':'b','vni':1}", JSONRPC_NOT_KEPT, "state_dir", "a restart will not know it");
	expect(f, "gateway.show", "{'name':'b'}", "vni", "1");
	refused(f, "gateway.set", "{'name':'a','vni':7}", JSONRPC_NOT_KEPT, "state_dir", "will not know it");
	expect(f, "gateway.show", "{'name':'a'}", "vni", "7");
	refused(f, "port.set", "{'name':'p','mtu':1000}", JSONRPC_NOT_KEPT, "state_dir", "will not know it");
	refused(f, "fdb.remove", "{'gateway':'a','mac':'02:00:00:00:00:02'}", JSONRPC_NOT_KEPT, "state_dir", "back");
	refused(f, "port.remove", "{'name':'p'}", JSONRPC_NOT_KEPT, "state_dir", "bring it back");
	/* Once the cause is gone, saying it again repairs it. */
	assert_int_equal(
		shell_status(f->directory, "cd $D && for d in gateways ports fdb; do rm $d; mv $d.away $d; done"), 0);
	ok(f, "gateway.add", "{'name':'b','vni':1}");
	assert_true(kept(f, "gateways/b.json"));
	assert_int_equal(shell_status(f->directory, "rm -r $D"), 0);
	refused(f, "gateway.add", "{'name':'c','vni':1}", JSONRPC_NOT_KEPT, "state_dir", "will not know it");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_gateway),
		TEST(test_gateway_defaults),
		TEST(test_gateway_refused),
		TEST(test_too_many),
		TEST(test_port),
		TEST(test_port_refused),
		TEST(test_fdb),
		TEST(test_reports),
		TEST(test_tap_on_its_way),
		TEST(test_events),
		TEST(test_restart),
		TEST(test_restart_with_damage),
		TEST(test_restart_with_a_shortage),
		TEST(test_detached_port_stays),
		TEST(test_state_not_written),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
