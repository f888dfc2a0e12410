/* SPDX-License-Identifier: Apache-2.0 */
/* test_port_config.c - what a port is refused for, and that no setting can change without being seen */
#include "vswitch/port_config.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static struct prefix prefix_of(const char *text)
{
	struct prefix out;
	assert_int_equal(prefix_parse(text, &out), 0);
	return out;
}

static struct address address_of(const char *text)
{
	struct address out;
	assert_int_equal(address_parse(text, &out), 0);
	return out;
}

static struct port_config a_port(void)
{
	static struct prefix keep[4];
	struct port_config config = PORT_CONFIG_DEFAULT;
	config.keep = keep;
	strcpy(config.name, "p");
	strcpy(config.gateway, "a");
	strcpy(config.netns, "/proc/7/ns/net");
	config.link.addresses[config.link.n_addresses++] = prefix_of("172.16.0.10/24");
	config.link.routes[config.link.n_routes++].to = prefix_of("10.0.0.0/8");
	config.link.default_via = address_of("172.16.0.1");
	config.probe = 10;
	return config;
}

/* ---- what is refused ---- */

static void no_netns(struct port_config *config)
{
	config->netns[0] = '\0';
}

static void no_name(struct port_config *config)
{
	config->name[0] = '\0';
}

static void group_mac(struct port_config *config)
{
	config->has_mac = true;
	config->link.mac = (struct mac){{1, 0, 0x5e, 0, 0, 1}};
}

static void no_mac(struct port_config *config)
{
	config->has_mac = true;
}

static void no_router(struct port_config *config)
{
	config->link.default_via = (struct address){0};
}

static void six_router(struct port_config *config)
{
	config->link.default_via = address_of("fd00::1");
	config->probe_interval = 100;
}

static void target_unasked(struct port_config *config)
{
	config->probe = 0;
	config->probe_target.kind = PATH_ICMP;
}

static void keeps_unexclusive(struct port_config *config)
{
	config->keep[config->n_keep++] = prefix_of("10.96.0.0/12");
}

static void names_unexclusive(struct port_config *config)
{
	config->gateway_names = true;
}

static void inbound_unexclusive(struct port_config *config)
{
	config->inbound = true;
}

static void expects_without_dhcp(struct port_config *config)
{
	config->expect_router = address_of("172.16.0.1");
}

static void expects_six(struct port_config *config)
{
	config->dhcp = true;
	config->expect_router = address_of("fd00::1");
}

static void address_kept(struct port_config *config)
{
	config->exclusive = true;
	config->keep[config->n_keep++] = prefix_of("172.16.0.0/12");
}

static void test_refused(void **state)
{
	(void)state;
	static const struct {
		void (*spoil)(struct port_config *config);
		const char *key;
	} cases[] = {
		{no_name, "name"},
		{no_netns, "netns"},
		{group_mac, "mac"},
		{no_mac, "mac"},
		{no_router, "probe"},
		{six_router, "probe_interval"},
		{target_unasked, "probe_target"},
		{keeps_unexclusive, "keep"},
		{names_unexclusive, "dns"},
		{inbound_unexclusive, "inbound"},
		{expects_without_dhcp, "expect_router"},
		{expects_six, "expect_router"},
		{address_kept, "address"},
	};
	struct port_config good = a_port();
	assert_int_equal(port_check_config(&good, NULL), 0);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct port_config config = a_port();
		struct failure why = {0};
		cases[i].spoil(&config);
		assert_int_equal(port_check_config(&config, &why), -EINVAL);
		assert_string_equal(why.key, cases[i].key);
		assert_true(why.text[0]);
	}
}

/* A route into what is kept may be meant: the longer prefix wins. So may the default route. */
static void test_routes_into_what_is_kept(void **state)
{
	(void)state;
	struct port_config config = a_port();
	config.exclusive = true;
	config.keep[config.n_keep++] = prefix_of("10.96.0.0/12");
	config.link.routes[config.link.n_routes++].to = prefix_of("0.0.0.0/0");
	assert_int_equal(port_check_config(&config, NULL), 0);
}

static void test_probe_interval(void **state)
{
	(void)state;
	struct port_config config = a_port();
	assert_int_equal(port_probe_interval(&config), 10000);
	config.probe_interval = 100;
	assert_int_equal(port_probe_interval(&config), 100);
	config.probe_interval = config.probe = 0;
	assert_int_equal(port_probe_interval(&config), 0);
}

/* ---- what is the same ---- */

static struct port port_of(const struct port_config *config)
{
	struct port port = {.config = *config};
	return port;
}

/* What is derived may be anything. */
static void test_same(void **state)
{
	(void)state;
	struct port_config config = a_port(), again = a_port();
	struct port port = port_of(&config);
	again.link.mac = (struct mac){{2, 1, 2, 3, 4, 5}};
	again.link.mtu = 1400;
	assert_true(port_is_same(&port, &again));
	again.has_mac = true;
	assert_false(port_is_same(&port, &again));
	again.has_mac = false;
	again.has_mtu = true;
	assert_false(port_is_same(&port, &again));
}

#define DIFFERS(change)                                                                                                \
	do {                                                                                                           \
		struct port_config config = a_port();                                                                  \
		struct port port = port_of(&config);                                                                   \
		assert_true(port_is_same(&port, &config));                                                             \
		change;                                                                                                \
		if (port_is_same(&port, &config))                                                                      \
			fail_msg("not seen: " #change);                                                                \
	} while (0)

static void test_every_setting_is_seen(void **state)
{
	(void)state;
	DIFFERS(strcpy(config.gateway, "b"));
	DIFFERS(strcpy(config.netns, "/proc/8/ns/net"));
	DIFFERS(strcpy(config.ifname, "vx1"));
	DIFFERS(config.dhcp = true);
	DIFFERS(strcpy(config.hostname, "web"));
	DIFFERS(config.probe++);
	DIFFERS(config.probe_interval = 10000);
	DIFFERS(config.probe_target.kind = PATH_ICMP);
	DIFFERS(config.exclusive = true);
	DIFFERS(config.keep[config.n_keep++] = prefix_of("10.0.0.0/8"));
	struct prefix others[] = {prefix_of("10.0.0.0/8"), prefix_of("11.0.0.0/8")};
	DIFFERS((port.config.n_keep = config.n_keep = 1, port.config.keep = others, config.keep = others + 1));
	DIFFERS(config.gateway_names = true);
	DIFFERS(config.inbound = true);
	DIFFERS(config.own_addresses = true);
	DIFFERS(config.network = prefix_of("172.16.0.0/24"));
	DIFFERS(config.expect_router = address_of("172.16.0.1"));
}

static void test_every_setting_of_the_link_is_seen(void **state)
{
	(void)state;
	DIFFERS(config.link.addresses[0] = prefix_of("172.16.0.11/24"));
	DIFFERS(config.link.addresses[0].length = 25);
	DIFFERS(config.link.n_addresses = 0);
	DIFFERS(config.link.default_via.bytes[3] = 2);
	DIFFERS(config.link.routes[0].to = prefix_of("11.0.0.0/8"));
	DIFFERS(config.link.routes[0].via = address_of("172.16.0.2"));
	DIFFERS(config.link.n_routes = 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_routes_into_what_is_kept),
		cmocka_unit_test(test_probe_interval),
		cmocka_unit_test(test_same),
		cmocka_unit_test(test_every_setting_is_seen),
		cmocka_unit_test(test_every_setting_of_the_link_is_seen),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
