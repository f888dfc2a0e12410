/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stats.c - podswitchctl stats: what the switch has done, and with --watch what it is doing
 *
 * With the report of a second before, the tables show rates. The seconds are podswitchd's own (uptime), so a slow
 * terminal does not distort them.
 */
#include "control/base/json.h"
#include "control/ctl/ctl.h"
#include "control/ctl/table.h"

#include <string.h>
#include <unistd.h>

#define WATCH_INTERVAL 1000 /* milliseconds */
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* Two reports, whose difference is shown; `before` is NULL and seconds 0 when there is only one. */
struct interval {
	const json_t *now;
	const json_t *before;
	double seconds;
};

static const char *const worker_keys[] = {"rounds", "events", "starved"};
static const char *const gateway_keys[] = {"encap_frames", "encap_bytes",  "tx_datagrams",
					   "tx_bytes",     "rx_datagrams", "rx_bytes"};

static const struct table_column worker_columns[2][4] = {
	{{"WORKER", true}, {"ROUNDS", true}, {"EVENTS", true}, {"STARVED", true}},
	{{"WORKER", true}, {"ROUNDS/s", true}, {"EVENTS/s", true}, {"STARVED/s", true}},
};

static const struct table_column gateway_columns[2][8] = {
	{{"GATEWAY", false},
	 {"ENCAP-FRAMES", true},
	 {"ENCAP-BYTES", true},
	 {"TX-DATAGRAMS", true},
	 {"TX-BYTES", true},
	 {"RX-DATAGRAMS", true},
	 {"RX-BYTES", true},
	 {"DROPS", true}},
	{{"GATEWAY", false},
	 {"ENCAP-FRAMES/s", true},
	 {"ENCAP-BYTES/s", true},
	 {"TX-DATAGRAMS/s", true},
	 {"TX-BYTES/s", true},
	 {"RX-DATAGRAMS/s", true},
	 {"RX-BYTES/s", true},
	 {"DROPS/s", true}},
};

static const struct table_column drop_columns[] = {{"DROP", false}, {"COUNT", true}, {"PER-SECOND", true}};

static double uptime_of(const json_t *report)
{
	return json_number_value(json_object_get(report, "uptime"));
}

static struct interval span_between(const json_t *now, const json_t *before)
{
	double seconds = before ? uptime_of(now) - uptime_of(before) : 0;
	if (seconds <= 0) /* the first report, or podswitchd was restarted */
		return (struct interval){.now = now};
	return (struct interval){.now = now, .before = before, .seconds = seconds};
}

static void add_rate(struct table *table, long long difference, double seconds)
{
	char text[32];
	snprintf(text, sizeof(text), "%.0f", (double)difference / seconds);
	table_add(table, text);
}

/* A counter, or its rate. One that was not there a second ago started at zero. */
static void add_counter(struct table *table, long long now, long long before, double seconds)
{
	if (seconds > 0)
		add_rate(table, now - before, seconds);
	else
		table_add_number(table, now);
}

static void add_members(struct table *table, const struct interval *interval, const char *const *keys, size_t n)
{
	for (size_t i = 0; i < n; i++)
		add_counter(table, json_integer_value(json_object_get(interval->now, keys[i])),
			    json_integer_value(json_object_get(interval->before, keys[i])), interval->seconds);
}

static void print_uptime(double uptime, FILE *out)
{
	long long whole = (long long)uptime;
	fprintf(out, "uptime %.1f s", uptime);
	if (whole >= 60)
		fprintf(out, " (%lldd %02lld:%02lld:%02lld)", whole / 86400, whole / 3600 % 24, whole / 60 % 60,
			whole % 60);
	fputc('\n', out);
}

/* The two numbers are in an object of their own, or beside the others. */
static void print_fdb(const json_t *now, FILE *out)
{
	const json_t *fdb = json_object_get(now, "fdb");
	const json_t *entries = json_object_get(fdb ? fdb : now, fdb ? "entries" : "fdb_entries");
	const json_t *refused = json_object_get(fdb ? fdb : now, fdb ? "refused" : "fdb_refused");
	if (entries)
		fprintf(out, "fdb    %lld entries, %lld refused\n", (long long)json_integer_value(entries),
			(long long)json_integer_value(refused));
}

static int stats_print_table(struct table *table, FILE *out)
{
	if (!table->n_cells) {
		table_close(table);
		return 0;
	}
	fputc('\n', out);
	return table_finish(table, out);
}

