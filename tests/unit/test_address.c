/* SPDX-License-Identifier: Apache-2.0 */
/* test_address.c - which spellings are accepted and which are refused, and formatting */
#include "tap/base/address.c"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* A value that a refused parse must not change. */
#define CANARY 0x5a

#define assert_untouched(object)                                                                                       \
	do {                                                                                                           \
		const uint8_t *bytes_ = (const uint8_t *)&(object);                                                    \
		for (size_t i_ = 0; i_ < sizeof(object); i_++)                                                         \
			assert_int_equal(bytes_[i_], CANARY);                                                          \
	} while (0)

static struct address address_of(const char *text)
{
	struct address address = {.family = 0};
	assert_int_equal(address_parse(text, &address), 0);
	return address;
}

static struct prefix prefix_of(const char *text)
{
	struct prefix prefix = {.length = 0};
	assert_int_equal(prefix_parse(text, &prefix), 0);
	return prefix;
}

static void test_address_bytes(void **state)
{
	(void)state;
	static const uint8_t v4[16] = {192, 0, 2, 255};
	static const uint8_t v6[16] = {0x20, 0x01, 0x0d, 0xb8, [15] = 1};
	struct address address;
	memset(&address, CANARY, sizeof(address));

	assert_int_equal(address_parse("192.0.2.255", &address), 0);
	assert_int_equal(address.family, AF_INET);
	assert_memory_equal(address.bytes, v4, 16);
	assert_int_equal(address_parse("2001:DB8::1", &address), 0);
	assert_int_equal(address.family, AF_INET6);
	assert_memory_equal(address.bytes, v6, 16);
}

static void test_address_round_trip(void **state)
{
	(void)state;
	static const char *const texts[] = {
		"0.0.0.0",
		"1.2.3.4",
		"255.255.255.255",
		"::",
		"::1",
		"fe80::1",
		"2001:db8:1:2:3:4:5:6",
		"64:ff9b::c000:201",
		"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
	};
	char out[ADDRESS_TEXT];
	for (size_t i = 0; i < COUNT(texts); i++) {
		struct address address = address_of(texts[i]);
		assert_string_equal(address_format(&address, out), texts[i]);
	}
}

static void test_address_refused(void **state)
{
	(void)state;
	static const char *const texts[] = {
		"",
		" ",
		"1",
		"1.2.3",
		"1.2.3.4.5",
		"1.2.3.256",
		"1.2.3.-4",
		"+1.2.3.4",
		" 1.2.3.4",
		"1.2.3.4 ",
		"1.2.3.4\n",
		"01.2.3.4",
		"1.2.3.04",
		"0x1.2.3.4",
		"1..3.4",
		"1.2.3.4/24",
		"1.2.3.4:80",
		"localhost",
		":",
		":::",
		"1:2:3",
		"::1%lo",
		"fe80::1%eth0",
		"[::1]",
		"::1 ",
		" ::1",
		"::g",
		"1::2::3",
		"12345::",
		"1:2:3:4:5:6:7:8:9",
		"::1/128",
		"::ffff:1.2.3.4",
		"::ffff:102:304",
		"1:2:3:4:5:6:7:8:9:a:b:c:d:e:f:1:2:3:4:5:6:7:8:9:a:b:c:d:e:f",
	};
	for (size_t i = 0; i < COUNT(texts); i++) {
		struct address address;
		memset(&address, CANARY, sizeof(address));
		if (address_parse(texts[i], &address) != -EINVAL)
			fail_msg("\"%s\" was taken", texts[i]);
		assert_untouched(address);
	}
}

static void test_prefix_round_trip(void **state)
{
	(void)state;
	static const char *const texts[] = {
		"0.0.0.0/0",  "172.16.0.10/24", "10.0.0.0/8",
		"1.2.3.4/32", "::/0",           "fd00::1/64",
		"::1/128",    "2001:db8::/127", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/128",
	};
	char out[ADDRESS_TEXT];
	for (size_t i = 0; i < COUNT(texts); i++) {
		struct prefix prefix = prefix_of(texts[i]);
		assert_string_equal(prefix_format(&prefix, out), texts[i]);
	}
	assert_int_equal(prefix_of("172.16.0.10/24").length, 24);
	assert_int_equal(prefix_of("1.2.3.4").length, 32);
	assert_int_equal(prefix_of("fd00::1").length, 128);
}

