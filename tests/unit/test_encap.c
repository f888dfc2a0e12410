/* SPDX-License-Identifier: Apache-2.0 */
/* test_encap.c - the VXLAN header that is sent, where to, and with which outer ECN */
#include "vswitch/encap.c"

#include "tests/unit/fake_ring.h"
#include "tests/unit/packet.h"

void worker_wake_control(const struct worker *worker)
{
	(void)worker;
}

static void test_header(void **state)
{
	(void)state;
	static const struct {
		uint32_t vni;
		uint8_t bytes[8];
	} cases[] = {
		{0, {0x08, 0, 0, 0, 0, 0, 0, 0}},
		{42, {0x08, 0, 0, 0, 0, 0, 42, 0}},
		{0x123456, {0x08, 0, 0, 0, 0x12, 0x34, 0x56, 0}},
		{0xffffff, {0x08, 0, 0, 0, 0xff, 0xff, 0xff, 0}},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		/* The virtio header that was there must not shine through, and what is around stays. */
		uint8_t around[10];
		memset(around, 0xff, sizeof(around));
		encap_header(around + 1, cases[i].vni);
		assert_memory_equal(around + 1, cases[i].bytes, 8);
		assert_int_equal(around[0], 0xff);
		assert_int_equal(around[9], 0xff);
	}
}

/* A pod's frame behind the virtio header that the VXLAN header takes the place of. */
static void test_send(void **state)
{
	(void)state;
	static struct vswitch vs;
	static struct worker worker;
	static struct gateway_counters counters;
	static struct packet packet;
	static uint8_t buffer[TAP_VNET_HEADER + 2000];
	struct underlay host = {.port = 4789, .receivers = 1, .sources = 1};
	struct gateway gateway = {.config.vni = 0x010203, .host = &host, .counters = &counters};
	struct port port = {.gateway = &gateway};
	struct remote remote = {0};
	struct frame frame;
	host.family[0].source[0] = 7;
	host.family[1].source[0] = 8;
	worker.vs = &vs;
	for (unsigned i = 0; i < 8; i++) {
		struct endpoint to;
		assert_int_equal(endpoint_parse(i & 1 ? "[2001:db8::1]:4789" : "192.0.2.1:4789", &to), 0);
		remote.to_length = endpoint_to_sockaddr(&to, &remote.to);
		packet_build(&packet,
			     &(struct recipe){.version = i & 2 ? 6 : 4, .protocol = 17, .tos = (uint8_t)(i / 2)});
		memset(buffer, 0xff, TAP_VNET_HEADER);
		memcpy(buffer + TAP_VNET_HEADER, packet.bytes, packet.length);
		frame_parse(&frame, buffer + TAP_VNET_HEADER, packet.length);
		fake_forget();
		encap_send(&worker, &port, &remote, &frame, NULL);
		train_close_all(&worker);
		ring_push(NULL);
		assert_int_equal(n_sent, 1);
		assert_int_equal(sent[0].fd, i & 1 ? 8 : 7);
		assert_int_equal(sent[0].ecn, i / 2 == 3 ? 2 : i / 2);
		assert_int_equal(sent[0].length, 8 + packet.length);
		assert_memory_equal(sent[0].bytes, ((uint8_t[]){8, 0, 0, 0, 1, 2, 3, 0}), 8);
		assert_memory_equal(sent[0].bytes + 8, packet.bytes, packet.length);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_header),
		cmocka_unit_test(test_send),
	};
	return cmocka_run_group_tests_name("encap", tests, NULL, NULL);
}
