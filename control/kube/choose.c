/* SPDX-License-Identifier: Apache-2.0 */
/*
 * choose.c - which gateway a pod's traffic leaves through, and why
 *
 * Two steps: who names a gateway (the first of pod, namespace, CNI configuration and setGateway that says anything),
 * then whether the pod can have it. What cannot be understood is malformed and never "no gateway": a pod whose owner
 * meant one must not start without it.
 */
#include "control/kube/choose.h"

#include "tap/base/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define GATEWAY_KEY "podswitch.io/gateway"
#define ADDRESS_KEY "podswitch.io/address"
#define DNS_KEY "podswitch.io/dns"
#define INBOUND_KEY "podswitch.io/inbound"
#define OWN_ADDRESSES_KEY "podswitch.io/own-addresses"
#define SET_GATEWAY_KEY "setGateway"
#define ANNOTATION_WORD 512 /* bytes, with the NUL: more than a full Service name has */

/* What most functions here need. */
struct choosing {
	const struct choose_input *in;
	struct choice *out;
	const char *namespace; /* the pod's */
};

static const json_t *metadata_of(const json_t *object, const char *key)
{
	return json_object_get(json_object_get(object, "metadata"), key);
}

/* NULL when it is absent, or empty or blank, as a template with a value that is not set leaves it. */
static const char *annotation_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(metadata_of(object, "annotations"), key));

	return text && text[strspn(text, " \t\r\n")] ? text : NULL;
}

/* Without blanks around it. What is cut is no name and no address either. */
static void trim_annotation(const char *text, char out[static ANNOTATION_WORD])
{
	size_t length = text_trim(&text);

	snprintf(out, ANNOTATION_WORD, "%.*s", (int)(length < ANNOTATION_WORD ? length : ANNOTATION_WORD), text);
}

/* Fills in the choice. Every path ends here. */
static void choose_settle(struct choosing *q, enum choice_verdict verdict, enum choice_source source,
			  const char *format, ...) __attribute__((format(printf, 4, 5)));

static void choose_settle(struct choosing *q, enum choice_verdict verdict, enum choice_source source,
			  const char *format, ...)
{
	va_list args;

	q->out->verdict = verdict;
	q->out->source = source;
	va_start(args, format);
	vsnprintf(q->out->reason, sizeof(q->out->reason), format, args);
	va_end(args);
}

static void settle_malformed(struct choosing *q, enum choice_source source, const struct failure *why)
{
	snprintf(q->out->key, sizeof(q->out->key), "%s", why->key);
	choose_settle(q, CHOICE_MALFORMED, source, "%s", why->text);
}

/* Pods never to touch. */

static const char *find_container(const json_t *pod, const char *list, const char *name)
{
	const json_t *containers = json_object_get(json_object_get(pod, "spec"), list);

	for (size_t i = 0; i < json_array_size(containers); i++) {
		const char *found = json_string_value(json_object_get(json_array_get(containers, i), "name"));
		if (found && !strcmp(found, name))
			return name;
	}
	return NULL;
}

static const char *find_pod_gateway(const json_t *pod)
{
	const char *found = find_container(pod, "initContainers", "gateway-init");

	if (!found)
		found = find_container(pod, "initContainers", "gateway-sidecar");
	return found ? found : find_container(pod, "containers", "gateway-sidecar");
}

/*
 * Whether the pod is one of those; then the choice is made. A container's name is the pod's author's word like an
 * annotation: where pods may not choose, it opts none out.
 */
static bool is_untouchable(struct choosing *q)
{
	const json_t *pod = q->in->pod;
	const char *container = find_pod_gateway(pod);

	if (json_is_true(json_object_get(json_object_get(pod, "spec"), "hostNetwork")))
		choose_settle(q, CHOICE_NONE, SOURCE_POD, "the pod is in the node's own network (hostNetwork)");
	else if (container && q->in->policy->pod_annotations)
		choose_settle(q, CHOICE_NONE, SOURCE_POD, "the pod has pod-gateway's own container %s", container);
	else
		return false;
	return true;
}

