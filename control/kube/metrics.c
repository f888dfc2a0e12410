/* SPDX-License-Identifier: Apache-2.0 */
/* metrics.c - the agent's figures in Prometheus' text format */
#include "control/kube/metrics.h"

#include <inttypes.h>

static void head(FILE *out, const char *name, const char *type, const char *help)
{
	fprintf(out, "# HELP podswitch_%s %s\n# TYPE podswitch_%s %s\n", name, help, name, type);
}

static void write_pods(FILE *out, const struct attach_counters *counters)
{
	head(out, "pods", "gauge", "Pods of this node that have or want a gateway, by state.");
	fprintf(out, "podswitch_pods{state=\"ready\"} %u\n", counters->ready);
	fprintf(out, "podswitch_pods{state=\"pending\"} %u\n", counters->pending);
	fprintf(out, "podswitch_pods{state=\"refused\"} %u\n", counters->refused);
	head(out, "gateway_lost_total", "counter", "Times a gateway stopped answering a pod.");
	fprintf(out, "podswitch_gateway_lost_total %" PRIu64 "\n", counters->lost);
}

static void write_histogram(FILE *out, const struct histogram *seconds)
{
	head(out, "attach_seconds", "histogram", "From a pod's CNI ADD to its gateway's answer.");
	for (int i = 0; i < HISTOGRAM_BUCKETS; i++)
		fprintf(out, "podswitch_attach_seconds_bucket{le=\"%g\"} %" PRIu64 "\n", histogram_bounds[i],
			seconds->buckets[i]);
	fprintf(out, "podswitch_attach_seconds_bucket{le=\"+Inf\"} %" PRIu64 "\n", seconds->n);
	fprintf(out, "podswitch_attach_seconds_sum %g\npodswitch_attach_seconds_count %" PRIu64 "\n", seconds->sum,
		seconds->n);
}

static void write_watch(void *context, const char *what, const struct watch_counters *counters, bool live)
{
	FILE *out = context;
	fprintf(out, "podswitch_watch_live{of=\"%s\"} %d\n", what, live);
	fprintf(out, "podswitch_watch_lists_total{of=\"%s\"} %" PRIu64 "\n", what, counters->lists);
	fprintf(out, "podswitch_watch_events_total{of=\"%s\"} %" PRIu64 "\n", what, counters->events);
	fprintf(out, "podswitch_watch_errors_total{of=\"%s\"} %" PRIu64 "\n", what, counters->errors);
}

static void write_api(FILE *out, const struct kube *kube)
{
	struct kube_counters counters;
	kube_count(kube, &counters);
	head(out, "api_reachable", "gauge", "Whether the API server answers.");
	fprintf(out, "podswitch_api_reachable %d\n", kube_reachable(kube));
	head(out, "api_failures_total", "counter", "Requests to the API server that failed.");
	fprintf(out, "podswitch_api_failures_total %" PRIu64 "\n", counters.failures);
}

static void write_switch(FILE *out, struct daemon *daemon)
{
	json_t *stats = NULL, *value;
	const char *key;
	int error = daemon_call(daemon, "stats.get", NULL, &stats, NULL, NULL);
	head(out, "switch_up", "gauge", "Whether podswitchd answers.");
	fprintf(out, "podswitch_switch_up %d\n", !error);
	if (error)
		return;
	head(out, "drops_total", "counter", "Frames that podswitchd dropped, by reason.");
	json_object_foreach(json_object_get(stats, "drops"), key, value)
	{
		fprintf(out, "podswitch_drops_total{reason=\"%s\"} %" JSON_INTEGER_FORMAT "\n", key,
			json_integer_value(value));
	}
	json_decref(stats);
}

void metrics_write(FILE *out, const struct attach *attach, const struct cluster *cluster, const struct kube *kube,
		   struct daemon *daemon)
{
	struct attach_counters counters;
	attach_count(attach, &counters);
	head(out, "agent_info", "gauge", "The agent's version.");
	fprintf(out, "podswitch_agent_info{version=\"%s\"} 1\n", PODSWITCH_VERSION);
	write_pods(out, &counters);
	write_histogram(out, counters.seconds);
	write_api(out, kube);
	cluster_count(cluster, write_watch, out);
	write_switch(out, daemon);
}
