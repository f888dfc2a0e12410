/* SPDX-License-Identifier: Apache-2.0 */
/* usage.c - podswitch-webhook's command line and environment */
#include "control/webhook/usage.h"

#include <ctype.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define BOTH (USAGE_SERVE | USAGE_CERT)

enum value { TEXT, SWITCH, NUMBER, LISTEN, LEVEL, FLAG };

/* One line an option: the commands it is of, what kind, its name, what it takes, where it goes, what --help says. */
static const struct option {
	int of;
	enum value value;
	const char *name, *argument;
	size_t into;
	const char *help;
} options[] = {
#define INTO(member) offsetof(struct usage, member)
	{USAGE_SERVE, LISTEN, "webhook-listen-address", "[ADDRESS]:PORT", INTO(listen), "where to serve (:8443)"},
	{USAGE_SERVE, TEXT, "tls-cert-file-path", "FILE", INTO(cert_file),
	 "the certificate, PEM; read anew when it changes"},
	{USAGE_SERVE, TEXT, "tls-key-file-path", "FILE", INTO(key_file), "its key; without both it is plain HTTP"},
	{USAGE_SERVE, TEXT, "config", "FILE", INTO(config), "what pods are given, JSON; read anew when it changes"},
	{USAGE_SERVE, TEXT, "default-gateway", "NAME.NAMESPACE", INTO(default_gateway),
	 "the gateway that setGateway means (none)"},
	{USAGE_SERVE, SWITCH, "set-gateway-default", "on|off", INTO(set_gateway_default),
	 "pods without setGateway get it (off)"},
	{USAGE_SERVE, SWITCH, "pod-annotations", "on|off", INTO(pod_annotations), "pods may choose or opt out (on)"},
	{BOTH, TEXT, "cluster-domain", "DOMAIN", INTO(cluster_domain), "of full Service names (cluster.local)"},
	{USAGE_SERVE, TEXT, "resolv-conf", "FILE", INTO(resolv_conf), "the cluster's nameservers (/etc/resolv.conf)"},
	{USAGE_SERVE, NUMBER, "patience", "MS", INTO(patience), "that a review waits for a gateway just made (1000)"},
	{USAGE_SERVE, NUMBER, "linger", "SECONDS", INTO(linger), "that it still answers when told to stop (5)"},
	{USAGE_CERT, TEXT, "service", "NAMESPACE/NAME", INTO(service),
	 "what the certificate is for (podswitch/podswitch-webhook)"},
	{USAGE_CERT, TEXT, "secret", "NAMESPACE/NAME", INTO(secret),
	 "where it is kept (podswitch/podswitch-webhook-tls)"},
	{USAGE_CERT, TEXT, "configuration", "NAME", INTO(configuration),
	 "the MutatingWebhookConfiguration (podswitch)"},
	{USAGE_CERT, NUMBER, "days", "DAYS", INTO(days), "that it is good for (365)"},
	{USAGE_CERT, NUMBER, "renew-before", "DAYS", INTO(renew_before), "before its end another is made (90)"},
	{USAGE_CERT, NUMBER, "every", "SECONDS", INTO(every), "look again so often; 0: once (0)"},
	{BOTH, TEXT, "api", "URL", INTO(api), "the API server (as a pod is told)"},
	{BOTH, TEXT, "token-file", "FILE", INTO(token_file), "the bearer token (the pod's service account's)"},
	{BOTH, TEXT, "ca-file", "FILE", INTO(ca_file), "who vouches for the API server (the same)"},
	{BOTH, LEVEL, "log-level", "LEVEL", INTO(log_level), "error, warning, info, debug (info)"},
	{BOTH, FLAG, "help", NULL, INTO(help), "print this"},
	{BOTH, FLAG, "version", NULL, INTO(version), "print the version"},
#undef INTO
};
#define N_OPTIONS (sizeof(options) / sizeof(options[0]))

static int set_number(unsigned *into, const char *name, const char *value, struct failure *why)
{
	char *end;
	unsigned long number = strtoul(value, &end, 10);
	if (!isdigit((unsigned char)*value) || *end || number > 1000000)
		return fail(why, -EINVAL, name, "--%s: '%.40s' is not a number of 0 to 1000000", name, value);
	*into = (unsigned)number;
	return 0;
}

