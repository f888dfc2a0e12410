/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_choose.c - which gateway a pod gets: one table
 *
 * JSON is written with ' for ", and the pods are of the namespace media unless they say otherwise.
 */
#include "control/kube/choose.c"

#include <stdlib.h>

/* After our own: cmocka makes a macro of fail(). */
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/quotes.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

#define LABEL63 "a23456789-123456789-123456789-123456789-123456789-123456789-123"

/* The cluster's Services. */
static const char *const services[] = {
	"{'metadata':{'name':'vpn','namespace':'media'},'spec':{'selector':{'app':'vpn','tier':'edge'}}}",
	"{'metadata':{'name':'fixed','namespace':'media','annotations':{'podswitch.io/mode':'static',"
	"'podswitch.io/network':'192.168.7.0/25'}},'spec':{'clusterIP':'None'}}",
	"{'metadata':{'name':'uk','namespace':'vpns','annotations':{'podswitch.io/allow-namespaces':'tools, media'}},"
	"'spec':{'selector':{'app':'vpn'}}}",
	"{'metadata':{'name':'own','namespace':'vpns','annotations':{'podswitch.io/allow-namespaces':''}}}",
	"{'metadata':{'name':'tools','namespace':'vpns','annotations':{'podswitch.io/allow-namespaces':'tools medi'}}}",
	"{'metadata':{'name':'star','namespace':'vpns','annotations':{'podswitch.io/allow-namespaces':'tools,*'}}}",
	"{'metadata':{'name':'bad','namespace':'vpns','annotations':{'podswitch.io/vni':'forty-two'}}}",
	"{'metadata':{'name':'" LABEL63 "','namespace':'" LABEL63 "'}}",
	"{'metadata':{'name':'svc','namespace':'svc'}}",
	"{'metadata':{'name':'none','namespace':'media'}}",
	"{'metadata':{'name':'1st','namespace':'media'}}",
	"{'metadata':{'name':'every','namespace':'media'},'spec':{'selector':{}}}",
};

static struct {
	struct gateway_spec spec;
	struct failure why;
	char namespace[KUBE_LABEL], name[KUBE_LABEL];
} cluster[COUNT(services)];

struct example {
	const char *name;
	const char *metadata; /* of the pod, besides its namespace */
	const char *spec;     /* of the pod */
	const char *on;       /* annotations of the namespace; NULL: it is not known */
	const char *configured;
	const char *def; /* the default gateway */
	bool def_on;
	bool pods_may_not;
	enum choice_verdict verdict;
	enum choice_source source;
	const char *gateway; /* NAMESPACE/NAME; NULL: "/" */
	const char *address;
	const char *key;
	const char *reason; /* a piece of it */
};

#define POD(gateway) .metadata = "'annotations':{'podswitch.io/gateway':'" gateway "'}", .on = ""
#define SPACE(gateway) .on = "'podswitch.io/gateway':'" gateway "'"
#define ADDRESS(gateway, address)                                                                                      \
	.metadata = "'annotations':{'podswitch.io/gateway':'" gateway "','podswitch.io/address':'" address "'}",       \
	.on = ""
#define SWITCH(text) .metadata = "'annotations':{'setGateway':'" text "'}", .on = "", .def = "vpn.media"
#define LABEL(text) .metadata = "'labels':{'setGateway':'" text "'}", .on = "", .def = "vpn.media"

#define NONE(who) .verdict = CHOICE_NONE, .source = SOURCE_##who
#define GATEWAY(who, what) .verdict = CHOICE_GATEWAY, .source = SOURCE_##who, .gateway = what
#define NOT_FOUND(who, what) .verdict = CHOICE_NOT_FOUND, .source = SOURCE_##who, .gateway = what
#define NOT_ALLOWED(who, what) .verdict = CHOICE_NOT_ALLOWED, .source = SOURCE_##who, .gateway = what
#define MALFORMED(who, which) .verdict = CHOICE_MALFORMED, .source = SOURCE_##who, .key = which
#define ON_POD MALFORMED(POD, "podswitch.io/gateway")
#define IN_ADDRESS(what) MALFORMED(POD, "podswitch.io/address"), .gateway = what

