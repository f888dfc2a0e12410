/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_inject.c - reviews in, pods out: one table
 *
 * Each row goes the whole way: review, choice, patch, answer; the patch is applied and the documents are compared. Each
 * outcome goes in again, as on a reinvocation, and must then be left alone. JSON is written with ' for ", and the pods
 * are of the namespace media.
 */
#include "control/webhook/admit.c"

#include "control/webhook/inject.c"

#include "control/webhook/profile.c"

#include "tests/unit/json_patch.h"
#include "tests/unit/quotes.h"

#include <setjmp.h>
#include <stddef.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

struct row {
	const char *name, *config, *metadata, *spec;
	const char *on;                      /* annotations of the namespace; NULL: it is not known */
	const char *metadata_out, *spec_out; /* NULL: as they were */
	const char *denied;                  /* a piece of the message */
	int code;
	const char *warning; /* a piece of the only warning; NULL: there is none */
	const char *again;   /* the same of the reinvocation */
	bool may_change;
};

/* ---- configurations ---- */

#define DEFAULT(what) "{'default':{" what "}}"
#define NOTHING "'env':false"
#define DNS_SERVER "'nameservers':['172.16.0.1']"
#define IMAGES                                                                                                         \
	"'initImage':'pg:1','initCmd':'/bin/client_init.sh','sidecarImage':'pg:1','sidecarCmd':'/bin/"                 \
	"client_sidecar.sh'"
#define MOUNTS "'configmapName':'settings','initMountPoint':'/config','sidecarMountPoint':'/config'"

#define PLAIN "{}"
#define NAMED DEFAULT("'env':['app','first']")
#define KEEP DEFAULT("'env_conflict':'keep'")
#define WARN DEFAULT("'on_error':'warn'")
#define DNS DEFAULT(NOTHING ",'dns':{" DNS_SERVER ",'policy':'None'}")
#define DNS_FIRST DEFAULT(NOTHING ",'dns':{" DNS_SERVER "}")
#define DNS_ENV DEFAULT("'dns':{'nameservers':['172.16.0.1','172.16.0.2'],'inject':false}")
#define CLASSIC DEFAULT("'classic':{" IMAGES "," MOUNTS "}")
#define NATIVE DEFAULT("'classic':{" IMAGES ",'sidecarAsInit':true}")
#define INIT_ONLY DEFAULT("'classic':{'initImage':'pg:1','initImagePullPol':'Always'}")

/* ---- pieces of pods ---- */

#define ASKS(gateway) "'annotations':{'podswitch.io/gateway':'" gateway "'}"
#define SPACE(gateway) "'podswitch.io/gateway':'" gateway "'"
#define ENTRY(name, value) "{'name':'" name "','value':'" value "'}"
#define UMLAUTS "ääääääääääääääää"
#define VPN ENTRY("gateway", "vpn.media.svc.cluster.local")
#define UK ENTRY("gateway", "uk.vpns.svc.cluster.local")
#define APP(env) "'containers':[{'name':'app','env':[" env "]}]"
#define BARE "'containers':[{'name':'app'}]"
#define CLUSTER_SEARCHES "'media.svc.cluster.local','svc.cluster.local','cluster.local'"
#define NDOTS "{'name':'ndots','value':'5'}"
#define CONFIG_NONE(searches, options)                                                                                 \
	"'dnsPolicy':'None','dnsConfig':{" DNS_SERVER ",'searches':[" searches "],'options':[" options "]}"

#define ROOT "'securityContext':{'capabilities':{'add':['NET_ADMIN','NET_RAW']},'runAsUser':0,'runAsNonRoot':false}"
#define MOUNT "'volumeMounts':[{'name':'gateway-configmap','readOnly':true,'mountPath':'/config'}]"
#define VOLUMES "'volumes':[{'name':'gateway-configmap','configMap':{'name':'settings','defaultMode':511}}]"
#define INIT_BARE "'name':'gateway-init','image':'pg:1','command':['/bin/client_init.sh']," ROOT ",'env':[" VPN "]"
#define SIDECAR_BARE                                                                                                   \
	"'name':'gateway-sidecar','image':'pg:1','command':['/bin/client_sidecar.sh']," ROOT ",'env':[" VPN "]"
#define INIT "{" INIT_BARE "," MOUNT "}"
#define SIDECAR "{" SIDECAR_BARE "," MOUNT "}"
#define MARKED "'annotations':{'podswitch.io/gateway':'vpn','podswitch.io/injected':'media/vpn'}"

