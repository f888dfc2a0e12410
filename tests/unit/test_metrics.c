/* SPDX-License-Identifier: Apache-2.0 */
/* test_metrics.c - the agent's figures: every line in its place, as Prometheus' text format has it */
#include "control/kube/metrics.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#undef fail /* cmocka has a macro of the name of our function */

static struct histogram seconds;

void reconciler_count(const struct reconciler *attach, struct reconciler_counters *out)
{
	(void)attach;
	*out = (struct reconciler_counters){.attachments = 9,
					    .ready = 4,
					    .pending = 3,
					    .refused = 2,
					    .lost = 5,
					    .kept_networks = 17,
					    .left_out = 6,
					    .bypassed = 6,
					    .uncalled = 7,
					    .seconds = &seconds};
}

void reconciler_visit_paths(const struct reconciler *attach,
			    void (*visit)(void *context, const char *gateway, const struct address *endpoint, bool up),
			    void *context)
{
	struct address endpoint;

	(void)attach;
	address_parse("10.244.2.5", &endpoint);
	visit(context, "media/vpn", &endpoint, true);
	address_parse("10.244.1.9", &endpoint);
	visit(context, "media/vpn", &endpoint, false);
}

void cluster_count(const struct cluster *cluster,
		   void (*visit)(void *context, const char *what, const struct watch_counters *counters, bool live),
		   void *context)
{
	const struct watch_counters counters = {.lists = 11, .events = 12, .errors = 13, .silent = 14};

	(void)cluster;
	visit(context, "pods of this node", &counters, true);
	visit(context, "namespaces", &counters, false);
}

void kube_count(const struct kube *kube, struct kube_counters *out)
{
	(void)kube;
	*out = (struct kube_counters){.failures = 21};
}

bool kube_reachable(const struct kube *kube)
{
	(void)kube;
	return true;
}

void switch_metrics_write(FILE *out, struct podswitchd *podswitchd, const struct reconciler *reconciler)
{
	(void)podswitchd;
	(void)reconciler;
	prometheus_gauge(out, "podswitch_switch_up", "Whether podswitchd answers.", 1);
}

static char *write_all(void)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	const struct chain_counters chain = {.kept = true, .contested = true, .rewrites = 41, .programs = 42};
	metrics_write(out, NULL, NULL, NULL, NULL);
	metrics_write_chain(out, &chain);
	metrics_write_chain(out, &(struct chain_counters){0});
	metrics_write_health(out, &(struct health_counters){.clients = 51, .slow = 52, .idle = 54, .crowded = 53});
	fclose(out);
	return text;
}

static void figures(void **state)
{
	static const char *const lines[] = {
		"podswitch_pods{state=\"ready\"} 4\n",
		"podswitch_pods{state=\"pending\"} 3\n",
		"podswitch_pods{state=\"refused\"} 2\n",
		"podswitch_gateway_lost_total 5\n",
		"podswitch_gateway_path_up{gateway=\"media/vpn\",endpoint=\"10.244.2.5\"} 1\n",
		"podswitch_gateway_path_up{gateway=\"media/vpn\",endpoint=\"10.244.1.9\"} 0\n",
		"podswitch_agent_kept_networks 17\n",
		"podswitch_agent_kept_networks_left_out 6\n",
		"podswitch_agent_bypassed_pods_total 6\n",
		"podswitch_agent_uncalled_pods_total 7\n",
		"podswitch_agent_cni_in_force 0\n",
		"podswitch_agent_cni_contested 1\n",
		"podswitch_agent_cni_astray 0\n",
		"podswitch_agent_cni_rewrites_total 41\n",
		"podswitch_agent_cni_programs_total 42\n",
		"podswitch_agent_http_clients 51\n",
		"podswitch_agent_http_cut_total{reason=\"slow\"} 52\n",
		"podswitch_agent_http_cut_total{reason=\"idle\"} 54\n",
		"podswitch_agent_http_cut_total{reason=\"crowded\"} 53\n",
		"podswitch_attach_seconds_bucket{le=\"0.01\"} 1\n",
		"podswitch_attach_seconds_bucket{le=\"0.1\"} 1\n",
		"podswitch_attach_seconds_bucket{le=\"0.25\"} 2\n",
		"podswitch_attach_seconds_bucket{le=\"60\"} 2\n",
		"podswitch_attach_seconds_bucket{le=\"+Inf\"} 3\n",
		"podswitch_attach_seconds_sum 100.21\n",
		"podswitch_attach_seconds_count 3\n",
		"podswitch_api_reachable 1\n",
		"podswitch_api_failures_total 21\n",
		"podswitch_watch_live{of=\"pods of this node\"} 1\n",
		"podswitch_watch_live{of=\"namespaces\"} 0\n",
		"podswitch_watch_lists_total{of=\"namespaces\"} 11\n",
		"podswitch_watch_events_total{of=\"namespaces\"} 12\n",
		"podswitch_watch_errors_total{of=\"namespaces\"} 13\n",
		"podswitch_watch_silent_total{of=\"namespaces\"} 14\n",
		"podswitch_switch_up 1\n",
	};

	(void)state;
	histogram_add(&seconds, 0.01);
	histogram_add(&seconds, 0.2);
	histogram_add(&seconds, 100);
	char *text = write_all();
	assert_non_null(strstr(text, "podswitch_agent_info{version=\"" PODSWITCH_VERSION "\"} 1\n"));
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		if (!strstr(text, lines[i]))
			assert_string_equal(text, lines[i]);
	free(text);
}

/* Each line is of the metric that the # TYPE before it named, and each metric is named once. */
static void format(void **state)
{
	char name[128] = "", seen[4096] = " ";

	(void)state;
	char *text = write_all(), *rest = NULL;
	for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
		if (!strncmp(line, "# HELP ", 7))
			continue;
		if (!strncmp(line, "# TYPE ", 7)) {
			snprintf(name, sizeof(name), " %.*s ", (int)strcspn(line + 7, " "), line + 7);
			assert_null(strstr(seen, name));
			snprintf(seen + strlen(seen), sizeof(seen) - strlen(seen), "%s", name);
			continue;
		}
		size_t length = strlen(name) - 2;
		assert_int_equal(strncmp(line, name + 1, length), 0);
		assert_non_null(strchr("{ _", line[length]));
	}
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(figures),
		cmocka_unit_test(format),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
