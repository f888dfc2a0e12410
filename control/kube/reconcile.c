/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reconcile.c - each pod of this node at the gateway that it was given
 *
 * look() is the heart: choose(), then the endpoint, then podswitchd. It runs for every tenant when the cluster changed,
 * for one when the plugin asks or podswitchd has news of it, and for all once in PERIOD.
 *
 * What is in force is only taken away by something that is known: a pod that opted out, that may not use its gateway
 * any more, or that is gone. A gateway that cannot be found leaves a running pod where it is, which is behind a gateway
 * that it was given once; its traffic never goes around.
 */
#include "control/kube/reconcile.h"
#include "control/cni/tombstone.h"
#include "control/kube/events.h"
#include "control/kube/find.h"
#include "control/kube/memory.h"
#include "control/kube/podswitchd_ports.h"
#include "tap/base/clock.h"
#include "tap/base/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#define ATTACH_REFUSED (-32020) /* JSON-RPC: not as things are; asking again is of no use */
#define PERIOD 5000             /* ms between looks at everything, whether something happened or not */
#define ORPHAN_AGE 30000        /* ms after which the port of a pod that is gone is cut off, without the plugin */
#define SHORT_PASS 20           /* ms that a look at everything may take at every change */
#define REST 4                  /* times as long as a longer one took, the next one waits: the plugin is waiting, too */
#define PATIENCE 8000           /* ms that an endpoint may be silent before another one is tried */
#define UNFOUND_MEMORY 64       /* pods whose processes were not found, so that /proc is not read for each change */
#define REMOVED_MEMORY 256      /* containers that are known to be removed, for a plugin's late question */

struct reconciler {
	struct reconciler_config config;
	struct podswitchd_ports ports;
	struct prefix networks[ORDERS_MAX_KEEP];
	struct attachment *attachments;
	struct gateway_spec spec; /* that a lookup handed out last */
	char spec_error[256];
	char removed[REMOVED_MEMORY][NAMES_SIZE];
	unsigned next_removed;
	struct unfound {
		uint64_t pod, until; /* hash of the UID; ms */
	} unfound[UNFOUND_MEMORY];
	unsigned next_unfound;
	bool dirty, restored;
	unsigned epoch; /* of podswitchd, at the last restore */
	uint64_t now, looked;
	uint64_t rests_until; /* of the real clock: no look at everything before, unless PERIOD is over */
	uint64_t lost;
	struct histogram seconds;
};

int reconciler_open(const struct reconciler_config *config, struct reconciler **out, struct failure *why)
{
	struct reconciler *reconciler = calloc(1, sizeof(*reconciler));
	if (!reconciler)
		return fail(why, -ENOMEM, NULL, "out of memory");
	reconciler->config = *config;
	reconciler->ports = (struct podswitchd_ports){
		.podswitchd = config->podswitchd, .probe = config->probe, .networks = reconciler->networks};
	reconciler->dirty = true;
	*out = reconciler;
	return 0;
}

static void reconciler_drop(struct reconciler *reconciler, struct attachment *attachment)
{
	struct attachment **at = &reconciler->attachments;
	while (*at != attachment)
		at = &(*at)->next;
	*at = attachment->next;
	attachment_free(attachment);
}

void reconciler_close(struct reconciler *reconciler)
{
	if (!reconciler)
		return;
	while (reconciler->attachments)
		reconciler_drop(reconciler, reconciler->attachments);
	podswitchd_ports_close(&reconciler->ports);
	spec_free(&reconciler->spec);
	free(reconciler);
}

void reconciler_wake(struct reconciler *reconciler)
{
	reconciler->dirty = true;
}

static struct attachment *reconciler_find(const struct reconciler *reconciler, const char *port)
{
	struct attachment *attachment = reconciler->attachments;
	while (attachment && strcmp(attachment->port, port) != 0)
		attachment = attachment->next;
	return attachment;
}

static const char *uid_of(const json_t *pod)
{
	const char *uid = json_string_value(json_object_get(json_object_get(pod, "metadata"), "uid"));
	return uid ? uid : "";
}

/*
 * Whether the runtime's pod of that UID ("": it did not say) is this one. A pod of a file on the node has another UID
 * there than its mirror in the API, which says in an annotation whose mirror it is.
 */
static bool is_uid_of(const json_t *pod, const char *uid)
{
	const json_t *annotations = json_object_get(json_object_get(pod, "metadata"), "annotations");
	const char *mirrored = json_string_value(json_object_get(annotations, "kubernetes.io/config.mirror"));
	return !*uid || !strcmp(uid, uid_of(pod)) || (mirrored && !strcmp(uid, mirrored));
}