static void test_prefix_refused(void **state)
{
	(void)state;
	static const char *const texts[] = {
		"",
		"/",
		"/24",
		"1.2.3.4/",
		"1.2.3.4/33",
		"1.2.3.4/-1",
		"1.2.3.4/+1",
		"1.2.3.4/ 8",
		"1.2.3.4/8 ",
		"1.2.3.4 /8",
		"1.2.3.4/08",
		"1.2.3.4/00",
		"1.2.3.4/0x8",
		"1.2.3.4/8/8",
		"1.2.3.4/255.0.0.0",
		"1.2.3.4/4294967304",
		"1.2.3.4/18446744073709551624",
		"1.2.3/24",
		"::1/129",
		"::1/",
		"::1%lo/64",
		"::ffff:0:0/96",
		"[::1]/64",
		"1:2:3:4:5:6:7:8:9:a:b:c:d:e:f:1:2:3:4:5:6:7:8:9:a:b:c:d:e:f/64",
	};
	for (size_t i = 0; i < COUNT(texts); i++) {
		struct prefix prefix;
		memset(&prefix, CANARY, sizeof(prefix));
		if (prefix_parse(texts[i], &prefix) != -EINVAL)
			fail_msg("\"%s\" was taken", texts[i]);
		assert_untouched(prefix);
	}
}

static void test_endpoint_round_trip(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		uint8_t family;
		uint16_t port;
	} cases[] = {
		{"192.0.2.1", AF_INET, 0},
		{"192.0.2.1:1", AF_INET, 1},
		{"192.0.2.1:65535", AF_INET, 65535},
		{"fd00::1", AF_INET6, 0},
		{"fd00::1:4789", AF_INET6, 0},
		{"[fd00::1]:4789", AF_INET6, 4789},
		{"[::]:8472", AF_INET6, 8472},
		{"[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535", AF_INET6, 65535},
	};
	char out[ADDRESS_TEXT];
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct endpoint endpoint;
		memset(&endpoint, CANARY, sizeof(endpoint));
		assert_int_equal(endpoint_parse(cases[i].text, &endpoint), 0);
		assert_int_equal(endpoint.address.family, cases[i].family);
		assert_int_equal(endpoint.port, cases[i].port);
		assert_string_equal(endpoint_format(&endpoint, out), cases[i].text);
	}
}

static void test_endpoint_refused(void **state)
{
	(void)state;
	static const char *const texts[] = {
		"",
		":",
		":80",
		"1.2.3.4:",
		"1.2.3.4:0",
		"1.2.3.4:65536",
		"1.2.3.4:99999",
		"1.2.3.4:100000",
		"1.2.3.4:+80",
		"1.2.3.4:-80",
		"1.2.3.4: 80",
		"1.2.3.4:80 ",
		"1.2.3.4 :80",
		"1.2.3.4:080",
		"1.2.3.4:0x50",
		"1.2.3.4:80:80",
		"1.2.3.4:4294967376",
		"1.2.3.4/24:80",
		"host:80",
		"[",
		"[]",
		"[]:",
		"[]:80",
		"[:80",
		"]:80",
		"[::1]",
		"[::1]:",
		"[::1]:0",
		"[::1]80",
		"[::1] :80",
		"[::1]:65536",
		"[::1",
		"::1]:80",
		"[::12:80",
		"[::1]:80:80",
		"[1.2.3.4]:80",
		"[[::1]]:80",
		"[::1%lo]:80",
		"[::ffff:1.2.3.4]:80",
		"::ffff:1.2.3.4",
		"[1:2:3:4:5:6:7:8:9:a:b:c:d:e:f:1:2:3:4:5:6:7:8:9:a:b:c:d:e:f]:80",
	};
	for (size_t i = 0; i < COUNT(texts); i++) {
		struct endpoint endpoint;
		memset(&endpoint, CANARY, sizeof(endpoint));
		if (endpoint_parse(texts[i], &endpoint) != -EINVAL)
			fail_msg("\"%s\" was taken", texts[i]);
		assert_untouched(endpoint);
	}
}

static void test_mac(void **state)
{
	(void)state;
	static const struct mac expected = {{0x02, 0xab, 0xcd, 0xef, 0x00, 0x9f}};
	struct mac mac = {{0}};
	char out[MAC_TEXT];

	assert_int_equal(mac_parse("02:AB:cd:EF:00:9f", &mac), 0);
	assert_true(mac_equal(&mac, &expected));
	assert_string_equal(mac_format(&mac, out), "02:ab:cd:ef:00:9f");

	static const char *const texts[] = {
		"",
		"02",
		"02:ab:cd:ef:00",
		"02:ab:cd:ef:00:",
		"02:ab:cd:ef:00:9",
		"02:ab:cd:ef:00:9f:",
		"02:ab:cd:ef:00:9f ",
		" 2:ab:cd:ef:00:9f",
		"02-ab-cd-ef-00-9f",
		"02ab.cdef.009f",
		"02:ab:cd:ef:00:9g",
		"02:ab:cd:ef:00:+f",
		"0x:ab:cd:ef:00:9f",
		"02:ab:cd:ef:00:9f:11",
		"2:abc:cd:ef:00:9f",
		"02:ab:cd:ef:00/9f",
		"::::::::::::::::",
		"02:ab:cd:ef:00:@f",
		"02:ab:cd:ef:00:`f",
		"02:ab:cd:ef:00:G1",
		"02:ab:cd:ef:00::1",
	};
	for (size_t i = 0; i < COUNT(texts); i++) {
		memset(&mac, CANARY, sizeof(mac));
		if (mac_parse(texts[i], &mac) != -EINVAL)
			fail_msg("\"%s\" was taken", texts[i]);
		assert_untouched(mac);
	}
}

