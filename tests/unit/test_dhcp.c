/* SPDX-License-Identifier: Apache-2.0 */
/* test_dhcp.c - every state of the DHCP client, with a hand-made server, and with what a hostile one may send */
#include "tap/dhcp.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define ADDRESS(a, b, c, d) ((uint32_t)(a) << 24 | (uint32_t)(b) << 16 | (uint32_t)(c) << 8 | (uint32_t)(d))
#define MINE ADDRESS(172, 16, 0, 57)
#define ROUTER ADDRESS(172, 16, 0, 1)
#define MASK ADDRESS(255, 255, 255, 0)
#define START 5000000ULL

static const struct mac mac = {{0x02, 0x11, 0x22, 0x33, 0x44, 0x55}};
static const struct mac gateway = {{0x0a, 0, 0, 0, 0, 1}};
static const struct mac everyone = {{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}};

static struct dhcp dhcp;
static uint64_t now;
static uint8_t frame[DHCP_FRAME_MAX];
static size_t length; /* of the last frame sent; 0: none */
static enum dhcp_event event;

/* The server's side, written without looking at the client's. */

struct reply {
	uint8_t message;
	uint32_t xid; /* 0: the last question's */
	uint32_t yours, mask, router, server, seconds, t1, t2;
	uint16_t mtu;
	uint8_t bytes[1024]; /* the frame, once made */
	size_t length, options_end;
};

static uint16_t naive_sum(const uint8_t *data, size_t n, uint32_t sum)
{
	for (size_t i = 0; i < n; i++)
		sum += i % 2 ? data[i] : (uint32_t)data[i] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

static uint32_t naive_pseudo(const uint8_t *ip, size_t n)
{
	return naive_sum(ip + 12, 8, (uint32_t)(17 + n));
}

/* Lengths and checksums around a message of `size` bytes at 42. */
static void finish(struct reply *r, size_t size)
{
	uint8_t *ip = r->bytes + 14, *udp = ip + 20;

	store16(ip + 2, (uint16_t)(28 + size));
	store16(ip + 10, 0);
	store16(ip + 10, (uint16_t)~naive_sum(ip, 20, 0));
	store16(udp + 4, (uint16_t)(8 + size));
	store16(udp + 6, 0);
	uint16_t check = (uint16_t)~naive_sum(udp, 8 + size, naive_pseudo(ip, 8 + size));
	store16(udp + 6, check ? check : 0xffff);
	r->length = 42 + size;
}

static void add4(struct reply *r, uint8_t option, uint32_t value)
{
	uint8_t *at = r->bytes + r->options_end;

	if (!value)
		return;
	at[0] = option;
	at[1] = 4;
	store32(at + 2, value);
	r->options_end += 6;
}

static void make(struct reply *r)
{
	static const uint8_t head[] = {0x08, 0x00, 0x45, 0xc0, 0, 0, 0x12, 0x34, 0, 0, 64, 17};
	uint8_t *b = r->bytes;

	memset(b, 0, sizeof(r->bytes));
	memcpy(b, mac.bytes, 6);
	memcpy(b + 6, gateway.bytes, 6);
	memcpy(b + 12, head, sizeof(head));
	store32(b + 26, ROUTER);
	store32(b + 30, r->yours);
	store16(b + 34, 67);
	store16(b + 36, 68);
	b[42] = 2;
	b[43] = 1;
	b[44] = 6;
	store32(b + 46, r->xid ? r->xid : dhcp.xid);
	store32(b + 58, r->yours);
	memcpy(b + 70, mac.bytes, 6);
	store32(b + 278, 0x63825363);
	memcpy(b + 282, (uint8_t[]){53, 1, r->message}, 3);
	r->options_end = 285;
	add4(r, 54, r->server);
	add4(r, 51, r->seconds);
	add4(r, 58, r->t1);
	add4(r, 59, r->t2);
	add4(r, 1, r->mask);
	add4(r, 3, r->router);
	if (r->mtu) {
		memcpy(b + r->options_end, (uint8_t[]){26, 2, (uint8_t)(r->mtu >> 8), (uint8_t)r->mtu}, 4);
		r->options_end += 4;
	}
	b[r->options_end] = 255;
	finish(r, r->options_end + 1 - 42);
}

static struct reply usual(uint8_t message)
{
	struct reply r = {.message = message, .yours = MINE, .mask = MASK, .router = ROUTER, .server = ROUTER};

	r.seconds = 1000;
	if (message == 6)
		r = (struct reply){.message = 6, .server = ROUTER};
	make(&r);
	return r;
}

/* From a buffer of exactly that size, for the sanitizers. */
static enum dhcp_event give_bytes(const uint8_t *bytes, size_t n)
{
	uint8_t *copy = malloc(n ? n : 1);

	memcpy(copy, bytes, n);
	enum dhcp_event result = dhcp_receive(&dhcp, copy, n, now);
	free(copy);
	return result;
}

static enum dhcp_event give(const struct reply *r)
{
	return give_bytes(r->bytes, r->length);
}

static enum dhcp_event give_usual(uint8_t message)
{
	struct reply r = usual(message);

	return give(&r);
}

/* The client's side. */

static void send_now(void)
{
	length = dhcp_send(&dhcp, now, frame, &event);
}

/* Advances the time to when the client has something to do. */
static void send_next(void)
{
	assert_true(dhcp_due(&dhcp) != UINT64_MAX);
	if (dhcp_due(&dhcp) > now)
		now = dhcp_due(&dhcp);
	send_now();
}

static void start(const struct address *hint)
{
	now = START;
	dhcp_init(&dhcp, &mac, "app-0", 42, hint, now);
	send_now();
}

/* An option's value and length in the last frame sent, or NULL. */
static const uint8_t *sent_option(uint8_t option, size_t *n)
{
	for (size_t at = 282; at < length && frame[at] != 255; at += 2U + frame[at + 1]) {
		if (frame[at] != option)
			continue;
		*n = frame[at + 1];
		return frame + at + 2;
	}
	return NULL;
}

static uint32_t sent4(uint8_t option)
{
	size_t n;
	const uint8_t *value = sent_option(option, &n);

	assert_true(!value || n == 4);
	return value ? load32(value) : 0;
}

static unsigned sent_message(void)
{
	size_t n;
	const uint8_t *value = length ? sent_option(53, &n) : NULL;

	return value ? *value : 0;
}

static void assert_sums_right(void)
{
	size_t udp = length - 34;

	assert_int_equal(naive_sum(frame + 14, 20, 0), 0xffff);
	assert_int_equal(naive_sum(frame + 34, udp, naive_pseudo(frame + 14, udp)), 0xffff);
	assert_int_equal(load16(frame + 16), length - 14);
	assert_int_equal(load16(frame + 38), udp);
}

#define assert_sent(message, to, ciaddr, requested, server)                                                            \
	do {                                                                                                           \
		assert_int_equal(sent_message(), message);                                                             \
		assert_memory_equal(frame, (to)->bytes, 6);                                                            \
		assert_int_equal(load32(frame + 54), ciaddr);                                                          \
		assert_int_equal(sent4(50), requested);                                                                \
		assert_int_equal(sent4(54), server);                                                                   \
		assert_int_equal(load32(frame + 46), dhcp.xid);                                                        \
		assert_sums_right();                                                                                   \
	} while (0)

static void bind_usual(void)
{
	start(NULL);
	assert_int_equal(give_usual(2), DHCP_NOTHING);
	send_next();
	assert_int_equal(give_usual(5), DHCP_LEASED);
}

/* Every byte of the first DISCOVER, except what follows from the seed. */
static void discover_is_as_it_should_be(void **state)
{
	static const uint8_t ethernet[] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02,
					   0x11, 0x22, 0x33, 0x44, 0x55, 0x08, 0x00};
	/* 328 bytes, DF, UDP, from nowhere to everyone */
	static const uint8_t ip[] = {0x45, 0x00, 0x01, 0x48, 0x00, 0x00, 0x40, 0x00, 0x40, 0x11,
				     0x39, 0xa6, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff};
	static const uint8_t udp[] = {0x00, 0x44, 0x00, 0x43, 0x01, 0x34}; /* 68 to 67, 308 bytes */
	static const uint8_t bootp[] = {0x01, 0x01, 0x06, 0x00};
	static const uint8_t options[] = "\x63\x82\x53\x63\x35\1\1\x3d\7\1\x02\x11\x22\x33\x44\x55\x0c\5app-0"
					 "\x39\2\x02\x40\x37\7\1\3\x1a\x33\x36\x3a\x3b\xff";
	uint8_t zero[192 + 10 + 16] = {0};

	(void)state;
	start(NULL);
	assert_int_equal(event, DHCP_NOTHING);
	assert_int_equal(length, 342);
	assert_memory_equal(frame, ethernet, sizeof(ethernet));
	assert_memory_equal(frame + 14, ip, sizeof(ip));
	assert_memory_equal(frame + 34, udp, sizeof(udp));
	assert_memory_equal(frame + 42, bootp, sizeof(bootp));
	assert_int_not_equal(load32(frame + 46), 0);
	/* secs, flags without BROADCAST, no addresses */
	assert_memory_equal(frame + 50, zero, 20);
	assert_memory_equal(frame + 70, mac.bytes, 6);
	assert_memory_equal(frame + 76, zero, 10 + 192);
	assert_memory_equal(frame + 278, options, sizeof(options));
	/* The array's NUL is the first byte of padding. */
	assert_memory_equal(frame + 278 + sizeof(options), zero, 342 - 278 - sizeof(options));
	assert_sums_right();
	assert_true(dhcp_listens(&dhcp));
	assert_null(dhcp_lease(&dhcp));
	/* Without a name there is no option for it; a long one is cut. */
	dhcp_init(&dhcp, &mac, "", 42, NULL, now);
	send_now();
	size_t n;
	assert_null(sent_option(12, &n));
	dhcp_init(&dhcp, &mac, "a123456789b123456789c123456789d123456789e123456789f123456789g123456789", 42, NULL, now);
	send_now();
	assert_non_null(sent_option(12, &n));
	assert_int_equal(n, 63);
	assert_sums_right();
}

