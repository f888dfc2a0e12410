/* SPDX-License-Identifier: Apache-2.0 */
/*
 * agent_methods.c - what podswitch-cni asks of the agent
 *
 * Nothing waits in here: an attachment.add reconciles once and answers with the state it finds, and the plugin asks
 * again while that is "pending".
 */
#include "control/kube/agent_methods.h"
#include "control/base/rpc.h"
#include "control/kube/events.h"
#include "control/kube/find.h"
#include "control/kube/memory.h"
#include "control/kube/reconciler_internal.h"
#include "control/kube/succession.h"

#include <stdio.h>
#include <string.h>

#define ATTACH_REFUSED (-32020) /* JSON-RPC: refused for as long as nothing changes, so asking again is no use */

struct plugin_request {
	const char *container, *ifname, *netns, *namespace, *pod, *uid, *configured;
	int runtime; /* the process that has started the plugin; 0: it does not say */
	char port[NAMES_SIZE];
};

static int plugin_request_read(json_t *params, bool add, struct plugin_request *out, struct failure *why)
{
	*out = (struct plugin_request){.netns = "", .uid = "", .configured = ""};
	json_error_t error;
	int standalone = 0;
	if (json_unpack_ex(params, &error, 0, "{s:s, s:s, s:s, s:s, s?s, s?s, s?s, s?b, s?i}", "container_id",
			   &out->container, "ifname", &out->ifname, "namespace", &out->namespace, "pod", &out->pod,
			   "netns", &out->netns, "uid", &out->uid, "gateway", &out->configured, "standalone",
			   &standalone, "runtime", &out->runtime))
		return fail(why, JSONRPC_INVALID_PARAMS, NULL, "%s", error.text);
	if (port_name(out->port, out->namespace, out->pod, out->container, out->ifname))
		return fail(why, JSONRPC_INVALID_PARAMS, NULL,
			    "container_id, ifname, namespace or pod is not a valid name");
	if (add && (!*out->netns || strlen(out->netns) >= sizeof(((struct attachment *)0)->netns)))
		return fail(why, JSONRPC_INVALID_PARAMS, "netns", "netns: is missing or too long");
	return 0;
}

/* Keeps what only the plugin knows; it does not say it again once the pod runs. */
static int note_plugin_request(const struct reconciler *reconciler, struct attachment *attachment,
			       const struct plugin_request *plugin_request, struct failure *why)
{
	snprintf(attachment->uid, sizeof(attachment->uid), "%s", plugin_request->uid);
	if (!strcmp(attachment->configured, plugin_request->configured))
		return 0;
	if (strlen(plugin_request->configured) >= sizeof(attachment->configured))
		return fail(why, JSONRPC_INVALID_PARAMS, "gateway", "gateway: '%.40s...' is too long for a name",
			    plugin_request->configured);
	if (memory_keep(reconciler->config.memory, attachment->port, plugin_request->configured, why))
		return JSONRPC_INTERNAL;
	snprintf(attachment->configured, sizeof(attachment->configured), "%s", plugin_request->configured);
	return 0;
}

static struct attachment *attachment_of_request(struct reconciler *reconciler,
						const struct plugin_request *plugin_request)
{
	struct attachment *attachment = attachment_new(plugin_request->namespace, plugin_request->pod,
						       plugin_request->container, plugin_request->ifname);
	if (!attachment)
		return NULL;
	find_netns_of_runtime(plugin_request->netns, plugin_request->runtime, attachment->netns,
			      sizeof(attachment->netns));
	reconciler_add(reconciler, attachment);
	return attachment;
}

static json_t *ready_answer(const struct attachment *attachment)
{
	const json_t *status = attachment->status;
	const char *mac = json_string_value(json_object_get(status, "mac"));
	return json_pack("{s:s, s:s, s:s, s:s, s:s, s:O, s:O, s:s}", "state", "ready", "name", attachment->port,
			 "gateway", attachment->gateway, "ifname", attachment->ifname, "mac", mac ? mac : "", "mtu",
			 json_object_get(status, "mtu"), "addresses", json_object_get(status, "addresses"), "router",
			 attachment_client(attachment, "router"));
}

/* podswitchd takes 6 s to say that a gateway is silent; what is said before that may mislead. */
#define TELL_AFTER 8000 /* ms */

/* The plugin has waited for a while: says in an Event, once, what it waits for. */
static void report_silence(struct reconciler *reconciler, struct attachment *attachment)
{
	if (attachment->exists && *attachment->reason && reconciler->now - attachment->began > TELL_AFTER &&
	    !attachment->attached)
		reconciler_report(reconciler, attachment, true, EVENT_NOT_READY, attachment->reason);
}

