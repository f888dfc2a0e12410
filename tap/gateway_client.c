/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gateway_client.c - a port as a client of its gateway: its lease, and whether the router answers
 *
 * Up to three packet sockets on the TAP, opened in the pod's network namespace, which nobody has to enter again.
 *
 *    config      lease   router answers      state
 *    neither                                 CLIENT_OFF
 *    dhcp        no                          CLIENT_WAITING
 *    static      its address is checked, or is somebody else's: CLIENT_WAITING
 *    dhcp alone  yes                         CLIENT_READY
 *    probe       yes     not yet             CLIENT_PROBING
 *                or      yes                 CLIENT_READY
 *                static  missed 3 probes     CLIENT_LOST
 *
 * With a target behind the router, "answers" means both: the router, then the target.
 *
 * The DHCP socket is bound to IPv4 only while an answer is expected. Otherwise it is bound to an ethertype that nobody
 * sends (IDLE), so that the pod's traffic does not run through its filter. Protocol 0 would not do: bind(2) then leaves
 * the protocol as it was. Binding waits for an RCU grace period. So it is delayed by LINGER: when many pods start at
 * once, each gets its lease first.
 *
 * The router is probed by ARP requests (RFC 826), broadcast from the pod's own MAC and address. They also keep the
 * gateway's entry for its client alive (a kernel vxlan device forgets after 300 s), and their answers show the pod's
 * kernel when the router's MAC has changed. probe_timer.h says when they are sent.
 *
 * A router that answers may forward nothing. With config.target, an address behind it is asked as well, by frames that
 * look as if the pod had sent them (path_probe.h), while the router answers. The third socket is for what comes back.
 * It is bound to IPv4 for as long as there is a target, so all that the pod receives runs through its filter.
 *
 * While there is no lease, the router that is expected is asked in the same way, from no address (RFC 5227): a server
 * may take its time, dnsmasq 3 s for each client in turn, and who answers ARP meanwhile is not dead.
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

#include "tap/arp_probe.h"
#include "tap/base/clock.h"
#include "tap/base/wire.h"
#include "tap/late_close.h"
#include "tap/packet_socket.h"
#include "tap/path_probe.h"
#include "tap/probe_timer.h"

#include <net/ethernet.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>

#define NEVER UINT64_MAX
#define LINGER 5000          /* ms */
#define CHECKS 2             /* ARP probes for the address of a new lease */
#define CHECK_WAIT 50        /* ms after each; RFC 5227 has seconds, for links on which hosts sleep */
#define BATCH 16             /* frames read from a socket in one turn */
#define EXPECT_INTERVAL 2000 /* ms between questions to the expected router */

enum {
	IDLE = 0x88b5, /* IEEE 802, Local Experimental Ethertype 1 */
	DHCP_CLIENT_PORT = 68,
};

struct gateway_client {
	struct gateway_client_config config;
	int ifindex;
	int ip_fd;   /* -1: no DHCP */
	int arp_fd;  /* -1: neither DHCP, nor probes, nor claims */
	int path_fd; /* -1: no target */
	struct dhcp dhcp;
	bool checking;     /* the lease is new: nobody uses it yet */
	unsigned checks;   /* ARP probes sent for it */
	uint64_t check_at; /* ms, when the next one is due, or the lease is found free */
	bool listening;    /* ip_fd is bound to IPv4 */
	uint64_t idle_at;  /* ms, when it can be unbound; NEVER: not yet known */
	struct address_check claims;

	struct prefix own;     /* in force; family 0: no address */
	struct address router; /* family 0: none */
	enum gateway_client_state state;
	struct probe_timer arp, path;
	struct path_probe questions; /* to the target */
	uint64_t took;               /* us, until the target's last answer came */
	uint64_t arp_asked;          /* us, when the router was asked last */
	bool has_answered;           /* since gateway_client_answered() was called */
	uint64_t answer_took;        /* us, the one that it is to tell of */
	struct mac router_mac;       /* all zero: not known */
};

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
		BPF_STMT(BPF_RET | BPF_K, PACKET_FRAME),
		BPF_STMT(BPF_RET | BPF_K, 0),
	};

	return packet_socket_open(client->ifindex, ETHERTYPE_IP4, code, sizeof(code) / sizeof(code[0]), &client->ip_fd);
}