static void a_lease_lives_and_dies(void **state)
{
	(void)state;
	start(NULL);
	assert_sent(1, &everyone, 0, 0, 0);
	uint32_t xid = dhcp.xid;
	now += 300;
	assert_int_equal(give_usual(2), DHCP_NOTHING);
	assert_null(dhcp_lease(&dhcp));
	assert_true(dhcp_due(&dhcp) <= now);
	send_now();
	assert_sent(3, &everyone, 0, MINE, ROUTER);
	assert_int_equal(dhcp.xid, xid);
	assert_int_equal(give_usual(5), DHCP_LEASED);
	const struct dhcp_lease *lease = dhcp_lease(&dhcp);
	uint64_t bound = now;
	assert_int_equal(load32(lease->address.address.bytes), MINE);
	assert_int_equal(lease->address.length, 24);
	assert_int_equal(load32(lease->router.bytes), ROUTER);
	assert_int_equal(load32(lease->server.bytes), ROUTER);
	assert_memory_equal(lease->server_mac.bytes, gateway.bytes, 6);
	assert_int_equal(lease->seconds, 1000);
	assert_int_equal(lease->expires_at, bound + 1000000);
	assert_false(dhcp_listens(&dhcp));
	assert_int_equal(dhcp_due(&dhcp), bound + 500000);
	now = bound + 499999;
	send_now();
	assert_int_equal(length, 0);
	/* T1: unicast to the server that gave the lease. */
	send_next();
	assert_sent(3, &gateway, MINE, 0, 0);
	assert_int_equal(load32(frame + 26), MINE);
	assert_int_equal(load32(frame + 30), ROUTER);
	assert_int_not_equal(dhcp.xid, xid);
	assert_true(dhcp_listens(&dhcp));
	assert_int_equal(give_usual(5), DHCP_RENEWED);
	assert_int_equal(lease->expires_at, bound + 500000 + 1000000);
	bound = now;
	/* Nobody answers: half of the time left to T2, and so on; at T2, broadcast. */
	send_next();
	assert_int_equal(now, bound + 500000);
	send_next();
	assert_int_equal(now, bound + 500000 + 187500);
	assert_sent(3, &gateway, MINE, 0, 0);
	while (dhcp.state == DHCP_RENEWING)
		send_next();
	assert_int_equal(now, bound + 875000);
	assert_sent(3, &everyone, MINE, 0, 0);
	assert_int_equal(load32(frame + 30), 0xffffffff);
	while (event == DHCP_NOTHING) {
		assert_non_null(dhcp_lease(&dhcp));
		send_next();
	}
	assert_int_equal(event, DHCP_LOST);
	assert_int_equal(now, bound + 1000000);
	assert_null(dhcp_lease(&dhcp));
	/* Starts again, and asks for the same address. */
	assert_sent(1, &everyone, 0, MINE, 0);
}

