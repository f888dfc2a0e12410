/* SPDX-License-Identifier: Apache-2.0 */
/*
 * path_target.h - what is asked to see whether a gateway forwards: "icmp:1.1.1.1", "tcp:1.1.1.1:443"
 *
 * A plain value. Any thread.
 */
#ifndef PODSWITCH_PATH_TARGET_H
#define PODSWITCH_PATH_TARGET_H

#include "tap/base/address.h"

#define PATH_TARGET_TEXT 32 /* bytes of the longest text, with the NUL */

enum path_kind { PATH_NONE, PATH_ICMP, PATH_TCP };

struct path_target {
	enum path_kind kind;
	struct address address; /* IPv4, of one machine */
	uint16_t port;          /* of PATH_TCP, host order */
};

/* Reads "icmp:ADDRESS", "tcp:ADDRESS:PORT" or "none". -EINVAL for anything else. */
int path_target_parse(const char *text, struct path_target *out);

/* Writes it as it is read, "none" for PATH_NONE. Returns out. */
const char *path_target_format(const struct path_target *target, char out[static PATH_TARGET_TEXT]);

bool path_target_equal(const struct path_target *a, const struct path_target *b);

#endif
