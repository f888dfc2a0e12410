/* SPDX-License-Identifier: Apache-2.0 */
/*
 * probe.c - does what is written to the underlay TAP leave the node unchanged?
 *
 *    probe_run()
 *      open the packet socket with its filter, before anything is written
 *      for each target: write_probe() to the TAP  ->  netfilter, routing, qdisc  ->  device  ->  packet socket
 *      for up to PROBE_WAIT ms: probe_take(): which target, and are addresses and ports as written?
 *      close the packet socket
 *
 * Nothing is kept between two runs. The VNI field of a probe holds an id: a random number of the run plus the target's
 * index, so that late probes of an earlier run are not counted.
 */
#include "vswitch/path/probe.h"

#include "tap/base/checksum.h"
#include "tap/base/clock.h"
#include "tap/late_close.h"

#include <linux/filter.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <poll.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/uio.h>

#define MARK 0x00505357U /* in the place of VXLAN flags and reserved bits: no I flag, "PSW" */
#define SEGMENT 64       /* bytes of payload in each of two segments */
#define INNER (ETH_HEADER + IP4_HEADER + TCP_HEADER + 2 * SEGMENT)
#define CAPTURE (IP6_HEADER + UDP_HEADER + VXLAN_HEADER)

bool probe_is(const uint8_t *datagram, size_t length)
{
	return length >= VXLAN_HEADER && load32(datagram) == MARK;
}

void probe_fill(uint8_t header[static VXLAN_HEADER], uint32_t id)
{
	store32(header, MARK);
	store32(header + VXLAN_VNI, id);
}

/* Only leaving UDP packets with our mark. A SOCK_DGRAM filter sees packets from the IP header on. */
static int attach_filter(int fd)
{
	enum { LEAVES = PACKET_OUTGOING, IP4_UDP = IP4_HEADER, IP6_UDP = IP6_HEADER };
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)(SKF_AD_OFF + SKF_AD_PKTTYPE)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, LEAVES, 0, 12),
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 0),
		BPF_STMT(BPF_ALU | BPF_AND | BPF_K, 0xf0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0x60, 4, 0),
		/* IPv4: packets of this node have no options */
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS, IP4_PROTOCOL),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, PROTO_UDP, 0, 7),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, IP4_UDP + UDP_HEADER),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, MARK, 4, 5),
		/* IPv6 */
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS, IP6_NEXT),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, PROTO_UDP, 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, IP6_UDP + UDP_HEADER),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, MARK, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, CAPTURE),
		BPF_STMT(BPF_RET | BPF_K, 0),
	};
	struct sock_fprog program = {sizeof(code) / sizeof(code[0]), code};
	return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)) ? -errno : 0;
}

/* Bound to a protocol last, so that no packet comes before the filter is attached. */
static int open_watch(void)
{
	struct sockaddr_ll any = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL)};
	int fd = socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	int error = attach_filter(fd);
	if (!error && bind(fd, (struct sockaddr *)&any, sizeof(any)))
		error = -errno;
	if (error) {
		late_close(fd);
		return error;
	}
	return fd;
}

/* A TCP super-frame of two segments between documentation addresses (RFC 5737); nobody looks inside. */
static void make_inner(uint8_t *frame, struct frame *parsed, struct segment_plan *plan)
{
	static const uint8_t addresses[] = {192, 0, 2, 1, 192, 0, 2, 2};
	uint8_t *ip = frame + ETH_HEADER, *tcp = ip + IP4_HEADER;
	struct virtio_net_hdr vnet = {.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
				      .gso_type = VIRTIO_NET_HDR_GSO_TCPV4,
				      .gso_size = SEGMENT,
				      .csum_start = ETH_HEADER + IP4_HEADER,
				      .csum_offset = TCP_CHECKSUM};
	bool super;
	memset(frame, 0, INNER);
	frame[ETH_DST] = frame[ETH_SRC] = 0x02;
	frame[ETH_SRC + 5] = 1;
	store16(frame + ETH_TYPE, ETHERTYPE_IP4);
	ip[IP4_VERSION_IHL] = 0x45;
	store16(ip + IP4_LENGTH, INNER - ETH_HEADER);
	ip[IP4_TTL] = 1;
	ip[IP4_PROTOCOL] = PROTO_TCP;
	memcpy(ip + IP4_SRC, addresses, sizeof(addresses));
	store_word(ip + IP4_CHECKSUM, checksum_finish(checksum_add(0, ip, IP4_HEADER)));
	tcp[TCP_OFFSET] = TCP_HEADER / 4 << 4;
	(void)frame_parse(parsed, frame, INNER);
	store_word(tcp + TCP_CHECKSUM, checksum_fold(frame_pseudo_sum(parsed, INNER - parsed->l4)));
	(void)segment_plan(parsed, &vnet, plan, &super);
}

