/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dhcp.c - the client side of DHCP (RFC 2131, RFC 2132) as a state machine over whole Ethernet frames
 *
 * The states are those of RFC 2131, figure 5:
 *
 *    INIT -> SELECTING --offer--> REQUESTING --ACK--> BOUND --T1--> RENEWING --T2--> REBINDING
 *     ^       DISCOVER              REQUEST             ^  server      |  anyone        |
 *     |                              | NAK              +-----ACK------+-------ACK------+
 *     +------------------------------+-- NAK, expired --+
 *    REBOOTING: REQUEST for a known address; ACK -> BOUND; NAK, or three times no answer -> INIT
 *
 * The lease in force is kept beside the state. A client that asks for another lease, after a change of the gateway or
 * because nobody answered, keeps using the one it has until that expires or is denied.
 *
 * The BROADCAST flag is never set. A gateway that is a kernel vxlan device knows only those clients that it has heard
 * from, and cannot flood: a broadcast answer would be lost. A NAK is always broadcast, so it is lost; therefore silence
 * to INIT-REBOOT means the same as a NAK.
 *
 * An exchange begins with a new transaction id and keeps it over retransmissions, so that a slow answer still counts:
 * dnsmasq takes three seconds to check that an address is free before it offers it.
 *
 * A lease is accepted only if it can work. Its address is that of one host, neither the network's own nor its broadcast
 * address (pod-gateway's dnsmasq would give away .255). The router, if any, is another such address of the same
 * network. Without a subnet mask the network is a /24. T1 and T2 that are not in order are ignored. After an offer that
 * cannot work the client asks for another address, as a server that derives addresses from MACs would offer the same
 * one for ever.
 *
 * One thread at a time; the state is the caller's struct dhcp.
 */
#include "tap/dhcp.h"

#include "tap/base/bootp.h"
#include "tap/base/checksum.h"
#include "tap/base/wire.h"

#include <string.h>

enum message { DISCOVER = 1, OFFER = 2, REQUEST = 3, DECLINE = 4, ACK = 5, NAK = 6, RELEASE = 7 };

#define PAYLOAD (ETH_HEADER + IP4_HEADER + UDP_HEADER)
#define DATAGRAM_MAX (DHCP_FRAME_MAX - ETH_HEADER)
#define TTL 64

#define SECOND 1000ULL /* ms */
#define NEVER UINT64_MAX
#define LONGEST_BACKOFF 4          /* doublings of a second */
#define ANOTHER_WAIT (SECOND / 4)  /* after an offer that cannot work */
#define DECLINE_WAIT (10 * SECOND) /* after the second and later (RFC 2131, section 3.1.5) */
#define SHORTEST_LEASE 10          /* s */
#define REBOOT_TRIES 3
#define REQUEST_TRIES 4
#define LEAST_MTU 576 /* what every host accepts (RFC 791); a server could stop all traffic with less */

/* The parts of an answer that we use. */
struct dhcp_answer {
	uint8_t message; /* enum message; 0: none */
	uint8_t overload;
	uint32_t yours, server, mask, router; /* 0: not given */
	uint32_t seconds, t1, t2;             /* 0: not given */
	uint16_t mtu;
	struct mac from;
};

static struct address address4(uint32_t value)
{
	struct address out = {.family = value ? AF_INET : 0};

	store32(out.bytes, value);
	return out;
}

static uint32_t value4(const struct address *address)
{
	return address->family == AF_INET ? load32(address->bytes) : 0;
}

static uint32_t next_random(struct dhcp *dhcp)
{
	dhcp->random ^= dhcp->random << 13;
	dhcp->random ^= dhcp->random >> 7;
	dhcp->random ^= dhcp->random << 17;
	return (uint32_t)(dhcp->random >> 32);
}

/* `wait` give or take an eighth, so that the clients of a node do not all ask at once (RFC 2131, section 4.1). */
static uint64_t jitter(struct dhcp *dhcp, uint64_t wait)
{
	return wait - wait / 8 + next_random(dhcp) % (wait / 4 + 1);
}

/* 1, 2, 4, 8, 16, 16, ... s */
static uint64_t backoff(struct dhcp *dhcp, unsigned before)
{
	return jitter(dhcp, SECOND << (before < LONGEST_BACKOFF ? before : LONGEST_BACKOFF));
}

static void dhcp_enter(struct dhcp *dhcp, enum dhcp_state state, uint64_t now)
{
	/* A REQUEST continues the exchange of its DISCOVER; every other state starts a new one. */
	if (state != DHCP_REQUESTING && state != DHCP_BOUND) {
		dhcp->xid = next_random(dhcp);
		dhcp->began = now;
	}
	dhcp->state = state;
	dhcp->tries = 0;
	dhcp->due = now;
}

void dhcp_init(struct dhcp *dhcp, const struct mac *mac, const char *hostname, uint64_t seed,
	       const struct address *hint, uint64_t now)
{
	*dhcp = (struct dhcp){.mac = *mac, .random = seed ? seed : 1};
	for (size_t i = 0; hostname && hostname[i] && i < sizeof(dhcp->hostname) - 1; i++)
		dhcp->hostname[i] = hostname[i];
	/* After a few rounds, seeds that differ in one bit give entirely different numbers. */
	for (int i = 0; i < 8; i++)
		next_random(dhcp);
	if (hint && hint->family == AF_INET)
		dhcp->wanted = *hint;
	dhcp_enter(dhcp, dhcp->wanted.family ? DHCP_REBOOTING : DHCP_INIT, now);
}

void dhcp_reboot(struct dhcp *dhcp, uint64_t now)
{
	if (dhcp->has_lease)
		dhcp->wanted = dhcp->lease.address.address;
	dhcp_enter(dhcp, dhcp->wanted.family ? DHCP_REBOOTING : DHCP_INIT, now);
}

static enum dhcp_event dhcp_lose_lease(struct dhcp *dhcp)
{
	if (!dhcp->has_lease)
		return DHCP_NOTHING;
	dhcp->has_lease = false;
	return DHCP_LOST;
}

uint64_t dhcp_due(const struct dhcp *dhcp)
{
	if (dhcp->has_lease && dhcp->lease.expires_at < dhcp->due)
		return dhcp->lease.expires_at;
	return dhcp->due;
}

bool dhcp_reclaims(const struct dhcp *dhcp, uint64_t now)
{
	return dhcp->wanted.family && dhcp->due <= now && dhcp->state <= DHCP_REBOOTING;
}

bool dhcp_listens(const struct dhcp *dhcp)
{
	return dhcp->state != DHCP_BOUND;
}

const struct dhcp_lease *dhcp_lease(const struct dhcp *dhcp)
{
	return dhcp->has_lease ? &dhcp->lease : NULL;
}

/* Building. There is room for all options together (asserted in build_options). */

static uint8_t *dhcp_put_option(uint8_t *at, enum dhcp_option option, const void *value, size_t length)
{
	*at++ = (uint8_t)option;
	*at++ = (uint8_t)length;
	memcpy(at, value, length);
	return at + length;
}

static uint8_t *put_address(uint8_t *at, enum dhcp_option option, uint32_t value)
{
	uint8_t bytes[4];

	store32(bytes, value);
	return dhcp_put_option(at, option, bytes, sizeof(bytes));
}

static uint8_t *build_options(const struct dhcp *dhcp, uint8_t *at, enum message message, uint32_t requested,
			      uint32_t server)
{
	static const uint8_t parameters[] = {OPT_MASK, OPT_ROUTER, OPT_MTU, OPT_LEASE, OPT_SERVER, OPT_T1, OPT_T2};
	uint8_t type = (uint8_t)message, client[1 + sizeof(dhcp->mac.bytes)] = {HTYPE_ETHERNET}, size[2];

	_Static_assert(BOOTP_OPTIONS + 3 + 9 + 6 + 6 + 2 + DHCP_HOSTNAME + 4 + 2 + sizeof(parameters) + 1 <=
			       DATAGRAM_MAX - IP4_HEADER - UDP_HEADER,
		       "all options fit");
	store16(size, DATAGRAM_MAX);
	memcpy(client + 1, dhcp->mac.bytes, sizeof(dhcp->mac.bytes));
	at = dhcp_put_option(at, OPT_MESSAGE, &type, 1);
	at = dhcp_put_option(at, OPT_CLIENT, client, sizeof(client));
	if (requested)
		at = put_address(at, OPT_REQUESTED, requested);
	if (server)
		at = put_address(at, OPT_SERVER, server);
	if (message != RELEASE && message != DECLINE) {
		if (dhcp->hostname[0])
			at = dhcp_put_option(at, OPT_HOSTNAME, dhcp->hostname, strlen(dhcp->hostname));
		at = dhcp_put_option(at, OPT_MAX_SIZE, size, sizeof(size));
		at = dhcp_put_option(at, OPT_PARAMETERS, parameters, sizeof(parameters));
	}
	*at++ = OPT_END;
	return at;
}

/* Writes the headers in front of a message of `length` bytes. `from` 0: a broadcast without a source address. */
static size_t dhcp_wrap(const struct dhcp *dhcp, uint8_t *frame, size_t length, uint32_t from)
{
	static const struct mac everyone = {{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}};
	uint8_t *ip = frame + ETH_HEADER, *udp = ip + IP4_HEADER;
	uint16_t datagram = (uint16_t)(UDP_HEADER + length);

	memcpy(frame + ETH_DST, from ? dhcp->lease.server_mac.bytes : everyone.bytes, sizeof(everyone.bytes));
	memcpy(frame + ETH_SRC, dhcp->mac.bytes, sizeof(dhcp->mac.bytes));
	store16(frame + ETH_TYPE, ETHERTYPE_IP4);
	ip[IP4_VERSION_IHL] = 0x45;
	store16(ip + IP4_LENGTH, (uint16_t)(IP4_HEADER + datagram));
	store16(ip + IP4_FRAGMENT, IP4_DF);
	ip[IP4_TTL] = TTL;
	ip[IP4_PROTOCOL] = PROTO_UDP;
	store32(ip + IP4_SRC, from);
	store32(ip + IP4_DST, from ? value4(&dhcp->lease.server) : INADDR_BROADCAST);
	store_word(ip + IP4_CHECKSUM, checksum_finish(checksum_add(0, ip, IP4_HEADER)));
	store16(udp + UDP_SRC, DHCP_CLIENT_PORT);
	store16(udp + UDP_DST, DHCP_SERVER_PORT);
	store16(udp + UDP_LENGTH, datagram);
	uint32_t sum = checksum_pseudo4(ip + IP4_SRC, ip + IP4_DST, PROTO_UDP, datagram);
	store_word(udp + UDP_CHECKSUM, checksum_finish_udp(checksum_add(sum, udp, datagram)));
	return PAYLOAD + length;
}

/* `unicast`: from the leased address to the lease's server. */
static size_t build(const struct dhcp *dhcp, uint64_t now, uint8_t *frame, enum message message, uint32_t requested,
		    uint32_t server, bool unicast)
{
	uint8_t *bootp = frame + PAYLOAD;
	uint32_t own = dhcp->has_lease ? value4(&dhcp->lease.address.address) : 0;
	bool uses = message == RELEASE || dhcp->state == DHCP_RENEWING || dhcp->state == DHCP_REBINDING;
	uint64_t secs = (now - dhcp->began) / SECOND;

	memset(frame, 0, DHCP_FRAME_MAX);
	bootp[BOOTP_OP] = BOOTP_REQUEST;
	bootp[BOOTP_HTYPE] = HTYPE_ETHERNET;
	bootp[BOOTP_HLEN] = sizeof(dhcp->mac.bytes);
	store32(bootp + BOOTP_XID, dhcp->xid);
	store16(bootp + BOOTP_SECS, (uint16_t)(secs < UINT16_MAX ? secs : UINT16_MAX));
	store32(bootp + BOOTP_CIADDR, uses ? own : 0);
	memcpy(bootp + BOOTP_CHADDR, dhcp->mac.bytes, sizeof(dhcp->mac.bytes));
	store32(bootp + BOOTP_COOKIE, DHCP_COOKIE);
	size_t length = (size_t)(build_options(dhcp, bootp + BOOTP_OPTIONS, message, requested, server) - bootp);
	return dhcp_wrap(dhcp, frame, length < BOOTP_MIN ? BOOTP_MIN : length, unicast ? own : 0);
}

static void dhcp_extend(struct dhcp *dhcp, uint64_t now)
{
	enum dhcp_state state = now >= dhcp->lease.rebind_at ? DHCP_REBINDING : DHCP_RENEWING;

	if (dhcp->state != state)
		dhcp_enter(dhcp, state, now);
}

/* Changes the state if it is time to, before something is sent. */
static void dhcp_advance(struct dhcp *dhcp, uint64_t now)
{
	unsigned tries = dhcp->state == DHCP_REBOOTING ? REBOOT_TRIES : REQUEST_TRIES;

	if ((dhcp->state == DHCP_REBOOTING || dhcp->state == DHCP_REQUESTING) && dhcp->tries >= tries)
		dhcp_enter(dhcp, DHCP_INIT, now);
	else if (dhcp->state == DHCP_BOUND || dhcp->state == DHCP_RENEWING)
		dhcp_extend(dhcp, now);
}

/* RFC 2131, section 4.4.5: half of what is left, but not less than a minute, or a 64th of a lease that is short. */
static uint64_t renewal_wait(const struct dhcp *dhcp, uint64_t now)
{
	uint64_t end = dhcp->state == DHCP_RENEWING ? dhcp->lease.rebind_at : dhcp->lease.expires_at;
	uint64_t half = (end - now) / 2, least = dhcp->lease.seconds * SECOND / 64;

	if (least < SECOND)
		least = SECOND;
	if (least > 60 * SECOND)
		least = 60 * SECOND;
	if (half < least)
		half = least;
	return half < end - now ? half : end - now;
}

static void dhcp_plan_next(struct dhcp *dhcp, uint64_t now)
{
	unsigned before = dhcp->tries++;

	if (dhcp->state == DHCP_RENEWING || dhcp->state == DHCP_REBINDING)
		dhcp->due = now + renewal_wait(dhcp, now);
	else if (dhcp->state == DHCP_REBOOTING) /* a server that knows the address answers at once */
		dhcp->due = now + jitter(dhcp, SECOND);
	else
		dhcp->due = now + backoff(dhcp, before);
}

size_t dhcp_send(struct dhcp *dhcp, uint64_t now, uint8_t frame[static DHCP_FRAME_MAX], enum dhcp_event *event)
{
	size_t length = 0;

	*event = DHCP_NOTHING;
	if (dhcp->has_lease && now >= dhcp->lease.expires_at) {
		*event = dhcp_lose_lease(dhcp);
		/* A client that is already asking for a new one goes on. */
		if (dhcp->state == DHCP_RENEWING || dhcp->state == DHCP_REBINDING || dhcp->state == DHCP_BOUND)
			dhcp_enter(dhcp, DHCP_INIT, now);
	}
	if (now < dhcp->due)
		return 0;
	dhcp_advance(dhcp, now);
	if (dhcp->state == DHCP_INIT)
		dhcp->state = DHCP_SELECTING;
	switch (dhcp->state) {
	case DHCP_INIT:
	case DHCP_BOUND:
		break;
	case DHCP_SELECTING:
		length = build(dhcp, now, frame, DISCOVER, value4(&dhcp->wanted), 0, false);
		break;
	case DHCP_REQUESTING:
		length = build(dhcp, now, frame, REQUEST, value4(&dhcp->wanted), value4(&dhcp->server), false);
		break;
	case DHCP_REBOOTING:
		length = build(dhcp, now, frame, REQUEST, value4(&dhcp->wanted), 0, false);
		break;
	case DHCP_RENEWING:
		length = build(dhcp, now, frame, REQUEST, 0, 0, true);
		break;
	case DHCP_REBINDING:
		length = build(dhcp, now, frame, REQUEST, 0, 0, false);
		break;
	}
	dhcp_plan_next(dhcp, now);
	return length;
}

size_t dhcp_release(struct dhcp *dhcp, uint64_t now, uint8_t frame[static DHCP_FRAME_MAX])
{
	if (!dhcp->has_lease)
		return 0;
	dhcp->xid = next_random(dhcp);
	dhcp->began = now;
	size_t length = build(dhcp, now, frame, RELEASE, 0, value4(&dhcp->lease.server), true);
	dhcp_lose_lease(dhcp);
	dhcp_enter(dhcp, DHCP_INIT, now);
	return length;
}

size_t dhcp_decline(struct dhcp *dhcp, uint64_t now, uint8_t frame[static DHCP_FRAME_MAX])
{
	if (!dhcp->has_lease)
		return 0;
	uint32_t taken = value4(&dhcp->lease.address.address), server = value4(&dhcp->lease.server);
	dhcp_lose_lease(dhcp);
	dhcp->wanted = (struct address){0};
	dhcp_enter(dhcp, DHCP_INIT, now);
	size_t length = build(dhcp, now, frame, DECLINE, taken, server, false);
	/* The first time it is worth to be quick: the server's next address is most likely free. */
	dhcp->due = now + (dhcp->declined ? DECLINE_WAIT : SECOND);
	dhcp->declined++;
	return length;
}

/* Reading */

/* Reads one option; false when its length is invalid. If it comes twice, the first one counts. */
static bool dhcp_take_option(struct dhcp_answer *answer, uint8_t option, const uint8_t *value, size_t length)
{
	uint32_t *field = NULL;

	switch (option) {
	case OPT_MESSAGE:
	case OPT_OVERLOAD:
		if (length != 1)
			return false;
		if (option == OPT_MESSAGE && !answer->message)
			answer->message = value[0];
		if (option == OPT_OVERLOAD)
			answer->overload = value[0];
		return true;
	case OPT_MTU:
		if (length == 2 && !answer->mtu)
			answer->mtu = load16(value);
		return length == 2;
	case OPT_ROUTER: /* the first of a list */
		if (length < 4 || length % 4)
			return false;
		length = 4;
		field = &answer->router;
		break;
	case OPT_MASK:
		field = &answer->mask;
		break;
	case OPT_SERVER:
		field = &answer->server;
		break;
	case OPT_LEASE:
		field = &answer->seconds;
		break;
	case OPT_T1:
		field = &answer->t1;
		break;
	case OPT_T2:
		field = &answer->t2;
		break;
	default:
		return true;
	}
	if (length != 4)
		return false;
	if (!*field)
		*field = load32(value);
	return true;
}

/* False when an option extends beyond the `length` bytes. The end mark may be missing. */
static bool take_options(struct dhcp_answer *answer, const uint8_t *at, size_t length)
{
	while (length && at[0] != OPT_END) {
		if (at[0] == OPT_PAD) {
			at++;
			length--;
			continue;
		}
		if (length < 2 || length - 2 < at[1] || !dhcp_take_option(answer, at[0], at + 2, at[1]))
			return false;
		length -= 2U + at[1];
		at += 2U + at[1];
	}
	return true;
}

/* Whether the UDP checksum is right, absent, or left partial (see frame_checksum_is_partial() in frame.h). */
static bool dhcp_checksums_valid(const uint8_t *ip, const uint8_t *udp, uint16_t length)
{
	uint16_t check = load_word(udp + UDP_CHECKSUM);
	uint32_t pseudo = checksum_pseudo4(ip + IP4_SRC, ip + IP4_DST, PROTO_UDP, length);

	return !check || check == checksum_fold(pseudo) || checksum_valid(checksum_add(pseudo, udp, length));
}

/* The DHCP message, and its length, in a frame to this client or to all; NULL when there is no valid one. */
static const uint8_t *dhcp_unwrap(const struct dhcp *dhcp, const uint8_t *frame, size_t length, size_t *inner)
{
	static const uint8_t everyone[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};

	if (length < PAYLOAD || load16(frame + ETH_TYPE) != ETHERTYPE_IP4)
		return NULL;
	if (memcmp(frame, dhcp->mac.bytes, sizeof(everyone)) && memcmp(frame, everyone, sizeof(everyone)))
		return NULL;
	const uint8_t *ip = frame + ETH_HEADER;
	size_t header = (size_t)4 * (ip[IP4_VERSION_IHL] & 0xf), total = load16(ip + IP4_LENGTH);
	if (ip[IP4_VERSION_IHL] >> 4 != 4 || header < IP4_HEADER || total > length - ETH_HEADER ||
	    total < header + UDP_HEADER || !checksum_valid(checksum_add(0, ip, header)) ||
	    (load16(ip + IP4_FRAGMENT) & IP4_MF_AND_OFFSET) || ip[IP4_PROTOCOL] != PROTO_UDP)
		return NULL;
	const uint8_t *udp = ip + header;
	uint16_t datagram = load16(udp + UDP_LENGTH);
	if (load16(udp + UDP_SRC) != DHCP_SERVER_PORT || load16(udp + UDP_DST) != DHCP_CLIENT_PORT ||
	    datagram < UDP_HEADER || datagram > total - header || !dhcp_checksums_valid(ip, udp, datagram))
		return NULL;
	*inner = datagram - (size_t)UDP_HEADER;
	return udp + UDP_HEADER;
}

/* Whether the frame answers the last question of this client. */
static bool dhcp_parse(const struct dhcp *dhcp, const uint8_t *frame, size_t length, struct dhcp_answer *answer)
{
	size_t size;
	const uint8_t *bootp = dhcp_unwrap(dhcp, frame, length, &size);

	*answer = (struct dhcp_answer){0};
	if (!bootp || size < BOOTP_OPTIONS || bootp[BOOTP_OP] != BOOTP_REPLY || bootp[BOOTP_HTYPE] != HTYPE_ETHERNET ||
	    bootp[BOOTP_HLEN] != sizeof(dhcp->mac.bytes) || load32(bootp + BOOTP_XID) != dhcp->xid ||
	    memcmp(bootp + BOOTP_CHADDR, dhcp->mac.bytes, sizeof(dhcp->mac.bytes)) ||
	    load32(bootp + BOOTP_COOKIE) != DHCP_COOKIE)
		return false;
	if (!take_options(answer, bootp + BOOTP_OPTIONS, size - BOOTP_OPTIONS))
		return false;
	uint8_t overload = answer->overload;
	if ((overload & 1) && !take_options(answer, bootp + BOOTP_FILE, BOOTP_FILE_SIZE))
		return false;
	if ((overload & 2) && !take_options(answer, bootp + BOOTP_SNAME, BOOTP_SNAME_SIZE))
		return false;
	answer->yours = load32(bootp + BOOTP_YIADDR);
	memcpy(answer->from.bytes, frame + ETH_SRC, sizeof(answer->from.bytes));
	return mac_is_unicast(&answer->from) && !mac_equal(&answer->from, &dhcp->mac);
}

/* Whether it is the address of one host of the network, as far as one can tell. */
static bool is_host(uint32_t address, uint32_t mask)
{
	uint32_t top = address >> 24;

	if (!top || top == 127 || top >= 224)
		return false;
	/* Networks of /31 have no broadcast address (RFC 3021). */
	return ~mask <= 1 || ((address & ~mask) && (address & ~mask) != ~mask);
}

/* The lease that the answer offers or grants; false if it cannot work. */
static bool make_lease(const struct dhcp_answer *answer, uint64_t now, struct dhcp_lease *out)
{
	uint32_t mask = answer->mask ? answer->mask : 0xffffff00, seconds = answer->seconds;
	uint64_t span, t1 = answer->t1, t2 = answer->t2;

	/* The mask must be contiguous and leave room for a neighbour. */
	if ((~mask & (~mask + 1)) || mask == UINT32_MAX || !is_host(answer->yours, mask) ||
	    !is_host(answer->server, UINT32_MAX) || answer->yours == answer->server || !seconds)
		return false;
	if (answer->router && (!is_host(answer->router, mask) || answer->router == answer->yours ||
			       ((answer->router ^ answer->yours) & mask)))
		return false;
	*out = (struct dhcp_lease){.server = address4(answer->server), .router = address4(answer->router)};
	out->address.address = address4(answer->yours);
	out->address.length = (uint8_t)__builtin_popcount(mask);
	out->server_mac = answer->from;
	out->mtu = answer->mtu >= LEAST_MTU ? answer->mtu : 0;
	out->seconds = seconds < SHORTEST_LEASE ? SHORTEST_LEASE : seconds;
	out->renew_at = out->rebind_at = out->expires_at = NEVER;
	if (seconds == UINT32_MAX)
		return true;
	span = out->seconds * SECOND;
	t1 *= SECOND;
	t2 *= SECOND;
	if (!t1 || t1 >= t2 || t2 >= span) {
		t1 = span / 2;
		t2 = span - span / 8;
	}
	out->renew_at = now + t1;
	out->rebind_at = now + t2;
	out->expires_at = now + span;
	return true;
}

/* After an offer that cannot work: ask soon for some other address of that network. */
static void ask_for_another(struct dhcp *dhcp, const struct dhcp_answer *answer, uint64_t now)
{
	uint32_t mask = answer->mask ? answer->mask : 0xffffff00;
	uint32_t other = (answer->yours & mask) | (next_random(dhcp) & ~mask);

	dhcp->wanted = address4(is_host(other, mask) && other != answer->router ? other : 0);
	if (dhcp->due > now + ANOTHER_WAIT && dhcp->tries < 4)
		dhcp->due = now + ANOTHER_WAIT;
}

static enum dhcp_event take_offer(struct dhcp *dhcp, const struct dhcp_answer *answer, uint64_t now)
{
	struct dhcp_lease offered;

	if (!answer->server)
		return DHCP_NOTHING;
	if (!make_lease(answer, now, &offered)) {
		ask_for_another(dhcp, answer, now);
		return DHCP_NOTHING;
	}
	dhcp->wanted = offered.address.address;
	dhcp->server = offered.server;
	dhcp_enter(dhcp, DHCP_REQUESTING, now);
	return DHCP_NOTHING;
}

static bool same_terms(const struct dhcp_lease *a, const struct dhcp_lease *b)
{
	return prefix_equal(&a->address, &b->address) && address_equal(&a->router, &b->router) && a->mtu == b->mtu;
}

static enum dhcp_event take_ack(struct dhcp *dhcp, const struct dhcp_answer *answer, uint64_t now)
{
	struct dhcp_lease granted;

	if (!make_lease(answer, now, &granted))
		return DHCP_NOTHING;
	/* A server grants the address that was asked for, or none. */
	const struct address *asked = dhcp->state == DHCP_RENEWING || dhcp->state == DHCP_REBINDING
					      ? &dhcp->lease.address.address
					      : &dhcp->wanted;
	if (!address_equal(asked, &granted.address.address))
		return DHCP_NOTHING;
	bool same = dhcp->has_lease && same_terms(&dhcp->lease, &granted);
	dhcp->lease = granted;
	dhcp->has_lease = true;
	dhcp->denied = 0;
	dhcp_enter(dhcp, DHCP_BOUND, now);
	dhcp->due = granted.renew_at;
	return same ? DHCP_RENEWED : DHCP_LEASED;
}

void dhcp_resume(struct dhcp *dhcp, const struct dhcp_lease *lease, uint64_t now)
{
	dhcp->lease = *lease;
	dhcp->has_lease = true;
	dhcp->wanted = lease->address.address;
	dhcp_enter(dhcp, DHCP_BOUND, now);
	dhcp->due = lease->renew_at;
}

static enum dhcp_event take_nak(struct dhcp *dhcp, uint64_t now)
{
	enum dhcp_event event = dhcp_lose_lease(dhcp);

	/* Asking for the same address again would be denied again. */
	dhcp->wanted = (struct address){0};
	dhcp_enter(dhcp, DHCP_INIT, now);
	/* Try again at once, but not so fast with a server that keeps offering and denying. */
	if (dhcp->denied)
		dhcp->due = now + backoff(dhcp, dhcp->denied - 1);
	dhcp->denied++;
	return event;
}

/* Whether a server that was not asked has answered. */
static bool is_other_server(const struct dhcp *dhcp, const struct dhcp_answer *answer)
{
	struct address from = address4(answer->server);

	if (dhcp->state == DHCP_REQUESTING)
		return !address_equal(&from, &dhcp->server);
	if (dhcp->state == DHCP_RENEWING)
		return !address_equal(&from, &dhcp->lease.server);
	return false;
}

enum dhcp_event dhcp_receive(struct dhcp *dhcp, const uint8_t *frame, size_t length, uint64_t now)
{
	struct dhcp_answer answer;

	/* Nothing has been asked in this state yet. */
	if (!dhcp->tries || !dhcp_parse(dhcp, frame, length, &answer))
		return DHCP_NOTHING;
	if (dhcp->state == DHCP_SELECTING)
		return answer.message == OFFER ? take_offer(dhcp, &answer, now) : DHCP_NOTHING;
	if (!answer.server || is_other_server(dhcp, &answer))
		return DHCP_NOTHING;
	if (answer.message == ACK)
		return take_ack(dhcp, &answer, now);
	return answer.message == NAK ? take_nak(dhcp, now) : DHCP_NOTHING;
}
