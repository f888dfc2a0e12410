/* SPDX-License-Identifier: Apache-2.0 */
/* monitor.c - podswitchctl monitor: one line per event, as it happens */
#include "control/base/json.h"
#include "control/ctl/ctl.h"

#include <string.h>
#include <time.h>

/* `when` is in seconds since 1970, or a text that podswitchd has formatted. */
static void format_time(const json_t *when, char *out, size_t size)
{
	if (!json_is_number(when)) {
		snprintf(out, size, "%s", json_is_string(when) ? json_string_value(when) : "-");
		return;
	}
	double seconds = json_number_value(when);
	time_t whole = (time_t)seconds;
	char day[32], zone[8];
	struct tm local;
	localtime_r(&whole, &local);
	strftime(day, sizeof(day), "%FT%T", &local);
	strftime(zone, sizeof(zone), "%z", &local);
	snprintf(out, size, "%s.%03d%s", day, (int)((seconds - (double)whole) * 1000), zone);
}

static const char *text_or_dash(const json_t *event, const char *key)
{
	const char *text = json_text(event, key);
	return *text ? text : "-";
}

static void print_event(const struct ctl *ctl, const json_t *event)
{
	char when[64];
	if (ctl->json) {
		ctl_print_json(ctl, event, false);
		return;
	}
	format_time(json_object_get(event, "time"), when, sizeof(when));
	fprintf(ctl->out, "%s %s %s", when, text_or_dash(event, "event"), text_or_dash(event, "name"));
	if (json_object_get(event, "mac") && !json_is_null(json_object_get(event, "mac")))
		fprintf(ctl->out, " %s", text_or_dash(event, "mac"));
	if (json_object_get(event, "missed")) /* "monitor.missed": we read too slowly */
		fprintf(ctl->out, " %lld", (long long)json_integer_value(json_object_get(event, "missed")));
	fputc('\n', ctl->out);
}

static int monitor(struct ctl *ctl, json_t *params, struct failure *why)
{
	json_t *message;
	int error = ctl_stop_on_signals(ctl, why);
	if (error)
		return error;
	error = client_call(&ctl->client, "monitor.start", params, &message, why);
	if (error)
		return error;
	json_decref(message);
	for (;;) {
		error = client_next(&ctl->client, &message, why);
		if (error)
			return error;
		if (!strcmp(json_text(message, "method"), "monitor.event"))
			print_event(ctl, json_object_get(message, "params"));
		json_decref(message);
		error = ctl_flush(ctl, why);
		if (error)
			return error;
	}
}

const struct command monitor_commands[] = {
	{
		.object = "monitor",
		.help = "prints one line per event until it is stopped",
		.run = monitor,
	},
	{0},
};
