/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_gateway_client.c - a client against a real dnsmasq and a real kernel's ARP, over a veth pair between two
 * namespaces
 *
 *   pod (the test's thread)            gateway
 *   vx0  ------------------------------ gw0  172.16.0.1/24, dnsmasq as pod-gateway runs it
 *
 * or, for what depends on it, a vxlan device at either end; the gateway's, without a remote, knows only those it has
 * heard, and whatever it broadcasts is lost.
 *
 * For the way behind the gateway there is one namespace more:
 *
 *   gw0 172.16.0.1  gateway  i0 ------------ i1  internet  198.51.100.1, TCP port 443 listens
 *
 * The client's clock is the real one plus what a test has skipped.
 */
#include "tap/gateway_client.c"

#include "tap/netns.h"

#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>

/* After our own: cmocka makes a macro of fail(). */
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "tests/unit/shell.h"
#include "tests/unit/starved.h"

#define POD_MAC "02:00:00:00:00:10"
#define RANGE "--dhcp-range=172.16.0.20,172.16.0.255,12h"

static struct netns home, gateway, pod, internet;
static struct failure why;
static char directory[64];
static pid_t server, listener;
static uint64_t skipped;
static struct gateway_client *client;
static struct gateway_client_status status;
static struct gateway_client_config config;

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000 + skipped;
}

/* A command on the gateway's side; G enters its namespace, I the one behind it, D is the test's folder. */
static int run(const char *command)
{
	char line[1024];

	snprintf(line, sizeof(line), "F=/proc/%d/fd; G=\"nsenter --net=$F/%d\"; N=$F/%d; I=\"nsenter --net=$N\"; %s",
		 getpid(), gateway.fd, internet.fd, command);
	return shell_status(directory, line);
}

static void must(const char *command)
{
	if (run(command))
		fail_msg("failed: %s", command);
}

/* Waits at most 5 s for a command to succeed. */
static void await(const char *command)
{
	for (int i = 0; i < 100; i++) {
		if (!run(command))
			return;
		poll(NULL, 0, 50);
	}
	fail_msg("never: %s", command);
}

static bool has_dnsmasq(void)
{
	return !geteuid() && !run("command -v dnsmasq >/dev/null");
}

static void serve(const char *range, const char *option)
{
	char leases[128], log[128];

	snprintf(leases, sizeof(leases), "--dhcp-leasefile=%s/leases", directory);
	snprintf(log, sizeof(log), "--log-facility=%s/log", directory);
	server = fork();
	if (!server) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (setns(gateway.fd, CLONE_NEWNET))
			_exit(1);
		execlp("dnsmasq", "dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--no-resolv",
		       "--no-hosts", "--port=0", "--user=root", "--pid-file=", "--interface=gw0", "--bind-interfaces",
		       "--log-dhcp", log, leases, range, option, (char *)NULL);
		_exit(1);
	}
	await("$G ss -Hlun 'sport = :67' | grep -q .");
}

static void stop_serving(void)
{
	if (server > 0) {
		kill(server, SIGKILL);
		waitpid(server, NULL, 0);
	}
	server = 0;
}

static int set_up_namespaces(void)
{
	why = (struct failure){0};
	skipped = 0;
	config = (struct gateway_client_config){.dhcp = true, .probe = 10000, .hostname = "app-0"};
	mac_parse(POD_MAC, &config.mac);
	strcpy(directory, "/dev/shm/podswitch-client-XXXXXX");
	if (!mkdtemp(directory) || unshare(CLONE_NEWNET) || netns_open_own(&gateway, &why) || unshare(CLONE_NEWNET) ||
	    netns_open_own(&pod, &why))
		return -1;
	must("ip link set lo up; $G ip link set lo up");
	return 0;
}

static int set_up(void **state)
{
	(void)state;
	if (geteuid() || set_up_namespaces())
		return geteuid() ? 0 : -1;
	must("$G ip link add gw0 type veth peer name vx0 address " POD_MAC " netns $PPID");
	must("$G ip addr add 172.16.0.1/24 dev gw0; $G ip link set gw0 up; ip link set vx0 up");
	return 0;
}

static int set_up_vxlan(void **state)
{
	(void)state;
	if (geteuid() || set_up_namespaces())
		return geteuid() ? 0 : -1;
	must("$G ip link add u0 type veth peer name u1 netns $PPID");
	must("$G ip addr add 10.0.0.1/24 dev u0; $G ip link set u0 up; ip addr add 10.0.0.2/24 dev u1; ip link set u1 "
	     "up");
	must("$G ip link add gw0 type vxlan id 42 dstport 8472 dev u0; $G ip addr add 172.16.0.1/24 dev gw0");
	must("ip link add vx0 address " POD_MAC " type vxlan id 42 dstport 8472 dev u1 remote 10.0.0.1");
	must("$G ip link set gw0 up; ip link set vx0 up");
	return 0;
}

/* A process in the namespace behind the gateway that accepts connections. */
static void listen_behind(void)
{
	listener = fork();
	if (!listener) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (setns(internet.fd, CLONE_NEWNET))
			_exit(1);
		execlp("socat", "socat", "TCP-LISTEN:443,fork,reuseaddr", "/dev/null", (char *)NULL);
		_exit(1);
	}
	await("$I ss -Hltn 'sport = :443' | grep -q .");
}

