/* SPDX-License-Identifier: Apache-2.0 */
/* test_cni_request.c - configurations on standard input, and results in the version that they ask for */
#include "control/cni/request.c"

#include "control/cni/result.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

/* ---- configurations ---- */

static void test_defaults(void **state)
{
	static const char *const texts[] = {
		"{\"cniVersion\":\"1.1.0\"}",
		"{\"cniVersion\":\"1.1.0\",\"socket\":\"/run/podswitch/"
		"control.sock\",\"ifname\":\"vx0\",\"timeout\":20,"
		"\"type\":\"podswitch-cni\",\"capabilities\":{},\"runtimeConfig\":[],\"ours-of-tomorrow\":1,"
		"\"prevResult\":null,\"cni.dev/valid-attachments\":null}",
	};
	struct request request;
	struct refusal why = {0};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(request_read(texts[i], strlen(texts[i]), &request, &why), 0);
		assert_int_equal(request.version, CNI_1_1_0);
		assert_string_equal(request.socket, "/run/podswitch/control.sock");
		assert_string_equal(request.agent_socket, "/run/podswitch/agent.sock");
		assert_string_equal(request.ifname, "vx0");
		assert_string_equal(request.gateway, "");
		assert_string_equal(request.network, "");
		assert_int_equal(request.timeout, 20);
		assert_null(request.previous);
		assert_null(request.valid);
		request_free(&request);
	}
}

static void test_values(void **state)
{
	static const char text[] =
		"{\"cniVersion\":\"0.3.1\",\"name\":\"net\",\"socket\":\"/a/"
		"b.sock\",\"ifname\":\"vx1\",\"timeout\":110,"
		"\"gateway\":\"vpn.media\",\"agent_socket\":\"/c\",\"prevResult\":{\"ips\":null,\"interfaces\":[]},"
		"\"cni.dev/valid-attachments\":[{}],\"cni.dev/attachments\":[]}";
	struct request request;
	struct refusal why = {0};

	(void)state;
	assert_int_equal(request_read(text, strlen(text), &request, &why), 0);
	assert_int_equal(request.version, CNI_0_3_1);
	assert_string_equal(request.network, "net");
	assert_string_equal(request.socket, "/a/b.sock");
	assert_string_equal(request.agent_socket, "/c");
	assert_string_equal(request.ifname, "vx1");
	assert_string_equal(request.gateway, "vpn.media");
	assert_int_equal(request.timeout, 110);
	assert_non_null(request.previous);
	assert_int_equal(json_array_size(request.valid), 1);
	request_free(&request);
}

