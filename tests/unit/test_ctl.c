/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_ctl.c - podswitchctl: command line to JSON, JSON to tables, and what happens when podswitchd misbehaves
 *
 * A fake podswitchd, a thread behind a temporary socket, keeps the requests it got and answers from a script.
 */
#include "control/base/client.c"
#include "control/ctl/command_line.c"
#include "control/ctl/ctl.h"
#include "control/ctl/table.c"

#include "control/ctl/stats.c" /* last: its names are short */

#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cmocka.h>

/* ---- the fake podswitchd ---- */

/*
 * A line of the script is what stands behind the id in the answer ("\"result\":[]"); with '!' in front it is sent as it
 * is; "" closes the connection; "?" never answers. At the end of the script the connection is closed.
 */
struct fake {
	char folder[32];
	char path[64];
	int listener;
	pthread_t thread;
	const char *const *script;
	bool slowly; /* a byte a write */
	json_t *requests;
};

struct outcome {
	int status;
	char *out;
	char *err;
};

static void fake_send(const struct fake *fake, int fd, const char *text)
{
	size_t length = strlen(text), step = fake->slowly ? 1 : length;
	for (size_t sent = 0; sent < length; sent += step)
		if (send(fd, text + sent, step, MSG_NOSIGNAL) < 0)
			return;
}

static bool fake_answer(struct fake *fake, int fd, const char *line, const char *script)
{
	json_t *request = json_loads(line, 0, NULL);
	json_array_append_new(fake->requests, request);
	if (!*script)
		return false;
	if (*script == '!') {
		fake_send(fake, fd, script + 1);
		return true;
	}
	if (*script == '?')
		return true;
	char *text;
	assert_true(asprintf(&text, "{\"jsonrpc\":\"2.0\",\"id\":%lld,%s}\n",
			     (long long)json_integer_value(json_object_get(request, "id")), script) > 0);
	fake_send(fake, fd, text);
	free(text);
	return true;
}

static void *fake_serve(void *argument)
{
	struct fake *fake = argument;
	int fd = accept(fake->listener, NULL, NULL);
	unlink(fake->path); /* a test that fails leaves nothing behind either */
	rmdir(fake->folder);
	FILE *in = fdopen(fd, "r");
	char *line = NULL;
	size_t size = 0;
	for (const char *const *script = fake->script; in && *script; script++)
		if (getline(&line, &size, in) < 0 || !fake_answer(fake, fd, line, *script))
			break;
	while (in && fake->script[0] && fake->script[0][0] == '?' && getline(&line, &size, in) >= 0)
		continue; /* keep the silent one open until the client has had enough */
	free(line);
	if (in)
		fclose(in);
	return NULL;
}

static void fake_start(struct fake *fake, const char *const *script)
{
	bool slowly = fake->slowly;
	*fake = (struct fake){
		.folder = "/dev/shm/ctl-XXXXXX", .script = script, .requests = json_array(), .slowly = slowly};
	assert_non_null(mkdtemp(fake->folder));
	snprintf(fake->path, sizeof(fake->path), "%s/s", fake->folder);
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", fake->path);
	fake->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(fake->listener, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(fake->listener, 5), 0);
	assert_int_equal(pthread_create(&fake->thread, NULL, fake_serve, fake), 0);
}

static void fake_stop(struct fake *fake)
{
	shutdown(fake->listener, SHUT_RDWR); /* ends an accept() that nobody came for */
	pthread_join(fake->thread, NULL);
	close(fake->listener);
	unlink(fake->path);
	rmdir(fake->folder);
	json_decref(fake->requests);
}

/* Splits at blanks; '' is an empty argument. */
static char **split(char *line, char *argv[static 32])
{
	size_t n = 0;
	for (char *word = strtok(line, " "); word && n < 31; word = strtok(NULL, " "))
		argv[n++] = strcmp(word, "''") ? word : word + 2;
	argv[n] = NULL;
	return argv;
}

static struct outcome run_line(const char *socket, const char *words)
{
	struct outcome outcome;
	size_t out_size, err_size;
	char line[512], *argv[32];
	if (socket)
		setenv("PODSWITCH_SOCKET", socket, 1);
	else
		unsetenv("PODSWITCH_SOCKET");
	snprintf(line, sizeof(line), "%s", words);
	FILE *out = open_memstream(&outcome.out, &out_size);
	FILE *err = open_memstream(&outcome.err, &err_size);
	outcome.status = ctl_main(split(line, argv), out, err);
	fclose(out);
	fclose(err);
	return outcome;
}

static void outcome_free(struct outcome *outcome)
{
	free(outcome->out);
	free(outcome->err);
}

static void expect(const struct outcome *outcome, int status, const char *out, const char *err)
{
	assert_string_equal(outcome->err, err);
	assert_string_equal(outcome->out, out);
	assert_int_equal(outcome->status, status);
}

/* One call, one answer, and what must come out. */
static void check_answer(const char *words, const char *answer, int status, const char *out, const char *err)
{
	const char *script[] = {answer, NULL};
	struct fake fake = {0};
	fake_start(&fake, script);
	struct outcome outcome = run_line(fake.path, words);
	expect(&outcome, status, out, err);
	outcome_free(&outcome);
	fake_stop(&fake);
}

/* ---- the command line ---- */