static const struct example examples[] = {
	/* Who chooses. */
	{"no one", .on = "", NONE(NOTHING), .reason = "nothing asks for a gateway"},
	{"the pod", POD("vpn"), GATEWAY(POD, "media/vpn"),
	 .reason = "the pod's annotation podswitch.io/gateway chooses"},
	{"the pod, its namespace not seen", .metadata = "'annotations':{'podswitch.io/gateway':'vpn'}",
	 GATEWAY(POD, "media/vpn")},
	{"the namespace", SPACE("vpn"), GATEWAY(NAMESPACE, "media/vpn"), .reason = "the namespace's annotation"},
	{"the namespace, elsewhere", SPACE("uk.vpns"), GATEWAY(NAMESPACE, "vpns/uk")},
	{"the pod over the namespace", .metadata = "'annotations':{'podswitch.io/gateway':'vpn'}", SPACE("uk.vpns"),
	 GATEWAY(POD, "media/vpn")},
	{"the namespace is not seen", .verdict = CHOICE_UNDECIDED, .source = SOURCE_NAMESPACE,
	 .reason = "the namespace media has not been seen yet"},
	{"the configuration", .on = "", .configured = "uk.vpns", GATEWAY(CONFIGURED, "vpns/uk"),
	 .reason = "the CNI configuration chooses the gateway vpns/uk"},
	{"the namespace over the configuration", SPACE("vpn"), .configured = "uk.vpns",
	 GATEWAY(NAMESPACE, "media/vpn")},
	{"the pod over the configuration", POD("vpn"), .configured = "uk.vpns", GATEWAY(POD, "media/vpn")},
	{"the configuration waits for the namespace", .configured = "uk.vpns", .verdict = CHOICE_UNDECIDED,
	 .source = SOURCE_NAMESPACE},
	{"the configuration over setGateway", .metadata = "'labels':{'setGateway':'false'}", .on = "",
	 .configured = "uk.vpns", .def = "vpn.media", GATEWAY(CONFIGURED, "vpns/uk")},
	{"an empty configuration", .on = "", .configured = "", NONE(NOTHING)},

	/* Opting out. */
	{"the pod, of nothing", POD("none"), NONE(POD), .reason = "the pod's annotation podswitch.io/gateway opts out"},
	{"the pod, of the namespace's", .metadata = "'annotations':{'podswitch.io/gateway':'none'}", SPACE("vpn"),
	 NONE(POD)},
	{"not by an empty one, as a template leaves it", .metadata = "'annotations':{'podswitch.io/gateway':''}",
	 SPACE("vpn"), GATEWAY(NAMESPACE, "media/vpn")},
	{"nor by a blank one", .metadata = "'annotations':{'podswitch.io/gateway':' \\n'}", SPACE("vpn"),
	 GATEWAY(NAMESPACE, "media/vpn")},
	{"nor where nothing else asks for a gateway", POD(""), NONE(NOTHING)},
	{"with blanks around it", .metadata = "'annotations':{'podswitch.io/gateway':' none '}", SPACE("vpn"),
	 NONE(POD)},
	{"the pod, of the configuration", POD("none"), .configured = "uk.vpns", NONE(POD)},
	{"the pod, of the default", POD("none"), .def = "vpn.media", .def_on = true, NONE(POD)},
	{"the namespace", SPACE("none"), NONE(NAMESPACE), .reason = "the namespace's annotation"},
	{"the namespace, not by an empty one", SPACE(""), .configured = "uk.vpns", GATEWAY(CONFIGURED, "vpns/uk")},
	{"the namespace, not by an empty one, of nothing", SPACE(""), NONE(NOTHING)},
	{"the namespace, of the default", SPACE("none"), .def = "vpn.media", .def_on = true, NONE(NAMESPACE)},
	{"the namespace, the pod opts in", .metadata = "'annotations':{'podswitch.io/gateway':'vpn'}", SPACE("none"),
	 GATEWAY(POD, "media/vpn")},
	{"none in capitals is no name", POD("None"), ON_POD, .reason = "'None' is not the name of a Service"},
	{"a Service called none, in full", POD("none.media"), GATEWAY(POD, "media/none")},

	/* Pods that may not choose. */
	{"their gateway is ignored", POD("vpn"), .pods_may_not = true, NONE(NOTHING)},
	{"the namespace decides", .metadata = "'annotations':{'podswitch.io/gateway':'vpn'}", SPACE("uk.vpns"),
	 .pods_may_not = true, GATEWAY(NAMESPACE, "vpns/uk")},
	{"nor may they opt out", .metadata = "'annotations':{'podswitch.io/gateway':'none'}", SPACE("vpn"),
	 .pods_may_not = true, GATEWAY(NAMESPACE, "media/vpn")},
	{"nor by an empty one", .metadata = "'annotations':{'podswitch.io/gateway':''}", SPACE("vpn"),
	 .pods_may_not = true, GATEWAY(NAMESPACE, "media/vpn")},
	{"nor is what they write malformed", POD("-x-"), .pods_may_not = true, NONE(NOTHING)},
	{"the namespace has to be known", .metadata = "'annotations':{'podswitch.io/gateway':'vpn'}",
	 .pods_may_not = true, .verdict = CHOICE_UNDECIDED, .source = SOURCE_NAMESPACE},
	{"the address is theirs", .metadata = "'annotations':{'podswitch.io/address':'172.16.0.9'}", SPACE("vpn"),
	 .pods_may_not = true, GATEWAY(NAMESPACE, "media/vpn"), .address = "172.16.0.9/24"},

	/* Names. */
	{"with the namespace", POD("vpn.media"), GATEWAY(POD, "media/vpn")},
	{"with blanks around it", POD(" vpn.media\\n"), GATEWAY(POD, "media/vpn")},
	{"of another namespace", POD("uk.vpns"), GATEWAY(POD, "vpns/uk")},
	{"with svc", POD("uk.vpns.svc"), GATEWAY(POD, "vpns/uk")},
	{"in full", POD("uk.vpns.svc.cluster.local"), GATEWAY(POD, "vpns/uk")},
	{"in full with a dot", POD("uk.vpns.svc.cluster.local."), GATEWAY(POD, "vpns/uk")},
	{"in full on the namespace", SPACE("uk.vpns.svc.cluster.local."), GATEWAY(NAMESPACE, "vpns/uk")},
	{"svc everywhere", POD("svc.svc.svc"), GATEWAY(POD, "svc/svc")},
	{"the longest", POD(LABEL63 "." LABEL63 ".svc.cluster.local."), GATEWAY(POD, LABEL63 "/" LABEL63)},
	{"a digit first", POD("1st"), GATEWAY(POD, "media/1st")},
	{"too long", POD(LABEL63 "4"), ON_POD, .reason = "..."},
	{"too long a namespace", POD("vpn." LABEL63 "4"), ON_POD},
	{"another cluster's", POD("uk.vpns.svc.cluster.example"), ON_POD, .reason = "NAME.NAMESPACE.svc.cluster.local"},
	{"a longer cluster's", POD("uk.vpns.svc.cluster.localhost"), ON_POD},
	{"two dots at the end", POD("uk.vpns.svc.cluster.local.."), ON_POD},
	{"a dot after svc", POD("uk.vpns.svc."), ON_POD},
	{"a dot after the namespace", POD("uk.vpns."), ON_POD},
	{"a dot after the name", POD("uk."), ON_POD},
	{"a dot first", POD(".vpns"), ON_POD},
	{"a dot alone", POD("."), ON_POD},
	{"three parts", POD("uk.vpns.pod"), ON_POD},
	{"a slash", POD("vpns/uk"), ON_POD,
	 .reason = "'vpns/uk' is not the name of a Service; write NAME, NAME.NAMESPACE or"},
	{"capitals", POD("VPN"), ON_POD},
	{"blanks inside", POD("vpn media"), ON_POD, .reason = "'vpn media'"},
	{"a hyphen first", POD("-vpn"), ON_POD},
	{"a hyphen last", POD("vpn-"), ON_POD},
	{"an underscore", POD("my_vpn"), ON_POD},
	{"an address", POD("10.0.0.1"), ON_POD},
	{"control characters", POD("vpn\\nx\\u00e9"), ON_POD, .reason = "'vpn?x?"},
	{"malformed on the namespace", SPACE("vpn_"), MALFORMED(NAMESPACE, "podswitch.io/gateway"),
	 .reason = "the namespace's annotation podswitch.io/gateway: 'vpn_'"},
	{"a configuration without a namespace", .on = "", .configured = "vpn", MALFORMED(CONFIGURED, "gateway"),
	 .reason = "the CNI configuration: 'vpn' is not the name of a Service; write NAME.NAMESPACE"},
	{"a malformed default", .on = "", .def = "vpn", .def_on = true, MALFORMED(DEFAULT, "default-gateway"),
	 .reason = "the default gateway: 'vpn'"},
	{"a malformed default that the pod asks for", .metadata = "'labels':{'setGateway':'true'}", .on = "",
	 .def = "vpn", MALFORMED(SET_GATEWAY, "default-gateway"), .reason = "the default gateway: 'vpn'"},
	{"a malformed default that no one needs", POD("vpn"), .def = "x_", .def_on = true, GATEWAY(POD, "media/vpn")},

	/* Gateways that cannot be had. */
	{"not there", POD("nosuch"), NOT_FOUND(POD, "media/nosuch"),
	 .reason = "there is no Service nosuch in namespace media"},
	{"there, elsewhere", POD("uk"), NOT_FOUND(POD, "media/uk")},
	{"the namespace's, not there", SPACE("nosuch.vpns"), NOT_FOUND(NAMESPACE, "vpns/nosuch"),
	 .reason = "which the namespace's annotation"},
	{"its own annotations are malformed", POD("bad.vpns"), .verdict = CHOICE_UNREADABLE, .source = SOURCE_POD,
	 .gateway = "vpns/bad", .reason = "vpns/bad: podswitch.io/vni: 'forty-two'"},
	{"allowed by name", POD("uk.vpns"), GATEWAY(POD, "vpns/uk")},
	{"not named", .metadata = "'namespace':'games','annotations':{'podswitch.io/gateway':'uk.vpns'}", .on = "",
	 NOT_ALLOWED(POD, "vpns/uk"), .reason = "does not take pods of namespace games"},
	{"a name that starts alike", POD("tools.vpns"), NOT_ALLOWED(POD, "vpns/tools")},
	{"no one else", POD("own.vpns"), NOT_ALLOWED(POD, "vpns/own"), .reason = "podswitch.io/allow-namespaces"},
	{"no one else on the namespace", SPACE("own.vpns"), NOT_ALLOWED(NAMESPACE, "vpns/own")},
	{"no one else but its own", .metadata = "'namespace':'vpns','annotations':{'podswitch.io/gateway':'own'}",
	 .on = "", GATEWAY(POD, "vpns/own")},
	{"everyone", POD("star.vpns"), GATEWAY(POD, "vpns/star")},
	{"not allowed as the default", .metadata = "'namespace':'games'", .on = "", .def = "uk.vpns", .def_on = true,
	 NOT_ALLOWED(DEFAULT, "vpns/uk")},

	/* Addresses. */
	{"static", ADDRESS("fixed", "192.168.7.9/25"), GATEWAY(POD, "media/fixed"), .address = "192.168.7.9/25"},
	{"static without length", ADDRESS("fixed", "192.168.7.9"), GATEWAY(POD, "media/fixed"),
	 .address = "192.168.7.9/25"},
	{"static and none", POD("fixed"), IN_ADDRESS("media/fixed"),
	 .reason = "media/fixed gives no addresses by DHCP; annotate the pod with a free one of 192.168.7.0/25"},
	{"static and empty", ADDRESS("fixed", ""), IN_ADDRESS("media/fixed")},
	{"the last host", ADDRESS("fixed", "192.168.7.126"), GATEWAY(POD, "media/fixed"),
	 .address = "192.168.7.126/25"},
	{"fixed where others have DHCP", ADDRESS("vpn", "172.16.0.10/24"), GATEWAY(POD, "media/vpn"),
	 .address = "172.16.0.10/24"},
	{"empty where there is DHCP", ADDRESS("vpn", ""), GATEWAY(POD, "media/vpn")},
	{"another network's", ADDRESS("vpn", "172.16.1.10/24"), IN_ADDRESS("media/vpn"),
	 .reason = "'172.16.1.10/24' is not in the gateway's network; write a free host of 172.16.0.0/24"},
	{"another length", ADDRESS("vpn", "172.16.0.10/16"), IN_ADDRESS("media/vpn"), .reason = "length"},
	{"the network's", ADDRESS("vpn", "172.16.0.0/24"), IN_ADDRESS("media/vpn"), .reason = "no one host"},
	{"the broadcast address", ADDRESS("fixed", "192.168.7.127"), IN_ADDRESS("media/fixed"),
	 .reason = "no one host"},
	{"the gateway's", ADDRESS("vpn", "172.16.0.1"), IN_ADDRESS("media/vpn"), .reason = "is the gateway's own"},
	{"IPv6", ADDRESS("vpn", "fd00::1/64"), IN_ADDRESS("media/vpn")},
	{"no address", ADDRESS("vpn", "ten"), IN_ADDRESS("media/vpn"), .reason = "'ten' is no address"},
	{"two", ADDRESS("vpn", "172.16.0.10,172.16.0.11"), IN_ADDRESS("media/vpn")},
	{"an address and no gateway", .metadata = "'annotations':{'podswitch.io/address':'ten'}", .on = "",
	 NONE(NOTHING)},
	{"an address for a gateway that is not there", ADDRESS("nosuch", "ten"), NOT_FOUND(POD, "media/nosuch")},

	/* setGateway. */
	{"no default gateway", .metadata = "'labels':{'setGateway':'true'}", .on = "", NONE(NOTHING)},
	{"an empty default gateway", .metadata = "'labels':{'setGateway':'true'}", .on = "", .def = "", NONE(NOTHING)},
	{"malformed without a default gateway", .metadata = "'labels':{'setGateway':'yes'}", .on = "", NONE(NOTHING)},
	{"by default", .on = "", .def = "vpn.media", .def_on = true, GATEWAY(DEFAULT, "media/vpn"),
	 .reason = "the default for all pods chooses"},
	{"not by default", .on = "", .def = "vpn.media", NONE(NOTHING)},
	{"the label", LABEL("true"), GATEWAY(SET_GATEWAY, "media/vpn"), .reason = "the pod's setGateway chooses"},
	{"the label against the default", LABEL("false"), .def_on = true, NONE(SET_GATEWAY),
	 .reason = "the pod's setGateway opts out"},
	{"the annotation", SWITCH("true"), GATEWAY(SET_GATEWAY, "media/vpn")},
	{"the annotation against the default", SWITCH("false"), .def_on = true, NONE(SET_GATEWAY)},
	{"the annotation over the label", .metadata = "'labels':{'setGateway':'true'},'annotations':{'setGateway':'0'}",
	 .on = "", .def = "vpn.media", NONE(SET_GATEWAY)},
	{"the annotation over the label, on",
	 .metadata = "'labels':{'setGateway':'F'},'annotations':{'setGateway':'T'}", .on = "", .def = "vpn.media",
	 GATEWAY(SET_GATEWAY, "media/vpn")},
	{"a malformed label under an annotation",
	 .metadata = "'labels':{'setGateway':'x'},'annotations':{'setGateway':'1'}", .on = "", .def = "vpn.media",
	 GATEWAY(SET_GATEWAY, "media/vpn")},
	{"1", SWITCH("1"), GATEWAY(SET_GATEWAY, "media/vpn")},
	{"t", SWITCH("t"), GATEWAY(SET_GATEWAY, "media/vpn")},
	{"T", SWITCH("T"), GATEWAY(SET_GATEWAY, "media/vpn")},
	{"TRUE", SWITCH("TRUE"), GATEWAY(SET_GATEWAY, "media/vpn")},
	{"True", SWITCH("True"), GATEWAY(SET_GATEWAY, "media/vpn")},
	{"0", SWITCH("0"), .def_on = true, NONE(SET_GATEWAY)},
	{"f", SWITCH("f"), .def_on = true, NONE(SET_GATEWAY)},
	{"F", SWITCH("F"), .def_on = true, NONE(SET_GATEWAY)},
	{"FALSE", SWITCH("FALSE"), .def_on = true, NONE(SET_GATEWAY)},
	{"False", SWITCH("False"), .def_on = true, NONE(SET_GATEWAY)},
	{"yes", SWITCH("yes"), MALFORMED(SET_GATEWAY, "setGateway"),
	 .reason = "'yes' in the pod's annotation is neither"},
	{"tRUE", LABEL("tRUE"), MALFORMED(SET_GATEWAY, "setGateway"), .reason = "in the pod's label"},
	{"empty", SWITCH(""), .def_on = true, MALFORMED(SET_GATEWAY, "setGateway")},
	{"under the pod's annotation",
	 .metadata = "'annotations':{'podswitch.io/gateway':'uk.vpns','setGateway':'nonsense'}", .on = "",
	 .def = "vpn.media", GATEWAY(POD, "vpns/uk")},
	{"under the namespace's annotation", .metadata = "'labels':{'setGateway':'false'}", SPACE("uk.vpns"),
	 .def = "vpn.media", GATEWAY(NAMESPACE, "vpns/uk")},
	{"of pods that may not choose: no way out", LABEL("false"), .def_on = true, .pods_may_not = true,
	 GATEWAY(DEFAULT, "media/vpn")},
	{"nor by the annotation", SWITCH("0"), .def_on = true, .pods_may_not = true, GATEWAY(DEFAULT, "media/vpn")},
	{"of pods that may not choose: a way in", LABEL("true"), .pods_may_not = true,
	 GATEWAY(SET_GATEWAY, "media/vpn")},
	{"of pods that may not choose: as it is anyway", LABEL("false"), .pods_may_not = true, NONE(SET_GATEWAY)},
	{"of pods that may not choose: malformed", LABEL("no"), .def_on = true, .pods_may_not = true,
	 MALFORMED(SET_GATEWAY, "setGateway")},
	{"the default gateway in full", .metadata = "'labels':{'setGateway':'true'}", .on = "",
	 .def = "uk.vpns.svc.cluster.local", GATEWAY(SET_GATEWAY, "vpns/uk")},
	{"the default gateway is not there", .metadata = "'labels':{'setGateway':'true'}", .on = "",
	 .def = "nosuch.media", NOT_FOUND(SET_GATEWAY, "media/nosuch")},

	/* Pods never to touch. */
	{"the node's network", POD("vpn"), .spec = "'hostNetwork':true", NONE(POD), .reason = "hostNetwork"},
	{"the node's network, malformed", POD("-"), .spec = "'hostNetwork':true", NONE(POD)},
	{"the node's network, nothing known", .spec = "'hostNetwork':true", NONE(POD)},
	{"its own network, said so", POD("vpn"), .spec = "'hostNetwork':false", GATEWAY(POD, "media/vpn")},
	{"pod-gateway's init container", POD("vpn"), .spec = "'initContainers':[{'name':'a'},{'name':'gateway-init'}]",
	 NONE(POD), .reason = "pod-gateway's own container gateway-init"},
	{"pod-gateway's sidecar", SPACE("vpn"), .spec = "'containers':[{'name':'app'},{'name':'gateway-sidecar'}]",
	 NONE(POD), .reason = "gateway-sidecar"},
	{"pod-gateway's sidecar as init", POD("vpn"), .spec = "'initContainers':[{'name':'gateway-sidecar'}]",
	 NONE(POD)},
	{"names alike", POD("vpn"),
	 .spec = "'initContainers':[{'name':'gateway'}],'containers':[{'name':'gateway-sidecar2'}]",
	 GATEWAY(POD, "media/vpn")},
	{"where pods may not choose, no container opts out: init", SPACE("vpn"), .pods_may_not = true,
	 .spec = "'initContainers':[{'name':'gateway-init'}]", GATEWAY(NAMESPACE, "media/vpn")},
	{"where pods may not choose, no container opts out: sidecar", SPACE("vpn"), .pods_may_not = true,
	 .spec = "'containers':[{'name':'gateway-sidecar'}]", GATEWAY(NAMESPACE, "media/vpn")},
	{"where pods may not choose, no container opts out: native", SPACE("vpn"), .pods_may_not = true,
	 .spec = "'initContainers':[{'name':'gateway-sidecar'}]", GATEWAY(NAMESPACE, "media/vpn")},
	{"where pods may not choose, the namespace has to be known", .pods_may_not = true,
	 .spec = "'containers':[{'name':'gateway-sidecar'}]", .verdict = CHOICE_UNDECIDED, .source = SOURCE_NAMESPACE},
	{"where pods may not choose, the node's network is still none of ours", SPACE("vpn"), .pods_may_not = true,
	 .spec = "'hostNetwork':true", NONE(POD)},
	{"where pods may not choose, nor do labels", .metadata = "'labels':{'app':'vpn','tier':'edge'}", SPACE("vpn"),
	 .pods_may_not = true, NOT_ALLOWED(NAMESPACE, "media/vpn"),
	 .reason = "pods may not opt out here: put podswitch.io/gateway: none on its namespace"},
	{"where pods may not choose, nor do labels, by default", .metadata = "'labels':{'app':'vpn','tier':'edge'}",
	 .on = "", .def = "vpn.media", .def_on = true, .pods_may_not = true, NOT_ALLOWED(DEFAULT, "media/vpn")},
	{"where pods may not choose, the namespace opts the gateway's own pod out",
	 .metadata = "'labels':{'app':'vpn','tier':'edge'}", SPACE("none"), .def = "vpn.media", .def_on = true,
	 .pods_may_not = true, NONE(NAMESPACE)},
	{"an application called gateway-init", POD("vpn"), .spec = "'containers':[{'name':'gateway-init'}]",
	 GATEWAY(POD, "media/vpn")},
	{"the gateway's own pod", .metadata = "'labels':{'app':'vpn','tier':'edge','x':'y'}", SPACE("vpn"),
	 NONE(NAMESPACE), .gateway = "media/vpn", .reason = "is itself an endpoint of the gateway media/vpn"},
	{"the gateway's own pod asks for it",
	 .metadata = "'labels':{'app':'vpn','tier':'edge'},'annotations':{'podswitch.io/gateway':'vpn'}", .on = "",
	 NONE(POD), .gateway = "media/vpn"},
	{"the gateway's own pod, through another",
	 .metadata = "'labels':{'app':'vpn','tier':'edge'},'annotations':{'podswitch.io/gateway':'star.vpns'}",
	 .on = "", GATEWAY(POD, "vpns/star")},
	{"half of the selector", .metadata = "'labels':{'app':'vpn'}", SPACE("vpn"), GATEWAY(NAMESPACE, "media/vpn")},
	{"another value", .metadata = "'labels':{'app':'vpn','tier':'core'}", SPACE("vpn"),
	 GATEWAY(NAMESPACE, "media/vpn")},
	{"the same labels elsewhere", .metadata = "'labels':{'app':'vpn'}", SPACE("uk.vpns"),
	 GATEWAY(NAMESPACE, "vpns/uk")},
	{"an empty selector selects no one", SPACE("every"), GATEWAY(NAMESPACE, "media/every")},
	{"the gateway's own pod in a namespace that may not use it",
	 .metadata = "'namespace':'vpns','labels':{'app':'vpn'}", SPACE("uk"), NONE(NAMESPACE), .gateway = "vpns/uk"},

	/* What no API server would send. */
	{"a namespace that is none", .metadata = "'namespace':'A B'", .on = "", MALFORMED(NOTHING, "namespace")},
	{"a namespace of another kind", .metadata = "'namespace':7", .on = "", NONE(NOTHING)},
	{"annotations of another kind", .metadata = "'annotations':[1,2],'labels':'x'", SPACE("vpn"),
	 GATEWAY(NAMESPACE, "media/vpn")},
	{"an annotation of another kind", .metadata = "'annotations':{'podswitch.io/gateway':{}}", SPACE("vpn"),
	 GATEWAY(NAMESPACE, "media/vpn")},
	{"containers of another kind", POD("vpn"),
	 .spec = "'containers':{'name':'gateway-sidecar'},'initContainers':[1,null]", GATEWAY(POD, "media/vpn")},
};

