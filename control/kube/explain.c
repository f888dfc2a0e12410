/* SPDX-License-Identifier: Apache-2.0 */
/* explain.c - why a pod waits for its gateway, in one sentence that says what to change */
#include "control/kube/explain.h"

#include "control/base/json.h"

#include <stdio.h>
#include <string.h>

/* ---- a Service without endpoints ---- */

void explain_no_endpoint(const struct cluster *cluster, const struct choice *choice, char out[static EXPLAIN_SIZE])
{
	const json_t *service = cluster_service(cluster, choice->namespace, choice->name);
	const json_t *spec = json_object_get(service, "spec"), *selector = json_object_get(spec, "selector");
	char gateway[2 * KUBE_LABEL];
	snprintf(gateway, sizeof(gateway), "%s/%s", choice->namespace, choice->name);
	if (!strcmp(json_text(spec, "type"), "ExternalName"))
		snprintf(
			out, EXPLAIN_SIZE,
			"the Service %s is an ExternalName, which has no endpoints: name a Service whose selector fits "
			"the gateway's pod (clusterIP: None serves)",
			gateway);
	else if (cluster_count_endpoints(cluster, choice->namespace, choice->name))
		snprintf(out, EXPLAIN_SIZE,
			 "gateway %s has no ready endpoint: its pods are there and not Ready; see kubectl -n %s "
			 "describe "
			 "pods",
			 gateway, choice->namespace);
	else if (!json_object_size(selector))
		snprintf(out, EXPLAIN_SIZE,
			 "gateway %s has no ready endpoint: its Service has no selector, and nobody has made an "
			 "EndpointSlice for it; give it the labels of the gateway's pod as its selector",
			 gateway);
	else
		snprintf(out, EXPLAIN_SIZE,
			 "gateway %s has no ready endpoint: no pod in namespace %s has the labels of its Service's "
			 "selector; does the gateway's pod run there, and do its labels fit?",
			 gateway, choice->namespace);
}

/* ---- a gateway that does not answer ---- */

/* What the sentences below need. */
struct explain {
	const struct cluster *cluster;
	const struct attachment *attachment;
	const struct gateway_spec *spec;
	const json_t *silence; /* podswitchd's, or NULL */
	char endpoint[ADDRESS_TEXT];
	bool pod; /* the pod underlay */
};

static long long explain_number(const struct explain *e, const char *key)
{
	return json_integer_value(json_object_get(e->silence, key));
}

/* " (node n2)", when a node has that address. */
static void explain_node(const struct explain *e, const char *text, char out[static 80])
{
	struct address address;
	const char *node = address_parse(text, &address) ? NULL : cluster_node_at(e->cluster, &address);
	snprintf(out, 80, node ? " (node %.60s)" : "%s", node ? node : "");
}

static void explain_other_source(const struct explain *e, char out[static EXPLAIN_SIZE])
{
	const char *from = json_text(e->silence, "from");
	char node[80];
	explain_node(e, from, node);
	snprintf(out, EXPLAIN_SIZE,
		 "gateway %s answers from %s%s instead of %s: something on the way replaces its address (%s)",
		 e->attachment->gateway, from, node, e->endpoint,
		 e->pod ? "NAT between pods: the endpoint must be the address that the gateway answers from"
			: "masquerading of what pods send to nodes); annotate its Service with "
			  "podswitch.io/underlay=pod (the default");
}

static void explain_icmp(const struct explain *e, char out[static EXPLAIN_SIZE])
{
	const char *from = json_text(e->silence, "from"), *icmp = json_text(e->silence, "icmp");
	bool closed = !strcmp(icmp, "port unreachable");
	char node[80];
	explain_node(e, from, node);
	snprintf(
		out, EXPLAIN_SIZE, "gateway %s at %s: %s%s refuses UDP port %u (ICMP: %s): %s", e->attachment->gateway,
		e->endpoint, from, node, e->spec->port, icmp,
		closed   ? "nothing listens there; is that its VXLAN's port (pod-gateway with VXLAN_PORT=0 has 8472, "
			   "whatever its Service says: annotate that with podswitch.io/port), and is its vxlan device up?"
		: e->pod ? "a firewall or NetworkPolicy; let that port in from the pods"
			 : "a firewall or NetworkPolicy; let that port in from the nodes, or annotate the Service with "
			   "podswitch.io/underlay=pod");
}

