/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_steering.c - which queue of a TAP gets a frame, by a TAP of the kernel's with eight of them
 *
 * The pod's side is sockets, or whole frames by a packet socket. A flow that is sent has its queue, by which
 * it is known here. How TAPs with queues are made and taken up is here as well.
 */
#include "tap/steering.c"

#include "tap/base/mac.h"
#include "tap/link.h"
#include "tests/unit/tap_destroy.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "tests/unit/shell.h"

enum { QUEUES = 8, FLOWS = 64, NONE = -1, SEVERAL = -2 };

static struct failure why;
static int queue[QUEUES];

#define assert_done(call)                                                                                              \
	do {                                                                                                           \
		int code_ = (call);                                                                                    \
		if (code_)                                                                                             \
			fail_msg("%s: %d: %s", #call, code_, why.text);                                                \
	} while (0)

static struct prefix prefix(const char *text)
{
	struct prefix result;
	assert_int_equal(prefix_parse(text, &result), 0);
	return result;
}

static int set_up(void **state)
{
	(void)state;
	if (geteuid() || unshare(CLONE_NEWNET) || steering_open(&why)) {
		print_message("skipped: %s\n", geteuid() ? "network namespaces need root" : why.text);
		return 0;
	}
	struct link_config link = {.mtu = 1400, .n_addresses = 2};
	link.addresses[0] = prefix("172.16.0.10/24");
	link.addresses[1] = prefix("fd42::10/64");
	assert_int_equal(mac_parse("02:00:00:00:00:10", &link.mac), 0);
	assert_done(tap_create("vx0", &queue[0], &why));
	assert_done(link_unqueue("vx0", &why));
	for (int i = 1; i < QUEUES; i++)
		assert_done(tap_open_queue(queue[0], &queue[i], &why));
	assert_done(link_setup("vx0", &link, &why));
	/* Nobody answers, so the neighbours are there already. */
	assert_int_equal(shell_status("", "ip neigh add 172.16.0.1 lladdr 02:00:00:00:00:01 dev vx0 && "
					  "ip -6 neigh add fd42::1 lladdr 02:00:00:00:00:01 dev vx0"),
			 0);
	return 0;
}

#define NEED_QUEUES()                                                                                                  \
	do {                                                                                                           \
		if (!steering_works())                                                                                 \
			skip();                                                                                        \
	} while (0)

/* Of IPv6 only UDP: its neighbour discovery sends by itself. */
static bool is_wanted(const uint8_t *frame, uint16_t ethertype)
{
	return load16(frame + ETH_TYPE) == ethertype &&
	       (ethertype != ETHERTYPE_IP6 || frame[ETH_HEADER + IP6_NEXT] == PROTO_UDP);
}

/* Empties all queues; in which of them there was a frame of that ethertype: its number, NONE or SEVERAL. */
static int queue_of(uint16_t ethertype)
{
	uint8_t frame[2048];
	int found = NONE;
	for (int i = 0; i < QUEUES; i++)
		while (read(queue[i], frame, sizeof(frame)) > 0)
			if (is_wanted(frame + TAP_VNET_HEADER, ethertype))
				found = found == NONE || found == i ? i : SEVERAL;
	return found;
}

/* Sends `n` datagrams of a flow of this number. */
static void say(int family, unsigned flow, int n)
{
	struct sockaddr_in6 to6 = {.sin6_family = AF_INET6, .sin6_port = htons(9)};
	struct sockaddr_in to4 = {.sin_family = AF_INET, .sin_port = htons(9)};
	struct sockaddr_in6 from6 = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)(20000 + flow))};
	struct sockaddr_in from4 = {.sin_family = AF_INET, .sin_port = htons((uint16_t)(20000 + flow))};
	bool six = family == AF_INET6;
	int fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	inet_pton(AF_INET, "172.16.0.1", &to4.sin_addr);
	inet_pton(AF_INET6, "fd42::1", &to6.sin6_addr);
	assert_return_code(six ? bind(fd, (struct sockaddr *)&from6, sizeof(from6))
			       : bind(fd, (struct sockaddr *)&from4, sizeof(from4)),
			   errno);
	for (int i = 0; i < n; i++)
		assert_int_equal(sendto(fd, "frame", 5, 0, six ? (struct sockaddr *)&to6 : (struct sockaddr *)&to4,
					six ? sizeof(to6) : sizeof(to4)),
				 5);
	close(fd);
}

