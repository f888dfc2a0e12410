/* SPDX-License-Identifier: Apache-2.0 */
/*
 * params.h - from JSON objects to settings: a table of keys, and parsers of the values that many keys share
 *
 * Every parser returns 0, or -EINVAL with a text that names the key and says what to give. Any thread.
 */
#ifndef PODSWITCH_PARAMS_H
#define PODSWITCH_PARAMS_H

#include "vswitch/switch.h"

#include <jansson.h>

struct param {
	const char *key; /* NULL ends a table */
	int (*parse)(const char *key, const json_t *value, void *into, struct failure *why);
	const char *required; /* not NULL: must be given where `complete` is asked for; what to give, for the text */
};

/*
 * Reads `params` (an object, or NULL for an empty one) into the object the table's parsers know. Unknown keys are
 * refused before anything is parsed; keys that are not given leave `into` alone. On error `into` is half changed.
 */
int params_read(const struct param *table, const json_t *params, bool complete, void *into, struct failure *why);

/* A string of 1 to size - 1 bytes. */
int param_text(const char *key, const json_t *value, size_t size, char *out, struct failure *why);

/* The name of a gateway or a port; `out` has SWITCH_NAME bytes. */
int param_name(const char *key, const json_t *value, char *out, struct failure *why);

int param_integer(const char *key, const json_t *value, long long least, long long most, long long *out,
		  struct failure *why);
int param_unsigned(const char *key, const json_t *value, unsigned least, unsigned most, unsigned *out,
		   struct failure *why);

/* 576 to 65000 bytes, or 0 for the default. */
int param_mtu(const char *key, const json_t *value, unsigned *out, struct failure *why);

/* true, false, "on", "off". */
int param_switch(const char *key, const json_t *value, bool *out, struct failure *why);

/* One of `words` (ends with NULL); *out is its place. */
int param_choice(const char *key, const json_t *value, const char *const words[], unsigned *out, struct failure *why);

/* A MAC address that one machine may have. */
int param_mac(const char *key, const json_t *value, struct mac *out, struct failure *why);

/*
 * An array of at most `most` strings, one string alone, or "none" for an empty list; `add` takes them one by one.
 */
typedef int param_add(const char *key, const char *text, void *into, struct failure *why);
int param_list(const char *key, const json_t *value, size_t most, param_add *add, void *into, struct failure *why);

/* The address and UDP port of one machine: neither a group, broadcast nor unspecified. */
int param_endpoint(const char *key, const char *text, struct endpoint *out, struct failure *why);
int param_address(const char *key, const char *text, struct address *out, struct failure *why);

#endif
