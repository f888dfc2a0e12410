/* SPDX-License-Identifier: Apache-2.0 */
/* test_cni_plugin.c - CNI commands against an agent and a podswitchd that answer, refuse, hang, close or are away */
#include "control/cni/plugin.c"

#include "control/cni/agent_client.c"
#include "control/cni/attach.c"
#include "control/cni/tombstone.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>
#undef fail /* cmocka has a macro of the name of our function */

#include "tests/unit/fake_peer.h"
#include "tests/unit/shell.h"

#define AT_ONCE 3000 /* ms: less than a DEL waits for somebody who hangs, and enough for a busy machine */

#define ID "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define READY                                                                                                          \
	("\"result\":{\"state\":\"ready\",\"name\":\"media.tv-0@0123456789ab\",\"gateway\":\"media/vpn\","             \
	 "\"ifname\":\"vx0\",\"mac\":\"02:00:00:00:00:01\",\"mtu\":1400,\"addresses\":[\"172.16.0.57/24\"],"           \
	 "\"router\":\"172.16.0.1\"}")
#define PENDING "\"result\":{\"state\":\"pending\",\"reason\":\"no lease from media/vpn yet\"}"
#define NONE "\"result\":{\"state\":\"none\"}"
#define DONE "\"result\":{}"
#define NOT_FOUND "\"error\":{\"code\":-32002,\"message\":\"no such port\"}"
#define FAILED "\"error\":{\"code\":-32603,\"message\":\"out of order\"}"
#define PREV                                                                                                           \
	"{\"cniVersion\":\"1.0.0\",\"interfaces\":[{\"name\":\"cni0\",\"mac\":\"0a:00:00:00:00:01\"},"                 \
	"{\"name\":\"eth0\",\"mac\":\"0a:00:00:00:00:02\",\"sandbox\":\"/run/netns/x\"}],"                             \
	"\"ips\":[{\"interface\":1,\"address\":\"10.244.1.5/24\",\"gateway\":\"10.244.1.1\"}],"                        \
	"\"routes\":[{\"dst\":\"0.0.0.0/0\"}],\"dns\":{},\"theirs\":[1,2.5,9007199254740993]}"

struct fixture {
	char top[64], socket[96], agent[96];
	struct variables variables;
	int status;
	char *out, *err;
	long long took;
};

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	strcpy(f->top, "/dev/shm/podswitch-cni-XXXXXX");
	assert_non_null(mkdtemp(f->top));
	snprintf(f->socket, sizeof(f->socket), "%s/control.sock", f->top);
	snprintf(f->agent, sizeof(f->agent), "%s/agent.sock", f->top);
	f->variables = (struct variables){
		"ADD", ID, "/run/netns/x", "eth0",
		"IgnoreUnknown=1;K8S_POD_NAMESPACE=media;K8S_POD_NAME=tv-0;K8S_POD_INFRA_CONTAINER_ID=" ID
		";K8S_POD_UID=01234567-89ab-cdef-0123-456789abcdef"};
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(shell_status(f->top, "rm -rf $D"), 0);
	free(f->out);
	free(f->err);
	free(f);
	return 0;
}

/* Runs the command with `input` on standard input, to `out` or, when that is NULL, into f->out. */
static void run_to(struct fixture *f, const char *input, int stop_fd, FILE *out)
{
	size_t length;
	int in[2];
	uint64_t started = clock_ms();

	free(f->out);
	free(f->err);
	f->out = NULL;
	FILE *memory = open_memstream(&f->out, &length), *err = open_memstream(&f->err, &length);
	assert_int_equal(pipe(in), 0);
	assert_int_equal(write(in[1], input, strlen(input)), strlen(input));
	close(in[1]);
	f->status = plugin_run(&f->variables, in[0], stop_fd, out ? out : memory, err);
	close(in[0]);
	fclose(memory);
	fclose(err);
	f->took = (long long)(clock_ms() - started);
}

/* With a configuration of version, timeout, and `more` (begins with ','). */
static void run(struct fixture *f, const char *command, const char *version, int timeout, const char *more)
{
	char input[4096];

	f->variables.command = command;
	snprintf(input, sizeof(input),
		 "{\"cniVersion\":\"%s\",\"name\":\"primary\",\"type\":\"podswitch-cni\",\"socket\":\"%s\","
		 "\"timeout\":%d%s}",
		 version, f->socket, timeout, more);
	run_to(f, input, -1, NULL);
}

static void expect_refusal(const struct fixture *f, int code, const char *piece)
{
	json_t *refusal = json_loads(f->out, 0, NULL);

	assert_non_null(refusal);
	assert_int_equal(json_integer_value(json_object_get(refusal, "code")), code);
	const char *text = json_string_value(json_object_get(refusal, "msg"));
	if (!strstr(text, piece))
		assert_string_equal(text, piece);
	assert_int_not_equal(f->status, 0);
	assert_non_null(strstr(f->err, piece));
	assert_int_equal(strspn(strchr(f->err, '\n'), "\n"), strlen(strchr(f->err, '\n')));
	json_decref(refusal);
}

static void expect_document(const struct fixture *f, const char *expected)
{
	json_t *want = json_loads(expected, 0, NULL), *got = json_loads(f->out, 0, NULL);

	assert_int_equal(f->status, 0);
	assert_string_equal(f->err, "");
	assert_non_null(want);
	if (!json_equal(want, got))
		assert_string_equal(f->out, expected);
	json_decref(want);
	json_decref(got);
}