static void check_request(const char *words, const char *method, const char *params)
{
	const char *script[] = {"\"result\":{}", NULL};
	struct fake fake = {0};
	fake_start(&fake, script);
	struct outcome outcome = run_line(fake.path, words);
	expect(&outcome, 0, "", "");
	const json_t *request = json_array_get(fake.requests, 0);
	json_t *expected = json_loads(params, 0, NULL);
	assert_non_null(expected);
	assert_string_equal(json_string_value(json_object_get(request, "jsonrpc")), "2.0");
	assert_string_equal(json_string_value(json_object_get(request, "method")), method);
	if (!json_equal(json_object_get(request, "params"), expected))
		fail_msg("%s: sent %s", words, json_dumps(json_object_get(request, "params"), JSON_COMPACT));
	json_decref(expected);
	outcome_free(&outcome);
	fake_stop(&fake);
}

static void test_requests(void **state)
{
	(void)state;
	check_request("gateway add a --vni 42", "gateway.add", "{\"name\":\"a\",\"vni\":42}");
	check_request("gateway add --vni=42 --remote 10.0.0.2 a --remote=[fd00::2]:4790 --port 4790 --underlay pod "
		      "--mtu 1400 "
		      "--learning off --isolate on --allow 10.0.0.0/8",
		      "gateway.add",
		      "{\"name\":\"a\",\"vni\":42,\"remote\":[\"10.0.0.2\",\"[fd00::2]:4790\"],\"port\":4790,"
		      "\"underlay\":\"pod\",\"mtu\":1400,\"learning\":\"off\",\"isolate\":\"on\",\"allow\":[\"10.0.0.0/"
		      "8\"]}");
	check_request("gateway add --vni -1 -- -a", "gateway.add", "{\"name\":\"-a\",\"vni\":-1}");
	check_request("gateway set a --remote ''", "gateway.set", "{\"name\":\"a\",\"remote\":[]}");
	check_request("gateway set --allow= a", "gateway.set", "{\"name\":\"a\",\"allow\":[]}");
	check_request("gateway remove a --force", "gateway.remove", "{\"name\":\"a\",\"force\":true}");
	check_request("gateway remove a", "gateway.remove", "{\"name\":\"a\"}");
	check_request(
		"port add p --gateway a --netns 123 --ifname vx1 --mac 02:00:00:00:00:01 --address 172.16.0.2/24 "
		"--address fd00::2/64 --dhcp --default-via 172.16.0.1 --route 10.0.0.0/8 "
		"--route 10.1.0.0/16,172.16.0.1 --mtu 1400",
		"port.add",
		"{\"name\":\"p\",\"gateway\":\"a\",\"netns\":\"123\",\"ifname\":\"vx1\","
		"\"mac\":\"02:00:00:00:00:01\",\"address\":[\"172.16.0.2/24\",\"fd00::2/64\"],\"dhcp\":true,"
		"\"default_via\":\"172.16.0.1\",\"route\":[\"10.0.0.0/8\",\"10.1.0.0/16,172.16.0.1\"],\"mtu\":1400}");
	check_request("port set --gateway b p", "port.set", "{\"name\":\"p\",\"gateway\":\"b\"}");
	check_request("port set p --default-via ''", "port.set", "{\"name\":\"p\",\"default_via\":\"\"}");
	check_request("port remove p", "port.remove", "{\"name\":\"p\"}");
	check_request("fdb add --gateway a --mac 02:00:00:00:00:01 --port p", "fdb.add",
		      "{\"gateway\":\"a\",\"mac\":\"02:00:00:00:00:01\",\"port\":\"p\"}");
	check_request("fdb add --gateway a --mac 02:00:00:00:00:01 --remote 10.0.0.2:1", "fdb.add",
		      "{\"gateway\":\"a\",\"mac\":\"02:00:00:00:00:01\",\"remote\":\"10.0.0.2:1\"}");
	check_request("fdb remove --mac m --gateway a", "fdb.remove", "{\"gateway\":\"a\",\"mac\":\"m\"}");
}

static void check_usage(const char *words, const char *err)
{
	char line[256];
	snprintf(line, sizeof(line), "podswitchctl: %s --help\n", err);
	struct outcome outcome = run_line("/nonexistent/s", words);
	expect(&outcome, 2, "", line);
	outcome_free(&outcome);
}

static void test_wrong_usage(void **state)
{
	(void)state;
	check_usage("", "no object given; see podswitchctl");
	check_usage("gw list", "unknown object 'gw'; see podswitchctl");
	check_usage("gateway", "gateway wants a command: add, set, list, show, remove; see podswitchctl gateway");
	check_usage("fdb lst", "unknown command 'lst' after fdb (list, add, remove, flush); see podswitchctl fdb");
	check_usage("--foo", "unknown option '--foo'; see podswitchctl");
	check_usage("-x status", "unknown option '-x'; see podswitchctl");
	check_usage("- status", "unknown option '-'; see podswitchctl");
	check_usage("-js x status", "unknown option '-js'; see podswitchctl");
	check_usage("status -s", "-s wants SOCKET; see podswitchctl status");
	check_usage("--vni 1 gateway add a", "unknown option '--vni'; see podswitchctl");
	check_usage("gateway add", "NAME is missing; see podswitchctl gateway add");
	check_usage("gateway add a", "--vni is missing; see podswitchctl gateway add");
	check_usage("gateway add a b", "unexpected argument 'b'; see podswitchctl gateway add");
	check_usage("gateway add a --vni x", "--vni wants a whole number, not 'x'; see podswitchctl gateway add");
	check_usage("gateway add a --vni ''", "--vni wants a whole number, not ''; see podswitchctl gateway add");
	check_usage("gateway add a --vni 4x", "--vni wants a whole number, not '4x'; see podswitchctl gateway add");
	check_usage("gateway add a --vni 99999999999999999999",
		    "--vni wants a whole number, not '99999999999999999999'; see podswitchctl gateway add");
	check_usage("gateway add a --vni 1 --vni=2", "--vni is given twice; see podswitchctl gateway add");
	check_usage("gateway add a --vni", "--vni wants N; see podswitchctl gateway add");
	check_usage("gateway add a --vn 1", "unknown option '--vn'; see podswitchctl gateway add");
	check_usage("gateway add a --vni 1 --remote ''", "--remote is empty; see podswitchctl gateway add");
	check_usage("gateway set a --remote '' --remote b",
		    "an empty --remote clears the list and stands alone; see podswitchctl gateway set");
	check_usage("gateway set a --remote b --remote ''",
		    "an empty --remote clears the list and stands alone; see podswitchctl gateway set");
	check_usage("gateway set a --remote \xff",
		    "the value of --remote is not UTF-8 text; see podswitchctl gateway set");
	check_usage("gateway set \xff", "the value of NAME is not UTF-8 text; see podswitchctl gateway set");
	check_usage("gateway remove a --force=on", "--force takes no value; see podswitchctl gateway remove");
	check_usage("port add p --gateway --netns n",
		    "--gateway wants GATEWAY, but '--netns' follows; see podswitchctl port add");
	check_usage("port add p --gateway a", "--netns is missing; see podswitchctl port add");
	check_usage("fdb add --gateway a --mac m", "--port or --remote is missing; see podswitchctl fdb add");
	check_usage("fdb add --gateway a --mac m --port p --remote r",
		    "--port and --remote exclude each other; see podswitchctl fdb add");
	check_usage("status now", "unexpected argument 'now'; see podswitchctl status");
	check_usage("status --json=1", "--json takes no value; see podswitchctl status");
}

