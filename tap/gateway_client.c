/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gateway_client.c - a port as a client of its gateway: its lease, and whether the router answers
 *
 * Two packet sockets on the TAP, opened in the pod's network namespace. A socket stays in the namespace in which it was
 * made, so nobody has to enter that again.
 *
 *    config      lease   router answers      state
 *    neither                                 CLIENT_OFF
 *    dhcp        no                          CLIENT_WAITING
 *    dhcp alone  yes                         CLIENT_READY
 *    probe       yes     not yet             CLIENT_PROBING
 *                or      yes                 CLIENT_READY
 *                static  missed 3 probes     CLIENT_LOST
 *
 * The DHCP socket is bound to IPv4 only while an answer is expected. Otherwise it is bound to an ethertype that nobody
 * sends (IDLE), so that the pod's traffic does not run through its filter. Protocol 0 would not do: bind(2) then leaves
 * the protocol as it was. Binding waits for an RCU grace period. So it is delayed by LINGER: when many pods start at
 * once, each gets its lease first.
 *
 * The router is probed by ARP requests (RFC 826), broadcast from the pod's own MAC and address. They also keep the
 * gateway's entry for its client alive (a kernel vxlan device forgets after 300 s), and their answers show the pod's
 * kernel when the router's MAC has changed. An unanswered probe is repeated every second; three misses mean lost. A
 * lost router is probed every second, and after a while every fourth, so that its return is noticed within five.
 *
 * A new lease is checked before it is used: CHECKS ARP probes for its address. On a VXLAN network whose gateway is a
 * kernel device they reach that gateway alone, which answers for its own addresses and those it is a proxy for.
 *
 * A router that answers with another MAC is another gateway, or one that lost its memory: then the lease is confirmed
 * with INIT-REBOOT.
 *
 * One thread at a time, the control thread.
 */
#include "tap/gateway_client.h"

#include "tap/base/wire.h"

#include <linux/filter.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#define SECOND 1000ULL /* ms */
#define NEVER UINT64_MAX
#define MISSES 3
#define LOST_EAGER 30 /* probes of a lost router until they become rarer */
#define LOST_WAIT (4 * SECOND)
#define LINGER (5 * SECOND)
#define CHECKS 2       /* ARP probes for the address of a new lease */
#define CHECK_WAIT 50  /* ms after each; RFC 5227 has seconds, for links on which hosts sleep */
#define BATCH 16       /* frames read from a socket in one turn */
#define FRAME_MAX 2048 /* bytes; our ARP and DHCP frames are not longer */
#define RECEIVE_BUFFER 32768

enum {
	IDLE = 0x88b5, /* IEEE 802, Local Experimental Ethertype 1 */

	/* ARP for IPv4 over Ethernet, after the Ethernet header (RFC 826) */
	ARP_HTYPE = 0,
	ARP_PTYPE = 2,
	ARP_SIZES = 4,
	ARP_OPERATION = 6,
	ARP_SENDER_MAC = 8,
	ARP_SENDER = 14,
	ARP_TARGET_MAC = 18,
	ARP_TARGET = 24,
	ARP_LENGTH = 28,
	ARP_REQUEST = 1,
	ARP_REPLY = 2,
	ARP_SIZES_VALUE = 6 << 8 | 4,

	DHCP_CLIENT_PORT = 68,
};

struct gateway_client {
	struct gateway_client_config config;
	int ifindex;
	int ip_fd;  /* -1: no DHCP */
	int arp_fd; /* -1: neither DHCP nor probes */
	struct dhcp dhcp;
	bool checking;     /* the lease is new: nobody uses it yet */
	unsigned checks;   /* ARP probes sent for it */
	uint64_t check_at; /* ms, when the next one is due, or the lease is found free */
	bool listening;    /* ip_fd is bound to IPv4 */
	uint64_t idle_at;  /* ms, when it can be unbound; NEVER: not yet known */