/* ---- telling ---- */

/* Sends an Event when it says something new, and logs it. */
static void reconciler_report(struct reconciler *reconciler, struct attachment *attachment, bool warning,
			      const char *reason, const char *message)
{
	char event[sizeof(attachment->event)];
	snprintf(event, sizeof(event), "%s: %s", reason, message);
	if (!strcmp(event, attachment->event))
		return;
	memcpy(attachment->event, event, sizeof(event));
	log_line(warning ? LOG_WARNING : LOG_INFO, "%s/%s: %.300s", attachment->namespace, attachment->pod, event);
	const json_t *pod = cluster_pod(reconciler->config.cluster, attachment->namespace, attachment->pod);
	if (pod)
		events_send(reconciler->config.kube, reconciler->config.node, pod, warning, reason, message);
}

static enum attachment_state set_state(struct attachment *attachment, enum attachment_state state, const char *reason)
{
	attachment->state = state;
	if (reason != attachment->reason)
		snprintf(attachment->reason, sizeof(attachment->reason), "%s", reason);
	return state;
}

/* ---- deciding ---- */

static const struct gateway_spec *reconciler_lookup(const char *namespace, const char *name, const char **error,
						    void *context)
{
	struct reconciler *reconciler = context;
	struct failure why = {0};
	const json_t *service = cluster_service(reconciler->config.cluster, namespace, name);
	spec_free(&reconciler->spec);
	if (!service)
		return NULL;
	if (!spec_read(service, &reconciler->spec, &why))
		return &reconciler->spec;
	snprintf(reconciler->spec_error, sizeof(reconciler->spec_error), "%s", why.text);
	*error = reconciler->spec_error;
	return NULL;
}

static void reconciler_choose(struct reconciler *reconciler, const json_t *pod, const char *namespace,
			      const char *configured, struct choice *out)
{
	const struct choose_input input = {
		.pod = pod,
		.namespace = cluster_namespace(reconciler->config.cluster, namespace),
		.configured = configured,
		.lookup = reconciler_lookup,
		.context = reconciler,
		.policy = reconciler->config.policy,
	};
	choose(&input, out);
}

/* Rendezvous hashing: each pod has its own order of endpoints, so that they share the pods and none moves needlessly.
 */
static uint64_t endpoint_rank(const struct attachment *attachment, const struct cluster_endpoint *endpoint)
{
	char text[ADDRESS_TEXT];
	address_format(&endpoint->address, text);
	return XXH3_64bits_withSeed(text, strlen(text), XXH3_64bits(attachment->pod, strlen(attachment->pod)));
}

/* The endpoint to be at: where it is, if that is ready and answers, else the best of those that are not suspected. */
static const struct cluster_endpoint *endpoint_pick(const struct reconciler *reconciler,
						    const struct attachment *attachment,
						    const struct cluster_endpoint *list, size_t n)
{
	const struct cluster_endpoint *best = NULL, *present = NULL;
	for (size_t i = 0; i < n; i++) {
		if (address_equal(&list[i].address, &attachment->endpoint))
			present = &list[i];
		if (attachment_suspects(attachment, &list[i].address, reconciler->now))
			continue;
		if (!best || endpoint_rank(attachment, &list[i]) > endpoint_rank(attachment, best))
			best = &list[i];
	}
	if (present && (!best || !attachment_suspects(attachment, &present->address, reconciler->now)))
		return present;
	return best ? best : n ? &list[0] : NULL;
}

/* ---- looking ---- */

/* What podswitchd says of the port's client becomes the tenant's state. */
static enum attachment_state reconcile_status(struct reconciler *reconciler, struct attachment *attachment,
					      const struct choice *choice)
{
	char text[640], endpoint[ADDRESS_TEXT];
	const char *client = attachment_client(attachment, "state"),
		   *trouble = attachment_client(attachment, "trouble");
	const char *state = json_string_value(json_object_get(attachment->status, "state"));
	const char *address = json_string_value(json_array_get(json_object_get(attachment->status, "addresses"), 0));
	address_format(&attachment->endpoint, endpoint);
	if (!strcmp(client, "ready")) {
		snprintf(text, sizeof(text), "%s %s through %s at %s (%s)", address ? address : "?",
			 choice->has_address ? "as annotated" : "by DHCP", attachment->gateway, endpoint,
			 choice->reason);
		if (!attachment->attached || attachment->lost)
			reconciler_report(reconciler, attachment, false,
					  attachment->lost ? EVENT_RECOVERED : EVENT_ATTACHED, text);
		attachment->attached = true;
		attachment->lost = false;
		return set_state(attachment, ATTACHMENT_READY, text);
	}
	if (*trouble)
		snprintf(text, sizeof(text), "the lease from %s cannot be used: %s", attachment->gateway, trouble);
	else if (!strcmp(client, "waiting"))
		snprintf(text, sizeof(text),
			 "gateway %s at %s UDP port %u gives no address by DHCP: is that its VXLAN's port (pod-gateway "
			 "with "
			 "VXLAN_PORT=0 has 8472, whatever its Service says: annotate that with podswitch.io/port), and "
			 "does "
			 "its dnsmasq run?",
			 attachment->gateway, endpoint, choice->spec->port);
	else if (state && strcmp(state, "up") != 0)
		snprintf(text, sizeof(text), "the port is %s", state);
	else
		snprintf(text, sizeof(text), "gateway %s at %s does not answer ARP for its address in the network",
			 attachment->gateway, endpoint);
	return set_state(attachment, ATTACHMENT_PENDING, text);
}