static const struct row rows[] = {
	/* Who gets the variable. */
	{"nobody asks", PLAIN, "'name':'p'", BARE, .on = ""},
	{"the pod asks", PLAIN, ASKS("vpn"), BARE, .on = "", .spec_out = APP(VPN)},
	{"the namespace asks", PLAIN, "'name':'p'", BARE, .on = SPACE("vpn"), .spec_out = APP(VPN)},
	{"another namespace's gateway", PLAIN, "'name':'p'", BARE, .on = SPACE("uk.vpns"), .spec_out = APP(UK)},
	{"the pod's wins", PLAIN, ASKS("uk.vpns"), BARE, .on = SPACE("vpn"), .spec_out = APP(UK)},
	{"the pod opts out", PLAIN, ASKS("none"), BARE, .on = SPACE("vpn")},
	{"the namespace opts out", PLAIN, "'name':'p'", BARE, .on = SPACE("none")},
	{"a full name", PLAIN, ASKS("uk.vpns.svc.cluster.local"), BARE, .on = "", .spec_out = APP(UK)},
	{"setGateway", PLAIN, "'labels':{'setGateway':'true'}", BARE, .on = "", .spec_out = APP(UK)},
	{"setGateway says no", PLAIN, "'labels':{'setGateway':'false'}", BARE, .on = ""},
	{"the node's network", PLAIN, ASKS("vpn"), "'hostNetwork':true," BARE, .on = ""},
	{"the node's network, by its namespace", CLASSIC, "'name':'p'", "'hostNetwork':true," BARE, .on = SPACE("vpn")},
	{"hostNetwork that is none", PLAIN, ASKS("vpn"), "'hostNetwork':false," BARE, .on = "",
	 .spec_out = "'hostNetwork':false," APP(VPN)},
	{"the gateway's own pod", PLAIN, "'labels':{'app':'vpn'}", BARE, .on = SPACE("vpn")},
	{"pod-gateway's own containers", CLASSIC, ASKS("vpn"),
	 BARE ",'initContainers':[{'name':'gateway-init','image':'own'}]", .on = ""},
	{"a pod without a name", PLAIN, "'generateName':'web-'," ASKS("vpn"), BARE, .on = "", .spec_out = APP(VPN)},
	{"a pod of a ReplicaSet", PLAIN,
	 "'generateName':'web-','ownerReferences':[{'kind':'ReplicaSet','name':'web','controller':true}]", BARE,
	 .on = SPACE("vpn"), .spec_out = APP(VPN)},
	{"a pod that names another namespace", PLAIN, "'namespace':'vpns'," ASKS("vpn"), BARE, .on = "",
	 .spec_out = APP(VPN)},
	{"annotations that are null", PLAIN, "'annotations':null", BARE, .on = SPACE("vpn"), .spec_out = APP(VPN)},
	{"an address of its own", PLAIN,
	 "'annotations':{'podswitch.io/gateway':'vpn','podswitch.io/address':'172.16.0.9/24'}", BARE, .on = "",
	 .spec_out = APP(VPN)},

	/* Which containers, and what they have already. */
	{"init containers, too", PLAIN, ASKS("vpn"), "'initContainers':[{'name':'i'}]," BARE, .on = "",
	 .spec_out = "'initContainers':[{'name':'i','env':[" VPN "]}]," APP(VPN)},
	{"several of both", PLAIN, ASKS("vpn"),
	 "'initContainers':[{'name':'i'},{'name':'j'}],'containers':[{'name':'a'},{'name':'b'}]", .on = "",
	 .spec_out = "'initContainers':[{'name':'i','env':[" VPN "]},{'name':'j','env':[" VPN
		     "]}],'containers':[{'name':'a','env':[" VPN "]},{'name':'b','env':[" VPN "]}]"},
	{"a native sidecar", PLAIN, ASKS("vpn"), "'initContainers':[{'name':'i','restartPolicy':'Always'}]," BARE,
	 .on = "", .spec_out = "'initContainers':[{'name':'i','restartPolicy':'Always','env':[" VPN "]}]," APP(VPN)},
	{"ephemeral containers are not ours", PLAIN, ASKS("vpn"), BARE ",'ephemeralContainers':[{'name':'e'}]",
	 .on = "", .spec_out = APP(VPN) ",'ephemeralContainers':[{'name':'e'}]"},
	{"before the others, which may refer to it", PLAIN, ASKS("vpn"), APP(ENTRY("url", "http://$(gateway)/")),
	 .on = "", .spec_out = APP(VPN "," ENTRY("url", "http://$(gateway)/"))},
	{"it is there already", PLAIN, ASKS("vpn"), APP(ENTRY("x", "1") "," VPN), .on = ""},
	{"with another value", PLAIN, ASKS("vpn"), APP(ENTRY("gateway", "old")), .on = "", .spec_out = APP(VPN),
	 .warning = "container app: its own variable gateway is replaced"},
	{"in a container with a name that is cut within a character", PLAIN, ASKS("vpn"),
	 "'containers':[{'name':'" UMLAUTS UMLAUTS "','env':[{'name':'gateway'}]}]", .on = "",
	 .spec_out = "'containers':[{'name':'" UMLAUTS UMLAUTS "','env':[" VPN "]}]", .warning = "????"},
	{"with an empty value", PLAIN, ASKS("vpn"), APP("{'name':'gateway'}"), .on = "", .spec_out = APP(VPN),
	 .warning = "container app"},
	{"valueFrom", PLAIN, ASKS("vpn"),
	 APP("{'name':'gateway','valueFrom':{'fieldRef':{'fieldPath':'spec.nodeName'}}}"), .on = "",
	 .spec_out = APP(VPN), .warning = "container app"},
	{"twice, of which the last counts", PLAIN, ASKS("vpn"), APP(VPN "," ENTRY("gateway", "old")), .on = "",
	 .spec_out = APP(VPN "," VPN), .warning = "container app"},
	{"a value that starts like it", PLAIN, ASKS("vpn"),
	 APP("{'name':'gateway','value':'vpn.media.svc.cluster.local\\u0000'}"), .on = "", .spec_out = APP(VPN),
	 .warning = "container app"},
	{"its own is kept", KEEP, ASKS("vpn"), APP(ENTRY("gateway", "old")), .on = ""},
	{"its own is kept, others get it", KEEP, ASKS("vpn"),
	 "'initContainers':[{'name':'i'}]," APP(ENTRY("gateway", "old")), .on = "",
	 .spec_out = "'initContainers':[{'name':'i','env':[" VPN "]}]," APP(ENTRY("gateway", "old"))},
	{"another variable's name in capitals", PLAIN, ASKS("vpn"), APP(ENTRY("GATEWAY", "x")), .on = "",
	 .spec_out = APP(VPN "," ENTRY("GATEWAY", "x"))},
	{"env that is null", PLAIN, ASKS("vpn"), "'containers':[{'name':'app','env':null}]", .on = "",
	 .spec_out = APP(VPN)},
	{"no containers", PLAIN, ASKS("vpn"), "'nodeName':'n1'", .on = ""},
	{"an empty list of containers", PLAIN, ASKS("vpn"), "'containers':[]", .on = ""},
	{"containers that are none", PLAIN, ASKS("vpn"), "'containers':[7,null,{'env':'x'}]", .on = ""},
	{"named containers", NAMED, ASKS("vpn"),
	 "'initContainers':[{'name':'first'},{'name':'i'}],'containers':[{'name':'app'},{'name':'b'}]", .on = "",
	 .spec_out = "'initContainers':[{'name':'first','env':[" VPN "]},{'name':'i'}],'containers':[{'name':'app',"
		     "'env':[" VPN "]},{'name':'b'}]"},
	{"named ones that are not there", NAMED, ASKS("vpn"), "'containers':[{'name':'b'}]", .on = ""},
	{"not the variable", DEFAULT(NOTHING), ASKS("vpn"), BARE, .on = ""},
	{"a value of the configuration's", DEFAULT("'gateway':'10.1.2.3'"), ASKS("vpn"), BARE, .on = "",
	 .spec_out = APP(ENTRY("gateway", "10.1.2.3"))},
	{"one gateway's own", "{'default':{'gateway':'all'},'gateways':{'vpns/uk':{'gateway':'uk'}}}", ASKS("uk.vpns"),
	 BARE, .on = "", .spec_out = APP(ENTRY("gateway", "uk"))},
	{"and not the other's", "{'default':{'gateway':'all'},'gateways':{'vpns/uk':{'gateway':'uk'}}}", ASKS("vpn"),
	 BARE, .on = "", .spec_out = APP(ENTRY("gateway", "all"))},

	/* DNS. */
	{"the variables of today", DNS_ENV, ASKS("vpn"), BARE, .on = "",
	 .spec_out = APP(VPN "," ENTRY("DNS", "172.16.0.1") "," ENTRY("DNS_ips", "172.16.0.1,172.16.0.2") "," ENTRY(
		 "K8S_DNS_ips", "10.96.0.10 10.96.0.11"))},
	{"the variables, some there", DNS_ENV, ASKS("vpn"), APP(ENTRY("DNS", "172.16.0.1")), .on = "",
	 .spec_out = APP(VPN "," ENTRY("DNS_ips", "172.16.0.1,172.16.0.2") "," ENTRY(
		 "K8S_DNS_ips", "10.96.0.10 10.96.0.11") "," ENTRY("DNS", "172.16.0.1"))},
	{"names and addresses of the configuration's",
	 DEFAULT("'dns':{" DNS_SERVER ",'inject':false,'DNS':'dns.example','K8S_DNS_ips':['10.0.0.10']}"), ASKS("vpn"),
	 BARE, .on = "",
	 .spec_out = APP(VPN "," ENTRY("DNS", "dns.example") "," ENTRY("DNS_ips", "172.16.0.1") "," ENTRY(
		 "K8S_DNS_ips", "10.0.0.10"))},
	{"dns None", DNS, ASKS("vpn"), BARE ",'dnsPolicy':'ClusterFirst'", .on = "",
	 .spec_out = BARE "," CONFIG_NONE(CLUSTER_SEARCHES, NDOTS)},
	{"dns None, no policy yet", DNS, ASKS("vpn"), BARE, .on = "",
	 .spec_out = BARE "," CONFIG_NONE(CLUSTER_SEARCHES, NDOTS)},
	{"the pod's ndots stays", DNS, ASKS("vpn"), BARE ",'dnsConfig':{'options':[{'name':'ndots','value':'1'}]}",
	 .on = "", .spec_out = BARE "," CONFIG_NONE(CLUSTER_SEARCHES, "{'name':'ndots','value':'1'}")},
	{"the pod's other options stay", DNS, ASKS("vpn"),
	 BARE ",'dnsConfig':{'options':[{'name':'edns0'},{'name':'timeout','value':'1'}]}", .on = "",
	 .spec_out = BARE "," CONFIG_NONE(CLUSTER_SEARCHES, "{'name':'edns0'},{'name':'timeout','value':'1'}," NDOTS)},
	{"the pod's searches come behind the cluster's", DNS, ASKS("vpn"),
	 BARE ",'dnsConfig':{'searches':['example.org']}", .on = "",
	 .spec_out = BARE "," CONFIG_NONE(CLUSTER_SEARCHES ",'example.org'", NDOTS)},
	{"no search twice", DNS, ASKS("vpn"), BARE ",'dnsConfig':{'searches':['cluster.local','example.org']}",
	 .on = "", .spec_out = BARE "," CONFIG_NONE(CLUSTER_SEARCHES ",'example.org'", NDOTS)},
	{"a search that the pod has twice", DNS, ASKS("vpn"), BARE ",'dnsConfig':{'searches':['a','c','c','d']}",
	 .on = "", .spec_out = BARE "," CONFIG_NONE(CLUSTER_SEARCHES ",'a','c','d'", NDOTS)},
	{"not more searches than an API server takes", DNS, ASKS("vpn"),
	 BARE ",'dnsConfig':{'searches':['a','b','c','d']}", .on = "",
	 .spec_out = BARE "," CONFIG_NONE("'media.svc.cluster.local','svc.cluster.local','a','b','c','d'", NDOTS),
	 .warning = "no room for the search domain cluster.local",
	 .again = "no room for the search domain cluster.local"},
	{"unless the pod has more itself", DNS, ASKS("vpn"),
	 BARE ",'dnsConfig':{'searches':['a','b','c','d','e','f','g']}", .on = "",
	 .spec_out = BARE "," CONFIG_NONE(CLUSTER_SEARCHES ",'a','b','c','d','e','f','g'", NDOTS)},
	{"the gateway's nameservers instead of the pod's", DNS, ASKS("vpn"),
	 BARE ",'dnsPolicy':'None','dnsConfig':{'nameservers':['9.9.9.9']}", .on = "",
	 .spec_out = BARE "," CONFIG_NONE(CLUSTER_SEARCHES, NDOTS)},
	{"no policy: beside the cluster's", DNS_FIRST, ASKS("vpn"),
	 BARE ",'dnsPolicy':'ClusterFirst','dnsConfig':{'nameservers':['9.9.9.9'],'searches':['s']}", .on = "",
	 .spec_out = BARE ",'dnsPolicy':'ClusterFirst','dnsConfig':{'nameservers':['172.16.0.1','9.9.9.9'],"
			  "'searches':['s']}"},
	{"not more nameservers than an API server takes", DNS_FIRST, ASKS("vpn"),
	 BARE ",'dnsConfig':{'nameservers':['9.9.9.9','8.8.8.8','7.7.7.7']}", .on = "",
	 .spec_out = BARE ",'dnsConfig':{'nameservers':['172.16.0.1','9.9.9.9','8.8.8.8']}", .warning = "more than 3"},
	{"searches and options of the configuration's",
	 DEFAULT(NOTHING ",'dns':{" DNS_SERVER
			 ",'policy':'None','searches':['s'],'options':[{'name':'ndots','value':'2'},"
			 "{'name':'edns0'}]}"),
	 ASKS("vpn"), BARE ",'dnsConfig':{'options':[{'name':'ndots','value':'3'}]}", .on = "",
	 .spec_out = BARE "," CONFIG_NONE("'s'", "{'name':'ndots','value':'3'},{'name':'edns0'}")},
	{"no searches at all", DEFAULT(NOTHING ",'dns':{" DNS_SERVER ",'policy':'None','searches':[],'options':[]}"),
	 ASKS("vpn"), BARE, .on = "", .spec_out = BARE ",'dnsPolicy':'None','dnsConfig':{" DNS_SERVER "}"},
	{"dns of one gateway alone", "{'default':{'env':false},'gateways':{'media/vpn':{'dns':{" DNS_SERVER "}}}}",
	 ASKS("uk.vpns"), BARE, .on = ""},

	/* pod-gateway's containers. */
	{"classic", CLASSIC, ASKS("vpn"), BARE, .on = "", .metadata_out = MARKED,
	 .spec_out = "'initContainers':[" INIT "],'containers':[{'name':'app','env':[" VPN "]}," SIDECAR "]," VOLUMES},
	{"classic, before the pod's own init containers", CLASSIC, ASKS("vpn"), "'initContainers':[{'name':'i'}]," BARE,
	 .on = "", .metadata_out = MARKED,
	 .spec_out = "'initContainers':[" INIT ",{'name':'i','env':[" VPN "]}],'containers':[{'name':'app','env':[" VPN
		     "]}," SIDECAR "]," VOLUMES},
	{"classic, annotated by its namespace", CLASSIC, "'name':'p'", BARE, .on = SPACE("vpn"),
	 .metadata_out = "'name':'p','annotations':{'podswitch.io/injected':'media/vpn'}",
	 .spec_out = "'initContainers':[" INIT "],'containers':[{'name':'app','env':[" VPN "]}," SIDECAR "]," VOLUMES},
	{"classic, native", NATIVE, ASKS("vpn"), "'initContainers':[{'name':'i'}]," BARE, .on = "",
	 .metadata_out = MARKED,
	 .spec_out = "'initContainers':[{" INIT_BARE "},{" SIDECAR_BARE ",'restartPolicy':'Always'},{'name':'i',"
		     "'env':[" VPN "]}]," APP(VPN)},
	{"classic, init alone", INIT_ONLY, ASKS("vpn"), BARE, .on = "", .metadata_out = MARKED,
	 .spec_out = "'initContainers':[{'name':'gateway-init','image':'pg:1','imagePullPolicy':'Always'," ROOT
		     ",'env':[" VPN "]}]," APP(VPN)},
	{"classic, with volumes of its own", CLASSIC, ASKS("vpn"), BARE ",'volumes':[{'name':'data','emptyDir':{}}]",
	 .on = "", .metadata_out = MARKED,
	 .spec_out = "'initContainers':[" INIT "],'containers':[{'name':'app','env':[" VPN "]}," SIDECAR
		     "],'volumes':[{'name':'data','emptyDir':{}},{'name':'gateway-configmap','configMap':{'name':"
		     "'settings','defaultMode':511}}]"},
	{"classic, a Job's pod", CLASSIC, "'generateName':'job-'," ASKS("vpn"), BARE ",'restartPolicy':'OnFailure'",
	 .on = "", .metadata_out = "'generateName':'job-'," MARKED,
	 .spec_out = "'restartPolicy':'OnFailure','initContainers':[" INIT "],'containers':[{'name':'app','env':[" VPN
		     "]}," SIDECAR "]," VOLUMES,
	 .warning = "keeps this pod from ever ending", .again = "keeps this pod from ever ending"},
	{"native, a Job's pod", NATIVE, ASKS("vpn"), BARE ",'restartPolicy':'Never'", .on = "", .metadata_out = MARKED,
	 .spec_out = "'restartPolicy':'Never','initContainers':[{" INIT_BARE "},{" SIDECAR_BARE
		     ",'restartPolicy':'Always'}]," APP(VPN)},
	{"classic again, with defaults and a service account's volume", CLASSIC, MARKED,
	 "'initContainers':[{" INIT_BARE
	 ",'imagePullPolicy':'IfNotPresent','volumeMounts':[{'name':'gateway-configmap',"
	 "'readOnly':true,'mountPath':'/config'},{'name':'token','mountPath':'/var/run'}]},{'name':'late'}],"
	 "'containers':[{'name':'app','env':[" VPN "]}," SIDECAR "]," VOLUMES,
	 .on = "",
	 .spec_out = "'initContainers':[{" INIT_BARE
		     ",'imagePullPolicy':'IfNotPresent','volumeMounts':[{'name':'gateway-configmap','readOnly':true,"
		     "'mountPath':'/config'},{'name':'token','mountPath':'/var/run'}]},{'name':'late','env':[" VPN
		     "]}],'containers':[{'name':'app','env':[" VPN "]}," SIDECAR "]," VOLUMES},
	{"classic of another gateway, copied", CLASSIC, "'annotations':{'podswitch.io/injected':'vpns/uk'}",
	 "'initContainers':[{'name':'gateway-init','image':'old','env':[" UK "]}]," APP(UK), .on = SPACE("vpn"),
	 .metadata_out = "'annotations':{'podswitch.io/injected':'media/vpn'}",
	 .spec_out = "'initContainers':[" INIT "],'containers':[{'name':'app','env':[" VPN "]}," SIDECAR "]," VOLUMES,
	 .warning = "container app"},
	{"classic, opted out since", CLASSIC,
	 "'annotations':{'podswitch.io/gateway':'none','podswitch.io/injected':'media/vpn'}",
	 "'initContainers':[" INIT "]," BARE, .on = ""},

	/* What cannot be had. */
	{"no such Service", PLAIN, ASKS("nosuch"), BARE, .on = "",
	 .denied = "there is no Service nosuch in namespace media", .code = 403, .may_change = true},
	{"no such Service, by its namespace", PLAIN, "'name':'p'", BARE, .on = SPACE("nosuch.vpns"),
	 .denied = "which the namespace's annotation podswitch.io/gateway asks for", .code = 403, .may_change = true},
	{"a malformed Service", PLAIN, ASKS("bad.vpns"), BARE, .on = "", .denied = "podswitch.io/vni", .code = 403,
	 .may_change = true},
	{"not allowed", PLAIN, ASKS("closed.vpns"), BARE, .on = "", .denied = "does not take pods of namespace media",
	 .code = 403},
	{"malformed", PLAIN, ASKS("not a name"), BARE, .on = "", .denied = "'not a name' is not the name of a Service",
	 .code = 400},
	{"setGateway malformed", PLAIN, "'labels':{'setGateway':'perhaps'}", BARE, .on = "", .denied = "setGateway",
	 .code = 400},
	{"an address that is none", PLAIN,
	 "'annotations':{'podswitch.io/gateway':'vpn','podswitch.io/address':'10.0.0.1'}", BARE, .on = "",
	 .denied = "podswitch.io/address", .code = 400},
	{"a namespace not seen yet", PLAIN, "'name':'p'", BARE, .denied = "has not been seen yet", .code = 503,
	 .may_change = true},
	{"a namespace not seen yet does not matter", PLAIN, ASKS("vpn"), BARE, .spec_out = APP(VPN)},
	{"no such Service, admitted", WARN, ASKS("nosuch"), BARE, .on = "", .warning = "there is no Service nosuch",
	 .again = "there is no Service nosuch", .may_change = true},
	{"malformed, admitted", WARN, ASKS("not a name"), BARE, .on = "", .warning = "write NAME,",
	 .again = "write NAME,"},
	{"not allowed, admitted for this gateway", "{'gateways':{'vpns/closed':{'on_error':'warn'}}}",
	 ASKS("closed.vpns"), BARE, .on = "", .warning = "does not take pods of namespace media",
	 .again = "does not take pods of namespace media"},
	{"and denied for another", "{'default':{'on_error':'warn'},'gateways':{'vpns/closed':{'on_error':'deny'}}}",
	 ASKS("closed.vpns"), BARE, .on = "", .denied = "does not take pods", .code = 403},
};

