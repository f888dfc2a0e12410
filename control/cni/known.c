/* SPDX-License-Identifier: Apache-2.0 */
/* known.c - what is known on disk of the namespaces, for the time when nobody can be asked */
#include "control/cni/known.h"

#include "tap/base/file.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OUR_PREFIX "podswitch.io/"
#define OUR_GATEWAY OUR_PREFIX "gateway"
#define MAX_KNOWN (32UL << 20) /* bytes */

static bool opts_out(const char *text)
{
	return text && !strcmp(text, "none");
}

bool known_asks(const json_t *annotations)
{
	const char *key;
	json_t *value;
	bool asks = false;

	json_object_foreach((json_t *)annotations, key, value)
	{
		if (strncmp(key, OUR_PREFIX, strlen(OUR_PREFIX)) != 0)
			continue;
		/* An empty one, as a template leaves it, says nothing: what the namespace says counts. */
		const char *text = json_string_value(value);
		asks = asks || strcmp(key, OUR_GATEWAY) != 0 || !text || (*text && !opts_out(text));
	}
	return asks;
}

/* NULL when there is none, or one of another version. */
static json_t *known_read(const char *path)
{
	size_t length;
	char *text = NULL;

	if (file_read(AT_FDCWD, path, 0, MAX_KNOWN, &text, &length, NULL))
		return NULL;
	json_t *known = json_loadb(text, length, 0, NULL);
	free(text);
	if (json_integer_value(json_object_get(known, "version")) == KNOWN_VERSION)
		return known;
	json_decref(known);
	return NULL;
}

/* pod-gateway's switch: only a clear "no" in the annotation, which wins over the label, is one. */
static bool says_no(const json_t *annotations)
{
	static const char *const words[] = {"0", "f", "F", "FALSE", "false", "False"};
	const char *text = json_string_value(json_object_get(annotations, "setGateway"));

	for (size_t i = 0; text && i < sizeof(words) / sizeof(*words); i++) {
		if (!strcmp(text, words[i]))
			return true;
	}
	return false;
}

/* NULL: the pod is free. Else why it may not be. */
static const char *known_reason(const json_t *known, const char *namespace, const json_t *annotations)
{
	const json_t *asks = json_object_get(json_object_get(known, "namespaces"), namespace);
	bool choose = !json_is_false(json_object_get(known, "pods_choose"));

	if (known_asks(annotations))
		return "the pod has annotations podswitch.io/";
	if (choose && opts_out(json_string_value(json_object_get(annotations, OUR_GATEWAY))))
		return NULL;
	if (!asks)
		return "the namespace is not known there";
	if (!json_is_false(asks))
		return "the namespace has annotations podswitch.io/";
	if (json_is_false(json_object_get(known, "default_gateway")) || (choose && says_no(annotations)))
		return NULL;
	return "there is a default gateway, and the pod may have the label setGateway";
}

bool known_pod_is_free(const char *path, const char *namespace, const json_t *annotations, char *why, size_t size)
{
	if (!annotations) {
		snprintf(why, size,
			 "the runtime does not hand over the pod's annotations (io.kubernetes.cri.pod-annotations)");
		return false;
	}
	json_t *known = known_read(path);
	const char *reason = known ? known_reason(known, namespace, annotations) : "there is none that can be read";
	snprintf(why, size, "by %.100s the pod may have a gateway: %s", path, reason ? reason : "");
	json_decref(known);
	return !reason;
}