static void check_help(const char *words, const char *part)
{
	struct outcome outcome = run_line("/nonexistent/s", words);
	if (!strstr(outcome.out, part))
		fail_msg("%s: no '%s' in: %s", words, part, outcome.out);
	assert_string_equal(outcome.err, "");
	assert_int_equal(outcome.status, 0);
	outcome_free(&outcome);
}

static void test_help(void **state)
{
	(void)state;
	check_help("--help", "usage: podswitchctl [-s SOCKET] [-j] OBJECT COMMAND");
	check_help("--help", "\n  fdb flush                  forgets");
	check_help("-h", "\n  monitor                    prints");
	check_help("port --help", "\n  port show NAME ");
	check_help("gateway add --help", "add NAME --vni N [OPTIONS]\n");
	check_help("gateway add --help", "\n  --remote ADDRESS[:PORT]    where");
	check_help("gateway add a --vni 1 --help", "\n  --allow CIDR ");
	check_help("gateway set --help", "an empty one ('') clears it");
	check_help("fdb add --help", "--gateway GATEWAY --mac MAC (--port ... | --remote ...)");
	check_help("stats --help", "\n  --watch ");
	check_help("--version", "podswitchctl " PODSWITCH_VERSION "\n");
	check_help("-V", "podswitchctl " PODSWITCH_VERSION "\n");
}

/* ---- tables ---- */

static char *print_to_text(const struct table *table)
{
	char *text;
	size_t size;
	FILE *out = open_memstream(&text, &size);
	assert_int_equal(table_print(table, out), 0);
	fclose(out);
	return text;
}

static void test_table(void **state)
{
	static const struct table_column columns3[] = {{"NAME", false}, {"N", true}, {"LAST", false}};
	(void)state;
	struct table table;
	table_open(&table, columns3, 3);
	char *text = print_to_text(&table);
	assert_string_equal(text, "NAME  N  LAST\n");
	free(text);
	table_add(&table, "a");
	table_add_number(&table, 12345);
	table_add(&table, "x");
	table_add(&table, "l\xc3\xa4nger\n\x1b[2J");
	table_add_number(&table, -7);
	table_add(&table, "");
	text = print_to_text(&table);
	assert_string_equal(text, "NAME             N  LAST\n"
				  "a            12345  x\n"
				  "l\xc3\xa4nger??[2J     -7  -\n");
	free(text);
	table_close(&table);
}

static void check_cell(const char *json, const char *expected)
{
	struct table table;
	json_t *value = json_loads(json, JSON_DECODE_ANY, NULL);
	assert_non_null(value);
	table_open_pairs(&table);
	table_add_json(&table, value);
	assert_string_equal(table.text, expected);
	table_close(&table);
	json_decref(value);
}

static void test_cells(void **state)
{
	(void)state;
	check_cell("null", "-");
	check_cell("\"\"", "-");
	check_cell("[]", "-");
	check_cell("0", "0");
	check_cell("9223372036854775807", "9223372036854775807");
	check_cell("1.25", "1.2");
	check_cell("true", "on");
	check_cell("false", "off");
	check_cell("[\"a\",\"b\",3]", "a,b,3");
	check_cell("{\"address\":\"10.0.0.2\",\"port\":4789,\"state\":\"learned\"}", "10.0.0.2:4789");
	check_cell("{\"address\":\"fd00::2\",\"port\":4789}", "[fd00::2]:4789");
	check_cell("{\"address\":\"fd00::2\"}", "fd00::2");
	check_cell("{\"x\":1}", "{\"x\":1}");
}

/* Around the size at which a cell no longer fits the small buffer, in one element and in many. */
static void test_long_cells(void **state)
{
	(void)state;
	for (size_t length = 250; length < 262; length++) {
		char json[320], expected[320];
		snprintf(json, sizeof(json), "[\"%0*d\"]", (int)length, 0);
		snprintf(expected, sizeof(expected), "%0*d", (int)length, 0);
		check_cell(json, expected);
		snprintf(json, sizeof(json), "[\"%0*d\",\"bc\",\"d\"]", (int)length - 5, 0);
		snprintf(expected, sizeof(expected), "%0*d,bc,d", (int)length - 5, 0);
		check_cell(json, expected);
	}
}

