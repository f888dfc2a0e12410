/* SPDX-License-Identifier: Apache-2.0 */
/* test_encap.c - the VXLAN header that is sent, and how the outer ECN is said to the kernel */
#include "vswitch/encap.c"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

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

static void test_no_ecn(void **state)
{
	(void)state;
	struct ring_tx tx = {.length = 1};
	set_outer_ecn(&tx, AF_INET, 0);
	set_outer_ecn(&tx, AF_INET6, 0);
	assert_null(tx.message.msg_control);
	assert_int_equal(tx.message.msg_controllen, 0);
}

static void test_ecn(void **state)
{
	(void)state;
	for (int ip6 = 0; ip6 < 2; ip6++) {
		for (int ecn = 1; ecn < 4; ecn++) {
			struct ring_tx tx = {.length = 1};
			set_outer_ecn(&tx, ip6 ? AF_INET6 : AF_INET, (unsigned)ecn);
			assert_true(tx.message.msg_controllen <= sizeof(tx.control));
			struct cmsghdr *c = CMSG_FIRSTHDR(&tx.message);
			assert_non_null(c);
			assert_int_equal(c->cmsg_level, ip6 ? IPPROTO_IPV6 : IPPROTO_IP);
			assert_int_equal(c->cmsg_type, ip6 ? IPV6_TCLASS : IP_TOS);
			assert_int_equal(c->cmsg_len, CMSG_LEN(sizeof(int)));
			int tos;
			memcpy(&tos, CMSG_DATA(c), sizeof(tos));
			assert_int_equal(tos, ecn);
			assert_null(CMSG_NXTHDR(&tx.message, c));
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_header),
		cmocka_unit_test(test_no_ecn),
		cmocka_unit_test(test_ecn),
	};
	return cmocka_run_group_tests_name("encap", tests, NULL, NULL);
}