static void rebinding_takes_any_server(void **state)
{
	(void)state;
	bind_usual();
	now += 875000;
	/* Slept through T1. */
	send_now();
	assert_int_equal(dhcp.state, DHCP_REBINDING);
	struct reply r = usual(5);
	r.server = ADDRESS(172, 16, 0, 2);
	make(&r);
	assert_int_equal(give(&r), DHCP_RENEWED);
	assert_int_equal(load32(dhcp_lease(&dhcp)->server.bytes), r.server);
	/* The process slept through all of it. */
	now += 1000000;
	send_now();
	assert_int_equal(event, DHCP_LOST);
	assert_int_equal(sent_message(), 1);
}

static void renewal_may_change_the_terms(void **state)
{
	(void)state;
	bind_usual();
	send_next();
	struct reply r = usual(5);
	r.mtu = 1400;
	make(&r);
	assert_int_equal(give(&r), DHCP_LEASED);
	assert_int_equal(dhcp_lease(&dhcp)->mtu, 1400);
	send_next();
	r = usual(5);
	r.yours = MINE + 1;
	make(&r);
	assert_int_equal(give(&r), DHCP_NOTHING);
	r = usual(5);
	r.server = ROUTER + 1;
	make(&r);
	assert_int_equal(give(&r), DHCP_NOTHING);
	assert_int_equal(give_usual(6), DHCP_LOST);
	send_next();
	assert_sent(1, &everyone, 0, 0, 0);
}

/* The wait before a transmission, give or take an eighth. */
static void assert_waits(uint64_t seconds)
{
	uint64_t wait = dhcp_due(&dhcp) - now;

	assert_in_range(wait, seconds * 875, seconds * 1125);
	now = dhcp_due(&dhcp) - 1;
	send_now();
	assert_int_equal(length, 0);
	send_next();
	assert_true(length > 0);
}

static void silence_is_asked_again(void **state)
{
	(void)state;
	start(NULL);
	uint32_t xid = dhcp.xid;
	static const unsigned waits[] = {1, 2, 4, 8, 16, 16, 16, 16};
	for (size_t i = 0; i < sizeof(waits) / sizeof(waits[0]); i++) {
		assert_waits(waits[i]);
		assert_sent(1, &everyone, 0, 0, 0);
		assert_int_equal(dhcp.xid, xid);
	}
	assert_in_range(load16(frame + 50), 70, 90); /* secs */
	for (int i = 0; i < 5000; i++)
		send_next();
	assert_int_equal(load16(frame + 50), 65535);
	assert_int_equal(give_usual(2), DHCP_NOTHING);
	send_now();
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(sent_message(), 3);
		assert_waits(1U << i);
	}
	/* The server is gone: start again. */
	send_next();
	assert_sent(1, &everyone, 0, MINE, 0);
	assert_int_not_equal(dhcp.xid, xid);
}

static void asks_to_keep_what_it_had(void **state)
{
	struct address hint = {.family = AF_INET};

	(void)state;
	store32(hint.bytes, MINE);
	start(&hint);
	for (unsigned i = 0; i < 2; i++) {
		assert_sent(3, &everyone, 0, MINE, 0);
		assert_waits(1);
	}
	assert_sent(3, &everyone, 0, MINE, 0);
	struct reply late = usual(5);
	assert_waits(1);
	assert_sent(1, &everyone, 0, MINE, 0);
	assert_int_equal(give(&late), DHCP_NOTHING);
	/* Answered by any server. */
	start(&hint);
	struct reply other = usual(5);
	other.yours++;
	make(&other);
	assert_int_equal(give(&other), DHCP_NOTHING);
	assert_int_equal(give_usual(2), DHCP_NOTHING);
	assert_int_equal(give_usual(5), DHCP_LEASED);
	/* Denied. */
	start(&hint);
	assert_int_equal(give_usual(6), DHCP_NOTHING);
	send_now();
	assert_sent(1, &everyone, 0, 0, 0);
	/* IPv6 is not for this. */
	hint.family = AF_INET6;
	start(&hint);
	assert_sent(1, &everyone, 0, 0, 0);
}

static void keeps_its_lease_while_it_reboots(void **state)
{
	(void)state;
	/* No answer: the lease stays to its end. */
	bind_usual();
	uint64_t expires = dhcp_lease(&dhcp)->expires_at;
	now += 1000;
	dhcp_reboot(&dhcp, now);
	send_now();
	assert_sent(3, &everyone, 0, MINE, 0);
	uint32_t xid = 0;
	while (now < expires) {
		xid = dhcp.xid;
		assert_non_null(dhcp_lease(&dhcp));
		assert_true(dhcp_due(&dhcp) <= expires);
		send_next();
	}
	assert_int_equal(event, DHCP_LOST);
	assert_int_equal(dhcp.xid, xid);
	assert_int_equal(dhcp.state, DHCP_SELECTING);
	send_next();
	assert_sent(1, &everyone, 0, MINE, 0);
	/* Again, after it was made to ask for another address. */
	bind_usual();
	dhcp_reboot(&dhcp, now);
	for (int i = 0; i < 4; i++)
		send_next();
	struct reply bad = usual(2);
	bad.yours |= 0xff;
	make(&bad);
	give(&bad);
	send_next();
	assert_int_not_equal(sent4(50), MINE);
	dhcp_reboot(&dhcp, now);
	send_now();
	assert_sent(3, &everyone, 0, MINE, 0);
}