/* Without their number: a text that changes would be a new Event each time. */
static void explain_nothing(const struct explain *e, char out[static EXPLAIN_SIZE])
{
	snprintf(out, EXPLAIN_SIZE,
		 "gateway %s at %s: datagrams sent to UDP port %u with VNI %u, none came back. Usual causes: its "
		 "VXLAN has another port (pod-gateway with VXLAN_PORT=0 has 8472, whatever its Service says: annotate "
		 "podswitch.io/port) or another VNI (podswitch.io/vni); a NetworkPolicy or firewall does not let that "
		 "port in from the %s, and answers out to them (gluetun: FIREWALL_INPUT_PORTS, "
		 "FIREWALL_OUTBOUND_SUBNETS); the network between the nodes drops that port",
		 e->attachment->gateway, e->endpoint, e->spec->port, e->spec->vni,
		 e->pod ? "pods" : "nodes, whose addresses they have (podswitch.io/underlay=pod sends from the pods)");
}

static bool explain_silence(const struct explain *e, char out[static EXPLAIN_SIZE])
{
	const char *reason = json_text(e->silence, "reason");
	if (!strcmp(reason, "other_source"))
		explain_other_source(e, out);
	else if (!strcmp(reason, "other_vni"))
		snprintf(out, EXPLAIN_SIZE,
			 "gateway %s at %s answers with VNI %lld instead of %u: annotate its Service with "
			 "podswitch.io/vni=%lld, or change its VXLAN_ID",
			 e->attachment->gateway, e->endpoint, explain_number(e, "vni"), e->spec->vni,
			 explain_number(e, "vni"));
	else if (!strcmp(reason, "icmp"))
		explain_icmp(e, out);
	else if (!strcmp(reason, "nothing"))
		explain_nothing(e, out);
	return *reason;
}

static void explain_no_lease(const struct explain *e, char out[static EXPLAIN_SIZE])
{
	bool heard = attachment_is_heard(e->attachment);
	snprintf(out, EXPLAIN_SIZE,
		 "gateway %s at %s %s given no address by DHCP yet: does its dnsmasq run, does its firewall let UDP "
		 "port 67 in on its vxlan device, and has its range a free address?%s",
		 e->attachment->gateway, e->endpoint, heard ? "answers ARP, and has" : "has",
		 heard ? " (dnsmasq without no-ping takes 3 s for each client in turn)" : "");
}

void explain_path(const struct attachment *attachment, const char *target, char out[static EXPLAIN_SIZE])
{
	char endpoint[ADDRESS_TEXT];
	snprintf(out, EXPLAIN_SIZE,
		 "gateway %s at %s answers ARP, and nothing answers behind it: %s (podswitch.io/probe of its Service); "
		 "is its VPN up, does it forward and masquerade, and does that address answer at all?",
		 attachment->gateway, address_format(&attachment->endpoint, endpoint), target);
}

void explain_refused(const struct choice *choice, const char *refusal, char out[static EXPLAIN_SIZE])
{
	snprintf(out, EXPLAIN_SIZE, "podswitchd refuses: %.500s%s", refusal,
		 choice->spec->underlay == SPEC_UNDERLAY_HOST ? " (podswitch.io/underlay of the Service is host)" : "");
}

void explain_waiting(const struct cluster *cluster, const struct attachment *attachment, const struct choice *choice,
		     char out[static EXPLAIN_SIZE])
{
	struct explain e = {
		.cluster = cluster,
		.attachment = attachment,
		.spec = choice->spec,
		.silence = json_object_get(attachment->status, "silence"),
		.pod = !strcmp(json_text(attachment->status, "underlay"), "pod"),
	};
	const char *client = attachment_client(attachment, "state"), *state = json_text(attachment->status, "state");
	const char *trouble = attachment_client(attachment, "trouble");
	char target[PATH_TARGET_TEXT];
	address_format(&attachment->endpoint, e.endpoint);
	if (*trouble)
		snprintf(out, EXPLAIN_SIZE, "the %s %s cannot be used: %s",
			 choice->has_address ? "address of podswitch.io/address at" : "lease from", attachment->gateway,
			 trouble);
	else if (*state && strcmp(state, "up") != 0)
		snprintf(out, EXPLAIN_SIZE, "the port is %s", state);
	else if (!strcmp(attachment_client(attachment, "lacks"), "path"))
		explain_path(attachment, path_target_format(&choice->spec->probe_target, target), out);
	else if (explain_silence(&e, out))
		return;
	else if (!strcmp(client, "waiting"))
		explain_no_lease(&e, out);
	else
		snprintf(out, EXPLAIN_SIZE, "gateway %s at %s does not answer ARP for its address in the network",
			 attachment->gateway, e.endpoint);
}