/* What is wrong is named, and what is right beside it counts all the same. */
static void test_refused(void **state)
{
	static const struct {
		const char *keys;
		int code;
		const char *piece;
	} cases[] = {
		{"\"cniVersion\":\"1.0\"", 1, "cniVersion: '1.0' is not one of"},
		{"\"cniVersion\":1.0", 1, "cniVersion: missing"},
		{"\"cniVersion\":\"1.0.0\",\"socket\":1", 7, "socket: must be a string"},
		{"\"cniVersion\":\"1.0.0\",\"socket\":\"\"", 7, "socket: must have 1 to 107"},
		{"\"cniVersion\":\"1.0.0\",\"socket\":\"run/s\"", 7, "socket: 'run/s' does not begin with /"},
		{"\"cniVersion\":\"1.0.0\",\"socket\":null", 7, "socket: must be a string"},
		{"\"cniVersion\":\"1.0.0\",\"agent_socket\":[]", 7, "agent_socket: must be a string"},
		{"\"cniVersion\":\"1.0.0\",\"agent_socket\":\"a\"", 7, "agent_socket: 'a' does not begin"},
		{"\"cniVersion\":\"1.0.0\",\"ifname\":7", 7, "ifname: must be a string"},
		{"\"cniVersion\":\"1.0.0\",\"ifname\":\"a/b\"", 7, "ifname: 'a/b' is not valid"},
		{"\"cniVersion\":\"1.0.0\",\"ifname\":\"sixteen-is-long1\"", 7, "ifname: must have 1 to 15"},
		{"\"cniVersion\":\"1.0.0\",\"timeout\":0", 7,
		 "timeout: must be a whole number of seconds from 1 to 110"},
		{"\"cniVersion\":\"1.0.0\",\"timeout\":111", 7, "timeout: "},
		{"\"cniVersion\":\"1.0.0\",\"timeout\":-1", 7, "timeout: "},
		{"\"cniVersion\":\"1.0.0\",\"timeout\":4294967297", 7, "timeout: "},
		{"\"cniVersion\":\"1.0.0\",\"timeout\":\"20\"", 7, "timeout: "},
		{"\"cniVersion\":\"1.0.0\",\"timeout\":2.5", 7, "timeout: "},
		{"\"cniVersion\":\"1.0.0\",\"gateway\":true", 7, "gateway: must be a string"},
		{"\"cniVersion\":\"1.0.0\",\"gateway\":\"vpn\"", 7, "gateway: 'vpn' is not a Service's NAME.NAMESPACE"},
		{"\"cniVersion\":\"1.0.0\",\"gateway\":\"a.b/c\"", 7, "gateway: "},
		{"\"cniVersion\":\"1.0.0\",\"name\":{}", 7, "name: must be a string"},
		{"\"cniVersion\":\"1.0.0\",\"prevResult\":[]", 7, "prevResult: must be an object"},
		{"\"cniVersion\":\"1.0.0\",\"prevResult\":{\"ips\":{}}", 7, "prevResult.ips: must be an array"},
		{"\"cniVersion\":\"1.0.0\",\"prevResult\":{\"interfaces\":[1]}", 7,
		 "prevResult.interfaces: each element must be an object"},
		{"\"cniVersion\":\"1.0.0\",\"cni.dev/valid-attachments\":{}", 7, "cni.dev/valid-attachments: must be"},
		{"\"cniVersion\":\"1.0.0\",\"cni.dev/attachments\":[1]", 7,
		 "cni.dev/attachments: each element must be an object"},
	};
	struct request request;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		char text[256];
		struct refusal why = {0};
		snprintf(text, sizeof(text), "{%s,\"later\":0}", cases[i].keys);
		assert_int_equal(request_read(text, strlen(text), &request, &why), cases[i].code);
		if (!strstr(why.text, cases[i].piece))
			assert_string_equal(why.text, cases[i].piece);
		request_free(&request);
	}
	static const char text[] =
		"{\"timeout\":0,\"gateway\":1,\"ifname\":\"vx5\",\"socket\":\"/x/y\",\"prevResult\":{}}";
	struct refusal why = {0};
	assert_int_equal(request_read(text, strlen(text), &request, &why), 1);
	assert_non_null(strstr(why.text, "cniVersion"));
	assert_string_equal(request.ifname, "vx5");
	assert_string_equal(request.socket, "/x/y");
	assert_string_equal(request.agent_socket, "/x/agent.sock");
	assert_non_null(request.previous);
	request_free(&request);
}

static void test_socket_lengths(void **state)
{
	char path[128], agent[108];
	struct refusal why;

	(void)state;
	memset(path, 'x', sizeof(path));
	path[0] = path[97] = '/';
	path[99] = '\0';
	assert_int_equal(request_agent_beside(path, agent, &why), 7);
	path[97] = 'x';
	path[96] = '/';
	assert_int_equal(request_agent_beside(path, agent, &why), 0);
	assert_int_equal(strlen(agent), 107);
	assert_int_equal(request_agent_beside("s", agent, &why), 0);
	assert_string_equal(agent, "agent.sock");
}

/* ---- results ---- */

#define ANSWER                                                                                                         \
	"{\"state\":\"ready\",\"mac\":\"02:00:00:00:00:01\",\"mtu\":1400,\"addresses\":[\"172.16.0.57/"                \
	"24\",\"fd42::57/64\"],\"router\":\"172.16.0.1\"}"