static void flows_have_a_queue_each(void **state)
{
	NEED_QUEUES();
	int family = *(const int *)*state;
	unsigned of[QUEUES] = {0}, used = 0;
	assert_int_equal(steering_set(queue[0], true), 0);
	(void)queue_of(0);
	for (unsigned flow = 0; flow < FLOWS; flow++) {
		say(family, flow, 3);
		int first = queue_of(family == AF_INET ? ETHERTYPE_IP4 : ETHERTYPE_IP6);
		assert_in_range(first, 0, QUEUES - 1);
		say(family, flow, 3);
		assert_int_equal(queue_of(family == AF_INET ? ETHERTYPE_IP4 : ETHERTYPE_IP6), first);
		used += of[first]++ == 0;
	}
	assert_in_range(used, QUEUES - 1, QUEUES);
	for (int i = 0; i < QUEUES; i++)
		assert_in_range(of[i], 0, FLOWS / 3);
}

/* What is written to the TAP, by whichever descriptor, must not move a flow. */
static void answers_move_no_flow(void **state)
{
	(void)state;
	NEED_QUEUES();
	assert_int_equal(steering_set(queue[0], true), 0);
	say(AF_INET, 1, 1);
	int own = queue_of(ETHERTYPE_IP4);
	uint8_t answer[TAP_VNET_HEADER + 60] = {0};
	static const uint8_t packet[] = {2, 0, 0, 0,  0,  0x10, 2, 0,   0,  0, 0, 1,   8,  0, 0x45, 0, 0, 30,   0,
					 0, 0, 0, 64, 17, 0,    0, 172, 16, 0, 1, 172, 16, 0, 10,   0, 9, 0x4e, 0x21};
	memcpy(answer + TAP_VNET_HEADER, packet, sizeof(packet));
	for (int i = 0; i < QUEUES; i++)
		assert_true(write(queue[i], answer, sizeof(answer)) > 0);
	say(AF_INET, 1, 1);
	assert_int_equal(queue_of(ETHERTYPE_IP4), own);
}

static void all_go_to_the_first(void **state)
{
	(void)state;
	NEED_QUEUES();
	assert_int_equal(steering_set(queue[0], false), 0);
	(void)queue_of(0);
	for (unsigned flow = 0; flow < FLOWS; flow++)
		say(flow % 2 ? AF_INET : AF_INET6, flow, 1);
	assert_int_equal(queue_of(ETHERTYPE_IP4), 0);
	for (unsigned flow = 0; flow < FLOWS; flow++)
		say(AF_INET6, flow, 1);
	assert_int_equal(queue_of(ETHERTYPE_IP6), 0);
}

/* A frame as a pod could make it by itself, with `n` bytes behind its ethertype. */
static void send_frame(uint16_t ethertype, const uint8_t *bytes, size_t n)
{
	uint8_t frame[128] = {2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 0x10};
	struct sockaddr_ll to = {.sll_family = AF_PACKET, .sll_ifindex = (int)if_nametoindex("vx0"), .sll_halen = 6};
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	store16(frame + ETH_TYPE, ethertype);
	memcpy(frame + ETH_HEADER, bytes, n);
	assert_int_equal(sendto(fd, frame, ETH_HEADER + n, 0, (struct sockaddr *)&to, sizeof(to)), ETH_HEADER + n);
	close(fd);
}

/* An IPv4 packet with options and ports, all zero but for what is given. */
static int queue_with_options(uint8_t option, uint16_t port)
{
	uint8_t packet[40] = {0x46, 0, 0, 40, [IP4_PROTOCOL] = PROTO_UDP, [IP4_HEADER] = option};
	store16(packet + 24, port);
	send_frame(ETHERTYPE_IP4, packet, sizeof(packet));
	return queue_of(ETHERTYPE_IP4);
}

