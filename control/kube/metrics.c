/* SPDX-License-Identifier: Apache-2.0 */
/* metrics.c - the agent's metrics in Prometheus' text format */
#include "control/kube/metrics.h"
#include "control/kube/prometheus.h"
#include "control/kube/switch_metrics.h"

#include <stddef.h>
#include <string.h>

static void write_pods(FILE *out, const struct reconciler_counters *counters)
{
	prometheus_head(out, "podswitch_pods", "gauge", "Pods of this node that have or want a gateway, by state.");
	prometheus_labelled(out, "podswitch_pods", "state", "ready", counters->ready);
	prometheus_labelled(out, "podswitch_pods", "state", "pending", counters->pending);
	prometheus_labelled(out, "podswitch_pods", "state", "refused", counters->refused);
	prometheus_counter(out, "podswitch_gateway_lost_total", "Times a gateway stopped answering a pod.",
			   (long long)counters->lost);
	prometheus_gauge(out, "podswitch_agent_kept_networks", "Networks that stay on pods' first interface.",
			 counters->kept_networks);
	prometheus_gauge(out, "podswitch_agent_kept_networks_left_out",
			 "Networks that should stay there and do not, as there are too many, or as they are too wide.",
			 counters->left_out);
	prometheus_counter(out, "podswitch_agent_bypassed_pods_total",
			   "Pods with a gateway that were started without podswitch-cni.",
			   (long long)counters->bypassed);
	prometheus_counter(out, "podswitch_agent_uncalled_pods_total",
			   "Pods, with a gateway or without, that podswitch-cni was not called for.",
			   (long long)counters->uncalled);
	prometheus_histogram(out, "podswitch_attach_seconds", "From a pod's CNI ADD to its gateway's answer.",
			     counters->seconds);
}

/* All lines of a metric have to stand together, so we go over all watches once per metric. */
struct watch_metric {
	FILE *out;
	const char *name;
	size_t member; /* offset in watch_counters; SIZE_MAX: whether the watch is live */
};

static void metrics_write_watch(void *context, const char *what, const struct watch_counters *counters, bool live)
{
	const struct watch_metric *metric = context;
	uint64_t value = live;
	if (metric->member != SIZE_MAX)
		memcpy(&value, (const char *)counters + metric->member, sizeof(value));
	prometheus_labelled(metric->out, metric->name, "of", what, (long long)value);
}

static void write_watches(FILE *out, const struct cluster *cluster)
{
	static const struct {
		const char *name, *type, *help;
		size_t member;
	} all[] = {
		{"podswitch_watch_live", "gauge", "Whether changes are being heard.", SIZE_MAX},
		{"podswitch_watch_lists_total", "counter", "Complete lists read.",
		 offsetof(struct watch_counters, lists)},
		{"podswitch_watch_events_total", "counter", "Changes heard.", offsetof(struct watch_counters, events)},
		{"podswitch_watch_errors_total", "counter", "Tries that failed.",
		 offsetof(struct watch_counters, errors)},
		{"podswitch_watch_silent_total", "counter", "Streams opened anew as nothing was heard by them.",
		 offsetof(struct watch_counters, silent)},
	};
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		struct watch_metric metric = {out, all[i].name, all[i].member};
		prometheus_head(out, all[i].name, all[i].type, all[i].help);
		cluster_count(cluster, metrics_write_watch, &metric);
	}
}

static void write_path(void *context, const char *gateway, const struct address *endpoint, bool up)
{
	char address[ADDRESS_TEXT];
	fprintf(context, "podswitch_gateway_path_up{gateway=\"%s\",endpoint=\"%s\"} %d\n", gateway,
		address_format(endpoint, address), up);
}

static void write_paths(FILE *out, const struct reconciler *reconciler)
{
	prometheus_head(
		out, "podswitch_gateway_path_up", "gauge",
		"Whether an endpoint of a gateway with podswitch.io/probe answers a pod of this node and forwards.");
	reconciler_visit_paths(reconciler, write_path, out);
}

static void write_api(FILE *out, const struct kube *kube)
{
	struct kube_counters counters;
	kube_count(kube, &counters);
	prometheus_gauge(out, "podswitch_api_reachable", "Whether the API server answers.", kube_reachable(kube));
	prometheus_counter(out, "podswitch_api_failures_total", "Requests to the API server that failed.",
			   (long long)counters.failures);
}

void metrics_write(FILE *out, const struct reconciler *reconciler, const struct cluster *cluster,
		   const struct kube *kube, struct podswitchd *podswitchd)
{
	struct reconciler_counters counters;
	reconciler_count(reconciler, &counters);
	prometheus_head(out, "podswitch_agent_info", "gauge", "The agent's version.");
	prometheus_labelled(out, "podswitch_agent_info", "version", PODSWITCH_VERSION, 1);
	write_pods(out, &counters);
	write_paths(out, reconciler);
	write_api(out, kube);
	write_watches(out, cluster);
	switch_metrics_write(out, podswitchd, reconciler);
}

void metrics_write_chain(FILE *out, const struct chain_counters *counters)
{
	if (!counters->kept)
		return;
	prometheus_gauge(out, "podswitch_agent_cni_in_force",
			 "Whether all pods that start now are started through podswitch-cni.", counters->in_force);
	prometheus_gauge(out, "podswitch_agent_cni_contested",
			 "Whether another program takes podswitch-cni out of the node's CNI configuration.",
			 counters->contested);
	prometheus_gauge(out, "podswitch_agent_cni_astray",
			 "Whether the container runtime reads other CNI folders than the DaemonSet has.",
			 counters->astray);
	prometheus_counter(out, "podswitch_agent_cni_rewrites_total",
			   "Times podswitch-cni was put into the node's CNI configuration.",
			   (long long)counters->rewrites);
	prometheus_counter(out, "podswitch_agent_cni_programs_total", "Times podswitch-cni's program was put back.",
			   (long long)counters->programs);
}

void metrics_write_health(FILE *out, const struct health_counters *counters)
{
	prometheus_gauge(out, "podswitch_agent_http_clients", "Connections to /healthz, /readyz and /metrics.",
			 counters->clients);
	prometheus_head(out, "podswitch_agent_http_cut_total", "counter",
			"Connections ended for being slow or idle, or to make room for newer ones.");
	prometheus_labelled(out, "podswitch_agent_http_cut_total", "reason", "slow", (long long)counters->slow);
	prometheus_labelled(out, "podswitch_agent_http_cut_total", "reason", "idle", (long long)counters->idle);
	prometheus_labelled(out, "podswitch_agent_http_cut_total", "reason", "crowded", (long long)counters->crowded);
}