/* ---- the cluster ---- */

static const char *const services[] = {
	"{'metadata':{'name':'vpn','namespace':'media'},'spec':{'selector':{'app':'vpn'}}}",
	"{'metadata':{'name':'uk','namespace':'vpns'}}",
	"{'metadata':{'name':'closed','namespace':'vpns','annotations':{'podswitch.io/allow-namespaces':'tools'}}}",
	"{'metadata':{'name':'bad','namespace':'vpns','annotations':{'podswitch.io/vni':'x'}}}",
};
static struct gateway_spec specs[COUNT(services)];
static struct failure wrong[COUNT(services)];
static json_t *the_namespace;

static const struct gateway_spec *lookup(const char *namespace, const char *name, const char **error, void *context)
{
	char key[2 * KUBE_LABEL + 32];

	(void)context;
	snprintf(key, sizeof(key), "{'metadata':{'name':'%s','namespace':'%s'", name, namespace);
	for (size_t i = 0; i < COUNT(services); i++) {
		if (strncmp(services[i], key, strlen(key)) != 0)
			continue;
		*error = wrong[i].text;
		return wrong[i].code ? NULL : &specs[i];
	}
	return NULL;
}

static const json_t *namespace_of(const char *name, void *context)
{
	(void)context;
	return strcmp(name, "media") ? NULL : the_namespace;
}