static void report_lost(struct reconciler *reconciler, struct attachment *attachment)
{
	char text[400], endpoint[ADDRESS_TEXT];
	snprintf(text, sizeof(text), "%s at %s does not answer any more; the pod's traffic waits", attachment->gateway,
		 address_format(&attachment->endpoint, endpoint));
	reconciler_report(reconciler, attachment, true, EVENT_LOST, text);
	attachment->lost = true;
	reconciler->lost++;
}

/*
 * An endpoint that stopped answering, or that has been silent since the port came to it, is not the one to be at. By
 * podswitchd's report rather than its news, which may be missed.
 */
static void check_silence(struct reconciler *reconciler, struct attachment *attachment)
{
	const char *client = attachment_client(attachment, "state");
	bool lost = !strcmp(client, "lost");
	if (!lost && strcmp(client, "waiting") != 0 && strcmp(client, "probing") != 0) {
		attachment->silent = 0;
		return;
	}
	if (!attachment->silent)
		attachment->silent = reconciler->now;
	if (!lost && reconciler->now - attachment->silent < PATIENCE)
		return;
	attachment_suspect(attachment, reconciler->now);
	if (attachment->attached && !attachment->lost)
		report_lost(reconciler, attachment);
}

/* A port that waits is asked after each time; of one that is ready, news and the periodic list tell. */
static void refresh_status(struct reconciler *reconciler, struct attachment *attachment)
{
	if (!attachment->exists || !strcmp(attachment->at, "none"))
		return;
	if (attachment->state != ATTACHMENT_READY || !attachment->status)
		(void)podswitchd_ports_refresh(&reconciler->ports, attachment, NULL);
	if (attachment->exists)
		check_silence(reconciler, attachment);
}

static enum attachment_state reconcile_gateway(struct reconciler *reconciler, struct attachment *attachment,
					       const struct choice *choice)
{
	struct cluster_endpoint list[CLUSTER_MAX_ENDPOINTS];
	struct failure why = {0};
	char text[512];
	size_t n = cluster_endpoints(reconciler->config.cluster, choice->namespace, choice->name, list);
	refresh_status(reconciler, attachment);
	const struct cluster_endpoint *endpoint = endpoint_pick(reconciler, attachment, list, n);
	char gateway[sizeof(attachment->gateway)], at[sizeof(attachment->at)];
	snprintf(gateway, sizeof(gateway), "%s/%s", choice->namespace, choice->name);
	memcpy(at, attachment->at, sizeof(at));
	if (!endpoint) {
		snprintf(text, sizeof(text), "gateway %s has no ready endpoint: does its pod run?", gateway);
		reconciler_report(reconciler, attachment, true, attachment->attached ? EVENT_LOST : EVENT_NOT_READY,
				  text);
		attachment->lost = attachment->attached;
		return set_state(attachment, ATTACHMENT_PENDING, text);
	}
	bool was_lost = attachment->lost && !strcmp(attachment->gateway, gateway);
	memcpy(attachment->gateway, gateway, sizeof(gateway));
	int error = podswitchd_ports_place(&reconciler->ports, attachment, choice, endpoint, &why);
	if (error) {
		snprintf(text, sizeof(text), "podswitchd %s: %s", error == -EREMOTEIO ? "refuses" : "does not answer",
			 why.text);
		return set_state(attachment, ATTACHMENT_PENDING, text);
	}
	attachment->lost = attachment->lost || was_lost;
	if (strcmp(attachment->at, at) != 0)
		attachment->silent = 0;
	if (!attachment->status)
		(void)podswitchd_ports_refresh(&reconciler->ports, attachment, NULL);
	return reconcile_status(reconciler, attachment, choice);
}