static int set_up_behind(void **state)
{
	if (geteuid())
		return 0;
	if (set_up(state) || unshare(CLONE_NEWNET) || netns_open_own(&internet, &why) || setns(pod.fd, CLONE_NEWNET))
		return -1;
	must("$G ip link add i0 type veth peer name i1 netns $N; $G ip addr add 10.9.0.1/24 dev i0; $G ip link set i0 "
	     "up");
	must("$I ip addr add 10.9.0.2/24 dev i1; $I ip link set i1 up; $I ip link set lo up; "
	     "$I ip addr add 198.51.100.1/32 dev lo; $I ip route add 172.16.0.0/24 via 10.9.0.1; "
	     "$G ip route add 198.51.100.0/24 via 10.9.0.2; $G sysctl -qw net.ipv4.ip_forward=1");
	must("ip addr add 172.16.0.9/24 dev vx0; ip route add default via 172.16.0.1");
	listen_behind();
	return 0;
}

static void forward(bool on)
{
	must(on ? "$G nft delete table ip stop"
		: "$G nft 'add table ip stop; add chain ip stop f { type filter hook forward priority 0; policy drop; "
		  "}'");
}

static int tear_down(void **state)
{
	(void)state;
	if (geteuid())
		return 0;
	gateway_client_close(client);
	client = NULL;
	stop_serving();
	if (listener > 0) {
		kill(listener, SIGKILL);
		waitpid(listener, NULL, 0);
		netns_close(&internet);
	}
	listener = 0;
	must("rm -rf \"$D\"");
	netns_close(&gateway);
	netns_close(&pod);
	return setns(home.fd, CLONE_NEWNET);
}

#define NEED(what, condition)                                                                                          \
	do {                                                                                                           \
		if (!(condition)) {                                                                                    \
			print_message("skipped: needs " what "\n");                                                    \
			skip();                                                                                        \
		}                                                                                                      \
	} while (0)

static void begin(const struct address *hint)
{
	if (gateway_client_open(&client, "vx0", &config, hint, now_ms(), &why))
		fail_msg("client_open: %s", why.text);
}

static unsigned turn(void)
{
	unsigned events = gateway_client_turn(client, now_ms());

	gateway_client_report(client, &status);
	/* What the port does with a lease; the gateway's kernel asks for the address before it answers a renewal. */
	if (events & CLIENT_UNLEASED)
		must("ip addr flush dev vx0");
	if ((events & CLIENT_LEASE) && status.has_lease) {
		char text[ADDRESS_TEXT], command[128];

		snprintf(command, sizeof(command), "ip addr flush dev vx0; ip addr add %s dev vx0",
			 prefix_format(&status.lease.address, text));
		must(command);
	}
	return events;
}

/* Runs the client until all of `wanted` has happened. Returns everything that happened, or 0 after `patience` ms. */
static unsigned turn_until(unsigned wanted, uint64_t patience)
{
	unsigned events = 0;
	uint64_t end = now_ms() + patience;

	for (uint64_t now = now_ms(); now < end; now = now_ms()) {
		int fds[CLIENT_FDS];
		struct pollfd polls[CLIENT_FDS];
		size_t n = gateway_client_fds(client, fds);
		uint64_t due = gateway_client_due(client), until = due < end ? due : end;

		for (size_t i = 0; i < n; i++)
			polls[i] = (struct pollfd){.fd = fds[i], .events = POLLIN};
		poll(polls, n, until > now ? (int)(until - now) : 0);
		events |= turn();
		if ((events & wanted) == wanted)
			return events;
	}
	return 0;
}

/* Waits for input, but not for long: the test may be about nobody answering. A server that has no processor will. */
static void wait_for_answer(void)
{
	int fds[CLIENT_FDS];
	struct pollfd polls[CLIENT_FDS];
	size_t n = gateway_client_fds(client, fds);
	bool asks = client->arp.unanswered || (client->config.dhcp && dhcp_listens(&client->dhcp));

	for (size_t i = 0; i < n; i++)
		polls[i] = (struct pollfd){.fd = fds[i], .events = POLLIN};
	for (int i = 0; i < 300 && !poll(polls, n, asks ? 60 : 0) && asks && server > 0 && is_runnable(server); i++)
		;
}

/* Skips time, second by second. Returns everything that happened. */
static unsigned skip_seconds(unsigned seconds)
{
	unsigned events = 0;

	for (unsigned i = 0; i < seconds; i++) {
		skipped += 1000;
		events |= turn();
		wait_for_answer();
		events |= turn();
	}
	return events;
}

