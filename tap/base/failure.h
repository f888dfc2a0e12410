/* SPDX-License-Identifier: Apache-2.0 */
/*
 * failure.h - why a verb was refused, in words for the person who asked
 *
 * Every verb that a user can trigger takes a `struct failure *`, fills it in when it refuses, and returns the same
 * negative errno. The text says what to change. The key names the parameter at fault, so that the control socket can
 * point at it.
 */
#ifndef PODSWITCH_FAILURE_H
#define PODSWITCH_FAILURE_H

#include <errno.h>

struct failure {
	int code;       /* negative errno; 0 while nothing failed */
	char key[32];   /* the parameter at fault as the user spells it in JSON or a manifest ("default_via"), or "" */
	char text[256]; /* one line, no full stop, no newline */
};

/*
 * Fills in `why` (may be NULL) and returns `code`, so that callers write `return fail(why, -EEXIST, "ifname", ...)`.
 * `key` may be NULL. Any thread.
 */
int fail(struct failure *why, int code, const char *key, const char *format, ...) __attribute__((format(printf, 4, 5)));

#endif