static int print_workers(const struct interval *interval, FILE *out)
{
	const json_t *before = json_object_get(interval->before, "workers");
	struct table table;
	table_open(&table, worker_columns[interval->before != NULL], COUNT(worker_columns[0]));
	size_t i;
	const json_t *worker;
	json_array_foreach(json_object_get(interval->now, "workers"), i, worker)
	{
		struct interval one = {worker, json_array_get(before, i), interval->seconds};
		table_add_number(&table, (long long)i);
		add_members(&table, &one, worker_keys, COUNT(worker_keys));
	}
	return stats_print_table(&table, out);
}

/* A gateway's counters are in its entry, or one level down. */
static const json_t *counters_of(const json_t *gateway)
{
	const json_t *counters = json_object_get(gateway, "counters");
	return counters ? counters : gateway;
}

static int print_gateways(const struct interval *interval, FILE *out)
{
	const json_t *before = json_object_get(interval->before, "gateways");
	struct table table;
	table_open(&table, gateway_columns[interval->before != NULL], COUNT(gateway_columns[0]));
	const char *name;
	json_t *gateway;
	json_object_foreach(json_object_get(interval->now, "gateways"), name, gateway)
	{
		struct interval one = {counters_of(gateway), counters_of(json_object_get(before, name)),
				       interval->seconds};
		table_add(&table, name);
		add_members(&table, &one, gateway_keys, COUNT(gateway_keys));
		add_counter(&table, json_sum(json_object_get(one.now, "drops")),
			    json_sum(json_object_get(one.before, "drops")), interval->seconds);
	}
	return stats_print_table(&table, out);
}

static int print_drops(const struct interval *interval, FILE *out)
{
	const json_t *before = json_object_get(interval->before, "drops");
	struct table table;
	table_open(&table, drop_columns, interval->before ? 3 : 2);
	const char *reason;
	json_t *count;
	json_object_foreach(json_object_get(interval->now, "drops"), reason, count)
	{
		long long now = json_integer_value(count);
		if (!now)
			continue;
		table_add(&table, reason);
		table_add_number(&table, now);
		if (interval->before)
			add_rate(&table, now - json_integer_value(json_object_get(before, reason)), interval->seconds);
	}
	return stats_print_table(&table, out);
}

static int print_report(const json_t *now, const json_t *before, FILE *out)
{
	struct interval interval = span_between(now, before);
	print_uptime(uptime_of(now), out);
	print_fdb(now, out);
	int error = print_workers(&interval, out);
	if (!error)
		error = print_gateways(&interval, out);
	if (!error)
		error = print_drops(&interval, out);
	if (!json_sum(json_object_get(now, "drops")))
		fputs("\nno drops\n", out);
	return error;
}

static int print_block(struct ctl *ctl, const json_t *now, const json_t *before, struct failure *why)
{
	bool screen = isatty(fileno(ctl->out));
	int error = 0;
	if (ctl->json) {
		ctl_print_json(ctl, now, false);
		return ctl_flush(ctl, why);
	}
	if (screen)
		fputs("\033[H\033[J", ctl->out);
	else if (before)
		fputc('\n', ctl->out);
	error = print_report(now, before, ctl->out);
	if (error)
		return fail(why, error, NULL, "cannot print the answer: %s", strerror(-error));
	return ctl_flush(ctl, why);
}

static int stats_watch(struct ctl *ctl, struct failure *why)
{
	json_t *before = NULL, *now = NULL;
	int error = ctl_stop_on_signals(ctl, why);
	while (!error) {
		error = client_call(&ctl->client, "stats.get", NULL, &now, why);
		if (error)
			break;
		error = print_block(ctl, now, before, why);
		json_decref(before);
		before = now;
		if (error)
			break;
		int ready = client_wait(&ctl->client, WATCH_INTERVAL);
		if (ready < 0)
			error = fail(why, ready, NULL, "%s", strerror(-ready));
	}
	json_decref(before);
	return error;
}

static int stats(struct ctl *ctl, json_t *params, struct failure *why)
{
	json_t *now;
	if (json_is_true(json_object_get(params, "watch")))
		return stats_watch(ctl, why);
	int error = client_call(&ctl->client, "stats.get", NULL, &now, why);
	if (error)
		return error;
	if (ctl->json)
		ctl_print_json(ctl, now, true);
	else
		error = print_report(now, NULL, ctl->out);
	json_decref(now);
	return error ? fail(why, error, NULL, "cannot print the answer: %s", strerror(-error)) : 0;
}

#define OPTIONS struct stats_options
struct stats_options {
	bool watch;
};
static const struct option_spec stats_options[] = {
	OPTION_FLAG("watch", 0, watch, "repeat every second, as rates, until stopped; with -j one line per second"),
	{0},
};
#undef OPTIONS

const struct command stats_commands[] = {
	{
		.object = "stats",
		.method = "stats.get",
		.help = "shows the counters of workers and gateways, and what was dropped",
		.options = stats_options,
		.run = stats,
	},
	{0},
};