	struct prefix own;     /* in force; family 0: no address */
	struct address router; /* family 0: none */
	enum gateway_client_state state;
	bool unanswered; /* the last probe was not answered */
	bool answered;   /* since the router last changed, or was lost */
	unsigned misses;
	uint64_t sent_at, probe_at, answered_at; /* ms */
	struct mac router_mac;                   /* all zero: not known */
};

static int bind_to(const struct gateway_client *client, int fd, uint16_t protocol)
{
	struct sockaddr_ll to = {
		.sll_family = AF_PACKET, .sll_protocol = htons(protocol), .sll_ifindex = client->ifindex};

	return bind(fd, (struct sockaddr *)&to, sizeof(to)) ? -errno : 0;
}

static int open_packet_socket(const struct gateway_client *client, uint16_t protocol, struct sock_filter *code,
			      unsigned short length, int *out)
{
	struct sock_fprog program = {length, code};
	int size = RECEIVE_BUFFER;
	/* Protocol 0: nothing arrives before the filter is attached. */
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return -errno;
	int error = setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)) ? -errno : 0;
	if (!error)
		error = setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size)) ? -errno : 0;
	if (!error)
		error = bind_to(client, fd, protocol);
	if (error) {
		close(fd);
		return error;
	}
	*out = fd;
	return 0;
}

static int open_ip(struct gateway_client *client)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS, ETH_HEADER + IP4_PROTOCOL),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, PROTO_UDP, 0, 6),
		BPF_STMT(BPF_LD | BPF_H | BPF_ABS, ETH_HEADER + IP4_FRAGMENT),
		BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, IP4_OFFSET, 4, 0),
		BPF_STMT(BPF_LDX | BPF_B | BPF_MSH, ETH_HEADER),
		BPF_STMT(BPF_LD | BPF_H | BPF_IND, ETH_HEADER + UDP_DST),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, DHCP_CLIENT_PORT, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, FRAME_MAX),
		BPF_STMT(BPF_RET | BPF_K, 0),
	};

	return open_packet_socket(client, ETHERTYPE_IP4, code, sizeof(code) / sizeof(code[0]), &client->ip_fd);
}

static int open_arp(struct gateway_client *client)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_H | BPF_ABS, ETH_HEADER + ARP_OPERATION),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ARP_REPLY, 2, 0),
		/* Of requests, only others' probes for an address: those have no sender. */
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, ETH_HEADER + ARP_SENDER),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, FRAME_MAX),
		BPF_STMT(BPF_RET | BPF_K, 0),
	};

	return open_packet_socket(client, ETH_P_ARP, code, sizeof(code) / sizeof(code[0]), &client->arp_fd);
}

/* The lease that the pod may use; NULL: none. */
static const struct dhcp_lease *usable_lease(const struct gateway_client *client)
{
	return client->config.dhcp && !client->checking ? dhcp_lease(&client->dhcp) : NULL;
}

static bool probes(const struct gateway_client *client)
{
	return client->config.probe && client->arp_fd >= 0 && client->own.address.family && client->router.family;
}

static void probe_restart(struct gateway_client *client, uint64_t now)
{
	client->unanswered = client->answered = false;
	client->misses = 0;
	client->probe_at = now;
	client->answered_at = 0;
	client->router_mac = (struct mac){{0}};
}

/* Works out which address and router are in force. New ones are probed from the beginning. */
static void update_addresses(struct gateway_client *client, uint64_t now)
{
	const struct dhcp_lease *lease = usable_lease(client);
	struct prefix own = client->config.address;
	struct address router = client->config.router;

	if (client->config.dhcp)
		own = lease ? lease->address : (struct prefix){.length = 0};
	if (lease && !router.family)
		router = lease->router;
	if (prefix_equal(&own, &client->own) && address_equal(&router, &client->router))
		return;
	client->own = own;
	client->router = router;
	probe_restart(client, now);
}

static enum gateway_client_state compute_state(const struct gateway_client *client)
{
	if (client->config.dhcp && !usable_lease(client))
		return CLIENT_WAITING;
	if (!probes(client))
		return client->config.dhcp ? CLIENT_READY : CLIENT_OFF;
	if (client->misses >= MISSES)
		return CLIENT_LOST;
	return client->answered ? CLIENT_READY : CLIENT_PROBING;
}

