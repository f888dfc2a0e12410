/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_underlay.c - the sockets of a VTEP, against the kernel
 *
 * Every test runs in a network namespace of its own that has no name, so that it goes with the test.
 */
#include "vswitch/base/underlay.c"

#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <sys/ioctl.h>

/* After our own: cmocka makes a macro of fail(). */
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "tests/unit/shell.h"

#define NEED_ROOT()                                                                                                    \
	do {                                                                                                           \
		if (geteuid()) {                                                                                       \
			print_message("skipped: network namespaces need root\n");                                      \
			skip();                                                                                        \
		}                                                                                                      \
	} while (0)

static const struct address any[2];
static struct failure why;
static int home = -1;

static int set_link_up(const char *name)
{
	struct ifreq request = {.ifr_flags = IFF_UP};
	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", name);
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), error = ioctl(fd, SIOCSIFFLAGS, &request);
	close(fd);
	return error;
}

static int enter_fresh(void **state)
{
	(void)state;
	why = (struct failure){0};
	if (geteuid())
		return 0;
	return unshare(CLONE_NEWNET) || set_link_up("lo");
}

static int leave(void **state)
{
	(void)state;
	return geteuid() ? 0 : setns(home, CLONE_NEWNET);
}

static struct underlay *open_on(uint16_t port, unsigned receivers, unsigned sources)
{
	struct underlay *underlay = NULL;
	if (underlay_open(&underlay, port, receivers, sources, any, true, &why))
		fail_msg("%d: %s", why.code, why.text);
	return underlay;
}

static int option(int fd, int level, int name)
{
	int value = -1;
	socklen_t length = sizeof(value);
	assert_return_code(getsockopt(fd, level, name, &value, &length), errno);
	return value;
}

static struct endpoint bound_to(int fd)
{
	struct sockaddr_storage sa;
	socklen_t length = sizeof(sa);
	struct endpoint endpoint;
	assert_return_code(getsockname(fd, (struct sockaddr *)&sa, &length), errno);
	assert_int_equal(endpoint_from_sockaddr((struct sockaddr *)&sa, length, &endpoint), 0);
	return endpoint;
}

