/* SPDX-License-Identifier: Apache-2.0 */
/* test_switch_metrics.c - podswitchd's figures as Prometheus reads them, with pods where podswitchd has ports */
#include "control/kube/switch_metrics.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>
#undef fail /* cmocka has a macro of the name of our function */

static const char report[] =
	"{'version': '1.2.3', 'io': 'uring', 'uptime': 5.0, 'fdb_entries': 7, 'workers': [[11, 12, 13], [21, 22, 23]],"
	" 'drops': {'runt': 3, 'vlan': 0},"
	" 'ports': [{'name': 'media.web-0@aaaabbbbcccc', 'gateway': 'vpn.home@10.244.1.9', 'state': 'up', 'client': "
	"'ready',"
	"            'lease': true, 'queues': 8, 'counters': [101, 102, 103, 104], 'drops': {'runt': 3}},"
	"           {'name': 'media.web-0@ddddeeeeffff', 'gateway': 'none', 'state': 'detached', 'client': 'off',"
	"            'lease': false, 'queues': 1, 'counters': [1, 2, 3, 4], 'drops': {}},"
	"           {'name': 'byhand', 'gateway': 'own', 'state': 'up', 'client': 'lost',"
	"            'lease': true, 'queues': 1, 'counters': [5, 6, 7, 8], 'drops': {}}],"
	" 'gateways': [{'name': 'vpn.home@10.244.1.9', 'ports': 1, 'remotes': 1, 'silent': false,"
	"               'counters': [201, 202, 203, 204], 'drops': {'ecn': 9},"
	"               'answers': {'buckets': [0,0,0,1,2,2,2,2,2,2,2,2,2,2,2,2,2,2], 'n': 2, 'sum': 0.0025}},"
	"              {'name': 'own', 'ports': 1, 'remotes': 2, 'silent': true, 'counters': [0, 0, 0, 0], 'drops': {},"
	"               'answers': {'buckets': [], 'n': 0, 'sum': 0}}]}";

static int errors[2]; /* of metrics.get and stats.get */
static int refusal;   /* the code of the first */

int podswitchd_call(struct podswitchd *podswitchd, const char *method, json_t *params, json_t **result, int *code,
		    struct failure *why)
{
	bool stats = !strcmp(method, "stats.get");
	char text[sizeof(report)];
	(void)podswitchd;
	(void)why;
	assert_null(params);
	if (!stats)
		assert_string_equal(method, "metrics.get");
	if (code)
		*code = refusal;
	if (errors[stats])
		return errors[stats];
	memcpy(text, report, sizeof(text));
	for (char *c = text; (c = strchr(c, '\''));)
		*c = '"';
	*result = json_loads(text, 0, NULL);
	assert_non_null(*result);
	return 0;
}

/* The pod's later sandbox; the earlier one has a port for a moment yet. */
void reconciler_visit_ports(const struct reconciler *reconciler,
			    void (*visit)(void *context, const char *port, const char *namespace, const char *pod),
			    void *context)
{
	(void)reconciler;
	visit(context, "media.web-0@aaaabbbbcccc", "media", "web-0");
}

static char *written(void)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);
	switch_metrics_write(out, NULL, NULL);
	fclose(out);
	return text;
}

