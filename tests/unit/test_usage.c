/* SPDX-License-Identifier: Apache-2.0 */
/* test_usage.c - podswitch-webhook's command line and environment */
#include "control/webhook/usage.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#define READ(...) read_words((char *[]){__VA_ARGS__, NULL})

static struct usage usage;
static struct failure why;

static int read_words(char **argv)
{
	why.text[0] = '\0';
	return usage_read(argv, &usage, &why);
}

static void test_defaults(void **state)
{
	(void)state;
	assert_int_equal(read_words((char *[]){NULL}), 0);
	assert_int_equal(usage.command, USAGE_SERVE);
	assert_string_equal(usage.listen, "0.0.0.0:8443");
	assert_null(usage.cert_file);
	assert_null(usage.config);
	assert_true(usage.pod_annotations && !usage.set_gateway_default);
	assert_int_equal(READ("cert"), 0);
	assert_int_equal(usage.command, USAGE_CERT);
	assert_string_equal(usage.secret, "podswitch/podswitch-webhook-tls");
	assert_int_equal(usage.every, 0);
}

static void test_options(void **state)
{
	(void)state;
	assert_int_equal(READ("serve", "--webhook-listen-address", ":9443", "--tls-cert-file-path=/c",
			      "--tls-key-file-path", "/k", "--config", "", "--pod-annotations=off", "--patience", "0",
			      "--log-level", "debug"),
			 0);
	assert_string_equal(usage.listen, "0.0.0.0:9443");
	assert_string_equal(usage.cert_file, "/c");
	assert_string_equal(usage.key_file, "/k");
	assert_null(usage.config);
	assert_false(usage.pod_annotations);
	assert_int_equal(usage.patience, 0);
	assert_int_equal(usage.log_level, LOG_DEBUG);
	assert_int_equal(READ("--webhook-listen-address", "[::]:8443"), 0);
	assert_string_equal(usage.listen, "[::]:8443");
	assert_int_equal(READ("cert", "--days", "30", "--renew-before=7", "--every", "60", "--service", "a/b"), 0);
	assert_int_equal(usage.days, 30);
	assert_int_equal(usage.renew_before, 7);
	assert_int_equal(READ("--version"), 0);
	assert_true(usage.version);
}

/* The command line wins; an empty variable says nothing. */
static void test_environment(void **state)
{
	(void)state;
	setenv("PODSWITCH_DEFAULT_GATEWAY", "vpn.media", 1);
	setenv("PODSWITCH_SET_GATEWAY_DEFAULT", "on", 1);
	setenv("PODSWITCH_CLUSTER_DOMAIN", "", 1);
	setenv("PODSWITCH_LISTEN", "127.0.0.1:9470", 1); /* the agent's */
	assert_int_equal(READ("--set-gateway-default", "off"), 0);
	assert_string_equal(usage.default_gateway, "vpn.media");
	assert_false(usage.set_gateway_default);
	assert_string_equal(usage.cluster_domain, "cluster.local");
	assert_string_equal(usage.listen, "0.0.0.0:8443");
	setenv("PODSWITCH_SET_GATEWAY_DEFAULT", "yes", 1);
	assert_int_equal(READ("serve"), -EINVAL);
	unsetenv("PODSWITCH_SET_GATEWAY_DEFAULT");
	unsetenv("PODSWITCH_DEFAULT_GATEWAY");
	unsetenv("PODSWITCH_LISTEN");
}

static void assert_wrong(int error, const char *text)
{
	assert_int_equal(error, -EINVAL);
	if (!strstr(why.text, text))
		fail_msg("'%s', not '%s'", why.text, text);
}

static void test_wrong(void **state)
{
	(void)state;
	assert_wrong(READ("--nosuch"), "unknown option '--nosuch'");
	assert_wrong(READ("server"), "unexpected argument 'server'");
	assert_wrong(READ("--secret", "a/b"), "unknown option '--secret'"); /* the other command's */
	assert_wrong(READ("cert", "--config", "x"), "unknown option '--config'");
	assert_wrong(READ("--config"), "--config wants FILE");
	assert_wrong(READ("--version=1"), "--version takes no value");
	assert_wrong(READ("--tls-cert-file-path", "/c"), "belong together");
	assert_wrong(READ("--patience", "5001"), "--patience: 5001 is out of range; give 0 to 5000");
	assert_wrong(READ("--linger", "-1"), "is not a whole number");
	assert_wrong(READ("--linger", "1s"), "is not a whole number");
	assert_wrong(READ("--log-level", "loud"), "give one of error, warning, info, debug");
	assert_wrong(READ("cert", "--secret", "name"), "NAMESPACE/NAME");
	assert_wrong(READ("cert", "--renew-before", "365"), "less than --days");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_options),
		cmocka_unit_test(test_environment),
		cmocka_unit_test(test_wrong),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