static void gets_a_lease(void **state)
{
	char text[ADDRESS_TEXT];

	(void)state;
	NEED("root and dnsmasq", has_dnsmasq());
	serve(RANGE, "--clear-on-reload"); /* it pings the address for 3 s to see whether it is free */
	begin(NULL);
	assert_int_equal(turn(), 0);
	assert_int_equal(status.state, CLIENT_WAITING);
	assert_int_equal(turn_until(CLIENT_LEASE | CLIENT_IS_READY, 15000), CLIENT_LEASE | CLIENT_IS_READY);
	assert_true(status.has_lease);
	assert_int_equal(status.lease.address.length, 24);
	assert_memory_equal(status.lease.address.address.bytes, "\xac\x10\0", 3);
	assert_in_range(status.lease.address.address.bytes[3], 20, 254);
	assert_string_equal(address_format(&status.lease.router, text), "172.16.0.1");
	assert_string_equal(address_format(&status.router, text), "172.16.0.1");
	assert_true(address_equal(&status.address, &status.lease.address.address));
	assert_int_equal(status.lease.seconds, 43200);
	assert_in_range(status.lease.renew_at, now_ms() + 18890 * 1000ULL, now_ms() + 21600 * 1000ULL);
	assert_in_range(status.lease.expires_at, now_ms() + 43190 * 1000ULL, now_ms() + 43200 * 1000ULL);
	must("grep -q '" POD_MAC " 172.16.0.[0-9]* app-0 01:" POD_MAC "' \"$D/leases\"");
}

/* At T1 it does not know the client any more. One that is not the only server must not say no; ours is. */
static void renews_with_a_server_that_has_forgotten(const char *option, unsigned wanted)
{
	struct prefix before;

	serve("--dhcp-range=172.16.0.20,172.16.0.255,2m", option);
	begin(NULL);
	assert_int_not_equal(turn_until(CLIENT_LEASE | CLIENT_IS_READY, 15000), 0);
	before = status.lease.address;
	stop_serving();
	must("rm \"$D/leases\"");
	serve("--dhcp-range=172.16.0.20,172.16.0.255,2m", option);
	assert_int_equal(skip_seconds(50), 0);
	unsigned events = skip_seconds(20) | turn_until(CLIENT_LEASE, 12000);
	assert_int_equal(events & (CLIENT_LEASE | CLIENT_UNLEASED), wanted);
	assert_true(status.has_lease);
	assert_true(prefix_equal(&status.lease.address, &before));
	must("grep -q '" POD_MAC "' \"$D/leases\"");
}

static void keeps_its_address_where_the_server_says_so(void **state)
{
	(void)state;
	NEED("root and dnsmasq", has_dnsmasq());
	renews_with_a_server_that_has_forgotten("--dhcp-authoritative", 0);
}

static void gets_a_lease_anew_where_it_does_not(void **state)
{
	(void)state;
	NEED("root and dnsmasq", has_dnsmasq());
	renews_with_a_server_that_has_forgotten("--no-ping", CLIENT_LEASE | CLIENT_UNLEASED);
}

static void expect(const char *router)
{
	struct address address = {0};

	if (*router && address_parse(router, &address))
		fail_msg("%s is no address", router);
	gateway_client_expect(client, &address, now_ms());
}

/* A server that gives nothing yet, or is none at all: who is there is known by ARP. */
static void asks_whom_it_expects(void **state)
{
	(void)state;
	NEED("root and dnsmasq", has_dnsmasq());
	begin(NULL);
	(void)skip_seconds(5);
	assert_int_equal(status.state, CLIENT_WAITING);
	assert_false(status.answered_at);
	expect("172.16.0.77");
	(void)skip_seconds(5);
	assert_false(status.answered_at);
	expect("172.16.0.1");
	(void)skip_seconds(2);
	assert_in_range(status.answered_at, now_ms() - 2000, now_ms());
	assert_int_equal(status.state, CLIENT_WAITING);
	/* It is gone: no news of it. */
	must("$G ip link set gw0 arp off");
	(void)skip_seconds(20);
	assert_in_range(now_ms() - status.answered_at, 18000, 24000);
	assert_int_equal(status.state, CLIENT_WAITING);
	must("$G ip link set gw0 arp on");
	/* Somebody else: nothing is known of that one. */
	expect("172.16.0.77");
	(void)skip_seconds(1);
	assert_false(status.answered_at);
	/* A lease says who the router is. */
	serve(RANGE, "--no-ping");
	assert_int_equal(turn_until(CLIENT_LEASE | CLIENT_IS_READY, 30000), CLIENT_LEASE | CLIENT_IS_READY);
	assert_memory_equal(status.router.bytes, "\xac\x10\0\1", 4);
}

/* Between exchanges no frame reaches the client; during one, only what may be an answer. */
static void listens_only_during_an_exchange(void **state)
{
	uint8_t frame[PACKET_FRAME];

	(void)state;
	NEED("root and dnsmasq", has_dnsmasq());
	serve(RANGE, "--no-ping");
	begin(NULL);
	must("ip addr add 172.16.0.9/24 dev vx0");
	must("$G ping -c 3 -i 0.002 -W 1 -q 172.16.0.9 >/dev/null");
	must("$G bash -c 'echo >/dev/udp/172.16.0.9/69'");
	assert_int_equal(packet_socket_next(client->ip_fd, frame), -1);
	must("$G bash -c 'echo >/dev/udp/172.16.0.9/68'");
	assert_int_equal(packet_socket_next(client->ip_fd, frame), ETH_HEADER + IP4_HEADER + UDP_HEADER + 1);
	assert_int_not_equal(turn_until(CLIENT_LEASE | CLIENT_IS_READY, 5000), 0);
	skip_seconds(6);
	must("ip addr add 172.16.0.9/24 dev vx0");
	must("$G bash -c 'echo >/dev/udp/172.16.0.9/68'");
	must("$G ping -c 1 -W 1 -q 172.16.0.9 >/dev/null");
	assert_int_equal(packet_socket_next(client->ip_fd, frame), -1);
	dhcp_reboot(&client->dhcp, now_ms());
	turn();
	must("$G bash -c 'echo >/dev/udp/172.16.0.9/68'");
	assert_true(packet_socket_next(client->ip_fd, frame) > 0);
}

