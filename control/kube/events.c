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

/* What an Event is about, and who says it. */
struct event_subject {
	const char *kind, *namespace, *name, *uid; /* `namespace`: the Event's own, for what has none */
	const char *component, *instance;
};

static json_t *event_body(const struct event_subject *about, const char *type, const char *reason, const char *message)
{
	char now[32], id[320];
	struct timespec clock;
	struct tm utc;
	clock_gettime(CLOCK_REALTIME, &clock);
	gmtime_r(&clock.tv_sec, &utc);
	strftime(now, sizeof(now), "%Y-%m-%dT%H:%M:%SZ", &utc);
	/* Named as client-go does it: unique, and sorted by time. A name has at most 253 bytes. */
	snprintf(id, sizeof(id), "%.230s.%llx", about->name,
		 (unsigned long long)clock.tv_sec * 1000000000u + (unsigned long long)clock.tv_nsec);
	return json_pack("{s:s, s:s, s:{s:s, s:s}, s:{s:s, s:s, s:s, s:s}, s:s, s:s, s:s, s:{s:s, s:s}, s:s, s:s, s:i, "
			 "s:s, s:s}",
			 "apiVersion", "v1", "kind", "Event", "metadata", "name", id, "namespace", about->namespace,
			 "involvedObject", "apiVersion", "v1", "kind", about->kind, "name", about->name, "uid",
			 about->uid, "type", type, "reason", reason, "message", message, "source", "component",
			 about->component, "host", about->instance, "firstTimestamp", now, "lastTimestamp", now,
			 "count", 1, "reportingComponent", about->component, "reportingInstance", about->instance);
}

/* `namespaced`: the object itself is in the namespace. */
static void event_send(struct kube *kube, const struct event_subject *about, bool namespaced, bool warning,
		       const char *reason, const char *message)
{
	char path[160], ascii[MESSAGE];
	snprintf(ascii, sizeof(ascii), "%s", message);
	text_to_ascii(ascii);
	json_t *body = event_body(about, warning ? "Warning" : "Normal", reason, ascii);
	if (namespaced)
		json_object_set_new(json_object_get(body, "involvedObject"), "namespace",
				    json_string(about->namespace));
	snprintf(path, sizeof(path), "/api/v1/namespaces/%.63s/events", about->namespace);
	const struct kube_request request = {.method = "POST", .path = path, .body = body};
	if (body)
		(void)kube_request(kube, &request, NULL);
	json_decref(body);
}

void events_send_as(struct kube *kube, const char *component, const char *node, const json_t *pod, bool warning,
		    const char *reason, const char *message)
{
	const json_t *metadata = json_object_get(pod, "metadata");
	char name[254];
	name_of(metadata, name);
	const struct event_subject about = {.kind = "Pod",
					    .namespace = json_text(metadata, "namespace"),
					    .name = name,
					    .uid = json_text(metadata, "uid"),
					    .component = component,
					    .instance = node};
	event_send(kube, &about, true, warning, reason, message);
}

/* The kubelet's own Events have the node's name for a UID as well: kubectl looks for that. */
void events_send_node(struct kube *kube, const char *node, bool warning, const char *reason, const char *message)
{
	const struct event_subject about = {.kind = "Node",
					    .namespace = "default",
					    .name = node,
					    .uid = node,
					    .component = COMPONENT,
					    .instance = node};
	event_send(kube, &about, false, warning, reason, message);
}

void events_send(struct kube *kube, const char *node, const json_t *pod, bool warning, const char *reason,
		 const char *message)
{
	events_send_as(kube, COMPONENT, node, pod, warning, reason, message);
}
