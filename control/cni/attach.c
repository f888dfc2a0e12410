/* SPDX-License-Identifier: Apache-2.0 */
/* attach.c - a pod's attachment to its gateway: asked for, taken back and looked at through the agent */
#include "control/cni/attach.h"

#include "control/base/json.h"
#include "control/base/jsonrpc.h"
#include "control/base/names.h"
#include "control/cni/agent_client.h"
#include "control/cni/result.h"
#include "control/cni/tombstone.h"
#include "tap/base/clock.h"

#include <stdio.h>
#include <string.h>

/* Milliseconds. */
enum {
	FIRST_PAUSE = 20, /* between two questions of an ADD; doubles up to the longest */
	LONGEST_PAUSE = 200,
	SILENCE = 10000,   /* of the agent, after which an ADD, CHECK, GC or STATUS gives up */
	DEL_AGENT = 2500,  /* of a DEL's time, until which the agent is waited for */
	DEL_SWITCH = 4000, /* and podswitchd */
	LEAST_DEL = 300,   /* for each of the two, however much time is gone */
};

/* A runtime gives the interface of a pod's first network this name, and those of further ones another. */
#define PRIMARY_IFNAME "eth0"

/* ---- ADD ---- */

static json_t *add_params(const struct attach *attach, const char *ifname)
{
	const struct environment *e = attach->environment;
	const struct request *r = attach->request;
	json_t *params = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:b}", "container_id", e->container_id,
				   "ifname", ifname, "netns", e->netns, "namespace", e->namespace, "pod", e->pod, "uid",
				   e->uid, "network", r->network, "standalone", !r->previous);

	if (params && r->gateway[0])
		json_object_set_new(params, "gateway", json_string(r->gateway));
	return params;
}

/* Whether to go on asking, and what was the last that was heard. */
struct waiting {
	uint64_t deadline; /* of the whole ADD */
	uint64_t heard;    /* when the agent answered last, or the ADD began */
	bool pending;      /* the last answer was "not yet" */
	char reason[256];
	struct failure away; /* how the agent did not answer */
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

/* Takes an answer apart. 0 with *out filled: done; 0 without: ask again. */
static enum cni_code attach_take_answer(const struct attach *attach, const char *ifname, const json_t *answer,
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
	snprintf(waiting->reason, sizeof(waiting->reason), "%s", reason_in(answer, "podswitch-agent does not say why"));
	return 0;
}

static enum cni_code take_refusal(const struct agent_client *agent, const struct failure *failure, struct refusal *why)
{
	if (agent->client.refused == AGENT_REFUSED)
		return refuse(why, CNI_REFUSED, "%s", failure->text);
	return refuse(why, CNI_FAILED, "podswitch-agent failed: %s", failure->text);
}

/* 0 while there is time. */
static enum cni_code check_time(const struct attach *attach, const struct agent_client *agent,
				const struct waiting *waiting, struct refusal *why)
{
	uint64_t now = clock_ms();

	if (now >= waiting->deadline && waiting->pending)
		return refuse(why, CNI_TRY_AGAIN, "pod %s/%s has no way to its gateway after %u s: %s",
			      attach->environment->namespace, attach->environment->pod, attach->request->timeout,
			      waiting->reason);
	if (now < waiting->deadline && now < waiting->heard + SILENCE)
		return 0;
	return agent_client_away(agent, CNI_TRY_AGAIN, &waiting->away, why);
}

static enum cni_code stopped(const struct attach *attach, struct refusal *why)
{
	return refuse(why, CNI_TRY_AGAIN, "stopped by a signal before pod %s/%s had its gateway",
		      attach->environment->namespace, attach->environment->pod);
}

/* One question. 0 with *out filled: done; 0 without: ask again. */
static enum cni_code attach_ask(const struct attach *attach, struct agent_client *agent, const char *ifname,
				struct waiting *waiting, json_t **out, struct refusal *why)
{
	uint64_t silence = waiting->heard + SILENCE;
	uint64_t limit = waiting->deadline < silence ? waiting->deadline : silence;
	struct failure failure = {0};
	json_t *answer = NULL;
	enum cni_code code = 0;

	int error = agent_client_call(agent, "attachment.add", add_params(attach, ifname), limit, &answer, &failure);
	if (error == -ECANCELED)
		return stopped(attach, why);
	if (error == -EREMOTEIO)
		return take_refusal(agent, &failure, why);
	if (error) {
		waiting->away = failure;
	} else {
		waiting->heard = clock_ms();
		code = attach_take_answer(attach, ifname, answer, waiting, out, why);
	}
	json_decref(answer);
	return code || *out ? code : check_time(attach, agent, waiting, why);
}

static enum cni_code ask_until_ready(const struct attach *attach, struct agent_client *agent, const char *ifname,
				     json_t **out, struct refusal *why)
{
	struct waiting waiting = {.heard = clock_ms()};
	int pause = FIRST_PAUSE;

	waiting.deadline = waiting.heard + attach->request->timeout * 1000ull;
	for (;;) {
		enum cni_code code = attach_ask(attach, agent, ifname, &waiting, out, why);
		if (code || *out)
			return code;
		if (agent_client_pause(agent, pause))
			return stopped(attach, why);
		pause = pause * 2 < LONGEST_PAUSE ? pause * 2 : LONGEST_PAUSE;
	}
}

/* Of an ADD, and of what undoes it. */
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
	enum cni_code code = ask_until_ready(attach, &agent, ifname, out, why);
	agent_client_close(&agent);
	if (code && agent.reached)
		attach_undo(attach);
	return code;
}

