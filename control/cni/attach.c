/* SPDX-License-Identifier: Apache-2.0 */
/*
 * attach.c - a pod's attachment to its gateway: asked for, removed and checked through the agent
 *
 * An ADD asks the agent again and again until it says "ready": the agent answers at once, so that a question never
 * hangs, and a restart of the agent only costs one more question.
 *
 *   podswitch-cni                  podswitch-agent                     podswitchd
 *     | -- attachment.add ----------> | (does not know the pod yet)       |
 *     | <-------- pending, "reason" - |                                   |
 *     |   pause 20, 40 ... 200 ms     | -- gateway.add, port.add -------> |
 *     | -- attachment.add ----------> |                                   |  ARP, DHCP, probe
 *     | <-------- pending, "reason" - | <-------------------- port.ready  |
 *     | -- attachment.add ----------> |                                   |
 *     | <-- ready, mac, addresses --- |                                   |
 *
 * An ADD ends with CNI code 11 (try again later) when the configured timeout is over, and on a signal; after each of
 * these, and after a refusal, what may exist already is removed. An agent that does not answer is waited for as long as
 * one that says "pending": on a node that boots it starts beside the pods, and a kubelet whose ADD has failed waits for
 * ten seconds and more before the next one.
 *
 * Nothing without a gateway depends on us. Pods of the configured namespaces are let through without a question. While
 * the agent does not answer, or for UNKNOWN says that it does not know the pod, its own annotations and what is known
 * of its namespace on disk decide (known.h): one that asks for nothing is let through, all others wait.
 *
 * A DEL always succeeds, since a runtime keeps the pod until it does. It tries in turn, each with a share of the time:
 * the agent, podswitchd itself (port.remove, closed: an exclusive pod's own default route stays away), a tombstone that
 * the agent reads when it is back.
 *
 * Which interface: chained behind another plugin ours is the configured `ifname`, standalone it is CNI_IFNAME. A DEL or
 * CHECK without the ADD's result cannot tell the two apart; then eth0 means that ours was probably chained behind it.
 *
 * One thread.
 */
#include "control/cni/attach.h"

#include "control/base/json.h"
#include "control/base/jsonrpc.h"
#include "control/base/names.h"
#include "control/cni/agent_client.h"
#include "control/cni/known.h"
#include "control/cni/result.h"
#include "control/cni/tombstone.h"
#include "tap/base/clock.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Milliseconds. */
enum {
	FIRST_PAUSE = 20, /* between two questions of an ADD; doubled up to LONGEST_PAUSE */
	LONGEST_PAUSE = 200,
	UNKNOWN = 1000,    /* for an agent that does not know the pod, or is slow, when the pod may be let through */
	SILENCE = 10000,   /* without an answer, after which CHECK, GC and STATUS give up, and an ADD asks anew */
	DEL_AGENT = 2500,  /* from the start of a DEL, until which we wait for the agent */
	DEL_SWITCH = 4000, /* and until which we wait for podswitchd */
	LEAST_DEL = 300,   /* for each of the two, however late it is */
};

/* Runtimes give this name to the interface of a pod's first network, and others to those of further networks. */
#define PRIMARY_IFNAME "eth0"

/* ---- ADD ---- */

static json_t *add_params(const struct attach *attach, const char *ifname)
{
	const struct environment *e = attach->environment;
	const struct request *r = attach->request;
	/* The runtime sees the namespace's path, whatever the agent's container does; and it stays when we have ended.
	 */
	json_t *params =
		json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:b, s:i}", "container_id", e->container_id, "ifname",
			  ifname, "netns", e->netns, "namespace", e->namespace, "pod", e->pod, "uid", e->uid, "network",
			  r->network, "standalone", !r->previous, "runtime", (int)getppid());

	if (params && r->gateway[0])
		json_object_set_new(params, "gateway", json_string(r->gateway));
	return params;
}