/* ---- answers ---- */

static void test_gateway_list(void **state)
{
	(void)state;
	check_answer("gateway list", "\"result\":[]", 0, "NAME  VNI  PORT  UNDERLAY  MTU  PORTS  REMOTES\n", "");
	check_answer("gateway list",
		     "\"result\":[{\"name\":\"a\",\"vni\":42,\"port\":4789,\"underlay\":\"host\",\"remotes\":["
		     "{\"address\":\"10.0.0.2\",\"port\":4789,\"state\":\"configured\"},"
		     "{\"address\":\"fd00::2\",\"port\":4790,\"state\":\"configured\"}],\"mtu\":1450,\"ports\":2},"
		     "{\"name\":\"hub-side\",\"vni\":16777215,\"port\":4789,\"underlay\":\"pod\",\"remotes\":[],"
		     "\"mtu\":1430,"
		     "\"ports\":0}]",
		     0,
		     "NAME           VNI  PORT  UNDERLAY   MTU  PORTS  REMOTES\n"
		     "a               42  4789  host      1450      2  10.0.0.2:4789,[fd00::2]:4790\n"
		     "hub-side  16777215  4789  pod       1430      0  -\n",
		     "");
}

static void test_gateway_show(void **state)
{
	(void)state;
	check_answer(
		"gateway show a",
		"\"result\":{\"name\":\"a\",\"vni\":42,\"port\":4789,\"underlay\":\"host\",\"remotes\":["
		"{\"address\":\"10.0.0.2\",\"port\":4789,\"state\":\"configured\",\"egress\":\"underlay_tap\"},"
		"{\"address\":\"fd00::2\",\"port\":4789,\"state\":\"local\",\"egress\":\"sockets\"}],\"mtu\":1450,"
		"\"ports\":2,"
		"\"learning\":true,\"isolate\":false,\"allow\":[],\"counters\":{\"encap_frames\":3,"
		"\"encap_bytes\":1536,\"tx_datagrams\":3,\"tx_bytes\":10485760,\"rx_datagrams\":0,\"rx_bytes\":1023,"
		"\"drops\":{\"runt\":0,\"too_big\":5}}}",
		0,
		"name:          a\n"
		"vni:           42\n"
		"port:          4789\n"
		"underlay:      host\n"
		"mtu:           1450\n"
		"learning:      on\n"
		"isolate:       off\n"
		"allow:         -\n"
		"ports:         2\n"
		"remote:        10.0.0.2:4789 (configured, by underlay_tap)\n"
		"remote:        [fd00::2]:4789 (local)\n"
		"encap_frames:  3\n"
		"encap_bytes:   1536 (1.5 KiB)\n"
		"tx_datagrams:  3\n"
		"tx_bytes:      10485760 (10.0 MiB)\n"
		"rx_datagrams:  0\n"
		"rx_bytes:      1023\n"
		"drop too_big:  5\n",
		"");
	check_answer("gateway show a", "\"result\":{\"name\":\"a\"}", 0, "name:    a\nremote:  -\n", "");
}

#define PORT                                                                                                           \
	"{\"name\":\"p1\",\"gateway\":\"a\",\"netns\":\"/proc/7/ns/net\",\"ifname\":\"vx0\","                          \
	"\"mac\":\"02:00:00:00:00:01\",\"mtu\":1450,\"addresses\":[\"172.16.0.2/24\"],\"underlay\":\"host\","          \
	"\"state\":\"up\",\"worker\":0,\"default_via\":null,\"routes\":[],\"counters\":{\"rx_frames\":10,"             \
	"\"rx_bytes\":1000,\"tx_frames\":20,\"tx_bytes\":2048,\"drops\":{\"vlan\":1,\"runt\":2,\"ecn\":0}}}"

static void test_ports(void **state)
{
	(void)state;
	check_answer("port list", "\"result\":[" PORT "]", 0,
		     "NAME  STATE  GATEWAY  NETNS           IFNAME  MAC                 MTU  UNDERLAY  ADDRESSES      "
		     "RX-FRAMES  TX-FRAMES  DROPS\n"
		     "p1    up     a        /proc/7/ns/net  vx0     02:00:00:00:00:01  1450  host      172.16.0.2/24  "
		     "       10         20      3\n",
		     "");
	check_answer("port show p1", "\"result\":" PORT, 0,
		     "name:         p1\n"
		     "state:        up\n"
		     "gateway:      a\n"
		     "netns:        /proc/7/ns/net\n"
		     "ifname:       vx0\n"
		     "mac:          02:00:00:00:00:01\n"
		     "mtu:          1450\n"
		     "underlay:     host\n"
		     "worker:       0\n"
		     "addresses:    172.16.0.2/24\n"
		     "default_via:  -\n"
		     "routes:       -\n"
		     "rx_frames:    10\n"
		     "rx_bytes:     1000\n"
		     "tx_frames:    20\n"
		     "tx_bytes:     2048 (2.0 KiB)\n"
		     "drop vlan:    1\n"
		     "drop runt:    2\n",
		     "");
}

/* Settings may stand one level down, as they are given to port.add. */
static void test_port_config(void **state)
{
	(void)state;
	check_answer("port show p1",
		     "\"result\":{\"name\":\"p1\",\"config\":{\"default_via\":\"172.16.0.1\","
		     "\"route\":[\"10.0.0.0/8\",\"10.1.0.0/16,172.16.0.1\"]}}",
		     0,
		     "name:         p1\n"
		     "default_via:  172.16.0.1\n"
		     "routes:       10.0.0.0/8,10.1.0.0/16,172.16.0.1\n",
		     "");
}

