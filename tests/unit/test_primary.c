/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_primary.c - the TAP as the pod's only way out, against the kernel
 *
 *        pod (a namespace of each test's own)             node (that of a child process)
 *   vx0, a TAP   eth0 ---------------- veth -------------- veth0, answers ARP for everyone
 *
 * What is in the tables and rules is read with ip(8); what leaves is what arrives at veth0.
 */
#include "tap/primary.c"
#include "tap/primary_old.c"
#include "tap/primary_rules.c"
#include "tap/primary_session.c"
#include "tap/route.c"
#include "tap/rule.c"
#include "tap/tap.h"
#include "tests/unit/tap_destroy.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* After our own: cmocka makes a macro of fail(). */
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define TEXT 4096

static struct failure why;
static struct primary_state memory;
static int home = -1, tap = -1, capture = -1;
static pid_t node;

#define NEED_ROOT()                                                                                                    \
	do {                                                                                                           \
		if (geteuid())                                                                                         \
			skip();                                                                                        \
	} while (0)

#define assert_done(call)                                                                                              \
	do {                                                                                                           \
		why = (struct failure){0};                                                                             \
		int code_ = (call);                                                                                    \
		if (code_)                                                                                             \
			print_message("%s: %d, %s\n", #call, code_, why.text);                                         \
		assert_int_equal(code_, 0);                                                                            \
	} while (0)

/* Runs a shell command in the pod; returns its output without blanks at the ends of lines. */
static const char *shell(const char *command)
{
	static char out[TEXT];
	char line[512];
	size_t used = 0;
	FILE *pipe = popen(command, "re"); /* NOLINT(cert-env33-c): the commands are the tests' own */

	assert_non_null(pipe);
	out[0] = '\0';
	while (fgets(line, sizeof(line), pipe)) {
		size_t length = strcspn(line, "\n");
		while (length && line[length - 1] == ' ')
			length--;
		line[length] = '\0';
		used += (size_t)snprintf(out + used, sizeof(out) - used, "%s\n", line);
		assert_true(used < sizeof(out));
	}
	if (pclose(pipe)) {
		print_message("%s: failed\n", command);
		assert_true(false);
	}
	return out;
}

/* `lines` are arguments of ip(8), one command a line. */
static void ip(const char *lines)
{
	char command[TEXT];

	snprintf(command, sizeof(command), "ip -batch - <<'X'\n%s\nX", lines);
	shell(command);
}

static void ip_node(const char *lines)
{
	char command[TEXT];

	snprintf(command, sizeof(command), "nsenter -t %d -n ip -batch - <<'X'\n%s\nX", (int)node, lines);
	shell(command);
}

#define MAIN4 "ip -4 route"
#define MAIN6 "ip -6 route | grep -v -e fe80::/64 -e 'dev vx0'"
#define WAY4 "ip -4 route 2>&1 show table 1886584835"
#define WAY6 "ip -6 route show table 1886584835 | grep -v -e fe80::/64 -e 'dev vx0'"
#define BOUND "ip -4 route show table 1886584836"
#define RULES4                                                                                                         \
	"ip rule | grep '^0:.*proto' | cut -f2 | sed 's/ *proto.*//; s/from all //; s/lookup 188658483/lookup T/'"
#define RULES6                                                                                                         \
	"ip -6 rule | grep '^0:.*proto' | cut -f2 | sed 's/ *proto.*//; s/from all //; s/lookup 188658483/lookup T/'"
/* For ip, a table that never had a route is an error. */
#define OURS                                                                                                           \
	"{ ip route show table all proto 80; ip -6 route show table all proto 80; " WAY4 "; " WAY6 "; " BOUND          \
	"; ip rule; ip -6 rule; nft list ruleset; } 2>&1 | grep -v -e FIB -e Dump -e '^[0-9]*:.*lookup [lmd]' || true"

#define assert_shows(command, expected) assert_string_equal(shell(command), expected)

static void write_file(const char *path, const char *text)
{
	FILE *file = fopen(path, "we");

	assert_non_null(file);
	fputs(text, file);
	assert_int_equal(fclose(file), 0);
}

/* A process in a namespace of its own, which answers every request. */
static pid_t start_node(void)
{
	int ready[2];
	char byte = 0;

	assert_int_equal(pipe(ready), 0);
	pid_t pid = fork();
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (unshare(CLONE_NEWNET) || write(ready[1], &byte, 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	close(ready[1]);
	return pid;
}

static int open_node(void)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/ns/net", (int)node);
	return open(path, O_RDONLY | O_CLOEXEC);
}

/* Everything that comes in at veth0. */
static int open_capture(void)
{
	int pod = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC), there = open_node();
	int fd;

	assert_int_equal(setns(there, CLONE_NEWNET), 0);
	write_file("/proc/sys/net/ipv4/ip_forward", "1");
	write_file("/proc/sys/net/ipv4/conf/veth0/proxy_arp", "1");
	write_file("/proc/sys/net/ipv4/neigh/veth0/proxy_delay", "0");
	fd = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, htons(ETH_P_ALL));
	struct sockaddr_ll at = {
		.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL), .sll_ifindex = (int)if_nametoindex("veth0")};
	assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	assert_int_equal(setns(pod, CLONE_NEWNET), 0);
	close(there);
	close(pod);
	return fd;
}