static void send_frame(const struct gateway_client *client, int fd, uint16_t protocol, const uint8_t *frame,
		       size_t length)
{
	struct sockaddr_ll to = {
		.sll_family = AF_PACKET, .sll_protocol = htons(protocol), .sll_ifindex = client->ifindex};

	/* A frame that is not sent is like one that is lost on the way: it will be repeated. */
	(void)sendto(fd, frame, length, MSG_DONTWAIT, (struct sockaddr *)&to, sizeof(to));
}

/*
 * Reads the next frame and returns its length; -1: there is none. After an error of the interface, which went down, 0.
 */
static ssize_t next_frame(int fd, uint8_t frame[static FRAME_MAX])
{
	ssize_t length = recv(fd, frame, FRAME_MAX, MSG_DONTWAIT);

	if (length >= 0 || errno == EAGAIN)
		return length;
	return 0;
}

/* DHCP */

static void listen_if_needed(struct gateway_client *client, uint64_t now)
{
	if (dhcp_listens(&client->dhcp)) {
		client->idle_at = NEVER;
		if (!client->listening && !bind_to(client, client->ip_fd, ETHERTYPE_IP4))
			client->listening = true;
	} else if (client->listening && client->idle_at == NEVER) {
		client->idle_at = now + LINGER;
	} else if (client->listening && now >= client->idle_at) {
		/* Fails when the interface is gone; then nothing arrives anyway. */
		(void)bind_to(client, client->ip_fd, IDLE);
		client->listening = false;
		client->idle_at = NEVER;
	}
}

static unsigned lease_event(enum dhcp_event event)
{
	switch (event) {
	case DHCP_LEASED:
		return CLIENT_LEASE;
	case DHCP_LOST:
		return CLIENT_UNLEASED;
	case DHCP_NOTHING:
	case DHCP_RENEWED:
		break;
	}
	return 0;
}

static unsigned turn_dhcp(struct gateway_client *client, uint64_t now)
{
	uint8_t frame[FRAME_MAX];
	enum dhcp_event event;
	unsigned events = 0;
	ssize_t length;
	size_t n;

	for (int i = 0; i < BATCH && (length = next_frame(client->ip_fd, frame)) >= 0; i++)
		events |= lease_event(dhcp_receive(&client->dhcp, frame, (size_t)length, now));
	for (int i = 0; i < BATCH && dhcp_due(&client->dhcp) <= now; i++) {
		n = dhcp_send(&client->dhcp, now, frame, &event);
		events |= lease_event(event);
		listen_if_needed(client, now);
		if (n)
			send_frame(client, client->ip_fd, ETHERTYPE_IP4, frame, n);
	}
	listen_if_needed(client, now);
	return events;
}

/* ARP */

/* Asks who has `target`, from `sender` (RFC 826), or from nobody (NULL): a probe for an address (RFC 5227). */
static void send_arp(const struct gateway_client *client, const uint8_t *sender, const uint8_t *target)
{
	uint8_t frame[ETH_HEADER + ARP_LENGTH] = {0}, *arp = frame + ETH_HEADER;
	const uint8_t *mac = client->config.mac.bytes;

	memset(frame + ETH_DST, 0xff, sizeof(client->config.mac.bytes));
	memcpy(frame + ETH_SRC, mac, sizeof(client->config.mac.bytes));
	store16(frame + ETH_TYPE, ETH_P_ARP);
	store16(arp + ARP_HTYPE, 1);
	store16(arp + ARP_PTYPE, ETHERTYPE_IP4);
	store16(arp + ARP_SIZES, ARP_SIZES_VALUE);
	store16(arp + ARP_OPERATION, ARP_REQUEST);
	memcpy(arp + ARP_SENDER_MAC, mac, sizeof(client->config.mac.bytes));
	if (sender)
		memcpy(arp + ARP_SENDER, sender, 4);
	memcpy(arp + ARP_TARGET, target, 4);
	send_frame(client, client->arp_fd, ETH_P_ARP, frame, sizeof(frame));
}

