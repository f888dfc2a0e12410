/* SPDX-License-Identifier: Apache-2.0 */
/*
 * choose.h - decides which gateway a pod's traffic leaves through, and says why
 *
 * From a pod, its namespace and the gateways there are to a gateway, an address and a sentence. No network, no clock,
 * no state, so that the agent and the webhook get the same answer. Any thread.
 */
#ifndef PODSWITCH_CHOOSE_H
#define PODSWITCH_CHOOSE_H

#include "control/kube/spec.h"

enum choice_verdict {
	CHOICE_NONE,        /* the pod is not routed through any gateway */
	CHOICE_GATEWAY,     /* it is, through the one named */
	CHOICE_NOT_FOUND,   /* there is no such Service: may change at any time */
	CHOICE_UNREADABLE,  /* the Service's own annotations are malformed: may change at any time */
	CHOICE_NOT_ALLOWED, /* the gateway does not accept pods of this namespace */
	CHOICE_MALFORMED,   /* an annotation of the pod or the namespace, or the configuration, cannot be read */
	CHOICE_UNDECIDED,   /* the namespace decides and is not known yet */
};

enum choice_source {
	SOURCE_NOTHING, /* no one asked for a gateway */
	SOURCE_POD,     /* podswitch.io/gateway, or because such a pod is never touched */
	SOURCE_NAMESPACE,
	SOURCE_CONFIGURED,  /* the CNI configuration */
	SOURCE_SET_GATEWAY, /* the pod's label or annotation setGateway */
	SOURCE_DEFAULT,     /* pods without setGateway get the default gateway */
};

struct choose_policy {
	const char *default_gateway; /* NAME.NAMESPACE, for setGateway; NULL: setGateway is not looked at */
	bool set_gateway_default;    /* what a pod without setGateway gets */
	bool pod_annotations;        /* whether pods may choose, or opt out, by anything their author writes */
	bool inbound;                /* of pods that neither their own nor their namespace's annotation gives it */
	const char *cluster_domain;  /* "cluster.local" */
};

/*
 * The gateway of that Service, or NULL; with a text in *error if the Service exists and its annotations are malformed.
 * Gateway and text must stay valid for as long as the choice is used.
 */
typedef const struct gateway_spec *choose_lookup(const char *namespace, const char *name, const char **error,
						 void *context);

struct choose_input {
	const json_t *pod;       /* v1 Pod, or an object of its metadata and spec */
	const json_t *namespace; /* v1 Namespace; NULL: not known yet */
	const char *configured;  /* NAME.NAMESPACE from the CNI configuration; NULL or "": none */
	choose_lookup *lookup;
	void *context;
	const struct choose_policy *policy;
};

struct choice {
	enum choice_verdict verdict;
	enum choice_source source;
	char namespace[KUBE_LABEL], name[KUBE_LABEL]; /* of the gateway, whenever it could be read; else "" */
	const struct gateway_spec *spec;              /* of the verdict CHOICE_GATEWAY */
	bool has_address;                             /* else by DHCP */
	struct prefix address;
	bool gateway_names; /* what it asks at port 53 goes to the gateway: podswitch.io/dns */
	bool inbound;       /* who connects by its first interface gets answers by it: podswitch.io/inbound */
	bool own_addresses; /* what it sends in the name of others is dropped: podswitch.io/own-addresses */
	char key[32];       /* what is malformed, as the user spells it; else "" */
	char reason[256];   /* one sentence for a person, without full stop: an Event's and the CNI error's text */
};

/*
 * The order: the pod's annotation, the namespace's, in->configured, setGateway. "none" opts out; an empty annotation is
 * as if it were not there. Pods in the
 * host's network namespace, pods with pod-gateway's own containers, and the gateway's own pods are left alone. *out is
 * filled whatever the input looks like.
 *
 * Without policy->pod_annotations, what a pod's author writes may add a gateway (setGateway) and never takes one away:
 * neither an annotation, nor a container's name, nor labels that make it an endpoint of its gateway, which is refused.
 */
void choose(const struct choose_input *in, struct choice *out);

/* "none", "gateway", "not-found", "not-allowed", "unreadable", "malformed", "undecided". */
const char *choice_verdict_name(enum choice_verdict verdict);

#endif
