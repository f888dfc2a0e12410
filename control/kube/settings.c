/* SPDX-License-Identifier: Apache-2.0 */
/* settings.c - podswitch-agent's options */
#include "control/kube/settings.h"
#include "control/base/option.h"
#include "control/cni/request.h"
#include "tap/base/breadth.h"

#include <stdlib.h>
#include <string.h>

static int parse_keep(const char *label, const char *text, void *into, struct failure *why)
{
	struct settings *settings = into;
	int error = text ? option_parse_network(label, text, &settings->keep[settings->n_keep], why) : 0;
	if (text && !error && breadth_exceeds(settings->keep, settings->n_keep + 1, 1))
		error = fail(why, -EINVAL, label,
			     "%s: '%.64s' is too much: more than an eighth of IPv4, or than a /12 of IPv6, would go "
			     "around all gateways; give smaller networks",
			     label, text);
	if (!error)
		settings->n_keep = text ? settings->n_keep + 1 : 0;
	return error;
}

const char *const settings_underlays[] = {"pod", "host", "auto", NULL};

#define OPTIONS struct settings
static const struct option_spec settings_options[] = {
	OPTION_TEXT("node", 0, "NAME", node, "this node's name in the cluster ($NODE_NAME)"),
	OPTION_TEXT("socket", 's', "SOCKET", socket, "podswitchd's control socket (/run/podswitch/control.sock)"),
	OPTION_TEXT("agent-socket", 0, "SOCKET", agent_socket, "where podswitch-cni asks (agent.sock beside it)"),
	OPTION_TEXT("api", 0, "URL", api, "the API server (from the environment of a pod)"),
	OPTION_TEXT("token-file", 0, "FILE", token_file, "the bearer token (the pod's service account's)"),
	OPTION_TEXT("ca-file", 0, "FILE", ca_file,
		    "the API server's certificate authority (the pod's service account's)"),
	OPTION_TEXT("default-gateway", 0, "NAME.NAMESPACE", default_gateway,
		    "the gateway that setGateway stands for (none)"),
	OPTION_SWITCH("set-gateway-default", set_gateway_default,
		      "give pods without setGateway the default gateway (off)"),
	OPTION_SWITCH("pod-annotations", pod_annotations, "let pods choose their gateway, or opt out (on)"),
	OPTION_TEXT("cluster-domain", 0, "DOMAIN", cluster_domain, "the domain of full Service names (cluster.local)"),
	OPTION_PARSED("keep", 0, "CIDR,...", OPTION_LIST, SETTINGS_MAX_KEEP, parse_keep,
		      "networks that pods reach without their gateway, besides the cluster's own"),
	OPTION_SWITCH("keep-metadata", keep_metadata,
		      "let pods reach their cloud's metadata and credentials without their gateway (off)"),
	OPTION_SWITCH("inbound", inbound,
		      "let pods answer who connects by their first interface from beyond the kept networks (off)"),
	OPTION_CHOICE("underlay", 0, "pod|host|auto", underlay, settings_underlays,
		      "whose address gateways see where their Service does not say: the pod's or the node's (pod)"),
	OPTION_NUMBER("probe", 0, "SECONDS", probe, 1, 250,
		      "how often to check that a pod's gateway answers, 1 to 250 (10)"),
	OPTION_SWITCH("attach", attach, "attach pods that run already and have no port (on)"),
	OPTION_TEXT("listen", 0, "ADDRESS:PORT", listen,
		    "where to serve /healthz, /readyz and /metrics (127.0.0.1:9470)"),
	OPTION_TEXT("daemonset", 0, "NAMESPACE/NAME", daemonset,
		    "our own DaemonSet: uninstall the plugin when it is deleted (none)"),
	OPTION_TEXT("cni-bin-dir", 0, "DIR", cni_bin_dir, "the node's CNI plugins (none)"),
	OPTION_TEXT("cni-conf-dir", 0, "DIR", cni_conf_dir,
		    "the node's CNI configuration, to keep podswitch-cni's entry in it (none)"),
	OPTION_TEXT("cni-conf-file", 0, "NAME", cni_conf_file,
		    "the file in it to follow (the first, as the runtime takes it)"),
	OPTION_TEXT("cni-program", 0, "FILE", cni_program,
		    "podswitch-cni, to be put back when the node's is gone (beside this program)"),
	OPTION_TEXT("cni-ifname", 0, "NAME", cni_ifname, "the interface's name in pods, for the plugin's entry (vx0)"),
	OPTION_NUMBER("cni-timeout", 0, "SECONDS", cni_timeout, 1, 110,
		      "how long the plugin waits for a gateway, for its entry, 1 to 110 (20)"),
	OPTION_SWITCH("cni-fail-status", cni_fail_status,
		      "let the plugin's STATUS fail, and the node with it, while no gateway can be given (off)"),
	OPTION_TEXT("skip-namespaces", 0, "NAME,...", skip_namespaces,
		    "namespaces whose pods start without a question (kube-system,podswitch)"),
	OPTION_TEXT("known", 0, "FILE", known,
		    "where the plugin finds, while we are away, which namespaces ask for a gateway "
		    "(/var/lib/podswitch/known.json)"),
	OPTION_FLAG("takeover", 0, takeover, "take the place of the agent that serves, once the cluster is known"),
	OPTION_TEXT("instance", 0, "NAME", instance, "what tells this agent from the one before, for --check (none)"),
	OPTION_FLAG("check", 0, check, "say whether an agent serves, this instance if one is given, and is ready"),
	OPTION_SWITCH("seccomp", seccomp, "have all system calls refused that it does not need (on)"),
	OPTION_CHOICE("log-level", 0, "LEVEL", log_level, log_levels, "error, warning, info or debug (info)"),
	OPTION_FLAG("help", 0, help, "print this help"),
	OPTION_FLAG("version", 0, version, "print the version"),
	{0},
};
#undef OPTIONS

int settings_read(char **words, struct settings *out, struct failure *why)
{
	struct option_line line = {.next = words, .program = "podswitch-agent"};
	*out = (struct settings){
		.socket = "/run/podswitch/control.sock",
		.cluster_domain = "cluster.local",
		.skip_namespaces = REQUEST_SKIP,
		.known = REQUEST_KNOWN,
		.listen = "127.0.0.1:9470",
		.pod_annotations = true,
		.attach = true,
		.probe = 10,
		.seccomp = true,
		.log_level = LOG_INFO,
	};
	int error = option_read_environment(settings_options, out, why);
	if (!error && !out->node)
		out->node = getenv("NODE_NAME");
	if (!error)
		error = option_read_line(settings_options, 0, &line, out, why);
	if (!error && !out->help && !out->version && !out->check && !out->node)
		error = fail(why, -EINVAL, "node", "which node is this? give --node, or NODE_NAME by the downward API");
	return error;
}

void settings_help(FILE *out)
{
	fputs("usage: podswitch-agent [OPTIONS]\n"
	      "Gives this node's pods the gateways that their annotations name.\n\n",
	      out);
	option_help(settings_options, 0, 38, out);
	fputs("\nEach option may also be given as PODSWITCH_OPTION in the environment.\n", out);
}