/* ---- one row ---- */

static const char *complaint;

static json_t *pod_of(const char *metadata, const char *spec)
{
	char text[4000];

	assert_true((size_t)snprintf(text, sizeof(text), "{'metadata':{%s},'spec':{%s}}", metadata, spec) <
		    sizeof(text));
	return json_of(text);
}

static struct admit_context *conjson_text(const struct row *row)
{
	static struct choose_policy policy = {.default_gateway = "uk.vpns", .pod_annotations = true};
	static struct admit_context context = {.policy = &policy, .namespace = namespace_of, .lookup = lookup};
	char text[512];
	json_t *config = json_of(row->config);
	struct profiles *profiles;
	struct failure why = {0};

	snprintf(text, sizeof(text), "{'metadata':{'name':'media','annotations':{%s}}}", row->on ? row->on : "");
	the_namespace = row->on ? json_of(text) : NULL;
	if (profiles_read(config, &profiles, &why))
		fail_msg("%s: %s", row->name, why.text);
	json_decref(config);
	context.profiles = profiles;
	context.cluster_dns = json_pack("[s, s]", "10.96.0.10", "10.96.0.11");
	return &context;
}

static bool mentions(const json_t *warnings, const char *piece)
{
	if (!piece)
		return !json_array_size(warnings);
	return json_array_size(warnings) == 1 && strstr(json_string_value(json_array_get(warnings, 0)), piece);
}

