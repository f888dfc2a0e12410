/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_tap.c - namespaces, TAPs and what rtnetlink gives them, against the kernel
 *
 * Every test runs in a network namespace of its own that has no name, so that it goes with the test. The mount
 * namespace is our own as well, with an empty /run, for namespaces that have to have one. What a verb did is looked up
 * in /proc and through sockets, never through the code under test.
 */
#include "tap/link.c"
#include "tap/link_config.c"
#include "tap/link_query.c"
#include "tap/link_target.c"
#include "tap/link_underlay.c"
#include "tap/netns.c"
#include "tap/tap.c"
#include "tap/trial_frame.c"
#include "tests/unit/tap_destroy.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <linux/if_arp.h>
#include <linux/if_ether.h>
#include <net/ethernet.h>
#include <poll.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/timerfd.h>
#include <sys/wait.h>

/* After our own: cmocka makes a macro of fail(). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define PREFIX4(a, b, c, d, bits)                                                                                      \
	{                                                                                                              \
		.address = ADDRESS4(a, b, c, d), .length = bits                                                        \
	}
#define ADDRESS4(a, b, c, d)                                                                                           \
	{                                                                                                              \
		.bytes = {a, b, c, d}, .family = AF_INET                                                               \
	}
/* fdNN::host */
#define PREFIX6(net, host, bits)                                                                                       \
	{                                                                                                              \
		.address = ADDRESS6(net, host), .length = bits                                                         \
	}
#define ADDRESS6(net, host)                                                                                            \
	{                                                                                                              \
		.bytes = {0xfd, net, [15] = host}, .family = AF_INET6                                                  \
	}

static const struct link_config plain = {
	.mac = {{0x02, 0, 0, 0, 0, 0x10}},
	.mtu = 1450,
	.addresses = {PREFIX4(172, 16, 0, 10, 24), PREFIX6(0x16, 0x10, 64)},
	.n_addresses = 2,
	.routes = {{.to = PREFIX4(10, 1, 2, 3, 8), .via = ADDRESS4(172, 16, 0, 1)},
		   {.to = PREFIX4(192, 168, 7, 0, 24)},
		   {.to = PREFIX4(10, 77, 0, 0, 16), .via = ADDRESS4(172, 31, 0, 1)}, /* no address covers it */
		   {.to = PREFIX6(0x20, 0x99, 32), .via = ADDRESS6(0x16, 1)}},
	.n_routes = 4,
	.default_via = ADDRESS4(172, 16, 0, 1),
};

static struct netns home;
static struct failure why;

static int enter_fresh(void **state)
{
	(void)state;
	if (geteuid())
		return 0;
	why = (struct failure){0};
	return unshare(CLONE_NEWNET);
}

static int leave(void **state)
{
	(void)state;
	return geteuid() ? 0 : setns(home.fd, CLONE_NEWNET);
}

#define NEED_ROOT()                                                                                                    \
	do {                                                                                                           \
		if (geteuid()) {                                                                                       \
			print_message("skipped: network namespaces need root\n");                                      \
			skip();                                                                                        \
		}                                                                                                      \
	} while (0)

#define assert_refused(call, errno_, key_)                                                                             \
	do {                                                                                                           \
		why = (struct failure){0};                                                                             \
		assert_int_equal(call, -(errno_));                                                                     \
		assert_int_equal(why.code, -(errno_));                                                                 \
		assert_string_equal(why.key, key_);                                                                    \
		assert_true(strlen(why.text) > 10 && !strchr(why.text, '\n'));                                         \
	} while (0)

#define assert_says(words) assert_non_null(strstr(why.text, words))

#define assert_done(call)                                                                                              \
	do {                                                                                                           \
		why = (struct failure){0};                                                                             \
		int code_ = (call);                                                                                    \
		if (code_)                                                                                             \
			fail_msg("%s: %d: %s", #call, code_, why.text);                                                \
	} while (0)

/* Whether a line of the file contains all of these words in this order. */
static bool in_file(const char *path, const char *first, const char *second, const char *third)
{
	char line[512];
	bool found = false;
	FILE *file = fopen(path, "r");

	assert_non_null(file);
	while (!found && fgets(line, sizeof(line), file)) {
		const char *at = strstr(line, first);
		at = at && second ? strstr(at, second) : at;
		found = at && (!third || strstr(at, third));
	}
	fclose(file);
	return found;
}

static bool has_route4(const char *ifname, const char *to_via, const char *mask)
{
	return in_file("/proc/thread-self/net/route", ifname, to_via, mask);
}

static bool has_route6(const char *to_length, const char *via, const char *ifname)
{
	return in_file("/proc/thread-self/net/ipv6_route", to_length, via, ifname);
}

/* The name of the interface that has the IPv4 address, or NULL. */
static bool has_ipv4(const char *ifname, const char *wanted)
{
	struct ifaddrs *list;
	bool found = false;

	assert_return_code(getifaddrs(&list), errno);
	for (struct ifaddrs *i = list; i; i = i->ifa_next) {
		if (!i->ifa_addr || i->ifa_addr->sa_family != AF_INET || strcmp(i->ifa_name, ifname))
			continue;
		found |= ((struct sockaddr_in *)i->ifa_addr)->sin_addr.s_addr == inet_addr(wanted);
	}
	freeifaddrs(list);
	return found;
}

/* Works at once: neither missing nor tentative. */
static bool can_bind6(const char *address)
{
	struct sockaddr_in6 own = {.sin6_family = AF_INET6};
	int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	inet_pton(AF_INET6, address, &own.sin6_addr);
	bool can = !bind(fd, (struct sockaddr *)&own, sizeof(own));
	close(fd);
	return can;
}

static struct ifreq ask(const char *ifname, unsigned long request)
{
	struct ifreq answer = {0};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	snprintf(answer.ifr_name, sizeof(answer.ifr_name), "%s", ifname);
	assert_return_code(ioctl(fd, request, &answer), errno);
	close(fd);
	return answer;
}

static void write_file(const char *path, const char *text)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
}

static bool is_mac(const char *ifname, uint8_t last)
{
	const uint8_t wanted[6] = {0x02, 0, 0, 0, 0, last};

	return !memcmp(ask(ifname, SIOCGIFHWADDR).ifr_hwaddr.sa_data, wanted, sizeof(wanted));
}