static void test_mac_unicast(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		bool unicast;
	} cases[] = {
		{"02:00:00:00:00:00", true},  {"00:00:00:00:00:01", true},  {"fe:ff:ff:ff:ff:ff", true},
		{"00:00:00:00:00:00", false}, {"ff:ff:ff:ff:ff:ff", false}, {"01:00:5e:00:00:01", false},
		{"33:33:00:00:00:01", false},
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct mac mac;
		assert_int_equal(mac_parse(cases[i].text, &mac), 0);
		assert_int_equal(mac_is_unicast(&mac), cases[i].unicast);
	}
}

static void test_no_address(void **state)
{
	(void)state;
	struct endpoint endpoint = {.port = 4789};
	struct prefix prefix = {.length = 24};
	struct sockaddr_storage sa;
	char out[ADDRESS_TEXT] = "x";

	assert_string_equal(address_format(&endpoint.address, out), "");
	assert_string_equal(prefix_format(&prefix, out), "");
	assert_string_equal(endpoint_format(&endpoint, out), "");
	assert_int_equal(endpoint_to_sockaddr(&endpoint, &sa), 0);
	prefix.length = 0;
	assert_false(prefix_contains(&prefix, &endpoint.address));
}

static void test_equal(void **state)
{
	(void)state;
	struct address v4 = address_of("0.0.0.0"), v6 = address_of("::"), other = address_of("0.0.0.1");
	assert_true(address_equal(&v4, &v4));
	assert_false(address_equal(&v4, &v6));
	assert_false(address_equal(&v4, &other));

	struct prefix a = prefix_of("10.0.0.1/8"), b = prefix_of("10.0.0.1/9"), c = prefix_of("10.0.0.2/8");
	assert_true(prefix_equal(&a, &a));
	assert_false(prefix_equal(&a, &b));
	assert_false(prefix_equal(&a, &c));

	struct endpoint e = {.address = v4, .port = 1}, f = {.address = v4, .port = 2}, g = {.address = v6, .port = 1};
	assert_true(endpoint_equal(&e, &e));
	assert_false(endpoint_equal(&e, &f));
	assert_false(endpoint_equal(&e, &g));
}

static void test_prefix_contains(void **state)
{
	(void)state;
	static const struct {
		const char *prefix, *address;
		bool inside;
	} cases[] = {
		{"172.16.0.10/24", "172.16.0.255", true},
		{"172.16.0.10/24", "172.16.1.0", false},
		{"10.0.0.0/9", "10.127.1.1", true},
		{"10.0.0.0/9", "10.128.0.0", false},
		{"1.2.3.4", "1.2.3.4", true},
		{"1.2.3.4", "1.2.3.5", false},
		{"1.2.3.4/31", "1.2.3.5", true},
		{"1.2.3.4/31", "1.2.3.6", false},
		{"0.0.0.0/0", "255.1.2.3", true},
		{"0.0.0.0/0", "::", false},
		{"::/0", "1.2.3.4", false},
		{"::/0", "ff02::1", true},
		{"fd00::/63", "fd00::1:0:0:0:1", true},
		{"fd00::/63", "fd00:0:0:2::", false},
		{"fd00::1", "fd00::1", true},
		{"fd00::1", "fd00::", false},
		{"fd00::2/127", "fd00::3", true},
		{"fd00::2/127", "fd00::1", false},
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct prefix prefix = prefix_of(cases[i].prefix);
		struct address address = address_of(cases[i].address);
		if (prefix_contains(&prefix, &address) != cases[i].inside)
			fail_msg("%s in %s", cases[i].address, cases[i].prefix);
	}

	struct prefix absurd = prefix_of("1.2.3.4");
	absurd.length = 33;
	assert_false(prefix_contains(&absurd, &absurd.address));
}