static json_t *make_pod(const struct example *e)
{
	char text[2048];
	bool own = e->metadata && strstr(e->metadata, "'namespace'");

	assert_true((size_t)snprintf(text, sizeof(text), "{'metadata':{'name':'web-0'%s%s%s},'spec':{%s}}",
				     own ? "" : ",'namespace':'media'", e->metadata ? "," : "",
				     e->metadata ? e->metadata : "", e->spec ? e->spec : "") < sizeof(text));
	return json_of(text);
}

static json_t *make_namespace(const struct example *e)
{
	char text[2048];

	if (!e->on)
		return NULL;
	snprintf(text, sizeof(text), "{'metadata':{'name':'media','annotations':{%s}}}", e->on);
	return json_of(text);
}

static const struct gateway_spec *lookup(const char *namespace, const char *name, const char **error, void *context)
{
	assert_ptr_equal(context, cluster);
	for (size_t i = 0; i < COUNT(cluster); i++) {
		if (strcmp(cluster[i].namespace, namespace) != 0 || strcmp(cluster[i].name, name) != 0)
			continue;
		if (!cluster[i].why.code)
			return &cluster[i].spec;
		*error = cluster[i].why.text;
		break;
	}
	return NULL;
}

static void ask(const struct example *e, struct choice *out)
{
	struct choose_policy policy = {.default_gateway = e->def,
				       .set_gateway_default = e->def_on,
				       .pod_annotations = !e->pods_may_not,
				       .cluster_domain = "cluster.local"};
	struct choose_input in = {.pod = make_pod(e),
				  .namespace = make_namespace(e),
				  .configured = e->configured,
				  .lookup = lookup,
				  .context = cluster,
				  .policy = &policy};

	memset(out, 0x5a, sizeof(*out));
	choose(&in, out);
	json_decref((json_t *)in.pod);
	json_decref((json_t *)in.namespace);
}