/* IFF_RUNNING follows the carrier some time later, IFLA_CARRIER is the carrier. */
static bool has_carrier(const char *ifname)
{
	struct netlink nl;
	struct rtnl_link *link;

	assert_done(netlink_open(&nl, &why));
	assert_done(link_look_up(&nl, ifname, &link, &why));
	bool carrier = rtnl_link_get_carrier(link);
	rtnl_link_put(link);
	netlink_close(&nl);
	return carrier;
}

/* Makes an interface with libnl; false when the kernel does not have this kind. */
static bool add_link(struct rtnl_link *link)
{
	struct netlink nl;

	assert_done(netlink_open(&nl, &why));
	int code = netlink_code(&nl, rtnl_link_add(nl.sock, link, NLM_F_CREATE | NLM_F_EXCL));
	if (code && code != -EOPNOTSUPP)
		fail_msg("adding an interface: %s", nl.text);
	netlink_close(&nl);
	rtnl_link_put(link);
	return !code;
}

static int make_tap(const char *ifname)
{
	int fd = -1;

	assert_done(tap_create(ifname, &fd, &why));
	return fd;
}

/* netns.c */

static void test_netns_wrong(void **state)
{
	(void)state;
	NEED_ROOT();
	struct netns ns = {.fd = 77};
	char longest[PATH_MAX + 10], name[NAME_MAX + 10];
	memset(longest, 'x', sizeof(longest));
	memset(name, 'x', sizeof(name));
	longest[0] = '/';
	longest[sizeof(longest) - 1] = name[sizeof(name) - 1] = 0;
	mkdir("/run/netns", 0755);
	write_file("/run/netns/bare", "");
	assert_return_code(mkfifo("/run/fifo", 0600), errno);

	assert_refused(netns_open("", &ns, &why), EINVAL, "netns");
	assert_refused(netns_open(".", &ns, &why), EINVAL, "netns");
	assert_refused(netns_open("..", &ns, &why), EINVAL, "netns");
	assert_refused(netns_open(longest, &ns, &why), EINVAL, "netns");
	assert_refused(netns_open(name, &ns, &why), EINVAL, "netns");
	assert_refused(netns_open("nosuch", &ns, &why), ENOENT, "netns");
	assert_says("/run/netns/nosuch");
	assert_refused(netns_open("/nosuch/net", &ns, &why), ENOENT, "netns");
	assert_refused(netns_open("/proc/self/status/net", &ns, &why), ENOENT, "netns");
	assert_refused(netns_open("4194305", &ns, &why), ENOENT, "netns"); /* above the highest PID there can be */
	assert_refused(netns_open("99999999999999999999", &ns, &why), ENOENT, "netns");
	assert_refused(netns_open("/etc/passwd", &ns, &why), EINVAL, "netns");
	assert_refused(netns_open("/run", &ns, &why), EINVAL, "netns");
	assert_refused(netns_open("/run/fifo", &ns, &why), EINVAL, "netns");
	assert_refused(netns_open("/proc/self/ns/uts", &ns, &why), EINVAL, "netns");
	assert_refused(netns_open("bare", &ns, &why), EINVAL, "netns");
	assert_says("HostToContainer");
	assert_int_equal(ns.fd, 77);
	assert_int_equal(netns_open("nosuch", &ns, NULL), -ENOENT);
	assert_false(netns_is("", &home));
	assert_false(netns_is("nosuch", &home));
}

static void test_netns_spellings(void **state)
{
	(void)state;
	NEED_ROOT();
	struct netns own, other;
	char pid[16];
	assert_done(netns_open_own(&own, &why));
	assert_false(own.ino == home.ino);
	snprintf(pid, sizeof(pid), "%d", getpid());
	mkdir("/run/netns", 0755);
	write_file("/run/netns/pod", "");
	assert_return_code(mount("/proc/thread-self/ns/net", "/run/netns/pod", NULL, MS_BIND, NULL), errno);

	const char *spellings[] = {pid, "/proc/self/ns/net", "pod", "/run/netns/pod"};
	for (size_t i = 0; i < 4; i++) {
		assert_done(netns_open(spellings[i], &other, &why));
		assert_true(other.ino == own.ino && other.dev == own.dev && other.fd >= 0);
		assert_true(fcntl(other.fd, F_GETFD) & FD_CLOEXEC);
		assert_true(netns_is(spellings[i], &own));
		assert_false(netns_is(spellings[i], &home));
		int fd = other.fd;
		netns_close(&other);
		assert_int_equal(other.fd, -1);
		assert_int_equal(fcntl(fd, F_GETFD), -1);
		netns_close(&other);
	}

	/* The name now means another namespace, then none. */
	assert_return_code(umount("/run/netns/pod"), errno);
	assert_false(netns_is("pod", &own));
	assert_return_code(unshare(CLONE_NEWNET), errno);
	assert_return_code(mount("/proc/thread-self/ns/net", "/run/netns/pod", NULL, MS_BIND, NULL), errno);
	assert_false(netns_is("pod", &own));
	assert_return_code(umount("/run/netns/pod"), errno);
	unlink("/run/netns/pod");
	assert_false(netns_is("pod", &own));
	netns_close(&own);
}

static void test_netns_enter(void **state)
{
	(void)state;
	NEED_ROOT();
	struct netns pod, none = {.fd = -1};
	assert_done(netns_open_own(&pod, &why));
	close(make_tap("inside"));
	netns_return(&home);
	assert_true(netns_is("/proc/thread-self/ns/net", &home));
	assert_done(netns_enter(&pod, &why));
	assert_true(netns_is("/proc/thread-self/ns/net", &pod));
	assert_int_not_equal(if_nametoindex("inside"), 0);
	assert_refused(netns_enter(&none, &why), EBADF, "netns");
	netns_close(&pod);
}

