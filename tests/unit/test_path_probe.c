/* SPDX-License-Identifier: Apache-2.0 */
/* test_path_probe.c - questions to an address behind the gateway: their bytes, and what is taken for an answer */
#include "tap/path_probe.c"

#include <errno.h>
#include <sys/types.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static struct path_ends ends;
static struct path_probe probe;
static struct path_target target;
static uint8_t asked[PATH_FRAME], reply[PATH_FRAME];
static size_t length;

static void begin(const char *text)
{
	memset(&ends, 0, sizeof(ends));
	mac_parse("02:00:00:00:00:10", &ends.own_mac);
	mac_parse("02:00:00:00:00:99", &ends.router_mac);
	address_parse("172.16.0.9", &ends.own);
	assert_int_equal(path_target_parse(text, &target), 0);
	path_probe_init(&probe, &target, path_ports_beside(32768, 60999), 7);
}

/* Asks, and makes of the question what the target would answer. */
static void ask(void)
{
	uint8_t *ip = reply + ETH_HEADER, *inner = ip + IP4_HEADER;

	length = path_probe_ask(&probe, &ends, 1000, asked);
	memcpy(reply, asked, sizeof(reply));
	memcpy(reply + ETH_DST, asked + ETH_SRC, 6);
	memcpy(reply + ETH_SRC, asked + ETH_DST, 6);
	memcpy(ip + IP4_SRC, asked + ETH_HEADER + IP4_DST, 4);
	memcpy(ip + IP4_DST, asked + ETH_HEADER + IP4_SRC, 4);
	if (target.kind == PATH_ICMP) {
		inner[ICMP_TYPE] = ECHO_REPLY;
		return;
	}
	store16(inner + TCP_SRC, load16(asked + ETH_HEADER + IP4_HEADER + TCP_DST));
	store16(inner + TCP_DST, load16(asked + ETH_HEADER + IP4_HEADER + TCP_SRC));
	store32(inner + TCP_ACK, load32(asked + ETH_HEADER + IP4_HEADER + TCP_SEQ) + 1);
	store32(inner + TCP_SEQ, 77);
	inner[TCP_FLAGS] = TCP_SYN_ACK;
}

static bool answers(size_t bytes)
{
	uint64_t took = 0;
	bool is = path_probe_answers(&probe, &ends, 1500, reply, bytes, &took);

	assert_int_equal(took, is ? 500 : 0);
	return is;
}

/* The filter as the kernel runs it; over a datagram, whose first byte is the frame's. */
static bool passes(size_t bytes)
{
	struct sock_filter code[PATH_FILTER];
	struct sock_fprog program = {path_probe_filter(&probe, code), code};
	uint8_t got[PATH_FRAME];
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0, fds), 0);
	assert_int_equal(setsockopt(fds[0], SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)), 0);
	(void)send(fds[1], reply, bytes, 0);
	ssize_t n = recv(fds[0], got, sizeof(got), 0);
	close(fds[0]);
	close(fds[1]);
	return n == (ssize_t)bytes;
}

static void reads_targets(void **state)
{
	static const char *const good[] = {"none", "icmp:1.1.1.1", "tcp:198.51.100.1:443", "tcp:223.255.255.255:65535"};
	static const char *const bad[] = {
		"",
		"icmp",
		"icmp:",
		"icmp:1.1.1",
		"icmp:::1",
		"icmp:0.0.0.1",
		"icmp:224.0.0.1",
		"icmp:127.0.0.1",
		"icmp:1.1.1.1:80",
		"tcp:1.1.1.1",
		"tcp:1.1.1.1:0",
		"tcp:1.1.1.1:65536",
		"tcp:[::1]:80",
		"udp:1.1.1.1:53",
		"ICMP:1.1.1.1",
		"icmp:1.1.1.1 ",
		"http://1.1.1.1/",
		"arp",
	};
	char text[PATH_TARGET_TEXT];
	struct path_target one, other = {0};

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_int_equal(path_target_parse(good[i], &one), 0);
		assert_string_equal(path_target_format(&one, text), good[i]);
		assert_true(path_target_equal(&one, &one));
		assert_int_equal(path_target_equal(&one, &other), i == 0);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (path_target_parse(bad[i], &one) != -EINVAL)
			fail_msg("read '%s'", bad[i]);
}