static void each_figure_has_its_line(void **state)
{
	(void)state;
#define WEB "namespace=\"media\",pod=\"web-0\",gateway=\"vpn/home\""
#define VPN "gateway=\"vpn/home\",endpoint=\"10.244.1.9\""
	static const char *const lines[] = {
		"podswitch_switch_up 1\n",
		"podswitch_switch_info{version=\"1.2.3\",io=\"uring\"} 1\n",
		"podswitch_table_entries 7\n",
		"podswitch_drops_total{reason=\"runt\"} 3\n",
		"podswitch_drops_total{reason=\"vlan\"} 0\n",
		"podswitch_worker_rounds_total{worker=\"1\"} 21\n",
		"podswitch_worker_events_total{worker=\"0\"} 12\n",
		"podswitch_worker_starved_total{worker=\"1\"} 23\n",
		"podswitch_port_up{" WEB "} 1\n",
		"podswitch_port_ready{" WEB "} 1\n",
		"podswitch_port_sent_packets_total{" WEB "} 101\n",
		"podswitch_port_sent_bytes_total{" WEB "} 102\n",
		"podswitch_port_received_packets_total{" WEB "} 103\n",
		"podswitch_port_received_bytes_total{" WEB "} 104\n",
		"podswitch_port_drops_total{" WEB ",reason=\"runt\"} 3\n",
		"podswitch_port_up{namespace=\"\",pod=\"media.web-0@ddddeeeeffff\",gateway=\"none\"} 0\n",
		"podswitch_port_ready{namespace=\"\",pod=\"byhand\",gateway=\"own\"} 0\n",
		"podswitch_gateway_pods{" VPN "} 1\n",
		"podswitch_gateway_leases{" VPN "} 1\n",
		"podswitch_gateway_leases{gateway=\"own\",endpoint=\"\"} 1\n",
		"podswitch_gateway_remotes{gateway=\"own\",endpoint=\"\"} 2\n",
		"podswitch_gateway_silent{" VPN "} 0\n",
		"podswitch_gateway_silent{gateway=\"own\",endpoint=\"\"} 1\n",
		"podswitch_gateway_sent_packets_total{" VPN "} 201\n",
		"podswitch_gateway_sent_bytes_total{" VPN "} 202\n",
		"podswitch_gateway_received_packets_total{" VPN "} 203\n",
		"podswitch_gateway_received_bytes_total{" VPN "} 204\n",
		"podswitch_gateway_drops_total{" VPN ",reason=\"ecn\"} 9\n",
		"podswitch_gateway_probe_seconds_bucket{" VPN ",le=\"0.001\"} 1\n",
		"podswitch_gateway_probe_seconds_bucket{" VPN ",le=\"0.0025\"} 2\n",
		"podswitch_gateway_probe_seconds_bucket{" VPN ",le=\"+Inf\"} 2\n",
		"podswitch_gateway_probe_seconds_sum{" VPN "} 0.0025\n",
		"podswitch_gateway_probe_seconds_count{" VPN "} 2\n",
	};
	errors[0] = refusal = 0;
	char *text = written();
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		if (!strstr(text, lines[i]))
			assert_string_equal(text, lines[i]);
	free(text);
}

/* Prometheus refuses all of a node's figures for two lines of one name and labels. */
static void no_line_is_there_twice(void **state)
{
	(void)state;
	errors[0] = refusal = 0;
	char *text = written(), *rest = NULL, *seen[1024];
	size_t n = 0;
	for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
		if (*line != '#')
			*strrchr(line, ' ') = 0;
		for (size_t i = 0; i < n; i++)
			assert_string_not_equal(seen[i], line);
		assert_true(n < sizeof(seen) / sizeof(seen[0]));
		seen[n++] = line;
	}
	free(text);
}

static void an_older_podswitchd_has_its_drops(void **state)
{
	(void)state;
	errors[0] = -EREMOTEIO;
	refusal = JSONRPC_UNKNOWN_METHOD;
	char *text = written();
	assert_non_null(strstr(text, "podswitch_switch_up 1\n"));
	assert_non_null(strstr(text, "podswitch_drops_total{reason=\"runt\"} 3\n"));
	assert_null(strstr(text, "podswitch_port_"));
	free(text);
}

static void one_that_does_not_answer_is_down(void **state)
{
	(void)state;
	errors[0] = -ETIMEDOUT;
	refusal = 0;
	char *text = written();
	assert_non_null(strstr(text, "podswitch_switch_up 0\n"));
	assert_null(strstr(text, "drops_total"));
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_figure_has_its_line),
		cmocka_unit_test(no_line_is_there_twice),
		cmocka_unit_test(an_older_podswitchd_has_its_drops),
		cmocka_unit_test(one_that_does_not_answer_is_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
