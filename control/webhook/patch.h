/* SPDX-License-Identifier: Apache-2.0 */
/*
 * patch.h - the JSON Patch (RFC 6902) that turns one document into another
 *
 * Only "add", "remove" and "replace", with paths of RFC 6901. Any thread.
 */
#ifndef PODSWITCH_PATCH_H
#define PODSWITCH_PATCH_H

#include <jansson.h>

/*
 * The operations (a new array) that turn `from` into `to`; empty when they are equal. They name only what differs:
 * members of objects, and elements of arrays, which count as the same element when they are equal or have the same
 * "name". NULL without memory.
 */
json_t *patch_make(const json_t *from, const json_t *to);

#endif