static int plain_socket(const char *at)
{
	struct endpoint endpoint;
	struct sockaddr_storage sa;
	assert_int_equal(endpoint_parse(at, &endpoint), 0);
	socklen_t length = endpoint_to_sockaddr(&endpoint, &sa);
	int fd = socket(endpoint.address.family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_return_code(fd, errno);
	assert_return_code(bind(fd, (struct sockaddr *)&sa, length), errno);
	return fd;
}

static unsigned descriptors(void)
{
	unsigned n = 0;
	for (int fd = 0; fd < 1024; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

static void check_df(int fd, bool ip6)
{
	if (ip6) {
		assert_int_equal(option(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER), IPV6_PMTUDISC_PROBE);
		assert_int_equal(option(fd, IPPROTO_IPV6, IPV6_DONTFRAG), 1);
		assert_int_equal(option(fd, IPPROTO_IPV6, IPV6_V6ONLY), 1);
	} else {
		assert_int_equal(option(fd, IPPROTO_IP, IP_MTU_DISCOVER), IP_PMTUDISC_PROBE);
	}
	assert_int_equal(option(fd, SOL_SOCKET, SO_NO_CHECK), 0);
	assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
}

static void check_receiver(int fd, bool ip6, uint16_t port)
{
	check_df(fd, ip6);
	assert_int_equal(bound_to(fd).port, port);
	assert_int_equal(option(fd, SOL_UDP, UDP_GRO), 1);
	if (ip6) {
		assert_int_equal(option(fd, IPPROTO_IPV6, IPV6_RECVTCLASS), 1);
		assert_int_equal(option(fd, SOL_UDP, 102), 1); /* UDP_NO_CHECK6_RX */
	} else {
		assert_int_equal(option(fd, IPPROTO_IP, IP_RECVTOS), 1);
	}
}

static void test_sockets(void **state)
{
	(void)state;
	NEED_ROOT();
	unsigned before = descriptors();
	struct underlay *underlay = open_on(4789, 3, UNDERLAY_HOST_SOURCES);
	assert_int_equal(underlay->port, 4789);
	for (int ip6 = 0; ip6 < 2; ip6++) {
		const struct underlay_family *family = &underlay->family[ip6];
		for (int i = 0; i < 3; i++)
			check_receiver(family->receive[i], ip6, 4789);
		for (int i = 3; i < SWITCH_MAX_WORKERS; i++)
			assert_int_equal(family->receive[i], -1);
		for (int i = 0; i < UNDERLAY_HOST_SOURCES; i++)
			check_df(family->source[i], ip6);
		check_df(family->path, ip6);
	}
	underlay_close(underlay);
	underlay_close(NULL);
	assert_int_equal(descriptors(), before);
}

static void test_source_ports(void **state)
{
	(void)state;
	NEED_ROOT();
	struct underlay *underlay = open_on(4789, 1, UNDERLAY_HOST_SOURCES);
	for (int f = 0; f < UNDERLAY_FAMILIES; f++) {
		uint16_t ports[UNDERLAY_HOST_SOURCES];
		for (int i = 0; i < UNDERLAY_HOST_SOURCES; i++) {
			ports[i] = bound_to(underlay->family[f].source[i]).port;
			assert_in_range(ports[i], 49152, 65535);
			for (int k = 0; k < i; k++)
				assert_int_not_equal(ports[i], ports[k]);
		}
	}
	underlay_close(underlay);
}

/* A VXLAN port in the range of source ports: it is taken, so they avoid it. */
static void test_port_among_sources(void **state)
{
	(void)state;
	NEED_ROOT();
	struct underlay *underlay = open_on(50000, 1, UNDERLAY_HOST_SOURCES);
	for (int i = 0; i < UNDERLAY_HOST_SOURCES; i++)
		assert_int_not_equal(bound_to(underlay->family[0].source[i]).port, 50000);
	underlay_close(underlay);
}

static void test_choice(void **state)
{
	(void)state;
	NEED_ROOT();
	struct underlay *underlay = open_on(4789, 1, UNDERLAY_POD_SOURCES);
	for (int ip6 = 0; ip6 < 2; ip6++) {
		sa_family_t family = ip6 ? AF_INET6 : AF_INET;
		unsigned used = 0;
		for (uint64_t hash = 0; hash < 1000; hash++) {
			uint64_t spread = hash * 0x9e3779b97f4a7c15;
			int fd = underlay_source(underlay, family, spread);
			assert_int_equal(underlay_source(underlay, family, spread), fd);
			unsigned which = 0;
			while (which < UNDERLAY_POD_SOURCES && underlay->family[ip6].source[which] != fd)
				which++;
			assert_true(which < UNDERLAY_POD_SOURCES);
			used |= 1U << which;
		}
		assert_int_equal(used, (1U << UNDERLAY_POD_SOURCES) - 1);
	}
	underlay_close(underlay);
}

static void check_taken(const char *at)
{
	unsigned before = descriptors();
	int taken = plain_socket(at);
	struct underlay *underlay = (struct underlay *)&why;
	assert_int_equal(underlay_open(&underlay, 4789, 1, 4, any, true, &why), -EADDRINUSE);
	assert_ptr_equal(underlay, &why);
	assert_int_equal(why.code, -EADDRINUSE);
	assert_string_equal(why.key, "port");
	assert_non_null(strstr(why.text, "4789"));
	close(taken);
	assert_int_equal(descriptors(), before);
	underlay_close(open_on(4789, 1, 4));
}

static void test_taken(void **state)
{
	(void)state;
	NEED_ROOT();
	check_taken("0.0.0.0:4789");
	check_taken("[::]:4789");
	check_taken("127.0.0.1:4789");
}

/* Nobody else can bind the port, not even another podswitchd. */
static void test_not_shared(void **state)
{
	(void)state;
	NEED_ROOT();
	struct underlay *first = open_on(4789, 1, 4), *second = NULL;
	assert_int_equal(underlay_open(&second, 4789, 1, 4, any, true, &why), -EADDRINUSE);
	assert_int_equal(underlay_open(&second, 4789, 2, 4, any, true, &why), -EADDRINUSE);
	assert_null(second);
	struct underlay *other = open_on(4790, 1, 4);
	underlay_close(other);
	underlay_close(first);
}

static void test_vtep(void **state)
{
	(void)state;
	NEED_ROOT();
	struct address vtep[2] = {{.family = 0}};
	struct underlay *underlay = NULL;
	assert_int_equal(address_parse("::1", &vtep[0]), 0);
	assert_int_equal(address_parse("127.0.0.9", &vtep[1]), 0);
	assert_int_equal(underlay_open(&underlay, 4789, 1, 2, vtep, true, &why), 0);
	for (int f = 0; f < UNDERLAY_FAMILIES; f++) {
		struct endpoint receiver = bound_to(underlay->family[f].receive[0]);
		struct endpoint source = bound_to(underlay->family[f].source[1]);
		assert_true(address_equal(&receiver.address, &vtep[!f]));
		assert_true(address_equal(&source.address, &vtep[!f]));
	}
	underlay_close(underlay);

	unsigned before = descriptors();
	assert_int_equal(address_parse("192.0.2.1", &vtep[1]), 0);
	assert_int_equal(underlay_open(&underlay, 4789, 1, 2, vtep, true, &why), -EADDRNOTAVAIL);
	assert_string_equal(why.key, "vtep");
	assert_int_equal(descriptors(), before);
}

static void test_without_ip6(void **state)
{
	(void)state;
	NEED_ROOT();
	int fd = open("/proc/sys/net/ipv6/conf/all/disable_ipv6", O_WRONLY | O_CLOEXEC);
	if (fd < 0) {
		print_message("skipped: no IPv6 here, or /proc is read-only\n");
		skip();
	}
	ssize_t written = write(fd, "1", 1);
	close(fd);
	assert_int_equal(written, 1);
	struct underlay *underlay = open_on(4789, 1, 4);
	assert_true(underlay_source(underlay, AF_INET, 7) >= 0);
	underlay_close(underlay);
}

/* The sockets work while flows are sent: what leaves a source arrives from its port. */
static void send_one(const struct underlay *underlay, int ip6, uint64_t hash)
{
	struct endpoint to, from;
	struct sockaddr_storage sa;
	char bytes[64];
	assert_int_equal(endpoint_parse(ip6 ? "[::1]:4789" : "127.0.0.1:4789", &to), 0);
	socklen_t length = endpoint_to_sockaddr(&to, &sa);
	int fd = underlay_source(underlay, sa.ss_family, hash), receiver = underlay->family[ip6].receive[0];
	assert_int_equal(sendto(fd, "hello", 5, 0, (struct sockaddr *)&sa, length), 5);
	struct pollfd wait = {.fd = receiver, .events = POLLIN};
	assert_int_equal(poll(&wait, 1, 5000), 1);
	length = sizeof(sa);
	assert_int_equal(recvfrom(receiver, bytes, sizeof(bytes), 0, (struct sockaddr *)&sa, &length), 5);
	assert_int_equal(endpoint_from_sockaddr((struct sockaddr *)&sa, length, &from), 0);
	assert_int_equal(from.port, bound_to(fd).port);
}

static void test_sending(void **state)
{
	(void)state;
	NEED_ROOT();
	struct underlay *underlay = open_on(4789, 1, 4);
	for (uint64_t hash = 0; hash < 8; hash++) {
		send_one(underlay, 0, hash);
		send_one(underlay, 1, hash);
	}
	underlay_close(underlay);
}

/* RFC 7348, section 4.3: a datagram without a checksum is accepted. */
static void test_zero_checksum(void **state)
{
	(void)state;
	NEED_ROOT();
	struct underlay *underlay = open_on(4789, 1, 4);
	for (int ip6 = 0; ip6 < 2; ip6++) {
		struct endpoint to;
		struct sockaddr_storage sa;
		int one = 1, fd = plain_socket(ip6 ? "[::1]:5000" : "127.0.0.1:5000");
		assert_int_equal(endpoint_parse(ip6 ? "[::1]:4789" : "127.0.0.1:4789", &to), 0);
		socklen_t length = endpoint_to_sockaddr(&to, &sa);
		/* UDP_NO_CHECK6_TX is 101 */
		assert_return_code(
			setsockopt(fd, ip6 ? SOL_UDP : SOL_SOCKET, ip6 ? 101 : SO_NO_CHECK, &one, sizeof(one)), errno);
		assert_int_equal(sendto(fd, "hello", 5, 0, (struct sockaddr *)&sa, length), 5);
		struct pollfd wait = {.fd = underlay->family[ip6].receive[0], .events = POLLIN};
		assert_int_equal(poll(&wait, 1, 5000), 1);
		close(fd);
	}
	underlay_close(underlay);
}

/* With DF, what does not fit is refused, never cut. */
static void test_too_big(void **state)
{
	(void)state;
	NEED_ROOT();
	struct ifreq request = {.ifr_mtu = 1500};
	snprintf(request.ifr_name, sizeof(request.ifr_name), "lo");
	struct underlay *underlay = open_on(4789, 1, 4);
	assert_return_code(ioctl(underlay->family[0].path, SIOCSIFMTU, &request), errno);
	static char bytes[2000];
	for (int ip6 = 0; ip6 < 2; ip6++) {
		struct endpoint to;
		struct sockaddr_storage sa;
		size_t most = ip6 ? 1452 : 1472;
		assert_int_equal(endpoint_parse(ip6 ? "[::1]:4789" : "127.0.0.1:4789", &to), 0);
		socklen_t length = endpoint_to_sockaddr(&to, &sa);
		int fd = underlay_source(underlay, sa.ss_family, 0);
		assert_int_equal(sendto(fd, bytes, most, 0, (struct sockaddr *)&sa, length), most);
		assert_int_equal(sendto(fd, bytes, most + 1, 0, (struct sockaddr *)&sa, length), -1);
		assert_int_equal(errno, EMSGSIZE);
		assert_int_equal(underlay_path_mtu(underlay, &sa), 1500);
	}
	underlay_close(underlay);
}

static void test_path_mtu(void **state)
{
	(void)state;
	NEED_ROOT();
	struct endpoint to;
	struct sockaddr_storage sa;
	struct underlay *underlay = open_on(4789, 1, 4);
	assert_int_equal(endpoint_parse("127.0.0.1:4789", &to), 0);
	endpoint_to_sockaddr(&to, &sa);
	assert_int_equal(underlay_path_mtu(underlay, &sa), 65536 - 1);
	assert_int_equal(endpoint_parse("[::1]:4789", &to), 0);
	endpoint_to_sockaddr(&to, &sa);
	assert_int_equal(underlay_path_mtu(underlay, &sa), 65536);
	/* No route there. */
	assert_int_equal(endpoint_parse("192.0.2.1:4789", &to), 0);
	endpoint_to_sockaddr(&to, &sa);
	assert_int_equal(underlay_path_mtu(underlay, &sa), -ENETUNREACH);
	underlay_close(underlay);
}

static int path_to(const struct underlay *underlay, const char *text)
{
	struct endpoint to;
	struct sockaddr_storage sa;
	assert_int_equal(endpoint_parse(text, &to), 0);
	endpoint_to_sockaddr(&to, &sa);
	return underlay_path_mtu(underlay, &sa);
}

/* A route's MTU stands for one that ICMP has reported: both are what the kernel believes. */
static void test_path_floor(void **state)
{
	(void)state;
	NEED_ROOT();
	struct ifreq request = {.ifr_mtu = 1000};
	snprintf(request.ifr_name, sizeof(request.ifr_name), "lo");
	struct underlay *underlay = open_on(4789, 1, 4);
	assert_int_equal(shell_status("/",
				      "ip addr add 198.51.100.1 dev lo && ip route add 192.0.2.1 dev lo mtu 552 && "
				      "ip route add 192.0.2.2 dev lo mtu 1280 && "
				      "ip -6 route add 2001:db8::1 dev lo mtu 1280"),
			 0);
	assert_int_equal(path_to(underlay, "192.0.2.1:4789"), UNDERLAY_PATH_FLOOR);
	assert_int_equal(path_to(underlay, "192.0.2.2:4789"), 1280);
	assert_int_equal(path_to(underlay, "[2001:db8::1]:4789"), 1280);
	/* The node's own device is no stranger. */
	assert_return_code(ioctl(underlay->family[0].path, SIOCSIFMTU, &request), errno);
	assert_int_equal(path_to(underlay, "192.0.2.1:4789"), 1000);
	underlay_close(underlay);
}

static struct address source_towards(const struct underlay *underlay, const char *text)
{
	struct endpoint to, from = {0};
	struct sockaddr_storage sa, source = {0};
	assert_int_equal(endpoint_parse(text, &to), 0);
	endpoint_to_sockaddr(&to, &sa);
	assert_true(underlay_path(underlay, &sa, &source) > 0);
	assert_int_equal(endpoint_from_sockaddr((struct sockaddr *)&source, sizeof(source), &from), 0);
	/* The source port of the path socket means nothing and varies. */
	assert_int_equal(from.port, 0);
	return from.address;
}

/* Earlier questions do not matter: each remote has the source of its route. */
static void test_path_source(void **state)
{
	(void)state;
	NEED_ROOT();
	struct address loopback, other;
	struct underlay *underlay = open_on(4789, 1, 4);
	struct ifreq request = {.ifr_name = "lo:1"};
	struct sockaddr_in *sin = (struct sockaddr_in *)&request.ifr_addr;
	sin->sin_family = AF_INET;
	assert_int_equal(inet_pton(AF_INET, "192.0.2.1", &sin->sin_addr), 1);
	assert_return_code(ioctl(underlay->family[0].path, SIOCSIFADDR, &request), errno);
	assert_int_equal(address_parse("127.0.0.1", &loopback), 0);
	assert_int_equal(address_parse("192.0.2.1", &other), 0);
	for (int i = 0; i < 2; i++) {
		struct address first = source_towards(underlay, "127.0.0.1:4789");
		struct address second = source_towards(underlay, "192.0.2.1:4789");
		assert_true(address_equal(&first, &loopback));
		assert_true(address_equal(&second, &other));
	}
	underlay_close(underlay);
}

#define fresh(test) cmocka_unit_test_setup_teardown(test, enter_fresh, leave)

int main(void)
{
	home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	const struct CMUnitTest tests[] = {
		fresh(test_sockets),       fresh(test_source_ports), fresh(test_port_among_sources),
		fresh(test_choice),        fresh(test_taken),        fresh(test_not_shared),
		fresh(test_vtep),          fresh(test_without_ip6),  fresh(test_sending),
		fresh(test_too_big),       fresh(test_path_mtu),     fresh(test_path_floor),
		fresh(test_zero_checksum), fresh(test_path_source),
	};
	return cmocka_run_group_tests_name("underlay", tests, NULL, NULL);
}