/* Whether the pod can have what it asks for. */

static const char *source_text(enum choice_source source)
{
	switch (source) {
	case SOURCE_POD:
		return "the pod's annotation " GATEWAY_KEY;
	case SOURCE_NAMESPACE:
		return "the namespace's annotation " GATEWAY_KEY;
	case SOURCE_CONFIGURED:
		return "the CNI configuration";
	case SOURCE_SET_GATEWAY:
		return "the pod's " SET_GATEWAY_KEY;
	case SOURCE_DEFAULT:
		return "the default for all pods";
	case SOURCE_NOTHING:
		break;
	}
	return "nothing";
}

/* True when the pod asks for no address, or for one that it can have; else the choice is made. */
static bool take_address(struct choosing *q, const struct gateway_spec *spec, enum choice_source source)
{
	const char *text = annotation_of(q->in->pod, ADDRESS_KEY);
	char network[ADDRESS_TEXT], word[ANNOTATION_WORD];
	struct failure why;
	bool given = text;

	if (given)
		trim_annotation(text, word);
	if (!given && spec->mode == SPEC_DHCP)
		return true;
	if (!given)
		fail(&why, -EINVAL, ADDRESS_KEY,
		     ADDRESS_KEY ": missing, as %.63s/%.63s gives no addresses by DHCP; annotate the pod with a free "
				 "one of %s",
		     spec->namespace, spec->name, prefix_format(&spec->network, network));
	else if (!spec_address(spec, ADDRESS_KEY, word, &q->out->address, &why)) {
		q->out->has_address = true;
		return true;
	}
	settle_malformed(q, source, &why);
	return false;
}

/* The annotation of the pod, where pods may choose, else of the namespace, without blanks around it; false: neither. */
static bool find_word(const struct choosing *q, const char *key, char word[static ANNOTATION_WORD])
{
	const char *text = q->in->policy->pod_annotations ? annotation_of(q->in->pod, key) : NULL;

	if (!text)
		text = annotation_of(q->in->namespace, key);
	if (text)
		trim_annotation(text, word);
	return text;
}

/* True when the words are right, or not there; else the choice is made. */
static bool take_switches(struct choosing *q, const struct gateway_spec *spec, enum choice_source source)
{
	char word[ANNOTATION_WORD], quoted[NAME_QUOTE];
	struct failure why = {0};

	q->out->gateway_names = spec->gateway_names;
	q->out->inbound = q->in->policy->inbound;
	if (find_word(q, DNS_KEY, word))
		(void)spec_parse_dns(DNS_KEY, word, &q->out->gateway_names, &why);
	if (!why.code && find_word(q, INBOUND_KEY, word)) {
		q->out->inbound = !strcmp(word, "on");
		if (!q->out->inbound && strcmp(word, "off") != 0)
			fail(&why, -EINVAL, INBOUND_KEY, INBOUND_KEY ": %s is neither on nor off; write one of them",
			     name_quote(word, quoted));
	}
	/* Not the pod's to say: it is the others at its gateway who are protected. */
	const char *own = annotation_of(q->in->namespace, OWN_ADDRESSES_KEY);
	q->out->own_addresses = !spec->foreign_addresses;
	if (!why.code && own) {
		trim_annotation(own, word);
		(void)spec_parse_own_addresses(OWN_ADDRESSES_KEY, word, &q->out->own_addresses, &why);
	}
	if (why.code)
		settle_malformed(q, source, &why);
	return !why.code;
}

static void settle_missing(struct choosing *q, enum choice_source source, const char *error)
{
	const struct choice *out = q->out;

	if (error)
		choose_settle(q, CHOICE_UNREADABLE, source, "the gateway's Service %s/%s: %s", out->namespace,
			      out->name, error);
	else
		choose_settle(q, CHOICE_NOT_FOUND, source,
			      "there is no Service %s in namespace %s, which %s asks for as a gateway", out->name,
			      out->namespace, source_text(source));
}

