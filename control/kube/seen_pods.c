/* SPDX-License-Identifier: Apache-2.0 */
/* seen_pods.c - what has been seen of this node's pods, to tell who was started without the plugin */
#include "control/kube/seen_pods.h"

#include <stdio.h>
#include <string.h>

#define MOST_SEEN 4096 /* pods that only the plugin knows, before all is forgotten */

static json_t *seen_find(const struct seen_pods *seen, const char *namespace, const char *name, const char *uid)
{
	char key[512];

	snprintf(key, sizeof(key), "%s/%s", namespace, name);
	json_t *found = json_object_get(seen->pods, key);
	const char *there = json_string_value(json_array_get(found, 0));
	return there && (!*there || !*uid || !strcmp(there, uid)) ? found : NULL;
}

void seen_pods_note(struct seen_pods *seen, const char *namespace, const char *name, const char *uid, enum seen what)
{
	char key[512];
	json_t *found = seen_find(seen, namespace, name, uid);
	json_int_t bits = json_integer_value(json_array_get(found, 1));

	if (found && (bits & what))
		return;
	const char *known = json_string_value(json_array_get(found, 0));
	if (!seen->pods)
		seen->pods = json_object();
	snprintf(key, sizeof(key), "%s/%s", namespace, name);
	json_object_set_new(seen->pods, key, json_pack("[s, I]", *uid || !known ? uid : known, bits | what));
}

bool seen_pods_has(const struct seen_pods *seen, const char *namespace, const char *name, const char *uid,
		   enum seen what)
{
	return json_integer_value(json_array_get(seen_find(seen, namespace, name, uid), 1)) & what;
}

void seen_pods_prune(struct seen_pods *seen, const json_t *pods)
{
	const char *key;
	json_t *value;
	void *next;
	bool crowded = json_object_size(seen->pods) > json_object_size(pods) + MOST_SEEN;

	json_object_foreach_safe(seen->pods, next, key, value)
	{
		/* The plugin may be ahead of the API server. */
		bool early = json_integer_value(json_array_get(value, 1)) == SEEN_CALLED;
		if (!json_object_get(pods, key) && (!early || crowded))
			json_object_del(seen->pods, key);
	}
}

void seen_pods_free(struct seen_pods *seen)
{
	json_decref(seen->pods);
	seen->pods = NULL;
}