/* The second word tells targets, and runs, apart. */
static int write_probe(const struct underlay_tap *tap, const struct probe_target *target, uint32_t id)
{
	uint8_t inner[VXLAN_HEADER + INNER], headers[UNDERLAY_TAP_HEADERS];
	const struct underlay_tap_flow flow = {.source_port = target->source_port};
	struct frame frame;
	struct segment_plan plan;
	make_inner(inner + VXLAN_HEADER, &frame, &plan);
	probe_fill(inner, id);
	size_t length = underlay_tap_super(target->route, &flow, &plan, headers);
	const struct iovec pieces[] = {{headers, length}, {inner, sizeof(inner)}};
	return writev(tap->fd, pieces, 2) < 0 ? -errno : 0;
}

/* Whether the outer addresses and ports are what was written. */
static bool is_as_written(const struct probe_target *target, const uint8_t *packet)
{
	const uint8_t *wanted = target->route->outer + ETH_HEADER;
	size_t at = packet[0] >> 4 == 6 ? IP6_SRC : IP4_SRC, n = packet[0] >> 4 == 6 ? 32 : 8;
	const uint8_t *udp = packet + at + n, *wanted_udp = wanted + at + n;
	return packet[0] == wanted[0] && !memcmp(packet + at, wanted + at, n) &&
	       load16(udp + UDP_SRC) == target->source_port &&
	       load_word(udp + UDP_DST) == load_word(wanted_udp + UDP_DST);
}

/* Reads one packet and marks the target whose probe it is. False when there is none. */
static bool probe_take(int fd, struct probe_target *targets, size_t n, uint32_t first)
{
	uint8_t packet[CAPTURE];
	ssize_t length = recv(fd, packet, sizeof(packet), 0);
	if (length < 0)
		return false;
	size_t udp = packet[0] >> 4 == 6 ? IP6_HEADER : IP4_HEADER;
	if ((size_t)length < udp + UDP_HEADER + VXLAN_HEADER)
		return true;
	uint32_t index = load32(packet + udp + UDP_HEADER + VXLAN_VNI) - first;
	if (index < n && is_as_written(&targets[index], packet))
		targets[index].error = 0;
	return true;
}

static unsigned probe_count_lost(const struct probe_target *targets, size_t n)
{
	unsigned count = 0;
	for (size_t i = 0; i < n; i++)
		count += targets[i].error == -ENETUNREACH;
	return count;
}

static void probe_collect(int fd, struct probe_target *targets, size_t n, uint32_t first)
{
	int64_t end = (int64_t)clock_ms() + PROBE_WAIT, left;
	while (probe_count_lost(targets, n) && (left = end - (int64_t)clock_ms()) > 0) {
		struct pollfd readable = {.fd = fd, .events = POLLIN};
		if (poll(&readable, 1, (int)left) > 0)
			while (probe_take(fd, targets, n, first))
				;
	}
}

int probe_run(const struct underlay_tap *tap, struct probe_target *targets, size_t n, struct failure *why)
{
	uint32_t first;
	if (getrandom(&first, sizeof(first), 0) != sizeof(first))
		first = 0;
	int fd = open_watch();
	if (fd < 0)
		return fail(why, fd, NULL, "a packet socket is needed to check it, and CAP_NET_RAW for that: %s",
			    strerror(-fd));
	for (size_t i = 0; i < n; i++) {
		int error = write_probe(tap, &targets[i], first + (uint32_t)i);
		targets[i].error = error ? error : -ENETUNREACH;
	}
	probe_collect(fd, targets, n, first);
	late_close(fd);
	return 0;
}