/* The answer's patch, decoded; NULL: there is none. */
static json_t *decode_patch(const json_t *response)
{
	const char *encoded = json_string_value(json_object_get(response, "patch"));
	char *text = encoded ? decode_base64(encoded) : NULL;
	json_t *patch = text ? json_loads(text, 0, NULL) : NULL;

	if (!encoded != !patch || !encoded != !json_object_get(response, "patchType"))
		complaint = "the patch cannot be read";
	free(text);
	return patch;
}

/* The review of a pod, the whole way; the response is to be freed. */
static json_t *ask(const struct admit_context *context, const json_t *pod, const char *version, struct admission *out)
{
	json_t *root = json_pack("{s:s, s:s, s:{s:s, s:s, s:s, s:{s:s, s:s, s:s}, s:O}}", "apiVersion", version, "kind",
				 "AdmissionReview", "request", "uid", "u-1", "namespace", "media", "operation",
				 "CREATE", "resource", "group", "", "version", "v1", "resource", "pods", "object", pod);
	char *text = json_dumps(root, 0);
	struct review review = {0};

	json_decref(root);
	assert_int_equal(review_read(text, strlen(text), &review, NULL), 0);
	free(text);
	assert_int_equal(admit(context, &review, out), 0);
	text = review_answer(&review, &out->answer);
	review_free(&review);
	root = json_loads(text, 0, NULL);
	free(text);
	if (strcmp(json_text(root, "apiVersion"), version) != 0)
		complaint = "it answers in another version";
	json_t *response = json_incref(json_object_get(root, "response"));
	if (strcmp(json_text(response, "uid"), "u-1") != 0)
		complaint = "the uid is another";
	json_decref(root);
	return response;
}

