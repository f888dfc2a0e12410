/* SPDX-License-Identifier: Apache-2.0 */
/* events.c - Kubernetes Events on pods */
#include "control/kube/events.h"
#include "control/base/json.h"
#include "tap/base/text.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#define COMPONENT "podswitch-agent"
#define MESSAGE 1024 /* bytes that the API server takes, with a NUL */

/* A pod that is being created may only have a generateName, "web-7d4b9-". A name must not end in '-' or '.'. */
static void name_of(const json_t *metadata, char out[static 254])
{
	const char *name = json_text(metadata, "name");
	size_t length = (size_t)snprintf(out, 254, "%s", *name ? name : json_text(metadata, "generateName"));
	for (length = length < 254 ? length : 253; length && strchr("-.", out[length - 1]); length--)
		out[length - 1] = '\0';
}

void events_send_as(struct kube *kube, const char *component, const char *node, const json_t *pod, bool warning,
		    const char *reason, const char *message)
{
	const json_t *metadata = json_object_get(pod, "metadata");
	const char *namespace = json_text(metadata, "namespace");
	char path[160], now[32], id[320], name[254], ascii[MESSAGE];
	name_of(metadata, name);
	snprintf(ascii, sizeof(ascii), "%s", message);
	text_to_ascii(ascii);
	struct timespec clock;
	clock_gettime(CLOCK_REALTIME, &clock);
	struct tm utc;
	gmtime_r(&clock.tv_sec, &utc);
	strftime(now, sizeof(now), "%Y-%m-%dT%H:%M:%SZ", &utc);
	/* Named as client-go does it: unique, and sorted by time. A name has at most 253 bytes. */
	snprintf(id, sizeof(id), "%.230s.%llx", name,
		 (unsigned long long)clock.tv_sec * 1000000000u + (unsigned long long)clock.tv_nsec);
	snprintf(path, sizeof(path), "/api/v1/namespaces/%.63s/events", namespace);
	json_t *body =
		json_pack("{s:s, s:s, s:{s:s, s:s}, s:{s:s, s:s, s:s, s:s, s:s}, s:s, s:s, s:s, s:{s:s, s:s}, s:s, "
			  "s:s, s:i, s:s, s:s}",
			  "apiVersion", "v1", "kind", "Event", "metadata", "name", id, "namespace", namespace,
			  "involvedObject", "apiVersion", "v1", "kind", "Pod", "namespace", namespace, "name", name,
			  "uid", json_text(metadata, "uid"), "type", warning ? "Warning" : "Normal", "reason", reason,
			  "message", ascii, "source", "component", component, "host", node, "firstTimestamp", now,
			  "lastTimestamp", now, "count", 1, "reportingComponent", component, "reportingInstance", node);
	const struct kube_request request = {.method = "POST", .path = path, .body = body};
	if (body)
		(void)kube_request(kube, &request, NULL);
	json_decref(body);
}

void events_send(struct kube *kube, const char *node, const json_t *pod, bool warning, const char *reason,
		 const char *message)
{
	events_send_as(kube, COMPONENT, node, pod, warning, reason, message);
}
