/* SPDX-License-Identifier: Apache-2.0 */
/* usage.h - podswitch-webhook's command line and environment */
#ifndef PODSWITCH_USAGE_H
#define PODSWITCH_USAGE_H

#include "tap/base/failure.h"
#include "tap/base/log.h"

#include <stdbool.h>
#include <stdio.h>

enum usage_command { USAGE_SERVE = 1, USAGE_CERT = 2 };

struct usage {
	enum usage_command command;
	const char *api, *token_file, *ca_file;
	bool seccomp; /* make only the system calls of main.c's list */
	enum log_level log_level;
	bool help, version;

	/* serve */
	char listen[80]; /* "ADDRESS:PORT" */
	const char *cert_file, *key_file, *config, *resolv_conf;
	const char *default_gateway, *cluster_domain;
	bool pod_annotations, set_gateway_default;
	unsigned patience; /* ms */
	unsigned linger;   /* seconds */

	/* cert: "NAMESPACE/NAME" of both */
	const char *service, *secret;
	const char *configuration;   /* the MutatingWebhookConfiguration's name */
	unsigned days, renew_before; /* days */
	unsigned every;              /* seconds; 0: once */
};

/*
 * Reads PODSWITCH_<OPTION> of the environment (upper case, '_' for '-'), then the command line `words`
 * (NULL-terminated, without the program's name), which wins. Strings stay those of the words and the environment.
 * -EINVAL with a text for wrong usage.
 */
int usage_read(char **words, struct usage *out, struct failure *why);

void usage_help(FILE *out);

#endif