static int enter(void **state)
{
	(void)state;
	if (geteuid())
		return 0;
	if (unshare(CLONE_NEWNET))
		return -1;
	node = start_node();
	char command[128];
	snprintf(command, sizeof(command), "link add eth0 type veth peer name veth0 netns %d", (int)node);
	ip(command);
	if (tap_create("vx0", &tap, &why))
		return -1;
	write_file("/proc/sys/net/ipv6/conf/all/accept_dad", "0");
	write_file("/proc/sys/net/ipv6/conf/eth0/accept_dad", "0");
	ip("link set lo up\nlink set vx0 up\nlink set eth0 up");
	ip_node("link set lo up\nlink set veth0 up\n"
		"addr add 10.244.1.1/24 dev veth0\naddr add fd00:1::1/64 dev veth0 nodad\n"
		"tuntap add out mode tap\nlink set out up\naddr add 192.0.2.1/24 dev out\n"
		"route add default via 192.0.2.2");
	capture = open_capture();
	memory = (struct primary_state){0};
	return 0;
}

static int leave(void **state)
{
	(void)state;
	if (geteuid())
		return 0;
	close(capture);
	tap_destroy(tap);
	kill(node, SIGKILL);
	waitpid(node, NULL, 0);
	return setns(home, CLONE_NEWNET);
}

/* As flannel, bridge and most others. */
static void plain_pod(void)
{
	ip("addr add 10.244.1.5/24 dev eth0\naddr add fd00:1::5/64 dev eth0 nodad\n"
	   "route add default via 10.244.1.1\nroute add default via fd00:1::1 dev eth0");
}

static void give_tap_the_way(void)
{
	ip("addr add 172.16.0.10/24 dev vx0\naddr add fd16::10/64 dev vx0 nodad\n"
	   "route add default via 172.16.0.1 dev vx0 onlink table 1886584835\n"
	   "route add default via fd16::1 dev vx0 onlink table 1886584835");
}

static void add_keep(struct primary_config *config, const char *text)
{
	assert_int_equal(prefix_parse(text, &config->primary_keep[config->n_keep++]), 0);
}

static void add_remote(struct primary_config *config, const char *text)
{
	assert_int_equal(address_parse(text, &config->remotes[config->n_remotes++]), 0);
}

static struct primary_config usual(void)
{
	struct primary_config config = {0};

	add_keep(&config, "10.244.0.0/16");
	add_keep(&config, "10.96.0.1/12"); /* host bits do no harm */
	add_keep(&config, "fd00::/16");
	add_remote(&config, "10.244.2.7");
	add_remote(&config, "10.244.1.9"); /* on the link */
	add_remote(&config, "203.0.113.7");
	return config;
}

#define USUAL4                                                                                                         \
	"10.96.0.0/12 via 10.244.1.1 dev eth0 proto 80\n"                                                              \
	"10.244.0.0/16 via 10.244.1.1 dev eth0 proto 80\n"                                                             \
	"10.244.1.0/24 dev eth0 proto kernel scope link src 10.244.1.5\n"                                              \
	"10.244.1.9 dev eth0 proto 80 scope link src 10.244.1.5\n"                                                     \
	"10.244.2.7 via 10.244.1.1 dev eth0 proto 80\n"                                                                \
	"203.0.113.7 via 10.244.1.1 dev eth0 proto 80\n"
#define USUAL6                                                                                                         \
	"fd00:1::/64 dev eth0 proto kernel metric 256 pref medium\n"                                                   \
	"fd00::/16 via fd00:1::1 dev eth0 proto 80 metric 1024 pref medium\n"
#define LATER4 "lookup main suppress_prefixlength 7 suppress_ifgroup 1886584834\n"
#define LATER6 "lookup main suppress_prefixlength 15 suppress_ifgroup 1886584834\n"
#define USUAL_RULES4 LATER4 "lookup T5\noif eth0 lookup T6\nunreachable\n"
#define USUAL_RULES6 LATER6 "lookup T5\nunreachable\n"

static void assert_usual(void)
{
	assert_shows(WAY4, USUAL4);
	assert_shows(WAY6, USUAL6);
	assert_shows(BOUND " | grep -o '^.*metric'", "local default dev eth0 proto 80 scope host metric\n");
	assert_shows(RULES4, USUAL_RULES4);
	assert_shows(RULES6, USUAL_RULES6);
}

static void test_take(void **state)
{
	(void)state;
	NEED_ROOT();
	struct primary_config config = usual();
	plain_pod();
	char before4[TEXT], before6[TEXT];
	snprintf(before4, sizeof(before4), "%s", shell(MAIN4));
	snprintf(before6, sizeof(before6), "%s", shell(MAIN6));
	for (int turn = 0; turn < 3; turn++) {
		assert_done(primary_take("vx0", &config, &memory, &why));
		assert_usual();
		assert_shows(MAIN4, before4);
		assert_shows(MAIN6, before6);
		assert_int_equal(memory.changes, 0);
		assert_string_equal(memory.unfiltered, "");
	}
	give_tap_the_way();
	assert_done(primary_take("vx0", &config, &memory, &why));
	assert_int_equal(memory.changes, 0);
	assert_shows(WAY4 " default", "default via 172.16.0.1 dev vx0 onlink\n");
}

static void test_give_back(void **state)
{
	(void)state;
	NEED_ROOT();
	struct primary_config config = usual();
	plain_pod();
	char before4[TEXT], before6[TEXT];
	snprintf(before4, sizeof(before4), "%s", shell(MAIN4));
	snprintf(before6, sizeof(before6), "%s", shell(MAIN6));
	assert_done(primary_restore("vx0", &why)); /* of nothing */
	assert_done(primary_take("vx0", &config, &memory, &why));
	give_tap_the_way();
	for (int turn = 0; turn < 2; turn++) {
		assert_done(primary_restore("vx0", &why));
		assert_shows(MAIN4 " | grep -v vx0", before4);
		assert_shows(MAIN6, before6);
		assert_shows(OURS, "");
	}
	assert_done(primary_take("vx0", &config, &memory, &why));
	assert_usual();
	assert_done(primary_restore("nosuch", &why)); /* the TAP went first */
	assert_shows(OURS, "");
}