static void renews_at_t1(void **state)
{
	(void)state;
	NEED("root and dnsmasq", has_dnsmasq());
	serve("--dhcp-range=172.16.0.20,172.16.0.255,2m", "--no-ping");
	begin(NULL);
	assert_int_not_equal(turn_until(CLIENT_LEASE | CLIENT_IS_READY, 5000), 0);
	assert_int_equal(status.lease.seconds, 120);
	uint64_t expires = status.lease.expires_at;
	/* dnsmasq's T1 is half of the lease, less up to a sixteenth. */
	assert_in_range(status.lease.renew_at, expires - 70 * 1000ULL, expires - 60 * 1000ULL);
	assert_int_equal(skip_seconds(50), 0);
	assert_int_equal(status.lease.expires_at, expires);
	must("test $(grep -c DHCPACK \"$D/log\") = 1");
	/* Unicast, from the address that it has; nothing about it changes. */
	assert_int_equal(skip_seconds(12), 0);
	assert_in_range(status.lease.expires_at, expires + 50 * 1000ULL, expires + 70 * 1000ULL);
	must("test $(grep -c DHCPACK \"$D/log\") = 2 && test $(grep -c DHCPDISCOVER \"$D/log\") = 1");
	assert_int_equal(status.state, CLIENT_READY);
	/* Nobody answers: the lease expires, and the address goes. */
	stop_serving();
	expires = status.lease.expires_at;
	while (now_ms() + 2 * 1000ULL < expires)
		assert_int_equal(skip_seconds(1), 0);
	assert_true(status.has_lease);
	assert_int_equal(skip_seconds(3), CLIENT_UNLEASED);
	assert_false(status.has_lease);
	assert_int_equal(status.state, CLIENT_WAITING);
	/* The same address comes back. */
	serve(RANGE, "--no-ping");
	skipped += 20 * 1000ULL;
	assert_int_equal(turn_until(CLIENT_LEASE | CLIENT_IS_READY, 20000), CLIENT_LEASE | CLIENT_IS_READY);
}

static void releases(void **state)
{
	(void)state;
	NEED("root and dnsmasq", has_dnsmasq());
	serve(RANGE, "--no-ping");
	begin(NULL);
	assert_int_not_equal(turn_until(CLIENT_LEASE | CLIENT_IS_READY, 5000), 0);
	must("grep -q '" POD_MAC "' \"$D/leases\"");
	skip_seconds(6); /* from the idle socket */
	gateway_client_release(client, now_ms());
	await("grep -q 'DHCPRELEASE(gw0) 172.16.0.[0-9]* " POD_MAC "' \"$D/log\"");
	await("! grep -q '" POD_MAC "' \"$D/leases\"");
	must("! grep -q 'unknown lease' \"$D/log\"");
}

static void keeps_its_address(void **state)
{
	(void)state;
	NEED("root and dnsmasq", has_dnsmasq());
	serve(RANGE, "--no-ping");
	/* Not the address that its MAC hashes to. */
	struct address hint = {.family = AF_INET, .bytes = {172, 16, 0, 99}};
	begin(&hint);
	/*
	 * A server that does not know the address says nothing, or denies it; then the client asks for it in a
	 * DISCOVER.
	 */
	assert_int_not_equal(turn_until(CLIENT_LEASE | CLIENT_IS_READY, 8000), 0);
	assert_true(address_equal(&status.lease.address.address, &hint));
	/* The server knows the lease, so no DISCOVER is needed. */
	gateway_client_close(client);
	begin(&hint);
	assert_int_not_equal(turn_until(CLIENT_LEASE | CLIENT_IS_READY, 5000), 0);
	assert_true(address_equal(&status.lease.address.address, &hint));
	/* Another server, or the same one that has lost its leases. */
	must("test $(grep -c DHCPDISCOVER \"$D/log\") = 1");
	stop_serving();
	must("rm \"$D/leases\"");
	serve(RANGE, "--no-ping");
	gateway_client_moved(client, now_ms());
	gateway_client_report(client, &status);
	assert_int_equal(status.state, CLIENT_PROBING);
	assert_true(status.has_lease);
	assert_int_equal(turn_until(CLIENT_IS_READY, 5000), CLIENT_IS_READY);
	for (int i = 0; i < 80 && run("grep -q '172.16.0.99' \"$D/leases\""); i++)
		assert_int_equal(turn_until(CLIENT_LEASE | CLIENT_UNLEASED | CLIENT_IS_LOST, 100), 0);
	must("grep -q '" POD_MAC " 172.16.0.99' \"$D/leases\"");
	assert_int_equal(status.state, CLIENT_READY);
}

/* The whole of it, ms: DISCOVER to the router's answer, but for what the two waited for a processor. */
static uint64_t time_to_ready(void)
{
	const uint64_t least = (uint64_t)CHECKS * CHECK_WAIT;
	uint64_t began = now_ms(), starved = starved_ms(getpid()) + starved_ms(server);

	begin(NULL);
	assert_int_not_equal(turn_until(CLIENT_LEASE | CLIENT_IS_READY, 20000 * slowness()), 0);
	uint64_t took = now_ms() - began;
	starved = starved_ms(getpid()) + starved_ms(server) - starved;
	return took <= least ? took : took - least > starved ? took - starved : least;
}