static int in_child(void (*run)(void))
{
	int status;
	pid_t child = fork();

	assert_return_code(child, errno);
	if (!child) {
		run();
		_exit(1);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	return status;
}

static void enter_powerless(void)
{
	struct failure refused = {0};

	if (setresuid(65534, 65534, 65534))
		_exit(2);
	if (netns_enter(&home, &refused) == -EPERM && strstr(refused.text, "CAP_SYS_ADMIN") && refused.code == -EPERM)
		_exit(0);
}

static void return_nowhere(void)
{
	struct netns none = {.fd = -1};

	/* The log line of an intended abort would only worry the reader. */
	close(STDERR_FILENO);
	signal(SIGABRT, SIG_DFL);
	netns_return(&none);
}

static void test_netns_powerless(void **state)
{
	(void)state;
	NEED_ROOT();
	assert_int_equal(in_child(enter_powerless), 0);
	int status = in_child(return_nowhere);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

/* tap.c */

static void test_tap_create(void **state)
{
	(void)state;
	NEED_ROOT();
	int fd = make_tap("vx0"), header = 0;
	struct ifreq is = {0};
	assert_return_code(ioctl(fd, TUNGETIFF, &is), errno);
	assert_int_equal((unsigned short)is.ifr_flags & ~IFF_TUN_EXCL,
			 IFF_TAP | IFF_NO_PI | IFF_VNET_HDR | IFF_PERSIST);
	assert_string_equal(is.ifr_name, "vx0");
	assert_return_code(ioctl(fd, TUNGETVNETHDRSZ, &header), errno);
	assert_int_equal(header, TAP_VNET_HEADER);
	assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	tap_destroy(fd);
	assert_int_equal(if_nametoindex("vx0"), 0);
	assert_int_equal(fcntl(fd, F_GETFD), -1);
	tap_destroy(-1);
}

static void test_tap_names(void **state)
{
	(void)state;
	NEED_ROOT();
	static const char *const wrong[] = {
		"", ".", "..", "sixteen-letters-", "a/b", "a:b", "a b", "vx%d", "a\tb", "a\nb", "a\x7f", "\x01"};
	int fd = 77;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		assert_refused(tap_create(wrong[i], &fd, &why), EINVAL, "ifname");
		assert_refused(tap_adopt(wrong[i], &fd, &why), EINVAL, "ifname");
	}
	assert_int_equal(fd, 77);
	assert_int_equal(if_nametoindex("vx0"), 0);
	tap_destroy(make_tap("fifteen-letters"));
}

/* Any interface takes a name, even a TAP that nobody has open: attaching to that one would go unnoticed. */
static void test_tap_taken(void **state)
{
	(void)state;
	NEED_ROOT();
	int fd = make_tap("vx0"), second = 77;
	assert_refused(tap_create("vx0", &second, &why), EEXIST, "ifname");
	assert_says("vx0");
	close(fd);
	assert_refused(tap_create("vx0", &second, &why), EEXIST, "ifname");
	assert_refused(tap_create("lo", &second, &why), EEXIST, "ifname");
	assert_int_equal(second, 77);
	assert_int_not_equal(if_nametoindex("vx0"), 0);
}

static void test_tap_adopt(void **state)
{
	(void)state;
	NEED_ROOT();
	int first = make_tap("vx0"), second = 77, header = 12;
	unsigned index = if_nametoindex("vx0");
	assert_done(link_setup("vx0", &plain, &why));
	assert_refused(tap_adopt("vx0", &second, &why), EBUSY, "ifname");
	assert_return_code(ioctl(first, TUNSETVNETHDRSZ, &header), errno);
	close(first);

	assert_int_equal(if_nametoindex("vx0"), index); /* persistent */
	assert_true(has_ipv4("vx0", "172.16.0.10"));
	assert_false(has_carrier("vx0")); /* fail closed */
	assert_int_equal(second, 77);
	assert_done(tap_adopt("vx0", &second, &why));
	assert_int_equal(if_nametoindex("vx0"), index);
	assert_true(has_carrier("vx0"));
	assert_true(is_mac("vx0", 0x10));
	assert_return_code(ioctl(second, TUNGETVNETHDRSZ, &header), errno);
	assert_int_equal(header, TAP_VNET_HEADER);
	assert_true(fcntl(second, F_GETFL) & O_NONBLOCK);
	tap_destroy(second);
	assert_int_equal(if_nametoindex("vx0"), 0);
}

/* By a process id that is another pod's process by now, what is found is that pod's. */
static void test_tap_adopt_own(void **state)
{
	(void)state;
	NEED_ROOT();
	int first = make_tap("vx0"), fd = 77;
	struct mac other = plain.mac;
	other.bytes[5] ^= 1;
	assert_done(link_setup("vx0", &plain, &why));
	close(first);
	assert_refused(tap_adopt_own("vx0", &other, &fd, &why), ENODEV, "ifname");
	assert_non_null(strstr(why.text, "another pod's"));
	assert_false(has_carrier("vx0")); /* it was not opened */
	assert_refused(tap_adopt_own("vx1", &plain.mac, &fd, &why), ENODEV, "ifname");
	assert_int_equal(fd, 77);
	assert_done(tap_adopt_own("vx0", &plain.mac, &fd, &why));
	assert_true(has_carrier("vx0"));
	tap_destroy(fd);
}

static void test_tap_adopt_wrong(void **state)
{
	(void)state;
	NEED_ROOT();
	int fd = 77;
	assert_refused(tap_adopt("vx0", &fd, &why), ENODEV, "ifname");
	assert_int_equal(if_nametoindex("vx0"), 0);
	assert_refused(tap_adopt("lo", &fd, &why), ENODEV, "ifname");

	/* A persistent TUN is not a TAP. */
	int tun = open(TUN_DEVICE, O_RDWR | O_CLOEXEC);
	assert_int_equal(set_interface(tun, "tun0", IFF_TUN | IFF_NO_PI), 0);
	assert_return_code(ioctl(tun, TUNSETPERSIST, 1UL), errno);
	close(tun);
	assert_refused(tap_adopt("tun0", &fd, &why), ENODEV, "ifname");

	/* If the device vanishes after the look-up, TUNSETIFF makes a new one; tap_attach() must notice that. */
	int raced = open_tun(&why);
	assert_refused(tap_attach(raced, "vx0", &why), ENODEV, "ifname");
	close(raced);
	assert_int_equal(if_nametoindex("vx0"), 0);
	assert_int_equal(fd, 77);
}

static void create_powerless(void)
{
	struct failure refused = {0};
	int fd;

	if (setresuid(65534, 65534, 65534))
		_exit(2);
	if (tap_create("vx0", &fd, &refused) == -EPERM && refused.code == -EPERM &&
	    (strstr(refused.text, "CAP_NET_ADMIN") || strstr(refused.text, "run as root")))
		_exit(0);
}

/* Permission for /dev/net/tun, but not to make an interface. */
static void create_without_admin(void)
{
	struct failure refused = {0};
	int fd;

	if (unshare(CLONE_NEWUSER))
		_exit(0); /* forbidden here: nothing to see */
	if (tap_create("vx0", &fd, &refused) == -EPERM && strstr(refused.text, "CAP_NET_ADMIN"))
		_exit(0);
}

static void create_without_device(void)
{
	struct failure refused = {0};
	int fd = 77;

	if (unshare(CLONE_NEWNS) || mount("none", "/dev", "tmpfs", 0, NULL))
		_exit(2);
	if (tap_create("vx0", &fd, &refused) == -ENOENT && strstr(refused.text, "modprobe tun") && fd == 77)
		_exit(0);
}

static void test_tap_powerless(void **state)
{
	(void)state;
	NEED_ROOT();
	assert_int_equal(in_child(create_powerless), 0);
	assert_int_equal(in_child(create_without_admin), 0);
	assert_int_equal(in_child(create_without_device), 0);
	assert_int_equal(if_nametoindex("vx0"), 0);
}

/* link.c */

static void check_plain(const char *ifname)
{
	assert_true(is_mac(ifname, 0x10));
	assert_int_equal(ask(ifname, SIOCGIFMTU).ifr_mtu, 1450);
	assert_true(ask(ifname, SIOCGIFFLAGS).ifr_flags & IFF_UP);
	assert_true(has_ipv4(ifname, "172.16.0.10"));
	struct ifreq broadcast = ask(ifname, SIOCGIFBRDADDR);
	assert_int_equal(((struct sockaddr_in *)&broadcast.ifr_broadaddr)->sin_addr.s_addr, inet_addr("172.16.0.255"));
	assert_true(can_bind6("fd16::10"));
	/* Host bits are masked; addresses are the words of memory as hexadecimal. */
	assert_true(has_route4(ifname, "0000000A\t010010AC", "000000FF"));
	assert_true(has_route4(ifname, "0007A8C0\t00000000", "00FFFFFF"));
	assert_true(has_route4(ifname, "00004D0A\t01001FAC", "0000FFFF"));
	assert_true(has_route4(ifname, "00000000\t010010AC", "00000000"));
	assert_true(has_route6("fd200000000000000000000000000000 20", "fd160000000000000000000000000001", ifname));
}

static void test_link_setup(void **state)
{
	(void)state;
	NEED_ROOT();
	int fd = make_tap("vx0");
	assert_done(link_setup("vx0", &plain, &why));
	check_plain("vx0");
	struct mac mac;
	assert_done(link_find("vx0", &mac, &why));
	assert_memory_equal(&mac, &plain.mac, sizeof(mac));
	assert_done(link_find("vx0", NULL, &why));
	/* Everything is there already: no reason to refuse. */
	assert_done(link_setup("vx0", &plain, &why));
	check_plain("vx0");
	tap_destroy(fd);
	assert_refused(link_find("vx0", &mac, &why), ENODEV, "ifname");
	assert_refused(link_setup("vx0", &plain, &why), ENODEV, "ifname");
}

static void test_link_setup_ipv6_default(void **state)
{
	(void)state;
	NEED_ROOT();
	int fd = make_tap("vx0");
	struct link_config config = {.mac = plain.mac,
				     .mtu = 1280,
				     .addresses = {PREFIX6(0x16, 0x10, 64)},
				     .n_addresses = 1,
				     .default_via = ADDRESS6(0x16, 1)};
	assert_done(link_setup("vx0", &config, &why));
	assert_true(has_route6("00000000000000000000000000000000 00", "fd160000000000000000000000000001", "vx0"));
	tap_destroy(fd);
}

/* Each is refused with its key, and the interface is unchanged. */
static void test_link_setup_wrong(void **state)
{
	(void)state;
	NEED_ROOT();
	int fd = make_tap("vx0");
	struct mac before;
	assert_done(link_find("vx0", &before, &why));
	struct {
		struct link_config config;
		int error;
		const char *key;
	} wrong[] = {
		{plain, EINVAL, "mac"},         {plain, EINVAL, "mtu"},         {plain, EINVAL, "mtu"},
		{plain, EINVAL, "mtu"},         {plain, EINVAL, "address"},     {plain, EINVAL, "address"},
		{plain, EINVAL, "address"},     {plain, EINVAL, "address"},     {plain, EINVAL, "route"},
		{plain, EINVAL, "route"},       {plain, EINVAL, "route"},       {plain, EEXIST, "route"},
		{plain, EINVAL, "default_via"}, {plain, EINVAL, "default_via"},
	};
	wrong[0].config.mac.bytes[0] = 0x01;
	wrong[1].config.mtu = 1279; /* with IPv6 */
	wrong[2].config.mtu = 67;
	wrong[2].config.n_addresses = 1;
	wrong[2].config.n_routes = 3;
	wrong[3].config.mtu = 65536;
	wrong[4].config.addresses[1] = (struct prefix)PREFIX4(224, 0, 0, 1, 24);
	wrong[5].config.addresses[1].address.bytes[0] = 0xff;
	wrong[6].config.addresses[1] = (struct prefix)PREFIX4(172, 16, 0, 11, 33);
	wrong[7].config.addresses[1] = (struct prefix)PREFIX4(0, 0, 0, 0, 24);
	wrong[8].config.routes[3].via = plain.default_via; /* IPv6 by IPv4 */
	wrong[9].config.routes[3].to.address.family = 0;
	wrong[10].config.routes[0].via = plain.addresses[0].address; /* its own address */
	wrong[11].config.routes[1].to = plain.routes[0].to;          /* the same again, elsewhere */
	wrong[12].config.default_via = (struct address)ADDRESS4(224, 0, 0, 1);
	wrong[13].config.default_via = (struct address){.bytes = {0xff, 2}, .family = AF_INET6};
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		assert_refused(link_setup("vx0", &wrong[i].config, &why), wrong[i].error, wrong[i].key);
		assert_memory_equal(ask("vx0", SIOCGIFHWADDR).ifr_hwaddr.sa_data, &before, sizeof(before));
		assert_int_equal(ask("vx0", SIOCGIFMTU).ifr_mtu, 1500);
		assert_false(ask("vx0", SIOCGIFFLAGS).ifr_flags & IFF_UP);
		assert_false(has_ipv4("vx0", "172.16.0.10"));
		assert_false(in_file("/proc/thread-self/net/route", "vx0", NULL, NULL));
		assert_false(in_file("/proc/thread-self/net/if_inet6", "vx0", NULL, NULL));
	}
	assert_done(link_setup("vx0", &plain, &why));
	tap_destroy(fd);
}