static int open_arp(struct gateway_client *client)
{
	struct sock_filter code[ARP_FILTER];
	unsigned short length = arp_probe_filter(code);

	return packet_socket_open(client->ifindex, ETH_P_ARP, code, length, &client->arp_fd);
}

/* As the calling thread's namespace has them; the kernel's default when they cannot be read. */
static struct path_ports free_ports(void)
{
	char text[64] = "", *end = text;
	FILE *file = fopen("/proc/sys/net/ipv4/ip_local_port_range", "re");
	bool got = file && fgets(text, sizeof(text), file);

	if (file)
		fclose(file);
	unsigned long low = strtoul(text, &end, 10), high = strtoul(end, NULL, 10);
	return got && low && high ? path_ports_beside((unsigned)low, (unsigned)high) : path_ports_beside(32768, 60999);
}

static uint64_t seed_for(const struct mac *mac, uint64_t now)
{
	uint64_t seed = 0;

	/* Early in the boot there may be no random numbers. Guessable ids are better than waiting. */
	if (getrandom(&seed, sizeof(seed), GRND_NONBLOCK) != sizeof(seed))
		seed = (uint64_t)load32(mac->bytes + 2) << 32 ^ now;
	return seed;
}

/* Opens the socket for answers of `target`; *out is -1 when there is none to ask. */
static int open_path_socket(const struct gateway_client *client, const struct path_target *target, uint64_t now,
			    struct path_probe *questions, int *out)
{
	struct sock_filter code[PATH_FILTER];