/* What a call leaves that is cut short between any two of its messages, and what others add. */
static void test_cut_short(void **state)
{
	(void)state;
	NEED_ROOT();
	struct primary_config config = usual();
	static const char *const states[] = {
		"route add 10.244.1.0/24 dev eth0 proto kernel scope link src 10.244.1.5 table 1886584835",
		"route add 10.96.0.0/12 dev eth0 scope link proto 80 table 1886584835",
		"route add 10.244.2.7 via 10.244.1.7 proto 80 table 1886584835",
		"route add 10.1.0.0/16 via 10.244.1.1 proto 80 table 1886584835",
		"route add local default dev eth0 table 1886584836 proto 80 metric 2",
		"rule add pref 0 proto 80 lookup 1886584835",
		"rule add pref 0 proto 80 unreachable",
		"rule add pref 0 proto 80 unreachable\nrule add pref 0 proto 80 lookup 1886584835",
	};

	plain_pod();
	for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++) {
		ip(states[i]);
		assert_done(primary_take("vx0", &config, &memory, &why));
		assert_usual();
		assert_done(primary_restore("vx0", &why));
		ip(states[i]);
		assert_done(primary_restore("vx0", &why));
		assert_shows(MAIN4, "default via 10.244.1.1 dev eth0\n"
				    "10.244.1.0/24 dev eth0 proto kernel scope link src 10.244.1.5\n");
		assert_shows(OURS, "");
	}
}

/* What somebody in the pod takes away is put back, and counted. */
static void test_repair(void **state)
{
	(void)state;
	NEED_ROOT();
	struct primary_config config = usual();
	static const char *const harm[] = {
		"ip rule flush pref 0; ip rule add pref 0 lookup local; ip -6 rule del pref 0 unreachable",
		"ip rule del pref 0 unreachable",
		"ip route flush table 1886584835",
		"ip -6 route flush table 1886584835",
		"ip route del 10.96.0.0/12 table 1886584835",
		"ip route replace 10.96.0.0/12 via 10.244.1.77 proto 80 table 1886584835",
		"ip route flush table 1886584836",
		"nft flush chain inet podswitch way_out",
		"nft delete table inet podswitch",
	};

	plain_pod();
	assert_done(primary_take("vx0", &config, &memory, &why));
	for (size_t i = 0; i < sizeof(harm) / sizeof(harm[0]); i++) {
		shell(harm[i]);
		assert_done(primary_take("vx0", &config, &memory, &why));
		if (!memory.changes)
			print_message("%s\n", harm[i]);
		assert_true(memory.changes > 0);
		assert_usual();
		assert_shows("nft list table inet podswitch | grep -c 'counter.*drop'", "3\n");
		assert_done(primary_take("vx0", &config, &memory, &why));
		assert_int_equal(memory.changes, 0);
	}
	shell("ip rule flush; ip -6 rule flush"); /* spares ours */
	assert_usual();
}

/* One of the pod's that sends as fast as it can. */
struct sender {
	struct sockaddr_in to;
	unsigned sent, refused;
	pthread_t thread;
};

static atomic_bool sending;

static void *send_on(void *argument)
{
	struct sender *sender = argument;
	const struct ip_mreqn out = {.imr_ifindex = (int)if_nametoindex("eth0")};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	/* A multicast by eth0, whatever the routes say: only the filter stops it. */
	setsockopt(fd, IPPROTO_IP, IP_MULTICAST_IF, &out, sizeof(out));
	while (sending) {
		ssize_t n = sendto(fd, "x", 1, MSG_DONTWAIT, (struct sockaddr *)&sender->to, sizeof(sender->to));
		sender->sent += n == 1;
		sender->refused += n < 0 && errno == EPERM;
	}
	close(fd);
	return NULL;
}

static void start_sender(struct sender *sender, const char *to)
{
	*sender = (struct sender){.to = {.sin_family = AF_INET, .sin_port = htons(4789)}};
	assert_int_equal(inet_pton(AF_INET, to, &sender->to.sin_addr), 1);
	assert_int_equal(pthread_create(&sender->thread, NULL, send_on, sender), 0);
}

/*
 * A successor writes the packet filter again, and so does whoever changes what is kept: at no moment it stops what may
 * leave, or lets out what may not.
 */
static void test_packets_meanwhile(void **state)
{
	(void)state;
	NEED_ROOT();
	struct primary_config config = usual();
	struct sender remote, stranger;

	plain_pod();
	ip("neigh replace 10.244.1.1 lladdr 02:00:00:00:00:01 dev eth0");
	assert_done(primary_take("vx0", &config, &memory, &why));
	sending = true;
	start_sender(&remote, "10.244.2.7");
	start_sender(&stranger, "224.0.0.9");
	for (unsigned i = 0; i < 150; i++) {
		if (i % 2)
			config.n_keep ^= 1; /* two networks or three */
		else
			memory = (struct primary_state){0};
		assert_done(primary_take("vx0", &config, &memory, &why));
	}
	sending = false;
	pthread_join(remote.thread, NULL);
	pthread_join(stranger.thread, NULL);
	assert_true(remote.sent > 0 && stranger.refused > 0);
	if (remote.refused || stranger.sent)
		print_message("%u of %u refused, %u of %u let out\n", remote.refused, remote.sent, stranger.sent,
			      stranger.refused);
	assert_int_equal(remote.refused, 0);
	assert_int_equal(stranger.sent, 0);
}