/* "method method ..." of what a peer was asked; takes over `requests`. */
static void expect_methods(json_t *requests, const char *expected)
{
	char methods[1024] = "";

	for (size_t i = 0; i < json_array_size(requests); i++) {
		strcat(methods, i ? " " : "");
		strcat(methods, json_string_value(json_object_get(json_array_get(requests, i), "method")));
	}
	json_decref(requests);
	assert_string_equal(methods, expected);
}

static void expect_params(json_t *requests, size_t index, const char *expected)
{
	json_t *want = json_loads(expected, 0, NULL);
	json_t *got = json_object_get(json_array_get(requests, index), "params");
	const json_t *runtime = json_object_get(got, "runtime");
	if (runtime)
		assert_int_equal(json_integer_value(runtime), getppid());
	json_object_del(got, "runtime");
	char *text = json_dumps(got, JSON_COMPACT);

	assert_non_null(want);
	if (!json_equal(want, got))
		assert_string_equal(text, expected);
	free(text);
	json_decref(want);
}

static bool exists(const struct fixture *f, const char *name)
{
	char path[300];

	snprintf(path, sizeof(path), "%s/%s", f->top, name);
	return !access(path, F_OK);
}

/* ---- ADD ---- */

static void test_add_waits(void **state)
{
	struct fixture *f = *state;
	const char *script[] = {PENDING, PENDING, PENDING, READY, NULL};
	struct fake_peer agent;

	fake_peer_start(&agent, f->agent, script);
	run(f, "ADD", "1.0.0", 10, ",\"prevResult\":" PREV ",\"gateway\":\"vpn.media\",\"runtimeConfig\":{}");
	json_t *requests = fake_peer_stop(&agent);
	expect_document(f,
			"{\"cniVersion\":\"1.0.0\",\"interfaces\":[{\"name\":\"cni0\",\"mac\":\"0a:00:00:00:00:01\"},"
			"{\"name\":\"eth0\",\"mac\":\"0a:00:00:00:00:02\",\"sandbox\":\"/run/netns/x\"},"
			"{\"name\":\"vx0\",\"mac\":\"02:00:00:00:00:01\",\"sandbox\":\"/run/netns/x\"}],"
			"\"ips\":[{\"interface\":1,\"address\":\"10.244.1.5/24\",\"gateway\":\"10.244.1.1\"},"
			"{\"interface\":2,\"address\":\"172.16.0.57/24\",\"gateway\":\"172.16.0.1\"}],"
			"\"routes\":[{\"dst\":\"0.0.0.0/0\"}],\"dns\":{},\"theirs\":[1,2.5,9007199254740993]}");
	expect_params(requests, 3,
		      "{\"container_id\":\"" ID "\",\"ifname\":\"vx0\",\"netns\":\"/run/netns/x\","
		      "\"namespace\":\"media\",\"pod\":\"tv-0\",\"uid\":\"01234567-89ab-cdef-0123-456789abcdef\","
		      "\"network\":\"primary\",\"standalone\":false,\"gateway\":\"vpn.media\"}");
	expect_methods(requests, "attachment.add attachment.add attachment.add attachment.add");
	assert_in_range(f->took, 20 + 40 + 80, 3000);
}

/* What is not ours is handed on as it came, byte for byte of a document without blanks. */
static void test_add_none(void **state)
{
	struct fixture *f = *state;
	const char *script[] = {NONE, NULL};
	struct fake_peer agent;

	fake_peer_start(&agent, f->agent, script);
	run(f, "ADD", "1.0.0", 10, ",\"prevResult\":" PREV);
	assert_int_equal(f->status, 0);
	assert_string_equal(f->out, PREV "\n");
	f->variables.ifname = "net1";
	run(f, "ADD", "1.0.0", 10, "");
	expect_refusal(f, 7, "pod media/tv-0 has no gateway: annotate");
	json_t *requests = fake_peer_stop(&agent);
	assert_string_equal(
		json_string_value(json_object_get(json_object_get(json_array_get(requests, 1), "params"), "ifname")),
		"net1");
	assert_true(
		json_is_true(json_object_get(json_object_get(json_array_get(requests, 1), "params"), "standalone")));
	expect_methods(requests, "attachment.add attachment.add attachment.remove");
}

static void test_add_refused(void **state)
{
	struct fixture *f = *state;
	static const struct {
		const char *answer, *piece;
		int code;
	} cases[] = {
		{"\"error\":{\"code\":-32020,\"message\":\"gateway media/vpn does not allow namespace x\"}",
		 "gateway media/vpn does not allow namespace x", 100},
		{FAILED, "podswitch-agent failed: out of order", 101},
		{"\"error\":{}", "refused without a reason", 101},
		{"\"result\":{\"state\":\"ready\"}", "is not understood (mac)", 101},
		{"\"result\":{\"state\":\"perhaps\"}", "is not understood (state)", 101},
		{"\"result\":[]", "is not understood (state)", 101},
		{"\"result\":null", "is not understood (state)", 101},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		const char *script[] = {PENDING, cases[i].answer, DONE, NULL};
		struct fake_peer agent;
		fake_peer_start(&agent, f->agent, script);
		run(f, "ADD", "1.0.0", 10, ",\"prevResult\":" PREV);
		json_t *requests = fake_peer_stop(&agent);
		expect_refusal(f, cases[i].code, cases[i].piece);
		expect_params(requests, 2,
			      "{\"container_id\":\"" ID
			      "\",\"ifname\":\"vx0\",\"namespace\":\"media\",\"pod\":\"tv-0\"}");
		expect_methods(requests, "attachment.add attachment.add attachment.remove");
	}
}

