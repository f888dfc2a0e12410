/* SPDX-License-Identifier: Apache-2.0 */
/*
 * retire.c - attachments whose pod or sandbox is gone
 *
 * Removing a port and cutting it off are different: without its port what is left of a pod's processes could find
 * another way out, and a pod that is deleted by force runs on for its grace period. So a port is removed when the
 * plugin says DEL or when nothing of the pod is left that could send; until then it is cut off.
 */
#include "control/cni/tombstone.h"
#include "control/kube/memory.h"
#include "control/kube/reconciler_internal.h"
#include "tap/base/log.h"

#include <stdio.h>
#include <string.h>

#define ORPHAN_AGE 30000 /* ms after which a pod's port is cut off when the pod is gone and no DEL came */

void removed_remember(struct reconciler *reconciler, const char *port)
{
	snprintf(reconciler->removed[reconciler->next_removed++ % RECONCILER_REMOVED], NAMES_SIZE, "%s", port);
}

bool removed_recently(const struct reconciler *reconciler, const char *port)
{
	for (unsigned i = 0; i < RECONCILER_REMOVED; i++)
		if (!strcmp(reconciler->removed[i], port))
			return true;
	return false;
}

int attachment_remove(struct reconciler *reconciler, const char *port, struct failure *why)
{
	struct attachment *attachment = reconciler_find(reconciler, port);
	int error = podswitchd_ports_remove(&reconciler->ports, port, true, why);
	if (error)
		return error;
	memory_drop(reconciler->config.memory, port);
	if (attachment)
		reconciler_drop(reconciler, attachment);
	return 0;
}

/* Its namespace or interface is gone, so nothing is left that could send. */
static bool attachment_is_gone(const struct attachment *attachment)
{
	const char *state = json_string_value(json_object_get(attachment->status, "state"));
	return attachment->exists && state && !strcmp(state, "gone");
}

static void cut_off_or_remove(struct reconciler *reconciler, struct attachment *attachment)
{
	struct failure why = {0};
	if (!attachment->exists || attachment_is_gone(attachment))
		(void)attachment_remove(reconciler, attachment->port, NULL);
	else if (podswitchd_ports_cut_off(&reconciler->ports, attachment, &why))
		log_line(LOG_ERROR, "%s: cannot be cut off: %s", attachment->port, why.text);
}

/*
 * An earlier sandbox of the same pod holds the MAC that the new one needs at the gateway. A plugin that still asks for
 * the earlier one is refused.
 */
void remove_earlier(struct reconciler *reconciler, const struct attachment *newest)
{
	for (struct attachment *attachment = reconciler->attachments, *next; attachment; attachment = next) {
		next = attachment->next;
		if (attachment != newest && !strcmp(attachment->namespace, newest->namespace) &&
		    !strcmp(attachment->pod, newest->pod) && !strcmp(attachment->ifname, newest->ifname)) {
			if (!attachment->by_agent && !attachment->superseded)
				removed_remember(reconciler, attachment->port);
			attachment->superseded = true;
			(void)podswitchd_ports_refresh(&reconciler->ports, attachment, NULL);
			cut_off_or_remove(reconciler, attachment);
		}
	}
}

/* Carries out a DEL that the plugin noted while nobody answered. The pod may never have been known here. */
static int remove_tombstoned(void *context, const char *port, const json_t *content)
{
	(void)content;
	if (!removed_recently(context, port))
		removed_remember(context, port);
	return attachment_remove(context, port, NULL);
}

static bool gateway_is_used(void *context, const char *gateway)
{
	const struct reconciler *reconciler = context;
	for (const struct attachment *attachment = reconciler->attachments; attachment; attachment = attachment->next)
		if (!strcmp(attachment->at, gateway))
			return true;
	return false;
}

void reconciler_sweep(struct reconciler *reconciler)
{
	for (struct attachment *attachment = reconciler->attachments, *next; attachment; attachment = next) {
		next = attachment->next;
		bool orphan = attachment->orphaned && reconciler->now - attachment->orphaned > ORPHAN_AGE;
		if (attachment_is_gone(attachment) || orphan || attachment->superseded)
			cut_off_or_remove(reconciler, attachment);
	}
	(void)tombstone_each(reconciler->config.socket, remove_tombstoned, reconciler);
	podswitchd_ports_tidy_gateways(&reconciler->ports, gateway_is_used, reconciler);
	gateway_path_sweep(reconciler);
	reconciler_forget_told(reconciler);
}
