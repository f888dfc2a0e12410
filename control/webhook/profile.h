/* SPDX-License-Identifier: Apache-2.0 */
/*
 * profile.h - what the pods of a gateway get, from the configuration file
 *
 * The file is one JSON object: "default", and "gateways" with the differences for single gateways. Read-only once it is
 * made: any thread.
 */
#ifndef PODSWITCH_PROFILE_H
#define PODSWITCH_PROFILE_H

#include "tap/base/failure.h"

#include <jansson.h>
#include <stdbool.h>

/* A container of pod-gateway. */
struct profile_container {
	const char *image; /* NULL: no such container */
	const char *pull_policy;
	const char *mount_point;
	const json_t *command; /* an array of strings, or NULL */
};

/* Strings and JSON belong to `source`. Arrays are of strings, except the options. */
struct profile {
	json_t *source;
	const char *gateway; /* the variable's value; NULL: the Service's full name */

	bool env;                /* give containers the variables */
	const json_t *env_names; /* of the containers that get them; NULL: all */
	bool env_keep;           /* a container's own variables of these names stay */

	bool dns;               /* set the pod's dnsConfig */
	const char *dns_name;   /* the variable DNS; NULL: the first of the nameservers */
	const char *dns_policy; /* "None" and so on; NULL: the pod's own */
	const json_t *nameservers, *searches, *options, *cluster_dns; /* NULL: not given */

	struct profile_container init, sidecar;
	bool native; /* the sidecar is an init container that keeps running */
	const char *configmap;

	bool warn; /* a pod that cannot have its gateway is admitted with a warning; else it is refused */
};

struct profiles;

/* From the JSON of the file. 0, -EINVAL with a text that names the key, or -ENOMEM. A NULL `root`: all defaults. */
int profiles_read(const json_t *root, struct profiles **out, struct failure *why);

/* From the file itself; errors name it and the line. */
int profiles_load(const char *path, struct profiles **out, struct failure *why);
void profiles_free(struct profiles *profiles);

/* The profile of a gateway; the default one for "", "", and for a gateway that the file does not name. */
const struct profile *profiles_find(const struct profiles *profiles, const char *namespace, const char *name);

#endif