static void test_add_times_out(void **state)
{
	struct fixture *f = *state;
	const char *pending[] = {PENDING, NULL}, *slow[] = {PENDING, "?", DONE, NULL};
	struct fake_peer agent;

	fake_peer_start(&agent, f->agent, pending);
	run(f, "ADD", "0.4.0", 1, ",\"prevResult\":" PREV);
	json_t *requests = fake_peer_stop(&agent);
	expect_refusal(f, 11, "no connection to its gateway after 1 s: no lease from media/vpn yet");
	assert_in_range(f->took, 1000, 1000 + AT_ONCE);
	/* Asked seldom enough: after 20, 40, 80, 160 and then every 200 ms; and once to take it back. */
	assert_in_range(json_array_size(requests), 3, 10);
	json_decref(requests);
	fake_peer_start(&agent, f->agent, slow);
	run(f, "ADD", "0.4.0", 1, ",\"prevResult\":" PREV);
	expect_refusal(f, 11, "no lease from media/vpn yet");
	assert_in_range(f->took, 1000, 1000 + AT_ONCE);
	expect_methods(fake_peer_stop(&agent), "attachment.add attachment.add attachment.remove");
}

/* Nobody there: nothing was begun, so nothing is taken back, and no tombstone is left. */
static void test_add_without_agent(void **state)
{
	struct fixture *f = *state;

	run(f, "ADD", "0.4.0", 1, ",\"prevResult\":" PREV);
	expect_refusal(f, 11, "is the podswitch DaemonSet running on this node? kubectl -n podswitch get pods -o wide");
	assert_non_null(strstr(f->out, "\"details\":\"no socket "));
	assert_in_range(f->took, 1000, 1000 + AT_ONCE);
	assert_false(exists(f, "tombstones"));
}

/* ---- pods that have no gateway ---- */

#define UNKNOWN "\"result\":{\"state\":\"pending\",\"reason\":\"podswitch-agent is starting\",\"unknown\":true}"

/* With `known` on disk and these annotations handed over ("": the runtime hands over nothing). */
static void run_known(struct fixture *f, const char *known, const char *annotations)
{
	char path[96], more[1024];

	snprintf(path, sizeof(path), "%s/known.json", f->top);
	if (known)
		write_file(path, known);
	snprintf(more, sizeof(more), ",\"known\":\"%s\",\"prevResult\":" PREV "%s%s%s", path,
		 *annotations ? ",\"runtimeConfig\":{\"io.kubernetes.cri.pod-annotations\":" : "", annotations,
		 *annotations ? "}" : "");
	run(f, "ADD", "0.4.0", 1, more);
}

#define KNOWN(rest) "{\"version\":1,\"pods_choose\":true,\"default_gateway\":false,\"namespaces\":{" rest "}}"

