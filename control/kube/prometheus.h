/* SPDX-License-Identifier: Apache-2.0 */
/*
 * prometheus.h - lines of Prometheus' text format 0.0.4
 *
 * All lines of a metric have to stand together, behind its head. Names are whole ones, so that they can be searched
 * for. Errors are left to ferror(). Any thread.
 */
#ifndef PODSWITCH_PROMETHEUS_H
#define PODSWITCH_PROMETHEUS_H

#include "tap/base/histogram.h"

#include <stdio.h>

/* `type` is "counter", "gauge" or "histogram". */
void prometheus_head(FILE *out, const char *name, const char *type, const char *help);

/* A value with one label; `text` has neither quotes, backslashes nor newlines. */
void prometheus_labelled(FILE *out, const char *name, const char *label, const char *text, long long value);

/* A head and the one value without labels. */
void prometheus_gauge(FILE *out, const char *name, const char *help, long long value);
void prometheus_counter(FILE *out, const char *name, const char *help, long long value);

/* The lines of a histogram, in seconds; `labels` as they stand between braces, or "". */
void prometheus_buckets(FILE *out, const char *name, const char *labels, const struct histogram *seconds);

/* A head, and the lines of one without labels. */
void prometheus_histogram(FILE *out, const char *name, const char *help, const struct histogram *seconds);

#endif
