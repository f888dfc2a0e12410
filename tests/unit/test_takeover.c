/* SPDX-License-Identifier: Apache-2.0 */
/* test_takeover.c - one podswitchd hands over to another: what arrives, and what each makes of one that fails */
#include "control/base/fd_stream.c"
#include "control/daemon/takeover_give.c"
#include "control/daemon/takeover_take.c"

#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <cmocka.h>
#undef fail /* cmocka has a macro of the name of our function */

#include "tests/unit/fake_switch.h"
#include "tests/unit/shell.h"

struct fixture {
	char top[64], socket[96], state[96];
	pid_t old;
	struct vswitch *vs; /* the new one's */
	struct switch_options options;
};

static const struct address any[2];

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct failure why = {0};
	strcpy(f->top, "/dev/shm/podswitch-takeover-XXXXXX");
	assert_non_null(mkdtemp(f->top));
	snprintf(f->socket, sizeof(f->socket), "%s/control.sock", f->top);
	snprintf(f->state, sizeof(f->state), "%s/state", f->top);
	f->options = (struct switch_options)SWITCH_OPTIONS_DEFAULT;
	assert_int_equal(switch_open(&f->options, &f->vs, &why), 0);
	log_set_level(LOG_ERROR);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;
	if (f->old > 0) {
		kill(f->old, SIGKILL);
		waitpid(f->old, NULL, 0);
	}
	underlay_close(f->vs->host);
	switch_close(f->vs);
	assert_int_equal(shell_status(f->top, "rm -rf $D"), 0);
	free(f);
	return 0;
}

/* ---- the old one, in a process of its own ---- */

static void fill(struct vswitch *vs)
{
	struct gateway_config gateway = GATEWAY_CONFIG_DEFAULT;
	struct port_config port = PORT_CONFIG_DEFAULT;
	struct failure why = {0};
	struct mac mac = {{2, 0, 0, 0, 0, 9}};
	struct endpoint remote = {.address = {.family = AF_INET, .bytes = {10, 0, 0, 1}}, .port = 4789};
	strcpy(gateway.name, "a");
	gateway.underlay = UNDERLAY_POD;
	assert_int_equal(switch_gateway_add(vs, &gateway, &why), 0);
	strcpy(port.name, "p");
	strcpy(port.gateway, "a");
	strcpy(port.netns, "n");
	assert_int_equal(switch_port_add(vs, &port, false, &why), 0);
	assert_int_equal(switch_fdb_add(vs, "a", &mac, NULL, &remote, &why), 0);
	struct fake_port *added = &vs->ports[0];
	added->tap = open("/dev/null", O_RDWR);
	added->netns = open("/proc/self/ns/net", O_RDONLY);
	added->client = (struct gateway_client_status){
		.state = CLIENT_READY, .has_lease = true, .answered_at = 77, .path_answered_at = 78, .path_took = 9};
	struct dhcp_lease *lease = &added->client.lease;
	*lease = (struct dhcp_lease){.mtu = 1400,
				     .seconds = UINT32_MAX,
				     .renew_at = UINT64_MAX,
				     .rebind_at = UINT64_MAX,
				     .expires_at = UINT64_MAX};
	assert_int_equal(prefix_parse("172.16.0.20/24", &lease->address), 0);
	assert_int_equal(address_parse("172.16.0.1", &lease->router), 0);
	assert_int_equal(address_parse("172.16.0.2", &lease->server), 0);
	assert_int_equal(mac_parse("02:00:00:00:00:01", &lease->server_mac), 0);
	assert_int_equal(underlay_open(&vs->host, 47891, 2, UNDERLAY_HOST_SOURCES, any, false, &why), 0);
	assert_int_equal(underlay_open(&added->underlay, 47892, 1, UNDERLAY_POD_SOURCES, any, false, &why), 0);
}

/* Exit status 0: handed over; 3: not, and nothing is paused; 4: not, and it is. */
static void old_main(const struct fixture *f)
{
	struct methods methods = {0};
	struct vswitch *vs;
	struct state *kept;
	struct rpc *rpc;
	struct failure why = {0};
	int connection = -1;
	if (switch_open(&f->options, &vs, &why) || state_open(f->state, &kept, &why))
		_exit(9);
	fill(vs);
	methods.vs = vs;
	methods.state = kept;
	if (rpc_open(f->socket, methods_call, &methods, &rpc, &why))
		_exit(9);
	while (connection < 0) {
		struct pollfd ready = {.fd = rpc_fd(rpc), .events = POLLIN};
		(void)poll(&ready, 1, -1);
		rpc_serve(rpc);
		connection = rpc_released(rpc);
	}
	bool given = takeover_give(&methods, connection);
	_exit(given ? 0 : vs->paused ? 4 : 3);
}