/* Nobody there: who asks for nothing starts at once, and who may ask for something waits. */
static void test_known(void **state)
{
	struct fixture *f = *state;
	static const struct {
		const char *known, *annotations, *piece; /* piece: of the refusal; NULL: the pod starts */
	} cases[] = {
		{NULL, "{}", "none that can be read"},
		{KNOWN("\"media\":false"), "{}", NULL},
		{KNOWN("\"media\":false"), "{\"a.io/podswitch.io/gateway\":\"x\"}", NULL},
		{KNOWN("\"media\":false"), "null", NULL},
		{KNOWN("\"media\":false"), "", "does not hand over"},
		{KNOWN("\"media\":false"), "[]", "does not hand over"},
		{KNOWN("\"media\":false"), "{\"podswitch.io/gateway\":\"vpn\"}", "the pod has annotations"},
		{KNOWN("\"media\":false"), "{\"podswitch.io/gateway\":5}", "the pod has annotations"},
		{KNOWN("\"media\":false"), "{\"podswitch.io/routes\":\"10.0.0.0/8=vpn\"}", "the pod has annotations"},
		{KNOWN("\"media\":true"), "{}", "the namespace has annotations"},
		{KNOWN("\"media\":true"), "{\"podswitch.io/gateway\":\"none\"}", NULL},
		{KNOWN("\"media\":true"), "{\"podswitch.io/gateway\":\"\"}", "the namespace has annotations"},
		{KNOWN("\"media\":false"), "{\"podswitch.io/gateway\":\"\"}", NULL},
		{KNOWN("\"media\":\"false\""), "{}", "the namespace has annotations"},
		{KNOWN("\"other\":false"), "{}", "the namespace is not known there"},
		{"{\"version\":1,\"pods_choose\":false,\"default_gateway\":false,\"namespaces\":{\"media\":true}}",
		 "{\"podswitch.io/gateway\":\"none\"}", "the namespace has annotations"},
		{"{\"version\":1,\"pods_choose\":true,\"default_gateway\":true,\"namespaces\":{\"media\":false}}", "{}",
		 "label setGateway"},
		{"{\"version\":1,\"pods_choose\":true,\"default_gateway\":true,\"namespaces\":{\"media\":false}}",
		 "{\"setGateway\":\"false\"}", NULL},
		{"{\"version\":1,\"pods_choose\":false,\"default_gateway\":true,\"namespaces\":{\"media\":false}}",
		 "{\"setGateway\":\"false\"}", "there is a default gateway"},
		{"{\"version\":1,\"namespaces\":{\"media\":false}}", "{}", "label setGateway"},
		{"{\"version\":2,\"namespaces\":{\"media\":false}}", "{}", "none that can be read"},
		{"", "{}", "none that can be read"},
		{KNOWN("\"media\":false") "x", "{}", "none that can be read"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		run_known(f, cases[i].known, cases[i].annotations);
		if (!cases[i].piece) {
			expect_document(f, PREV);
			assert_in_range(f->took, 0, 950);
			continue;
		}
		expect_refusal(f, 11, "podswitch-agent does not answer");
		if (!strstr(f->out, cases[i].piece))
			assert_string_equal(f->out, cases[i].piece);
	}
}

/* The agent is there and does not know the pod, or hangs: a second, and then as if it were away. */
static void test_known_agent_starts(void **state)
{
	struct fixture *f = *state;
	static const char *const scripts[][9] = {
		{UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN, NULL}, {"?", "?", NULL}};
	static const char *const soon[] = {UNKNOWN, READY, NULL};
	struct fake_peer agent;

	for (size_t i = 0; i < 2; i++) {
		fake_peer_start(&agent, f->agent, scripts[i]);
		run_known(f, KNOWN("\"media\":false"), "{}");
		json_decref(fake_peer_stop(&agent));
		expect_document(f, PREV);
		assert_in_range(f->took, 900, 900 + AT_ONCE);
	}
	/* Its word counts, when it comes: also if it falls silent after that. */
	static const char *const knows[] = {PENDING, "?", NULL};
	fake_peer_start(&agent, f->agent, knows);
	run_known(f, KNOWN("\"media\":false"), "{}");
	json_decref(fake_peer_stop(&agent));
	expect_refusal(f, 11, "no lease from media/vpn yet");
	fake_peer_start(&agent, f->agent, soon);
	run_known(f, KNOWN("\"media\":false"), "{}");
	json_decref(fake_peer_stop(&agent));
	assert_non_null(strstr(f->out, "\"vx0\""));
}

static void test_skipped_namespace(void **state)
{
	struct fixture *f = *state;
	static const char *const script[] = {READY, NULL};
	struct fake_peer agent;

	fake_peer_start(&agent, f->agent, script);
	run(f, "ADD", "0.4.0", 1, ",\"skip_namespaces\":\"kube-system, media\",\"prevResult\":" PREV);
	expect_document(f, PREV);
	expect_methods(fake_peer_stop(&agent), "");
	run(f, "ADD", "0.4.0", 1, ",\"skip_namespaces\":\"mediax,med\",\"prevResult\":" PREV);
	expect_refusal(f, 11, "podswitch-agent does not answer");
	run(f, "ADD", "0.4.0", 1, ",\"skip_namespaces\":[],\"prevResult\":" PREV);
	expect_refusal(f, 7, "skip_namespaces: must be");
}

static void *start_late(void *argument)
{
	struct fixture *f = argument;
	static const char *const script[] = {"", "!not JSON", READY, NULL};
	static struct fake_peer agent;

	poll(NULL, 0, 300);
	fake_peer_start(&agent, f->agent, script);
	return &agent;
}

/* An agent that comes late, closes, and talks nonsense, but answers in the end. */
static void test_add_agent_restarts(void **state)
{
	struct fixture *f = *state;
	pthread_t thread;
	void *agent;

	pthread_create(&thread, NULL, start_late, f);
	run(f, "ADD", "0.4.0", 10, ",\"prevResult\":" PREV);
	pthread_join(thread, &agent);
	expect_methods(fake_peer_stop(agent), "attachment.add attachment.add attachment.add");
	assert_int_equal(f->status, 0);
	assert_non_null(strstr(f->out, "\"vx0\""));
	assert_in_range(f->took, 300, 3000);
}

/* One that hangs is asked anew, until the timeout: it may be another one by then. */
static void test_add_silent_agent(void **state)
{
	struct fixture *f = *state;
	const char *hangs[] = {PENDING, "?", "?", DONE, NULL}, *recovers[] = {PENDING, "?", READY, NULL};
	struct fake_peer agent;

	fake_peer_start(&agent, f->agent, hangs);
	run(f, "ADD", "0.4.0", 12, ",\"prevResult\":" PREV);
	expect_methods(fake_peer_stop(&agent), "attachment.add attachment.add attachment.add attachment.remove");
	expect_refusal(f, 11, "podswitch-agent does not answer on ");
	assert_in_range(f->took, 12000, 16000);

	fake_peer_start(&agent, f->agent, recovers);
	run(f, "ADD", "0.4.0", 60, ",\"prevResult\":" PREV);
	expect_methods(fake_peer_stop(&agent), "attachment.add attachment.add attachment.add");
	assert_int_equal(f->status, 0);
	assert_in_range(f->took, 10000, 14000);
}

static void *stop_soon(void *argument)
{
	poll(NULL, 0, 300);
	assert_int_equal(write(*(int *)argument, "x", 1), 1);
	return NULL;
}

static void check_stop(struct fixture *f, const char *const *script, const char *methods)
{
	struct fake_peer agent;
	pthread_t thread;
	char input[2048];
	int stop[2];

	assert_int_equal(pipe(stop), 0);
	snprintf(input, sizeof(input), "{\"cniVersion\":\"0.4.0\",\"socket\":\"%s\",\"prevResult\":" PREV "}",
		 f->socket);
	if (script)
		fake_peer_start(&agent, f->agent, script);
	pthread_create(&thread, NULL, stop_soon, &stop[1]);
	run_to(f, input, stop[0], NULL);
	pthread_join(thread, NULL);
	if (script)
		expect_methods(fake_peer_stop(&agent), methods);
	expect_refusal(f, 11, "stopped by a signal before pod media/tv-0 had its gateway");
	assert_in_range(f->took, 300, 300 + AT_ONCE);
	close(stop[0]);
	close(stop[1]);
}

static void test_add_stopped(void **state)
{
	const char *silent[] = {PENDING, "?", DONE, NULL};

	check_stop(*state, silent, "attachment.add attachment.add attachment.remove");
	check_stop(*state, NULL, NULL);
}

/* The pod was deleted while its gateway was being looked up: the agent then refuses what comes later. */
static void test_del_before_add_ends(void **state)
{
	struct fixture *f = *state;
	const char *script[] = {PENDING, "\"error\":{\"code\":-32020,\"message\":\"was deleted\"}", DONE, NULL};
	struct fake_peer agent;

	fake_peer_start(&agent, f->agent, script);
	run(f, "ADD", "1.1.0", 10, ",\"prevResult\":" PREV);
	expect_refusal(f, 100, "was deleted");
	run(f, "DEL", "1.1.0", 10, ",\"prevResult\":" PREV);
	assert_int_equal(f->status, 0);
	assert_string_equal(f->out, "");
	json_decref(fake_peer_stop(&agent));
}

static void test_add_not_delivered(void **state)
{
	struct fixture *f = *state;
	const char *script[] = {READY, DONE, NULL};
	struct fake_peer agent;
	char input[2048];
	FILE *full = fopen("/dev/full", "w");

	snprintf(input, sizeof(input), "{\"cniVersion\":\"0.4.0\",\"socket\":\"%s\",\"prevResult\":" PREV "}",
		 f->socket);
	fake_peer_start(&agent, f->agent, script);
	run_to(f, input, -1, full);
	fclose(full);
	assert_int_not_equal(f->status, 0);
	assert_non_null(strstr(f->err, "cannot write the result"));
	expect_methods(fake_peer_stop(&agent), "attachment.add attachment.remove");
}

static void test_add_name_taken(void **state)
{
	struct fixture *f = *state;
	const char *script[] = {READY, NULL};
	struct fake_peer agent;

	fake_peer_start(&agent, f->agent, script);
	run(f, "ADD", "1.0.0", 10, ",\"ifname\":\"eth0\",\"prevResult\":" PREV);
	expect_refusal(f, 7, "another plugin has made an interface eth0");
	expect_methods(fake_peer_stop(&agent), "");
}

static void test_add_malformed(void **state)
{
	struct fixture *f = *state;

	f->variables.command = "ADD";
	run_to(f, "", -1, NULL);
	expect_refusal(f, 6, "not JSON");
	run_to(f, "[]", -1, NULL);
	expect_refusal(f, 6, "not an object");
	run_to(f, "{}", -1, NULL);
	expect_refusal(f, 1, "cniVersion: missing");
	run(f, "ADD", "0.2.0", 10, "");
	expect_refusal(f, 1, "'0.2.0' is not one of");
	run(f, "ADD", "1.0.0", 111, "");
	expect_refusal(f, 7, "timeout: ");
	f->variables.netns = "";
	f->variables.container_id = NULL;
	run(f, "ADD", "1.0.0", 10, "");
	expect_refusal(f, 4, "not set: CNI_CONTAINERID CNI_NETNS");
}

/* ---- DEL ---- */

static void expect_deleted(const struct fixture *f, long long most)
{
	assert_int_equal(f->status, 0);
	assert_string_equal(f->out, "");
	assert_in_range(f->took, 0, most);
}

/* Which interface is meant, by what is known of the ADD. */
static void test_del_which(void **state)
{
	struct fixture *f = *state;
	static const char ours[] = ",\"prevResult\":{\"interfaces\":[{\"name\":\"eth0\",\"sandbox\":\"/x\"},"
				   "{\"name\":\"vx0\",\"sandbox\":\"/x\"}]}";
	static const struct {
		const char *given, *more, *first, *second;
	} cases[] = {
		{"eth0", ours, "vx0", NULL},
		{"eth0", "", "vx0", "eth0"},
		{"eth0", ",\"prevResult\":" PREV, "vx0", "eth0"},
		{"eth0", ",\"ifname\":\"vx7\"", "vx7", "eth0"},
		{"net1", "", "net1", NULL},
		{"net1", ours, "vx0", NULL},
		{"net1", ",\"prevResult\":{\"interfaces\":[{\"name\":\"net1\",\"sandbox\":\"/x\"}]}", "net1", NULL},
		{"net1", ",\"prevResult\":null", "net1", NULL},
		/* One of that name on the node is nobody's in the pod. */
		{"net1", ",\"prevResult\":{\"interfaces\":[{\"name\":\"vx0\"}]}", "net1", NULL},
		{"net1", ",\"prevResult\":{\"interfaces\":[{\"name\":\"vx0\",\"sandbox\":\"\"}]}", "net1", NULL},
	};
	const char *script[] = {DONE, NULL};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct fake_peer agent;
		fake_peer_start(&agent, f->agent, script);
		f->variables.ifname = cases[i].given;
		run(f, "DEL", "0.4.0", 10, cases[i].more);
		expect_deleted(f, AT_ONCE);
		json_t *requests = fake_peer_stop(&agent);
		for (size_t j = 0; j < 2; j++) {
			json_t *params = json_object_get(json_array_get(requests, j), "params");
			const char *expected = j ? cases[i].second : cases[i].first;
			const char *got = json_string_value(json_object_get(params, "ifname"));
			assert_string_equal(got ? got : "none", expected ? expected : "none");
		}
		assert_int_equal(json_array_size(requests), cases[i].second ? 2 : 1);
		json_decref(requests);
	}
}