static void expect_ready(const char *version, const char *previous, const char *expected)
{
	struct environment environment = {.netns = "/run/netns/x"};
	struct request request;
	struct refusal why = {0};
	char text[1024];
	json_t *answer = json_loads(ANSWER, 0, NULL), *result = NULL;

	snprintf(text, sizeof(text), "{\"cniVersion\":\"%s\"%s%s}", version, previous ? ",\"prevResult\":" : "",
		 previous ? previous : "");
	assert_int_equal(request_read(text, strlen(text), &request, &why), 0);
	assert_int_equal(result_ready(&request, &environment, previous ? "vx0" : "net1", answer, &result, &why), 0);
	char *got = json_dumps(result, JSON_COMPACT);
	assert_string_equal(got, expected);
	free(got);
	json_decref(result);
	json_decref(answer);
	request_free(&request);
}

#define LINK(name, mtu) "{\"name\":\"" name "\",\"mac\":\"02:00:00:00:00:01\"" mtu ",\"sandbox\":\"/run/netns/x\"}"
#define IPS(v4, v6, index)                                                                                             \
	"{" v4 "\"interface\":" index ",\"address\":\"172.16.0.57/24\",\"gateway\":\"172.16.0.1\"},"                   \
	"{" v6 "\"interface\":" index ",\"address\":\"fd42::57/64\"}"
#define OLD(index) IPS("\"version\":\"4\",", "\"version\":\"6\",", index)
#define NEW(index) IPS("", "", index)
#define ROUTES ",\"routes\":[{\"dst\":\"0.0.0.0/0\",\"gw\":\"172.16.0.1\"}]}"

static void test_standalone(void **state)
{
	(void)state;
	expect_ready("0.3.1", NULL,
		     "{\"cniVersion\":\"0.3.1\",\"interfaces\":[" LINK("net1", "") "],\"ips\":[" OLD("0") "]" ROUTES);
	expect_ready("0.4.0", NULL,
		     "{\"cniVersion\":\"0.4.0\",\"interfaces\":[" LINK("net1", "") "],\"ips\":[" OLD("0") "]" ROUTES);
	expect_ready("1.0.0", NULL,
		     "{\"cniVersion\":\"1.0.0\",\"interfaces\":[" LINK("net1", "") "],\"ips\":[" NEW("0") "]" ROUTES);
	expect_ready("1.1.0", NULL,
		     "{\"cniVersion\":\"1.1.0\",\"interfaces\":[" LINK("net1", ",\"mtu\":1400") "],\"ips\":[" NEW(
			     "0") "]" ROUTES);
}

#define THEIRS(version) "\"ips\":[{" version "\"address\":\"10.1.0.5/16\",\"interface\":1}"

static void test_chained(void **state)
{
	static const char two[] =
		"{\"interfaces\":[{\"name\":\"cni0\"},{\"name\":\"eth0\",\"sandbox\":\"/run/netns/x\"}],"
		"\"routes\":[{\"dst\":\"0.0.0.0/0\"}],\"cniVersion\":\"0.3.1\"," THEIRS("\"version\":\"4\",") "]}";

	(void)state;
	expect_ready(
		"0.3.1", two,
		"{\"interfaces\":[{\"name\":\"cni0\"},{\"name\":\"eth0\",\"sandbox\":\"/run/netns/x\"}," LINK(
			"vx0",
			"") "],\"routes\":[{\"dst\":\"0.0.0.0/0\"}],\"cniVersion\":\"0.3.1\"," THEIRS("\"version\":"
												      "\"4\",") "," OLD("2") "]}");
	expect_ready("1.1.0", "{\"cniVersion\":\"1.1.0\",\"dns\":{\"nameservers\":[\"10.96.0.10\"]}}",
		     "{\"cniVersion\":\"1.1.0\",\"dns\":{\"nameservers\":[\"10.96.0.10\"]},\"interfaces\":[" LINK(
			     "vx0", ",\"mtu\":1400") "],\"ips\":[" NEW("0") "]}");
	expect_ready("1.0.0", "{\"cniVersion\":\"1.0.0\",\"interfaces\":null,\"ips\":null}",
		     "{\"cniVersion\":\"1.0.0\",\"interfaces\":[" LINK("vx0", "") "],\"ips\":[" NEW("0") "]}");
}

