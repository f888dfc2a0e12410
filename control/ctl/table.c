/* SPDX-License-Identifier: Apache-2.0 */
/* table.c - aligned columns for people */
#include "control/ctl/table.h"
#include "tap/base/text.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define GAP 2 /* blanks between columns */
#define MAX_COLUMNS 16

void table_open(struct table *table, const struct table_column *columns, size_t n_columns)
{
	*table = (struct table){.columns = columns, .n_columns = n_columns};
	if (n_columns > MAX_COLUMNS)
		table->failed = true;
}

void table_open_pairs(struct table *table)
{
	static const struct table_column pair[2] = {{NULL, false}, {NULL, false}};
	table_open(table, pair, 2);
}

void table_close(struct table *table)
{
	free(table->text);
	free(table->cells);
	*table = (struct table){0};
}

/* Doubles an array until `wanted` elements fit. */
static bool table_grow(void **array, size_t *room, size_t wanted, size_t element)
{
	if (wanted <= *room)
		return true;
	size_t size = *room ? *room : 256;
	while (size < wanted)
		size *= 2;
	void *bigger = realloc(*array, size * element);
	if (!bigger)
		return false;
	*array = bigger;
	*room = size;
	return true;
}

void table_add(struct table *table, const char *text)
{
	if (!text || !*text)
		text = "-";
	size_t length = strlen(text) + 1;
	void *bytes = table->text, *cells = table->cells;
	if (table->failed || !table_grow(&bytes, &table->room, table->used + length, 1)) {
		table->failed = true;
		return;
	}
	table->text = bytes;
	if (!table_grow(&cells, &table->max_cells, table->n_cells + 1, sizeof(*table->cells))) {
		table->failed = true;
		return;
	}
	table->cells = cells;
	memcpy(table->text + table->used, text, length);
	text_to_line(table->text + table->used, '?');
	table->cells[table->n_cells++] = table->used;
	table->used += length;
}

void table_add_number(struct table *table, long long number)
{
	char text[24];
	snprintf(text, sizeof(text), "%lld", number);
	table_add(table, text);
}

static size_t value_text(const json_t *value, char *out, size_t size);

static size_t endpoint_text(const char *address, const json_t *port, char *out, size_t size)
{
	int length;
	if (!json_integer_value(port))
		length = snprintf(out, size, "%s", address);
	else
		length = snprintf(out, size, strchr(address, ':') ? "[%s]:%lld" : "%s:%lld", address,
				  (long long)json_integer_value(port));
	return length > 0 ? (size_t)length : 0;
}

/* Like snprintf(): writes what fits, and returns the whole length. */
static size_t array_text(const json_t *array, char *out, size_t size)
{
	size_t used = 0, i;
	const json_t *element;
	if (size)
		*out = '\0';
	json_array_foreach(array, i, element)
	{
		bool fits = used + 1 < size;
		if (i) {
			if (fits)
				memcpy(out + used, ",", 2);
			used++;
			fits = used + 1 < size;
		}
		used += value_text(element, fits ? out + used : NULL, fits ? size - used : 0);
	}
	return used;
}

static size_t object_text(const json_t *object, char *out, size_t size)
{
	const char *address = json_string_value(json_object_get(object, "address"));
	if (address)
		return endpoint_text(address, json_object_get(object, "port"), out, size);
	char *dump = json_dumps(object, JSON_COMPACT);
	int length = snprintf(out, size, "%s", dump ? dump : "?");
	free(dump);
	return length > 0 ? (size_t)length : 0;
}

/* Like snprintf(): writes what fits, and returns the whole length. */
static size_t value_text(const json_t *value, char *out, size_t size)
{
	if (json_is_array(value))
		return array_text(value, out, size);
	if (json_is_object(value))
		return object_text(value, out, size);
	int length = 0;
	if (json_is_string(value))
		length = snprintf(out, size, "%s", json_string_value(value));
	else if (json_is_integer(value))
		length = snprintf(out, size, "%lld", (long long)json_integer_value(value));
	else if (json_is_real(value))
		length = snprintf(out, size, "%.1f", json_real_value(value));
	else if (json_is_boolean(value))
		length = snprintf(out, size, "%s", json_is_true(value) ? "on" : "off");
	else if (size)
		*out = '\0';
	return length > 0 ? (size_t)length : 0;
}