static void send_probe(struct gateway_client *client, uint64_t now)
{
	send_arp(client, client->own.address.bytes, client->router.bytes);
	client->unanswered = true;
	client->sent_at = now;
}

static void probe_if_due(struct gateway_client *client, uint64_t now)
{
	if (now < client->probe_at)
		return;
	if (client->unanswered && client->misses < MISSES + LOST_EAGER)
		client->misses++;
	send_probe(client, now);
	client->probe_at = now + (client->misses < MISSES + LOST_EAGER ? SECOND : LOST_WAIT);
}

static bool is_arp(const uint8_t *frame, size_t length)
{
	const uint8_t *arp = frame + ETH_HEADER;

	return length >= ETH_HEADER + ARP_LENGTH && load16(frame + ETH_TYPE) == ETH_P_ARP &&
	       load16(arp + ARP_HTYPE) == 1 && load16(arp + ARP_PTYPE) == ETHERTYPE_IP4 &&
	       load16(arp + ARP_SIZES) == ARP_SIZES_VALUE;
}

/* Whether it is the router's answer to the pod. If so, *from is its MAC. */
static bool is_answer(const struct gateway_client *client, const uint8_t *frame, struct mac *from)
{
	const uint8_t *arp = frame + ETH_HEADER, *mac = client->config.mac.bytes;

	memcpy(from->bytes, arp + ARP_SENDER_MAC, sizeof(from->bytes));
	return !memcmp(frame + ETH_DST, mac, 6) && load16(arp + ARP_OPERATION) == ARP_REPLY &&
	       !memcmp(arp + ARP_SENDER, client->router.bytes, 4) && !memcmp(arp + ARP_TARGET_MAC, mac, 6) &&
	       !memcmp(arp + ARP_TARGET, client->own.address.bytes, 4) && mac_is_unicast(from);
}

static void take_arp_answer(struct gateway_client *client, const struct mac *from, uint64_t now)
{
	bool other = mac_is_unicast(&client->router_mac) && !mac_equal(&client->router_mac, from);

	client->router_mac = *from;
	client->answered = true;
	client->answered_at = now;
	client->misses = 0;
	/* The pod's kernel asks, too. Those answers are just as good, but they answer no probe. */
	if (client->unanswered)
		client->probe_at = client->sent_at + client->config.probe * SECOND;
	client->unanswered = false;
	/* Not during an exchange: with two routers that answer in turn it would never end. */
	if (other && client->config.dhcp && !dhcp_listens(&client->dhcp))
		dhcp_reboot(&client->dhcp, now);
}

/* A new lease, before it is used */

static void check_begin(struct gateway_client *client, uint64_t now)
{
	client->checking = true;
	client->checks = 0;
	client->check_at = now;
}

/* Whether somebody else has the address that is checked, or is about to take it (RFC 5227, section 2.1.1). */
static bool is_conflict(const struct gateway_client *client, const uint8_t *frame)
{
	const uint8_t *arp = frame + ETH_HEADER, *wanted = dhcp_lease(&client->dhcp)->address.address.bytes;
	bool reply = load16(arp + ARP_OPERATION) == ARP_REPLY;

	return memcmp(arp + ARP_SENDER_MAC, client->config.mac.bytes, 6) != 0 &&
	       !memcmp(arp + (reply ? ARP_SENDER : ARP_TARGET), wanted, 4);
}

void gateway_client_decline(struct gateway_client *client, uint64_t now)
{
	uint8_t frame[DHCP_FRAME_MAX];
	size_t length = dhcp_decline(&client->dhcp, now, frame);

	client->checking = false;
	if (length)
		send_frame(client, client->ip_fd, ETHERTYPE_IP4, frame, length);
}