static bool is_there(const char *path)
{
	struct stat status;
	return !stat(path, &status);
}

static void start_old(struct fixture *f)
{
	f->old = fork();
	if (!f->old)
		old_main(f);
	for (int i = 0; i < 3000 && !is_there(f->socket); i++)
		usleep(10000);
}

static int old_ends(struct fixture *f)
{
	int status = -1;
	assert_int_equal(waitpid(f->old, &status, 0), f->old);
	f->old = 0;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* ---- both are well ---- */

static struct takeover *begin(struct fixture *f)
{
	struct takeover *takeover;
	struct failure why = {0};
	int lock;
	assert_int_equal(takeover_begin(f->socket, &takeover, &lock, &why), 0);
	assert_non_null(takeover);
	assert_true(lock >= 0);
	struct state *kept;
	assert_int_equal(state_open_locked(f->state, lock, &kept, &why), 0);
	state_close(kept);
	assert_int_equal(takeover_receive(takeover, f->vs, &f->options, &why), 0);
	return takeover;
}

static void restore_all(struct fixture *f, struct takeover *takeover)
{
	struct gateway_config gateway = GATEWAY_CONFIG_DEFAULT;
	struct port_config port = PORT_CONFIG_DEFAULT;
	struct failure why = {0};
	bool pod;
	strcpy(gateway.name, "a");
	strcpy(port.name, "p");
	strcpy(port.gateway, "a");
	assert_true(takeover_has_gateway(takeover, "a", &pod) && pod);
	assert_false(takeover_has_gateway(takeover, "b", &pod));
	assert_int_equal(handover_take_gateway(f->vs, &gateway, pod, &why), 0);
	assert_null(takeover_find_port(takeover, "q"));
	struct handed_port *handed = takeover_find_port(takeover, "p");
	assert_non_null(handed);
	assert_int_equal(handed->n_vteps, 1);
	assert_int_equal(handed->vteps[0].bytes[3], 7);
	assert_int_equal(handover_take_port(f->vs, &port, handed, &why), 0);
	assert_null(takeover_find_port(takeover, "p")); /* once only */
	takeover_restored(takeover, f->vs);
}

static void close_port(struct fake_port *port)
{
	close(port->tap);
	close(port->netns);
	underlay_close(port->underlay);
}

static void everything_arrives(void **state)
{
	struct fixture *f = *state;
	struct failure why = {0};
	start_old(f);
	struct takeover *takeover = begin(f);
	restore_all(f, takeover);
	assert_int_equal(f->vs->learned, 0); /* the entry is a static one */
	assert_int_equal(f->vs->host->port, 47891);
	assert_int_equal(f->vs->host->receivers, 2);
	const struct fake_port *port = &f->vs->ports[0];
	assert_int_equal(port->underlay->port, 47892);
	assert_true(port->client.has_lease && port->client.state == CLIENT_READY);
	assert_int_equal(port->client.lease.address.length, 24);
	assert_int_equal(port->client.lease.server.bytes[3], 2);
	assert_int_equal(port->client.lease.server_mac.bytes[5], 1);
	assert_int_equal(port->client.lease.mtu, 1400);
	assert_true(port->client.lease.expires_at == UINT64_MAX);
	assert_int_equal(port->client.path_answered_at, 78);
	f->vs->paused = true;
	assert_int_equal(takeover_commit(takeover, f->vs, &why), 0);
	assert_false(f->vs->paused);
	assert_true(port->counters.rx_frames == 5000000000 && port->counters.drops[1] == 9);
	takeover_end(takeover, NULL);
	assert_int_equal(old_ends(f), 0);
	close_port(&f->vs->ports[0]);
}

static void nobody_is_there(void **state)
{
	struct fixture *f = *state;
	struct takeover *takeover;
	struct failure why = {0};
	int lock;
	assert_int_equal(takeover_begin(f->socket, &takeover, &lock, &why), 0);
	assert_null(takeover);
	assert_int_equal(lock, -1);
}

/* ---- the new one fails ---- */

static void given_up(void **state)
{
	struct fixture *f = *state;
	start_old(f);
	takeover_end(begin(f), "no room");
	assert_int_equal(old_ends(f), 3);
}

static void given_up_late(void **state)
{
	struct fixture *f = *state;
	struct failure why = {0};
	start_old(f);
	struct takeover *takeover = begin(f);
	assert_int_equal(fd_stream_send(&takeover->stream, json_pack("{s:b}", "commit", 1), NULL, 0, &why), 0);
	assert_int_equal(wait_for(takeover, f->vs, "yours", &why), 0);
	takeover_end(takeover, NULL);
	assert_int_equal(old_ends(f), 3);
}

/* ---- the old one says something else ---- */

/* Answers the request, and sends these bytes once the new one says go. */
static void speak(const char *path, const char *answer, const char *bytes, const int *fds, size_t n)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	char heard[256];
	struct failure why = {0};
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	int listener = socket(AF_UNIX, SOCK_STREAM, 0);
	if (bind(listener, (struct sockaddr *)&address, sizeof(address)) || listen(listener, 1))
		_exit(9);
	struct fd_stream stream = {.socket = accept(listener, NULL, NULL), .deadline = clock_ms() + 20000};
	if (read(stream.socket, heard, sizeof(heard)) <= 0 || write(stream.socket, answer, strlen(answer)) < 0 ||
	    read(stream.socket, heard, sizeof(heard)) <= 0)
		_exit(0);
	_exit(stream_send_all(&stream, bytes, strlen(bytes), fds, n, &why) ? 1 : 0);
}

