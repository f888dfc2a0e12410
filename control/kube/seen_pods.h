/* SPDX-License-Identifier: Apache-2.0 */
/*
 * seen_pods.h - what has been seen of this node's pods, to tell who was started without the plugin
 *
 * A pod that runs and has no port was started without the plugin, or was annotated later. Which of the two it was can
 * only be told by what was seen before. One thread, the agent's.
 */
#ifndef PODSWITCH_SEEN_PODS_H
#define PODSWITCH_SEEN_PODS_H

#include <jansson.h>
#include <stdbool.h>

enum seen {
	SEEN_WAITING = 1,  /* before it had a sandbox */
	SEEN_HELD = 2,     /* running, with a port, or with nothing that asks for one */
	SEEN_CALLED = 4,   /* the plugin has asked about it */
	SEEN_BYPASSED = 8, /* we have said that it was started without the plugin */
	SEEN_UNCALLED = 16 /* we have counted it as such, with or without a gateway */
};

/* "NAMESPACE/NAME" -> [UID, bits]. */
struct seen_pods {
	json_t *pods;
};

/* `uid` may be "": not known. Another UID is another pod, of which nothing was seen. */
void seen_pods_note(struct seen_pods *seen, const char *namespace, const char *name, const char *uid, enum seen what);
bool seen_pods_has(const struct seen_pods *seen, const char *namespace, const char *name, const char *uid,
		   enum seen what);

/* Forgets those that are not in `pods` ("NAMESPACE/NAME" -> pod), but for pods that only the plugin knows yet. */
void seen_pods_prune(struct seen_pods *seen, const json_t *pods);

void seen_pods_free(struct seen_pods *seen);

#endif