/* What an ADD knows so far. */
struct waiting {
	uint64_t deadline; /* of the whole ADD */
	bool pending;      /* the last answer was "not yet" */
	bool unknown;      /* and that nothing is known of the pod */
	bool free;         /* by what is on disk the pod has no gateway */
	uint64_t began;
	char known[256]; /* why it may have one */
	char reason[256];
	struct failure failure; /* of the last question that had no answer */
};

static enum cni_code no_gateway(const struct attach *attach, json_t **out, struct refusal *why)
{
	if (!attach->request->previous)
		return refuse(
			why, CNI_BAD_CONFIG,
			"pod %s/%s has no gateway: annotate it or its namespace with podswitch.io/gateway, or put "
			"\"gateway\" into the NetworkAttachmentDefinition",
			attach->environment->namespace, attach->environment->pod);
	*out = json_incref(attach->request->previous);
	return 0;
}

static const char *reason_in(const json_t *answer, const char *otherwise)
{
	const char *reason = json_text(answer, "reason");

	return *reason ? reason : otherwise;
}

/* 0 with *out filled: done; 0 without: ask again. */
static enum cni_code attach_read_answer(const struct attach *attach, const char *ifname, const json_t *answer,
					struct waiting *waiting, json_t **out, struct refusal *why)
{
	const char *state = json_text(answer, "state");

	if (!strcmp(state, "ready"))
		return result_ready(attach->request, attach->environment, ifname, answer, out, why);
	if (!strcmp(state, "none"))
		return no_gateway(attach, out, why);
	if (strcmp(state, "pending") != 0)
		return result_not_understood(why, "state");
	waiting->pending = true;
	waiting->unknown = json_is_true(json_object_get(answer, "unknown"));
	/* The agent knows the pod, and better than what is on disk. */
	waiting->free = waiting->free && waiting->unknown;
	snprintf(waiting->reason, sizeof(waiting->reason), "%s", reason_in(answer, "podswitch-agent gives no reason"));
	return 0;
}

static enum cni_code refusal_of_agent(const struct agent_client *agent, const struct failure *failure,
				      struct refusal *why)
{
	if (agent->client.refused == AGENT_REFUSED)
		return refuse(why, CNI_REFUSED, "%s", failure->text);
	return refuse(why, CNI_FAILED, "podswitch-agent failed: %s", failure->text);
}

/* 0 while there is time to ask again. */
static enum cni_code check_time(const struct attach *attach, const struct agent_client *agent,
				const struct waiting *waiting, struct refusal *why)
{
	if (clock_ms() < waiting->deadline)
		return 0;
	if (waiting->pending)
		return refuse(why, CNI_TRY_AGAIN, "pod %s/%s has no connection to its gateway after %u s: %s",
			      attach->environment->namespace, attach->environment->pod, attach->request->timeout,
			      waiting->reason);
	struct failure failure = {0};
	snprintf(failure.text, sizeof(failure.text), "%.95s%s%.150s", waiting->failure.text,
		 waiting->known[0] ? "; " : "", waiting->known);
	return agent_client_unanswered(agent, CNI_TRY_AGAIN, &failure, why);
}

/* Whether the pod may go without the agent's word. */
static bool may_pass(const struct waiting *waiting, bool answered)
{
	return waiting->free && (!answered || (waiting->unknown && clock_ms() >= waiting->began + UNKNOWN));
}

static enum cni_code attach_stopped(const struct attach *attach, struct refusal *why)
{
	return refuse(why, CNI_TRY_AGAIN, "stopped by a signal before pod %s/%s had its gateway",
		      attach->environment->namespace, attach->environment->pod);
}

/* Asks once. 0 with *out filled: done; 0 without: ask again. */
static enum cni_code attach_ask(const struct attach *attach, struct agent_client *agent, const char *ifname,
				struct waiting *waiting, json_t **out, struct refusal *why)
{
	uint64_t patience = waiting->free ? waiting->began + UNKNOWN : clock_ms() + SILENCE;
	uint64_t limit = waiting->deadline < patience ? waiting->deadline : patience;
	struct failure failure = {0};
	json_t *answer = NULL;
	enum cni_code code = 0;