static void reboots_into_whatever_there_is(void **state)
{
	(void)state;
	/* The same, another MTU, another address, denied. */
	bind_usual();
	dhcp_reboot(&dhcp, now);
	send_now();
	assert_int_equal(give_usual(5), DHCP_RENEWED);
	dhcp_reboot(&dhcp, now);
	send_now();
	struct reply r = usual(5);
	r.router = ADDRESS(172, 16, 0, 3);
	make(&r);
	assert_int_equal(give(&r), DHCP_LEASED);
	dhcp_reboot(&dhcp, now);
	for (int i = 0; i < 4; i++)
		send_next();
	assert_int_equal(sent_message(), 1);
	r = usual(2);
	r.yours = ADDRESS(10, 0, 0, 9);
	r.router = ADDRESS(10, 0, 0, 1);
	make(&r);
	give(&r);
	send_now();
	r.message = 5;
	make(&r);
	assert_int_equal(give(&r), DHCP_LEASED);
	assert_int_equal(load32(dhcp_lease(&dhcp)->address.address.bytes), r.yours);
	dhcp_reboot(&dhcp, now);
	send_now();
	assert_int_equal(give_usual(6), DHCP_LOST);
	assert_null(dhcp_lease(&dhcp));
	/* Without an address to ask about. */
	start(NULL);
	dhcp_reboot(&dhcp, now);
	send_now();
	assert_sent(1, &everyone, 0, 0, 0);
}

static void releases_what_it_has(void **state)
{
	(void)state;
	start(NULL);
	assert_int_equal(dhcp_release(&dhcp, now, frame), 0);
	bind_usual();
	uint32_t xid = dhcp.xid;
	length = dhcp_release(&dhcp, now, frame);
	assert_int_equal(length, 342);
	assert_int_equal(sent_message(), 7);
	assert_memory_equal(frame, gateway.bytes, 6);
	assert_int_equal(load32(frame + 26), MINE);
	assert_int_equal(load32(frame + 30), ROUTER);
	assert_int_equal(load32(frame + 54), MINE);
	assert_int_equal(sent4(54), ROUTER);
	assert_int_equal(sent4(50), 0);
	assert_int_not_equal(load32(frame + 46), xid);
	size_t n;
	assert_non_null(sent_option(61, &n));
	assert_sums_right();
	assert_null(dhcp_lease(&dhcp));
	assert_int_equal(dhcp_release(&dhcp, now, frame), 0);
	send_next();
	assert_int_equal(sent_message(), 1);
}

/* RFC 2131, table 5: broadcast, from nobody, with the address and the server as options and nothing else. */
static void declines_what_it_has(void **state)
{
	(void)state;
	start(NULL);
	assert_int_equal(dhcp_decline(&dhcp, now, frame), 0);
	bind_usual();
	length = dhcp_decline(&dhcp, now, frame);
	assert_int_equal(length, 342);
	assert_int_equal(sent_message(), 4);
	assert_memory_equal(frame, "\xff\xff\xff\xff\xff\xff", 6);
	assert_int_equal(load32(frame + 26), 0);
	assert_int_equal(load32(frame + 30), 0xffffffff);
	assert_int_equal(load32(frame + 54), 0);
	assert_int_equal(sent4(50), MINE);
	assert_int_equal(sent4(54), ROUTER);
	size_t n;
	assert_non_null(sent_option(61, &n));
	assert_null(sent_option(12, &n));
	assert_null(sent_option(55, &n));
	assert_null(sent_option(57, &n));
	assert_sums_right();
	assert_null(dhcp_lease(&dhcp));
	assert_int_equal(dhcp_decline(&dhcp, now, frame), 0);
	assert_int_equal(dhcp_due(&dhcp), now + 1000);
	now += 1000;
	send_next();
	assert_int_equal(sent_message(), 1);
	assert_int_equal(sent4(50), 0); /* not the same one again */
}

/* Only while it asks for an address that the pod may have. */
static void reclaims_what_it_had(void **state)
{
	(void)state;
	start(NULL);
	assert_false(dhcp_reclaims(&dhcp, now));
	bind_usual();
	assert_false(dhcp_reclaims(&dhcp, dhcp_lease(&dhcp)->renew_at));
	dhcp_reboot(&dhcp, now);
	assert_true(dhcp_reclaims(&dhcp, now));
	send_next();
	assert_false(dhcp_reclaims(&dhcp, now));
	assert_true(dhcp_reclaims(&dhcp, dhcp_due(&dhcp)));
}

static void duplicates_change_nothing(void **state)
{
	(void)state;
	start(NULL);
	struct reply offer = usual(2), ack = usual(5);
	/* Reordered: an ACK before the request, and a question that was not sent yet. */
	assert_int_equal(give(&ack), DHCP_NOTHING);
	give(&offer);
	assert_int_equal(give(&ack), DHCP_NOTHING);
	send_now();
	struct reply second = usual(2);
	second.yours++;
	make(&second);
	give(&second);
	give(&offer);
	assert_int_equal(dhcp.state, DHCP_REQUESTING);
	assert_int_equal(give(&ack), DHCP_LEASED);
	assert_int_equal(give(&ack), DHCP_NOTHING);
	assert_int_equal(give(&offer), DHCP_NOTHING);
	assert_int_equal(give_usual(6), DHCP_NOTHING);
	/* A day late, with a new question open. */
	send_next();
	assert_int_equal(dhcp.state, DHCP_RENEWING);
	assert_int_equal(give(&ack), DHCP_NOTHING);
	struct reply nak = usual(6);
	nak.xid = dhcp.xid + 1;
	make(&nak);
	assert_int_equal(give(&nak), DHCP_NOTHING);
	assert_int_equal(give_usual(5), DHCP_RENEWED);
}

static void a_circle_of_denials_is_slow(void **state)
{
	uint64_t slowest = 0;

	(void)state;
	start(NULL);
	for (int i = 0; i < 12; i++) {
		give_usual(2);
		send_next();
		assert_int_equal(sent_message(), 3);
		give_usual(6);
		slowest = dhcp_due(&dhcp) - now;
		assert_true(i || !slowest);
		send_next();
		assert_int_equal(sent_message(), 1);
	}
	assert_in_range(slowest, 14000, 18000);
	/* A lease resets the count. */
	give_usual(2);
	send_next();
	assert_int_equal(give_usual(5), DHCP_LEASED);
	send_next();
	assert_int_equal(give_usual(6), DHCP_LOST);
	assert_true(dhcp_due(&dhcp) <= now);
}