#define ANSWER "{\"jsonrpc\": \"2.0\", \"id\": 1, \"result\": {}}\n"
#define HELLO "{\"hello\": {\"protocol\": 1, \"pid\": 5, \"version\": \"9\"}}\n"

static void refuses(struct fixture *f, const char *bytes, size_t n_fds, const char *text)
{
	int fds[FD_STREAM_MAX], lock;
	struct takeover *takeover;
	struct failure why = {0};
	for (size_t i = 0; i < n_fds; i++)
		fds[i] = STDERR_FILENO;
	unlink(f->socket);
	f->old = fork();
	if (!f->old)
		speak(f->socket, ANSWER, bytes, fds, n_fds);
	for (int i = 0; i < 3000 && !is_there(f->socket); i++)
		usleep(10000);
	int error = -ECONNREFUSED;
	for (int i = 0; i < 3000; i++) { /* between bind and listen */
		error = takeover_begin(f->socket, &takeover, &lock, &why);
		if (error || takeover)
			break;
		usleep(10000);
	}
	if (!error)
		error = takeover_receive(takeover, f->vs, &f->options, &why);
	assert_true(error < 0);
	if (!strstr(why.text, text))
		print_error("%s: \"%s\" instead of \"%s\"\n", bytes, why.text, text);
	assert_non_null(strstr(why.text, text));
	takeover_end(takeover, NULL);
	(void)old_ends(f);
}

static void nonsense_is_refused(void **state)
{
	struct fixture *f = *state;
	int before = shell_status("/", "exit $(ls /proc/$PPID/fd | wc -l)");
	refuses(f, "{}\n", 0, "hands over in another way");
	refuses(f, "{\"hello\": {\"protocol\": 2}}\n", 0, "hands over in another way");
	refuses(f, "[]\n", 0, "no JSON object");
	refuses(f, "\n", 0, "no JSON object");
	refuses(f, "{\"hello\": {\"protocol\": 1, \"locked\": true}}\n", 0, "descriptors are missing");
	refuses(f, HELLO, 0, "hung up");
	refuses(f, HELLO "{\"unknown\": 1}\n", 0, "hung up");
	refuses(f, HELLO "{\"gateway\": {\"name\": \"../x\"}}\n", 0, "describes a gateway");
	refuses(f, HELLO "{\"gateway\": 7}\n", 0, "describes a gateway");
	refuses(f, HELLO "{\"port\": {}}\n", 3, "describes a port");
	refuses(f, HELLO "{\"port\": {\"name\": \"p\"}}\n", 1, "descriptors are missing: 1 of 2");
	refuses(f, HELLO "{\"port\": {\"name\": \"p\", \"sockets\": 3}}\n", 2, "describes sockets");
	refuses(f, HELLO "{\"host\": {\"port\": 4789, \"receivers\": 17, \"sources\": 1}}\n", 20, "describes sockets");
	refuses(f, HELLO "{\"host\": {\"port\": 4789, \"receivers\": 1, \"sources\": 1}}\n", 2, "missing: 2 of 3");
	refuses(f, HELLO "{\"host\": {\"port\": 4789, \"receivers\": 1, \"sources\": 1}}\n", 3, "bound to another");
	refuses(f, HELLO "{\"host\": {\"port\": 0, \"receivers\": 1, \"sources\": 1}}\n", 3, "describes sockets");
	assert_int_equal(shell_status("/", "exit $(ls /proc/$PPID/fd | wc -l)"), before);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(everything_arrives, set_up, tear_down),
		cmocka_unit_test_setup_teardown(nobody_is_there, set_up, tear_down),
		cmocka_unit_test_setup_teardown(given_up, set_up, tear_down),
		cmocka_unit_test_setup_teardown(given_up_late, set_up, tear_down),
		cmocka_unit_test_setup_teardown(nonsense_is_refused, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
