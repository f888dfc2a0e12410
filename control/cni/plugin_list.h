/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plugin_list.h - the text of a network configuration, and our entry in its list of plugins
 *
 * Texts are edited by splice.h, so that all but the entry stays as it is; trees are for looking. In trees that were
 * parsed here integers are reals: they are compared and never printed. Any thread.
 */
#ifndef PODSWITCH_PLUGIN_LIST_H
#define PODSWITCH_PLUGIN_LIST_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#define PLUGIN_LIST_TYPE "podswitch-cni" /* of our entry */

/* Whether a file of that name holds one plugin and no list. */
bool plugin_list_is_single(const char *file);

/* NULL when it is not JSON. A new reference. */
json_t *plugin_list_parse(const char *text);

/* `value` as plugin_list_parse() would have it. A new reference. */
json_t *plugin_list_with_reals(const json_t *value);

/* Whether a parser reads `expected` in `text` (may be NULL). */
bool plugin_list_reads_as(const char *text, const json_t *expected);

bool plugin_list_is_ours(const json_t *plugin);

/* The index of our entry; the number of plugins when there is none. */
size_t plugin_list_find_ours(const json_t *document);

/* `text` with `entry` (a text) as plugin number `index`: it replaces the one there, or comes after the last. */
char *plugin_list_put(const char *text, size_t index, const char *entry);

/* `text` without plugin number `index`. NULL when there is none. */
char *plugin_list_remove(const char *text, size_t index);

/* The text of plugin number `index`, to be freed; NULL when there is none. */
char *plugin_list_get(const char *text, size_t index);

/* The list that means the same as a single plugin's file. NULL when that has no name, or without memory. */
char *plugin_list_of_single(const char *text);

/*
 * *out: the entry `present` (a text, may be NULL) with the values of `entry`. Returns whether it has them already.
 */
bool plugin_list_merge(const char *present, const json_t *entry, json_t **out);

#endif
