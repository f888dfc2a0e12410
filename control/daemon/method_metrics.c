/* SPDX-License-Identifier: Apache-2.0 */
/*
 * method_metrics.c - metrics.get: all figures in one short answer, for who asks often
 *
 * What does not change, and drops that did not happen, are left out; counters are numbers in the order in which
 * switch_config.h has them. So a port takes 150 bytes, where port.list has a thousand.
 */
#include "control/daemon/method.h"
#include "tap/base/histogram.h"

#include <string.h>

#define COUNTED 50 /* ports of which the kernel is asked at each call what it dropped: a visit to a namespace each */

static json_t *numbers_json(const uint64_t *numbers, size_t n)
{
	json_t *list = json_array();

	for (size_t i = 0; i < n; i++)
		json_array_append_new(list, json_integer((json_int_t)numbers[i]));
	return list;
}

static json_t *happened_json(const uint64_t drops[static DROP_COUNT])
{
	json_t *reasons = json_object();

	for (int reason = 0; reason < DROP_COUNT; reason++)
		if (drops[reason])
			json_object_set_new(reasons, drop_name((enum drop)reason),
					    json_integer((json_int_t)drops[reason]));
	return reasons;
}

static json_t *histogram_json(const struct histogram *histogram)
{
	return json_pack("{s:o, s:I, s:f}", "buckets", numbers_json(histogram->buckets, HISTOGRAM_BUCKETS), "n",
			 (json_int_t)histogram->n, "sum", histogram->sum);
}

static void append_port_figures(void *context, const struct port_status *status)
{
	const struct port_counters *counters = &status->counters;
	const uint64_t numbers[] = {counters->rx_frames, counters->rx_bytes, counters->tx_frames, counters->tx_bytes};

	json_array_append_new(context, json_pack("{s:s, s:s, s:s, s:s, s:b, s:i, s:o, s:o}", "name",
						 status->config->name, "gateway", status->config->gateway, "state",
						 status->state, "client", status->client.state, "lease",
						 status->client.lease != 0, "queues", (int)status->queues, "counters",
						 numbers_json(numbers, sizeof(numbers) / sizeof(numbers[0])), "drops",
						 happened_json(counters->drops)));
}

static void append_gateway_figures(void *context, const struct gateway_status *status)
{
	const struct gateway_counters *counters = &status->counters;
	const uint64_t numbers[] = {counters->tx_datagrams, counters->tx_bytes, counters->rx_datagrams,
				    counters->rx_bytes};

	json_array_append_new(context,
			      json_pack("{s:s, s:i, s:i, s:b, s:o, s:o, s:o}", "name", status->config->name, "ports",
					(int)status->ports, "remotes", (int)status->n_remotes, "silent",
					status->silence.reason != NULL, "counters",
					numbers_json(numbers, sizeof(numbers) / sizeof(numbers[0])), "drops",
					happened_json(counters->drops), "answers", histogram_json(status->answers)));
}

static json_t *worker_figures(const struct switch_status *status)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < status->workers && i < SWITCH_MAX_WORKERS; i++) {
		const struct worker_status *worker = &status->worker[i];
		const uint64_t numbers[] = {worker->rounds, worker->events, worker->starved};
		json_array_append_new(list, numbers_json(numbers, sizeof(numbers) / sizeof(numbers[0])));
	}
	return list;
}

int method_metrics_get(struct call *call, struct failure *why)
{
	struct vswitch *vs = call->methods->vs;
	struct switch_status status = {0};

	int error = call_no_params(call, why);
	if (error)
		return error;
	json_t *ports = json_array(), *gateways = json_array();
	switch_count_some_overruns(vs, COUNTED);
	switch_report(vs, &status);
	switch_visit_ports(vs, NULL, append_port_figures, ports);
	switch_visit_gateways(vs, NULL, append_gateway_figures, gateways);
	call->result = json_pack("{s:s, s:s, s:f, s:I, s:o, s:o, s:o, s:o}", "version", PODSWITCH_VERSION, "io",
				 status.io, "uptime", status.uptime, "fdb_entries", (json_int_t)status.fdb_entries,
				 "workers", worker_figures(&status), "drops", drops_json(status.drops), "ports", ports,
				 "gateways", gateways);
	return 0;
}
