/* SPDX-License-Identifier: Apache-2.0 */
/*
 * profile.h - what a gateway's pods are given, as the configuration file says
 *
 * The file is one JSON object: "default", and "gateways" with what is other for single ones. Any thread, as long as
 * none changes it.
 */
#ifndef PODSWITCH_PROFILE_H
#define PODSWITCH_PROFILE_H

#include "tap/base/failure.h"

#include <jansson.h>
#include <stdbool.h>

/* A container of pod-gateway. */
struct profile_container {
	const char *image; /* NULL: none is wanted */
	const char *pull_policy;
	const char *mount_point;
	const json_t *command; /* an array of strings, or NULL */
};

/* Strings and JSON are the profile's own, which `source` holds. Arrays are of strings, but for the options. */
struct profile {
	json_t *source;
	const char *gateway; /* the variable's value; NULL: the Service's full name */

	bool env;                /* give containers the variables */
	const json_t *env_names; /* of the containers that get them; NULL: all */
	bool env_keep;           /* what a container has itself stays */

	bool dns;               /* set the pod's dnsConfig */
	const char *dns_name;   /* the variable DNS; NULL: the first of the nameservers */
	const char *dns_policy; /* "None" and so on; NULL: the pod's own */
	const json_t *nameservers, *searches, *options, *cluster_dns; /* NULL: not given */

	struct profile_container init, sidecar;
	bool native; /* the sidecar is an init container that goes on */
	const char *configmap;

	bool warn; /* a pod whose gateway cannot be had is admitted, with a warning; else it is refused */
};

struct profiles;

/* From the file's JSON; -EINVAL with a text that names the key. `root` NULL: everything by default. */
int profiles_read(const json_t *root, struct profiles **out, struct failure *why);

/* From the file itself; errors name it, and the line. */
int profiles_load(const char *path, struct profiles **out, struct failure *why);
void profiles_free(struct profiles *profiles);

/* That of a gateway; of one that is not named, or of "" and "", the default one. */
const struct profile *profiles_find(const struct profiles *profiles, const char *namespace, const char *name);

#endif