static int set(struct usage *usage, const struct option *option, const char *value, struct failure *why)
{
	void *into = (char *)usage + option->into;
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
	case NUMBER:
		return set_number(into, option->name, value, why);
	case LISTEN:
		snprintf(into, sizeof(usage->listen), "%s%s", *value == ':' ? "0.0.0.0" : "", value);
		return 0;
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
static int read_environment(struct usage *usage, struct failure *why)
{
	for (size_t i = 0; i < N_OPTIONS; i++) {
		char name[48] = "PODSWITCH_";
		size_t used = strlen(name);
		for (const char *c = options[i].name; *c; c++)
			name[used++] = (char)(*c == '-' ? '_' : toupper((unsigned char)*c));
		name[used] = '\0';
		const char *value = options[i].value == FLAG ? NULL : getenv(name);
		int error = value && *value ? set(usage, &options[i], value, why) : 0;
		if (error)
			return error;
	}
	return 0;
}

static const struct option *find(const char *word, size_t length)
{
	for (size_t i = 0; i < N_OPTIONS; i++)
		if (strlen(options[i].name) == length && !strncmp(options[i].name, word, length))
			return &options[i];
	return NULL;
}

static int read_line(int argc, char **argv, int first, struct usage *usage, struct failure *why)
{
	for (int i = first; i < argc; i++) {
		const char *word = argv[i], *equals = strchr(word, '=');
		size_t length = equals ? (size_t)(equals - word) : strlen(word);
		const struct option *option = strncmp(word, "--", 2) != 0 ? NULL : find(word + 2, length - 2);
		if (!option || !(option->of & (int)usage->command))
			return fail(why, -EINVAL, NULL, "there is no option '%.60s'; see podswitch-webhook --help",
				    word);
		const char *value = option->value == FLAG ? "" : equals ? equals + 1 : i + 1 < argc ? argv[++i] : NULL;
		if (!value || (option->value == FLAG && equals))
			return fail(why, -EINVAL, NULL, "--%s wants %s", option->name,
				    value ? "no value" : option->argument);
		int error = set(usage, option, value, why);
		if (error)
			return error;
	}
	return 0;
}

static int check(const struct usage *usage, struct failure *why)
{
	if (!usage->cert_file != !usage->key_file)
		return fail(why, -EINVAL, NULL,
			    "--tls-cert-file-path and --tls-key-file-path belong together: give both");
	if (!usage->service || !usage->secret || !strchr(usage->service, '/') || !strchr(usage->secret, '/'))
		return fail(why, -EINVAL, NULL, "--service and --secret want NAMESPACE/NAME");
	if (!usage->configuration)
		return fail(why, -EINVAL, NULL, "--configuration wants a NAME");
	if (usage->patience > 5000)
		return fail(why, -EINVAL, NULL, "--patience: at most 5000 ms; the API server waits no longer itself");
	if (!usage->days || usage->renew_before >= usage->days)
		return fail(why, -EINVAL, NULL, "--renew-before has to be less than --days");
	return 0;
}

int usage_read(int argc, char **argv, struct usage *out, struct failure *why)
{
	int first = 1;
	*out = (struct usage){
		.command = USAGE_SERVE,
		.listen = "0.0.0.0:8443",
		.resolv_conf = "/etc/resolv.conf",
		.cluster_domain = "cluster.local",
		.pod_annotations = true,
		.patience = 1000,
		.linger = 5,
		.service = "podswitch/podswitch-webhook",
		.secret = "podswitch/podswitch-webhook-tls",
		.configuration = "podswitch",
		.days = 365,
		.renew_before = 90,
		.log_level = LOG_INFO,
	};
	if (argc > 1 && (!strcmp(argv[1], "serve") || !strcmp(argv[1], "cert"))) {
		out->command = *argv[1] == 's' ? USAGE_SERVE : USAGE_CERT;
		first = 2;
	}
	int error = read_environment(out, why);
	if (!error)
		error = read_line(argc, argv, first, out, why);
	return error || out->help || out->version ? error : check(out, why);
}

static void help_of(FILE *out, int command)
{
	for (size_t i = 0; i < N_OPTIONS; i++) {
		char left[64];
		if (options[i].of != command)
			continue;
		snprintf(left, sizeof(left), "--%s%s%s", options[i].name, options[i].argument ? " " : "",
			 options[i].argument ? options[i].argument : "");
		fprintf(out, "  %-40s %s\n", left, options[i].help);
	}
}

void usage_help(FILE *out)
{
	fputs("podswitch-webhook [serve] [OPTIONS]: tells pods that are made which gateway they have\n", out);
	help_of(out, USAGE_SERVE);
	fputs("\npodswitch-webhook cert [OPTIONS]: makes its certificate and has the API server trust it\n", out);
	help_of(out, USAGE_CERT);
	fputs("\nBoth:\n", out);
	help_of(out, BOTH);
	fputs("\nEach option may also be given as PODSWITCH_OPTION in the environment.\n", out);
}