static void table_add_json(struct table *table, const json_t *value)
{
	char small[256];
	size_t size = value_text(value, small, sizeof(small)) + 1;
	if (size <= sizeof(small)) {
		table_add(table, small);
		return;
	}
	char *text = malloc(size);
	if (!text) {
		table->failed = true;
		return;
	}
	value_text(value, text, size);
	table_add(table, text);
	free(text);
}

void table_add_members(struct table *table, const char *const *keys, const json_t *object)
{
	for (; *keys; keys++)
		table_add_json(table, json_object_get(object, *keys));
}

static void add_key(struct table *table, const char *prefix, const char *key)
{
	char text[80];
	snprintf(text, sizeof(text), "%s%s:", prefix, key);
	table_add(table, text);
}

void table_pair(struct table *table, const char *key, const char *format, ...)
{
	char text[256];
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	add_key(table, "", key);
	table_add(table, text);
}

void table_pair_json(struct table *table, const char *key, const json_t *value)
{
	if (!value)
		return;
	add_key(table, "", key);
	table_add_json(table, value);
}

static void table_pair_member(struct table *table, const char *key, const json_t *object)
{
	const json_t *value = json_object_get(object, key);
	if (!value)
		value = json_object_get(json_object_get(object, "config"), key);
	double bytes = (double)json_integer_value(value);
	if (bytes < 1024 || !text_ends_with(key, "_bytes")) {
		table_pair_json(table, key, value);
		return;
	}
	static const char units[] = "KMGTPE";
	size_t unit = 0;
	bytes /= 1024;
	while (bytes >= 1024 && units[unit + 1]) {
		bytes /= 1024;
		unit++;
	}
	table_pair(table, key, "%lld (%.1f %ciB)", (long long)json_integer_value(value), bytes, units[unit]);
}

void table_pair_members(struct table *table, const char *const *keys, const json_t *object)
{
	for (; *keys; keys++)
		table_pair_member(table, *keys, object);
}

void table_pair_drops(struct table *table, json_t *drops)
{
	const char *reason;
	json_t *count;
	json_object_foreach(drops, reason, count)
	{
		if (!json_integer_value(count))
			continue;
		add_key(table, "drop ", reason);
		table_add_json(table, count);
	}
}

/* In characters: the continuation bytes of UTF-8 do not count. */
static int width_of(const char *text)
{
	int width = 0;
	for (; *text; text++)
		width += ((unsigned char)*text & 0xc0) != 0x80;
	return width;
}

static void print_cell(const char *text, int width, bool right, bool last, FILE *out)
{
	int blanks = width - width_of(text);
	if (right)
		fprintf(out, "%*s", blanks, "");
	fputs(text, out);
	if (last)
		fputc('\n', out);
	else
		fprintf(out, "%*s", GAP + (right ? 0 : blanks), "");
}

static int table_print(const struct table *table, FILE *out)
{
	int widths[MAX_COLUMNS] = {0};
	size_t columns = table->n_columns;
	if (table->failed || !columns)
		return -ENOMEM;
	bool titles = table->columns[0].title;
	for (size_t i = 0; titles && i < columns; i++)
		widths[i] = width_of(table->columns[i].title);
	for (size_t i = 0; i < table->n_cells; i++) {
		int width = width_of(table->text + table->cells[i]);
		if (width > widths[i % columns])
			widths[i % columns] = width;
	}
	for (size_t i = 0; titles && i < columns; i++)
		print_cell(table->columns[i].title, widths[i], table->columns[i].right, i + 1 == columns, out);
	for (size_t i = 0; i < table->n_cells; i++) {
		size_t column = i % columns;
		print_cell(table->text + table->cells[i], widths[column], table->columns[column].right,
			   column + 1 == columns, out);
	}
	return 0;
}

int table_finish(struct table *table, FILE *out)
{
	int error = table_print(table, out);
	table_close(table);
	return error;
}

int table_print_list(const struct table_column *columns, size_t n_columns, const json_t *list,
		     void (*add_row)(struct table *table, const json_t *item), FILE *out)
{
	struct table table;
	size_t i;
	const json_t *item;
	table_open(&table, columns, n_columns);
	json_array_foreach(list, i, item)
	{
		add_row(&table, item);
	}
	return table_finish(&table, out);
}