static void test_link_default_elsewhere(void **state)
{
	(void)state;
	NEED_ROOT();
	int eth = make_tap("eth0"), fd = make_tap("vx0");
	struct link_config other = {.mac = {{0x02, 0, 0, 0, 0, 0x20}},
				    .mtu = 1500,
				    .addresses = {PREFIX4(10, 244, 1, 7, 24), PREFIX6(0x44, 7, 64)},
				    .n_addresses = 2,
				    .routes = {{.to = PREFIX6(0, 0, 0), .via = ADDRESS6(0x44, 1)}},
				    .n_routes = 1,
				    .default_via = ADDRESS4(10, 244, 1, 1)};
	memset(other.routes[0].to.address.bytes, 0, 16);
	assert_done(link_setup("eth0", &other, &why));
	assert_refused(link_setup("vx0", &plain, &why), EEXIST, "default_via");
	assert_says("default via 10.244.1.1 through eth0");
	assert_false(has_ipv4("vx0", "172.16.0.10"));
	struct link_config six = plain;
	six.default_via = (struct address)ADDRESS6(0x16, 1);
	assert_refused(link_setup("vx0", &six, &why), EEXIST, "default_via");
	assert_says("default via fd44::1 through eth0");
	six.default_via.family = 0;
	six.routes[0].to = (struct prefix)PREFIX4(10, 244, 1, 0, 24);
	assert_refused(link_setup("vx0", &six, &why), EEXIST, "route");
	assert_says("10.244.1.0/24 through eth0");
	assert_true(has_route4("eth0", "00000000\t0101F40A", "00000000"));
	tap_destroy(fd);
	tap_destroy(eth);
}