static void asks_for_another_than_the_broadcast_address(void **state)
{
	(void)state;
	start(NULL);
	struct reply r = usual(2);
	r.yours = ADDRESS(172, 16, 0, 255);
	make(&r);
	unsigned wished = 0, fast = 0;
	for (int i = 0; i < 40; i++) {
		give(&r);
		assert_int_equal(dhcp.state, DHCP_SELECTING);
		fast += dhcp_due(&dhcp) - now <= 250;
		send_next();
		assert_int_equal(sent_message(), 1);
		uint32_t wish = sent4(50);
		if (!wish)
			continue;
		wished++;
		assert_true(wish != r.yours && wish != ROUTER && (wish & MASK) == (MINE & MASK) && (wish & 0xff));
	}
	assert_in_range(wished, 30, 40);
	assert_in_range(fast, 2, 5); /* but not for ever */
	give_usual(2);
	send_now();
	assert_sent(3, &everyone, 0, MINE, ROUTER);
}

/* What a server may grant. */
struct terms {
	const char *name;
	uint32_t yours, mask, router, server, seconds, t1, t2;
	unsigned mtu;
	bool good;
	unsigned length, mtu_after; /* of a good one; and seconds till */
	uint32_t renew, rebind, expire;
};

#define A ADDRESS
static const struct terms terms[] = {
	{"the usual", MINE, MASK, ROUTER, ROUTER, 1000, 0, 0, 0, true, 24, 0, 500, 875, 1000},
	{"its own T1, T2, MTU", MINE, MASK, ROUTER, ROUTER, 1000, 100, 200, 1450, true, 24, 1450, 100, 200, 1000},
	{"T1 after T2", MINE, MASK, ROUTER, ROUTER, 1000, 300, 200, 0, true, 24, 0, 500, 875, 1000},
	{"T1 as T2", MINE, MASK, ROUTER, ROUTER, 1000, 300, 300, 0, true, 24, 0, 500, 875, 1000},
	{"T2 at the end", MINE, MASK, ROUTER, ROUTER, 1000, 300, 1000, 0, true, 24, 0, 500, 875, 1000},
	{"T1 alone", MINE, MASK, ROUTER, ROUTER, 1000, 300, 0, 0, true, 24, 0, 500, 875, 1000},
	{"T2 alone", MINE, MASK, ROUTER, ROUTER, 1000, 0, 300, 0, true, 24, 0, 500, 875, 1000},
	{"ten seconds", MINE, MASK, ROUTER, ROUTER, 10, 0, 0, 0, true, 24, 0, 5, 8, 10},
	{"one second", MINE, MASK, ROUTER, ROUTER, 1, 0, 0, 0, true, 24, 0, 5, 8, 10},
	{"the longest", MINE, MASK, ROUTER, ROUTER, 0xfffffffe, 0, 0, 0, true, 24, 0, 0x7fffffff, 0xdffffffe,
	 0xfffffffe},
	{"no time at all", MINE, MASK, ROUTER, ROUTER, 0, 0, 0, 0, false, 0, 0, 0, 0, 0},
	{"no router", MINE, MASK, 0, ROUTER, 1000, 0, 0, 0, true, 24, 0, 500, 875, 1000},
	{"no mask", MINE, 0, ROUTER, ROUTER, 1000, 0, 0, 0, true, 24, 0, 500, 875, 1000},
	{"no mask, a far router", MINE, 0, A(172, 16, 1, 1), ROUTER, 1000, 0, 0, 0, false, 0, 0, 0, 0, 0},
	{"/16", MINE, A(255, 255, 0, 0), A(172, 16, 9, 1), ROUTER, 1000, 0, 0, 0, true, 16, 0, 500, 875, 1000},
	{".255 of a /16", A(172, 16, 0, 255), A(255, 255, 0, 0), ROUTER, ROUTER, 1000, 0, 0, 0, true, 16, 0, 500, 875,
	 1000},
	{"/30", A(10, 0, 0, 2), ~3U, A(10, 0, 0, 1), ROUTER, 1000, 0, 0, 0, true, 30, 0, 500, 875, 1000},
	{"/31", A(10, 0, 0, 1), ~1U, A(10, 0, 0, 0), ROUTER, 1000, 0, 0, 0, true, 31, 0, 500, 875, 1000},
	{"/32", MINE, ~0U, 0, ROUTER, 1000, 0, 0, 0, false, 0, 0, 0, 0, 0},
	{"a mask with a hole", MINE, A(255, 0, 255, 0), ROUTER, ROUTER, 1000, 0, 0, 0, false, 0, 0, 0, 0, 0},
	{"a mask upside down", MINE, A(0, 255, 255, 255), ROUTER, ROUTER, 1000, 0, 0, 0, false, 0, 0, 0, 0, 0},
	{"broadcast", A(172, 16, 0, 255), MASK, ROUTER, ROUTER, 1000, 0, 0, 0, false, 0, 0, 0, 0, 0},
	{"the network", A(172, 16, 0, 0), MASK, ROUTER, ROUTER, 1000, 0, 0, 0, false, 0, 0, 0, 0, 0},
	{"nothing", 0, MASK, ROUTER, ROUTER, 1000, 0, 0, 0, false, 0, 0, 0, 0, 0},
	{"0.1.2.3", A(0, 1, 2, 3), MASK, 0, ROUTER, 1000, 0, 0, 0, false, 0, 0, 0, 0, 0},
	{"loopback", A(127, 0, 0, 5), MASK, 0, ROUTER, 1000, 0, 0, 0, false, 0, 0, 0, 0, 0},
	{"multicast", A(224, 0, 0, 5), MASK, 0, ROUTER, 1000, 0, 0, 0, false, 0, 0, 0, 0, 0},
	{"class E", A(240, 0, 0, 5), MASK, 0, ROUTER, 1000, 0, 0, 0, false, 0, 0, 0, 0, 0},
	{"all ones", ~0U, MASK, 0, ROUTER, 1000, 0, 0, 0, false, 0, 0, 0, 0, 0},
	{"the last before multicast", A(223, 1, 1, 5), MASK, 0, ROUTER, 1000, 0, 0, 0, true, 24, 0, 500, 875, 1000},
	{"the router's own", ROUTER, MASK, ROUTER, A(172, 16, 0, 2), 1000, 0, 0, 0, false, 0, 0, 0, 0, 0},
	{"the server's own", MINE, MASK, ROUTER, MINE, 1000, 0, 0, 0, false, 0, 0, 0, 0, 0},
	{"a router elsewhere", MINE, MASK, A(172, 16, 1, 1), ROUTER, 1000, 0, 0, 0, false, 0, 0, 0, 0, 0},
	{"a router that is broadcast", MINE, MASK, A(172, 16, 0, 255), ROUTER, 1000, 0, 0, 0, false, 0, 0, 0, 0, 0},
	{"a router that is multicast", MINE, MASK, A(224, 0, 0, 1), ROUTER, 1000, 0, 0, 0, false, 0, 0, 0, 0, 0},
	{"a server elsewhere", MINE, MASK, ROUTER, A(10, 9, 8, 7), 1000, 0, 0, 0, true, 24, 0, 500, 875, 1000},
	{"a server that is multicast", MINE, MASK, ROUTER, A(224, 0, 0, 1), 1000, 0, 0, 0, false, 0, 0, 0, 0, 0},
	{"no server", MINE, MASK, ROUTER, 0, 1000, 0, 0, 0, false, 0, 0, 0, 0, 0},
	{"the least MTU", MINE, MASK, ROUTER, ROUTER, 1000, 0, 0, 576, true, 24, 576, 500, 875, 1000},
	{"a choking MTU", MINE, MASK, ROUTER, ROUTER, 1000, 0, 0, 575, true, 24, 0, 500, 875, 1000},
	{"a large MTU", MINE, MASK, ROUTER, ROUTER, 1000, 0, 0, 65535, true, 24, 65535, 500, 875, 1000},
};
#undef A