/* The pod is to have no gateway: what it had goes, and its own default route comes back. */
static enum attachment_state reconcile_none(struct reconciler *reconciler, struct attachment *attachment,
					    const struct choice *choice)
{
	struct failure why = {0};
	if (attachment->exists && podswitchd_ports_remove(&reconciler->ports, attachment->port, false, &why))
		return set_state(attachment, ATTACHMENT_PENDING, why.text);
	if (attachment->exists)
		reconciler_report(reconciler, attachment, false, EVENT_DETACHED, choice->reason);
	attachment->exists = attachment->attached = attachment->lost = false;
	attachment->at[0] = attachment->gateway[0] = '\0';
	attachment->endpoint = (struct address){0};
	return set_state(attachment, ATTACHMENT_NONE, choice->reason);
}

/* Why a decision is no gateway: in an Event, and for what waits. A port that is there stays, unless it may not. */
static enum attachment_state reconcile_refusal(struct reconciler *reconciler, struct attachment *attachment,
					       const struct choice *choice)
{
	struct failure why = {0};
	switch (choice->verdict) {
	case CHOICE_NOT_ALLOWED:
		reconciler_report(reconciler, attachment, true, EVENT_NOT_ALLOWED, choice->reason);
		if (podswitchd_ports_cut_off(&reconciler->ports, attachment, &why))
			log_line(LOG_ERROR, "%s: cannot be cut off: %s", attachment->port, why.text);
		return set_state(attachment, ATTACHMENT_REFUSED, choice->reason);
	case CHOICE_MALFORMED:
		reconciler_report(reconciler, attachment, true, EVENT_MALFORMED, choice->reason);
		return set_state(attachment, ATTACHMENT_REFUSED, choice->reason);
	case CHOICE_NOT_FOUND:
		reconciler_report(reconciler, attachment, true, EVENT_NOT_FOUND, choice->reason);
		return set_state(attachment, ATTACHMENT_PENDING, choice->reason);
	case CHOICE_NONE:
	case CHOICE_GATEWAY:
	case CHOICE_UNDECIDED:
		break;
	}
	return set_state(attachment, ATTACHMENT_PENDING, choice->reason);
}

/* The pod that the tenant is of, not an earlier or later one of the same name. */
static const json_t *pod_of(const struct reconciler *reconciler, const struct attachment *attachment)
{
	const json_t *pod = cluster_pod(reconciler->config.cluster, attachment->namespace, attachment->pod);
	return pod && is_uid_of(pod, attachment->uid) ? pod : NULL;
}

static enum attachment_state reconcile(struct reconciler *reconciler, struct attachment *attachment)
{
	struct choice choice;
	char text[200];
	if (!cluster_synced(reconciler->config.cluster)) {
		snprintf(text, sizeof(text), "podswitch-agent has not read the %s from the API server yet",
			 cluster_missing(reconciler->config.cluster));
		return set_state(attachment,
				 attachment->state == ATTACHMENT_READY ? ATTACHMENT_READY : ATTACHMENT_PENDING, text);
	}
	if (attachment->superseded)
		return set_state(attachment, ATTACHMENT_REFUSED, "there is a later sandbox of the pod");
	const json_t *pod = pod_of(reconciler, attachment);
	if (!pod) {
		attachment->orphaned = attachment->orphaned ? attachment->orphaned : reconciler->now;
		return set_state(attachment, ATTACHMENT_PENDING,
				 "the API server has not told this node of the pod yet");
	}
	attachment->orphaned = 0;
	reconciler_choose(reconciler, pod, attachment->namespace, attachment->configured, &choice);
	if (choice.verdict == CHOICE_NONE)
		return reconcile_none(reconciler, attachment, &choice);
	if (choice.verdict == CHOICE_GATEWAY)
		return reconcile_gateway(reconciler, attachment, &choice);
	return reconcile_refusal(reconciler, attachment, &choice);
}

/* ---- taking up what podswitchd has ---- */

/* NAMESPACE.POD@ID[.IFNAME]; a namespace has no '.'. A POD that was cut is found among the pods that there are. */
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

/* What the CNI configuration named. When that cannot be read it is nothing that could be had, nor "no gateway". */
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

/* Where the port is, by the name of its gateway: NAMESPACE.SERVICE@ADDRESS, or none. */
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
	attachment->by_agent = pod && !port_id_of_uid(id, uid_of(pod)) && !strcmp(id, attachment->id);
	snprintf(attachment->netns, sizeof(attachment->netns), "%s",
		 json_string_value(json_object_get(status, "netns")));
	recall_configured(reconciler, attachment);
	attachment->began = reconciler->now;
	attachment->next = reconciler->attachments;
	reconciler->attachments = attachment;
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
	/* Also of one that the plugin has asked for again: it stays where it is, and what was told is no news. */
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