/* What is stored of a link comes back, with no routes and with as many as there can be. */
static void test_link_pack(void **state)
{
	(void)state;
	struct link_config config = plain;
	for (config.n_routes = 0; config.n_routes <= LINK_MAX_ROUTES; config.n_routes++) {
		if (config.n_routes)
			config.routes[config.n_routes - 1] = (struct link_route){
				.to = PREFIX4(10, (uint8_t)config.n_routes, 0, 0, 16), .via = ADDRESS4(172, 16, 0, 1)};
		struct link_packed *packed = link_config_pack(&config);
		assert_non_null(packed);
		struct link_config again = link_config_unpack(packed);
		assert_int_equal(again.n_routes, config.n_routes);
		assert_true(link_config_equal(&again, &config));
		free(packed);
	}
}

static void test_link_change(void **state)
{
	(void)state;
	NEED_ROOT();
	int fd = make_tap("vx0");
	assert_done(link_setup("vx0", &plain, &why));
	struct link_config now = plain;
	now.mac.bytes[5] = 0x11;
	now.mtu = 1400;
	now.addresses[0] = (struct prefix)PREFIX4(172, 17, 0, 10, 24);
	now.routes[1] = (struct link_route){.to = PREFIX4(192, 168, 8, 0, 24)};
	now.routes[3].via = (struct address)ADDRESS6(0x16, 2);
	now.default_via = (struct address)ADDRESS4(172, 17, 0, 1);
	assert_done(link_change("vx0", &plain, &now, &why));
	assert_true(is_mac("vx0", 0x11));
	assert_int_equal(ask("vx0", SIOCGIFMTU).ifr_mtu, 1400);
	assert_false(has_ipv4("vx0", "172.16.0.10"));
	assert_true(has_ipv4("vx0", "172.17.0.10"));
	assert_true(can_bind6("fd16::10"));
	assert_true(has_route4("vx0", "0000000A\t010010AC", "000000FF")); /* went with the address, and came back */
	assert_false(has_route4("vx0", "0007A8C0", NULL));
	assert_true(has_route4("vx0", "0008A8C0", NULL));
	assert_false(has_route4("vx0", "00000000\t010010AC", "00000000"));
	assert_true(has_route4("vx0", "00000000\t010011AC", "00000000"));
	assert_true(has_route6("fd200000000000000000000000000000 20", "fd160000000000000000000000000002", "vx0"));
	assert_false(has_route6("fd200000000000000000000000000000 20", "fd160000000000000000000000000001", "vx0"));

	/* And back; then to nothing at all. */
	assert_done(link_change("vx0", &now, &plain, &why));
	check_plain("vx0");
	struct link_config bare = {.mac = plain.mac, .mtu = 1450};
	assert_done(link_change("vx0", &plain, &bare, &why));
	assert_false(has_ipv4("vx0", "172.16.0.10"));
	assert_false(in_file("/proc/thread-self/net/route", "vx0", NULL, NULL));
	assert_false(can_bind6("fd16::10"));
	assert_true(ask("vx0", SIOCGIFFLAGS).ifr_flags & IFF_UP);
	tap_destroy(fd);
}

/* The first address of a subnet takes the others with it when it goes, unless promote_secondaries is set. */
static void test_link_change_secondary(void **state)
{
	(void)state;
	NEED_ROOT();
	int fd = make_tap("vx0");
	struct link_config was = plain, now = plain;
	was.n_addresses = 2;
	was.addresses[1] = (struct prefix)PREFIX4(172, 16, 0, 11, 24);
	was.n_routes = now.n_routes = 3;
	now.n_addresses = 1;
	now.addresses[0] = was.addresses[1];
	assert_done(link_setup("vx0", &was, &why));
	write_file("/proc/sys/net/ipv4/conf/vx0/promote_secondaries", "0");
	write_file("/proc/sys/net/ipv4/conf/all/promote_secondaries", "0");
	assert_done(link_change("vx0", &was, &now, &why));
	assert_false(has_ipv4("vx0", "172.16.0.10"));
	assert_true(has_ipv4("vx0", "172.16.0.11"));
	assert_true(has_route4("vx0", "00000000\t010010AC", "00000000"));
	tap_destroy(fd);
}

static void test_link_change_refused(void **state)
{
	(void)state;
	NEED_ROOT();
	int fd = make_tap("vx0");
	assert_done(link_setup("vx0", &plain, &why));
	struct link_config now = plain;
	now.mac.bytes[5] = 0x11;
	now.mtu = 1400;
	now.addresses[0] = (struct prefix)PREFIX4(172, 17, 0, 10, 24);
	now.routes[1] = (struct link_route){.to = PREFIX4(192, 168, 8, 0, 24)};
	now.default_via = now.addresses[0].address; /* what the kernel finds wrong, after everything else */
	assert_refused(link_change("vx0", &plain, &now, &why), EINVAL, "default_via");
	check_plain("vx0");
	assert_false(has_ipv4("vx0", "172.17.0.10"));
	assert_false(has_route4("vx0", "0008A8C0", NULL));
	tap_destroy(fd);
	assert_refused(link_change("vx0", &plain, &now, &why), ENODEV, "ifname");
}