static struct reply granted(const struct terms *t, uint8_t message)
{
	struct reply r = {.message = message,
			  .yours = t->yours,
			  .mask = t->mask,
			  .router = t->router,
			  .server = t->server,
			  .seconds = t->seconds,
			  .t1 = t->t1,
			  .t2 = t->t2,
			  .mtu = (uint16_t)t->mtu};
	make(&r);
	return r;
}

static void check_terms(const struct terms *t)
{
	start(NULL);
	struct reply r = granted(t, 2);
	give(&r);
	if ((dhcp.state == DHCP_REQUESTING) != t->good)
		fail_msg("offer of %s", t->name);
	/* An ACK with worse terms than the offer, even for the right address. */
	start(NULL);
	give(&r);
	if (!t->good)
		give_usual(2);
	if (!t->good)
		dhcp.wanted = address4(t->yours);
	send_next();
	r = granted(t, 5);
	if ((give(&r) == DHCP_LEASED) != t->good)
		fail_msg("lease of %s", t->name);
	const struct dhcp_lease *lease = dhcp_lease(&dhcp);
	if ((lease != NULL) != t->good)
		fail_msg("lease of %s", t->name);
	if (!lease)
		return;
	if (load32(lease->address.address.bytes) != t->yours || lease->address.length != t->length ||
	    value4(&lease->router) != t->router || value4(&lease->server) != t->server || lease->mtu != t->mtu_after)
		fail_msg("addresses of %s", t->name);
	if ((lease->renew_at - now) / 1000 != t->renew || (lease->rebind_at - now) / 1000 != t->rebind ||
	    lease->expires_at - now != t->expire * 1000ULL)
		fail_msg("times of %s", t->name);
}

static void only_leases_that_work(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(terms) / sizeof(terms[0]); i++)
		check_terms(&terms[i]);
}

static void some_leases_are_for_ever(void **state)
{
	(void)state;
	start(NULL);
	give_usual(2);
	send_now();
	struct reply r = usual(5);
	r.seconds = UINT32_MAX;
	make(&r);
	assert_int_equal(give(&r), DHCP_LEASED);
	assert_true(dhcp_due(&dhcp) == UINT64_MAX);
	now += 1ULL << 50;
	send_now();
	assert_int_equal(length, 0);
	assert_int_equal(event, DHCP_NOTHING);
}

/* A change that makes a good answer invalid. With `mend`, checksums are made right again. */
struct damage {
	const char *name;
	size_t at;
	uint8_t value;
	bool mend;
};

static const struct damage damages[] = {
	{"to another MAC", 5, 0x56, true},
	{"from a group", 6, 0x0b, true},
	{"another ethertype", 13, 0x06, true},
	{"IPv6", 14, 0x65, true},
	{"a header of 16 bytes", 14, 0x44, true},
	{"an IP checksum", 24, 0xaa, false},
	{"more fragments", 20, 0x20, true},
	{"a later fragment", 21, 1, true},
	{"not UDP", 23, 6, true},
	{"an IP packet cut short", 16, 0, false},
	{"from another port", 35, 69, true},
	{"to another port", 37, 67, true},
	{"a UDP checksum", 41, 0xaa, false},
	{"a UDP length beyond the packet", 38, 9, false},
	{"a request", 42, 1, true},
	{"another kind of hardware", 43, 6, true},
	{"a short hardware address", 44, 5, true},
	{"another transaction", 49, 0, true},
	{"another client", 75, 0x56, true},
	{"no cookie", 281, 0x64, true},
	{"a message of no type", 284, 0, true},
	{"a DECLINE", 284, 4, true},
	{"an INFORM", 284, 8, true},
	{"a message type of 2 bytes", 283, 2, true},
	{"a server of 3 bytes", 286, 3, true},
	{"a lease of 8 bytes", 292, 8, true},
	{"an overload of 4 bytes", 291, 52, true},
	{"an MTU of 4 bytes", 291, 26, true},
	{"a mask of 5 bytes", 298, 5, true},
	{"a router of 2 bytes", 304, 2, true},
	{"a router of no bytes", 304, 0, true},
	{"an option beyond the end", 298, 200, true},
};

