/* SPDX-License-Identifier: Apache-2.0 */
/* settings.c - podswitch-agent's options */
#include "control/kube/settings.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

enum value { TEXT, SWITCH, SECONDS, NETWORKS, LEVEL, FLAG };

/* One line an option: its name, what it takes, where it goes, what --help says of it. */
static const struct option {
	const char *name, *argument;
	enum value value;
	size_t into;
	const char *help;
} options[] = {
#define INTO(member) offsetof(struct settings, member)
	{"node", "NAME", TEXT, INTO(node), "this node's name in the cluster (else $NODE_NAME)"},
	{"socket", "SOCKET", TEXT, INTO(socket), "podswitchd's control socket (/run/podswitch/control.sock)"},
	{"agent-socket", "SOCKET", TEXT, INTO(agent_socket), "where podswitch-cni asks (agent.sock beside it)"},
	{"api", "URL", TEXT, INTO(api), "the API server (as a pod is told)"},
	{"token-file", "FILE", TEXT, INTO(token_file), "the bearer token (the pod's service account's)"},
	{"ca-file", "FILE", TEXT, INTO(ca_file), "who vouches for the API server (the same)"},
	{"default-gateway", "NAME.NAMESPACE", TEXT, INTO(default_gateway), "the gateway that setGateway means (none)"},
	{"set-gateway-default", "on|off", SWITCH, INTO(set_gateway_default),
	 "pods without setGateway get the default gateway (off)"},
	{"pod-annotations", "on|off", SWITCH, INTO(pod_annotations), "pods may choose or opt out (on)"},
	{"cluster-domain", "DOMAIN", TEXT, INTO(cluster_domain), "of full Service names (cluster.local)"},
	{"keep", "CIDR,...", NETWORKS, INTO(keep),
	 "networks that pods reach without their gateway, besides the cluster's"},
	{"probe", "SECONDS", SECONDS, INTO(probe), "between questions whether a pod's gateway is there (10)"},
	{"attach", "on|off", SWITCH, INTO(attach), "attach pods that run already (on)"},
	{"listen", "ADDRESS:PORT", TEXT, INTO(listen), "/healthz, /readyz, /metrics (127.0.0.1:9470)"},
	{"daemonset", "NAMESPACE/NAME", TEXT, INTO(daemonset), "our own, to clean up when it is deleted (none)"},
	{"cni-bin-dir", "DIR", TEXT, INTO(cni_bin_dir), "where podswitch-cni is installed, to be looked after (none)"},
	{"cni-conf-dir", "DIR", TEXT, INTO(cni_conf_dir), "where its configuration is (none)"},
	{"cni-ifname", "NAME", TEXT, INTO(cni_ifname), "the interface in its configuration (vx0)"},
	{"cni-timeout", "SECONDS", SECONDS, INTO(cni_timeout), "the patience in its configuration (20)"},
	{"log-level", "LEVEL", LEVEL, INTO(log_level), "error, warning, info, debug (info)"},
	{"help", NULL, FLAG, INTO(help), "print this"},
	{"version", NULL, FLAG, INTO(version), "print the version"},
#undef INTO
};
#define N_OPTIONS (sizeof(options) / sizeof(options[0]))

/* A list with commas or blanks between; it replaces what an earlier one said. */
static int set_networks(struct settings *settings, const char *name, const char *value, struct failure *why)
{
	static const char separators[] = ", \t\n";
	settings->n_keep = 0;
	for (value += strspn(value, separators); *value; value += strspn(value, separators)) {
		char word[ADDRESS_TEXT];
		size_t length = strcspn(value, separators);
		struct prefix network = {0};
		snprintf(word, sizeof(word), "%.*s", (int)(length < sizeof(word) ? length : sizeof(word) - 1), value);
		if (length >= sizeof(word) || !strchr(word, '/') || prefix_parse(word, &network) || !network.length)
			return fail(why, -EINVAL, name, "--%s: '%.60s' is not a network; give ADDRESS/LENGTH", name,
				    word);
		if (settings->n_keep == SETTINGS_MAX_KEEP)
			return fail(why, -EINVAL, name, "--%s: at most %d networks", name, SETTINGS_MAX_KEEP);
		settings->keep[settings->n_keep++] = network;
		value += length;
	}
	return 0;
}