/* What the pod itself changed on its interface stays when nothing of ours changes. */
static void test_link_change_nothing(void **state)
{
	(void)state;
	NEED_ROOT();
	int fd = make_tap("vx0");
	struct link_target t;
	assert_done(link_setup("vx0", &plain, &why));
	assert_done(link_target_open(&t, "vx0", &why));
	assert_int_equal(delete_address(&t, &plain.addresses[0]), 0);
	netlink_close(&t.nl);
	assert_done(link_change("vx0", &plain, &plain, &why));
	assert_false(has_ipv4("vx0", "172.16.0.10"));
	tap_destroy(fd);
}

/* An on-link route that is also the address's own network: removing it must leave the kernel's. */
static void test_link_route_of_address(void **state)
{
	(void)state;
	NEED_ROOT();
	int fd = make_tap("vx0");
	struct link_config was = {.mac = plain.mac,
				  .mtu = 1450,
				  .addresses = {PREFIX4(172, 16, 0, 10, 24)},
				  .n_addresses = 1,
				  .routes = {{.to = PREFIX4(172, 16, 0, 0, 24)}},
				  .n_routes = 1},
			   now = was;
	now.n_routes = 0;
	assert_done(link_setup("vx0", &was, &why));
	assert_done(link_change("vx0", &was, &now, &why));
	assert_true(has_route4("vx0", "000010AC\t00000000", "00FFFFFF"));
	tap_destroy(fd);
}

static void test_link_without_ipv6(void **state)
{
	(void)state;
	NEED_ROOT();
	int fd = make_tap("vx0");
	write_file("/proc/sys/net/ipv6/conf/vx0/disable_ipv6", "1");
	struct link_config four = plain;
	four.n_addresses = 1;
	four.n_routes = 3;
	assert_done(link_setup("vx0", &four, &why));
	assert_true(has_ipv4("vx0", "172.16.0.10"));
	assert_refused(link_change("vx0", &four, &plain, &why), EACCES, "address");
	assert_says("net.ipv6.conf.vx0.disable_ipv6");
	assert_true(has_route4("vx0", "00000000\t010010AC", "00000000"));
	struct link_config small = four;
	small.mtu = 1000; /* less than IPv6 needs, but nobody asked for IPv6 */
	assert_done(link_change("vx0", &four, &small, &why));
	assert_int_equal(ask("vx0", SIOCGIFMTU).ifr_mtu, 1000);
	tap_destroy(fd);
}

/* An ARP request from `last` of 172.16.0.0/24, through the TAP: the kernel learns who asks. */
static void ask_by_arp(int fd, uint8_t last)
{
	struct {
		uint8_t vnet[TAP_VNET_HEADER];
		struct ether_header ether;
		struct arphdr arp;
		uint8_t sender_mac[6], sender[4], target_mac[6], target[4];
	} __attribute__((packed)) frame = {
		.ether = {.ether_dhost = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff},
			  .ether_shost = {0x02, 0, 0, 0, 1, last},
			  .ether_type = htons(ETHERTYPE_ARP)},
		.arp = {htons(ARPHRD_ETHER), htons(ETHERTYPE_IP), 6, 4, htons(ARPOP_REQUEST)},
		.sender_mac = {0x02, 0, 0, 0, 1, last},
		.sender = {172, 16, 0, last},
		.target = {172, 16, 0, 10},
	};

	assert_int_equal(write(fd, &frame, sizeof(frame)), sizeof(frame));
}

static void add_neighbour(const char *ifname, const struct address *address, uint16_t state)
{
	struct link_target t;
	struct ndmsg head = {.ndm_family = address->family, .ndm_state = state};
	const uint8_t mac[6] = {0x02, 0, 0, 0, 2, address->bytes[15]};
	struct nl_msg *msg = nlmsg_alloc_simple(RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_EXCL);

	assert_done(link_target_open(&t, ifname, &why));
	head.ndm_ifindex = t.ifindex;
	nlmsg_append(msg, &head, sizeof(head), NLMSG_ALIGNTO);
	nla_put(msg, NDA_DST, (int)address_size(address->family), address->bytes);
	nla_put(msg, NDA_LLADDR, sizeof(mac), mac);
	assert_int_equal(netlink_request(&t.nl, msg), 0);
	netlink_close(&t.nl);
}

/* Permanent ones, too. */
static unsigned count_neighbours(const char *ifname, int family)
{
	char command[128], text[16] = "";

	snprintf(command, sizeof(command), "ip -%d neigh show dev %s nud all | grep -cv NOARP",
		 family == AF_INET ? 4 : 6, ifname);
	FILE *pipe = popen(command, "re"); /* NOLINT(cert-env33-c): the command is the test's own */
	assert_non_null(pipe);
	assert_non_null(fgets(text, sizeof(text), pipe));
	pclose(pipe);
	return (unsigned)strtoul(text, NULL, 10);
}

static void test_link_flush(void **state)
{
	(void)state;
	NEED_ROOT();
	int fd = make_tap("vx0"), other = make_tap("eth0");
	struct link_config eth = {.mac = {{0x02, 0, 0, 0, 0, 0x20}}, .mtu = 1500};
	assert_done(link_setup("vx0", &plain, &why));
	assert_done(link_setup("eth0", &eth, &why));
	ask_by_arp(fd, 1);
	ask_by_arp(fd, 2);
	add_neighbour("vx0", &(struct address)ADDRESS4(172, 16, 0, 3), NUD_PERMANENT);
	add_neighbour("vx0", &(struct address)ADDRESS4(172, 16, 0, 4), NUD_NOARP);
	add_neighbour("vx0", &(struct address)ADDRESS4(172, 16, 0, 5), NUD_REACHABLE);
	add_neighbour("vx0", &(struct address)ADDRESS6(0x16, 1), NUD_STALE);
	add_neighbour("vx0", &(struct address)ADDRESS6(0x16, 2), NUD_PERMANENT);
	add_neighbour("eth0", &(struct address)ADDRESS4(172, 16, 0, 1), NUD_REACHABLE);
	assert_true(in_file("/proc/thread-self/net/arp", "172.16.0.1 ", "02:00:00:00:01:01", "vx0"));
	assert_int_equal(count_neighbours("vx0", AF_INET), 4);
	assert_int_equal(count_neighbours("vx0", AF_INET6), 2);

	assert_done(link_flush_neighbours("vx0", &why));
	assert_false(in_file("/proc/thread-self/net/arp", "172.16.0.1 ", "02:00:00:00:01:01", NULL));
	assert_true(in_file("/proc/thread-self/net/arp", "172.16.0.3 ", "vx0", NULL));
	assert_false(in_file("/proc/thread-self/net/arp", "172.16.0.4 ", "vx0", NULL));
	assert_int_equal(count_neighbours("vx0", AF_INET), 1);
	assert_int_equal(count_neighbours("vx0", AF_INET6), 1);
	assert_int_equal(count_neighbours("eth0", AF_INET), 1);
	assert_done(link_flush_neighbours("vx0", &why));
	tap_destroy(fd);
	tap_destroy(other);
	assert_refused(link_flush_neighbours("vx0", &why), ENODEV, "ifname");
}

