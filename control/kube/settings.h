/* SPDX-License-Identifier: Apache-2.0 */
/* settings.h - podswitch-agent's options, from the command line and the environment */
#ifndef PODSWITCH_SETTINGS_H
#define PODSWITCH_SETTINGS_H

#include "tap/base/address.h"
#include "tap/base/failure.h"
#include "tap/base/log.h"

#include <stdbool.h>
#include <stdio.h>

#define SETTINGS_MAX_KEEP 24 /* as many as kept_networks.h takes */

struct settings {
	const char *node;
	const char *socket;       /* podswitchd's */
	const char *agent_socket; /* ours, for the plugin; NULL: agent.sock beside podswitchd's */
	const char *api, *token_file, *ca_file;
	const char *default_gateway, *cluster_domain, *daemonset, *listen;
	const char *cni_bin_dir, *cni_conf_dir, *cni_conf_file, *cni_program, *cni_ifname;
	unsigned cni_timeout;        /* seconds */
	const char *skip_namespaces; /* as it is given: NAMES with commas or blanks between */
	const char *known;           /* a file, for known_namespaces.h */
	bool cni_fail_status;
	bool pod_annotations, set_gateway_default, attach, keep_metadata, inbound;
	unsigned underlay; /* index of settings_underlays */
	unsigned probe;    /* seconds */
	struct prefix keep[SETTINGS_MAX_KEEP];
	size_t n_keep;
	bool takeover;        /* from the agent that serves */
	bool check;           /* only ask one */
	const char *instance; /* NULL: none */
	bool seccomp;         /* make only the system calls of main.c's list */
	enum log_level log_level;
	bool help, version;
};

/* "pod", "host", "auto": the words of --underlay, NULL-terminated. */
extern const char *const settings_underlays[];

/*
 * Reads PODSWITCH_<OPTION> of the environment (upper case, '_' for '-'; NODE_NAME serves as --node too), then the
 * command line `words` (NULL-terminated, without the program's name), which wins. Strings stay those of the words and
 * the environment. -EINVAL with a text for wrong usage.
 */
int settings_read(char **words, struct settings *out, struct failure *why);

void settings_help(FILE *out);

#endif