static void asks_as_the_pod(const char *text, uint8_t protocol, size_t inner)
{
	const uint8_t *ip = asked + ETH_HEADER;

	begin(text);
	ask();
	assert_int_equal(length, ETH_HEADER + IP4_HEADER + inner);
	assert_memory_equal(asked, "\x02\0\0\0\0\x99\x02\0\0\0\0\x10\x08\0\x45", 15);
	assert_memory_equal(ip + IP4_SRC, "\xac\x10\0\x09\xc6\x33\x64\x01", 8);
	assert_int_equal(load16(ip + IP4_LENGTH), IP4_HEADER + inner);
	assert_int_equal(ip[IP4_PROTOCOL], protocol);
	assert_true(checksum_valid(checksum_add(0, ip, IP4_HEADER)));
	uint32_t sum =
		protocol == PROTO_TCP ? checksum_pseudo4(ip + IP4_SRC, ip + IP4_DST, PROTO_TCP, (uint16_t)inner) : 0;
	assert_true(checksum_valid(checksum_add(sum, ip + IP4_HEADER, inner)));
}

static void asks(void **state)
{
	(void)state;
	asks_as_the_pod("icmp:198.51.100.1", PROTO_ICMP4, ECHO_LENGTH);
	asks_as_the_pod("tcp:198.51.100.1:443", PROTO_TCP, SYN_LENGTH);
	for (int i = 0; i < 10000; i++) {
		(void)path_probe_ask(&probe, &ends, 0, asked);
		assert_in_range(load16(asked + ETH_HEADER + IP4_HEADER + TCP_SRC), 61000, 65535);
	}
}

static void keeps_off_the_pods_ports(void **state)
{
	struct path_ports ports = path_ports_beside(32768, 60999);

	(void)state;
	assert_true(ports.first == 61000 && ports.n == 4536);
	ports = path_ports_beside(15000, 65535);
	assert_true(ports.first == 1024 && ports.n == 15000 - 1024);
	ports = path_ports_beside(1024, 65535);
	assert_true(ports.first + ports.n <= UINT16_MAX && ports.n);
	ports = path_ports_beside(99999, 99999);
	assert_true(ports.first + ports.n <= UINT16_MAX && ports.n);
}

static void takes_each_answer_once(const char *text)
{
	uint8_t late[PATH_FRAME], later[PATH_FRAME];

	begin(text);
	ask();
	memcpy(late, reply, sizeof(late));
	assert_true(passes(length));
	assert_true(answers(length));
	assert_false(answers(length));
	/* Late ones, in any order, while later questions are on their way. */
	ask();
	memcpy(late, reply, sizeof(late));
	ask();
	memcpy(later, reply, sizeof(later));
	for (int i = 0; i < PATH_QUESTIONS - 2; i++)
		ask();
	memcpy(reply, later, sizeof(reply));
	assert_true(answers(length));
	memcpy(reply, late, sizeof(reply));
	assert_true(answers(length));
	/* Too late, and of another time. */
	ask();
	memcpy(late, reply, sizeof(late));
	for (int i = 0; i < PATH_QUESTIONS; i++)
		ask();
	memcpy(reply, late, sizeof(reply));
	assert_false(answers(length));
	ask();
	path_probe_forget(&probe);
	assert_false(answers(length));
}

static void takes_answers(void **state)
{
	(void)state;
	takes_each_answer_once("icmp:198.51.100.1");
	takes_each_answer_once("tcp:198.51.100.1:443");
}

/* Each byte of an answer that matters, changed in each bit: nothing of it is an answer any more. */
static void believes_nothing_else(const char *text, const size_t *matters, size_t n)
{
	begin(text);
	ask();
	for (size_t i = 0; i < n; i++)
		for (unsigned bit = 0; bit < 8; bit++) {
			reply[matters[i]] ^= (uint8_t)(1 << bit);
			if (answers(length))
				fail_msg("%s: bit %u of byte %zu does not matter", text, bit, matters[i]);
			reply[matters[i]] ^= (uint8_t)(1 << bit);
		}
	for (size_t bytes = 0; bytes < length; bytes++)
		assert_false(answers(bytes));
	assert_true(answers(length));
}