static void odd_frames_have_a_queue(void **state)
{
	(void)state;
	NEED_QUEUES();
	static const uint8_t zeroes[64], cut4[20] = {0x4f, [IP4_PROTOCOL] = PROTO_UDP},
					 cut6[40] = {0x60, [IP6_NEXT] = 17};
	unsigned others = 0;
	assert_int_equal(steering_set(queue[0], true), 0);
	(void)queue_of(0);
	send_frame(ETHERTYPE_ARP, zeroes, 28);
	assert_int_equal(queue_of(ETHERTYPE_ARP), 0);
	/* What is cut short goes to the first, as nothing is known of it. */
	for (size_t n = 1; n < IP4_HEADER; n++) {
		send_frame(ETHERTYPE_IP4, cut4, n);
		assert_int_equal(queue_of(ETHERTYPE_IP4), 0);
	}
	send_frame(ETHERTYPE_IP4, cut4, sizeof(cut4));
	assert_int_equal(queue_of(ETHERTYPE_IP4), 0);
	send_frame(ETHERTYPE_IP6, cut6, sizeof(cut6));
	assert_int_equal(queue_of(ETHERTYPE_IP6), 0);
	/* The ports are found behind options, which do not count themselves. */
	for (unsigned port = 0; port < FLOWS; port++) {
		int with = queue_with_options(1, (uint16_t)port);
		assert_in_range(with, 0, QUEUES - 1);
		assert_int_equal(queue_with_options(7, (uint16_t)port), with);
		others += with != queue_with_options(1, 0);
	}
	assert_true(others > FLOWS / 2);
}

static void fragments_stay_together(void **state)
{
	(void)state;
	NEED_QUEUES();
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(9)};
	static const uint8_t large[5000];
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	inet_pton(AF_INET, "172.16.0.1", &to.sin_addr);
	assert_int_equal(steering_set(queue[0], true), 0);
	(void)queue_of(0);
	for (int i = 0; i < 8; i++) {
		assert_int_equal(sendto(fd, large, sizeof(large), 0, (struct sockaddr *)&to, sizeof(to)),
				 sizeof(large));
		assert_in_range(queue_of(ETHERTYPE_IP4), 0, QUEUES - 1);
	}
	close(fd);
}

/* A TAP with queues refuses nobody who attaches: that somebody has it is to be seen all the same. */
static void who_has_it_is_seen(void **state)
{
	(void)state;
	NEED_QUEUES();
	int fd = 77;
	struct link_queues has = {0};
	struct ifreq flags = {.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR};
	assert_int_equal(link_get_queues("vx0", &has, &why), 0);
	assert_int_equal(has.n, QUEUES);
	assert_int_equal(tap_adopt("vx0", &fd, &why), -EBUSY);
	assert_int_equal(fd, 77);
	assert_int_equal(link_get_queues("vx0", &has, &why), 0);
	assert_int_equal(has.n, QUEUES);
	for (int i = 0; i < QUEUES; i++)
		close(queue[i]);
	assert_int_equal(link_get_queues("vx0", &has, &why), 0);
	assert_int_equal(has.n, 0);
	assert_int_equal(has.length, 1000);
	assert_done(tap_adopt("vx0", &queue[0], &why));
	assert_done(tap_open_queue(queue[0], &queue[1], &why));
	close(queue[1]);
	/* Whatever it is called by now. */
	assert_int_equal(shell_status("", "ip link set vx0 down && ip link set vx0 name other"), 0);
	assert_done(tap_open_queue(queue[0], &queue[1], &why));
	close(queue[1]);
	/* One that is gone is not made again. */
	assert_int_equal(shell_status("", "ip link del other"), 0);
	assert_int_equal(tap_open_queue(queue[0], &fd, &why), -EBADFD);
	close(queue[0]);
	assert_int_equal(link_get_queues("vx0", &has, &why), -ENODEV);
	/* One that was made without them: by an older version, or with --tap-queues 1. */
	int old = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	snprintf(flags.ifr_name, sizeof(flags.ifr_name), "vx1");
	assert_return_code(ioctl(old, TUNSETIFF, &flags), errno);
	assert_return_code(ioctl(old, TUNSETPERSIST, 1), errno);
	assert_int_equal(tap_open_queue(old, &fd, &why), -EINVAL);
	assert_int_equal(tap_adopt("vx1", &fd, &why), -EBUSY);
	close(old);
	assert_int_equal(fd, 77);
	assert_done(tap_adopt("vx1", &fd, &why));
	assert_int_equal(tap_open_queue(fd, &old, &why), -EINVAL);
	tap_destroy(fd);
}

int main(void)
{
	static const int families[] = {AF_INET, AF_INET6};
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_prestate(flows_have_a_queue_each, (void *)&families[0]),
		cmocka_unit_test_prestate(flows_have_a_queue_each, (void *)&families[1]),
		cmocka_unit_test(answers_move_no_flow),
		cmocka_unit_test(all_go_to_the_first),
		cmocka_unit_test(odd_frames_have_a_queue),
		cmocka_unit_test(fragments_stay_together),
		cmocka_unit_test(who_has_it_is_seen),
	};
	return cmocka_run_group_tests(tests, set_up, NULL);
}