	int error = agent_client_call(agent, "attachment.add", add_params(attach, ifname), limit, &answer, &failure);
	if (error == -ECANCELED)
		return attach_stopped(attach, why);
	if (error == -EREMOTEIO)
		return refusal_of_agent(agent, &failure, why);
	if (error) {
		waiting->failure = failure;
		waiting->pending = waiting->pending && limit < patience; /* else it has said nothing for too long */
	} else {
		code = attach_read_answer(attach, ifname, answer, waiting, out, why);
	}
	json_decref(answer);
	if (!code && !*out && may_pass(waiting, !error))
		return no_gateway(attach, out, why);
	return code || *out ? code : check_time(attach, agent, waiting, why);
}

/* Chained only: a network of its own is asked for by name. */
static bool attach_is_free(const struct attach *attach, struct waiting *waiting)
{
	const struct request *request = attach->request;

	if (!request->previous || request->gateway[0])
		return false;
	return known_pod_is_free(request->known, attach->environment->namespace, request->annotations, waiting->known,
				 sizeof(waiting->known));
}

static enum cni_code ask_until_ready(const struct attach *attach, struct agent_client *agent, const char *ifname,
				     json_t **out, struct refusal *why)
{
	uint64_t now = clock_ms();
	struct waiting waiting = {.began = now};
	int pause = FIRST_PAUSE;

	waiting.free = attach_is_free(attach, &waiting);
	waiting.deadline = now + attach->request->timeout * 1000ull;
	for (;;) {
		enum cni_code code = attach_ask(attach, agent, ifname, &waiting, out, why);
		if (code || *out)
			return code;
		if (agent_client_pause(agent, pause))
			return attach_stopped(attach, why);
		pause = pause * 2 < LONGEST_PAUSE ? pause * 2 : LONGEST_PAUSE;
	}
}

/* The interface of an ADD. Its result is not there yet, so what matters is whether another plugin came before us. */
static const char *added_ifname(const struct attach *attach)
{
	return attach->request->previous ? attach->request->ifname : attach->environment->ifname;
}

enum cni_code attach_add(const struct attach *attach, json_t **out, struct refusal *why)
{
	const char *ifname = added_ifname(attach);
	struct agent_client agent = {.path = attach->request->agent_socket, .stop_fd = attach->stop_fd};

	if (result_has_interface(attach->request->previous, ifname))
		return refuse(why, CNI_BAD_CONFIG,
			      "ifname: another plugin has made an interface %s in pod %s/%s; give another name", ifname,
			      attach->environment->namespace, attach->environment->pod);
	if (attach->request->previous && names_list_has(attach->request->skip, attach->environment->namespace))
		return no_gateway(attach, out, why);
	enum cni_code code = ask_until_ready(attach, &agent, ifname, out, why);
	agent_client_close(&agent);
	if (code && agent.reached)
		attach_undo(attach);
	return code;
}

/* ---- DEL ---- */

/* How the agent identifies an attachment. */
static json_t *attachment_params(const struct attach *attach, const char *ifname)
{
	const struct environment *e = attach->environment;

	return json_pack("{s:s, s:s, s:s, s:s}", "container_id", e->container_id, "ifname", ifname, "namespace",
			 e->namespace, "pod", e->pod);
}

/* `part` ms after the start of the DEL, but not so soon that nobody could answer. */
static uint64_t attach_deadline(const struct attach *attach, unsigned part)
{
	uint64_t least = clock_ms() + LEAST_DEL, deadline = attach->started + part;

	return deadline > least ? deadline : least;
}