/* What others on the machine take is not ours: the best of five. */
static void is_ready_in_a_moment(void **state)
{
	uint64_t took = UINT64_MAX;

	(void)state;
	NEED("root and dnsmasq", has_dnsmasq());
	serve(RANGE, "--no-ping");
	for (int i = 0; i < 5 && took > 300; i++) {
		gateway_client_close(client);
		must("ip addr flush dev vx0");
		uint64_t now = time_to_ready();
		took = now < took ? now : took;
	}
	print_message("ready after %u ms\n", (unsigned)took);
	assert_in_range(took, (uint64_t)CHECKS * CHECK_WAIT, 300 * slowness());
}

/* The server does not look whether the address is free; so the client does, and gets another one. */
static void declines_what_is_taken(void **state)
{
	char command[160], text[ADDRESS_TEXT];

	(void)state;
	NEED("root and dnsmasq", has_dnsmasq());
	serve(RANGE, "--no-ping");
	begin(NULL);
	assert_int_not_equal(turn_until(CLIENT_LEASE, 5000), 0);
	struct address taken = status.lease.address.address;
	gateway_client_release(client, now_ms());
	gateway_client_close(client);
	must("ip addr flush dev vx0");
	snprintf(command, sizeof(command), "$G ip addr add %s/32 dev lo", address_format(&taken, text));
	must(command);
	begin(NULL);
	assert_int_equal(turn_until(CLIENT_UNLEASED, 5000), CLIENT_UNLEASED);
	assert_false(status.has_lease);
	assert_int_equal(status.state, CLIENT_WAITING);
	await("grep -q 'DHCPDECLINE' \"$D/log\"");
	assert_int_not_equal(turn_until(CLIENT_LEASE | CLIENT_IS_READY, 8000), 0);
	assert_false(address_equal(&status.lease.address.address, &taken));
}

/* The caller's own reason; the second time it waits as long as RFC 2131 wants. */
static void declines_for_the_caller(void **state)
{
	(void)state;
	NEED("root and dnsmasq", has_dnsmasq());
	serve(RANGE, "--no-ping");
	begin(NULL);
	assert_int_not_equal(turn_until(CLIENT_LEASE, 5000), 0);
	gateway_client_decline(client, now_ms());
	gateway_client_report(client, &status);
	assert_false(status.has_lease);
	assert_int_not_equal(turn_until(CLIENT_LEASE, 5000), 0);
	gateway_client_decline(client, now_ms());
	assert_int_equal(turn_until(CLIENT_LEASE, 1500), 0);
	skip_seconds(10);
	assert_int_not_equal(turn_until(CLIENT_LEASE, 5000) || status.has_lease, 0);
}

static void moves_to_another_network(void **state)
{
	(void)state;
	NEED("root and dnsmasq", has_dnsmasq());
	serve(RANGE, "--no-ping");
	begin(NULL);
	assert_int_not_equal(turn_until(CLIENT_LEASE | CLIENT_IS_READY, 5000), 0);
	stop_serving();
	must("$G ip addr flush dev gw0; $G ip addr add 172.17.5.1/24 dev gw0");
	serve("--dhcp-range=172.17.5.20,172.17.5.255,12h", "--no-ping");
	gateway_client_moved(client, now_ms());
	assert_int_not_equal(turn_until(CLIENT_LEASE | CLIENT_IS_READY, 15000), 0);
	assert_memory_equal(status.lease.address.address.bytes, "\xac\x11\x05", 3);
	assert_memory_equal(status.router.bytes, "\xac\x11\x05\x01", 4);
}

/* dnsmasq's choice of an address: sdbm over the MAC, from the first address of its range on. */
static void never_takes_the_broadcast_address(void **state)
{
	uint32_t hash = 0, i = 0;
	char command[64], text[MAC_TEXT];

	(void)state;
	NEED("root and dnsmasq", has_dnsmasq());
	for (; hash % 236 != 235; i++) {
		store32(config.mac.bytes + 2, i);
		hash = 0;
		for (size_t j = 0; j < 6; j++)
			hash = config.mac.bytes[j] + (hash << 6) + (hash << 16) - hash;
	}
	snprintf(command, sizeof(command), "ip link set vx0 address %s", mac_format(&config.mac, text));
	must(command);
	serve(RANGE, "--no-ping");
	begin(NULL);
	assert_int_not_equal(turn_until(CLIENT_LEASE | CLIENT_IS_READY, 8000), 0);
	assert_in_range(status.lease.address.address.bytes[3], 20, 254);
	NEED("a dnsmasq that offers .255", !run("grep -q 'DHCPOFFER(gw0) 172.16.0.255' \"$D/log\""));
}

static void make_static(void)
{
	config.dhcp = false;
	prefix_parse("172.16.0.9/24", &config.address);
	address_parse("172.16.0.1", &config.router);
}