/* Every port that podswitchd has; false when it does not answer. */
static bool read_ports(struct reconciler *reconciler)
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
	/* A podswitchd that was started anew has its old ports, unless its state was lost; then they are given again.
	 */
	if (reconciler->epoch != podswitchd_epoch(reconciler->config.podswitchd)) {
		for (struct attachment *attachment = reconciler->attachments; attachment;
		     attachment = attachment->next) {
			free(attachment->applied);
			attachment->applied = NULL;
		}
		reconciler->dirty = true;
	}
	reconciler->epoch = podswitchd_epoch(reconciler->config.podswitchd);
	return true;
}

/* ---- removing ---- */

static void remember_removed(struct reconciler *reconciler, const char *port)
{
	snprintf(reconciler->removed[reconciler->next_removed++ % REMOVED_MEMORY], NAMES_SIZE, "%s", port);
}

static bool was_removed(const struct reconciler *reconciler, const char *port)
{
	for (unsigned i = 0; i < REMOVED_MEMORY; i++)
		if (!strcmp(reconciler->removed[i], port))
			return true;
	return false;
}

static int remove_port(struct reconciler *reconciler, const char *port, struct failure *why)
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

/* Its namespace or interface is gone: there is nothing left that could send. */
static bool attachment_is_gone(const struct attachment *attachment)
{
	const char *state = json_string_value(json_object_get(attachment->status, "state"));
	return attachment->exists && state && !strcmp(state, "gone");
}

/*
 * To remove a port gives the pod its own way out again. So as long as its namespace is there (a pod deleted by force
 * runs on for its grace period) and the plugin has not said DEL, it is only cut off.
 */
static void put_aside(struct reconciler *reconciler, struct attachment *attachment)
{
	struct failure why = {0};
	if (!attachment->exists || attachment_is_gone(attachment))
		(void)remove_port(reconciler, attachment->port, NULL);
	else if (podswitchd_ports_cut_off(&reconciler->ports, attachment, &why))
		log_line(LOG_ERROR, "%s: cannot be cut off: %s", attachment->port, why.text);
}

/*
 * An earlier sandbox of the same pod has the MAC at the gateway that the new one is to have. A plugin that still asks
 * for it must not take the place back.
 */
static void remove_earlier(struct reconciler *reconciler, const struct attachment *newest)
{
	for (struct attachment *attachment = reconciler->attachments, *next; attachment; attachment = next) {
		next = attachment->next;
		if (attachment != newest && !strcmp(attachment->namespace, newest->namespace) &&
		    !strcmp(attachment->pod, newest->pod) && !strcmp(attachment->ifname, newest->ifname)) {
			if (!attachment->by_agent && !attachment->superseded)
				remember_removed(reconciler, attachment->port);
			attachment->superseded = true;
			(void)podswitchd_ports_refresh(&reconciler->ports, attachment, NULL);
			put_aside(reconciler, attachment);
		}
	}
}

/* What the plugin noted while nobody answered. A note may be of a container of which not even the pod was known. */
static int remove_tombstoned(void *context, const char *port, const json_t *content)
{
	(void)content;
	if (!was_removed(context, port))
		remember_removed(context, port);
	return remove_port(context, port, NULL);
}

static bool is_used(void *context, const char *gateway)
{
	const struct reconciler *reconciler = context;
	for (const struct attachment *attachment = reconciler->attachments; attachment; attachment = attachment->next)
		if (!strcmp(attachment->at, gateway))
			return true;
	return false;
}

/* ---- pods without the plugin ---- */

static bool has_attachment(const struct reconciler *reconciler, const json_t *pod, const char *namespace,
			   const char *name)
{
	for (const struct attachment *attachment = reconciler->attachments; attachment; attachment = attachment->next)
		if (!strcmp(attachment->namespace, namespace) && !strcmp(attachment->pod, name) &&
		    is_uid_of(pod, attachment->uid))
			return true;
	return false;
}

static bool is_ending(const json_t *pod)
{
	return json_object_get(json_object_get(pod, "metadata"), "deletionTimestamp");
}

/* Runs, and is not about to end. A pod that is only being made is the plugin's. */
static bool is_running(const json_t *pod)
{
	const char *phase = json_string_value(json_object_get(json_object_get(pod, "status"), "phase"));
	return phase && !strcmp(phase, "Running") && !is_ending(pod);
}