static void test_fdb(void **state)
{
	(void)state;
	check_answer("fdb list --gateway a",
		     "\"result\":[{\"gateway\":\"a\",\"vni\":42,\"mac\":\"02:00:00:00:00:01\",\"port\":\"p1\","
		     "\"kind\":\"local\",\"age\":0},{\"gateway\":\"a\",\"vni\":42,\"mac\":\"02:00:00:00:00:02\","
		     "\"remote\":\"10.0.0.2:4789\",\"kind\":\"learned\",\"age\":12}]",
		     0,
		     "GATEWAY  VNI  MAC                PORT  REMOTE         KIND     AGE\n"
		     "a         42  02:00:00:00:00:01  p1    -              local      -\n"
		     "a         42  02:00:00:00:00:02  -     10.0.0.2:4789  learned  12s\n",
		     "");
	check_answer("fdb flush", "\"result\":{\"forgotten\":12}", 0, "12 learned entries forgotten\n", "");
	check_answer("fdb flush", "\"result\":1", 0, "1 learned entry forgotten\n", "");
}

#define STATS(uptime, frames, drops)                                                                                   \
	"{\"uptime\":" uptime ",\"workers\":[{\"rounds\":5,\"events\":" frames                                         \
	",\"starved\":0}],\"drops\":{\"runt\":0,\"too_big\":" drops "},\"gateways\":{\"a\":{\"encap_frames\":" frames  \
	",\"encap_bytes\":0,\"tx_datagrams\":0,\"tx_bytes\":0,\"rx_datagrams\":0,\"rx_bytes\":0,\"drops\":{\"too_"     \
	"big\":" drops "}}},\"fdb\":{\"entries\":7,\"refused\":1}}"

static void test_stats(void **state)
{
	(void)state;
	check_answer("stats", "\"result\":" STATS("93784.5", "30", "4"), 0,
		     "uptime 93784.5 s (1d 02:03:04)\n"
		     "fdb    7 entries, 1 refused\n"
		     "\n"
		     "WORKER  ROUNDS  EVENTS  STARVED\n"
		     "     0       5      30        0\n"
		     "\n"
		     "GATEWAY  ENCAP-FRAMES  ENCAP-BYTES  TX-DATAGRAMS  TX-BYTES  RX-DATAGRAMS  RX-BYTES  DROPS\n"
		     "a                  30            0             0         0             0         0      4\n"
		     "\n"
		     "DROP     COUNT\n"
		     "too_big      4\n",
		     "");
	check_answer("stats", "\"result\":{\"uptime\":3,\"fdb_entries\":2,\"fdb_refused\":0,\"drops\":{}}", 0,
		     "uptime 3.0 s\nfdb    2 entries, 0 refused\n\nno drops\n", "");
	check_answer("stats", "\"result\":{\"uptime\":3}", 0, "uptime 3.0 s\n\nno drops\n", "");
}

static char *report(const char *now_text, const char *before_text)
{
	json_t *now = json_loads(now_text, 0, NULL), *before = json_loads(before_text, 0, NULL);
	char *text;
	size_t size;
	FILE *out = open_memstream(&text, &size);
	assert_non_null(now);
	assert_non_null(before);
	assert_int_equal(print_report(now, before, out), 0);
	fclose(out);
	json_decref(now);
	json_decref(before);
	return text;
}

static void test_rates(void **state)
{
	(void)state;
	char *text = report(STATS("12.0", "30", "4"), STATS("10.0", "10", "0"));
	assert_string_equal(text, "uptime 12.0 s\n"
				  "fdb    7 entries, 1 refused\n"
				  "\n"
				  "WORKER  ROUNDS/s  EVENTS/s  STARVED/s\n"
				  "     0         0        10          0\n"
				  "\n"
				  "GATEWAY  ENCAP-FRAMES/s  ENCAP-BYTES/s  TX-DATAGRAMS/s  TX-BYTES/s  RX-DATAGRAMS/s  "
				  "RX-BYTES/s  DROPS/s\n"
				  "a                    10              0               0           0               0  "
				  "         0        2\n"
				  "\n"
				  "DROP     COUNT  PER-SECOND\n"
				  "too_big      4           2\n");
	free(text);
	/* podswitchd was started anew between the two: no rate can be told. */
	text = report(STATS("1.0", "3", "0"), STATS("10.0", "10", "0"));
	assert_non_null(strstr(text, "EVENTS  STARVED\n     0       5       3        0\n"));
	assert_non_null(strstr(text, "\nno drops\n"));
	free(text);
}

static void test_status_and_version(void **state)
{
	(void)state;
	check_answer(
		"status",
		"\"result\":{\"version\":\"0.1.0\",\"pid\":7,\"kernel\":\"6.1\",\"features\":{\"read_multishot\":true,"
		"\"send_zc\":false},\"workers\":1,\"io\":{\"backend\":\"epoll\",\"why\":\"as --io says\"}}",
		0,
		"version:                 0.1.0\n"
		"pid:                     7\n"
		"kernel:                  6.1\n"
		"workers:                 1\n"
		"io:                      epoll: as --io says\n"
		"feature read_multishot:  yes\n"
		"feature send_zc:         no\n",
		"");
	check_answer("version", "\"result\":{\"version\":\"9.9\"}", 0,
		     "podswitchctl  " PODSWITCH_VERSION "\npodswitchd    9.9\n", "");
	check_answer("-j version", "\"result\":\"9.9\"", 0,
		     "{\n  \"client\": \"" PODSWITCH_VERSION "\",\n  \"daemon\": \"9.9\"\n}\n", "");
	struct outcome outcome = run_line("/nonexistent/s", "version");
	assert_int_equal(outcome.status, 0);
	assert_non_null(strstr(outcome.out, "\npodswitchd    - (no socket /nonexistent/s: "));
	outcome_free(&outcome);
}

