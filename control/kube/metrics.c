/* SPDX-License-Identifier: Apache-2.0 */
/* metrics.c - the agent's figures in Prometheus' text format */
#include "control/kube/metrics.h"

#include <inttypes.h>
#include <stddef.h>
#include <string.h>

static void head(FILE *out, const char *name, const char *type, const char *help)
{
	fprintf(out, "# HELP podswitch_%s %s\n# TYPE podswitch_%s %s\n", name, help, name, type);
}

static void write_pods(FILE *out, const struct reconciler_counters *counters)
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

/* The lines of one metric have to stand together, so that each goes over all watches. */
struct watch_metric {
	FILE *out;
	const char *name;
	size_t member; /* of watch_counters; SIZE_MAX: whether it is live */
};

static void metrics_write_watch(void *context, const char *what, const struct watch_counters *counters, bool live)
{
	const struct watch_metric *metric = context;
	uint64_t value = live;
	if (metric->member != SIZE_MAX)
		memcpy(&value, (const char *)counters + metric->member, sizeof(value));
	fprintf(metric->out, "podswitch_%s{of=\"%s\"} %" PRIu64 "\n", metric->name, what, value);
}

static void write_watches(FILE *out, const struct cluster *cluster)
{
	static const struct {
		const char *name, *type, *help;
		size_t member;
	} all[] = {
		{"watch_live", "gauge", "Whether changes are being heard.", SIZE_MAX},
		{"watch_lists_total", "counter", "Complete lists read.", offsetof(struct watch_counters, lists)},
		{"watch_events_total", "counter", "Changes heard.", offsetof(struct watch_counters, events)},
		{"watch_errors_total", "counter", "Tries that failed.", offsetof(struct watch_counters, errors)},
	};
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		struct watch_metric metric = {out, all[i].name, all[i].member};
		head(out, all[i].name, all[i].type, all[i].help);
		cluster_count(cluster, metrics_write_watch, &metric);
	}
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

static void write_switch(FILE *out, struct podswitchd *podswitchd)
{
	json_t *stats = NULL, *value;
	const char *key;
	int error = podswitchd_call(podswitchd, "stats.get", NULL, &stats, NULL, NULL);
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

void metrics_write(FILE *out, const struct reconciler *reconciler, const struct cluster *cluster,
		   const struct kube *kube, struct podswitchd *podswitchd)
{
	struct reconciler_counters counters;
	reconciler_count(reconciler, &counters);
	head(out, "agent_info", "gauge", "The agent's version.");
	fprintf(out, "podswitch_agent_info{version=\"%s\"} 1\n", PODSWITCH_VERSION);
	write_pods(out, &counters);
	write_histogram(out, counters.seconds);
	write_api(out, kube);
	write_watches(out, cluster);
	write_switch(out, podswitchd);
}
