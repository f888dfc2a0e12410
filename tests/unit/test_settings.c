/* SPDX-License-Identifier: Apache-2.0 */
/* test_settings.c - podswitch-agent's options: defaults, environment, command line, and what is refused */
#include "control/kube/settings.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>
#undef fail /* cmocka has a macro of the name of our function */

static struct settings settings;
static struct failure why;

/* Words with blanks between. */
static int read_words(const char *words)
{
	static char copy[1024];
	char *argv[64] = {NULL};
	int argc = 0;

	snprintf(copy, sizeof(copy), "%s", words);
	why = (struct failure){0};
	for (char *word = strtok(copy, " "); word; word = strtok(NULL, " "))
		argv[argc++] = word;
	return settings_read(argv, &settings, &why);
}

static int set_up(void **state)
{
	(void)state;
	return clearenv();
}

static void defaults(void **state)
{
	(void)state;
	assert_int_equal(read_words("--node n1"), 0);
	assert_string_equal(settings.node, "n1");
	assert_string_equal(settings.socket, "/run/podswitch/control.sock");
	assert_string_equal(settings.cluster_domain, "cluster.local");
	assert_string_equal(settings.listen, "127.0.0.1:9470");
	assert_int_equal(settings.probe, 10);
	assert_true(settings.pod_annotations);
	assert_true(settings.attach);
	assert_false(settings.set_gateway_default);
	assert_null(settings.agent_socket);
	assert_null(settings.api);
	assert_null(settings.token_file);
	assert_null(settings.ca_file);
	assert_null(settings.default_gateway);
	assert_null(settings.daemonset);
	assert_null(settings.cni_bin_dir);
	assert_null(settings.cni_conf_dir);
	assert_int_equal(settings.n_keep, 0);
	assert_false(settings.keep_metadata);
	assert_int_equal(settings.log_level, LOG_INFO);
}

static void command_line(void **state)
{
	(void)state;
	assert_int_equal(
		read_words(
			"--node=n1 -s /s --agent-socket /a --api https://10.96.0.1 --token-file /t --ca-file= "
			"--default-gateway vpn.media --set-gateway-default on --pod-annotations off --cluster-domain c "
			"--probe 250 --attach off --listen [::1]:80 --daemonset a/b --cni-bin-dir /b --cni-conf-dir /c "
			"--log-level debug --keep 10.0.0.0/8,fd00::/8 --keep-metadata on"),
		0);
	assert_string_equal(settings.socket, "/s");
	assert_string_equal(settings.agent_socket, "/a");
	assert_string_equal(settings.api, "https://10.96.0.1");
	assert_string_equal(settings.token_file, "/t");
	assert_null(settings.ca_file);
	assert_string_equal(settings.default_gateway, "vpn.media");
	assert_true(settings.set_gateway_default);
	assert_false(settings.pod_annotations);
	assert_false(settings.attach);
	assert_string_equal(settings.cluster_domain, "c");
	assert_int_equal(settings.probe, 250);
	assert_string_equal(settings.listen, "[::1]:80");
	assert_string_equal(settings.daemonset, "a/b");
	assert_string_equal(settings.cni_bin_dir, "/b");
	assert_string_equal(settings.cni_conf_dir, "/c");
	assert_int_equal(settings.log_level, LOG_DEBUG);
	assert_int_equal(settings.n_keep, 2);
	assert_int_equal(settings.keep[0].length, 8);
	assert_true(settings.keep_metadata);
	assert_int_equal(settings.keep[1].address.family, AF_INET6);
}

static void environment(void **state)
{
	(void)state;
	setenv("NODE_NAME", "from-downward", 1);
	setenv("PODSWITCH_DEFAULT_GATEWAY", "vpn.media", 1);
	setenv("PODSWITCH_SET_GATEWAY_DEFAULT", "on", 1);
	setenv("PODSWITCH_KEEP", "10.0.0.0/8 \n192.168.0.0/16,\t", 1);
	setenv("PODSWITCH_DAEMONSET", "", 1); /* as a ConfigMap leaves it */
	setenv("PODSWITCH_ATTACH", "", 1);
	setenv("PODSWITCH_HELP", "1", 1);
	setenv("PODSWITCH_PROBE", "20", 1);
	assert_int_equal(read_words(""), 0);
	assert_string_equal(settings.node, "from-downward");
	assert_string_equal(settings.default_gateway, "vpn.media");
	assert_true(settings.set_gateway_default);
	assert_int_equal(settings.n_keep, 2);
	assert_null(settings.daemonset);
	assert_false(settings.help);
	assert_int_equal(settings.probe, 20);
	/* The command line wins, and its list takes the other's place. */
	setenv("PODSWITCH_NODE", "n2", 1);
	assert_int_equal(read_words("--keep 10.1.0.0/16 --probe 5 --set-gateway-default off --default-gateway="), 0);
	assert_string_equal(settings.node, "n2");
	assert_int_equal(settings.n_keep, 1);
	assert_int_equal(settings.probe, 5);
	assert_false(settings.set_gateway_default);
	assert_null(settings.default_gateway);
	setenv("PODSWITCH_ATTACH", "yes", 1);
	assert_int_equal(read_words(""), -EINVAL);
	assert_non_null(strstr(why.text, "PODSWITCH_ATTACH: 'yes' is not on or off"));
}