static void test_json(void **state)
{
	(void)state;
	check_answer("-j gateway list", "\"result\":[{\"name\":\"a\"}]", 0, "[\n  {\n    \"name\": \"a\"\n  }\n]\n",
		     "");
	check_answer("gateway add a --vni 1 --json", "\"result\":{\"changed\":true}", 0, "{\n  \"changed\": true\n}\n",
		     "");
	check_answer("fdb flush -j", "\"result\":3", 0, "3\n", "");
	check_answer("gateway add a --vni 1", "\"result\":{\"changed\":true}", 0, "", "");
	check_answer("gateway add a --vni 1", "\"result\":null", 0, "", "");
}

/* ---- what goes wrong ---- */

static void test_refusals(void **state)
{
	(void)state;
	check_answer("gateway show a", "\"error\":{\"code\":-32002,\"message\":\"no gateway a\"}", 1, "",
		     "podswitchctl: no gateway a\n");
	check_answer("gateway add a --vni 0 -j",
		     "\"error\":{\"code\":-32602,\"message\":\"too\\nlarge\",\"data\":{\"key\":\"vni\"}}", 1, "",
		     "podswitchctl: vni: too large\n");
	check_answer("gateway add a --vni 0",
		     "\"error\":{\"code\":-32602,\"message\":\"vni: too large\",\"data\":{\"key\":\"vni\"}}", 1, "",
		     "podswitchctl: vni: too large\n");
	check_answer("status", "\"error\":{}", 1, "", "podswitchctl: podswitchd refused without a reason\n");
	check_answer("status", "\"foo\":1", 1, "",
		     "podswitchctl: podswitchd's answer has neither a result nor an error\n");
	check_answer("status", "!{\"jsonrpc\":\"2.0\",\"id\":null,\"error\":{\"message\":\"cannot read it\"}}\n", 1, "",
		     "podswitchctl: cannot read it\n");
}

/* The end of the error is checked, as its middle is the temporary socket's path. */
static void check_failure(const char *const *script, const char *words, const char *part)
{
	struct fake fake = {0};
	fake_start(&fake, script);
	struct outcome outcome = run_line(fake.path, words);
	if (!strstr(outcome.err, part))
		fail_msg("no '%s' in: %s", part, outcome.err);
	assert_string_equal(outcome.out, "");
	assert_int_equal(outcome.status, 1);
	outcome_free(&outcome);
	fake_stop(&fake);
}

static void test_bad_answers(void **state)
{
	(void)state;
	check_failure((const char *const[]){"", NULL}, "status", "closed the connection\n");
	check_failure((const char *const[]){"!{\"id\":1,", NULL}, "status", "closed the connection\n");
	check_failure((const char *const[]){"!HTTP/1.1 400 Bad Request\r\n", NULL}, "status",
		      "does not speak JSON-RPC: ");
	check_failure((const char *const[]){"![]\n", NULL}, "status", "does not speak JSON-RPC: ");
	check_failure((const char *const[]){"!\n", NULL}, "status", "does not speak JSON-RPC: ");
}

static void check_no_connection(const char *socket, const char *err)
{
	struct outcome outcome = run_line(socket, "status");
	expect(&outcome, 1, "", err);
	outcome_free(&outcome);
}

static void test_no_connection(void **state)
{
	(void)state;
	struct failure why;
	struct client client = {.path = "/s", .peer = "podswitchd", .hint = ""};
	char path[200];
	check_no_connection("/nonexistent/s", "podswitchctl: no socket /nonexistent/s: is podswitchd running? give its "
					      "socket with -s or PODSWITCH_SOCKET\n");
	check_no_connection("/dev/null", "podswitchctl: nobody answers on /dev/null: is podswitchd running? give its "
					 "socket with -s or PODSWITCH_SOCKET\n");
	snprintf(path, sizeof(path), "/%0150d", 0);
	check_no_connection(path, "podswitchctl: the socket's path has 151 bytes; 1 to 107 are possible\n");
	assert_int_equal(explain_connect(&client, EACCES, &why), -EACCES);
	assert_string_equal(why.text, "no permission to use /s: run this as root, or as podswitchd's user");
}

static void test_other_peer(void **state)
{
	const char *script[] = {"\"error\":{\"code\":-32020,\"message\":\"no\"}", "", NULL};
	struct client client;
	struct failure why = {0};
	struct fake fake = {0};
	json_t *result = NULL;

	(void)state;
	assert_int_equal(client_connect_to(&client, "/nonexistent/s", "the agent", 100, &why), -ENOENT);
	assert_string_equal(why.text, "no socket /nonexistent/s: is the agent running?");
	fake_start(&fake, script);
	assert_int_equal(client_connect_to(&client, fake.path, "the agent", 5000, &why), 0);
	assert_int_equal(client_call(&client, "m", NULL, &result, &why), -EREMOTEIO);
	assert_int_equal(client.refused, -32020);
	assert_string_equal(why.text, "no");
	assert_int_equal(client_call(&client, "m", NULL, &result, &why), -ECONNRESET);
	assert_non_null(strstr(why.text, "the agent on "));
	client_disconnect(&client);
	fake_stop(&fake);
}