/* The MAC to which the next question by ARP goes that the kernel sends; its last byte, or -1 after five seconds. */
static int next_asked(int fd)
{
	struct pollfd wait = {.fd = fd, .events = POLLIN};
	uint8_t bytes[2048];
	while (poll(&wait, 1, 5000) > 0) {
		const struct ether_header *ether = (const struct ether_header *)(bytes + TAP_VNET_HEADER);
		ssize_t length = read(fd, bytes, sizeof(bytes));
		if (length > (ssize_t)(TAP_VNET_HEADER + sizeof(*ether)) && ether->ether_type == htons(ETHERTYPE_ARP))
			return ether->ether_dhost[5];
	}
	return -1;
}

static void test_link_ask(void **state)
{
	(void)state;
	NEED_ROOT();
	int fd = make_tap("vx0");
	const struct mac macs[] = {{{0x02, 0, 0, 0, 9, 9}}, {{0x02, 0, 0, 0, 2, 0}}};
	assert_done(link_setup("vx0", &plain, &why));
	assert_int_equal(link_ask_neighbours("vx0", macs, 2, &why), 0);
	add_neighbour("vx0", &(struct address)ADDRESS4(172, 16, 0, 3), NUD_PERMANENT);
	add_neighbour("vx0", &(struct address)ADDRESS4(172, 16, 0, 4), NUD_NOARP);
	assert_int_equal(link_ask_neighbours("vx0", macs, 2, &why), 0);
	/* One that the kernel does not doubt, one that it does, and one with another MAC. */
	add_neighbour("vx0", &(struct address)ADDRESS4(172, 16, 0, 5), NUD_REACHABLE);
	add_neighbour("vx0", &(struct address)ADDRESS4(172, 16, 0, 6), NUD_STALE);
	add_neighbour("vx0", &(struct address)ADDRESS6(0x16, 1), NUD_REACHABLE);
	assert_int_equal(link_ask_neighbours("vx0", macs, 1, &why), 0);
	assert_int_equal(link_ask_neighbours("vx0", macs, 2, &why), 2);
	assert_int_equal(next_asked(fd), 0);
	assert_int_equal(next_asked(fd), 0);
	assert_int_equal(count_neighbours("vx0", AF_INET), 3);
	tap_destroy(fd);
	assert_refused(link_ask_neighbours("vx0", macs, 2, &why), ENODEV, "ifname");
}

static bool add_vxlan(const char *ifname, uint32_t vni, uint16_t port)
{
	struct rtnl_link *link = rtnl_link_vxlan_alloc();

	rtnl_link_set_name(link, ifname);
	rtnl_link_vxlan_set_id(link, vni);
	if (port)
		rtnl_link_vxlan_set_port(link, port);
	return add_link(link);
}

static void bring_up(const char *ifname)
{
	struct link_target t;

	assert_done(link_target_open(&t, ifname, &why));
	assert_int_equal(link_set_flags(&t, IFF_UP, IFF_UP), 0);
	netlink_close(&t.nl);
}

static bool can_bind_port(uint16_t port)
{
	struct sockaddr_in any = {.sin_family = AF_INET, .sin_port = htons(port)};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	bool can = !bind(fd, (struct sockaddr *)&any, sizeof(any));

	close(fd);
	return can;
}

/* The byte order is right if the device, once up, takes the very port from us. */
static void test_link_vxlan(void **state)
{
	(void)state;
	NEED_ROOT();
	char device[IFNAMSIZ] = "untouched";
	assert_int_equal(link_vxlan_on_port(4789, device, &why), 0);
	if (!add_vxlan("vxlan7", 7, 4789)) {
		print_message("skipped: this kernel has no vxlan\n");
		skip();
	}
	assert_true(can_bind_port(4789));
	assert_int_equal(link_vxlan_on_port(4788, device, &why), 0);
	assert_int_equal(link_vxlan_on_port(0xb512, device, &why), 0); /* 4789 the other way round */
	assert_string_equal(device, "untouched");
	assert_int_equal(link_vxlan_on_port(4789, device, &why), 1);
	assert_string_equal(device, "vxlan7");
	bring_up("vxlan7");
	assert_false(can_bind_port(4789));
	assert_int_equal(link_vxlan_on_port(4789, device, &why), 1);

	assert_int_equal(link_vxlan_on_port(8472, device, &why), 0);
	assert_true(add_vxlan("flannel.1", 1, 0)); /* no port said: the kernel's default */
	assert_int_equal(link_vxlan_on_port(8472, device, &why), 1);
	assert_string_equal(device, "flannel.1");
	bring_up("flannel.1");
	assert_false(can_bind_port(8472));
}

static void test_link_has_address(void **state)
{
	(void)state;
	NEED_ROOT();
	int fd = make_tap("vx0");
	assert_done(link_setup("vx0", &plain, &why));
	assert_int_equal(link_has_address(&(struct address)ADDRESS4(172, 16, 0, 10), &why), 1);
	assert_int_equal(link_has_address(&(struct address)ADDRESS4(172, 16, 0, 11), &why), 0);
	assert_int_equal(link_has_address(&(struct address)ADDRESS6(0x16, 0x10), &why), 1);
	assert_int_equal(link_has_address(&(struct address)ADDRESS6(0x16, 0x11), &why), 0);
	assert_int_equal(link_has_address(&(struct address)ADDRESS4(127, 0, 0, 1), &why), 0); /* lo is down */
	assert_int_equal(link_has_address(&(struct address){0}, &why), 0);
	bring_up("lo");
	assert_int_equal(link_has_address(&(struct address)ADDRESS4(127, 0, 0, 1), &why), 1);
	tap_destroy(fd);
	assert_int_equal(link_has_address(&(struct address)ADDRESS4(172, 16, 0, 10), &why), 0);
}

