/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spelling.h - annotations under podswitch.io/ that mean nothing, and what their writer may have meant
 *
 * A misspelled key is the same as none: a pod whose owner wrote podswitch.io/gatway starts without a gateway. Any
 * thread.
 */
#ifndef PODSWITCH_SPELLING_H
#define PODSWITCH_SPELLING_H

#include <jansson.h>
#include <stddef.h>

enum spelling_of { SPELLING_POD, SPELLING_NAMESPACE, SPELLING_SERVICE };

/*
 * Looks for such an annotation on a v1 Pod, Namespace or Service (NULL: there is none), and writes a sentence about the
 * first one, without full stop, into `out`: with the nearest key that there is, and where it belongs. Returns the
 * sentence's length, 0: all are known.
 */
size_t spelling_check(enum spelling_of of, const json_t *object, char *out, size_t size);

#endif