/*
 * "unknown": the cluster is not known yet, and so not even whether the pod has a gateway. Then the plugin may go by
 * what it finds on disk; else that may be older than what we know, or are about to hear.
 */
static int answer_pending(const struct reconciler *reconciler, const char *reason, json_t **result)
{
	bool unknown = !cluster_synced(reconciler->config.cluster);
	*result = json_pack("{s:s, s:s, s:b}", "state", "pending", "reason", reason, "unknown", unknown);
	return 0;
}

static int answer_none(struct reconciler *reconciler, struct attachment *attachment, json_t **result)
{
	if (!cluster_watches_namespaces(reconciler->config.cluster))
		return answer_pending(reconciler, "podswitch-agent's watch of namespaces is interrupted", result);
	if (!namespace_check_none(reconciler, attachment))
		return answer_pending(reconciler, "the API server is asked whether the namespace has a gateway by now",
				      result);
	memory_drop(reconciler->config.memory, attachment->port);
	reconciler_drop(reconciler, attachment);
	*result = json_pack("{s:s}", "state", "none");
	return 0;
}

/* Whether that can be said without podswitchd: the pod has no gateway, and never had a port here. */
static bool needs_no_switch(struct reconciler *reconciler, const struct attachment *attachment)
{
	const json_t *pod = attachment_pod(reconciler, attachment);
	struct choice choice;

	if (!cluster_synced(reconciler->config.cluster) || !pod || attachment->exists)
		return false;
	reconciler_choose(reconciler, pod, attachment->namespace, attachment->configured, &choice);
	return choice.verdict == CHOICE_NONE;
}

static int answer_unadopted(struct reconciler *reconciler, struct attachment *attachment, json_t **result)
{
	if (needs_no_switch(reconciler, attachment))
		return answer_none(reconciler, attachment, result);
	bool starting =
		podswitchd_answers(reconciler->config.podswitchd) || !cluster_synced(reconciler->config.cluster);
	return answer_pending(reconciler,
			      starting ? "podswitch-agent is starting"
				       : "podswitchd does not answer: see the logs of its pod on this node, of the "
					 "DaemonSet podswitchd",
			      result);
}

static void note_call(struct reconciler *reconciler, const struct plugin_request *request)
{
	reconciler->called = reconciler->now ? reconciler->now : 1;
	seen_pods_note(&reconciler->seen, request->namespace, request->pod, request->uid, SEEN_CALLED);
}

static int answer_add(struct reconciler *reconciler, json_t *params, json_t **result, struct failure *why)
{
	struct plugin_request plugin_request;
	int code = plugin_request_read(params, true, &plugin_request, why);
	if (code)
		return code;
	note_call(reconciler, &plugin_request);
	if (removed_recently(reconciler, plugin_request.port))
		return fail(why, JSONRPC_REFUSED, NULL, "the container has been removed meanwhile");
	struct attachment *attachment = reconciler_find(reconciler, plugin_request.port);
	if (!attachment && !(attachment = attachment_of_request(reconciler, &plugin_request)))
		return fail(why, JSONRPC_INTERNAL, NULL, "out of memory");
	code = note_plugin_request(reconciler, attachment, &plugin_request, why);
	if (code)
		return code;
	if (!reconciler->adopted || !first_interface_is_known(reconciler))
		return answer_unadopted(reconciler, attachment, result);
	remove_earlier(reconciler, attachment);
	switch (reconcile(reconciler, attachment)) {
	case ATTACHMENT_NONE:
		return answer_none(reconciler, attachment, result);
	case ATTACHMENT_READY:
		if (!attachment->counted)
			histogram_add(&reconciler->seconds, (double)(reconciler->now - attachment->began) / 1000);
		attachment->counted = true;
		*result = ready_answer(attachment);
		return *result ? 0 : fail(why, JSONRPC_INTERNAL, NULL, "podswitchd's report is not complete");
	case ATTACHMENT_REFUSED:
		return fail(why, ATTACH_REFUSED, NULL, "%s", attachment->reason);
	case ATTACHMENT_PENDING:
		break;
	}
	/* The kubelet cannot delete a pod while it waits for its sandbox. */
	if (pod_is_ending(attachment_pod(reconciler, attachment)))
		return fail(why, ATTACH_REFUSED, NULL, "the pod is being deleted; %.200s", attachment->reason);
	report_silence(reconciler, attachment);
	return answer_pending(reconciler, attachment->reason, result);
}

static int answer_remove(struct reconciler *reconciler, json_t *params, json_t **result, struct failure *why)
{
	struct plugin_request plugin_request;
	int code = plugin_request_read(params, false, &plugin_request, why);
	if (code)
		return code;
	removed_remember(reconciler, plugin_request.port);
	if (attachment_remove(reconciler, plugin_request.port, why))
		return JSONRPC_REFUSED;
	*result = json_object();
	return 0;
}