static unsigned count_descriptors(void)
{
	unsigned n = 0;

	for (int fd = 0; fd < 256; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

/* Neither a refusal nor a success leaves a descriptor open. */
static void test_descriptors(void **state)
{
	(void)state;
	NEED_ROOT();
	unsigned before = count_descriptors();
	struct netns ns;
	int fd = make_tap("vx0"), other;
	netns_open("/proc/self/ns/uts", &ns, &why);
	netns_open("/run", &ns, &why);
	tap_create("vx0", &other, &why);
	tap_adopt("vx0", &other, &why);
	tap_adopt("lo", &other, &why);
	link_setup("vx0", &plain, &why);
	link_setup("nosuch", &plain, &why);
	link_flush_neighbours("vx0", &why);
	link_flush_neighbours("nosuch", &why);
	link_vxlan_on_port(1, (char[IFNAMSIZ]){0}, &why);
	link_has_address(&plain.default_via, &why);
	link_find("vx0", NULL, &why);
	tap_destroy(fd);
	assert_int_equal(count_descriptors(), before);
}

/* The second number behind the name counts packets. */
static unsigned long long received(const char *ifname)
{
	unsigned long long packets = 0;
	char line[512], name[IFNAMSIZ + 1];
	FILE *file = fopen("/proc/thread-self/net/dev", "re");
	assert_non_null(file);
	snprintf(name, sizeof(name), "%s:", ifname);
	while (fgets(line, sizeof(line), file)) {
		char *at = strstr(line, name);
		if (!at)
			continue;
		(void)strtoull(at + strlen(name), &at, 10);
		packets = strtoull(at, NULL, 10);
	}
	fclose(file);
	return packets;
}

/* A TAP that is down refuses a wrong virtio header with EINVAL and a right frame with EIO, and nobody receives it. */
static void test_trial_frame(void **state)
{
	(void)state;
	NEED_ROOT();
	bool uso;
	int fd = make_tap("vx0"), timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
	assert_return_code(tap_set_offloads(fd, true, &uso), 0);
	uint8_t nonsense[TAP_VNET_HEADER + 60] = {1, 1};
	assert_int_equal(write(fd, nonsense, sizeof(nonsense)), -1);
	assert_int_equal(errno, EINVAL);
	assert_false(trial_frame_refused(fd, PROTO_TCP));
	assert_int_equal(errno, EIO);
	assert_false(uso && trial_frame_refused(fd, PROTO_UDP));
	assert_int_equal(errno, EIO);
	assert_int_equal(received("vx0"), 0);
	/* The frame is a good one: an interface that is up takes it. */
	assert_done(link_setup("vx0", &plain, &why));
	assert_false(trial_frame_refused(fd, PROTO_TCP));
	assert_int_equal(received("vx0"), 1);
	/* Writing to a timer is EINVAL, whatever it is. */
	assert_true(trial_frame_refused(timer, PROTO_TCP));
	assert_false(trial_frame_refused(-1, PROTO_TCP));
	close(timer);
	tap_destroy(fd);
}

#define FRESH(test) cmocka_unit_test_setup_teardown(test, enter_fresh, leave)

static double spent(void)
{
	struct timespec now;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* Seconds of our own time, however busy the machine is: the control thread serves all pods. */
#define assert_quick(call)                                                                                             \
	do {                                                                                                           \
		double began_ = spent();                                                                               \
		int code_ = (call);                                                                                    \
		double took_ = spent() - began_;                                                                       \
		print_message("%.3f s: %s\n", took_, #call);                                                           \
		assert_true(code_ >= 0);                                                                               \
		assert_true(took_ < 1);                                                                                \
	} while (0)

#define THREE ", i / 65536, i / 256 % 256, i % 256"
/* By several ips, as one grows with each line: a small machine would end it. */
#define MANY(n, line)                                                                                                  \
	"awk 'BEGIN { for (i = 0; i < " n "; i++) printf " line THREE " }' | split -l 5000 --filter='ip -batch - "     \
	"2>&1'"

/* What a pod can grow. */
static void test_crowded(void **state)
{
	(void)state;
	NEED_ROOT();
	int tap = -1;
	struct prefix found[LINK_MAX_ADDRESSES];
	struct address list[16];
	static const char *const commands[] = {
		"ip link add d0 type veth peer name d1 && ip link set d0 up && ip link set d1 up",
		MANY("100000", "\"route add 11.%d.%d.%d/32 dev d0\\n\""),
		MANY("100000", "\"neigh add 12.%d.%d.%d lladdr 02:00:00:00:00:01 dev d0 nud permanent\\n\""),
		MANY("20000", "\"addr add 13.%d.%d.%d/32 dev d0\\n\""),
	};

	assert_done(tap_create("vx0", &tap, &why));
	assert_done(link_setup("vx0", &plain, &why));
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		assert_int_equal(system(commands[i]), 0); /* NOLINT(cert-env33-c): the commands are the test's own */
	assert_quick(link_repair("vx0", &plain, &why));
	assert_quick(link_flush_neighbours("vx0", &why));
	assert_quick(link_get_addresses("vx0", found, LINK_MAX_ADDRESSES, &why));
	assert_quick(link_list_addresses(list, 16, &why));
	close(tap);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FRESH(test_crowded),
		FRESH(test_netns_wrong),
		FRESH(test_netns_spellings),
		FRESH(test_netns_enter),
		FRESH(test_netns_powerless),
		FRESH(test_tap_create),
		FRESH(test_tap_names),
		FRESH(test_tap_taken),
		FRESH(test_tap_adopt),
		FRESH(test_tap_adopt_own),
		FRESH(test_tap_adopt_wrong),
		FRESH(test_tap_powerless),
		FRESH(test_link_setup),
		FRESH(test_link_setup_ipv6_default),
		FRESH(test_link_setup_wrong),
		FRESH(test_link_default_elsewhere),
		FRESH(test_link_pack),
		FRESH(test_link_change),
		FRESH(test_link_change_secondary),
		FRESH(test_link_change_refused),
		FRESH(test_link_change_nothing),
		FRESH(test_link_route_of_address),
		FRESH(test_link_without_ipv6),
		FRESH(test_link_flush),
		FRESH(test_link_ask),
		FRESH(test_link_vxlan),
		FRESH(test_link_has_address),
		FRESH(test_trial_frame),
		FRESH(test_descriptors),
	};

	if (!geteuid()) {
		if (netns_open_own(&home, &why) || unshare(CLONE_NEWNS) ||
		    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) || mount("none", "/run", "tmpfs", 0, NULL)) {
			perror("a mount namespace of our own");
			return 1;
		}
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