static void wrong_usage(void **state)
{
	static const struct {
		const char *words, *says;
	} cases[] = {
		{"", "--node"},
		{"--node=", "--node"},
		{"--frobnicate", "unknown option '--frobnicate'"},
		{"--nod n1", "unknown option '--nod'"},
		{"--nodes n1", "unknown option '--nodes'"},
		{"n1", "unexpected argument 'n1'"},
		{"-n n1", "unknown option '-n'"},
		{"--", "--node"},
		{"--node", "--node wants NAME"},
		{"--node n1 --help=yes", "--help takes no value"},
		{"--node n1 --attach", "--attach wants on|off"},
		{"--node n1 --attach true", "is not on or off"},
		{"--node n1 --attach=", "is not on or off"},
		{"--node n1 --probe 0", "--probe: 0 is out of range; give 1 to 250"},
		{"--node n1 --probe 251", "--probe: 251 is out of range; give 1 to 250"},
		{"--node n1 --probe -1", "is not a whole number from 1 to 250"},
		{"--node n1 --probe 10s", "is not a whole number from 1 to 250"},
		{"--node n1 --probe=", "is not a whole number from 1 to 250"},
		{"--node n1 --probe 99999999999999999999", "is not a whole number from 1 to 250"},
		{"--node n1 --keep 10.0.0.0", "not a network"},
		{"--node n1 --keep 10.0.0.0/33", "not a network"},
		{"--node n1 --keep 0.0.0.0/0", "not a network"},
		{"--node n1 --keep ::/0", "not a network"},
		{"--node n1 --keep 0.0.0.0/1,128.0.0.0/1", "--keep: '0.0.0.0/1' is too much: more than an eighth"},
		{"--node n1 --keep 0.0.0.0/3,10.0.0.0/8,8.0.0.0/8,128.0.0.0/3", "'128.0.0.0/3' is too much"},
		{"--node n1 --keep 2000::/3", "'2000::/3' is too much"},
		{"--node n1 --keep 64:ff9b::/96", "'64:ff9b::/96' is too much"},
		{"--node n1 --keep 10.0.0.0/8,nonsense", "'nonsense' is not a network"},
		{"--node n1 --keep aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa/8",
		 "not a network"},
		{"--node n1 --log-level loud",
		 "--log-level: 'loud' is not known; give one of error, warning, info, debug"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(read_words(cases[i].words), -EINVAL);
		if (!strstr(why.text, cases[i].says))
			assert_string_equal(why.text, cases[i].says);
	}
}

static void too_many_networks(void **state)
{
	char words[1024] = "--node n1 --keep ";

	(void)state;
	for (int i = 0; i < SETTINGS_MAX_KEEP; i++)
		snprintf(words + strlen(words), sizeof(words) - strlen(words), "10.%d.0.0/16,", i);
	assert_int_equal(read_words(words), 0);
	assert_int_equal(settings.n_keep, SETTINGS_MAX_KEEP);
	strcat(words, "10.99.0.0/16");
	assert_int_equal(read_words(words), -EINVAL);
	assert_non_null(strstr(why.text, "at most 24"));
}

static void help_and_version(void **state)
{
	char *text = NULL;
	size_t size;

	(void)state;
	assert_int_equal(read_words("--help"), 0); /* without a node */
	assert_true(settings.help);
	assert_int_equal(read_words("--version"), 0);
	assert_true(settings.version);
	FILE *out = open_memstream(&text, &size);
	settings_help(out);
	fclose(out);
	for (size_t i = 0; settings_options[i].name; i++)
		assert_non_null(strstr(text, settings_options[i].name));
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(defaults, set_up),          cmocka_unit_test_setup(command_line, set_up),
		cmocka_unit_test_setup(environment, set_up),       cmocka_unit_test_setup(wrong_usage, set_up),
		cmocka_unit_test_setup(too_many_networks, set_up), cmocka_unit_test_setup(help_and_version, set_up),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
