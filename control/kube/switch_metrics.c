/* SPDX-License-Identifier: Apache-2.0 */
/*
 * switch_metrics.c - podswitchd's figures in Prometheus' text format, with pods where podswitchd has ports
 *
 *     metrics.get -> rows: a report of a port, a gateway or a worker, with the labels of its lines
 *                      |
 *                    for each metric, whose lines have to stand together: a line of each row
 *
 * What podswitchd receives from a pod, the pod has sent: the metrics are named as the pod sees it.
 */
#include "control/kube/switch_metrics.h"
#include "control/base/json.h"
#include "control/kube/prometheus.h"

#include <stdlib.h>
#include <string.h>

#define LABELS 768

struct row {
	const json_t *report;
	char labels[LABELS];
};

struct rows {
	struct row *row;
	size_t n;
};

/* ---- labels ---- */

/* NAMESPACE.SERVICE@ADDRESS is a gateway of the agent's; others have been made by hand. */
static void gateway_labels(const char *name, bool endpoint, char out[static LABELS])
{
	const char *at = strchr(name, '@'), *dot = strchr(name, '.');
	if (!at || !dot || dot > at) {
		snprintf(out, LABELS, "gateway=\"%.191s\"%s", name, endpoint ? ",endpoint=\"\"" : "");
		return;
	}
	int used =
		snprintf(out, LABELS, "gateway=\"%.*s/%.*s\"", (int)(dot - name), name, (int)(at - dot - 1), dot + 1);
	if (endpoint)
		snprintf(out + used, LABELS - (size_t)used, ",endpoint=\"%.191s\"", at + 1);
}

static void note_pod(void *context, const char *port, const char *namespace, const char *pod)
{
	char labels[LABELS];
	snprintf(labels, sizeof(labels), "namespace=\"%s\",pod=\"%s\"", namespace, pod);
	json_object_set_new(context, port, json_string(labels));
}

static void port_labels(const json_t *port, const json_t *pods, char out[static LABELS])
{
	const char *name = json_text(port, "name"), *pod = json_text(pods, name);
	char gateway[LABELS];
	gateway_labels(json_text(port, "gateway"), false, gateway);
	if (*pod)
		snprintf(out, LABELS, "%.500s,%.250s", pod, gateway);
	else
		snprintf(out, LABELS, "namespace=\"\",pod=\"%.191s\",%.250s", name, gateway);
}

static struct rows rows_of(const json_t *list)
{
	struct rows rows = {.row = calloc(json_array_size(list) + 1, sizeof(*rows.row))};
	for (size_t i = 0; rows.row && i < json_array_size(list); i++)
		rows.row[rows.n++].report = json_array_get(list, i);
	return rows;
}

/* ---- lines ---- */

static void write_row(FILE *out, const char *name, const struct row *row, long long value)
{
	fprintf(out, "%s{%s} %lld\n", name, row->labels, value);
}

/* Of the `index`th number of "counters", or of a worker's own list. */
static void write_counters(FILE *out, const struct rows *rows, const char *name, size_t index, const char *help)
{
	prometheus_head(out, name, "counter", help);
	for (size_t i = 0; i < rows->n; i++) {
		const json_t *report = rows->row[i].report;
		const json_t *numbers = json_is_array(report) ? report : json_object_get(report, "counters");
		write_row(out, name, &rows->row[i], json_integer_value(json_array_get(numbers, index)));
	}
}

static void write_members(FILE *out, const struct rows *rows, const char *name, const char *member, const char *help)
{
	prometheus_head(out, name, "gauge", help);
	for (size_t i = 0; i < rows->n; i++)
		write_row(out, name, &rows->row[i], json_integer_value(json_object_get(rows->row[i].report, member)));
}

/* Whether the text of a member is this one. */
static void write_states(FILE *out, const struct rows *rows, const char *name, const char *member, const char *wanted,
			 const char *help)
{
	prometheus_head(out, name, "gauge", help);
	for (size_t i = 0; i < rows->n; i++)
		write_row(out, name, &rows->row[i], !strcmp(json_text(rows->row[i].report, member), wanted));
}

static void write_reasons(FILE *out, const struct rows *rows, const char *name, const char *help)
{
	prometheus_head(out, name, "counter", help);
	for (size_t i = 0; i < rows->n; i++) {
		const char *reason;
		json_t *count, *drops = json_object_get(rows->row[i].report, "drops");
		json_object_foreach(drops, reason, count)
		{
			fprintf(out, "%s{%s,reason=\"%s\"} %lld\n", name, rows->row[i].labels, reason,
				(long long)json_integer_value(count));
		}
	}
}

static struct histogram histogram_of(const json_t *answers)
{
	struct histogram histogram = {.n = (uint64_t)json_integer_value(json_object_get(answers, "n")),
				      .sum = json_number_value(json_object_get(answers, "sum"))};
	const json_t *buckets = json_object_get(answers, "buckets");
	for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++)
		histogram.buckets[i] = (uint64_t)json_integer_value(json_array_get(buckets, i));
	return histogram;
}

/* ---- what there is ---- */

static void write_ports(FILE *out, const struct rows *ports)
{
	write_states(out, ports, "podswitch_port_up", "state", "up", "Whether the pod's interface is at a gateway.");
	write_states(out, ports, "podswitch_port_ready", "client", "ready",
		     "Whether the pod's gateway answers, and has given it an address if it is to.");
	write_counters(out, ports, "podswitch_port_sent_packets_total", 0, "Frames that the pod has sent.");
	write_counters(out, ports, "podswitch_port_sent_bytes_total", 1, "Bytes of frames that the pod has sent.");
	write_counters(out, ports, "podswitch_port_received_packets_total", 2, "Frames that the pod has received.");
	write_counters(out, ports, "podswitch_port_received_bytes_total", 3,
		       "Bytes of frames that the pod has received.");
	write_reasons(out, ports, "podswitch_port_drops_total",
		      "Frames from or for the pod that were dropped, by reason.");
}