/* The pod's network namespace, looked for once in PERIOD at most. */
static int find_running_netns(struct reconciler *reconciler, const char *uid, char *out, size_t size)
{
	uint64_t pod = XXH3_64bits(uid, strlen(uid));
	for (size_t i = 0; i < UNFOUND_MEMORY; i++)
		if (reconciler->unfound[i].pod == pod && reconciler->unfound[i].until > reconciler->now)
			return -ENOENT;
	int error = find_netns(uid, out, size);
	if (error)
		reconciler->unfound[reconciler->next_unfound++ % UNFOUND_MEMORY] =
			(struct unfound){pod, reconciler->now + PERIOD};
	return error;
}

static void attach_running_pod(struct reconciler *reconciler, const json_t *pod, const char *namespace,
			       const char *name)
{
	struct choice choice;
	char id[NAMES_ID + 1], netns[sizeof(((struct attachment *)0)->netns)];
	reconciler_choose(reconciler, pod, namespace, NULL, &choice);
	if (choice.verdict == CHOICE_NONE || choice.verdict == CHOICE_UNDECIDED)
		return;
	if (port_id_of_uid(id, uid_of(pod)) || find_running_netns(reconciler, uid_of(pod), netns, sizeof(netns)))
		return;
	struct attachment *attachment = attachment_new(namespace, name, id, NAMES_DEFAULT_IFNAME);
	if (!attachment)
		return;
	attachment->by_agent = true;
	attachment->began = reconciler->now;
	snprintf(attachment->uid, sizeof(attachment->uid), "%s", uid_of(pod));
	memcpy(attachment->netns, netns, sizeof(netns));
	attachment->next = reconciler->attachments;
	reconciler->attachments = attachment;
	(void)reconcile(reconciler, attachment);
}

static void attach_running_pods(struct reconciler *reconciler)
{
	const char *key;
	json_t *pod;
	char namespace[64];
	json_object_foreach((json_t *)cluster_pods(reconciler->config.cluster), key, pod)
	{
		const char *slash = strchr(key, '/');
		if (!slash || (size_t)(slash - key) >= sizeof(namespace) || !is_running(pod))
			continue;
		snprintf(namespace, sizeof(namespace), "%.*s", (int)(slash - key), key);
		if (!has_attachment(reconciler, pod, namespace, slash + 1))
			attach_running_pod(reconciler, pod, namespace, slash + 1);
	}
}

/* ---- turns ---- */

static void read_networks(struct reconciler *reconciler)
{
	size_t n = 0;
	for (; n < reconciler->config.n_keep && n < ORDERS_MAX_KEEP; n++)
		reconciler->networks[n] = reconciler->config.keep[n];
	n += cluster_networks(reconciler->config.cluster, reconciler->networks + n, ORDERS_MAX_KEEP - n);
	reconciler->ports.n_networks = n;
}

/* "port.ready", "port.lost" and "port.gone" of a tenant's port. */
static void reconciler_on_event(void *context, const json_t *event)
{
	struct reconciler *reconciler = context;
	const char *what = json_string_value(json_object_get(event, "event"));
	const char *name = json_string_value(json_object_get(event, "name"));
	struct attachment *attachment = name ? reconciler_find(reconciler, name) : NULL;
	if (!what || !attachment || strncmp(what, "port.", 5) != 0)
		return;
	if (podswitchd_ports_refresh(&reconciler->ports, attachment, NULL) != -ENOENT && attachment->exists)
		(void)reconcile(reconciler, attachment);
}

static void reconciler_sweep(struct reconciler *reconciler)
{
	for (struct attachment *attachment = reconciler->attachments, *next; attachment; attachment = next) {
		next = attachment->next;
		bool orphan = attachment->orphaned && reconciler->now - attachment->orphaned > ORPHAN_AGE;
		if (attachment_is_gone(attachment) || orphan || attachment->superseded)
			put_aside(reconciler, attachment);
	}
	(void)tombstone_each(reconciler->config.socket, remove_tombstoned, reconciler);
	podswitchd_ports_tidy_gateways(&reconciler->ports, is_used, reconciler);
}

bool reconciler_waits(const struct reconciler *reconciler)
{
	return reconciler->dirty && reconciler->restored && reconciler->rests_until > clock_ms();
}