static bool is_right(const struct example *e, const struct choice *got)
{
	char gateway[2 * KUBE_LABEL], address[ADDRESS_TEXT] = "";

	snprintf(gateway, sizeof(gateway), "%s/%s", got->namespace, got->name);
	if (got->has_address)
		prefix_format(&got->address, address);
	bool right = got->verdict == e->verdict && got->source == e->source &&
		     !strcmp(gateway, e->gateway ? e->gateway : "/") &&
		     !strcmp(address, e->address ? e->address : "") && !strcmp(got->key, e->key ? e->key : "") &&
		     !!got->spec == (e->verdict == CHOICE_GATEWAY) && got->reason[0] &&
		     (!e->reason || strstr(got->reason, e->reason));
	if (!right)
		print_message("%s: %s, source %d, %s, address '%s', key '%s': %s\n", e->name,
			      choice_verdict_name(got->verdict), (int)got->source, gateway, address, got->key,
			      got->reason);
	return right;
}

static void test_table(void **state)
{
	(void)state;
	unsigned wrong = 0;

	assert_true(COUNT(examples) >= 70);
	for (size_t i = 0; i < COUNT(examples); i++) {
		struct choice got;
		ask(&examples[i], &got);
		wrong += !is_right(&examples[i], &got);
		/* One line of ASCII, as it goes into an Event and a CNI error. */
		for (const char *c = got.reason; *c; c++)
			assert_true(*c >= ' ' && *c <= '~');
		assert_true(strlen(got.reason) < 250); /* and not cut */
	}
	assert_int_equal(wrong, 0);
}