static void sees_the_router_go_and_come(void **state)
{
	(void)state;
	NEED("root", !geteuid());
	make_static();
	begin(NULL);
	assert_int_equal(turn(), 0);
	assert_int_equal(status.state, CLIENT_PROBING);
	assert_int_equal(turn_until(CLIENT_IS_READY, 5000), CLIENT_IS_READY);
	assert_in_range(status.answered_at, now_ms() - 900, now_ms());
	/* Only every 10 s. */
	uint64_t answered = status.answered_at;
	assert_int_equal(skip_seconds(9), 0);
	assert_int_equal(status.answered_at, answered);
	assert_int_equal(skip_seconds(2), 0);
	assert_true(status.answered_at > answered);
	/* At most the interval and three seconds. */
	must("$G ip link set gw0 arp off");
	answered = status.answered_at;
	while (!client->arp.unanswered)
		assert_int_equal(skip_seconds(1), 0);
	assert_in_range(now_ms() - answered, 9900, 12000);
	assert_int_equal(skip_seconds(2), 0);
	assert_int_equal(status.state, CLIENT_READY);
	assert_int_equal(skip_seconds(1), CLIENT_IS_LOST);
	assert_int_equal(status.answered_at, answered);
	/* Back at once, and back after a long time. */
	must("$G ip link set gw0 arp on");
	assert_int_equal(skip_seconds(2), CLIENT_IS_READY);
	must("$G ip link set gw0 arp off");
	assert_int_equal(skip_seconds(100), CLIENT_IS_LOST);
	assert_in_range(gateway_client_due(client), client->arp.sent_at + 3000, client->arp.sent_at + 4000);
	must("$G ip link set gw0 arp on");
	assert_int_equal(skip_seconds(5), CLIENT_IS_READY);
}

static void survives_an_interface_that_goes_down(void **state)
{
	(void)state;
	NEED("root", !geteuid());
	make_static();
	begin(NULL);
	assert_int_equal(turn_until(CLIENT_IS_READY, 5000), CLIENT_IS_READY);
	must("ip link set vx0 down");
	assert_int_equal(skip_seconds(15), CLIENT_IS_LOST);
	must("ip link set vx0 up");
	assert_int_equal(skip_seconds(3), CLIENT_IS_READY);
	must("ip link del vx0");
	assert_int_equal(skip_seconds(15), CLIENT_IS_LOST);
	assert_int_equal(turn_until(CLIENT_IS_READY, 50), 0);
}

/* An answer from the gateway's namespace, with any content. */
static void answer(const char *python)
{
	char command[900];

	snprintf(command, sizeof(command),
		 "$G python3 -c \"import socket\n"
		 "mac=bytes.fromhex('020000000010'); gw=bytes.fromhex('020000000099')\n"
		 "def arp(op=2,spa='172.16.0.1',tpa='172.16.0.9',tha=mac,to=mac,sha=gw):\n"
		 "  return to+gw+b'\\x08\\x06\\0\\1\\x08\\0\\6\\4\\0'+bytes([op])+sha+socket.inet_aton(spa)+tha+"
		 "socket.inet_aton(tpa)\n"
		 "s=socket.socket(socket.AF_PACKET,socket.SOCK_RAW); s.bind(('gw0',0)); s.send(%s)\"",
		 python);
	must(command);
}

static void believes_only_the_router(void **state)
{
	static const char *const others[] = {
		"arp(op=1)",
		"arp(spa='172.16.0.2')",
		"arp(tpa='172.16.0.8')",
		"arp(to=b'\\xff'*6)",
		"arp(tha=gw)",
		"arp(sha=b'\\1'*6)",
		"arp(sha=bytes(6))",
		"arp()[:-1]",
		"arp()[:16]+b'\\x86\\xdd'+arp()[18:]",
	};

	(void)state;
	NEED("root", !geteuid());
	make_static();
	must("$G ip link set gw0 arp off");
	begin(NULL);
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		answer(others[i]);
		turn();
		if (status.state == CLIENT_READY || client->arp.answered)
			fail_msg("believed %s", others[i]);
	}
	answer("arp()");
	assert_int_equal(turn(), CLIENT_IS_READY);
	/* After a move, answers of the old gateway are ignored. */
	answer("arp()");
	gateway_client_moved(client, now_ms());
	assert_int_equal(turn(), 0);
	assert_int_equal(status.state, CLIENT_PROBING);
	answer("arp()+bytes(18)");
	assert_int_equal(turn(), CLIENT_IS_READY);
}

static void make_behind(const char *target)
{
	make_static();
	config.probe = 100;
	assert_int_equal(path_target_parse(target, &config.target), 0);
}

/* What the client waits longer, ms, as the last answer took longer than the interval. */
static uint64_t patience(const struct probe_timer *timer)
{
	return timer->took > config.probe ? (uint64_t)PROBE_TIMER_MISSES * (timer->took - config.probe) : 0;
}

