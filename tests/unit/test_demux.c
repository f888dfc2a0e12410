/* SPDX-License-Identifier: Apache-2.0 */
/* test_demux.c - which gateway a datagram belongs to, and every way in which it may belong to none */
#include "vswitch/base/demux.c"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static const uint8_t secret[192] = {1, 2, 3};

static struct address address_of(const char *text)
{
	struct address address = {.family = 0};
	assert_int_equal(address_parse(text, &address), 0);
	return address;
}

static int add(struct demux *demux, uint16_t port, const char *source, uint32_t vni, uint16_t gateway, uint16_t remote)
{
	struct address address = {.family = 0};
	if (source)
		address = address_of(source);
	return demux_add(demux, port, source ? &address : NULL, vni, gateway, remote, NULL);
}

static struct demux_match match(const struct demux *demux, uint16_t port, const char *source, uint32_t vni)
{
	struct address address = address_of(source);
	return demux_find(demux, port, &address, vni);
}

static void assert_remote(const struct demux *demux, uint16_t port, const char *source, uint32_t vni, uint16_t gateway,
			  uint16_t remote)
{
	struct demux_match found = match(demux, port, source, vni);
	assert_int_equal(found.gateway, gateway);
	assert_int_equal(found.remote, remote);
	assert_true(found.known);
}

static void assert_hub(const struct demux *demux, uint16_t port, const char *source, uint32_t vni, uint16_t gateway)
{
	struct demux_match found = match(demux, port, source, vni);
	assert_int_equal(found.gateway, gateway);
	assert_false(found.known);
}

static void assert_nobody(const struct demux *demux, uint16_t port, const char *source, uint32_t vni, bool source_known)
{
	struct demux_match found = match(demux, port, source, vni);
	assert_int_equal(found.gateway, 0);
	assert_false(found.known);
	assert_int_equal(found.source_known, source_known);
}

static struct demux *make(size_t entries)
{
	struct demux *demux = demux_new(entries, secret, sizeof(secret));
	assert_non_null(demux);
	return demux;
}

static void test_empty(void **state)
{
	(void)state;
	struct demux *demux = make(0);
	assert_nobody(demux, 4789, "192.0.2.1", 42, false);
	assert_nobody(demux, 0, "::", 0, false);
	assert_nobody(demux, 65535, "255.255.255.255", 0xffffff, false);
	demux_free(demux);
	demux_free(NULL);
}

/* Equal VNIs of different gateways never mix. */
static void test_equal_vnis(void **state)
{
	(void)state;
	struct demux *demux = make(3);
	assert_int_equal(add(demux, 4789, "192.0.2.1", 42, 1, 10), 0);
	assert_int_equal(add(demux, 4789, "192.0.2.2", 42, 2, 20), 0);
	assert_int_equal(add(demux, 4789, "2001:db8::1", 42, 3, 30), 0);
	assert_remote(demux, 4789, "192.0.2.1", 42, 1, 10);
	assert_remote(demux, 4789, "192.0.2.2", 42, 2, 20);
	assert_remote(demux, 4789, "2001:db8::1", 42, 3, 30);
	assert_nobody(demux, 4789, "192.0.2.3", 42, false);
	demux_free(demux);
}

static void test_unknown(void **state)
{
	(void)state;
	struct demux *demux = make(1);
	assert_int_equal(add(demux, 4789, "192.0.2.1", 42, 1, 10), 0);
	/* A known remote with another VNI is known; on another port it is not. */
	assert_nobody(demux, 4789, "192.0.2.1", 43, true);
	assert_nobody(demux, 4789, "192.0.2.1", 42 | 1 << 23, true);
	assert_nobody(demux, 4789, "192.0.2.1", 0xffffff, true);
	assert_nobody(demux, 4790, "192.0.2.1", 42, false);
	assert_nobody(demux, 4789, "192.0.2.2", 42, false);
	/* The same bytes in another family. */
	assert_nobody(demux, 4789, "c000:201::", 42, false);
	demux_free(demux);
}