/* podswitch.io/dns, inbound and own-addresses: who says what, and what comes of it. */
static const struct {
	const char *pod, *namespace, *service; /* annotations */
	bool pods_may_not, setting;
	const char *names; /* "dns inbound[ foreign]", or the key that is malformed */
} switches[] = {
	{"", "", "", false, false, "cluster off"},
	{"", "", "'podswitch.io/dns':'gateway'", false, false, "gateway off"},
	{"", "'podswitch.io/dns':'cluster'", "'podswitch.io/dns':'gateway'", false, false, "cluster off"},
	{"'podswitch.io/dns':'gateway'", "'podswitch.io/dns':'cluster'", "", false, false, "gateway off"},
	{"'podswitch.io/dns':' gateway '", "", "", false, false, "gateway off"},
	{"'podswitch.io/dns':''", "'podswitch.io/dns':'gateway'", "", false, false, "gateway off"},
	{"'podswitch.io/dns':'cluster'", "'podswitch.io/dns':'gateway'", "", true, false, "gateway off"},
	{"'podswitch.io/dns':'Gateway'", "", "", false, false, "podswitch.io/dns"},
	{"", "'podswitch.io/dns':'1.1.1.1'", "", false, false, "podswitch.io/dns"},
	{"'podswitch.io/inbound':'on'", "", "", false, false, "cluster on"},
	{"", "'podswitch.io/inbound':'on'", "", false, false, "cluster on"},
	{"'podswitch.io/inbound':'off'", "'podswitch.io/inbound':'on'", "", false, true, "cluster off"},
	{"'podswitch.io/inbound':'on'", "", "", true, false, "cluster off"},
	{"", "", "", false, true, "cluster on"},
	{"'podswitch.io/inbound':'yes'", "", "", false, false, "podswitch.io/inbound"},
	{"'podswitch.io/own-addresses':'off'", "", "", false, false, "cluster off"},
	{"", "'podswitch.io/own-addresses':' off '", "", false, false, "cluster off foreign"},
	{"", "", "'podswitch.io/own-addresses':'off'", true, false, "cluster off foreign"},
	{"", "'podswitch.io/own-addresses':'on'", "'podswitch.io/own-addresses':'off'", false, false, "cluster off"},
	{"", "'podswitch.io/own-addresses':''", "'podswitch.io/own-addresses':'off'", false, false,
	 "cluster off foreign"},
	{"", "'podswitch.io/own-addresses':'none'", "", false, false, "podswitch.io/own-addresses"},
};