/* Labels are the pod's author's words: where pods may not choose, it takes the administrator's to opt such a pod out.
 */
static void settle_own_gateway(struct choosing *q, enum choice_source source)
{
	const struct choice *out = q->out;

	if (q->in->policy->pod_annotations)
		choose_settle(q, CHOICE_NONE, source, "the pod is itself an endpoint of the gateway %s/%s",
			      out->namespace, out->name);
	else
		choose_settle(q, CHOICE_NOT_ALLOWED, source,
			      "the pod would be its own gateway %s/%s, and pods may not opt out here: put " GATEWAY_KEY
			      ": none on its namespace",
			      out->namespace, out->name);
}

static void settle_service(struct choosing *q, enum choice_source source)
{
	struct choice *out = q->out;
	const char *error = NULL;
	const struct gateway_spec *spec = q->in->lookup(out->namespace, out->name, &error, q->in->context);

	if (!spec) {
		settle_missing(q, source, error);
	} else if (spec_selects(spec, q->namespace, metadata_of(q->in->pod, "labels"))) {
		settle_own_gateway(q, source);
	} else if (!spec_allows(spec, q->namespace)) {
		choose_settle(q, CHOICE_NOT_ALLOWED, source,
			      "the gateway %s/%s does not take pods of namespace %s: its annotation "
			      "podswitch.io/allow-namespaces does not name it",
			      out->namespace, out->name, q->namespace);
	} else if (take_address(q, spec, source) && take_switches(q, spec, source)) {
		out->spec = spec;
		choose_settle(q, CHOICE_GATEWAY, source, "%s chooses the gateway %s/%s", source_text(source),
			      out->namespace, out->name);
	}
}

/* `text` names a Service. Without a namespace in it, that is `namespace` (NULL: it must have one). */
static void settle_name(struct choosing *q, const char *text, const char *namespace, enum choice_source source,
			const char *key)
{
	const char *domain = q->in->policy->cluster_domain;
	struct choice *out = q->out;
	char quoted[NAME_QUOTE];
	struct failure why;

	if (!domain)
		domain = "cluster.local";
	if (!name_parse(text, namespace, domain, out->namespace, out->name)) {
		settle_service(q, source);
		return;
	}
	/* The name comes from the settings, not from the pod. */
	fail(&why, -EINVAL, key,
	     "%s: %s is not the name of a Service; write %sNAME.NAMESPACE or NAME.NAMESPACE.svc.%.64s",
	     source >= SOURCE_SET_GATEWAY ? "the default gateway" : source_text(source), name_quote(text, quoted),
	     namespace ? "NAME, " : "", domain);
	settle_malformed(q, source, &why);
}

static void settle_annotation(struct choosing *q, const char *text, const char *namespace, enum choice_source source)
{
	char word[ANNOTATION_WORD];

	trim_annotation(text, word);
	if (!strcmp(word, "none"))
		choose_settle(q, CHOICE_NONE, source, "%s opts out", source_text(source));
	else
		settle_name(q, word, namespace, source, GATEWAY_KEY);
}

/* pod-gateway's own switch: the annotation wins over the label; values as Go's strconv.ParseBool takes them. */

static int parse_bool(const char *text, bool *out)
{
	static const char *const words[][6] = {
		{"0", "f", "F", "FALSE", "false", "False"},
		{"1", "t", "T", "TRUE", "true", "True"},
	};

	for (size_t value = 0; value < 2; value++) {
		for (size_t i = 0; i < 6; i++) {
			if (strcmp(text, words[value][i]) != 0)
				continue;
			*out = value;
			return 0;
		}
	}
	return -EINVAL;
}

