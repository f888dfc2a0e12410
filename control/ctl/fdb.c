/* SPDX-License-Identifier: Apache-2.0 */
/* fdb.c - podswitchctl fdb: which MAC is behind which port or remote */
#include "control/ctl/ctl.h"
#include "control/ctl/table.h"

#include <string.h>

static const struct table_column columns[] = {
	{"GATEWAY", false}, {"VNI", true},   {"MAC", false}, {"PORT", false},
	{"REMOTE", false},  {"KIND", false}, {"AGE", true},
};

/* Only what was learned grows old. */
static void add_age(struct table *table, const json_t *item)
{
	const char *kind = json_string_value(json_object_get(item, "kind"));
	const json_t *age = json_object_get(item, "age");
	char text[32];
	if (!json_is_number(age) || (kind && strcmp(kind, "learned"))) {
		table_add(table, NULL);
		return;
	}
	snprintf(text, sizeof(text), "%.0fs", json_number_value(age));
	table_add(table, text);
}

static int fdb_print_list(FILE *out, json_t *list)
{
	struct table table;
	table_open(&table, columns, sizeof(columns) / sizeof(columns[0]));
	size_t i;
	const json_t *item;
	json_array_foreach(list, i, item)
	{
		table_add_json(&table, json_object_get(item, "gateway"));
		table_add_json(&table, json_object_get(item, "vni"));
		table_add_json(&table, json_object_get(item, "mac"));
		table_add_json(&table, json_object_get(item, "port"));
		table_add_json(&table, json_object_get(item, "remote"));
		table_add_json(&table, json_object_get(item, "kind"));
		add_age(&table, item);
	}
	int error = table_print(&table, out);
	table_close(&table);
	return error;
}

/* The count is the result, or its one number. */
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
		.help = "forgets what was learned; static and local entries stay",
		.options = fdb_filter_options,
		.print = print_flushed,
	},
	{0},
};
