/* SPDX-License-Identifier: Apache-2.0 */
/* known_namespaces.c - keeps on disk what the plugin needs to know while nobody answers it */
#include "control/kube/known_namespaces.h"
#include "control/cni/known.h"
#include "tap/base/file.h"
#include "tap/base/log.h"

#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PAUSE_AFTER_LOOK 1000 /* ms */
#define LOOK_ANYWAY 20000     /* ms, for a file that somebody has removed */

static char *known_text(const struct known_namespaces *known)
{
	const struct choose_policy *policy = known->policy;
	const char *name;
	json_t *namespace, *asks = json_object();

	json_object_foreach((json_t *)cluster_objects(known->cluster, CLUSTER_NAMESPACES), name, namespace)
	{
		const json_t *metadata = json_object_get(namespace, "metadata");
		json_object_set_new(asks, name, json_boolean(known_asks(json_object_get(metadata, "annotations"))));
	}
	json_t *all =
		json_pack("{s:i, s:b, s:b, s:o}", "version", KNOWN_VERSION, "pods_choose", policy->pod_annotations,
			  "default_gateway", policy->default_gateway && *policy->default_gateway, "namespaces", asks);
	char *text = all ? json_dumps(all, JSON_COMPACT | JSON_SORT_KEYS) : NULL;
	json_decref(all);
	return text;
}

static int known_write(const struct known_namespaces *known, const char *text)
{
	char temporary[PATH_MAX];

	int error = file_make_parent(known->path, "known", NULL);
	/* Nodes of a test bed share the folder: each writer has a name of its own. */
	if (!error && snprintf(temporary, sizeof(temporary), "%s.%ld", known->path, (long)getpid()) >= PATH_MAX)
		error = -ENAMETOOLONG;
	return error ? error : file_replace(AT_FDCWD, temporary, known->path, text, strlen(text), 0600);
}

static void known_look(struct known_namespaces *known)
{
	char *text = known_text(known);

	if (!text || (known->text && !strcmp(text, known->text) && !access(known->path, F_OK))) {
		free(text);
		return;
	}
	int error = known_write(known, text);
	if (error && !known->complained)
		log_line(LOG_ERROR,
			 "known: cannot write %.160s: %s; while podswitch is away, pods without a gateway wait for it",
			 known->path, strerror(-error));
	known->complained = error;
	free(known->text);
	known->text = error ? NULL : text;
	if (error)
		free(text);
}

void known_namespaces_turn(struct known_namespaces *known, uint64_t now)
{
	uint64_t since = now - known->looked;

	if (!cluster_synced(known->cluster) || since < PAUSE_AFTER_LOOK || (!known->changed && since < LOOK_ANYWAY))
		return;
	known->changed = false;
	known->looked = now;
	known_look(known);
}

void known_namespaces_remove(const struct known_namespaces *known)
{
	char folder[PATH_MAX];

	(void)unlink(known->path);
	snprintf(folder, sizeof(folder), "%s", known->path);
	(void)rmdir(dirname(folder));
}

void known_namespaces_free(struct known_namespaces *known)
{
	free(known->text);
	known->text = NULL;
}