static void test_hub(void **state)
{
	(void)state;
	struct demux *demux = make(4);
	assert_int_equal(add(demux, 4789, NULL, 42, 1, 0), 0);
	assert_int_equal(add(demux, 4789, "192.0.2.2", 42, 2, 20), 0);
	assert_int_equal(add(demux, 4789, "192.0.2.2", 7, 3, 30), 0);
	assert_hub(demux, 4789, "192.0.2.1", 42, 1);
	assert_hub(demux, 4789, "2001:db8::1", 42, 1);
	/* A gateway that has the source as a remote comes first. */
	assert_remote(demux, 4789, "192.0.2.2", 42, 2, 20);
	assert_remote(demux, 4789, "192.0.2.2", 7, 3, 30);
	assert_nobody(demux, 4789, "192.0.2.1", 7, false);
	assert_nobody(demux, 4789, "192.0.2.2", 8, true);
	assert_nobody(demux, 8472, "192.0.2.1", 42, false);
	demux_free(demux);
}

/* No source address, even zero, is mistaken for the key of a hub. */
static void test_zero_address_is_no_hub(void **state)
{
	(void)state;
	struct demux *demux = make(2);
	assert_int_equal(add(demux, 4789, "0.0.0.0", 42, 1, 10), 0);
	assert_int_equal(add(demux, 4789, "::", 42, 2, 20), 0);
	assert_remote(demux, 4789, "0.0.0.0", 42, 1, 10);
	assert_remote(demux, 4789, "::", 42, 2, 20);
	assert_nobody(demux, 4789, "192.0.2.1", 42, false);
	demux_free(demux);
}

static void test_taken(void **state)
{
	(void)state;
	struct demux *demux = make(6);
	struct address address = address_of("192.0.2.1");
	uint16_t holder = 0xdead;
	assert_int_equal(demux_add(demux, 4789, &address, 42, 5, 50, &holder), 0);
	assert_int_equal(holder, 0xdead);
	assert_int_equal(demux_add(demux, 4789, &address, 42, 6, 60, &holder), -EEXIST);
	assert_int_equal(holder, 5);
	assert_int_equal(demux_add(demux, 4789, &address, 42, 6, 60, NULL), -EEXIST);
	assert_remote(demux, 4789, "192.0.2.1", 42, 5, 50);
	assert_int_equal(demux_add(demux, 4789, NULL, 42, 6, 0, &holder), 0);
	assert_int_equal(demux_add(demux, 4789, NULL, 42, 7, 0, &holder), -EEXIST);
	assert_int_equal(holder, 6);
	/* It is enough that any of the three differs. */
	assert_int_equal(demux_add(demux, 4790, &address, 42, 7, 70, NULL), 0);
	assert_int_equal(demux_add(demux, 4789, &address, 43, 8, 80, NULL), 0);
	assert_remote(demux, 4789, "192.0.2.1", 42, 5, 50);
	assert_remote(demux, 4790, "192.0.2.1", 42, 7, 70);
	assert_remote(demux, 4789, "192.0.2.1", 43, 8, 80);
	demux_free(demux);
}

/* As many entries as were asked for fit, and every other source is still unknown. */
static void test_many(void **state)
{
	(void)state;
	for (size_t n = 1; n <= 4096; n *= 8) {
		struct demux *demux = make(n);
		struct address address = address_of("10.0.0.0");
		for (unsigned i = 0; i < n; i++) {
			address.bytes[2] = (uint8_t)(i >> 8);
			address.bytes[3] = (uint8_t)i;
			uint16_t id = (uint16_t)(i % 4095 + 1);
			assert_int_equal(demux_add(demux, 4789, &address, i % 5, id, (uint16_t)i, NULL), 0);
		}
		for (unsigned i = 0; i < n; i++) {
			address.bytes[2] = (uint8_t)(i >> 8);
			address.bytes[3] = (uint8_t)i;
			struct demux_match found = demux_find(demux, 4789, &address, i % 5);
			assert_int_equal(found.gateway, i % 4095 + 1);
			assert_int_equal(found.remote, i);
			found = demux_find(demux, 4789, &address, i % 5 + 1);
			assert_int_equal(found.gateway, 0);
			assert_true(found.source_known);
			address.bytes[1] = 1;
			found = demux_find(demux, 4789, &address, i % 5);
			assert_int_equal(found.gateway, 0);
			assert_false(found.source_known);
			address.bytes[1] = 0;
		}
		demux_free(demux);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_empty),   cmocka_unit_test(test_equal_vnis),
		cmocka_unit_test(test_unknown), cmocka_unit_test(test_hub),
		cmocka_unit_test(test_taken),   cmocka_unit_test(test_zero_address_is_no_hub),
		cmocka_unit_test(test_many),
	};
	return cmocka_run_group_tests_name("demux", tests, NULL, NULL);
}