static int answer_check(struct reconciler *reconciler, json_t *params, json_t **result, struct failure *why)
{
	static const char *const names[] = {[ATTACHMENT_PENDING] = "lost",
					    [ATTACHMENT_NONE] = "none",
					    [ATTACHMENT_REFUSED] = "lost",
					    [ATTACHMENT_READY] = "ready"};
	struct plugin_request plugin_request;
	int code = plugin_request_read(params, false, &plugin_request, why);
	if (code)
		return code;
	struct attachment *attachment = reconciler_find(reconciler, plugin_request.port);
	if (!reconciler->adopted)
		return fail(why, JSONRPC_REFUSED, NULL, "podswitch-agent is starting, or podswitchd does not answer");
	if (attachment)
		*result =
			json_pack("{s:s, s:s}", "state",
				  attachment->exists || attachment->state == ATTACHMENT_NONE ? names[attachment->state]
											     : "missing",
				  "reason", attachment->reason);
	else
		*result = json_pack("{s:s, s:s}", "state", "none", "reason", "the pod has no gateway");
	return 0;
}

/* Whether the list of valid attachments has this one. */
static bool is_valid(const json_t *valid, const struct attachment *attachment)
{
	size_t i;
	const json_t *entry;
	json_array_foreach(valid, i, entry)
	{
		const char *container = json_string_value(json_object_get(entry, "container_id"));
		const char *ifname = json_string_value(json_object_get(entry, "ifname"));
		/* By container alone: the list names the primary's interface, and ours has another name. */
		if (container && ifname && !strncmp(container, attachment->id, strlen(attachment->id)))
			return true;
	}
	return false;
}

/*
 * The list of one network lacks the attachments of all others, so a pod that still exists is never garbage. Its earlier
 * sandboxes were removed when the present one was added.
 */
static bool is_garbage(const struct reconciler *reconciler, const json_t *valid, const struct attachment *attachment)
{
	return !is_valid(valid, attachment) && !attachment_pod(reconciler, attachment);
}

static int answer_gc(struct reconciler *reconciler, json_t *params, json_t **result, struct failure *why)
{
	const json_t *valid = json_object_get(params, "valid");
	bool known = reconciler->adopted && cluster_synced(reconciler->config.cluster);
	int removed = 0;
	if (!json_is_array(valid))
		return fail(why, JSONRPC_INVALID_PARAMS, "valid", "valid: give an array of attachments");
	for (struct attachment *attachment = reconciler->attachments, *next; attachment; attachment = next) {
		next = attachment->next;
		if (known && is_garbage(reconciler, valid, attachment) &&
		    !attachment_remove(reconciler, attachment->port, NULL))
			removed++;
	}
	*result = json_pack("{s:i}", "removed", removed);
	return 0;
}

static int answer_status(const struct agent_methods *methods, json_t **result)
{
	const struct reconciler *reconciler = methods->reconciler;
	const char *reason = "";
	bool ready = methods->ready(methods->context, &reason);
	*result = json_pack("{s:b, s:b, s:b, s:s, s:s, s:s, s:b}", "synced", cluster_synced(reconciler->config.cluster),
			    "switch", podswitchd_answers(reconciler->config.podswitchd), "ready", ready, "reason",
			    ready ? "" : reason, "version", PODSWITCH_VERSION, "instance",
			    methods->instance ? methods->instance : "", "hands_over", true);
	return 0;
}

static int answer_hand_over(struct rpc_client *client, json_t **result)
{
	if (client)
		rpc_release(client);
	*result = json_object();
	return 0;
}

int agent_methods_call(void *context, struct rpc_client *client, const char *method, json_t *params, json_t **result,
		       struct failure *why)
{
	const struct agent_methods *methods = context;
	struct reconciler *reconciler = methods->reconciler;
	if (!strcmp(method, "attachment.add"))
		return answer_add(reconciler, params, result, why);
	if (!strcmp(method, "attachment.remove"))
		return answer_remove(reconciler, params, result, why);
	if (!strcmp(method, "attachment.check"))
		return answer_check(reconciler, params, result, why);
	if (!strcmp(method, "attachment.gc"))
		return answer_gc(reconciler, params, result, why);
	if (!strcmp(method, "agent.status"))
		return answer_status(methods, result);
	if (!strcmp(method, SUCCESSION_METHOD))
		return answer_hand_over(client, result);
	fail(why, -ENOSYS, NULL, "there is no method '%.64s'", method);
	return JSONRPC_UNKNOWN_METHOD;
}