#define IP(offset) (ETH_HEADER + (offset))
#define INNER(offset) (ETH_HEADER + IP4_HEADER + (offset))

static void believes_only_the_target(void **state)
{
	static const size_t echo[] = {
		0,
		5,
		12,
		13,
		IP(IP4_PROTOCOL),
		IP(IP4_SRC),
		IP(IP4_SRC + 3),
		IP(IP4_DST),
		IP(IP4_DST + 3),
		INNER(ICMP_TYPE),
		INNER(ICMP_CODE),
		INNER(ECHO_ID),
		INNER(ECHO_ID + 1),
		INNER(ECHO_SEQUENCE),
		INNER(ECHO_SEQUENCE + 1),
	};
	static const size_t syn[] = {
		0,
		5,
		12,
		13,
		IP(IP4_PROTOCOL),
		IP(IP4_SRC),
		IP(IP4_SRC + 3),
		IP(IP4_DST),
		IP(IP4_DST + 3),
		INNER(TCP_SRC),
		INNER(TCP_SRC + 1),
		INNER(TCP_DST),
		INNER(TCP_DST + 1),
		INNER(TCP_ACK),
		INNER(TCP_ACK + 3),
	};

	(void)state;
	believes_nothing_else("icmp:198.51.100.1", echo, sizeof(echo) / sizeof(echo[0]));
	believes_nothing_else("tcp:198.51.100.1:443", syn, sizeof(syn) / sizeof(syn[0]));
	/* A RST, a plain ACK, the SYN of a simultaneous open; and fragments. */
	static const uint8_t flags[] = {TCP_RST | TCP_ACK_FLAG, TCP_RST, TCP_ACK_FLAG, TCP_SYN,
					TCP_SYN_ACK | TCP_RST,  0};
	ask();
	for (size_t i = 0; i < sizeof(flags); i++) {
		reply[INNER(TCP_FLAGS)] = flags[i];
		assert_false(answers(length));
	}
	reply[INNER(TCP_FLAGS)] = TCP_SYN_ACK | 0x40; /* ECN: ECE */
	store16(reply + IP(IP4_FRAGMENT), 0x2000);
	assert_false(answers(length));
	store16(reply + IP(IP4_FRAGMENT), 1);
	assert_false(answers(length));
	store16(reply + IP(IP4_FRAGMENT), IP4_DF);
	assert_true(passes(length));
	assert_true(answers(length));
}

/* What the filter lets through is little: the pod's own traffic with the target, too, stays outside. */
static void filters(void **state)
{
	static const struct {
		size_t at;
		uint8_t value;
	} echo[] = {{IP(IP4_SRC + 3), 2}, {IP(IP4_PROTOCOL), PROTO_UDP}, {INNER(ICMP_TYPE), 3}, {INNER(ECHO_ID), 0}},
	  syn[] = {{IP(IP4_SRC), 9},
		   {IP(IP4_PROTOCOL), PROTO_ICMP4},
		   {INNER(TCP_FLAGS), TCP_ACK_FLAG},
		   {INNER(TCP_SRC), 0}};

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		begin("icmp:198.51.100.1");
		ask();
		assert_true(passes(length));
		reply[echo[i].at] = echo[i].value;
		assert_false(passes(length));
		begin("tcp:198.51.100.1:443");
		ask();
		assert_true(passes(length));
		reply[syn[i].at] = syn[i].value;
		assert_false(passes(length));
	}
	assert_false(passes(20));
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(reads_targets),
	cmocka_unit_test(asks),
	cmocka_unit_test(keeps_off_the_pods_ports),
	cmocka_unit_test(takes_answers),
	cmocka_unit_test(believes_only_the_target),
	cmocka_unit_test(filters),
};

int main(void)
{
	return cmocka_run_group_tests(tests, NULL, NULL);
}
