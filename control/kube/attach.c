/* SPDX-License-Identifier: Apache-2.0 */
/*
 * attach.c - each pod of this node at the gateway that it was given
 *
 * look() is the heart: choose(), then the endpoint, then podswitchd. It runs for every tenant when the cluster changed,
 * for one when the plugin asks or podswitchd has news of it, and for all once in PERIOD.
 *
 * What is in force is only taken away by something that is known: a pod that opted out, that may not use its gateway
 * any more, or that is gone. A gateway that cannot be found leaves a running pod where it is, which is behind a gateway
 * that it was given once; its traffic never goes around.
 */
#include "control/kube/attach.h"
#include "control/cni/tombstone.h"
#include "control/kube/events.h"
#include "control/kube/find.h"
#include "control/kube/memory.h"
#include "control/kube/orders.h"
#include "vswitch/clock.h"
#include "vswitch/log.h"

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

struct attach {
	struct attach_config config;
	struct orders orders;
	struct prefix networks[ORDERS_MAX_KEEP];
	struct tenant *tenants;
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

int attach_open(const struct attach_config *config, struct attach **out, struct failure *why)
{
	struct attach *attach = calloc(1, sizeof(*attach));
	if (!attach)
		return fail(why, -ENOMEM, NULL, "out of memory");
	attach->config = *config;
	attach->orders =
		(struct orders){.daemon = config->daemon, .probe = config->probe, .networks = attach->networks};
	attach->dirty = true;
	*out = attach;
	return 0;
}

static void drop(struct attach *attach, struct tenant *tenant)
{
	struct tenant **at = &attach->tenants;
	while (*at != tenant)
		at = &(*at)->next;
	*at = tenant->next;
	tenant_free(tenant);
}

void attach_close(struct attach *attach)
{
	if (!attach)
		return;
	while (attach->tenants)
		drop(attach, attach->tenants);
	orders_close(&attach->orders);
	spec_free(&attach->spec);
	free(attach);
}

void attach_wake(struct attach *attach)
{
	attach->dirty = true;
}

static struct tenant *find_port(const struct attach *attach, const char *port)
{
	struct tenant *tenant = attach->tenants;
	while (tenant && strcmp(tenant->port, port) != 0)
		tenant = tenant->next;
	return tenant;
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
static void tell(struct attach *attach, struct tenant *tenant, bool warning, const char *reason, const char *message)
{
	char event[sizeof(tenant->event)];
	snprintf(event, sizeof(event), "%s: %s", reason, message);
	if (!strcmp(event, tenant->event))
		return;
	memcpy(tenant->event, event, sizeof(event));
	log_line(warning ? LOG_WARNING : LOG_INFO, "%s/%s: %.300s", tenant->namespace, tenant->pod, event);
	const json_t *pod = cluster_pod(attach->config.cluster, tenant->namespace, tenant->pod);
	if (pod)
		events_send(attach->config.kube, attach->config.node, pod, warning, reason, message);
}

static enum tenant_state set_state(struct tenant *tenant, enum tenant_state state, const char *reason)
{
	tenant->state = state;
	if (reason != tenant->reason)
		snprintf(tenant->reason, sizeof(tenant->reason), "%s", reason);
	return state;
}

/* ---- deciding ---- */

static const struct gateway_spec *lookup(const char *namespace, const char *name, const char **error, void *context)
{
	struct attach *attach = context;
	struct failure why = {0};
	const json_t *service = cluster_service(attach->config.cluster, namespace, name);
	spec_free(&attach->spec);
	if (!service)
		return NULL;
	if (!spec_read(service, &attach->spec, &why))
		return &attach->spec;
	snprintf(attach->spec_error, sizeof(attach->spec_error), "%s", why.text);
	*error = attach->spec_error;
	return NULL;
}

static void decide(struct attach *attach, const json_t *pod, const char *namespace, const char *configured,
		   struct choice *out)
{
	const struct choose_input input = {
		.pod = pod,
		.namespace = cluster_namespace(attach->config.cluster, namespace),
		.configured = configured,
		.lookup = lookup,
		.context = attach,
		.policy = attach->config.policy,
	};
	choose(&input, out);
}

/* Rendezvous hashing: each pod has its own order of endpoints, so that they share the pods and none moves needlessly.
 */
static uint64_t rank(const struct tenant *tenant, const struct cluster_endpoint *endpoint)
{
	char text[ADDRESS_TEXT];
	address_format(&endpoint->address, text);
	return XXH3_64bits_withSeed(text, strlen(text), XXH3_64bits(tenant->pod, strlen(tenant->pod)));
}

/* The endpoint to be at: where it is, if that is ready and answers, else the best of those that are not suspected. */
static const struct cluster_endpoint *pick(const struct attach *attach, const struct tenant *tenant,
					   const struct cluster_endpoint *list, size_t n)
{
	const struct cluster_endpoint *best = NULL, *present = NULL;
	for (size_t i = 0; i < n; i++) {
		if (address_equal(&list[i].address, &tenant->endpoint))
			present = &list[i];
		if (tenant_suspects(tenant, &list[i].address, attach->now))
			continue;
		if (!best || rank(tenant, &list[i]) > rank(tenant, best))
			best = &list[i];
	}
	if (present && (!best || !tenant_suspects(tenant, &present->address, attach->now)))
		return present;
	return best ? best : n ? &list[0] : NULL;
}

/* ---- looking ---- */

/* What podswitchd says of the port's client becomes the tenant's state. */
static enum tenant_state judge(struct attach *attach, struct tenant *tenant, const struct choice *choice)
{
	char text[640], endpoint[ADDRESS_TEXT];
	const char *client = tenant_client(tenant, "state"), *trouble = tenant_client(tenant, "trouble");
	const char *state = json_string_value(json_object_get(tenant->status, "state"));
	const char *address = json_string_value(json_array_get(json_object_get(tenant->status, "addresses"), 0));
	address_format(&tenant->endpoint, endpoint);
	if (!strcmp(client, "ready")) {
		snprintf(text, sizeof(text), "%s %s through %s at %s (%s)", address ? address : "?",
			 choice->has_address ? "as annotated" : "by DHCP", tenant->gateway, endpoint, choice->reason);
		if (!tenant->attached || tenant->lost)
			tell(attach, tenant, false, tenant->lost ? EVENT_RECOVERED : EVENT_ATTACHED, text);
		tenant->attached = true;
		tenant->lost = false;
		return set_state(tenant, TENANT_READY, text);
	}
	if (*trouble)
		snprintf(text, sizeof(text), "the lease from %s cannot be used: %s", tenant->gateway, trouble);
	else if (!strcmp(client, "waiting"))
		snprintf(text, sizeof(text),
			 "gateway %s at %s UDP port %u gives no address by DHCP: is that its VXLAN's port (pod-gateway "
			 "with "
			 "VXLAN_PORT=0 has 8472, whatever its Service says: annotate that with podswitch.io/port), and "
			 "does "
			 "its dnsmasq run?",
			 tenant->gateway, endpoint, choice->spec->port);
	else if (state && strcmp(state, "up") != 0)
		snprintf(text, sizeof(text), "the port is %s", state);
	else
		snprintf(text, sizeof(text), "gateway %s at %s does not answer ARP for its address in the network",
			 tenant->gateway, endpoint);
	return set_state(tenant, TENANT_PENDING, text);
}

static void note_loss(struct attach *attach, struct tenant *tenant)
{
	char text[400], endpoint[ADDRESS_TEXT];
	snprintf(text, sizeof(text), "%s at %s does not answer any more; the pod's traffic waits", tenant->gateway,
		 address_format(&tenant->endpoint, endpoint));
	tell(attach, tenant, true, EVENT_LOST, text);
	tenant->lost = true;
	attach->lost++;
}

/*
 * An endpoint that stopped answering, or that has been silent since the port came to it, is not the one to be at. By
 * podswitchd's report rather than its news, which may be missed.
 */
static void doubt(struct attach *attach, struct tenant *tenant)
{
	const char *client = tenant_client(tenant, "state");
	bool lost = !strcmp(client, "lost");
	if (!lost && strcmp(client, "waiting") != 0 && strcmp(client, "probing") != 0) {
		tenant->silent = 0;
		return;
	}
	if (!tenant->silent)
		tenant->silent = attach->now;
	if (!lost && attach->now - tenant->silent < PATIENCE)
		return;
	tenant_suspect(tenant, attach->now);
	if (tenant->attached && !tenant->lost)
		note_loss(attach, tenant);
}

/* A port that waits is asked after each time; of one that is ready, news and the periodic list tell. */
static void ask_after(struct attach *attach, struct tenant *tenant)
{
	if (!tenant->exists || !strcmp(tenant->at, "none"))
		return;
	if (tenant->state != TENANT_READY || !tenant->status)
		(void)orders_look(&attach->orders, tenant, NULL);
	if (tenant->exists)
		doubt(attach, tenant);
}

static enum tenant_state place(struct attach *attach, struct tenant *tenant, const struct choice *choice)
{
	struct cluster_endpoint list[CLUSTER_MAX_ENDPOINTS];
	struct failure why = {0};
	char text[512];
	size_t n = cluster_endpoints(attach->config.cluster, choice->namespace, choice->name, list);
	ask_after(attach, tenant);
	const struct cluster_endpoint *endpoint = pick(attach, tenant, list, n);
	char gateway[sizeof(tenant->gateway)], at[sizeof(tenant->at)];
	snprintf(gateway, sizeof(gateway), "%s/%s", choice->namespace, choice->name);
	memcpy(at, tenant->at, sizeof(at));
	if (!endpoint) {
		snprintf(text, sizeof(text), "gateway %s has no ready endpoint: does its pod run?", gateway);
		tell(attach, tenant, true, tenant->attached ? EVENT_LOST : EVENT_NOT_READY, text);
		tenant->lost = tenant->attached;
		return set_state(tenant, TENANT_PENDING, text);
	}
	bool was_lost = tenant->lost && !strcmp(tenant->gateway, gateway);
	memcpy(tenant->gateway, gateway, sizeof(gateway));
	int error = orders_place(&attach->orders, tenant, choice, endpoint, &why);
	if (error) {
		snprintf(text, sizeof(text), "podswitchd %s: %s", error == -EREMOTEIO ? "refuses" : "does not answer",
			 why.text);
		return set_state(tenant, TENANT_PENDING, text);
	}
	tenant->lost = tenant->lost || was_lost;
	if (strcmp(tenant->at, at) != 0)
		tenant->silent = 0;
	if (!tenant->status)
		(void)orders_look(&attach->orders, tenant, NULL);
	return judge(attach, tenant, choice);
}

/* The pod is to have no gateway: what it had goes, and its own default route comes back. */
static enum tenant_state leave(struct attach *attach, struct tenant *tenant, const struct choice *choice)
{
	struct failure why = {0};
	if (tenant->exists && orders_remove(&attach->orders, tenant->port, false, &why))
		return set_state(tenant, TENANT_PENDING, why.text);
	if (tenant->exists)
		tell(attach, tenant, false, EVENT_DETACHED, choice->reason);
	tenant->exists = tenant->attached = tenant->lost = false;
	tenant->at[0] = tenant->gateway[0] = '\0';
	tenant->endpoint = (struct address){0};
	return set_state(tenant, TENANT_NONE, choice->reason);
}

/* Why a decision is no gateway: in an Event, and for what waits. A port that is there stays, unless it may not. */
static enum tenant_state wait_or_refuse(struct attach *attach, struct tenant *tenant, const struct choice *choice)
{
	struct failure why = {0};
	switch (choice->verdict) {
	case CHOICE_NOT_ALLOWED:
		tell(attach, tenant, true, EVENT_NOT_ALLOWED, choice->reason);
		if (orders_cut(&attach->orders, tenant, &why))
			log_line(LOG_ERROR, "%s: cannot be cut off: %s", tenant->port, why.text);
		return set_state(tenant, TENANT_REFUSED, choice->reason);
	case CHOICE_MALFORMED:
		tell(attach, tenant, true, EVENT_MALFORMED, choice->reason);
		return set_state(tenant, TENANT_REFUSED, choice->reason);
	case CHOICE_NOT_FOUND:
		tell(attach, tenant, true, EVENT_NOT_FOUND, choice->reason);
		return set_state(tenant, TENANT_PENDING, choice->reason);
	case CHOICE_NONE:
	case CHOICE_GATEWAY:
	case CHOICE_UNDECIDED:
		break;
	}
	return set_state(tenant, TENANT_PENDING, choice->reason);
}

/* The pod that the tenant is of, not an earlier or later one of the same name. */
static const json_t *pod_of(const struct attach *attach, const struct tenant *tenant)
{
	const json_t *pod = cluster_pod(attach->config.cluster, tenant->namespace, tenant->pod);
	return pod && is_uid_of(pod, tenant->uid) ? pod : NULL;
}

static enum tenant_state look(struct attach *attach, struct tenant *tenant)
{
	struct choice choice;
	char text[200];
	if (!cluster_synced(attach->config.cluster)) {
		snprintf(text, sizeof(text), "podswitch-agent has not read the %s from the API server yet",
			 cluster_missing(attach->config.cluster));
		return set_state(tenant, tenant->state == TENANT_READY ? TENANT_READY : TENANT_PENDING, text);
	}
	if (tenant->superseded)
		return set_state(tenant, TENANT_REFUSED, "there is a later sandbox of the pod");
	const json_t *pod = pod_of(attach, tenant);
	if (!pod) {
		tenant->orphaned = tenant->orphaned ? tenant->orphaned : attach->now;
		return set_state(tenant, TENANT_PENDING, "the API server has not told this node of the pod yet");
	}
	tenant->orphaned = 0;
	decide(attach, pod, tenant->namespace, tenant->configured, &choice);
	if (choice.verdict == CHOICE_NONE)
		return leave(attach, tenant, &choice);
	if (choice.verdict == CHOICE_GATEWAY)
		return place(attach, tenant, &choice);
	return wait_or_refuse(attach, tenant, &choice);
}

/* ---- taking up what podswitchd has ---- */

/* NAMESPACE.POD@ID[.IFNAME]; a namespace has no '.'. A POD that was cut is found among the pods that there are. */
static struct tenant *tenant_of_port(const struct attach *attach, const char *port, const char *ifname)
{
	char namespace[64], pod[NAMES_SIZE], id[NAMES_ID + 1], name[NAMES_SIZE];
	size_t dot = strcspn(port, "."), at = strcspn(port, "@");
	if (!port[at] || dot >= at || dot >= sizeof(namespace))
		return NULL;
	snprintf(namespace, sizeof(namespace), "%.*s", (int)dot, port);
	snprintf(pod, sizeof(pod), "%.*s", (int)(at - dot - 1), port + dot + 1);
	snprintf(id, sizeof(id), "%.*s", NAMES_ID, port + at + 1);
	if (!cluster_pod(attach->config.cluster, namespace, pod)) {
		const char *key;
		json_t *value;
		json_object_foreach((json_t *)cluster_pods(attach->config.cluster), key, value)
		{
			const char *slash = strchr(key, '/');
			if (!strncmp(key, namespace, dot) && slash == key + dot &&
			    !port_name(name, namespace, slash + 1, id, ifname) && !strcmp(name, port))
				return tenant_new(namespace, slash + 1, id, ifname);
		}
	}
	return tenant_new(namespace, pod, id, ifname);
}

/* What the CNI configuration named. When that cannot be read it is nothing that could be had, nor "no gateway". */
static void recall(const struct attach *attach, struct tenant *tenant)
{
	int error = memory_recall(attach->config.memory, tenant->port, tenant->configured, sizeof(tenant->configured));
	if (!error)
		return;
	log_line(LOG_ERROR, "%s: the gateway that its CNI configuration named cannot be read: %s", tenant->port,
		 strerror(-error));
	snprintf(tenant->configured, sizeof(tenant->configured), "?");
}

/* Where the port is, by the name of its gateway: NAMESPACE.SERVICE@ADDRESS, or none. */
static void recall_gateway(struct tenant *tenant, const char *gateway)
{
	size_t dot = strcspn(gateway, "."), at = strcspn(gateway, "@");
	snprintf(tenant->at, sizeof(tenant->at), "%s", gateway);
	if (!gateway[at] || dot >= at)
		return;
	(void)address_parse(gateway + at + 1, &tenant->endpoint);
	snprintf(tenant->gateway, sizeof(tenant->gateway), "%.*s/%.*s", (int)dot, gateway, (int)(at - dot - 1),
		 gateway + dot + 1);
}

static struct tenant *new_of_port(struct attach *attach, const json_t *status, const char *name, const char *ifname)
{
	char id[NAMES_ID + 1];
	struct tenant *tenant = tenant_of_port(attach, name, ifname);
	if (!tenant || strcmp(tenant->port, name) != 0) {
		tenant_free(tenant);
		return NULL;
	}
	const json_t *pod = cluster_pod(attach->config.cluster, tenant->namespace, tenant->pod);
	tenant->by_agent = pod && !port_id_of_uid(id, uid_of(pod)) && !strcmp(id, tenant->id);
	snprintf(tenant->netns, sizeof(tenant->netns), "%s", json_string_value(json_object_get(status, "netns")));
	recall(attach, tenant);
	tenant->began = attach->now;
	tenant->next = attach->tenants;
	attach->tenants = tenant;
	return tenant;
}

static void take_up(struct attach *attach, json_t *status)
{
	const char *name = json_string_value(json_object_get(status, "name"));
	const char *ifname = json_string_value(json_object_get(status, "ifname"));
	if (!name || !ifname || !strchr(name, '@') || !json_is_string(json_object_get(status, "netns")) ||
	    !json_is_string(json_object_get(status, "gateway")))
		return;
	struct tenant *tenant = find_port(attach, name);
	if (!tenant)
		tenant = new_of_port(attach, status, name, ifname);
	if (!tenant)
		return;
	tenant->exists = true;
	json_decref(tenant->status);
	tenant->status = json_incref(status);
	/* Also of one that the plugin has asked for again: it stays where it is, and what was told is no news. */
	const char *client = tenant_client(tenant, "state");
	if (*tenant->at)
		return;
	recall_gateway(tenant, json_string_value(json_object_get(status, "gateway")));
	tenant->attached = !strcmp(client, "ready") || !strcmp(client, "lost");
}

static void forget_ports(struct attach *attach)
{
	for (struct tenant *tenant = attach->tenants; tenant; tenant = tenant->next)
		tenant->exists = false;
}

/* Every port that podswitchd has; false when it does not answer. */
static bool read_ports(struct attach *attach)
{
	json_t *list = NULL, *status;
	size_t i;
	if (daemon_call(attach->config.daemon, "port.list", NULL, &list, NULL, NULL))
		return false;
	forget_ports(attach);
	json_array_foreach(list, i, status)
	{
		take_up(attach, status);
	}
	json_decref(list);
	/* A podswitchd that was started anew has its old ports, unless its state was lost; then they are given again.
	 */
	if (attach->epoch != daemon_epoch(attach->config.daemon)) {
		for (struct tenant *tenant = attach->tenants; tenant; tenant = tenant->next) {
			free(tenant->applied);
			tenant->applied = NULL;
		}
		attach->dirty = true;
	}
	attach->epoch = daemon_epoch(attach->config.daemon);
	return true;
}

/* ---- removing ---- */

static void remember_removed(struct attach *attach, const char *port)
{
	snprintf(attach->removed[attach->next_removed++ % REMOVED_MEMORY], NAMES_SIZE, "%s", port);
}

static bool was_removed(const struct attach *attach, const char *port)
{
	for (unsigned i = 0; i < REMOVED_MEMORY; i++)
		if (!strcmp(attach->removed[i], port))
			return true;
	return false;
}

static int remove_port(struct attach *attach, const char *port, struct failure *why)
{
	struct tenant *tenant = find_port(attach, port);
	int error = orders_remove(&attach->orders, port, true, why);
	if (error)
		return error;
	memory_drop(attach->config.memory, port);
	if (tenant)
		drop(attach, tenant);
	return 0;
}

/* Its namespace or interface is gone: there is nothing left that could send. */
static bool is_gone(const struct tenant *tenant)
{
	const char *state = json_string_value(json_object_get(tenant->status, "state"));
	return tenant->exists && state && !strcmp(state, "gone");
}

/*
 * To remove a port gives the pod its own way out again. So as long as its namespace is there (a pod deleted by force
 * runs on for its grace period) and the plugin has not said DEL, it is only cut off.
 */
static void put_aside(struct attach *attach, struct tenant *tenant)
{
	struct failure why = {0};
	if (!tenant->exists || is_gone(tenant))
		(void)remove_port(attach, tenant->port, NULL);
	else if (orders_cut(&attach->orders, tenant, &why))
		log_line(LOG_ERROR, "%s: cannot be cut off: %s", tenant->port, why.text);
}

/*
 * An earlier sandbox of the same pod has the MAC at the gateway that the new one is to have. A plugin that still asks
 * for it must not take the place back.
 */
static void remove_earlier(struct attach *attach, const struct tenant *newest)
{
	for (struct tenant *tenant = attach->tenants, *next; tenant; tenant = next) {
		next = tenant->next;
		if (tenant != newest && !strcmp(tenant->namespace, newest->namespace) &&
		    !strcmp(tenant->pod, newest->pod) && !strcmp(tenant->ifname, newest->ifname)) {
			if (!tenant->by_agent && !tenant->superseded)
				remember_removed(attach, tenant->port);
			tenant->superseded = true;
			(void)orders_look(&attach->orders, tenant, NULL);
			put_aside(attach, tenant);
		}
	}
}

/* What the plugin noted while nobody answered. A note may be of a container of which not even the pod was known. */
static int bury(void *context, const char *port, const json_t *content)
{
	(void)content;
	if (!was_removed(context, port))
		remember_removed(context, port);
	return remove_port(context, port, NULL);
}

static bool is_used(void *context, const char *gateway)
{
	const struct attach *attach = context;
	for (const struct tenant *tenant = attach->tenants; tenant; tenant = tenant->next)
		if (!strcmp(tenant->at, gateway))
			return true;
	return false;
}

/* ---- pods without the plugin ---- */

static bool has_tenant(const struct attach *attach, const json_t *pod, const char *namespace, const char *name)
{
	for (const struct tenant *tenant = attach->tenants; tenant; tenant = tenant->next)
		if (!strcmp(tenant->namespace, namespace) && !strcmp(tenant->pod, name) && is_uid_of(pod, tenant->uid))
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
static int find_namespace(struct attach *attach, const char *uid, char *out, size_t size)
{
	uint64_t pod = XXH3_64bits(uid, strlen(uid));
	for (size_t i = 0; i < UNFOUND_MEMORY; i++)
		if (attach->unfound[i].pod == pod && attach->unfound[i].until > attach->now)
			return -ENOENT;
	int error = find_netns(uid, out, size);
	if (error)
		attach->unfound[attach->next_unfound++ % UNFOUND_MEMORY] = (struct unfound){pod, attach->now + PERIOD};
	return error;
}

static void attach_one(struct attach *attach, const json_t *pod, const char *namespace, const char *name)
{
	struct choice choice;
	char id[NAMES_ID + 1], netns[sizeof(((struct tenant *)0)->netns)];
	decide(attach, pod, namespace, NULL, &choice);
	if (choice.verdict == CHOICE_NONE || choice.verdict == CHOICE_UNDECIDED)
		return;
	if (port_id_of_uid(id, uid_of(pod)) || find_namespace(attach, uid_of(pod), netns, sizeof(netns)))
		return;
	struct tenant *tenant = tenant_new(namespace, name, id, NAMES_DEFAULT_IFNAME);
	if (!tenant)
		return;
	tenant->by_agent = true;
	tenant->began = attach->now;
	snprintf(tenant->uid, sizeof(tenant->uid), "%s", uid_of(pod));
	memcpy(tenant->netns, netns, sizeof(netns));
	tenant->next = attach->tenants;
	attach->tenants = tenant;
	(void)look(attach, tenant);
}

static void attach_running(struct attach *attach)
{
	const char *key;
	json_t *pod;
	char namespace[64];
	json_object_foreach((json_t *)cluster_pods(attach->config.cluster), key, pod)
	{
		const char *slash = strchr(key, '/');
		if (!slash || (size_t)(slash - key) >= sizeof(namespace) || !is_running(pod))
			continue;
		snprintf(namespace, sizeof(namespace), "%.*s", (int)(slash - key), key);
		if (!has_tenant(attach, pod, namespace, slash + 1))
			attach_one(attach, pod, namespace, slash + 1);
	}
}

/* ---- turns ---- */

static void read_networks(struct attach *attach)
{
	size_t n = 0;
	for (; n < attach->config.n_keep && n < ORDERS_MAX_KEEP; n++)
		attach->networks[n] = attach->config.keep[n];
	n += cluster_networks(attach->config.cluster, attach->networks + n, ORDERS_MAX_KEEP - n);
	attach->orders.n_networks = n;
}

/* "port.ready", "port.lost" and "port.gone" of a tenant's port. */
static void hear(void *context, const json_t *event)
{
	struct attach *attach = context;
	const char *what = json_string_value(json_object_get(event, "event"));
	const char *name = json_string_value(json_object_get(event, "name"));
	struct tenant *tenant = name ? find_port(attach, name) : NULL;
	if (!what || !tenant || strncmp(what, "port.", 5) != 0)
		return;
	if (orders_look(&attach->orders, tenant, NULL) != -ENOENT && tenant->exists)
		(void)look(attach, tenant);
}

static void sweep(struct attach *attach)
{
	for (struct tenant *tenant = attach->tenants, *next; tenant; tenant = next) {
		next = tenant->next;
		bool orphan = tenant->orphaned && attach->now - tenant->orphaned > ORPHAN_AGE;
		if (is_gone(tenant) || orphan || tenant->superseded)
			put_aside(attach, tenant);
	}
	(void)tombstone_each(attach->config.socket, bury, attach);
	orders_tidy(&attach->orders, is_used, attach);
}

bool attach_waits(const struct attach *attach)
{
	return attach->dirty && attach->restored && attach->rests_until > clock_ms();
}

void attach_turn(struct attach *attach, uint64_t now)
{
	attach->now = now;
	bool synced = cluster_synced(attach->config.cluster), period = now - attach->looked >= PERIOD;
	if (synced && (!attach->restored || period || attach->epoch != daemon_epoch(attach->config.daemon)))
		attach->restored = read_ports(attach);
	if (!attach->restored || !synced)
		return;
	daemon_news(attach->config.daemon, hear, attach);
	if (!period && (!attach->dirty || attach_waits(attach)))
		return;
	attach->dirty = false;
	uint64_t began = clock_ms();
	read_networks(attach);
	for (struct tenant *tenant = attach->tenants; tenant; tenant = tenant->next)
		(void)look(attach, tenant);
	if (attach->config.running)
		attach_running(attach);
	if (period)
		sweep(attach);
	attach->looked = period ? now : attach->looked;
	uint64_t ended = clock_ms();
	attach->rests_until = ended - began > SHORT_PASS ? ended + REST * (ended - began) : 0;
}

/* ---- the plugin's questions ---- */

struct question {
	const char *container, *ifname, *netns, *namespace, *pod, *uid, *configured;
	char port[NAMES_SIZE];
};

static int read_question(json_t *params, bool add, struct question *out, struct failure *why)
{
	*out = (struct question){.netns = "", .uid = "", .configured = ""};
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
	if (add && (!*out->netns || strlen(out->netns) >= sizeof(((struct tenant *)0)->netns)))
		return fail(why, JSONRPC_INVALID_PARAMS, "netns", "netns: is missing or too long");
	return 0;
}

/* What only the plugin says, and does not say again once the pod runs. */
static int note_question(const struct attach *attach, struct tenant *tenant, const struct question *question,
			 struct failure *why)
{
	snprintf(tenant->uid, sizeof(tenant->uid), "%s", question->uid);
	if (!strcmp(tenant->configured, question->configured))
		return 0;
	if (strlen(question->configured) >= sizeof(tenant->configured))
		return fail(why, JSONRPC_INVALID_PARAMS, "gateway", "gateway: '%.40s...' is too long for a name",
			    question->configured);
	if (memory_keep(attach->config.memory, tenant->port, question->configured, why))
		return JSONRPC_INTERNAL;
	snprintf(tenant->configured, sizeof(tenant->configured), "%s", question->configured);
	return 0;
}

static struct tenant *new_tenant(struct attach *attach, const struct question *question)
{
	struct tenant *tenant = tenant_new(question->namespace, question->pod, question->container, question->ifname);
	if (!tenant)
		return NULL;
	snprintf(tenant->netns, sizeof(tenant->netns), "%s", question->netns);
	tenant->began = attach->now;
	tenant->next = attach->tenants;
	attach->tenants = tenant;
	return tenant;
}

static json_t *ready_answer(const struct tenant *tenant)
{
	const json_t *status = tenant->status;
	const char *mac = json_string_value(json_object_get(status, "mac"));
	return json_pack("{s:s, s:s, s:s, s:s, s:s, s:O, s:O, s:s}", "state", "ready", "name", tenant->port, "gateway",
			 tenant->gateway, "ifname", tenant->ifname, "mac", mac ? mac : "", "mtu",
			 json_object_get(status, "mtu"), "addresses", json_object_get(status, "addresses"), "router",
			 tenant_client(tenant, "router"));
}

/* A question that is asked again for a silent gateway is the moment to say so in an Event, once. */
static void tell_silence(struct attach *attach, struct tenant *tenant)
{
	if (tenant->exists && *tenant->reason && attach->now - tenant->began > 5000 && !tenant->attached)
		tell(attach, tenant, true, EVENT_NOT_READY, tenant->reason);
}

static int answer_pending(const char *reason, json_t **result)
{
	*result = json_pack("{s:s, s:s}", "state", "pending", "reason", reason);
	return 0;
}

static int answer_add(struct attach *attach, json_t *params, json_t **result, struct failure *why)
{
	struct question question;
	int code = read_question(params, true, &question, why);
	if (code)
		return code;
	if (was_removed(attach, question.port))
		return fail(why, JSONRPC_REFUSED, NULL, "the container has been removed meanwhile");
	struct tenant *tenant = find_port(attach, question.port);
	if (!tenant && !(tenant = new_tenant(attach, &question)))
		return fail(why, JSONRPC_INTERNAL, NULL, "out of memory");
	code = note_question(attach, tenant, &question, why);
	if (code)
		return code;
	if (!attach->restored)
		return answer_pending(
			daemon_answers(attach->config.daemon) || !cluster_synced(attach->config.cluster)
				? "podswitch-agent is starting"
				: "podswitchd does not answer: see the logs of the podswitch DaemonSet's pod",
			result);
	remove_earlier(attach, tenant);
	switch (look(attach, tenant)) {
	case TENANT_NONE:
		if (!cluster_hears_namespaces(attach->config.cluster))
			return answer_pending("podswitch-agent does not hear of changes of namespaces just now",
					      result);
		memory_drop(attach->config.memory, tenant->port);
		drop(attach, tenant);
		*result = json_pack("{s:s}", "state", "none");
		return 0;
	case TENANT_READY:
		if (!tenant->counted)
			histogram_add(&attach->seconds, (double)(attach->now - tenant->began) / 1000);
		tenant->counted = true;
		*result = ready_answer(tenant);
		return *result ? 0 : fail(why, JSONRPC_INTERNAL, NULL, "podswitchd's report is not complete");
	case TENANT_REFUSED:
		return fail(why, ATTACH_REFUSED, NULL, "%s", tenant->reason);
	case TENANT_PENDING:
		break;
	}
	/* The kubelet cannot take a pod away whose sandbox it is still waiting for. */
	if (is_ending(pod_of(attach, tenant)))
		return fail(why, ATTACH_REFUSED, NULL, "the pod is being deleted; %.200s", tenant->reason);
	tell_silence(attach, tenant);
	return answer_pending(tenant->reason, result);
}

static int answer_remove(struct attach *attach, json_t *params, json_t **result, struct failure *why)
{
	struct question question;
	int code = read_question(params, false, &question, why);
	if (code)
		return code;
	remember_removed(attach, question.port);
	if (remove_port(attach, question.port, why))
		return JSONRPC_REFUSED;
	*result = json_object();
	return 0;
}

static int answer_check(struct attach *attach, json_t *params, json_t **result, struct failure *why)
{
	static const char *const names[] = {
		[TENANT_PENDING] = "lost", [TENANT_NONE] = "none", [TENANT_REFUSED] = "lost", [TENANT_READY] = "ready"};
	struct question question;
	int code = read_question(params, false, &question, why);
	if (code)
		return code;
	struct tenant *tenant = find_port(attach, question.port);
	if (!attach->restored)
		return fail(why, JSONRPC_REFUSED, NULL, "podswitch-agent is starting, or podswitchd does not answer");
	if (tenant)
		*result = json_pack("{s:s, s:s}", "state",
				    tenant->exists || tenant->state == TENANT_NONE ? names[tenant->state] : "missing",
				    "reason", tenant->reason);
	else
		*result = json_pack("{s:s, s:s}", "state", "none", "reason", "the pod has no gateway");
	return 0;
}

/* Whether the list of valid attachments has the tenant's. */
static bool is_valid(const json_t *valid, const struct tenant *tenant)
{
	size_t i;
	const json_t *entry;
	json_array_foreach(valid, i, entry)
	{
		const char *container = json_string_value(json_object_get(entry, "container_id"));
		const char *ifname = json_string_value(json_object_get(entry, "ifname"));
		/* The plugin's interface has another name than the primary's, which a runtime's list has. */
		if (container && ifname && !strncmp(container, tenant->id, strlen(tenant->id)))
			return true;
	}
	return false;
}

/*
 * A network's list lacks the attachments of all other networks, so that a pod that is there is not given up for it. Its
 * earlier sandboxes were removed when this one was added.
 */
static bool is_garbage(const struct attach *attach, const json_t *valid, const struct tenant *tenant)
{
	return !is_valid(valid, tenant) && !pod_of(attach, tenant);
}

static int answer_gc(struct attach *attach, json_t *params, json_t **result, struct failure *why)
{
	const json_t *valid = json_object_get(params, "valid");
	bool known = attach->restored && cluster_synced(attach->config.cluster);
	int removed = 0;
	if (!json_is_array(valid))
		return fail(why, JSONRPC_INVALID_PARAMS, "valid", "valid: give an array of attachments");
	for (struct tenant *tenant = attach->tenants, *next; tenant; tenant = next) {
		next = tenant->next;
		if (known && is_garbage(attach, valid, tenant) && !remove_port(attach, tenant->port, NULL))
			removed++;
	}
	*result = json_pack("{s:i}", "removed", removed);
	return 0;
}

int attach_call(void *context, struct rpc_client *client, const char *method, json_t *params, json_t **result,
		struct failure *why)
{
	struct attach *attach = context;
	const char *reason;
	(void)client;
	if (!strcmp(method, "attachment.add"))
		return answer_add(attach, params, result, why);
	if (!strcmp(method, "attachment.remove"))
		return answer_remove(attach, params, result, why);
	if (!strcmp(method, "attachment.check"))
		return answer_check(attach, params, result, why);
	if (!strcmp(method, "attachment.gc"))
		return answer_gc(attach, params, result, why);
	if (strcmp(method, "agent.status") != 0) {
		fail(why, -ENOSYS, NULL, "there is no method '%.64s'", method);
		return JSONRPC_UNKNOWN_METHOD;
	}
	attach_ready(attach, &reason);
	*result = json_pack("{s:b, s:b, s:s}", "synced", cluster_synced(attach->config.cluster), "switch",
			    daemon_answers(attach->config.daemon), "reason", reason);
	return 0;
}

/* ---- reports ---- */

bool attach_ready(const struct attach *attach, const char **reason)
{
	static const char *const missing = "the API server has not been read completely yet";
	*reason = !cluster_synced(attach->config.cluster)  ? missing
		  : !daemon_answers(attach->config.daemon) ? "podswitchd does not answer"
							   : "";
	return !**reason;
}

void attach_count(const struct attach *attach, struct attach_counters *out)
{
	*out = (struct attach_counters){.lost = attach->lost, .seconds = &attach->seconds};
	for (const struct tenant *tenant = attach->tenants; tenant; tenant = tenant->next) {
		out->tenants++;
		out->ready += tenant->state == TENANT_READY;
		out->pending += tenant->state == TENANT_PENDING;
		out->refused += tenant->state == TENANT_REFUSED;
	}
}
