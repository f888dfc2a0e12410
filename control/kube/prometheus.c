/* SPDX-License-Identifier: Apache-2.0 */
/* prometheus.c - lines of Prometheus' text format 0.0.4 */
#include "control/kube/prometheus.h"

#include <inttypes.h>

void prometheus_head(FILE *out, const char *name, const char *type, const char *help)
{
	fprintf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

void prometheus_labelled(FILE *out, const char *name, const char *label, const char *text, long long value)
{
	fprintf(out, "%s{%s=\"%s\"} %lld\n", name, label, text, value);
}

void prometheus_gauge(FILE *out, const char *name, const char *help, long long value)
{
	prometheus_head(out, name, "gauge", help);
	fprintf(out, "%s %lld\n", name, value);
}

void prometheus_counter(FILE *out, const char *name, const char *help, long long value)
{
	prometheus_head(out, name, "counter", help);
	fprintf(out, "%s %lld\n", name, value);
}

void prometheus_buckets(FILE *out, const char *name, const char *labels, const struct histogram *seconds)
{
	const char *comma = *labels ? "," : "", *begin = *labels ? "{" : "", *end = *labels ? "}" : "";
	for (int i = 0; i < HISTOGRAM_BUCKETS; i++)
		fprintf(out, "%s_bucket{%s%sle=\"%g\"} %" PRIu64 "\n", name, labels, comma, histogram_bounds[i],
			seconds->buckets[i]);
	fprintf(out, "%s_bucket{%s%sle=\"+Inf\"} %" PRIu64 "\n", name, labels, comma, seconds->n);
	fprintf(out, "%s_sum%s%s%s %g\n", name, begin, labels, end, seconds->sum);
	fprintf(out, "%s_count%s%s%s %" PRIu64 "\n", name, begin, labels, end, seconds->n);
}

void prometheus_histogram(FILE *out, const char *name, const char *help, const struct histogram *seconds)
{
	prometheus_head(out, name, "histogram", help);
	prometheus_buckets(out, name, "", seconds);
}