static void test_answers(void **state)
{
	static const struct {
		const char *key, *value;
	} bad[] = {
		{"mac", NULL},
		{"mac", "\"02\""},
		{"mac", "1"},
		{"mtu", NULL},
		{"mtu", "\"1400\""},
		{"addresses", NULL},
		{"addresses", "\"172.16.0.57/24\""},
		{"addresses", "[1]"},
		{"addresses", "[\"172.16.0.57\"]"},
		{"addresses", "[\"172.16.0.57/33\"]"},
		{"addresses", "[\"172.16.0.57/\"]"},
		{"addresses", "[\"172.16.0.57/24x\"]"},
		{"addresses", "[\"172.16.0.57/-1\"]"},
		{"addresses", "[\"172.16.0/24\"]"},
		{"addresses", "[\"fd00::1/129\"]"},
		{"router", "\"172.16.0.1/24\""},
		{"router", "\"\""},
		{"router", "7"},
	};
	struct request request;
	struct environment environment = {0};

	(void)state;
	request_defaults(&request);
	request.version = CNI_1_0_0;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		struct refusal why = {0};
		json_t *answer = json_loads(ANSWER, 0, NULL), *result = NULL;
		if (bad[i].value)
			json_object_set_new(answer, bad[i].key, json_loads(bad[i].value, JSON_DECODE_ANY, NULL));
		else
			json_object_del(answer, bad[i].key);
		assert_int_equal(result_ready(&request, &environment, "vx0", answer, &result, &why), 101);
		assert_non_null(strstr(why.text, bad[i].key));
		assert_null(result);
		json_decref(answer);
	}
	json_t *answer = json_loads(ANSWER, 0, NULL), *result = NULL;
	struct refusal why = {0};
	json_object_set_new(answer, "router", json_string("fd42::1"));
	assert_int_equal(result_ready(&request, &environment, "vx0", answer, &result, &why), 0);
	char *text = json_dumps(result, JSON_COMPACT);
	assert_non_null(strstr(text, "\"address\":\"fd42::57/64\",\"gateway\":\"fd42::1\""));
	assert_non_null(strstr(text, "\"routes\":[{\"dst\":\"::/0\",\"gw\":\"fd42::1\"}]"));
	assert_null(strstr(text, "57/24\",\"gateway"));
	free(text);
	json_decref(result);
	json_decref(answer);
}

static void test_refusals(void **state)
{
	struct refusal why = {.code = CNI_REFUSED};

	(void)state;
	strcpy(why.text, "cut in a \xc3");
	for (unsigned version = 0; version <= CNI_VERSIONS; version++) {
		json_t *refusal = result_refusal((enum cni_version)version, &why);
		char *text = json_dumps(refusal, JSON_COMPACT), expected[128];
		snprintf(expected, sizeof(expected), "{\"cniVersion\":\"%s\",\"code\":100,\"msg\":\"cut in a ?\"}",
			 version < CNI_VERSIONS ? cni_versions[version] : "1.1.0");
		assert_string_equal(text, expected);
		free(text);
		json_decref(refusal);
	}
	refuse_details(&why, "because");
	json_t *refusal = result_refusal(CNI_1_0_0, &why);
	assert_string_equal(json_string_value(json_object_get(refusal, "details")), "because");
	json_decref(refusal);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults),   cmocka_unit_test(test_values),
		cmocka_unit_test(test_refused),    cmocka_unit_test(test_socket_lengths),
		cmocka_unit_test(test_standalone), cmocka_unit_test(test_chained),
		cmocka_unit_test(test_answers),    cmocka_unit_test(test_refusals),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