static void test_del_with_podswitchd_alone(void **state)
{
	struct fixture *f = *state;
	const char *script[] = {DONE, NOT_FOUND, NULL};
	struct fake_peer podswitchd;

	fake_peer_start(&podswitchd, f->socket, script);
	f->variables.ifname = "net1";
	run(f, "DEL", "0.4.0", 10, "");
	expect_deleted(f, AT_ONCE);
	run(f, "DEL", "0.4.0", 10, "");
	expect_deleted(f, AT_ONCE);
	f->variables.ifname = "vx0";
	run(f, "DEL", "0.4.0", 10, "");
	expect_deleted(f, AT_ONCE);
	json_t *requests = fake_peer_stop(&podswitchd);
	expect_params(requests, 0, "{\"name\":\"media.tv-0@0123456789ab.net1\",\"closed\":true}");
	expect_params(requests, 2, "{\"name\":\"media.tv-0@0123456789ab\",\"closed\":true}");
	expect_methods(requests, "port.remove port.remove port.remove");
	assert_false(exists(f, "tombstones"));
}

static int count(void *context, const char *port, const json_t *content)
{
	char *notes = context;

	assert_true(json_is_object(content));
	sprintf(notes + strlen(notes), "%s=%s ", port, json_string_value(json_object_get(content, "container_id")));
	return strstr(port, "again") ? -1 : 0;
}