static const struct gateway_spec *lookup_one(const char *namespace, const char *name, const char **error, void *context)
{
	(void)namespace;
	(void)name;
	(void)error;
	return context;
}

static void test_switches(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(switches); i++) {
		char text[600];
		struct gateway_spec spec;
		struct failure why;
		struct choice out;
		const struct choose_policy policy = {.pod_annotations = !switches[i].pods_may_not,
						     .inbound = switches[i].setting};
		struct choose_input in = {.lookup = lookup_one, .context = &spec, .policy = &policy};
		snprintf(text, sizeof(text), "{'metadata':{'namespace':'media','name':'vpn','annotations':{%s}}}",
			 switches[i].service);
		json_t *service = json_of(text);
		assert_int_equal(spec_read(service, &spec, &why), 0);
		snprintf(text, sizeof(text), "{'metadata':{'namespace':'media','annotations':{%s}}}", switches[i].pod);
		in.pod = json_of(text);
		snprintf(text, sizeof(text), "{'metadata':{'annotations':{'podswitch.io/gateway':'vpn'%s%s}}}",
			 *switches[i].namespace ? "," : "", switches[i].namespace);
		in.namespace = json_of(text);
		choose(&in, &out);
		snprintf(text, sizeof(text), "%s %s%s", out.gateway_names ? "gateway" : "cluster",
			 out.inbound ? "on" : "off", out.own_addresses ? "" : " foreign");
		assert_string_equal(out.verdict == CHOICE_GATEWAY ? text : out.key, switches[i].names);
		json_decref(service);
		json_decref((json_t *)in.pod);
		json_decref((json_t *)in.namespace);
		spec_free(&spec);
	}
}