/* Options of an impossible length, each in its place, with the end mark behind it. */
static const struct {
	uint8_t bytes[16], length;
} odd_options[] = {
	{{53, 0, 255}, 3},
	{{53, 2, 5, 5, 255}, 5},
	{{52, 0, 255}, 3},
	{{52, 2, 1, 1, 255}, 5},
	{{26, 0, 255}, 3},
	{{26, 1, 5, 255}, 4},
	{{26, 4, 5, 5, 5, 5, 255}, 7},
	{{3, 0, 255}, 3},
	{{3, 2, 172, 16, 255}, 5},
	{{3, 6, 172, 16, 0, 1, 9, 9, 255}, 9},
	{{1, 0, 255}, 3},
	{{51, 2, 5, 5, 255}, 5},
	{{54, 8, 172, 16, 0, 1, 172, 16, 0, 1, 255}, 11},
	{{58, 3, 5, 5, 5, 255}, 6},
	{{59, 5, 0, 0, 0, 9, 9, 255}, 8},
};

static void options_of_odd_lengths_spoil_all(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(odd_options) / sizeof(odd_options[0]); i++) {
		start(NULL);
		struct reply r = usual(2);
		memcpy(r.bytes + r.options_end, odd_options[i].bytes, odd_options[i].length);
		finish(&r, r.options_end + odd_options[i].length - 42);
		give(&r);
		if (dhcp.state != DHCP_SELECTING)
			fail_msg("option %zu", i);
	}
}

static void answers_of_others_are_none(void **state)
{
	struct address hint = address4(MINE);

	(void)state;
	start(NULL);
	give_usual(2);
	send_now();
	struct reply r = usual(5);
	r.server++;
	make(&r);
	assert_int_equal(give(&r), DHCP_NOTHING);
	r.message = 6;
	make(&r);
	give(&r);
	assert_int_equal(dhcp.state, DHCP_REQUESTING);
	/* From our own MAC, as a loop in the network would bring it back. */
	r = usual(5);
	memcpy(r.bytes + 6, mac.bytes, 6);
	assert_int_equal(give(&r), DHCP_NOTHING);
	assert_int_equal(give_usual(5), DHCP_LEASED);
	/* A denial by nobody. */
	start(&hint);
	r = usual(6);
	r.server = 0;
	make(&r);
	give(&r);
	assert_int_equal(dhcp.state, DHCP_REBOOTING);
	give_usual(6);
	assert_int_equal(dhcp.state, DHCP_INIT);
}

static void damage(struct reply *r, const struct damage *d)
{
	r->bytes[d->at] = d->at == 49 ? (uint8_t)(r->bytes[49] + 1) : d->value;
	if (!d->mend)
		return;
	uint16_t total = load16(r->bytes + 16);
	finish(r, (size_t)total - 28);
}

static void damaged_answers_are_none(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(damages) / sizeof(damages[0]); i++) {
		start(NULL);
		struct reply r = usual(2);
		damage(&r, &damages[i]);
		give(&r);
		if (dhcp.state != DHCP_SELECTING)
			fail_msg("offer with %s", damages[i].name);
		give_usual(2);
		send_now();
		r = usual(5);
		damage(&r, &damages[i]);
		if (give(&r) != DHCP_NOTHING)
			fail_msg("lease with %s", damages[i].name);
		/* Without damage it is accepted, so the test works. */
		assert_int_equal(give_usual(5), DHCP_LEASED);
		send_next();
		r = usual(6);
		if (damages[i].at >= 286)
			continue;
		damage(&r, &damages[i]);
		if (give(&r) != DHCP_NOTHING)
			fail_msg("denial with %s", damages[i].name);
	}
}

/* Cut anywhere, as a frame, as an IP packet, as a datagram, and as a list of options. */
static void truncated_answers_are_none(void **state)
{
	(void)state;
	start(NULL);
	give_usual(2);
	send_now();
	struct reply whole = usual(5);
	for (size_t n = 0; n < whole.length; n++) {
		assert_int_equal(give_bytes(whole.bytes, n), DHCP_NOTHING);
		/* And with the missing part behind it. */
		assert_int_equal(dhcp_receive(&dhcp, whole.bytes, n, now), DHCP_NOTHING);
	}
	for (size_t n = 0; n < whole.length - 42; n++) {
		struct reply r = whole;
		finish(&r, n);
		struct dhcp before = dhcp;
		enum dhcp_event result = give(&r);
		/* Cut between two options the list is valid, but the required options must be there. */
		bool enough = n + 42 >= whole.options_end - 12 && (whole.options_end - n - 42) % 6 == 0;
		if (result != (enough ? DHCP_LEASED : DHCP_NOTHING))
			fail_msg("cut at %zu", n);
		dhcp = before;
	}
	assert_int_equal(give(&whole), DHCP_LEASED);
}

static void good_answers_come_in_many_forms(void **state)
{
	(void)state;
	for (int form = 0; form < 7; form++) {
		start(NULL);
		give_usual(2);
		send_now();
		struct reply r = usual(5);
		uint8_t *b = r.bytes;
		switch (form) {
		case 0: /* no UDP checksum */
			store16(b + 40, 0);
			break;
		case 1: /* one that is left to the device */
			store16(b + 40, naive_sum(NULL, 0, naive_pseudo(b + 14, r.length - 34)));
			break;
		case 2: /* broadcast */
			memset(b, 0xff, 6);
			memset(b + 30, 0xff, 4);
			finish(&r, r.length - 42);
			break;
		case 3: /* padded behind the IP packet */
			memset(b + r.length, 0xee, 20);
			r.length += 20;
			break;
		case 4: /* pads between options, a router list, unknown options, no end mark */
			memcpy(b + r.options_end - 6,
			       (uint8_t[]){0, 0, 3, 8, 172, 16, 0, 1, 9, 9, 9, 9, 6, 0, 121, 1, 5}, 17);
			finish(&r, r.options_end - 6 + 17 - 42);
			break;
		case 5: /* the first of two counts */
			memcpy(b + r.options_end,
			       (uint8_t[]){53, 1, 6, 3, 4, 9, 9, 9, 9, 26, 2, 5, 0, 26, 2, 6, 0, 255}, 18);
			finish(&r, r.options_end + 18 - 42);
			break;
		case 6: /* IP options */
			memmove(b + 38, b + 34, r.length - 34);
			memcpy(b + 34, (uint8_t[]){1, 1, 1, 0}, 4);
			b[14] = 0x46;
			store16(b + 16, (uint16_t)(r.length - 14 + 4));
			store16(b + 24, 0);
			store16(b + 24, (uint16_t)~naive_sum(b + 14, 24, 0));
			r.length += 4;
			break;
		}
		if (give(&r) != DHCP_LEASED || value4(&dhcp_lease(&dhcp)->router) != ROUTER)
			fail_msg("form %d", form);
		assert_int_equal(dhcp_lease(&dhcp)->mtu, form == 5 ? 0x500 : 0);
	}
}