static void test_calico(void **state)
{
	(void)state;
	NEED_ROOT();
	struct primary_config config = usual();
	ip("addr add 10.244.1.5/32 dev eth0\nroute add 169.254.1.1 dev eth0 scope link\n"
	   "route add default via 169.254.1.1 dev eth0");
	assert_done(primary_take("vx0", &config, &memory, &why));
	assert_done(primary_take("vx0", &config, &memory, &why));
	assert_shows(WAY4, "10.96.0.0/12 via 169.254.1.1 dev eth0 proto 80\n"
			   "10.244.0.0/16 via 169.254.1.1 dev eth0 proto 80\n"
			   "10.244.1.9 via 169.254.1.1 dev eth0 proto 80\n"
			   "10.244.2.7 via 169.254.1.1 dev eth0 proto 80\n"
			   "169.254.1.1 dev eth0 scope link\n"
			   "203.0.113.7 via 169.254.1.1 dev eth0 proto 80\n");
	assert_done(primary_restore("vx0", &why));
	assert_shows(OURS, "");
}

/* `route` is the pod's default, `kept` what is made of it for 10.96.0.0/12. */
static void check_default(const char *route, const char *kept)
{
	char command[256], expected[512], shown[512];
	struct primary_config config = {0};

	add_keep(&config, "10.96.0.0/12");
	ip("route flush table main\naddr flush dev eth0\naddr add 10.244.1.5/24 dev eth0");
	snprintf(command, sizeof(command), "route add %s", route);
	ip(command);
	snprintf(shown, sizeof(shown), "%s", shell(MAIN4));
	assert_done(primary_take("vx0", &config, &memory, &why));
	assert_done(primary_take("vx0", &config, &memory, &why));
	snprintf(expected, sizeof(expected), "10.96.0.0/12 %s\n", kept);
	assert_shows(WAY4 " 10.96.0.0/12", expected);
	assert_shows(MAIN4, shown);
	assert_done(primary_restore("vx0", &why));
	assert_shows(OURS, "");
}

static void test_defaults(void **state)
{
	(void)state;
	NEED_ROOT();
	check_default("default via 192.0.2.77 dev eth0 onlink", "via 192.0.2.77 dev eth0 proto 80 onlink");
	check_default("default dev eth0 scope link", "dev eth0 proto 80 scope link");
	check_default("default via 10.244.1.1 mtu 1450 proto static metric 4294967295",
		      "via 10.244.1.1 dev eth0 proto 80 mtu 1450");
	check_default("default via 10.244.1.1 dev eth0 src 10.244.1.5 metric 300",
		      "via 10.244.1.1 dev eth0 proto 80 src 10.244.1.5");
	check_default("default nexthop via 10.244.1.1 dev eth0 weight 2 nexthop via 10.244.1.2 dev eth0",
		      "via 10.244.1.1 dev eth0 proto 80");
	check_default("default nexthop via 192.0.2.7 dev eth0 onlink nexthop via 10.244.1.2 dev eth0",
		      "via 192.0.2.7 dev eth0 proto 80 onlink");
	check_default("0.0.0.0/1 via 10.244.1.3", "via 10.244.1.3 dev eth0 proto 80");
	check_default("default via 10.244.1.4 table 100", "via 10.244.1.4 dev eth0 proto 80");
	ip("route flush table 100");
	/* The kernel reports flags of hops without a carrier that it does not accept. */
	ip("link add net1 type veth peer name peer1\nlink set net1 up\naddr add 10.8.0.5/24 dev net1");
	check_default("default via 10.8.0.1 dev net1 onlink", "via 10.8.0.1 dev net1 proto 80 onlink linkdown");
	check_default("default nexthop via 10.244.1.1 dev eth0 nexthop via 10.8.0.1 dev net1 onlink",
		      "via 10.244.1.1 dev eth0 proto 80");
	check_default("0.0.0.0/0 via inet6 fe80::1 dev eth0", "via inet6 fe80::1 dev eth0 proto 80");
}

static void test_several(void **state)
{
	(void)state;
	NEED_ROOT();
	struct primary_config config = usual();
	plain_pod();
	ip("route add default via 10.244.1.2 metric 100\nroute add default via 10.244.1.3 metric 4294967295\n"
	   "route add default via fd00:1::2 dev eth0 metric 100\nroute append default via fd00:1::3 dev eth0 metric "
	   "100");
	assert_done(primary_take("vx0", &config, &memory, &why));
	assert_shows(WAY4, USUAL4);
	assert_shows(WAY6 " | grep fd00::/16", "fd00::/16 via fd00:1::2 dev eth0 proto 80 metric 1024 pref medium\n");
	/* Another router takes over. */
	ip("route replace default via 10.244.1.4");
	assert_done(primary_take("vx0", &config, &memory, &why));
	assert_shows(WAY4 " 10.96.0.0/12", "10.96.0.0/12 via 10.244.1.4 dev eth0 proto 80\n");
	/* One that went without another leaves the way to what stays as it was. */
	ip("route flush table main");
	assert_done(primary_take("vx0", &config, &memory, &why));
	assert_shows(WAY4 " 10.96.0.0/12", "10.96.0.0/12 via 10.244.1.4 dev eth0 proto 80\n");
}

static void test_no_default(void **state)
{
	(void)state;
	NEED_ROOT();
	struct primary_config config = usual();
	ip("addr add 10.244.1.5/24 dev eth0");
	assert_done(primary_take("vx0", &config, &memory, &why));
	assert_shows(WAY4, "10.244.1.0/24 dev eth0 proto kernel scope link src 10.244.1.5\n"
			   "10.244.1.9 dev eth0 proto 80 scope link src 10.244.1.5\n");
	assert_shows(RULES6, USUAL_RULES6);
	assert_done(primary_restore("vx0", &why));
	assert_shows(OURS, "");
}