/* Sends what is due. When nobody has answered, the lease is the pod's. */
static unsigned check_turn(struct gateway_client *client, uint64_t now)
{
	if (!client->checking || now < client->check_at)
		return 0;
	if (client->checks == CHECKS) {
		client->checking = false;
		return CLIENT_LEASE;
	}
	send_arp(client, NULL, dhcp_lease(&client->dhcp)->address.address.bytes);
	client->checks++;
	client->check_at = now + CHECK_WAIT;
	return 0;
}

/* A lease with the address that the pod has already was checked when it was new. */
static unsigned check_lease(struct gateway_client *client, unsigned events, uint64_t now)
{
	if (!dhcp_lease(&client->dhcp)) {
		client->checking = false;
		return events;
	}
	if (!(events & CLIENT_LEASE) ||
	    address_equal(&dhcp_lease(&client->dhcp)->address.address, &client->own.address))
		return events;
	check_begin(client, now);
	return events & ~(unsigned)CLIENT_LEASE;
}

/* Returns CLIENT_UNLEASED when a new lease turned out to be somebody else's address, and the pod had another one. */
static unsigned turn_arp(struct gateway_client *client, uint64_t now)
{
	uint8_t frame[FRAME_MAX];
	struct mac from;
	ssize_t length;
	unsigned events = 0;

	for (int i = 0; i < BATCH && (length = next_frame(client->arp_fd, frame)) >= 0; i++) {
		if (!is_arp(frame, (size_t)length))
			continue;
		if (probes(client) && is_answer(client, frame, &from))
			take_arp_answer(client, &from, now);
		if (client->checking && is_conflict(client, frame)) {
			gateway_client_decline(client, now);
			events = CLIENT_UNLEASED;
		}
	}
	if (probes(client))
		probe_if_due(client, now);
	return events;
}

unsigned gateway_client_turn(struct gateway_client *client, uint64_t now)
{
	enum gateway_client_state was = client->state;
	unsigned events = 0;

	if (client->ip_fd >= 0)
		events = check_lease(client, turn_dhcp(client, now), now);
	if (client->ip_fd >= 0)
		events |= check_turn(client, now);
	update_addresses(client, now);
	events |= turn_arp(client, now);
	client->state = compute_state(client);
	if (client->state != was && client->state == CLIENT_READY)
		events |= CLIENT_IS_READY;
	if (client->state != was && client->state == CLIENT_LOST)
		events |= CLIENT_IS_LOST;
	return events;
}

static void drain_frames(int fd)
{
	uint8_t frame[FRAME_MAX];

	/* The receive buffer holds far fewer frames: what comes after that is new. */
	for (int i = 0; fd >= 0 && i < RECEIVE_BUFFER / ETH_HEADER && next_frame(fd, frame) >= 0; i++)
		;
}

bool gateway_client_reclaims(const struct gateway_client *client, uint64_t now)
{
	return client->config.dhcp && dhcp_reclaims(&client->dhcp, now);
}

void gateway_client_moved(struct gateway_client *client, uint64_t now)
{
	drain_frames(client->arp_fd);
	drain_frames(client->ip_fd);
	if (client->config.dhcp)
		dhcp_reboot(&client->dhcp, now);
	if (client->checking)
		check_begin(client, now);
	probe_restart(client, now);
	client->state = compute_state(client);
}

uint64_t gateway_client_due(const struct gateway_client *client)
{
	uint64_t due = NEVER;

	if (client->ip_fd >= 0) {
		due = dhcp_due(&client->dhcp);
		if (client->idle_at < due)
			due = client->idle_at;
		if (client->checking && client->check_at < due)
			due = client->check_at;
	}
	if (probes(client) && client->probe_at < due)
		due = client->probe_at;
	return due;
}

size_t gateway_client_fds(const struct gateway_client *client, int out[static CLIENT_FDS])
{
	size_t n = 0;

	if (client->ip_fd >= 0)
		out[n++] = client->ip_fd;
	if (client->arp_fd >= 0)
		out[n++] = client->arp_fd;
	return n;
}

