/* SPDX-License-Identifier: Apache-2.0 */
/*
 * adopt.c - the ports that podswitchd has become attachments
 *
 * After a start of the agent, and after each new connection to podswitchd, whose state may have been lost meanwhile. A
 * port's name says whose it is (names.h); the gateway's name says which endpoint the port is at; and what the CNI
 * configuration named was kept in a file (memory.h).
 */
#include "control/kube/memory.h"
#include "control/kube/reconciler_internal.h"
#include "tap/base/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Reads NAMESPACE.POD@ID[.IFNAME]. If POD was cut to fit, it is looked up among the pods of this node. */
static struct attachment *attachment_of_port(const struct reconciler *reconciler, const char *port, const char *ifname)
{
	char namespace[64], pod[NAMES_SIZE], id[NAMES_ID + 1], name[NAMES_SIZE];
	size_t dot = strcspn(port, "."), at = strcspn(port, "@");
	if (!port[at] || dot >= at || dot >= sizeof(namespace))
		return NULL;
	snprintf(namespace, sizeof(namespace), "%.*s", (int)dot, port);
	snprintf(pod, sizeof(pod), "%.*s", (int)(at - dot - 1), port + dot + 1);
	snprintf(id, sizeof(id), "%.*s", NAMES_ID, port + at + 1);
	if (!cluster_pod(reconciler->config.cluster, namespace, pod)) {
		const char *key;
		json_t *value;
		json_object_foreach((json_t *)cluster_pods(reconciler->config.cluster), key, value)
		{
			const char *slash = strchr(key, '/');
			if (!strncmp(key, namespace, dot) && slash == key + dot &&
			    !port_name(name, namespace, slash + 1, id, ifname) && !strcmp(name, port))
				return attachment_new(namespace, slash + 1, id, ifname);
		}
	}
	return attachment_new(namespace, pod, id, ifname);
}

/* The gateway that the CNI configuration named. Unreadable, it must not pass for "none": "?" is never found. */
static void recall_configured(const struct reconciler *reconciler, struct attachment *attachment)
{
	int error = memory_recall(reconciler->config.memory, attachment->port, attachment->configured,
				  sizeof(attachment->configured));
	if (!error)
		return;
	log_line(LOG_ERROR, "%s: the gateway that its CNI configuration named cannot be read: %s", attachment->port,
		 strerror(-error));
	snprintf(attachment->configured, sizeof(attachment->configured), "?");
}

/* Reads where the port is from its gateway's name: NAMESPACE.SERVICE@ADDRESS, or none. */
static void recall_gateway(struct attachment *attachment, const char *gateway)
{
	size_t dot = strcspn(gateway, "."), at = strcspn(gateway, "@");
	snprintf(attachment->at, sizeof(attachment->at), "%s", gateway);
	if (!gateway[at] || dot >= at)
		return;
	(void)address_parse(gateway + at + 1, &attachment->endpoint);
	snprintf(attachment->gateway, sizeof(attachment->gateway), "%.*s/%.*s", (int)dot, gateway, (int)(at - dot - 1),
		 gateway + dot + 1);
}

static struct attachment *adopt_new(struct reconciler *reconciler, const json_t *status, const char *name,
				    const char *ifname)
{
	char id[NAMES_ID + 1];
	struct attachment *attachment = attachment_of_port(reconciler, name, ifname);
	if (!attachment || strcmp(attachment->port, name) != 0) {
		attachment_free(attachment);
		return NULL;
	}
	const json_t *pod = cluster_pod(reconciler->config.cluster, attachment->namespace, attachment->pod);
	attachment->by_agent = pod && !port_id_of_uid(id, pod_uid(pod)) && !strcmp(id, attachment->id);
	snprintf(attachment->netns, sizeof(attachment->netns), "%s",
		 json_string_value(json_object_get(status, "netns")));
	recall_configured(reconciler, attachment);
	reconciler_add(reconciler, attachment);
	return attachment;
}

static void adopt_port(struct reconciler *reconciler, json_t *status)
{
	const char *name = json_string_value(json_object_get(status, "name"));
	const char *ifname = json_string_value(json_object_get(status, "ifname"));
	if (!name || !ifname || !strchr(name, '@') || !json_is_string(json_object_get(status, "netns")) ||
	    !json_is_string(json_object_get(status, "gateway")))
		return;
	struct attachment *attachment = reconciler_find(reconciler, name);
	if (!attachment)
		attachment = adopt_new(reconciler, status, name, ifname);
	if (!attachment)
		return;
	attachment->exists = true;
	json_decref(attachment->status);
	attachment->status = json_incref(status);
	/* The plugin may have asked for it again already. It stays where it is, and sends no Event for what is not new.
	 */
	const char *client = attachment_client(attachment, "state");
	if (*attachment->at)
		return;
	recall_gateway(attachment, json_string_value(json_object_get(status, "gateway")));
	attachment->attached = !strcmp(client, "ready") || !strcmp(client, "lost");
}

static void forget_ports(struct reconciler *reconciler)
{
	for (struct attachment *attachment = reconciler->attachments; attachment; attachment = attachment->next)
		attachment->exists = false;
}

/* False when podswitchd does not answer. */
bool adopt_ports(struct reconciler *reconciler)
{
	json_t *list = NULL, *status;
	size_t i;
	if (podswitchd_call(reconciler->config.podswitchd, "port.list", NULL, &list, NULL, NULL))
		return false;
	forget_ports(reconciler);
	json_array_foreach(list, i, status)
	{
		adopt_port(reconciler, status);
	}
	json_decref(list);
	/* A restarted podswitchd has its old ports, unless its state was lost: then they are added again. */
	if (reconciler->epoch != podswitchd_epoch(reconciler->config.podswitchd)) {
		for (struct attachment *attachment = reconciler->attachments; attachment;
		     attachment = attachment->next) {
			free(attachment->applied);
			attachment->applied = NULL;
		}
		reconciler->pass_wanted = true;
	}
	reconciler->epoch = podswitchd_epoch(reconciler->config.podswitchd);
	return true;
}