static void test_own_routes(void **state)
{
	(void)state;
	NEED_ROOT();
	struct primary_config config = usual();
	plain_pod();
	ip("route add 10.244.0.0/16 via 10.244.1.77\nroute add 203.0.113.0/24 via 10.244.1.78 metric 7\n"
	   "route add 10.97.0.0/16 via 10.244.1.79\nroute add unreachable 10.98.0.0/16\n"
	   "route add 128.0.0.0/1 via 10.244.1.80\nroute add 192.168.0.0/16 via 10.244.1.81 table 100\n"
	   "route add 2000::/3 via fd00:1::7 dev eth0\nroute add fc00::/7 via fd00:1::8 dev eth0");
	assert_done(primary_take("vx0", &config, &memory, &why));
	assert_shows(WAY4, "10.96.0.0/12 via 10.244.1.1 dev eth0 proto 80\n"
			   "10.97.0.0/16 via 10.244.1.79 dev eth0\n"
			   "unreachable 10.98.0.0/16\n"
			   "10.244.0.0/16 via 10.244.1.77 dev eth0\n"
			   "10.244.1.0/24 dev eth0 proto kernel scope link src 10.244.1.5\n"
			   "10.244.1.9 dev eth0 proto 80 scope link src 10.244.1.5\n"
			   "10.244.2.7 via 10.244.1.77 dev eth0 proto 80\n"
			   "192.168.0.0/16 via 10.244.1.81 dev eth0\n"
			   "203.0.113.0/24 via 10.244.1.78 dev eth0 metric 7\n"
			   "203.0.113.7 via 10.244.1.78 dev eth0 proto 80\n");
	assert_shows(WAY6 " | grep -v proto", "fc00::/7 via fd00:1::8 dev eth0 metric 1024 pref medium\n");
	/* What comes later is not the pod's any more. */
	ip("route add 10.99.0.0/16 via 10.244.1.77\nroute add 2001:db8::/32 via fd00:1::8 dev eth0");
	assert_done(primary_take("vx0", &config, &memory, &why));
	assert_int_equal(memory.changes, 0);
	/* But an interface may go down and come up. */
	ip("link set eth0 down\nlink set eth0 up");
	assert_done(primary_take("vx0", &config, &memory, &why));
	assert_true(memory.changes > 0);
	ip("route add default via 10.244.1.1");
	assert_done(primary_take("vx0", &config, &memory, &why));
	assert_shows(WAY4 " 10.244.1.0/24", "10.244.1.0/24 dev eth0 proto kernel scope link src 10.244.1.5\n");
	assert_shows(WAY4 " 10.96.0.0/12", "10.96.0.0/12 via 10.244.1.1 dev eth0 proto 80\n");
}

/* The overlay's network contains the gateway's underlay address: the tunnel must not run through itself. */
static void test_remote_in_overlay(void **state)
{
	(void)state;
	NEED_ROOT();
	struct primary_config config = {0};
	add_remote(&config, "172.16.0.1");
	plain_pod();
	ip("addr add 172.16.0.10/24 dev vx0");
	assert_done(primary_take("vx0", &config, &memory, &why));
	assert_shows(WAY4 " 172.16.0.1", "172.16.0.1 via 10.244.1.1 dev eth0 proto 80\n");
}

static void test_change(void **state)
{
	(void)state;
	NEED_ROOT();
	struct primary_config config = usual(), other = {0};
	plain_pod();
	assert_done(primary_take("vx0", &config, &memory, &why));
	give_tap_the_way();
	add_keep(&other, "10.244.0.0/16");
	add_keep(&other, "192.168.7.0/24");
	add_remote(&other, "10.244.3.8");
	add_remote(&other, "fd00:2::8");

	/* What stays is not deleted even for a moment. */
	int monitor = socket(AF_NETLINK, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, NETLINK_ROUTE);
	struct sockaddr_nl groups = {.nl_family = AF_NETLINK, .nl_groups = RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE};
	assert_int_equal(bind(monitor, (struct sockaddr *)&groups, sizeof(groups)), 0);
	assert_done(primary_take("vx0", &other, &memory, &why));
	unsigned deleted = 0;
	union {
		struct nlmsghdr head;
		char bytes[8192];
	} told;
	for (ssize_t n = recv(monitor, &told, sizeof(told), 0); n > 0; n = recv(monitor, &told, sizeof(told), 0)) {
		struct route route = route_of(&told.head);
		struct prefix stays = other.primary_keep[0];
		if (told.head.nlmsg_type != RTM_DELROUTE || route.table != PRIMARY_WAY_TABLE)
			continue;
		deleted++;
		assert_false(prefix_equal(&route.to, &stays));
	}
	close(monitor);
	assert_int_equal(deleted, 5); /* 10.96.0.0/12, fd00::/16 and three remotes */
	assert_shows(WAY4 " | grep -v vx0", "10.244.0.0/16 via 10.244.1.1 dev eth0 proto 80\n"
					    "10.244.1.0/24 dev eth0 proto kernel scope link src 10.244.1.5\n"
					    "10.244.3.8 via 10.244.1.1 dev eth0 proto 80\n"
					    "192.168.7.0/24 via 10.244.1.1 dev eth0 proto 80\n");
	assert_shows(WAY6 " | grep proto.80", "fd00:2::8 via fd00:1::1 dev eth0 proto 80 metric 1024 pref medium\n");
	assert_shows("nft list set inet podswitch stays4 | grep -c 10.96.0.0 || true", "0\n");
}