void reconciler_turn(struct reconciler *reconciler, uint64_t now)
{
	reconciler->now = now;
	bool synced = cluster_synced(reconciler->config.cluster), period = now - reconciler->looked >= PERIOD;
	if (synced &&
	    (!reconciler->restored || period || reconciler->epoch != podswitchd_epoch(reconciler->config.podswitchd)))
		reconciler->restored = read_ports(reconciler);
	if (!reconciler->restored || !synced)
		return;
	podswitchd_take_events(reconciler->config.podswitchd, reconciler_on_event, reconciler);
	if (!period && (!reconciler->dirty || reconciler_waits(reconciler)))
		return;
	reconciler->dirty = false;
	uint64_t began = clock_ms();
	read_networks(reconciler);
	for (struct attachment *attachment = reconciler->attachments; attachment; attachment = attachment->next)
		(void)reconcile(reconciler, attachment);
	if (reconciler->config.running)
		attach_running_pods(reconciler);
	if (period)
		reconciler_sweep(reconciler);
	reconciler->looked = period ? now : reconciler->looked;
	uint64_t ended = clock_ms();
	reconciler->rests_until = ended - began > SHORT_PASS ? ended + REST * (ended - began) : 0;
}

/* ---- the plugin's questions ---- */

struct plugin_request {
	const char *container, *ifname, *netns, *namespace, *pod, *uid, *configured;
	char port[NAMES_SIZE];
};

static int plugin_request_read(json_t *params, bool add, struct plugin_request *out, struct failure *why)
{
	*out = (struct plugin_request){.netns = "", .uid = "", .configured = ""};
	json_error_t error;
	int standalone = 0;
	if (json_unpack_ex(params, &error, 0, "{s:s, s:s, s:s, s:s, s?s, s?s, s?s, s?b}", "container_id",
			   &out->container, "ifname", &out->ifname, "namespace", &out->namespace, "pod", &out->pod,
			   "netns", &out->netns, "uid", &out->uid, "gateway", &out->configured, "standalone",
			   &standalone))
		return fail(why, JSONRPC_INVALID_PARAMS, NULL, "%s", error.text);
	if (port_name(out->port, out->namespace, out->pod, out->container, out->ifname))
		return fail(why, JSONRPC_INVALID_PARAMS, NULL,
			    "container_id, ifname, namespace or pod is not a valid name");
	if (add && (!*out->netns || strlen(out->netns) >= sizeof(((struct attachment *)0)->netns)))
		return fail(why, JSONRPC_INVALID_PARAMS, "netns", "netns: is missing or too long");
	return 0;
}

/* What only the plugin says, and does not say again once the pod runs. */
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

