/* SPDX-License-Identifier: Apache-2.0 */
/*
 * patch.h - the JSON Patch (RFC 6902) that makes one document another
 *
 * Of "add", "remove" and "replace" alone, with the paths of RFC 6901. Any thread.
 */
#ifndef PODSWITCH_PATCH_H
#define PODSWITCH_PATCH_H

#include <jansson.h>

/*
 * The operations (an array, to json_decref) that turn `from` into `to`; empty when they are equal. Of both only what
 * differs is named: members of objects, and elements of arrays, which are taken for the same when they are equal or
 * have an equal "name". NULL without memory.
 */
json_t *patch_make(const json_t *from, const json_t *to);

#endif