/* A pod that an earlier version has closed, as that left it. */
static void test_take_over(void **state)
{
	(void)state;
	NEED_ROOT();
	struct primary_config config = usual();
	ip("addr add 10.244.1.5/24 dev eth0\naddr add fd00:1::5/64 dev eth0 nodad\n"
	   "route add default via 10.244.1.1 table 1886584833\n"
	   "route add default via fd00:1::1 dev eth0 table 1886584833\n"
	   "route add unreachable default metric 2147483392 proto 80\n"
	   "route add unreachable ::/0 metric 2147483392 proto 80\n"
	   "route add 10.96.0.0/12 via 10.244.1.1 proto 80\nroute add throw 10.96.0.0/12 table 1886584834 proto 80\n"
	   "route add local default dev eth0 table 1886584834 proto 80 metric 2\n"
	   "rule add pref 1000 oif eth0 lookup 1886584834\n"
	   "addr add 172.16.0.10/24 dev vx0\nroute add default via 172.16.0.1 dev vx0 proto static onlink");
	for (int turn = 0; turn < 2; turn++) {
		assert_done(primary_take("vx0", &config, &memory, &why));
		assert_shows(WAY4 " | grep -v vx0", USUAL4);
		assert_shows(WAY4 " | grep vx0", "default via 172.16.0.1 dev vx0 proto static onlink\n"
						 "172.16.0.0/24 dev vx0 proto kernel scope link src 172.16.0.10\n");
		assert_shows(WAY6, USUAL6);
		assert_shows(MAIN4 " | grep -v vx0", "default via 10.244.1.1 dev eth0\n"
						     "10.244.1.0/24 dev eth0 proto kernel scope link src 10.244.1.5\n");
		assert_shows("ip -6 route show default", "default via fd00:1::1 dev eth0 metric 1024 pref medium\n");
		assert_shows(RULES4, USUAL_RULES4);
		assert_int_equal(memory.changes, 0);
		assert_shows("ip rule | grep -c ^1000: || true", "0\n");
		assert_shows("ip route show table all | grep -c 188658483[34] || true", "0\n");
	}
	assert_done(primary_restore("vx0", &why));
	assert_shows(OURS, "");
}

#define FOREIGN4 "198.51.100.9"
#define FOREIGN6 "2001:db8::9"
#define MARK4 "10.96.3.4"
#define MARK6 "fd00:9::4"

struct attempt {
	const char *to;
	const char *device; /* NULL: not bound */
	const char *source; /* NULL: the kernel chooses */
	int type;
	int flags;
	bool unicast_if; /* IP_UNICAST_IF instead of SO_BINDTODEVICE */
	int protocol;
	uint8_t kind; /* first byte of what is sent, as of what the link needs; 0: an x */
};

static socklen_t sockaddr_of(const char *address, uint16_t port, struct sockaddr_storage *out)
{
	struct endpoint endpoint = {.port = port};

	assert_int_equal(address_parse(address, &endpoint.address), 0);
	return endpoint_to_sockaddr(&endpoint, out);
}

/* 0 or an errno, when a packet was given to the kernel. */
static int try(const struct attempt *attempt)
{
	struct sockaddr_storage to, from;
	socklen_t length = sockaddr_of(attempt->to, 9, &to);
	int fd = socket(to.ss_family, attempt->type | SOCK_NONBLOCK | SOCK_CLOEXEC, attempt->protocol);
	const uint8_t message[24] = {attempt->kind ? attempt->kind : 'x'};
	uint32_t ifindex = attempt->device ? htonl(if_nametoindex(attempt->device)) : 0;
	ssize_t sent = 0;

	assert_true(fd >= 0);
	if (attempt->unicast_if)
		assert_int_equal(setsockopt(fd, IPPROTO_IP, IP_UNICAST_IF, &ifindex, sizeof(ifindex)), 0);
	else if (attempt->device)
		assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, attempt->device,
					    (socklen_t)strlen(attempt->device)),
				 0);
	if (attempt->source)
		assert_int_equal(bind(fd, (struct sockaddr *)&from, sockaddr_of(attempt->source, 0, &from)), 0);
	if (attempt->type == SOCK_STREAM)
		sent = connect(fd, (struct sockaddr *)&to, length);
	else
		sent = sendto(fd, message, attempt->kind ? sizeof(message) : 1, attempt->flags, (struct sockaddr *)&to,
			      length);
	int code = sent < 0 && errno != EINPROGRESS ? errno : 0;
	close(fd);
	return code;
}

/* Which frames at veth0 are for this address. */
static bool is_for(const uint8_t *frame, ssize_t length, const char *text)
{
	struct address to = {0};
	uint16_t ether = length >= 14 ? (uint16_t)(frame[12] << 8 | frame[13]) : 0;

	if (ether == ETHERTYPE_IP && length >= 34) {
		to.family = AF_INET;
		memcpy(to.bytes, frame + 30, 4);
	}
	if (ether == ETHERTYPE_IPV6 && length >= 54) {
		to.family = AF_INET6;
		memcpy(to.bytes, frame + 38, 16);
	}
	struct address wanted;
	assert_int_equal(address_parse(text, &wanted), 0);
	return address_equal(&to, &wanted);
}

/* Waits for a frame to `mark`, which was sent last; how many were for `foreign` before. */
static unsigned count_until(const char *mark, const char *foreign)
{
	struct pollfd ready = {.fd = capture, .events = POLLIN};
	uint8_t frame[2048];
	unsigned n = 0;

	for (;;) {
		if (poll(&ready, 1, 5000) != 1) {
			print_message("nothing for %s has arrived\n", mark);
			assert_true(false);
		}
		ssize_t length = recv(capture, frame, sizeof(frame), 0);
		n += is_for(frame, length, foreign);
		if (is_for(frame, length, mark))
			return n;
	}
}

