/* SPDX-License-Identifier: Apache-2.0 */
/* usage.c - podswitch-webhook's command line and environment */
#include "control/webhook/usage.h"
#include "control/base/option.h"

#include <string.h>

static int parse_listen(const char *label, const char *text, void *into, struct failure *why)
{
	(void)label;
	(void)why;
	snprintf(into, sizeof(((struct usage *)0)->listen), "%s%s", *text == ':' ? "0.0.0.0" : "", text);
	return 0;
}

#define OPTIONS struct usage
#define SERVE .commands = USAGE_SERVE
#define CERT .commands = USAGE_CERT
#define BOTH .commands = (USAGE_SERVE | USAGE_CERT)
static const struct option_spec usage_options[] = {
	OPTION_VALUE("webhook-listen-address", 0, "[ADDRESS]:PORT", listen, parse_listen, "where to serve (:8443)",
		     SERVE),
	OPTION_TEXT("tls-cert-file-path", 0, "FILE", cert_file, "the certificate, PEM; read again when it changes",
		    SERVE),
	OPTION_TEXT("tls-key-file-path", 0, "FILE", key_file,
		    "its key, PEM; without both the webhook serves plain HTTP", SERVE),
	OPTION_TEXT("config", 0, "FILE", config, "what pods are given, JSON; read again when it changes", SERVE),
	OPTION_TEXT("default-gateway", 0, "NAME.NAMESPACE", default_gateway,
		    "the gateway that setGateway stands for (none)", SERVE),
	OPTION_SWITCH("set-gateway-default", set_gateway_default,
		      "give pods without setGateway the default gateway (off)", SERVE),
	OPTION_SWITCH("pod-annotations", pod_annotations, "let pods choose their gateway, or opt out (on)", SERVE),
	OPTION_TEXT("cluster-domain", 0, "DOMAIN", cluster_domain, "the domain of full Service names (cluster.local)",
		    BOTH),
	OPTION_TEXT("resolv-conf", 0, "FILE", resolv_conf, "the cluster's nameservers (/etc/resolv.conf)", SERVE),
	OPTION_NUMBER("patience", 0, "MS", patience, 0, 5000,
		      "how long a review waits for a gateway that was just created, at most 5000 (1000)", SERVE),
	OPTION_NUMBER("linger", 0, "SECONDS", linger, 0, 1000000, "how long to go on answering after SIGTERM (5)",
		      SERVE),
	OPTION_TEXT("service", 0, "NAMESPACE/NAME", service,
		    "what the certificate is for (podswitch/podswitch-webhook)", CERT),
	OPTION_TEXT("secret", 0, "NAMESPACE/NAME", secret, "the Secret that holds it (podswitch/podswitch-webhook-tls)",
		    CERT),
	OPTION_TEXT("configuration", 0, "NAME", configuration, "the MutatingWebhookConfiguration (podswitch)", CERT),
	OPTION_NUMBER("days", 0, "DAYS", days, 0, 1000000, "how long the certificate is valid (365)", CERT),
	OPTION_NUMBER("renew-before", 0, "DAYS", renew_before, 0, 1000000, "how long before its end to renew it (90)",
		      CERT),
	OPTION_NUMBER("every", 0, "SECONDS", every, 0, 1000000, "how often to check it; 0: once (0)", CERT),
	OPTION_TEXT("api", 0, "URL", api, "the API server (from the environment of a pod)", BOTH),
	OPTION_TEXT("token-file", 0, "FILE", token_file, "the bearer token (the pod's service account's)", BOTH),
	OPTION_TEXT("ca-file", 0, "FILE", ca_file,
		    "the API server's certificate authority (the pod's service account's)", BOTH),
	OPTION_SWITCH("seccomp", seccomp, "have all system calls refused that it does not need (on)", BOTH),
	OPTION_CHOICE("log-level", 0, "LEVEL", log_level, log_levels, "error, warning, info or debug (info)", BOTH),
	OPTION_FLAG("help", 0, help, "print this help", BOTH),
	OPTION_FLAG("version", 0, version, "print the version", BOTH),
	{0},
};
#undef OPTIONS

static int usage_check(const struct usage *usage, struct failure *why)
{
	if (!usage->cert_file != !usage->key_file)
		return fail(why, -EINVAL, NULL,
			    "--tls-cert-file-path and --tls-key-file-path belong together: give both");
	if (!usage->service || !usage->secret || !strchr(usage->service, '/') || !strchr(usage->secret, '/'))
		return fail(why, -EINVAL, NULL, "--service and --secret want NAMESPACE/NAME");
	if (!usage->configuration)
		return fail(why, -EINVAL, NULL, "--configuration wants a NAME");
	if (!usage->days || usage->renew_before >= usage->days)
		return fail(why, -EINVAL, NULL, "--renew-before has to be less than --days");
	return 0;
}

int usage_read(char **words, struct usage *out, struct failure *why)
{
	struct option_line line = {.next = words, .program = "podswitch-webhook"};
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
		.seccomp = true,
		.log_level = LOG_INFO,
	};
	if (*words && (!strcmp(*words, "serve") || !strcmp(*words, "cert"))) {
		out->command = **words == 's' ? USAGE_SERVE : USAGE_CERT;
		line.next++;
	}
	int error = option_read_environment(usage_options, out, why);
	if (!error)
		error = option_read_line(usage_options, out->command, &line, out, why);
	return error || out->help || out->version ? error : usage_check(out, why);
}

void usage_help(FILE *out)
{
	fputs("usage: podswitch-webhook [serve] [OPTIONS]\nTells new pods which gateway they have.\n\n", out);
	option_help(usage_options, USAGE_SERVE, 40, out);
	fputs("\nusage: podswitch-webhook cert [OPTIONS]\n"
	      "Makes the webhook's certificate and has the API server trust it.\n\n",
	      out);
	option_help(usage_options, USAGE_CERT, 40, out);
	fputs("\nBoth:\n", out);
	option_help(usage_options, USAGE_SERVE | USAGE_CERT, 40, out);
	fputs("\nEach option may also be given as PODSWITCH_OPTION in the environment.\n", out);
}