static void test_which_socket(void **state)
{
	(void)state;
	const char *script[] = {"\"result\":[]", NULL};
	struct fake fake = {0};
	char words[128];
	fake_start(&fake, script);
	snprintf(words, sizeof(words), "gateway list -s %s", fake.path);
	struct outcome outcome = run_line("/nonexistent/s", words);
	assert_string_equal(outcome.err, "");
	assert_int_equal(outcome.status, 0);
	outcome_free(&outcome);
	fake_stop(&fake);
	outcome = run_line("/nonexistent/s", "-s/nonexistent/t status");
	assert_non_null(strstr(outcome.err, " /nonexistent/t: "));
	outcome_free(&outcome);
	outcome = run_line("/nonexistent/s", "--socket=/nonexistent/u status");
	assert_non_null(strstr(outcome.err, " /nonexistent/u: "));
	outcome_free(&outcome);
}

static void test_timeout(void **state)
{
	(void)state;
	const char *script[] = {"?", NULL};
	struct fake fake = {0};
	struct client client;
	struct failure why = {0};
	json_t *result;
	fake_start(&fake, script);
	assert_int_equal(client_connect(&client, fake.path, &why), 0);
	client.timeout = 50;
	assert_int_equal(client_call(&client, "status.get", NULL, &result, &why), -ETIMEDOUT);
	assert_non_null(strstr(why.text, "does not answer"));
	client_disconnect(&client);
	client_disconnect(&client);
	fake_stop(&fake);
}

/* Byte by byte; with events and a late answer to nobody in between; two calls on one connection. */
static void test_pieces(void **state)
{
	(void)state;
	const char *script[] = {"!{\"method\":\"monitor.event\",\"params\":{}}\n{\"id\":77,\"result\":0}\n"
				"{\"id\":1,\"result\":11}\n{\"id\":2,\"res",
				"!ult\":22}\n", NULL};
	struct fake fake = {.slowly = true};
	struct client client;
	struct failure why = {0};
	json_t *result;
	fake_start(&fake, script);
	assert_int_equal(client_connect(&client, fake.path, &why), 0);
	assert_int_equal(client_call(&client, "a", NULL, &result, &why), 0);
	assert_int_equal(json_integer_value(result), 11);
	json_decref(result);
	assert_int_equal(client_call(&client, "b", NULL, &result, &why), 0);
	assert_int_equal(json_integer_value(result), 22);
	json_decref(result);
	client_disconnect(&client);
	fake_stop(&fake);
}

static double seconds_of_processor(void)
{
	struct timespec used;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
	return (double)used.tv_sec + (double)used.tv_nsec / 1e9;
}

static void test_long_list(void **state)
{
	enum { ENTRIES = 10000 };
	(void)state;
	json_t *list = json_array();
	for (int i = 0; i < ENTRIES; i++) {
		char mac[18];
		snprintf(mac, sizeof(mac), "02:00:00:00:%02x:%02x", (unsigned)i >> 8 & 255, (unsigned)i & 255);
		json_array_append_new(list,
				      json_pack("{s:s, s:i, s:s, s:s, s:s, s:i}", "gateway", "a", "vni", 42, "mac", mac,
						"remote", "10.0.0.2:4789", "kind", "learned", "age", i % 300));
	}
	json_t *answer_object = json_pack("{s:o}", "result", list);
	char *dump = json_dumps(answer_object, JSON_COMPACT);
	dump[strlen(dump) - 1] = '\0'; /* without its braces it is a line of the script */
	const char *script[] = {dump + 1, NULL};
	struct fake fake = {0};
	fake_start(&fake, script);
	double start = seconds_of_processor();
	struct outcome outcome = run_line(fake.path, "fdb list");
	assert_true(seconds_of_processor() - start < 5); /* measured: 0.05 */
	int lines = 0;
	for (const char *c = outcome.out; *c; c++) {
		lines += *c == '\n';
		assert_false(*c == '\n' && c[-1] == ' ');
	}
	assert_int_equal(lines, ENTRIES + 1);
	assert_int_equal(outcome.status, 0);
	outcome_free(&outcome);
	fake_stop(&fake);
	free(dump);
	json_decref(answer_object);
}

/* ---- what goes on until it is stopped ---- */

/* Runs podswitchctl in a process of its own; what it prints comes out of *out. */
static pid_t spawn(const char *socket, const char *words, FILE **out)
{
	int ends[2];
	char line[256], *argv[32];
	snprintf(line, sizeof(line), "%s", words);
	assert_int_equal(pipe(ends), 0);
	pid_t child = fork();
	if (!child) {
		close(ends[0]);
		setenv("PODSWITCH_SOCKET", socket, 1);
		signal(SIGPIPE, SIG_IGN);
		_exit(ctl_main(split(line, argv), fdopen(ends[1], "w"), stderr));
	}
	close(ends[1]);
	*out = fdopen(ends[0], "r");
	return child;
}

static void expect_line(FILE *in, const char *expected)
{
	char line[256] = "";
	assert_non_null(fgets(line, sizeof(line), in));
	assert_string_equal(line, expected);
}

static void expect_exit(pid_t child, int status)
{
	int got;
	assert_int_equal(waitpid(child, &got, 0), child);
	assert_true(WIFEXITED(got));
	assert_int_equal(WEXITSTATUS(got), status);
}

#define EVENTS                                                                                                         \
	"!{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}\n"                                                              \
	"{\"method\":\"monitor.event\",\"params\":{\"event\":\"port.added\",\"name\":\"p\",\"time\":1.25}}\n"          \
	"{\"method\":\"other\",\"params\":{}}\n"                                                                       \
	"{\"method\":\"monitor.event\",\"params\":{\"event\":\"fdb.learned\",\"name\":\"a\",\"mac\":\"02:00:00:00:00:" \
	"01\","                                                                                                        \
	"\"time\":\"now\"}}\n"                                                                                         \
	"{\"method\":\"monitor.event\",\"params\":{\"event\":\"monitor.missed\",\"missed\":5}}\n"