/* ---- DEL ---- */

/* What names an attachment to the agent. */
static json_t *attachment_params(const struct attach *attach, const char *ifname)
{
	const struct environment *e = attach->environment;

	return json_pack("{s:s, s:s, s:s, s:s}", "container_id", e->container_id, "ifname", ifname, "namespace",
			 e->namespace, "pod", e->pod);
}

/* A part of the time that a DEL may take, but never so little that nobody could answer. */
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

/* Without the agent: podswitchd itself, and without that a note for the agent's next start. */
static void remove_alone(const struct attach *attach, const char *ifname)
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
		fprintf(stderr, "podswitch-cni: what is left of pod %s/%s cannot be noted: %s\n", e->namespace, e->pod,
			why.text);
	json_decref(content);
}

static void remove_one(const struct attach *attach, struct agent_client *agent, const char *ifname)
{
	struct failure why = {0};
	json_t *result = NULL;

	if (agent_client_call(agent, "attachment.remove", attachment_params(attach, ifname),
			      attach_deadline(attach, DEL_AGENT), &result, &why))
		remove_alone(attach, ifname);
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
	 * Without a result of the ADD a pod's first interface says only that ours was probably behind it. Of a further
	 * network's interface nothing is guessed, as our guess could be the way that the pod has by its first network.
	 */
	bool maybe = !chained && !strcmp(given, PRIMARY_IFNAME);
	if (chained || maybe)
		remove_one(attach, &agent, ours);
	if (!chained)
		remove_one(attach, &agent, given);
	agent_client_close(&agent);
}

/* ---- CHECK, GC, STATUS ---- */

/* One call, without insisting. `code` is for an agent that does not answer. */
static enum cni_code attach_call_agent(const struct attach *attach, const char *method, json_t *params,
				       enum cni_code code, json_t **answer, struct refusal *why)
{
	struct agent_client agent = {.path = attach->request->agent_socket, .stop_fd = attach->stop_fd};
	struct failure failure = {0};

	int error = agent_client_call(&agent, method, params, clock_ms() + SILENCE, answer, &failure);
	agent_client_close(&agent);
	if (error == -EREMOTEIO)
		return take_refusal(&agent, &failure, why);
	return error ? agent_client_away(&agent, code, &failure, why) : 0;
}

static const char *checked_ifname(const struct attach *attach)
{
	const char *given = attach->environment->ifname, *ours = attach->request->ifname;
	bool chained = result_has_interface(attach->request->previous, ours) || !strcmp(given, PRIMARY_IFNAME);

	return chained ? ours : given;
}

static enum cni_code take_check(const struct attach *attach, const char *ifname, const json_t *answer,
				struct refusal *why)
{
	const struct environment *e = attach->environment;
	const char *state = json_text(answer, "state");
	const char *reason = reason_in(answer, "podswitch-agent does not say why");

	/* A pod that has lost its gateway's answers is not made better by making it anew. */
	if (!strcmp(state, "lost"))
		return refuse(why, CNI_TRY_AGAIN, "pod %s/%s: its gateway behind %s does not answer: %s", e->namespace,
			      e->pod, ifname, reason);
	if (!strcmp(state, "missing"))
		return refuse(why, CNI_CHECKED, "pod %s/%s: %s is not as it was made: %s", e->namespace, e->pod, ifname,
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
		code = take_check(attach, ifname, answer, why);
	json_decref(answer);
	return code;
}

/* Behind a pod's first interface there may be ours. */
static enum cni_code list_valid(const struct request *request, json_t *list, struct refusal *why)
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

	/* Nothing is removed because somebody forgot to say what is to stay. */
	enum cni_code code = attach->request->valid ? list_valid(attach->request, valid, why)
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

	enum cni_code code = attach_call_agent(attach, "agent.status", json_object(), CNI_UNAVAILABLE, &answer, why);
	bool synced = json_is_true(json_object_get(answer, "synced"));
	bool podswitchd = json_is_true(json_object_get(answer, "switch"));
	if (!code && !podswitchd)
		code = refuse(why, CNI_UNAVAILABLE, "podswitch-agent does not reach podswitchd on this node: %s",
			      reason_in(answer, attach->request->socket));
	else if (!code && !synced)
		code = refuse(why, CNI_UNAVAILABLE, "podswitch-agent does not know the cluster yet: %s",
			      reason_in(answer, "it has not heard of the API server"));
	else if (code)
		why->code = code = CNI_UNAVAILABLE;
	json_decref(answer);
	return code;
}