static int remove_from_switch(const struct attach *attach, const char *port, struct failure *why)
{
	struct agent_client podswitchd = {.path = attach->request->socket, .stop_fd = -1};
	json_t *result = NULL;

	int error = agent_client_call(&podswitchd, "port.remove", json_pack("{s:s, s:b}", "name", port, "closed", true),
				      attach_deadline(attach, DEL_SWITCH), &result, why);
	if (error == -EREMOTEIO && podswitchd.client.refused == JSONRPC_NOT_FOUND)
		error = 0;
	agent_client_close(&podswitchd);
	json_decref(result);
	return error;
}

/* The agent does not answer: asks podswitchd itself, and when that does not either, leaves a tombstone. */
static void remove_without_agent(const struct attach *attach, const char *ifname)
{
	const struct environment *e = attach->environment;
	char port[NAMES_SIZE];
	struct failure why = {0};

	int error = port_name(port, e->namespace, e->pod, e->container_id, ifname);
	if (!error)
		error = remove_from_switch(attach, port, &why);
	else
		snprintf(port, sizeof(port), "@%.*s.%s", NAMES_ID, e->container_id, ifname);
	if (!error)
		return;
	json_t *content = attachment_params(attach, ifname);
	if (tombstone_put(attach->request->socket, port, content, &why))
		fprintf(stderr, "podswitch-cni: cannot leave a note to remove pod %s/%s later: %s\n", e->namespace,
			e->pod, why.text);
	json_decref(content);
}

static void remove_one(const struct attach *attach, struct agent_client *agent, const char *ifname)
{
	struct failure why = {0};
	json_t *result = NULL;

	if (agent_client_call(agent, "attachment.remove", attachment_params(attach, ifname),
			      attach_deadline(attach, DEL_AGENT), &result, &why))
		remove_without_agent(attach, ifname);
	json_decref(result);
}

void attach_undo(const struct attach *attach)
{
	struct attach undo = *attach;
	struct agent_client agent = {.path = attach->request->agent_socket, .stop_fd = -1};

	undo.started = clock_ms();
	remove_one(&undo, &agent, added_ifname(attach));
	agent_client_close(&agent);
}

void attach_remove(const struct attach *attach)
{
	const char *given = attach->environment->ifname, *ours = attach->request->ifname;
	struct agent_client agent = {.path = attach->request->agent_socket, .stop_fd = -1};
	bool chained = result_has_interface(attach->request->previous, ours);

	/*
	 * Without the ADD's result, eth0 means that ours was probably chained behind it. For another interface we guess
	 * nothing: `ours` could be the attachment of the pod's first network, which stays.
	 */
	bool maybe = !chained && !strcmp(given, PRIMARY_IFNAME);
	if (chained || maybe)
		remove_one(attach, &agent, ours);
	if (!chained)
		remove_one(attach, &agent, given);
	agent_client_close(&agent);
}

/* ---- CHECK, GC, STATUS ---- */

/* Calls the agent once. `code` is for one that does not answer. */
static enum cni_code attach_call_agent(const struct attach *attach, const char *method, json_t *params,
				       enum cni_code code, json_t **answer, struct refusal *why)
{
	struct agent_client agent = {.path = attach->request->agent_socket, .stop_fd = attach->stop_fd};
	struct failure failure = {0};

	int error = agent_client_call(&agent, method, params, clock_ms() + SILENCE, answer, &failure);
	agent_client_close(&agent);
	if (error == -EREMOTEIO)
		return refusal_of_agent(&agent, &failure, why);
	return error ? agent_client_unanswered(&agent, code, &failure, why) : 0;
}

static const char *checked_ifname(const struct attach *attach)
{
	const char *given = attach->environment->ifname, *ours = attach->request->ifname;
	bool chained = result_has_interface(attach->request->previous, ours) || !strcmp(given, PRIMARY_IFNAME);

	return chained ? ours : given;
}

static enum cni_code attach_read_check(const struct attach *attach, const char *ifname, const json_t *answer,
				       struct refusal *why)
{
	const struct environment *e = attach->environment;
	const char *state = json_text(answer, "state");
	const char *reason = reason_in(answer, "podswitch-agent gives no reason");