static void expect_notes(const struct fixture *f, int left, const char *expected)
{
	char notes[1024] = "";

	assert_int_equal(tombstone_each(f->socket, count, notes), left);
	assert_string_equal(notes, expected);
}

static void test_del_alone(void **state)
{
	struct fixture *f = *state;
	struct failure why;

	f->variables.ifname = "net1";
	run(f, "DEL", "0.4.0", 10, "");
	expect_deleted(f, AT_ONCE);
	run(f, "DEL", "0.4.0", 10, "");
	expect_deleted(f, AT_ONCE);
	assert_int_equal(shell_status(f->top, "test $(stat -c %a $D/tombstones) = 700"), 0);
	assert_int_equal(shell_status(f->top, "test \"$(ls -A $D/tombstones)\" = media.tv-0@0123456789ab.net1"), 0);
	assert_int_equal(shell_status(f->top, "echo garbage >$D/tombstones/garbage; mkfifo $D/tombstones/fifo;"
					      "echo '{}' >$D/tombstones/again; echo >$D/tombstones/.half"),
			 0);
	assert_int_equal(tombstone_each(f->socket, count, (char[1024]){""}), 1);
	expect_notes(f, 1, "again=(null) ");
	assert_false(exists(f, "tombstones/garbage"));
	assert_true(exists(f, "tombstones/.half"));
	assert_int_equal(tombstone_clear(f->socket, &why), 0);
	assert_int_equal(tombstone_clear(f->socket, &why), 0);
	assert_false(exists(f, "tombstones"));
	expect_notes(f, 0, "");
}

/* A podswitchd that cannot do it now leaves a tombstone, too. */
static void test_del_failing(void **state)
{
	struct fixture *f = *state;
	const char *script[] = {FAILED, NULL};
	struct fake_peer agent, podswitchd;

	fake_peer_start(&agent, f->agent, script);
	fake_peer_start(&podswitchd, f->socket, script);
	f->variables.ifname = "net1";
	run(f, "DEL", "0.4.0", 10, "");
	expect_deleted(f, AT_ONCE);
	expect_methods(fake_peer_stop(&agent), "attachment.remove");
	expect_methods(fake_peer_stop(&podswitchd), "port.remove");
	expect_notes(f, 0, "media.tv-0@0123456789ab.net1=" ID " ");
}

static void test_del_hung(void **state)
{
	struct fixture *f = *state;
	const char *script[] = {"?", NULL};
	struct fake_peer agent, podswitchd;

	fake_peer_start(&agent, f->agent, script);
	fake_peer_start(&podswitchd, f->socket, script);
	run(f, "DEL", "0.4.0", 10, "");
	expect_deleted(f, 4000 + AT_ONCE);
	assert_in_range(f->took, 3900, 4000 + AT_ONCE);
	json_decref(fake_peer_stop(&agent));
	json_decref(fake_peer_stop(&podswitchd));
	assert_true(exists(f, "tombstones/media.tv-0@0123456789ab"));
	assert_true(exists(f, "tombstones/media.tv-0@0123456789ab.eth0"));
}