static void test_monitor(void **state)
{
	(void)state;
	const char *script[] = {EVENTS, "?", NULL};
	struct fake fake = {0};
	FILE *out;
	setenv("TZ", "UTC", 1);
	fake_start(&fake, script);
	pid_t child = spawn(fake.path, "monitor", &out);
	expect_line(out, "1970-01-01T00:00:01.250+0000 port.added p\n");
	expect_line(out, "now fdb.learned a 02:00:00:00:00:01\n");
	expect_line(out, "- monitor.missed - 5\n");
	kill(child, SIGINT);
	expect_exit(child, 0);
	fclose(out);
	fake_stop(&fake);
}

static void test_monitor_json_and_closed_pipe(void **state)
{
	(void)state;
	const char *script[] = {EVENTS, "?", NULL};
	struct fake fake = {0};
	FILE *out;
	fake_start(&fake, script);
	pid_t child = spawn(fake.path, "-j monitor", &out);
	expect_line(out, "{\"event\":\"port.added\",\"name\":\"p\",\"time\":1.25}\n");
	fclose(out); /* it notices although nothing more happens */
	expect_exit(child, 0);
	fake_stop(&fake);
}

static void test_monitor_daemon_goes(void **state)
{
	(void)state;
	check_failure((const char *const[]){"\"result\":{}", NULL}, "monitor", "closed the connection\n");
}

static void test_watch(void **state)
{
	(void)state;
	const char *script[] = {"\"result\":{\"uptime\":5,\"workers\":[{\"rounds\":10}]}",
				"\"result\":{\"uptime\":7,\"workers\":[{\"rounds\":30}]}", "?", NULL};
	struct fake fake = {0};
	FILE *out;
	fake_start(&fake, script);
	pid_t child = spawn(fake.path, "stats --watch", &out);
	static const char *const lines[] = {"uptime 5.0 s\n",
					    "\n",
					    "WORKER  ROUNDS  EVENTS  STARVED\n",
					    "     0      10       0        0\n",
					    "\n",
					    "no drops\n",
					    "\n",
					    "uptime 7.0 s\n",
					    "\n",
					    "WORKER  ROUNDS/s  EVENTS/s  STARVED/s\n",
					    "     0        10         0          0\n"};
	for (size_t i = 0; i < COUNT(lines); i++)
		expect_line(out, lines[i]);
	kill(child, SIGTERM);
	expect_exit(child, 0);
	fclose(out);
	fake_stop(&fake);
}

static void test_watch_closed_pipe(void **state)
{
	(void)state;
	const char *script[] = {"\"result\":{\"uptime\":5}", "?", NULL};
	struct fake fake = {0};
	FILE *out;
	fake_start(&fake, script);
	pid_t child = spawn(fake.path, "-j stats --watch", &out);
	expect_line(out, "{\"uptime\":5}\n");
	fclose(out);
	expect_exit(child, 0);
	fake_stop(&fake);
}

static void test_full_disk(void **state)
{
	(void)state;
	FILE *full = fopen("/dev/full", "w");
	if (!full)
		skip();
	char help[] = "--help", *argv[] = {help, NULL}, *text;
	size_t size;
	FILE *err = open_memstream(&text, &size);
	assert_int_equal(ctl_main(argv, full, err), 1);
	fclose(err);
	fclose(full);
	assert_string_equal(text, "podswitchctl: cannot write the output: No space left on device\n");
	free(text);
}

/* The output ends in a closed pipe, at its end or (longer than the stream's buffer) in its middle: no failure. */
static void test_closed_pipe(void **state)
{
	(void)state;
	static char fat[200000];
	snprintf(fat, sizeof(fat), "\"result\":[\"%0*d\"]", (int)sizeof(fat) - 100, 0);
	const char *const answers[] = {"\"result\":[]", fat};
	const char *const lines[] = {"gateway list", "-j gateway list", "version"};
	for (size_t i = 0; i < COUNT(answers) * COUNT(lines); i++) {
		const char *script[] = {answers[i % COUNT(answers)], NULL};
		struct fake fake = {0};
		FILE *out;
		fake_start(&fake, script);
		pid_t child = spawn(fake.path, lines[i / COUNT(answers)], &out);
		fclose(out);
		expect_exit(child, 0);
		fake_stop(&fake);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_requests),
		cmocka_unit_test(test_wrong_usage),
		cmocka_unit_test(test_help),
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_cells),
		cmocka_unit_test(test_long_cells),
		cmocka_unit_test(test_gateway_list),
		cmocka_unit_test(test_gateway_show),
		cmocka_unit_test(test_ports),
		cmocka_unit_test(test_port_config),
		cmocka_unit_test(test_fdb),
		cmocka_unit_test(test_stats),
		cmocka_unit_test(test_rates),
		cmocka_unit_test(test_status_and_version),
		cmocka_unit_test(test_json),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_bad_answers),
		cmocka_unit_test(test_no_connection),
		cmocka_unit_test(test_other_peer),
		cmocka_unit_test(test_which_socket),
		cmocka_unit_test(test_timeout),
		cmocka_unit_test(test_pieces),
		cmocka_unit_test(test_long_list),
		cmocka_unit_test(test_monitor),
		cmocka_unit_test(test_monitor_json_and_closed_pipe),
		cmocka_unit_test(test_monitor_daemon_goes),
		cmocka_unit_test(test_watch),
		cmocka_unit_test(test_watch_closed_pipe),
		cmocka_unit_test(test_full_disk),
		cmocka_unit_test(test_closed_pipe),
	};
	alarm(120); /* a hang fails */
	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests_name("ctl", tests, NULL, NULL);
}
