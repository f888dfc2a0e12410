/* SPDX-License-Identifier: Apache-2.0 */
/*
 * table.h - aligned columns for people
 *
 * Cells are added row by row and printed at the end, when the widths are known. An empty cell is "-"; no line ends in
 * blanks. Control characters are shown as '?', so text from outside cannot steer the terminal. A failed allocation is
 * remembered and reported by table_finish().
 */
#ifndef PODSWITCH_TABLE_H
#define PODSWITCH_TABLE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

struct table_column {
	const char *title; /* NULL in the first column: no line of titles */
	bool right;        /* numbers are aligned to the right */
};

struct table {
	const struct table_column *columns;
	size_t n_columns;
	char *text; /* all cells, each with its NUL */
	size_t used;
	size_t room;
	size_t *cells; /* offsets into text, row by row */
	size_t n_cells;
	size_t max_cells;
	bool failed;
};

/* `columns` must stay valid. */
void table_open(struct table *table, const struct table_column *columns, size_t n_columns);

/* A table of two columns without titles, for table_pair. */
void table_open_pairs(struct table *table);

void table_close(struct table *table);

/* Adds one cell. NULL and "" make an empty one. */
void table_add(struct table *table, const char *text);
void table_add_number(struct table *table, long long number);

/*
 * Adds a cell for each member in `keys`, which end with NULL: a number, a text, on or off for a boolean, the elements
 * of an array with ',' between them, address:port for an endpoint {address, port}. A missing member and null make an
 * empty cell.
 */
void table_add_members(struct table *table, const char *const *keys, const json_t *object);

/* Adds "key:" and the value, formatted as by printf. */
__attribute__((format(printf, 3, 4))) void table_pair(struct table *table, const char *key, const char *format, ...);

/* Adds "key:" and a JSON value; nothing when `value` is NULL: an older podswitchd may lack it. */
void table_pair_json(struct table *table, const char *key, const json_t *value);

/*
 * Adds a pair for each of `keys`, which end with NULL: the member of `object`, or of its member "config". Byte counts
 * also get a rounded value.
 */
void table_pair_members(struct table *table, const char *const *keys, const json_t *object);

/* Adds a pair "drop REASON:" for every counter that is not zero. */
void table_pair_drops(struct table *table, json_t *drops);

/* Prints and closes the table. 0 or -ENOMEM; errors of `out` are left to its ferror(). */
int table_finish(struct table *table, FILE *out);

/* A table with a row for each element of `list`. 0 or -ENOMEM. */
int table_print_list(const struct table_column *columns, size_t n_columns, const json_t *list,
		     void (*add_row)(struct table *table, const json_t *item), FILE *out);

#endif
