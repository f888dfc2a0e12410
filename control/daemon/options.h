/* SPDX-License-Identifier: Apache-2.0 */
/*
 * options.h - the options of gateways, ports and FDB entries
 *
 * podswitchctl makes its command line and its help of these tables, podswitchd reads the parameters of its methods by
 * them. Each table says in front of it which struct it fills.
 */
#ifndef PODSWITCH_OPTIONS_H
#define PODSWITCH_OPTIONS_H

#include "control/base/option.h"
#include "vswitch/switch.h"

/* enum underlay_mode's words; ends with NULL. */
extern const char *const underlay_words[];

/* struct gateway_config. */
extern const struct option_spec gateway_options[];

struct gateway_removal {
	char name[SWITCH_NAME];
	bool force;
};
extern const struct option_spec gateway_removal_options[];

/* struct port_config. Whether an MTU was given, 0 for the gateway's included, is for the caller to note in has_mtu. */
extern const struct option_spec port_options[];

struct port_removal {
	char name[SWITCH_NAME];
	bool closed;
};
extern const struct option_spec port_removal_options[];

/* What the methods of the FDB take, each some of it; what is not given is empty. */
struct fdb_params {
	char gateway[SWITCH_NAME];
	struct mac mac;
	char port[SWITCH_NAME];
	struct endpoint remote;
};
extern const struct option_spec fdb_filter_options[]; /* list, flush */
extern const struct option_spec fdb_key_options[];    /* remove */
extern const struct option_spec fdb_entry_options[];  /* add */

#define INSTANCE_SIZE 128 /* bytes, with the NUL */
/* char[INSTANCE_SIZE]: "" when it does not matter which podswitchd answers. */
extern const struct option_spec instance_options[];

/* char[SWITCH_NAME]: the name of one gateway or port. */
extern const struct option_spec name_options[];

/* The name of a gateway or port, into char[SWITCH_NAME]. */
option_parse parse_name;

/* The address of one host: not a group, not a broadcast, not unspecified. */
int parse_host_address(const char *label, const char *text, struct address *out, struct failure *why);

#endif