/* Every 100 ms; by ICMP, or by TCP. */
static void sees_what_is_behind_go_and_come(const char *target)
{
	make_behind(target);
	begin(NULL);
	assert_int_equal(turn_until(CLIENT_IS_READY, 3000), CLIENT_IS_READY);
	assert_true(status.lacks_path && status.path_answered_at && status.path_took);
	uint64_t starved = starved_ms(getpid());
	assert_int_equal(turn_until(CLIENT_IS_LOST, 1000), 0);
	assert_int_equal(status.state, CLIENT_READY);
	uint64_t late = starved_ms(getpid()) - starved;
	assert_in_range(now_ms() - status.path_answered_at, 0, 250 + late + patience(&client->path));
	/* Nothing is left open behind it: the pod's kernel has ended what it has not begun. */
	must("test -z \"$($I ss -Htn state syn-recv)\"");
	forward(false);
	uint64_t began = now_ms();
	starved = starved_ms(getpid());
	assert_int_equal(turn_until(CLIENT_IS_LOST, 3000), CLIENT_IS_LOST);
	uint64_t lost = now_ms() - began;
	late = starved_ms(getpid()) - starved;
	print_message("lost after %u ms\n", (unsigned)lost);
	assert_in_range(lost, 150, 500 * slowness() + late + patience(&client->path));
	assert_true(status.lacks_path);
	assert_in_range(now_ms() - status.answered_at, 0, 250 + late + patience(&client->arp));
	forward(true);
	assert_int_equal(turn_until(CLIENT_IS_READY, 1500), CLIENT_IS_READY);
	/* The router itself. */
	must("$G ip link set gw0 arp off; $G ip link set gw0 down");
	assert_int_equal(turn_until(CLIENT_IS_LOST, 3000), CLIENT_IS_LOST);
	assert_false(status.lacks_path);
}

static void sees_icmp_go_and_come(void **state)
{
	(void)state;
	NEED("root, nft and socat", !geteuid() && !run("command -v nft socat >/dev/null"));
	sees_what_is_behind_go_and_come("icmp:198.51.100.1");
}

static void sees_tcp_go_and_come(void **state)
{
	(void)state;
	NEED("root, nft and socat", !geteuid() && !run("command -v nft socat >/dev/null"));
	sees_what_is_behind_go_and_come("tcp:198.51.100.1:443");
}

static void takes_no_refusal_for_an_answer(void **state)
{
	(void)state;
	NEED("root", !geteuid());
	make_behind("tcp:198.51.100.1:444"); /* a RST */
	begin(NULL);
	assert_int_equal(turn_until(CLIENT_IS_LOST, 5000), CLIENT_IS_LOST);
	assert_true(status.lacks_path);
	assert_int_equal(status.path_answered_at, 0);
}

static void is_not_ready_before_the_target_answers(void **state)
{
	(void)state;
	NEED("root and nft", !geteuid() && !run("command -v nft >/dev/null"));
	make_behind("icmp:198.51.100.1");
	forward(false);
	begin(NULL);
	assert_int_equal(turn_until(CLIENT_IS_READY, 1000), 0);
	assert_int_equal(status.state, CLIENT_PROBING);
	assert_true(status.lacks_path);
	assert_int_equal(turn_until(CLIENT_IS_LOST, 4000), CLIENT_IS_LOST);
	forward(true);
	assert_int_equal(turn_until(CLIENT_IS_READY, 1500), CLIENT_IS_READY);
	/* Behind another gateway it is asked from the beginning. */
	gateway_client_moved(client, now_ms());
	gateway_client_report(client, &status);
	assert_int_equal(status.state, CLIENT_PROBING);
	assert_int_equal(status.path_answered_at, 0);
	assert_int_equal(turn_until(CLIENT_IS_READY, 1500), CLIENT_IS_READY);
}

static void retunes(unsigned probe, const char *text)
{
	struct path_target target;

	assert_int_equal(path_target_parse(text, &target), 0);
	if (gateway_client_retune(client, probe, &target, now_ms(), &why))
		fail_msg("retune: %s", why.text);
}

static void gets_and_loses_a_target(void **state)
{
	int fds[CLIENT_FDS];

	(void)state;
	NEED("root", !geteuid());
	make_static();
	begin(NULL);
	assert_int_equal(turn_until(CLIENT_IS_READY, 3000), CLIENT_IS_READY);
	assert_int_equal(gateway_client_fds(client, fds), 1);
	retunes(100, "icmp:198.51.100.1");
	assert_int_equal(gateway_client_fds(client, fds), 2);
	gateway_client_report(client, &status);
	assert_int_equal(status.state, CLIENT_PROBING);
	assert_int_equal(turn_until(CLIENT_IS_READY, 1000), CLIENT_IS_READY);
	assert_true(status.path_answered_at);
	/* The same again changes nothing. */
	retunes(100, "icmp:198.51.100.1");
	turn();
	assert_int_equal(status.state, CLIENT_READY);
	retunes(100, "icmp:198.51.100.77");
	assert_int_equal(turn_until(CLIENT_IS_LOST, 5000), CLIENT_IS_LOST);
	retunes(10000, "none");
	gateway_client_report(client, &status);
	assert_int_equal(status.state, CLIENT_READY);
	assert_int_equal(gateway_client_fds(client, fds), 1);
}

/* An answer may take longer than the interval, and than three of them. */
static void waits_for_what_is_far_away(void **state)
{
	struct probe_timer timer = {0};
	uint64_t now = 5000, began = now;

	(void)state;
	probe_timer_restart(&timer, now);
	for (; now < began + 20000; now++) {
		if (now > began + 400 && now == timer.sent_at + 400)
			probe_timer_answered(&timer, 100, 400, now);
		if (now >= timer.due)
			probe_timer_asked(&timer, 100, now);
		assert_false(probe_timer_is_lost(&timer));
		assert_true(timer.due > now && timer.due <= now + 1000);
	}
}