	*out = -1;
	if (target->kind == PATH_NONE)
		return 0;
	path_probe_init(questions, target, free_ports(), seed_for(&client->config.mac, now));
	unsigned short length = path_probe_filter(questions, code);
	return packet_socket_open(client->ifindex, ETHERTYPE_IP4, code, length, out);
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

/* Whether the router is asked by ARP: by who has an address, or by who waits for one. */
static bool asks_router(const struct gateway_client *client)
{
	bool waits = (client->config.dhcp || client->config.probe) && !client->own.address.family;

	return waits ? client->arp_fd >= 0 && client->router.family : probes(client);
}

static void probe_restart(struct gateway_client *client, uint64_t now)
{
	probe_timer_restart(&client->arp, now);
	probe_timer_restart(&client->path, now);
	path_probe_forget(&client->questions);
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
	if (client->config.dhcp && !router.family)
		router = lease ? lease->router : client->config.expected;
	if (address_check_withholds(&client->claims, &own.address))
		own = (struct prefix){.length = 0};
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
	if (!client->config.dhcp && !client->own.address.family && client->config.address.address.family)
		return CLIENT_WAITING;
	if (!probes(client))
		return client->config.dhcp ? CLIENT_READY : CLIENT_OFF;
	if (probe_timer_is_lost(&client->arp) || probe_timer_is_lost(&client->path))
		return CLIENT_LOST;
	return client->arp.answered && (client->path_fd < 0 || client->path.answered) ? CLIENT_READY : CLIENT_PROBING;
}

static void send_ip(const struct gateway_client *client, int fd, const uint8_t *frame, size_t length)
{
	packet_socket_send(fd, client->ifindex, ETHERTYPE_IP4, frame, length);
}

/* DHCP */

static void listen_if_needed(struct gateway_client *client, uint64_t now)
{
	if (dhcp_listens(&client->dhcp)) {
		client->idle_at = NEVER;
		if (!client->listening && !packet_socket_bind(client->ip_fd, client->ifindex, ETHERTYPE_IP4))
			client->listening = true;
	} else if (client->listening && client->idle_at == NEVER) {
		client->idle_at = now + LINGER;
	} else if (client->listening && now >= client->idle_at) {
		/* Fails when the interface is gone; then nothing arrives anyway. */
		(void)packet_socket_bind(client->ip_fd, client->ifindex, IDLE);
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
	uint8_t frame[PACKET_FRAME];
	enum dhcp_event event;
	unsigned events = 0;
	ssize_t length;
	size_t n;

	for (int i = 0; i < BATCH && (length = packet_socket_next(client->ip_fd, frame)) >= 0; i++)
		events |= lease_event(dhcp_receive(&client->dhcp, frame, (size_t)length, now));
	for (int i = 0; i < BATCH && dhcp_due(&client->dhcp) <= now; i++) {
		n = dhcp_send(&client->dhcp, now, frame, &event);
		events |= lease_event(event);
		listen_if_needed(client, now);
		if (n)
			send_ip(client, client->ip_fd, frame, n);
	}
	listen_if_needed(client, now);
	return events;
}

/* ARP */

static void send_arp(const struct gateway_client *client, const uint8_t *sender, const uint8_t *target)
{
	uint8_t frame[ARP_FRAME];

	arp_probe_write(frame, &client->config.mac, sender, target);
	packet_socket_send(client->arp_fd, client->ifindex, ETH_P_ARP, frame, sizeof(frame));
}

/* Between questions to the router, ms. */
static unsigned arp_interval(const struct gateway_client *client)
{
	return client->own.address.family ? client->config.probe : EXPECT_INTERVAL;
}

static void probe_if_due(struct gateway_client *client, uint64_t now)
{
	if (now < client->arp.due)
		return;
	probe_timer_asked(&client->arp, arp_interval(client), now);
	client->arp_asked = clock_us();
	send_arp(client, client->own.address.family ? client->own.address.bytes : NULL, client->router.bytes);
}

static void note_took(struct gateway_client *client, uint64_t took)
{
	client->has_answered = true;
	client->answer_took = took;
}

static void take_arp_answer(struct gateway_client *client, const struct mac *from, uint64_t now)
{
	bool other = mac_is_unicast(&client->router_mac) && !mac_equal(&client->router_mac, from);

	client->router_mac = *from;
	/* With a target it is the whole way that counts. */
	if (client->arp.unanswered && client->path_fd < 0)
		note_took(client, clock_us() - client->arp_asked);
	/* What is behind a router that was away is asked from the beginning. */
	if (probe_timer_is_lost(&client->arp))
		probe_timer_restart(&client->path, now);
	probe_timer_answered(&client->arp, arp_interval(client), 0, now);
	/* Not during an exchange: with two routers that answer in turn it would never end. */
	if (other && usable_lease(client) && !dhcp_listens(&client->dhcp))
		dhcp_reboot(&client->dhcp, now);
}

/* The way behind the router */

static bool path_is_asked(const struct gateway_client *client)
{
	return client->path_fd >= 0 && probes(client) && client->arp.answered && !probe_timer_is_lost(&client->arp);
}

static struct path_ends path_ends_of(const struct gateway_client *client)
{
	return (struct path_ends){client->config.mac, client->router_mac, client->own.address};
}

static void ask_path(struct gateway_client *client, uint64_t now)
{
	uint8_t frame[PATH_FRAME];
	const struct path_ends ends = path_ends_of(client);

	probe_timer_asked(&client->path, client->config.probe, now);
	size_t length = path_probe_ask(&client->questions, &ends, clock_us(), frame);
	send_ip(client, client->path_fd, frame, length);
}

static void turn_path(struct gateway_client *client, uint64_t now)
{
	uint8_t frame[PACKET_FRAME];
	const struct path_ends ends = path_ends_of(client);
	ssize_t length;
	uint64_t took;

	for (int i = 0; i < BATCH && (length = packet_socket_next(client->path_fd, frame)) >= 0; i++)
		if (path_probe_answers(&client->questions, &ends, clock_us(), frame, (size_t)length, &took)) {
			client->took = took;
			note_took(client, took);
			probe_timer_answered(&client->path, client->config.probe, (unsigned)(took / 1000), now);
		}
	if (path_is_asked(client) && now >= client->path.due)
		ask_path(client, now);
}

/* A new lease, before it is used */

static void check_begin(struct gateway_client *client, uint64_t now)
{
	client->checking = true;
	client->checks = 0;
	client->check_at = now;
}

void gateway_client_decline(struct gateway_client *client, uint64_t now)
{
	uint8_t frame[DHCP_FRAME_MAX];
	size_t length = dhcp_decline(&client->dhcp, now, frame);

	client->checking = false;
	if (length)
		send_ip(client, client->ip_fd, frame, length);
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

/* The addresses that the port was given */

static unsigned claims_event(enum address_check_news news)
{
	return news == ADDRESS_CHECK_NONE ? 0 : CLIENT_CLAIMS;
}

static unsigned ask_claims(struct gateway_client *client, uint64_t now)
{
	enum address_check_news news;
	size_t n = address_check_ask(&client->claims, now, &news);

	for (size_t i = 0; i < n; i++)
		send_arp(client, NULL, client->claims.list[i].bytes);
	return claims_event(news);
}

/*
 * Returns CLIENT_UNLEASED when a new lease turned out to be somebody else's address, and the pod had another one, and
 * CLIENT_CLAIMS when a claim did.
 */
static unsigned turn_arp(struct gateway_client *client, uint64_t now)
{
	uint8_t frame[PACKET_FRAME];
	struct mac from;
	ssize_t length;
	unsigned events = 0;

	for (int i = 0; i < BATCH && (length = packet_socket_next(client->arp_fd, frame)) >= 0; i++) {
		if (!arp_probe_is_arp(frame, (size_t)length))
			continue;
		if (asks_router(client) &&
		    arp_probe_answers(frame, &client->config.mac, &client->own.address, &client->router, &from))
			take_arp_answer(client, &from, now);
		events |= claims_event(address_check_hear(&client->claims, frame, &client->config.mac, now));
		if (client->checking &&
		    arp_probe_conflicts(frame, &client->config.mac, dhcp_lease(&client->dhcp)->address.address.bytes)) {
			gateway_client_decline(client, now);
			events |= CLIENT_UNLEASED;
		}
	}
	if (asks_router(client))
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
	events |= ask_claims(client, now);
	update_addresses(client, now);
	events |= turn_arp(client, now);
	if (events & CLIENT_CLAIMS)
		update_addresses(client, now);
	if (client->path_fd >= 0)
		turn_path(client, now);
	client->state = compute_state(client);
	if (client->state != was && client->state == CLIENT_READY)
		events |= CLIENT_IS_READY;
	if (client->state != was && client->state == CLIENT_LOST)
		events |= CLIENT_IS_LOST;
	return events;
}

bool gateway_client_reclaims(const struct gateway_client *client, uint64_t now)
{
	return client->config.dhcp && dhcp_reclaims(&client->dhcp, now);
}

void gateway_client_moved(struct gateway_client *client, uint64_t now)
{
	packet_socket_drain(client->arp_fd);
	packet_socket_drain(client->ip_fd);
	packet_socket_drain(client->path_fd);
	if (client->config.dhcp)
		dhcp_reboot(&client->dhcp, now);
	if (client->checking)
		check_begin(client, now);
	address_check_again(&client->claims, now);
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
	if (asks_router(client) && client->arp.due < due)
		due = client->arp.due;
	if (path_is_asked(client) && client->path.due < due)
		due = client->path.due;
	if (address_check_due(&client->claims) < due)
		due = address_check_due(&client->claims);
	return due;
}

void gateway_client_expect(struct gateway_client *client, const struct address *router, uint64_t now)
{
	client->config.expected = router->family == AF_INET ? *router : (struct address){0};
	update_addresses(client, now);
}

size_t gateway_client_fds(const struct gateway_client *client, int out[static CLIENT_FDS])
{
	size_t n = 0;

	if (client->ip_fd >= 0)
		out[n++] = client->ip_fd;
	if (client->arp_fd >= 0)
		out[n++] = client->arp_fd;
	if (client->path_fd >= 0)
		out[n++] = client->path_fd;
	return n;
}

bool gateway_client_answered(struct gateway_client *client, uint64_t *took)
{
	bool answered = client->has_answered;

	*took = client->answer_took;
	client->has_answered = false;
	return answered;
}

void gateway_client_report(const struct gateway_client *client, struct gateway_client_status *out)
{
	const struct dhcp_lease *lease = usable_lease(client);

	*out = (struct gateway_client_status){.state = client->state, .answered_at = client->arp.answered_at};
	out->lacks_path = client->arp.answered && !probe_timer_is_lost(&client->arp);
	out->path_answered_at = client->path.answered_at;
	out->path_took = client->took;
	out->address = client->own.address;
	out->router = client->router;
	out->checking = address_check_is_new(&client->claims);
	out->taken = client->claims.taken;
	out->holder = client->claims.holder;
	if (lease) {
		out->has_lease = true;
		out->lease = *lease;
	}
}

const struct address_check *gateway_client_claims(const struct gateway_client *client)
{
	return &client->claims;
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
		send_ip(client, client->ip_fd, frame, length);
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
	if (config->target.kind != PATH_NONE && !config->probe)
		return fail(why, -EINVAL, "probe_target", "probe_target: needs probe or probe_interval");
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

int gateway_client_retune(struct gateway_client *client, unsigned probe, const struct path_target *target, uint64_t now,
			  struct failure *why)
{
	struct path_probe questions = {0};
	char ifname[IF_NAMESIZE] = "?";
	int fd = client->path_fd;
	bool same = path_target_equal(target, &client->config.target);
	int error = same ? 0 : open_path_socket(client, target, now, &questions, &fd);

	(void)if_indextoname((unsigned)client->ifindex, ifname);
	if (error)
		return gateway_client_refuse(error, ifname, why);
	if (!same) {
		late_close(client->path_fd);
		client->path_fd = fd;
		client->questions = questions;
		client->config.target = *target;
		probe_timer_restart(&client->path, now);
	}
	if (probe < client->config.probe)
		probe_timer_restart(&client->arp, now);
	client->config.probe = probe;
	client->state = compute_state(client);
	return 0;
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
		.config = *config, .ip_fd = -1, .arp_fd = -1, .path_fd = -1, .listening = true, .idle_at = NEVER};
	client->ifindex = (int)if_nametoindex(ifname);
	if (!client->ifindex)
		error = -ENODEV;
	if (!error && config->dhcp)
		error = open_ip(client);
	if (!error && (config->dhcp || config->probe || config->n_claims))
		error = open_arp(client);
	/* Nobody can be asked: then the addresses are used as they are. */
	size_t n_claims = error == -EPERM && !config->dhcp && !config->probe ? 0 : config->n_claims;
	if (n_claims != config->n_claims)
		error = 0;
	if (!error)
		error = open_path_socket(client, &config->target, now, &client->questions, &client->path_fd);
	if (error) {
		gateway_client_close(client);
		return gateway_client_refuse(error, ifname, why);
	}
	if (config->dhcp)
		dhcp_init(&client->dhcp, &config->mac, config->hostname, seed_for(&config->mac, now), hint, now);
	address_check_begin(&client->claims, config->claims, n_claims, config->claims_used, seed_for(&config->mac, now),
			    now);
	update_addresses(client, now);
	client->state = compute_state(client);
	*out = client;
	return 0;
}

/* An answer of long ago is one all the same: a router that is silent since is asked at once. */
static void resume_timer(struct probe_timer *timer, unsigned interval, uint64_t answered_at)
{
	if (answered_at)
		probe_timer_answered(timer, interval, 0, answered_at);
}

void gateway_client_resume(struct gateway_client *client, const struct gateway_client_status *was, uint64_t now)
{
	if (client->config.dhcp && was->has_lease)
		dhcp_resume(&client->dhcp, &was->lease, now);
	update_addresses(client, now);
	if (was->state == CLIENT_READY) {
		resume_timer(&client->arp, client->config.probe, was->answered_at);
		resume_timer(&client->path, client->config.probe, was->path_answered_at);
		client->took = was->path_took;
	}
	client->state = compute_state(client);
}

void gateway_client_close(struct gateway_client *client)
{
	if (!client)
		return;
	late_close(client->ip_fd);
	late_close(client->arp_fd);
	late_close(client->path_fd);
	free(client);
}