static void judge_denial(const struct row *row, const json_t *response)
{
	const json_t *status = json_object_get(response, "status");

	if (!json_is_true(json_object_get(response, "allowed")) != !!row->denied)
		complaint = row->denied ? "it is not denied" : "it is denied";
	else if (row->denied && !strstr(json_text(status, "message"), row->denied))
		complaint = json_text(status, "message");
	else if (row->denied && json_integer_value(json_object_get(status, "code")) != row->code)
		complaint = "the code is another";
	else if (!mentions(json_object_get(response, "warnings"), row->warning))
		complaint = "the warnings are others";
}

static json_t *run(const struct row *row, const struct admit_context *context, const json_t *pod, const char *version)
{
	struct admission admission;
	json_t *response = ask(context, pod, version, &admission);

	judge_denial(row, response);
	if (admission.may_change != row->may_change)
		complaint = "whether to wait is wrong";
	json_t *patch = decode_patch(response), *result = patch_apply(pod, patch);
	if (!result)
		complaint = "the patch cannot be applied";
	if (!patch != (admission.verdict != ADMIT_CHANGED))
		complaint = admit_verdict_name(admission.verdict);
	json_decref(patch);
	admission_free(&admission);
	json_decref(response);
	return result;
}

static void run_again(const struct row *row, const struct admit_context *context, const json_t *pod)
{
	struct admission admission;
	json_t *response = ask(context, pod, "admission.k8s.io/v1", &admission);

	if (json_object_get(response, "patch"))
		complaint = "the second time something changes";
	if (!row->denied && !mentions(json_object_get(response, "warnings"), row->again))
		complaint = "the second time the warnings are others";
	admission_free(&admission);
	json_decref(response);
}