/* What setGateway says: where pods may not choose, it may add the default gateway and never takes it away. */
static void settle_set_gateway(struct choosing *q)
{
	const struct choose_policy *policy = q->in->policy;
	const char *label = json_string_value(json_object_get(metadata_of(q->in->pod, "labels"), SET_GATEWAY_KEY));
	const json_t *annotations = metadata_of(q->in->pod, "annotations");
	const char *annotation = json_string_value(json_object_get(annotations, SET_GATEWAY_KEY));
	const char *text = annotation ? annotation : label;
	enum choice_source source = text ? SOURCE_SET_GATEWAY : SOURCE_DEFAULT;
	bool on = policy->set_gateway_default;
	char quoted[NAME_QUOTE];
	struct failure why;

	if (text && parse_bool(text, &on)) {
		fail(&why, -EINVAL, SET_GATEWAY_KEY,
		     SET_GATEWAY_KEY ": %s in the pod's %s is neither yes nor no; write \"true\" or \"false\"",
		     name_quote(text, quoted), annotation ? "annotation" : "label");
		settle_malformed(q, source, &why);
	} else if (text && !on && policy->set_gateway_default && !policy->pod_annotations) {
		settle_name(q, policy->default_gateway, NULL, SOURCE_DEFAULT, "default-gateway");
	} else if (on) {
		settle_name(q, policy->default_gateway, NULL, source, "default-gateway");
	} else if (text) {
		choose_settle(q, CHOICE_NONE, source, "%s opts out", source_text(source));
	} else {
		choose_settle(q, CHOICE_NONE, SOURCE_NOTHING, "nothing asks for a gateway");
	}
}

/* Who names a gateway. */

static void settle_beyond_pod(struct choosing *q)
{
	const struct choose_input *in = q->in;
	const char *text = annotation_of(in->namespace, GATEWAY_KEY);

	if (!json_is_object(in->namespace))
		choose_settle(q, CHOICE_UNDECIDED, SOURCE_NAMESPACE, "the namespace %s has not been seen yet",
			      q->namespace);
	else if (text)
		settle_annotation(q, text, q->namespace, SOURCE_NAMESPACE);
	else if (in->configured && *in->configured)
		settle_name(q, in->configured, NULL, SOURCE_CONFIGURED, "gateway");
	else if (in->policy->default_gateway && *in->policy->default_gateway)
		settle_set_gateway(q);
	else
		choose_settle(q, CHOICE_NONE, SOURCE_NOTHING, "nothing asks for a gateway");
}

/* In a review, a pod may not have its namespace yet. */
static const char *choose_namespace(const struct choose_input *in)
{
	const char *text = json_string_value(metadata_of(in->pod, "namespace"));

	if (!text)
		text = json_string_value(metadata_of(in->namespace, "name"));
	return text && name_is_label(text, strlen(text)) ? text : NULL;
}

void choose(const struct choose_input *in, struct choice *out)
{
	struct choosing q = {.in = in, .out = out, .namespace = choose_namespace(in)};
	struct failure why;

	*out = (struct choice){0};
	if (!q.namespace) {
		fail(&why, -EINVAL, "namespace", "namespace: the pod does not say which one it is of");
		settle_malformed(&q, SOURCE_NOTHING, &why);
		return;
	}
	if (is_untouchable(&q))
		return;
	const char *text = in->policy->pod_annotations ? annotation_of(in->pod, GATEWAY_KEY) : NULL;
	if (text)
		settle_annotation(&q, text, q.namespace, SOURCE_POD);
	else
		settle_beyond_pod(&q);
}

const char *choice_verdict_name(enum choice_verdict verdict)
{
	switch (verdict) {
	case CHOICE_NONE:
		return "none";
	case CHOICE_GATEWAY:
		return "gateway";
	case CHOICE_NOT_FOUND:
		return "not-found";
	case CHOICE_NOT_ALLOWED:
		return "not-allowed";
	case CHOICE_UNREADABLE:
		return "unreadable";
	case CHOICE_MALFORMED:
		return "malformed";
	case CHOICE_UNDECIDED:
		break;
	}
	return "undecided";
}