static struct attachment *attachment_add(struct reconciler *reconciler, const struct plugin_request *plugin_request)
{
	struct attachment *attachment = attachment_new(plugin_request->namespace, plugin_request->pod,
						       plugin_request->container, plugin_request->ifname);
	if (!attachment)
		return NULL;
	snprintf(attachment->netns, sizeof(attachment->netns), "%s", plugin_request->netns);
	attachment->began = reconciler->now;
	attachment->next = reconciler->attachments;
	reconciler->attachments = attachment;
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

/* A question that is asked again for a silent gateway is the moment to say so in an Event, once. */
static void report_silence(struct reconciler *reconciler, struct attachment *attachment)
{
	if (attachment->exists && *attachment->reason && reconciler->now - attachment->began > 5000 &&
	    !attachment->attached)
		reconciler_report(reconciler, attachment, true, EVENT_NOT_READY, attachment->reason);
}

static int answer_pending(const char *reason, json_t **result)
{
	*result = json_pack("{s:s, s:s}", "state", "pending", "reason", reason);
	return 0;
}

static int answer_add(struct reconciler *reconciler, json_t *params, json_t **result, struct failure *why)
{
	struct plugin_request plugin_request;
	int code = plugin_request_read(params, true, &plugin_request, why);
	if (code)
		return code;
	if (was_removed(reconciler, plugin_request.port))
		return fail(why, JSONRPC_REFUSED, NULL, "the container has been removed meanwhile");
	struct attachment *attachment = reconciler_find(reconciler, plugin_request.port);
	if (!attachment && !(attachment = attachment_add(reconciler, &plugin_request)))
		return fail(why, JSONRPC_INTERNAL, NULL, "out of memory");
	code = note_plugin_request(reconciler, attachment, &plugin_request, why);
	if (code)
		return code;
	if (!reconciler->restored)
		return answer_pending(
			podswitchd_answers(reconciler->config.podswitchd) || !cluster_synced(reconciler->config.cluster)
				? "podswitch-agent is starting"
				: "podswitchd does not answer: see the logs of the podswitch DaemonSet's pod",
			result);
	remove_earlier(reconciler, attachment);
	switch (reconcile(reconciler, attachment)) {
	case ATTACHMENT_NONE:
		if (!cluster_hears_namespaces(reconciler->config.cluster))
			return answer_pending("podswitch-agent does not hear of changes of namespaces just now",
					      result);
		memory_drop(reconciler->config.memory, attachment->port);
		reconciler_drop(reconciler, attachment);
		*result = json_pack("{s:s}", "state", "none");
		return 0;
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
	/* The kubelet cannot take a pod away whose sandbox it is still waiting for. */
	if (is_ending(pod_of(reconciler, attachment)))
		return fail(why, ATTACH_REFUSED, NULL, "the pod is being deleted; %.200s", attachment->reason);
	report_silence(reconciler, attachment);
	return answer_pending(attachment->reason, result);
}

static int answer_remove(struct reconciler *reconciler, json_t *params, json_t **result, struct failure *why)
{
	struct plugin_request plugin_request;
	int code = plugin_request_read(params, false, &plugin_request, why);
	if (code)
		return code;
	remember_removed(reconciler, plugin_request.port);
	if (remove_port(reconciler, plugin_request.port, why))
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
	if (!reconciler->restored)
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

/* Whether the list of valid attachments has the tenant's. */
static bool is_valid(const json_t *valid, const struct attachment *attachment)
{
	size_t i;
	const json_t *entry;
	json_array_foreach(valid, i, entry)
	{
		const char *container = json_string_value(json_object_get(entry, "container_id"));
		const char *ifname = json_string_value(json_object_get(entry, "ifname"));
		/* The plugin's interface has another name than the primary's, which a runtime's list has. */
		if (container && ifname && !strncmp(container, attachment->id, strlen(attachment->id)))
			return true;
	}
	return false;
}

/*
 * A network's list lacks the attachments of all other networks, so that a pod that is there is not given up for it. Its
 * earlier sandboxes were removed when this one was added.
 */
static bool is_garbage(const struct reconciler *reconciler, const json_t *valid, const struct attachment *attachment)
{
	return !is_valid(valid, attachment) && !pod_of(reconciler, attachment);
}

static int answer_gc(struct reconciler *reconciler, json_t *params, json_t **result, struct failure *why)
{
	const json_t *valid = json_object_get(params, "valid");
	bool known = reconciler->restored && cluster_synced(reconciler->config.cluster);
	int removed = 0;
	if (!json_is_array(valid))
		return fail(why, JSONRPC_INVALID_PARAMS, "valid", "valid: give an array of attachments");
	for (struct attachment *attachment = reconciler->attachments, *next; attachment; attachment = next) {
		next = attachment->next;
		if (known && is_garbage(reconciler, valid, attachment) &&
		    !remove_port(reconciler, attachment->port, NULL))
			removed++;
	}
	*result = json_pack("{s:i}", "removed", removed);
	return 0;
}

int agent_methods_call(void *context, struct rpc_client *client, const char *method, json_t *params, json_t **result,
		       struct failure *why)
{
	struct reconciler *reconciler = context;
	const char *reason;
	(void)client;
	if (!strcmp(method, "attachment.add"))
		return answer_add(reconciler, params, result, why);
	if (!strcmp(method, "attachment.remove"))
		return answer_remove(reconciler, params, result, why);
	if (!strcmp(method, "attachment.check"))
		return answer_check(reconciler, params, result, why);
	if (!strcmp(method, "attachment.gc"))
		return answer_gc(reconciler, params, result, why);
	if (strcmp(method, "agent.status") != 0) {
		fail(why, -ENOSYS, NULL, "there is no method '%.64s'", method);
		return JSONRPC_UNKNOWN_METHOD;
	}
	reconciler_ready(reconciler, &reason);
	*result = json_pack("{s:b, s:b, s:s}", "synced", cluster_synced(reconciler->config.cluster), "switch",
			    podswitchd_answers(reconciler->config.podswitchd), "reason", reason);
	return 0;
}

/* ---- reports ---- */

bool reconciler_ready(const struct reconciler *reconciler, const char **reason)
{
	static const char *const missing = "the API server has not been read completely yet";
	*reason = !cluster_synced(reconciler->config.cluster)          ? missing
		  : !podswitchd_answers(reconciler->config.podswitchd) ? "podswitchd does not answer"
								       : "";
	return !**reason;
}

void reconciler_count(const struct reconciler *reconciler, struct reconciler_counters *out)
{
	*out = (struct reconciler_counters){.lost = reconciler->lost, .seconds = &reconciler->seconds};
	for (const struct attachment *attachment = reconciler->attachments; attachment; attachment = attachment->next) {
		out->attachments++;
		out->ready += attachment->state == ATTACHMENT_READY;
		out->pending += attachment->state == ATTACHMENT_PENDING;
		out->refused += attachment->state == ATTACHMENT_REFUSED;
	}
}