static bool is_right(const struct row *row)
{
	struct admit_context *context = conjson_text(row);
	json_t *pod = pod_of(row->metadata, row->spec);
	json_t *wanted = pod_of(row->metadata_out ? row->metadata_out : row->metadata,
				row->spec_out ? row->spec_out : row->spec);

	complaint = NULL;
	json_t *result = run(row, context, pod, "admission.k8s.io/v1");
	json_t *beta = run(row, context, pod, "admission.k8s.io/v1beta1");
	if (!complaint && (!json_equal(result, wanted) || !json_equal(beta, wanted)))
		complaint = "the pod is another";
	run_again(row, context, result);
	if (complaint) {
		char *text = json_dumps(result, JSON_COMPACT);
		print_message("%s: %s\n  %s\n", row->name, complaint, text);
		free(text);
	}
	json_decref(pod), json_decref(wanted), json_decref(result), json_decref(beta), json_decref(the_namespace);
	json_decref((json_t *)context->cluster_dns);
	profiles_free((struct profiles *)context->profiles);
	return !complaint;
}

static void test_table(void **state)
{
	(void)state;
	unsigned failed = 0;

	assert_true(COUNT(rows) >= 75);
	for (size_t i = 0; i < COUNT(rows); i++)
		failed += !is_right(&rows[i]);
	assert_int_equal(failed, 0);
}

/* ---- what is no concern of ours, and what is no configuration ---- */

static void test_untouched(void **state)
{
	(void)state;
	static const struct row row = {"", PLAIN, "", "", .on = SPACE("nosuch")};
	struct admit_context *context = conjson_text(&row);
	struct review review = {.namespace = "media"};
	struct admission out;

	/* Not a pod that is made: not even the namespace's gateway that does not exist matters. */
	assert_int_equal(admit(context, &review, &out), 0);
	assert_int_equal(out.verdict, ADMIT_UNTOUCHED);
	assert_false(out.may_change);
	assert_null(out.patch);
	admission_free(&out);
	json_decref(the_namespace), json_decref((json_t *)context->cluster_dns);
	profiles_free((struct profiles *)context->profiles);
	/* A document without a spec is not one to harm us. */
	json_t *odd = json_pack("{s:i}", "spec", 7), *warnings = json_array();
	static const struct profile profile = {.env = true};
	const struct inject_order order = {
		.profile = &profile, .gateway_namespace = "a", .gateway_name = "b", .domain = "c", .namespace = "d"};
	assert_int_equal(inject(odd, &order, warnings), 0);
	assert_int_equal(json_integer_value(json_object_get(odd, "spec")), 7);
	json_decref(odd), json_decref(warnings);
}

