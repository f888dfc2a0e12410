/* SPDX-License-Identifier: Apache-2.0 */
/* events.c - Kubernetes Events on pods */
#include "control/kube/events.h"
#include "control/base/json.h"
#include "tap/base/text.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#define COMPONENT "podswitch-agent"
#define EVENT_PREFIX 220 /* bytes of an object's name in that of its Event; a hash of 9 and a time of 17 follow */
#define MESSAGE 1024     /* bytes that the API server takes, with a NUL */

/* What an Event is about, and who says it. */
struct event_subject {
	const char *kind, *namespace, *name, *uid; /* `namespace`: the Event's own, for what has none */
	const char *component, *instance;
};

/* A name must not end in '-' or '.'. Returns the length. */
static size_t event_trim(char *name, size_t length)
{
	for (; length && strchr("-.", name[length - 1]); length--)
		name[length - 1] = '\0';
	return length;
}

/* A pod that is being created may only have a generateName, "web-7d4b9-". */
static void name_of(const json_t *metadata, char out[static 254])
{
	const char *name = json_text(metadata, "name");
	size_t length = (size_t)snprintf(out, 254, "%s", *name ? name : json_text(metadata, "generateName"));
	event_trim(out, length < 254 ? length : 253);
}

/*
 * As client-go does it: NAME.TIME, unique, and sorted by time. It is a DNS subdomain of at most 253 bytes, or the API
 * server refuses the Event: a long name is cut so that it still ends in a letter or digit, and a hash of all of it
 * keeps it apart from others that begin alike.
 */
static void event_name(const struct event_subject *about, const struct timespec *clock, char out[static 254])
{
	unsigned long long time = (unsigned long long)clock->tv_sec * 1000000000u + (unsigned long long)clock->tv_nsec;
	size_t whole = strlen(about->name);
	char cut[EVENT_PREFIX + 1], hash[12] = "";
	snprintf(cut, sizeof(cut), "%s", about->name);
	size_t length = event_trim(cut, strlen(cut));
	if (whole > EVENT_PREFIX)
		snprintf(hash, sizeof(hash), "-%08x", (unsigned)XXH3_64bits(about->name, whole));
	snprintf(out, 254, "%s%s.%llx", length ? cut : "unnamed", hash, time);
}

static json_t *event_body(const struct event_subject *about, const char *type, const char *reason, const char *message)
{
	char now[32], id[254];
	struct timespec clock;
	struct tm utc;
	clock_gettime(CLOCK_REALTIME, &clock);
	gmtime_r(&clock.tv_sec, &utc);
	strftime(now, sizeof(now), "%Y-%m-%dT%H:%M:%SZ", &utc);
	event_name(about, &clock, id);
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