static void test_del_with_nothing(void **state)
{
	struct fixture *f = *state;
	const char *inputs[] = {"", "\xff\xfe", "[", "{\"socket\": 5}", "{\"cniVersion\":\"9\",\"prevResult\":7}"};
	char input[300];

	f->variables.command = "DEL";
	f->variables.netns = NULL;
	for (size_t i = 0; i < sizeof(inputs) / sizeof(*inputs); i++) {
		/* Not for the sockets of this machine: nothing there is called so. */
		f->variables.container_id = "podswitchtest";
		f->variables.args = "K8S_POD_NAMESPACE=a/b;K8S_POD_NAME";
		f->variables.ifname = "/";
		run_to(f, inputs[i], -1, NULL);
		expect_deleted(f, 5000);
	}
	/* The name of the pod is not known: still told to the agent, and else noted. */
	f->variables.ifname = "net1";
	snprintf(input, sizeof(input), "{\"cniVersion\":\"9\",\"socket\":\"%s\",\"timeout\":\"x\"}", f->socket);
	run_to(f, input, -1, NULL);
	expect_deleted(f, AT_ONCE);
	expect_notes(f, 0, "@podswitchtes.net1=podswitchtest ");
	/* Nothing can be written. */
	f->variables.args = "K8S_POD_NAMESPACE=media;K8S_POD_NAME=tv-0";
	run_to(f, "{\"cniVersion\":\"0.4.0\",\"socket\":\"/proc/nothing/control.sock\"}", -1, NULL);
	expect_deleted(f, AT_ONCE);
	run_to(f, "{\"cniVersion\":\"0.4.0\",\"socket\":\"/dev/null/control.sock\"}", -1, NULL);
	expect_deleted(f, AT_ONCE);
}

static void *write_late(void *argument)
{
	const struct fixture *f = argument;
	int *in = (int *)f->variables.netns; /* which a DEL does not look at */
	char input[300];

	snprintf(input, sizeof(input), "{\"cniVersion\":\"0.4.0\",\"socket\":\"%s\"}", f->socket);
	poll(NULL, 0, 1500);
	assert_int_equal(write(*in, input, strlen(input)), strlen(input));
	close(*in);
	return NULL;
}

/* A runtime on a busy node is slow: a DEL waits for its configuration, as without it the wrong agent would be told. */
static void test_del_slow_input(void **state)
{
	struct fixture *f = *state;
	const char *script[] = {DONE, NULL};
	struct fake_peer agent;
	pthread_t thread;
	int in[2];

	assert_int_equal(pipe(in), 0);
	f->variables.command = "DEL";
	f->variables.ifname = "net1";
	f->variables.netns = (const char *)&in[1];
	fake_peer_start(&agent, f->agent, script);
	pthread_create(&thread, NULL, write_late, f);
	assert_int_equal(plugin_run(&f->variables, in[0], -1, stdout, stderr), 0);
	pthread_join(thread, NULL);
	close(in[0]);
	expect_methods(fake_peer_stop(&agent), "attachment.remove");
}

/* Standard input that never ends holds up nobody. */
static void test_input_without_end(void **state)
{
	struct fixture *f = *state;
	int in[2];
	char out[256] = "", err[256] = "";

	assert_int_equal(pipe(in), 0);
	FILE *o = fmemopen(out, sizeof(out), "w"), *e = fmemopen(err, sizeof(err), "w");
	f->variables.command = "DEL";
	f->variables.container_id = "..";
	assert_int_equal(plugin_run(&f->variables, in[0], -1, o, e), 0);
	f->variables.command = "STATUS";
	uint64_t started = clock_ms();
	assert_int_equal(plugin_run(&f->variables, in[0], -1, o, e), 1);
	assert_in_range(clock_ms() - started, 5000, 5000 + AT_ONCE);
	fclose(o);
	fclose(e);
	assert_non_null(strstr(out, "does not end"));
	close(in[0]);
	close(in[1]);
}

/* ---- CHECK, GC, STATUS, VERSION ---- */

static void test_check(void **state)
{
	struct fixture *f = *state;
	static const struct {
		const char *answer, *piece;
		int code;
	} cases[] = {
		{"\"result\":{\"state\":\"ready\"}", NULL, 0},
		{"\"result\":{\"state\":\"none\"}", NULL, 0},
		{"\"result\":{\"state\":\"missing\",\"reason\":\"172.16.0.57 is gone\"}",
		 "vx0 has been changed: 172.16.0.57 is gone", 102},
		{"\"result\":{\"state\":\"lost\",\"reason\":\"no answer for 30 s\"}",
		 "its gateway does not answer on vx0: no answer for 30 s", 11},
		{"\"result\":{\"state\":\"odd\"}", "not understood", 101},
		{FAILED, "out of order", 101},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		const char *script[] = {cases[i].answer, NULL};
		struct fake_peer agent;
		fake_peer_start(&agent, f->agent, script);
		run(f, "CHECK", "0.4.0", 10, ",\"prevResult\":" PREV);
		json_t *requests = fake_peer_stop(&agent);
		if (cases[i].code)
			expect_refusal(f, cases[i].code, cases[i].piece);
		else
			expect_deleted(f, AT_ONCE);
		expect_params(requests, 0,
			      "{\"container_id\":\"" ID
			      "\",\"ifname\":\"vx0\",\"namespace\":\"media\",\"pod\":\"tv-0\"}");
		expect_methods(requests, "attachment.check");
	}
	run(f, "CHECK", "0.4.0", 10, "");
	expect_refusal(f, 7, "prevResult: missing");
	run(f, "CHECK", "0.3.1", 10, ",\"prevResult\":" PREV);
	expect_refusal(f, 1, "it needs 0.4.0 or later");
	run(f, "CHECK", "0.4.0", 10, ",\"prevResult\":" PREV);
	expect_refusal(f, 11, "podswitch-agent does not answer");
}