static const struct {
	const char *config, *why;
} refused[] = {
	{"[]", "give one object"},
	{"{'gateway':{}}", "there is no key 'gateway'"},
	{"{'default':[]}", "default: give an object"},
	{"{'default':{'evn':true}}", "default: evn: no such key here; known: gateway, env"},
	{"{'default':{'env':'app'}}", "env: give true, false, or a list"},
	{"{'default':{'env':['']}}", "env: element 1 is not a text"},
	{"{'default':{'env_conflict':'merge'}}", "env_conflict"},
	{"{'default':{'gateway':7}}", "gateway: must be a string"},
	{"{'default':{'gateway':'a\\u0000'}}", "gateway: must be a string"},
	{"{'default':{'on_error':'ignore'}}", "on_error"},
	{"{'default':{'dns':{'nameservers':'1.1.1.1'}}}", "nameservers: give a list"},
	{"{'default':{'dns':{'nameservers':['dns.example']}}}", "nameservers: 'dns.example' is not an IP address"},
	{"{'default':{'dns':{'nameservers':['1.1.1.1','1.1.1.2','1.1.1.3','1.1.1.4']}}}", "at most 3"},
	{"{'default':{'dns':{'policy':'none'}}}", "policy"},
	{"{'default':{'dns':{'inject':true,'policy':'None'}}}", "the policy None needs at least one"},
	{"{'default':{'dns':{'options':['ndots']}}}", "options: element 1"},
	{"{'default':{'dns':{'options':[{'name':'ndots','value':5}]}}}", "options: element 1"},
	{"{'default':{'dns':{'options':{}}}}", "options: give a list"},
	{"{'default':{'dns':[]}}", "dns: give an object"},
	{"{'default':{'classic':{'initimage':'x'}}}", "initimage: no such key here"},
	{"{'default':{'classic':{'initImagePullPol':'Sometimes'}}}", "initImagePullPol"},
	{"{'default':{'classic':{'initMountPoint':'config'}}}", "initMountPoint: give a path"},
	{"{'default':{'classic':{'sidecarAsInit':'yes'}}}", "sidecarAsInit"},
	{"{'gateways':[]}", "gateways: give an object"},
	{"{'gateways':{'vpn':{}}}", "'vpn' is not NAMESPACE/NAME"},
	{"{'gateways':{'a/b/c':{}}}", "'a/b/c' is not NAMESPACE/NAME"},
	{"{'gateways':{'media/vpn':{'x':1}}}", "media/vpn: x: no such key here"},
	{"{'gateways':{'media/vpn':7}}", "media/vpn: give an object"},
};

static void test_refused(void **state)
{
	(void)state;

	for (size_t i = 0; i < COUNT(refused); i++) {
		json_t *config = json_of(refused[i].config);
		struct profiles *profiles = NULL;
		struct failure why = {0};
		assert_int_equal(profiles_read(config, &profiles, &why), -EINVAL);
		assert_null(profiles);
		if (!strstr(why.text, refused[i].why))
			fail_msg("%s: %s", refused[i].config, why.text);
		json_decref(config);
	}
}

/* What a gateway says itself goes over the default, member by member; "" takes something away. */
static void test_profiles(void **state)
{
	(void)state;
	json_t *config =
		json_of("{'default':{'classic':{" IMAGES "," MOUNTS "},'dns':{" DNS_SERVER "}},'gateways':{'media/vpn':"
			"{'classic':{'initImage':'pg:2','sidecarImage':'','initCmd':['a','b']},'env':false}}}");
	struct profiles *profiles = NULL;

	assert_int_equal(profiles_read(config, &profiles, NULL), 0);
	json_decref(config);
	const struct profile *own = profiles_find(profiles, "media", "vpn"), *other = profiles_find(profiles, "", "");
	assert_string_equal(own->init.image, "pg:2");
	assert_int_equal(json_array_size(own->init.command), 2);
	assert_null(own->sidecar.image);
	assert_string_equal(own->configmap, "settings");
	assert_true(own->dns && !own->env && other->env);
	assert_string_equal(other->init.image, "pg:1");
	assert_int_equal(json_array_size(other->init.command), 1);
	assert_ptr_equal(profiles_find(profiles, "media", "vp"), other);
	profiles_free(profiles);

	struct failure why = {0};
	assert_int_equal(profiles_load("/nonexistent/webhook.json", &profiles, &why), -EINVAL);
	assert_non_null(strstr(why.text, "/nonexistent/webhook.json"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_untouched),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_profiles),
	};

	for (size_t i = 0; i < COUNT(services); i++) {
		json_t *service = json_of(services[i]);
		(void)spec_read(service, &specs[i], &wrong[i]);
		json_decref(service);
	}
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	for (size_t i = 0; i < COUNT(services); i++)
		spec_free(&specs[i]);
	return failed;
}
