/* SPDX-License-Identifier: Apache-2.0 */
/* attachment.c - a pod that has, or is to have, a port */
#include "control/kube/attachment.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HEARD 6 /* seconds: podswitchd asks the expected router every two */

struct attachment *attachment_new(const char *namespace, const char *pod, const char *id, const char *ifname)
{
	struct attachment *attachment = calloc(1, sizeof(*attachment));
	if (!attachment)
		return NULL;
	if (port_name(attachment->port, namespace, pod, id, ifname)) {
		free(attachment);
		return NULL;
	}
	snprintf(attachment->namespace, sizeof(attachment->namespace), "%s", namespace);
	snprintf(attachment->pod, sizeof(attachment->pod), "%s", pod);
	snprintf(attachment->id, sizeof(attachment->id), "%.*s", NAMES_ID, id);
	snprintf(attachment->ifname, sizeof(attachment->ifname), "%s", ifname);
	return attachment;
}

void attachment_free(struct attachment *attachment)
{
	if (!attachment)
		return;
	json_decref(attachment->status);
	free(attachment->applied);
	free(attachment);
}

void attachment_suspect(struct attachment *attachment, uint64_t now)
{
	if (!attachment->endpoint.family)
		return;
	struct suspect *suspect = NULL;
	for (unsigned i = 0; i < ATTACHMENT_SUSPECTS && !suspect; i++)
		if (address_equal(&attachment->suspects[i].address, &attachment->endpoint))
			suspect = &attachment->suspects[i];
	if (!suspect)
		suspect = &attachment->suspects[attachment->next_suspect++ % ATTACHMENT_SUSPECTS];
	*suspect = (struct suspect){attachment->endpoint, now + ATTACHMENT_SUSPICION};
}

void attachment_trust(struct attachment *attachment)
{
	for (unsigned i = 0; i < ATTACHMENT_SUSPECTS; i++)
		if (address_equal(&attachment->suspects[i].address, &attachment->endpoint))
			attachment->suspects[i].until = 0;
}

bool attachment_suspects(const struct attachment *attachment, const struct address *address, uint64_t now)
{
	for (unsigned i = 0; i < ATTACHMENT_SUSPECTS; i++) {
		const struct suspect *suspect = &attachment->suspects[i];
		if (suspect->until > now && address_equal(&suspect->address, address))
			return true;
	}
	return false;
}

const char *attachment_client(const struct attachment *attachment, const char *member)
{
	const char *text = json_string_value(json_object_get(json_object_get(attachment->status, "client"), member));
	return text ? text : "";
}

bool attachment_is_heard(const struct attachment *attachment)
{
	const json_t *answered = json_object_get(json_object_get(attachment->status, "client"), "answered");
	return answered && json_integer_value(answered) <= HEARD;
}

enum attachment_state attachment_set_state(struct attachment *attachment, enum attachment_state state,
					   const char *reason)
{
	attachment->state = state;
	if (reason != attachment->reason)
		snprintf(attachment->reason, sizeof(attachment->reason), "%s", reason);
	return state;
}