/* Options may go on in the file and server name fields (RFC 2131, section 4.1). */
static void options_overflow(void **state)
{
	(void)state;
	for (uint8_t overload = 0; overload < 4; overload++) {
		start(NULL);
		give_usual(2);
		send_now();
		struct reply r = usual(5);
		uint8_t *b = r.bytes;
		memcpy(b + r.options_end - 6, (uint8_t[]){52, 1, overload, 255}, 4);
		memcpy(b + 42 + 108, (uint8_t[]){3, 4, 172, 16, 0, 1, 52, 1, 3, 255}, 10);
		memcpy(b + 42 + 44, (uint8_t[]){0, 26, 2, 5, 100, 255}, 6);
		finish(&r, r.options_end - 6 + 4 - 42);
		assert_int_equal(give(&r), DHCP_LEASED);
		assert_int_equal(value4(&dhcp_lease(&dhcp)->router), overload & 1 ? ROUTER : 0);
		assert_int_equal(dhcp_lease(&dhcp)->mtu, overload & 2 ? 1380 : 0);
	}
	/* An option that leaves its field. */
	start(NULL);
	struct reply r = usual(2);
	memcpy(r.bytes + r.options_end - 6, (uint8_t[]){52, 1, 2, 255}, 4);
	memset(r.bytes + 42 + 44, 0, 64);
	memcpy(r.bytes + 42 + 44 + 60, (uint8_t[]){3, 4, 172, 16}, 4);
	finish(&r, r.options_end - 6 + 4 - 42);
	give(&r);
	assert_int_equal(dhcp.state, DHCP_SELECTING);
}

static uint32_t draw(uint32_t below)
{
	static uint64_t state = 88172645463325252ULL;

	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (uint32_t)(state >> 33) % below;
}

static void assert_sane(void)
{
	const struct dhcp_lease *lease = dhcp_lease(&dhcp);

	if (!lease)
		return;
	assert_in_range(lease->address.length, 1, 31);
	assert_true(is_host(value4(&lease->address.address), ~(UINT32_MAX >> lease->address.length)));
	assert_true(!lease->router.family || prefix_contains(&lease->address, &lease->router));
	assert_true(lease->renew_at < lease->rebind_at || lease->renew_at == UINT64_MAX);
	assert_true(lease->rebind_at < lease->expires_at || lease->expires_at == UINT64_MAX);
	assert_true(dhcp_due(&dhcp) <= lease->expires_at);
}

/* Random bytes, and good answers with random bytes changed and checksums made right, in any state. */
static void anything_may_come(void **state)
{
	static const uint8_t messages[] = {2, 5, 6};
	unsigned leases = 0, losses = 0;

	(void)state;
	start(NULL);
	for (int i = 0; i < 300000; i++) {
		struct reply r = usual(messages[draw(3)]);
		if (draw(4) && r.message != 6) {
			r.yours = MINE + draw(3);
			make(&r);
		}
		for (uint32_t n = draw(4); n; n--)
			r.bytes[draw(3) ? 282 + draw(40) : draw((uint32_t)r.length)] = (uint8_t)draw(256);
		if (draw(2))
			finish(&r, r.length - 42);
		if (!draw(8)) {
			for (size_t j = 0; j < r.length; j++)
				r.bytes[j] = (uint8_t)draw(256);
		}
		enum dhcp_event result = draw(8) ? give(&r) : give_bytes(r.bytes, draw((uint32_t)r.length));
		leases += result == DHCP_LEASED;
		losses += result == DHCP_LOST;
		assert_sane();
		if (!draw(3)) {
			now += draw(2) ? draw(2000) : dhcp_due(&dhcp) > now ? dhcp_due(&dhcp) - now : 0;
			send_now();
			assert_true(!length || (length >= 342 && length <= DHCP_FRAME_MAX));
		}
		if (!draw(500))
			dhcp_reboot(&dhcp, now);
		if (now > START + (1ULL << 40))
			start(NULL);
	}
	assert_true(leases > 1000 && losses > 100);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(discover_is_as_it_should_be),
		cmocka_unit_test(a_lease_lives_and_dies),
		cmocka_unit_test(rebinding_takes_any_server),
		cmocka_unit_test(renewal_may_change_the_terms),
		cmocka_unit_test(silence_is_asked_again),
		cmocka_unit_test(asks_to_keep_what_it_had),
		cmocka_unit_test(keeps_its_lease_while_it_reboots),
		cmocka_unit_test(reboots_into_whatever_there_is),
		cmocka_unit_test(releases_what_it_has),
		cmocka_unit_test(declines_what_it_has),
		cmocka_unit_test(reclaims_what_it_had),
		cmocka_unit_test(duplicates_change_nothing),
		cmocka_unit_test(a_circle_of_denials_is_slow),
		cmocka_unit_test(asks_for_another_than_the_broadcast_address),
		cmocka_unit_test(only_leases_that_work),
		cmocka_unit_test(some_leases_are_for_ever),
		cmocka_unit_test(damaged_answers_are_none),
		cmocka_unit_test(options_of_odd_lengths_spoil_all),
		cmocka_unit_test(answers_of_others_are_none),
		cmocka_unit_test(truncated_answers_are_none),
		cmocka_unit_test(good_answers_come_in_many_forms),
		cmocka_unit_test(options_overflow),
		cmocka_unit_test(anything_may_come),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