static void write_gateways(FILE *out, const struct rows *gateways)
{
	static const char name[] = "podswitch_gateway_probe_seconds";
	write_members(out, gateways, "podswitch_gateway_pods", "ports", "Pods of this node that are at the gateway.");
	write_members(out, gateways, "podswitch_gateway_leases", "leases",
		      "Pods of this node that have an address from the gateway.");
	write_members(out, gateways, "podswitch_gateway_remotes", "remotes",
		      "Far ends; of a gateway on this node, its clients' nodes and pods.");
	write_members(out, gateways, "podswitch_gateway_silent", "silent",
		      "Whether the gateway is sent datagrams and sends none back.");
	write_counters(out, gateways, "podswitch_gateway_sent_packets_total", 0, "Datagrams sent to the gateway.");
	write_counters(out, gateways, "podswitch_gateway_sent_bytes_total", 1, "Bytes of them.");
	write_counters(out, gateways, "podswitch_gateway_received_packets_total", 2,
		       "Datagrams received from the gateway.");
	write_counters(out, gateways, "podswitch_gateway_received_bytes_total", 3, "Bytes of them.");
	write_reasons(out, gateways, "podswitch_gateway_drops_total",
		      "Datagrams of the gateway that were dropped before they were a pod's, by reason.");
	prometheus_head(out, name, "histogram", "From a question of a pod's port to the gateway's answer.");
	for (size_t i = 0; i < gateways->n; i++) {
		struct histogram answers = histogram_of(json_object_get(gateways->row[i].report, "answers"));
		prometheus_buckets(out, name, gateways->row[i].labels, &answers);
	}
}

static void write_workers(FILE *out, const struct rows *workers)
{
	write_counters(out, workers, "podswitch_worker_rounds_total", 0, "Rounds of a worker's loop.");
	write_counters(out, workers, "podswitch_worker_events_total", 1, "Frames and datagrams that it has read.");
	write_counters(out, workers, "podswitch_worker_starved_total", 2,
		       "Times that something had to wait for the next round, as receive buffers ran out.");
}

static void write_drops(FILE *out, json_t *drops)
{
	const char *reason;
	json_t *count;
	prometheus_head(out, "podswitch_drops_total", "counter", "Frames that podswitchd dropped, by reason.");
	json_object_foreach(drops, reason, count)
	{
		prometheus_labelled(out, "podswitch_drops_total", "reason", reason, json_integer_value(count));
	}
}

/* How many of a gateway's ports have a lease; the reports of gateways get it as a member. */
static void count_leases(const json_t *ports, json_t *gateways)
{
	size_t i;
	json_t *report, *leases = json_object();
	json_array_foreach(ports, i, report)
	{
		const char *gateway = json_text(report, "gateway");
		json_int_t before = json_integer_value(json_object_get(leases, gateway));
		if (json_is_true(json_object_get(report, "lease")))
			json_object_set_new(leases, gateway, json_integer(before + 1));
	}
	json_array_foreach(gateways, i, report)
	{
		json_object_set_new(
			report, "leases",
			json_integer(json_integer_value(json_object_get(leases, json_text(report, "name")))));
		json_object_set_new(report, "silent", json_integer(json_is_true(json_object_get(report, "silent"))));
	}
	json_decref(leases);
}

static void write_report(FILE *out, json_t *report, const json_t *pods)
{
	struct rows ports = rows_of(json_object_get(report, "ports"));
	struct rows gateways = rows_of(json_object_get(report, "gateways"));
	struct rows workers = rows_of(json_object_get(report, "workers"));
	count_leases(json_object_get(report, "ports"), json_object_get(report, "gateways"));
	for (size_t i = 0; i < ports.n; i++)
		port_labels(ports.row[i].report, pods, ports.row[i].labels);
	for (size_t i = 0; i < gateways.n; i++)
		gateway_labels(json_text(gateways.row[i].report, "name"), true, gateways.row[i].labels);
	for (size_t i = 0; i < workers.n; i++)
		snprintf(workers.row[i].labels, LABELS, "worker=\"%zu\"", i);
	prometheus_head(out, "podswitch_switch_info", "gauge", "podswitchd's version, and how it reads and writes.");
	fprintf(out, "podswitch_switch_info{version=\"%s\",io=\"%s\"} 1\n", json_text(report, "version"),
		json_text(report, "io"));
	prometheus_gauge(out, "podswitch_table_entries", "Entries of the forwarding table.",
			 json_integer_value(json_object_get(report, "fdb_entries")));
	write_workers(out, &workers);
	write_ports(out, &ports);
	write_gateways(out, &gateways);
	free(ports.row);
	free(gateways.row);
	free(workers.row);
}

void switch_metrics_write(FILE *out, struct podswitchd *podswitchd, const struct reconciler *reconciler)
{
	json_t *report = NULL;
	int code = 0, error = podswitchd_call(podswitchd, "metrics.get", NULL, &report, &code, NULL);
	bool old = error == -EREMOTEIO && code == JSONRPC_UNKNOWN_METHOD;
	if (old)
		error = podswitchd_call(podswitchd, "stats.get", NULL, &report, NULL, NULL);
	prometheus_gauge(out, "podswitch_switch_up", "Whether podswitchd answers.", !error);
	if (error)
		return;
	write_drops(out, json_object_get(report, "drops"));
	if (!old) {
		json_t *pods = json_object();
		reconciler_visit_ports(reconciler, note_pod, pods);
		write_report(out, report, pods);
		json_decref(pods);
	}
	json_decref(report);
}