static const struct attempt attempts[] = {
	{FOREIGN4, .type = SOCK_DGRAM},
	{FOREIGN4, .type = SOCK_STREAM},
	{FOREIGN4, .type = SOCK_DGRAM, .source = "10.244.1.5"},
	{FOREIGN4, .type = SOCK_DGRAM, .flags = MSG_DONTROUTE},
	{FOREIGN4, .type = SOCK_DGRAM, .device = "eth0"},
	{FOREIGN4, .type = SOCK_STREAM, .device = "eth0"},
	{FOREIGN4, .type = SOCK_DGRAM, .device = "eth0", .source = "10.244.1.5"},
	{FOREIGN4, .type = SOCK_STREAM, .device = "eth0", .source = "10.244.1.5"},
	{FOREIGN4, .type = SOCK_DGRAM, .device = "eth0", .flags = MSG_DONTROUTE},
	{FOREIGN4, .type = SOCK_DGRAM, .device = "eth0", .source = "10.244.1.5", .flags = MSG_DONTROUTE},
	{FOREIGN4, .type = SOCK_DGRAM, .device = "eth0", .unicast_if = true},
	{FOREIGN4, .type = SOCK_DGRAM, .device = "eth0", .source = "10.244.1.5", .unicast_if = true},
	{FOREIGN6, .type = SOCK_DGRAM},
	{FOREIGN6, .type = SOCK_STREAM},
	{FOREIGN6, .type = SOCK_DGRAM, .source = "fd00:1::5"},
	{FOREIGN6, .type = SOCK_DGRAM, .device = "eth0"},
	{FOREIGN6, .type = SOCK_STREAM, .device = "eth0"},
	{FOREIGN6, .type = SOCK_DGRAM, .device = "eth0", .source = "fd00:1::5"},
	{FOREIGN6, .type = SOCK_DGRAM, .device = "eth0", .source = "fd00:1::5", .flags = MSG_DONTROUTE},
	/* What the link needs, sent beyond it. */
	{FOREIGN4, .type = SOCK_RAW, .device = "eth0", .protocol = IPPROTO_IGMP, .kind = 0x16},
	{FOREIGN6, .type = SOCK_RAW, .device = "eth0", .protocol = IPPROTO_ICMPV6, .kind = 135},
	{FOREIGN6, .type = SOCK_RAW, .device = "eth0", .protocol = IPPROTO_ICMPV6, .kind = 143},
};

/* Tries all ways; returns how many attempts got out. What is kept must get out each time, bound or not. */
static unsigned count_leaks(void)
{
	unsigned leaks = 0;

	for (size_t i = 0; i < sizeof(attempts) / sizeof(attempts[0]); i++) {
		bool v6 = strchr(attempts[i].to, ':');
		const char *mark = v6 ? MARK6 : MARK4;
		struct attempt kept = {mark, .type = SOCK_DGRAM, .device = i % 2 ? "eth0" : NULL};
		try(&attempts[i]);
		assert_int_equal(try(&kept), 0);
		unsigned n = count_until(mark, attempts[i].to);
		leaks += n != 0;
	}
	return leaks;
}

static void check_leaks(void)
{
	struct primary_config config = usual();

	assert_true(count_leaks() >= 15); /* the test can fail */
	assert_done(primary_take("vx0", &config, &memory, &why));
	assert_int_equal(count_leaks(), 0);
	assert_int_equal(try(&attempts[0]), ENETUNREACH);
	assert_int_equal(try(&attempts[12]), ENETUNREACH);
	give_tap_the_way();
	assert_int_equal(count_leaks(), 0);
	assert_int_equal(try(&attempts[0]), 0);
	ip("link set vx0 down"); /* and its routes with it */
	assert_int_equal(count_leaks(), 0);
	assert_int_equal(try(&attempts[0]), ENETUNREACH);
	ip("link set vx0 up");
	assert_done(primary_restore("vx0", &why));
	assert_true(count_leaks() >= 15);
}

static void test_packets(void **state)
{
	(void)state;
	NEED_ROOT();
	struct primary_config config = usual();
	static const struct attempt on_link = {"10.244.1.1", .type = SOCK_DGRAM, .device = "eth0",
					       .flags = MSG_DONTROUTE};
	plain_pod();
	check_leaks();
	assert_done(primary_take("vx0", &config, &memory, &why));
	assert_int_equal(try(&on_link), 0);
	count_until("10.244.1.1", FOREIGN4);
}

static void test_packets_calico(void **state)
{
	(void)state;
	NEED_ROOT();
	ip_node("addr del 10.244.1.1/24 dev veth0\nroute add 10.244.1.5 dev veth0");
	ip("addr add 10.244.1.5/32 dev eth0\nroute add 169.254.1.1 dev eth0 scope link\n"
	   "route add default via 169.254.1.1 dev eth0\n"
	   "addr add fd00:1::5/64 dev eth0 nodad\nroute add default via fd00:1::1 dev eth0");
	check_leaks();
}

/* Default routes that lead through the TAP and around it at once. */
static void test_mixed(void **state)
{
	(void)state;
	NEED_ROOT();
	struct primary_config config = usual();
	plain_pod();
	ip("route del default via 10.244.1.1\nroute del default via fd00:1::1 dev eth0\n"
	   "addr add 172.16.0.10/24 dev vx0\naddr add fd16::10/64 dev vx0 nodad\n"
	   "route add default via fd16::1 dev vx0\nroute append default via fd00:1::1 dev eth0\n"
	   "route append default via fd00:1::2 dev eth0\n"
	   "route add default nexthop via 172.16.0.1 dev vx0 nexthop via 10.244.1.1 dev eth0 weight 3");
	assert_shows("ip -6 route show default | grep -c nexthop", "3\n");
	assert_done(primary_take("vx0", &config, &memory, &why));
	assert_shows(WAY4, USUAL4);
	assert_shows(WAY6 " | grep fd00::/16", "fd00::/16 via fd00:1::1 dev eth0 proto 80 metric 1024 pref medium\n");
	assert_shows(WAY6 " | grep -c default || true", "0\n");
}