static void test_webhook(void **state)
{
	(void)state;
	struct choose_policy policy = {.pod_annotations = true};
	struct choose_input in = {.lookup = lookup, .context = cluster, .policy = &policy};
	struct choice out;

	/* A pod that is being made has no namespace of its own yet, and there is no domain but the usual one. */
	in.pod = json_of("{'metadata':{'generateName':'web-','annotations':{'podswitch.io/gateway':"
			 "'vpn.media.svc.cluster.local'}}}");
	in.namespace = json_of("{'metadata':{'name':'media'}}");
	choose(&in, &out);
	assert_int_equal(out.verdict, CHOICE_GATEWAY);
	assert_string_equal(out.spec->name, "vpn");
	json_decref((json_t *)in.namespace);
	in.namespace = NULL;
	choose(&in, &out);
	assert_int_equal(out.verdict, CHOICE_MALFORMED);
	json_decref((json_t *)in.pod);
	in.pod = NULL;
	choose(&in, &out);
	assert_int_equal(out.verdict, CHOICE_MALFORMED);
}

static void test_names_of_verdicts(void **state)
{
	(void)state;
	static const char *const names[] = {"none",        "gateway",   "not-found", "unreadable",
					    "not-allowed", "malformed", "undecided"};

	for (unsigned i = 0; i < COUNT(names); i++)
		assert_string_equal(choice_verdict_name(i), names[i]);
}

static void read_services(void)
{
	for (size_t i = 0; i < COUNT(services); i++) {
		json_t *service = json_of(services[i]);
		spec_read(service, &cluster[i].spec, &cluster[i].why);
		snprintf(cluster[i].namespace, KUBE_LABEL, "%s", json_string_value(metadata_of(service, "namespace")));
		snprintf(cluster[i].name, KUBE_LABEL, "%s", json_string_value(metadata_of(service, "name")));
		json_decref(service);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_switches),
		cmocka_unit_test(test_webhook),
		cmocka_unit_test(test_names_of_verdicts),
	};

	read_services();
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	for (size_t i = 0; i < COUNT(cluster); i++)
		spec_free(&cluster[i].spec);
	return failed;
}