	/* Not CNI_CHECKED: a runtime might recreate the pod, which does not bring its gateway back. */
	if (!strcmp(state, "lost"))
		return refuse(why, CNI_TRY_AGAIN, "pod %s/%s: its gateway does not answer on %s: %s", e->namespace,
			      e->pod, ifname, reason);
	if (!strcmp(state, "missing"))
		return refuse(why, CNI_CHECKED, "pod %s/%s: %s has been changed: %s", e->namespace, e->pod, ifname,
			      reason);
	return strcmp(state, "none") != 0 && strcmp(state, "ready") != 0 ? result_not_understood(why, "state") : 0;
}

enum cni_code attach_check(const struct attach *attach, struct refusal *why)
{
	const char *ifname = checked_ifname(attach);
	json_t *answer = NULL;

	if (!attach->request->previous)
		return refuse(why, CNI_BAD_CONFIG, "prevResult: missing; CHECK is about the result of an ADD");
	enum cni_code code = attach_call_agent(attach, "attachment.check", attachment_params(attach, ifname),
					       CNI_TRY_AGAIN, &answer, why);
	if (!code)
		code = attach_read_check(attach, ifname, answer, why);
	json_decref(answer);
	return code;
}

/* Each valid attachment in the agent's form; behind each eth0 there may be one of ours. */
static enum cni_code attach_list_valid(const struct request *request, json_t *list, struct refusal *why)
{
	for (size_t i = 0; i < json_array_size(request->valid); i++) {
		const json_t *entry = json_array_get(request->valid, i);
		const char *container = json_text(entry, "containerID"), *ifname = json_text(entry, "ifname");
		if (!*container || !*ifname)
			return refuse(why, CNI_BAD_CONFIG,
				      "cni.dev/valid-attachments: each needs the strings containerID and ifname");
		json_array_append_new(list, json_pack("{s:s, s:s}", "container_id", container, "ifname", ifname));
		if (!strcmp(ifname, PRIMARY_IFNAME) && strcmp(ifname, request->ifname) != 0)
			json_array_append_new(
				list, json_pack("{s:s, s:s}", "container_id", container, "ifname", request->ifname));
	}
	return 0;
}

enum cni_code attach_collect(const struct attach *attach, struct refusal *why)
{
	json_t *answer = NULL, *valid = json_array();

	/* A runtime that does not say what is valid must not make us remove everything. */
	enum cni_code code = attach->request->valid ? attach_list_valid(attach->request, valid, why)
						    : refuse(why, CNI_BAD_CONFIG, "cni.dev/valid-attachments: missing");
	if (!code)
		code = attach_call_agent(attach, "attachment.gc",
					 json_pack("{s:O, s:s}", "valid", valid, "network", attach->request->network),
					 CNI_TRY_AGAIN, &answer, why);
	json_decref(valid);
	json_decref(answer);
	return code;
}

enum cni_code attach_status(const struct attach *attach, struct refusal *why)
{
	json_t *answer = NULL;

	/* The runtime would take the whole node for not ready, and pods without a gateway can start. */
	if (!attach->request->fail_status)
		return 0;
	enum cni_code code = attach_call_agent(attach, "agent.status", json_object(), CNI_UNAVAILABLE, &answer, why);
	bool synced = json_is_true(json_object_get(answer, "synced"));
	bool podswitchd = json_is_true(json_object_get(answer, "switch"));
	if (!code && !podswitchd)
		code = refuse(why, CNI_UNAVAILABLE, "podswitch-agent does not reach podswitchd on this node: %s",
			      reason_in(answer, attach->request->socket));
	else if (!code && !synced)
		code = refuse(why, CNI_UNAVAILABLE, "podswitch-agent does not know the cluster yet: %s",
			      reason_in(answer, "it has no answer from the API server"));
	else if (code)
		why->code = code = CNI_UNAVAILABLE;
	json_decref(answer);
	return code;
}