static void reboots_the_lease_for_another_mac(void **state)
{
	(void)state;
	NEED("root and dnsmasq", has_dnsmasq());
	serve(RANGE, "--no-ping");
	begin(NULL);
	assert_int_not_equal(turn_until(CLIENT_LEASE | CLIENT_IS_READY, 5000), 0);
	skip_seconds(20);
	assert_false(client->listening);
	must("test $(grep -c DHCPREQUEST \"$D/log\") = 1");
	must("$G ip link set gw0 address 02:00:00:00:00:98");
	assert_int_equal(skip_seconds(12), 0);
	must("test $(grep -c DHCPREQUEST \"$D/log\") = 2");
	assert_int_equal(status.lease.server_mac.bytes[5], 0x98);
	assert_int_equal(status.state, CLIENT_READY);
}

static void knows_nothing_without_probes(void **state)
{
	int fds[CLIENT_FDS];

	(void)state;
	NEED("root", !geteuid());
	make_static();
	config.probe = 0;
	begin(NULL);
	assert_int_equal(turn(), 0);
	assert_int_equal(status.state, CLIENT_OFF);
	assert_int_equal(gateway_client_fds(client, fds), 0);
	assert_true(gateway_client_due(client) == UINT64_MAX);
	gateway_client_moved(client, now_ms());
	assert_int_equal(turn(), 0);
	assert_int_equal(status.state, CLIENT_OFF);
	gateway_client_release(client, now_ms());
}

static void is_ready_with_a_lease_without_probes(void **state)
{
	int fds[CLIENT_FDS];

	(void)state;
	NEED("root and dnsmasq", has_dnsmasq());
	serve(RANGE, "--no-ping");
	config.probe = 0;
	begin(NULL);
	assert_int_equal(gateway_client_fds(client, fds), 2);
	assert_int_equal(turn_until(CLIENT_LEASE, 5000), CLIENT_LEASE | CLIENT_IS_READY);
	skip_seconds(6);
	assert_true(gateway_client_due(client) == status.lease.renew_at);
}

static void refuses_what_it_cannot_do(void **state)
{
	struct gateway_client *none = NULL;

	(void)state;
	NEED("root", !geteuid());
	assert_int_equal(gateway_client_open(&none, "vx9", &config, NULL, 0, &why), -ENODEV);
	assert_string_equal(why.key, "ifname");
	make_static();
	config.router.family = 0;
	assert_int_equal(gateway_client_open(&none, "vx0", &config, NULL, 0, &why), -EINVAL);
	assert_string_equal(why.key, "probe");
	make_static();
	config.address.address.family = 0;
	assert_int_equal(gateway_client_open(&none, "vx0", &config, NULL, 0, &why), -EINVAL);
	assert_string_equal(why.key, "probe");
	make_static();
	prefix_parse("fd00::9/64", &config.address);
	assert_int_equal(gateway_client_open(&none, "vx0", &config, NULL, 0, &why), -EINVAL);
	assert_string_equal(why.key, "address");
	make_static();
	address_parse("fd00::1", &config.router);
	assert_int_equal(gateway_client_open(&none, "vx0", &config, NULL, 0, &why), -EINVAL);
	assert_string_equal(why.key, "default_via");
	assert_null(none);
	gateway_client_close(NULL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
#define TEST_BEHIND(name) cmocka_unit_test_setup_teardown(name, set_up_behind, tear_down)
#define TEST_VXLAN(name)                                                                                               \
	{                                                                                                              \
#name "_through_a_vxlan", name, set_up_vxlan, tear_down, NULL                                          \
	}

static const struct CMUnitTest tests[] = {
	TEST(gets_a_lease),
	TEST(asks_whom_it_expects),
	TEST(listens_only_during_an_exchange),
	TEST(renews_at_t1),
	TEST(keeps_its_address_where_the_server_says_so),
	TEST(gets_a_lease_anew_where_it_does_not),
	TEST(releases),
	TEST_VXLAN(gets_a_lease),
	TEST_VXLAN(asks_whom_it_expects),
	TEST_VXLAN(renews_at_t1),
	TEST_VXLAN(moves_to_another_network),
	TEST(keeps_its_address),
	TEST(is_ready_in_a_moment),
	TEST(declines_what_is_taken),
	TEST(declines_for_the_caller),
	TEST(moves_to_another_network),
	TEST(never_takes_the_broadcast_address),
	TEST(sees_the_router_go_and_come),
	TEST(survives_an_interface_that_goes_down),
	TEST(believes_only_the_router),
	TEST_BEHIND(sees_icmp_go_and_come),
	TEST_BEHIND(sees_tcp_go_and_come),
	TEST_BEHIND(takes_no_refusal_for_an_answer),
	TEST_BEHIND(is_not_ready_before_the_target_answers),
	TEST_BEHIND(gets_and_loses_a_target),
	cmocka_unit_test(waits_for_what_is_far_away),
	TEST(reboots_the_lease_for_another_mac),
	TEST(knows_nothing_without_probes),
	TEST(is_ready_with_a_lease_without_probes),
	TEST(refuses_what_it_cannot_do),
};

int main(void)
{
	if (!geteuid() && netns_open_own(&home, &why))
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