static int set_seconds(unsigned *into, const char *name, const char *value, struct failure *why)
{
	char *end;
	long seconds = strtol(value, &end, 10);
	if (!isdigit((unsigned char)*value) || *end || seconds < 1 || seconds > 250)
		return fail(why, -EINVAL, name, "--%s: '%.40s' is not 1 to 250 seconds", name, value);
	*into = (unsigned)seconds;
	return 0;
}

static int set(struct settings *settings, const struct option *option, const char *value, struct failure *why)
{
	void *into = (char *)settings + option->into;
	switch (option->value) {
	case TEXT:
		*(const char **)into = *value ? value : NULL;
		return 0;
	case SWITCH:
		if (strcmp(value, "on") != 0 && strcmp(value, "off") != 0)
			return fail(why, -EINVAL, option->name, "--%s: '%.40s' is neither on nor off", option->name,
				    value);
		*(bool *)into = !strcmp(value, "on");
		return 0;
	case SECONDS:
		return set_seconds(into, option->name, value, why);
	case NETWORKS:
		return set_networks(settings, option->name, value, why);
	case LEVEL:
		if (log_parse_level(value, into))
			return fail(why, -EINVAL, option->name, "--%s: '%.40s' is not error, warning, info or debug",
				    option->name, value);
		return 0;
	case FLAG:
		*(bool *)into = true;
		return 0;
	}
	return 0;
}

/* An empty variable says nothing, as a ConfigMap leaves one for what is not set. */
static int read_environment(struct settings *settings, struct failure *why)
{
	for (size_t i = 0; i < N_OPTIONS; i++) {
		char name[48] = "PODSWITCH_";
		size_t used = strlen(name);
		for (const char *c = options[i].name; *c; c++)
			name[used++] = (char)(*c == '-' ? '_' : toupper((unsigned char)*c));
		name[used] = '\0';
		const char *value = options[i].value == FLAG ? NULL : getenv(name);
		int error = value && *value ? set(settings, &options[i], value, why) : 0;
		if (error)
			return error;
	}
	if (!settings->node)
		settings->node = getenv("NODE_NAME");
	return 0;
}

static const struct option *find(const char *word, size_t length)
{
	for (size_t i = 0; i < N_OPTIONS; i++)
		if (strlen(options[i].name) == length && !strncmp(options[i].name, word, length))
			return &options[i];
	return NULL;
}

static int read_line(int argc, char **argv, struct settings *settings, struct failure *why)
{
	for (int i = 1; i < argc; i++) {
		const char *word = !strcmp(argv[i], "-s") ? "--socket" : argv[i];
		const char *equals = strchr(word, '=');
		const struct option *option =
			strncmp(word, "--", 2) != 0
				? NULL
				: find(word + 2, equals ? (size_t)(equals - word) - 2 : strlen(word + 2));
		if (!option)
			return fail(why, -EINVAL, NULL, "there is no option '%.60s'; see podswitch-agent --help", word);
		const char *value = option->value == FLAG ? "" : equals ? equals + 1 : i + 1 < argc ? argv[++i] : NULL;
		if (!value || (option->value == FLAG && equals))
			return fail(why, -EINVAL, NULL, "--%s wants %s", option->name,
				    value ? "no value" : option->argument);
		int error = set(settings, option, value, why);
		if (error)
			return error;
	}
	return 0;
}

int settings_read(int argc, char **argv, struct settings *out, struct failure *why)
{
	*out = (struct settings){
		.socket = "/run/podswitch/control.sock",
		.cluster_domain = "cluster.local",
		.listen = "127.0.0.1:9470",
		.pod_annotations = true,
		.attach = true,
		.probe = 10,
		.log_level = LOG_INFO,
	};
	int error = read_environment(out, why);
	if (!error)
		error = read_line(argc, argv, out, why);
	if (!error && !out->help && !out->version && !out->node)
		error = fail(why, -EINVAL, "node", "which node is this? give --node, or NODE_NAME by the downward API");
	return error;
}

void settings_help(FILE *out)
{
	fputs("podswitch-agent [OPTIONS]: gives this node's pods the gateways that their annotations name\n\n", out);
	for (size_t i = 0; i < N_OPTIONS; i++) {
		char left[64];
		snprintf(left, sizeof(left), "--%s%s%s", options[i].name, options[i].argument ? " " : "",
			 options[i].argument ? options[i].argument : "");
		fprintf(out, "  %-34s %s\n", left, options[i].help);
	}
	fputs("\n-s is --socket. Each option may also be given as PODSWITCH_OPTION in the environment.\n", out);
}