void gateway_client_report(const struct gateway_client *client, struct gateway_client_status *out)
{
	const struct dhcp_lease *lease = usable_lease(client);

	*out = (struct gateway_client_status){.state = client->state, .answered_at = client->answered_at};
	out->address = client->own.address;
	out->router = client->router;
	if (lease) {
		out->has_lease = true;
		out->lease = *lease;
	}
}

const char *gateway_client_state_name(enum gateway_client_state state)
{
	static const char *const names[] = {
		[CLIENT_OFF] = "off",     [CLIENT_WAITING] = "waiting", [CLIENT_PROBING] = "probing",
		[CLIENT_READY] = "ready", [CLIENT_LOST] = "lost",
	};

	return names[state];
}

void gateway_client_release(struct gateway_client *client, uint64_t now)
{
	uint8_t frame[DHCP_FRAME_MAX];
	size_t length = client->config.dhcp ? dhcp_release(&client->dhcp, now, frame) : 0;

	if (length)
		send_frame(client, client->ip_fd, ETHERTYPE_IP4, frame, length);
}

static int gateway_client_check_config(const struct gateway_client_config *config, struct failure *why)
{
	const struct address *own = &config->address.address, *router = &config->router;

	if (!config->dhcp && own->family && own->family != AF_INET)
		return fail(why, -EINVAL, "address", "address: only IPv4 routers can be probed, from an IPv4 address");
	if (router->family && router->family != AF_INET)
		return fail(why, -EINVAL, "default_via", "default_via: only IPv4 routers can be probed");
	if (config->probe && !config->dhcp && !own->family)
		return fail(why, -EINVAL, "probe", "probe: needs dhcp, or an IPv4 address to probe from");
	if (config->probe && !config->dhcp && !router->family)
		return fail(why, -EINVAL, "probe", "probe: needs dhcp, or a default_via to probe");
	return 0;
}

static int gateway_client_refuse(int error, const char *ifname, struct failure *why)
{
	if (error == -EPERM)
		return fail(why, error, NULL, "packet sockets on %s need CAP_NET_RAW", ifname);
	if (error == -ENODEV || error == -ENXIO)
		return fail(why, -ENODEV, "ifname", "the interface %s has vanished", ifname);
	return fail(why, error, NULL, "cannot open a packet socket on %s: %s", ifname, strerror(-error));
}

static uint64_t seed_for(const struct mac *mac, uint64_t now)
{
	uint64_t seed = 0;

	/* Early in the boot there may be no random numbers. Guessable ids are better than waiting. */
	if (getrandom(&seed, sizeof(seed), GRND_NONBLOCK) != sizeof(seed))
		seed = (uint64_t)load32(mac->bytes + 2) << 32 ^ now;
	return seed;
}

int gateway_client_open(struct gateway_client **out, const char *ifname, const struct gateway_client_config *config,
			const struct address *hint, uint64_t now, struct failure *why)
{
	int error = gateway_client_check_config(config, why);

	if (error)
		return error;
	struct gateway_client *client = calloc(1, sizeof(*client));
	if (!client)
		return fail(why, -ENOMEM, NULL, "out of memory");
	*client = (struct gateway_client){
		.config = *config, .ip_fd = -1, .arp_fd = -1, .listening = true, .idle_at = NEVER};
	client->ifindex = (int)if_nametoindex(ifname);
	if (!client->ifindex)
		error = -ENODEV;
	if (!error && config->dhcp)
		error = open_ip(client);
	if (!error && (config->dhcp || config->probe))
		error = open_arp(client);
	if (error) {
		gateway_client_close(client);
		return gateway_client_refuse(error, ifname, why);
	}
	if (config->dhcp)
		dhcp_init(&client->dhcp, &config->mac, config->hostname, seed_for(&config->mac, now), hint, now);
	update_addresses(client, now);
	client->state = compute_state(client);
	*out = client;
	return 0;
}

void gateway_client_close(struct gateway_client *client)
{
	if (!client)
		return;
	if (client->ip_fd >= 0)
		close(client->ip_fd);
	if (client->arp_fd >= 0)
		close(client->arp_fd);
	free(client);
}