static void test_sockaddr_round_trip(void **state)
{
	(void)state;
	static const char *const texts[] = {"192.0.2.7:4789", "[2001:db8::7]:8472"};
	static const socklen_t lengths[] = {sizeof(struct sockaddr_in), sizeof(struct sockaddr_in6)};
	for (size_t i = 0; i < COUNT(texts); i++) {
		struct endpoint there, back;
		struct sockaddr_storage sa;
		assert_int_equal(endpoint_parse(texts[i], &there), 0);
		assert_int_equal(endpoint_to_sockaddr(&there, &sa), lengths[i]);
		assert_int_equal(endpoint_from_sockaddr((struct sockaddr *)&sa, lengths[i], &back), 0);
		assert_true(endpoint_equal(&there, &back));
		memset(&back, CANARY, sizeof(back));
		assert_int_equal(endpoint_from_sockaddr((struct sockaddr *)&sa, lengths[i] - 1, &back), -EAFNOSUPPORT);
		assert_untouched(back);
		/* The kernel may report a longer name than we know. */
		assert_int_equal(endpoint_from_sockaddr((struct sockaddr *)&sa, sizeof(sa), &back), 0);
		assert_true(endpoint_equal(&there, &back));
	}
}

static void test_sockaddr_fields(void **state)
{
	(void)state;
	struct endpoint endpoint;
	struct sockaddr_storage sa;
	assert_int_equal(endpoint_parse("192.0.2.7:4789", &endpoint), 0);
	endpoint_to_sockaddr(&endpoint, &sa);
	const struct sockaddr_in *in = (const struct sockaddr_in *)&sa;
	assert_int_equal(in->sin_family, AF_INET);
	assert_int_equal(in->sin_port, htons(4789));
	assert_int_equal(in->sin_addr.s_addr, htonl(0xc0000207));
}

static void test_sockaddr_mapped(void **state)
{
	(void)state;
	struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(4789)};
	struct endpoint expected, got;
	assert_int_equal(inet_pton(AF_INET6, "::ffff:192.0.2.7", &in6.sin6_addr), 1);
	assert_int_equal(endpoint_parse("192.0.2.7:4789", &expected), 0);
	assert_int_equal(endpoint_from_sockaddr((struct sockaddr *)&in6, sizeof(in6), &got), 0);
	assert_true(endpoint_equal(&expected, &got));
}

static void test_sockaddr_foreign(void **state)
{
	(void)state;
	struct sockaddr_storage sa = {.ss_family = AF_UNIX};
	struct endpoint got;
	memset(&got, CANARY, sizeof(got));
	assert_int_equal(endpoint_from_sockaddr((struct sockaddr *)&sa, sizeof(sa), &got), -EAFNOSUPPORT);
	sa.ss_family = AF_INET;
	assert_int_equal(endpoint_from_sockaddr((struct sockaddr *)&sa, 0, &got), -EAFNOSUPPORT);
	assert_int_equal(endpoint_from_sockaddr((struct sockaddr *)&sa, 1, &got), -EAFNOSUPPORT);
	assert_untouched(got);
}

static void test_prefix_network(void **state)
{
	(void)state;
	static const char *const pairs[][2] = {
		{"172.16.0.10/24", "172.16.0.0/24"},      {"172.16.0.0/24", "172.16.0.0/24"},
		{"255.255.255.255/13", "255.248.0.0/13"}, {"255.255.255.255/32", "255.255.255.255/32"},
		{"255.255.255.255/0", "0.0.0.0/0"},       {"fdff:ffff::ffff/15", "fdfe::/15"},
		{"fd00::1/128", "fd00::1/128"},           {"fd00::1/0", "::/0"},
	};

	for (size_t i = 0; i < COUNT(pairs); i++) {
		struct prefix given = prefix_of(pairs[i][0]), expected = prefix_of(pairs[i][1]);
		struct prefix network = prefix_network(&given);
		assert_true(prefix_equal(&network, &expected));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_address_bytes),
		cmocka_unit_test(test_address_round_trip),
		cmocka_unit_test(test_address_refused),
		cmocka_unit_test(test_prefix_round_trip),
		cmocka_unit_test(test_prefix_network),
		cmocka_unit_test(test_prefix_refused),
		cmocka_unit_test(test_endpoint_round_trip),
		cmocka_unit_test(test_endpoint_refused),
		cmocka_unit_test(test_mac),
		cmocka_unit_test(test_mac_unicast),
		cmocka_unit_test(test_no_address),
		cmocka_unit_test(test_equal),
		cmocka_unit_test(test_prefix_contains),
		cmocka_unit_test(test_sockaddr_round_trip),
		cmocka_unit_test(test_sockaddr_fields),
		cmocka_unit_test(test_sockaddr_mapped),
		cmocka_unit_test(test_sockaddr_foreign),
	};
	return cmocka_run_group_tests_name("address", tests, NULL, NULL);
}
