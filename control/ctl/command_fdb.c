/* SPDX-License-Identifier: Apache-2.0 */
/* command_fdb.c - podswitchctl fdb: which MAC is behind which port or remote */
#include "control/base/json.h"
#include "control/ctl/ctl.h"
#include "control/ctl/table.h"

#include <string.h>

static const struct table_column columns[] = {
	{"GATEWAY", false}, {"VNI", true},   {"MAC", false}, {"PORT", false},
	{"REMOTE", false},  {"KIND", false}, {"AGE", true},
};

/* Only learned entries age. */
static void add_age(struct table *table, const json_t *item)
{
	const char *kind = json_text(item, "kind");
	const json_t *age = json_object_get(item, "age");
	char text[32];
	if (!json_is_number(age) || (*kind && strcmp(kind, "learned") != 0)) {
		table_add(table, NULL);
		return;
	}
	snprintf(text, sizeof(text), "%.0fs", json_number_value(age));
	table_add(table, text);
}

static void fdb_add_row(struct table *table, const json_t *item)
{
	static const char *const keys[] = {"gateway", "vni", "mac", "port", "remote", "kind", NULL};
	table_add_members(table, keys, item);
	add_age(table, item);
}

static int fdb_print_list(FILE *out, json_t *list)
{
	return table_print_list(columns, sizeof(columns) / sizeof(columns[0]), list, fdb_add_row, out);
}

/* The result is the count, or an object with that one number. */
static int print_flushed(FILE *out, json_t *result)
{
	long long count = json_is_integer(result) ? json_integer_value(result) : json_sum(result);
	fprintf(out, "%lld learned %s forgotten\n", count, count == 1 ? "entry" : "entries");
	return 0;
}

const struct command fdb_commands[] = {
	{
		.object = "fdb",
		.name = "list",
		.method = "fdb.list",
		.help = "lists which MAC is behind which port or remote",
		.options = fdb_filter_options,
		.print = fdb_print_list,
	},
	{
		.object = "fdb",
		.name = "add",
		.method = "fdb.add",
		.help = "adds a static entry, which never ages and never moves",
		.options = fdb_entry_options,
		.required = {"gateway", "mac"},
		.either = {"port", "remote"},
	},
	{
		.object = "fdb",
		.name = "remove",
		.method = "fdb.remove",
		.help = "removes an entry",
		.options = fdb_key_options,
		.required = {"gateway", "mac"},
	},
	{
		.object = "fdb",
		.name = "flush",
		.method = "fdb.flush",
		.help = "forgets learned entries; static and local ones stay",
		.options = fdb_filter_options,
		.print = print_flushed,
	},
	{0},
};