static void test_second_interface(void **state)
{
	(void)state;
	NEED_ROOT();
	struct primary_config config = usual();
	plain_pod();
	assert_done(primary_take("vx0", &config, &memory, &why));
	ip("link add net1 type veth peer name peer1\nlink set peer1 up\nlink set net1 up");
	assert_done(primary_take("vx0", &config, &memory, &why));
	ip("addr add 10.7.0.5/24 dev net1\naddr add fd07::5/64 dev net1 nodad\nroute add default via 10.7.0.1 metric "
	   "5");
	assert_done(primary_take("vx0", &config, &memory, &why));
	assert_shows(WAY4 " | grep net1", "10.7.0.0/24 dev net1 proto kernel scope link src 10.7.0.5\n");
	assert_shows(WAY6 " | grep net1", "fd07::/64 dev net1 proto kernel metric 256 pref medium\n");
	assert_shows(RULES4 " | sort | grep -v main",
		     "lookup T5\noif eth0 lookup T6\noif net1 lookup T6\noif peer1 lookup T6\n"
		     "unreachable\n");
	assert_shows(RULES4 " | tail -n1", "unreachable\n");
	assert_shows(BOUND " | grep -c local", "3\n");
	ip("route add 10.70.0.0/16 via 10.7.0.1");
	assert_done(primary_take("vx0", &config, &memory, &why));
	assert_shows(WAY4 " | grep -c net1", "1\n");
	ip("link del net1");
	assert_done(primary_take("vx0", &config, &memory, &why));
	assert_usual();
}

static void test_without_ipv6(void **state)
{
	(void)state;
	NEED_ROOT();
	struct primary_config config = usual();
	plain_pod();
	shell("echo 1 >/proc/sys/net/ipv6/conf/all/disable_ipv6");
	assert_done(primary_take("vx0", &config, &memory, &why));
	assert_shows(WAY4, USUAL4);
	assert_done(primary_restore("vx0", &why));
	assert_shows(OURS, "");
}

static void test_wrong(void **state)
{
	(void)state;
	NEED_ROOT();
	struct primary_config config = usual();
	plain_pod();
	config.primary_keep[1] = (struct prefix){.address.family = AF_INET};
	assert_int_equal(primary_take("vx0", &config, &memory, &why), -EINVAL);
	assert_string_equal(why.key, "keep");
	assert_non_null(strstr(why.text, "0.0.0.0/0"));
	config = usual();
	config.remotes[0].family = 0;
	assert_int_equal(primary_take("vx0", &config, &memory, &why), -EINVAL);
	assert_string_equal(why.key, "remote");
	assert_shows(MAIN4 " show default", "default via 10.244.1.1 dev eth0\n");
	assert_shows(OURS, "");
}

static double cpu_seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* What a pod can grow, grows; nobody waits for it: seconds of our own time, however busy the machine is. */
static void test_many(const char *commands)
{
	double limit = 1;
	NEED_ROOT();
	struct primary_config config = usual();
	plain_pod();
	assert_done(primary_take("vx0", &config, &memory, &why));
	shell(commands);
	double began = cpu_seconds();
	assert_done(primary_take("vx0", &config, &memory, &why));
	double took = cpu_seconds() - began;
	print_message("%.3f s after: %s\n", took, commands);
	assert_true(took < limit);
	assert_shows("ip -4 rule show | grep -c '^0:.*unreachable'", "1\n");
	began = cpu_seconds();
	assert_done(primary_restore("vx0", &why));
	assert_true(cpu_seconds() - began < limit);
}

#define BATCH(line) "awk 'BEGIN { for (i = 0; i < 100000; i++) " line " }' | ip -batch -"

static void test_many_routes(void **state)
{
	(void)state;
	test_many(BATCH("printf \"route add 11.%d.%d.%d/32 dev eth0 table 77\\n\", i / 65536, i / 256 % 256, i % 256"));
}

static void test_many_main_routes(void **state)
{
	(void)state;
	test_many(BATCH("printf \"route add 11.%d.%d.%d/32 dev eth0\\n\", i / 65536, i / 256 % 256, i % 256"));
}

static void test_many_rules(void **state)
{
	(void)state;
	test_many("awk 'BEGIN { for (i = 0; i < 20000; i++) printf \"rule add pref %d to 11.0.0.1 table 77\\n\", "
		  "1000 + i }' | ip -batch -");
}

#define FRESH(test) cmocka_unit_test_setup_teardown(test, enter, leave)

int main(void)
{
	const struct CMUnitTest tests[] = {
		FRESH(test_take),       FRESH(test_give_back),        FRESH(test_cut_short),
		FRESH(test_calico),     FRESH(test_defaults),         FRESH(test_several),
		FRESH(test_no_default), FRESH(test_own_routes),       FRESH(test_remote_in_overlay),
		FRESH(test_change),     FRESH(test_packets),          FRESH(test_packets_calico),
		FRESH(test_mixed),      FRESH(test_repair),           FRESH(test_packets_meanwhile),
		FRESH(test_take_over),  FRESH(test_second_interface), FRESH(test_without_ipv6),
		FRESH(test_wrong),      FRESH(test_many_routes),      FRESH(test_many_main_routes),
		FRESH(test_many_rules),
	};

	home = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