static void test_gc(void **state)
{
	struct fixture *f = *state;
	const char *script[] = {"\"result\":{\"removed\":2}", NULL};
	struct fake_peer agent;

	fake_peer_start(&agent, f->agent, script);
	f->variables = (struct variables){.command = "GC"};
	run(f, "GC", "1.1.0", 10,
	    ",\"cni.dev/valid-attachments\":[{\"containerID\":\"a\",\"ifname\":\"eth0\"},"
	    "{\"containerID\":\"b\",\"ifname\":\"net1\"}]");
	expect_deleted(f, AT_ONCE);
	run(f, "GC", "1.1.0", 10, ",\"cni.dev/attachments\":[]");
	expect_deleted(f, AT_ONCE);
	run(f, "GC", "1.1.0", 10, "");
	expect_refusal(f, 7, "cni.dev/valid-attachments: missing");
	run(f, "GC", "1.1.0", 10, ",\"cni.dev/valid-attachments\":[{\"containerID\":\"a\"}]");
	expect_refusal(f, 7, "containerID and ifname");
	run(f, "GC", "1.0.0", 10, ",\"cni.dev/valid-attachments\":[]");
	expect_refusal(f, 1, "it needs 1.1.0 or later");
	json_t *requests = fake_peer_stop(&agent);
	expect_params(requests, 0,
		      "{\"network\":\"primary\",\"valid\":[{\"container_id\":\"a\",\"ifname\":\"eth0\"},"
		      "{\"container_id\":\"a\",\"ifname\":\"vx0\"},{\"container_id\":\"b\",\"ifname\":\"net1\"}]}");
	expect_methods(requests, "attachment.gc attachment.gc");
	run(f, "GC", "1.1.0", 10, ",\"cni.dev/valid-attachments\":[]");
	expect_refusal(f, 11, "podswitch-agent does not answer");
}

static void test_status(void **state)
{
	struct fixture *f = *state;
	static const struct {
		const char *answer, *piece;
	} cases[] = {
		{"\"result\":{\"synced\":true,\"switch\":true,\"reason\":\"\"}", NULL},
		{"\"result\":{\"synced\":false,\"switch\":true,\"reason\":\"API away\"}", "cluster yet: API away"},
		{"\"result\":{\"synced\":true,\"switch\":false}", "does not reach podswitchd on this node"},
		{"\"result\":{}", "does not reach podswitchd on this node"},
		{FAILED, "out of order"},
		{"", "podswitch-agent does not answer"},
	};

	f->variables = (struct variables){.command = "STATUS"};
	/* A node is not to be taken for not ready because of us, unless that is wanted. */
	run(f, "STATUS", "1.1.0", 10, "");
	expect_deleted(f, AT_ONCE);
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		const char *script[] = {cases[i].answer, NULL};
		struct fake_peer agent;
		fake_peer_start(&agent, f->agent, script);
		run(f, "STATUS", "1.1.0", 10, ",\"fail_status\":true");
		expect_methods(fake_peer_stop(&agent), "agent.status");
		if (cases[i].piece)
			expect_refusal(f, 50, cases[i].piece);
		else
			expect_deleted(f, AT_ONCE);
	}
	run(f, "STATUS", "1.0.0", 10, "");
	expect_refusal(f, 1, "it needs 1.1.0 or later");
}

static void test_version(void **state)
{
	struct fixture *f = *state;

	f->variables = (struct variables){.command = "VERSION"};
	run_to(f, "garbage", -1, NULL);
	expect_document(f,
			"{\"cniVersion\":\"1.1.0\",\"supportedVersions\":[\"0.3.1\",\"0.4.0\",\"1.0.0\",\"1.1.0\"]}");
}

#define test(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(test_add_waits),
		test(test_add_none),
		test(test_add_refused),
		test(test_add_times_out),
		test(test_add_without_agent),
		test(test_add_agent_restarts),
		test(test_add_silent_agent),
		test(test_add_stopped),
		test(test_del_before_add_ends),
		test(test_add_not_delivered),
		test(test_add_name_taken),
		test(test_add_malformed),
		test(test_del_which),
		test(test_del_with_podswitchd_alone),
		test(test_del_alone),
		test(test_del_failing),
		test(test_del_hung),
		test(test_del_with_nothing),
		test(test_del_slow_input),
		test(test_input_without_end),
		test(test_check),
		test(test_gc),
		test(test_status),
		test(test_known),
		test(test_known_agent_starts),
		test(test_skipped_namespace),
		test(test_version),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
