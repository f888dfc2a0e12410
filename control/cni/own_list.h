/* SPDX-License-Identifier: Apache-2.0 */
/*
 * own_list.h - the list of plugins in podswitch's own file: those of another file, and ours
 *
 *   10-primary.conflist   {"cniVersion": V, "name": N, "plugins": [a, b]}
 *   00-podswitch.conflist {"podswitch.io/made-from": {"file": "10-primary.conflist", "plugins": ["a", "b"]},
 *                          "cniVersion": V, "name": N, "plugins": [a, b, podswitch-cni]}
 *
 * The name stays the primary's: address managers keep their state, and runtimes their results, under it. Runtimes
 * ignore the first member. It says where the list comes from, and which plugins came from there: others that stand in
 * our list were put there by other programs (a mesh's installer takes the first file that it finds), and stay.
 *
 * Texts only; no files. Any thread.
 */
#ifndef PODSWITCH_OWN_LIST_H
#define PODSWITCH_OWN_LIST_H

#include <jansson.h>
#include <stdbool.h>

/* Whether a parsed file is such a list. */
bool own_list_is(const json_t *document);

/* The file that it was made from; "" when it does not say. Borrowed. */
const char *own_list_source(const json_t *document);

/*
 * The list made from the list `text` of `file`, with `entry` (an object with our type). `old` is what our file has now,
 * or NULL: from it come other programs' plugins, and our entry's further keys; without it those of an entry of ours in
 * `text`. To be freed; NULL when `text` cannot be edited safely.
 */
char *own_list_make(const char *text, const char *file, const json_t *entry, const char *old);

/* Whether our file's text `own` still says what own_list_make() would write, in whatever order and layout. */
bool own_list_is_fresh(const char *own, const char *text, const char *file, const json_t *entry);

#endif
