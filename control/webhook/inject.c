/* SPDX-License-Identifier: Apache-2.0 */
/*
 * inject.c - what goes into a pod once its gateway is known
 *
 * Everything is merged into what is there, and a second run must change nothing: a container that we added in an
 * earlier call has got defaults and a service account's volume since, which stay.
 *
 *   variables   first in each container's env, so that its own ones and its command can refer to them as $(gateway);
 *               an own variable of that name is replaced with a warning, or kept (env_conflict)
 *   dnsConfig   merged as the kubelet merges: ours, then the pod's, up to the API's limits
 *   containers  gateway-init first of all init containers, gateway-sidecar last, or a native sidecar behind it
 *
 * Only memory can fail: job->error collects that, and the caller drops the half changed copy.
 */
#include "control/webhook/inject.h"
#include "control/base/json.h"
#include "tap/base/text.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define VOLUME "gateway-configmap"
#define MAX_NAMESERVERS 3
#define MAX_SEARCHES 6 /* up to Kubernetes 1.27; MAX_SEARCHES_NEW since 1.28 */
#define MAX_SEARCHES_NEW 32
#define MAX_VARIABLES 4
#define VALUE 512

struct variable {
	const char *name;
	char value[VALUE];
};

/* One call of inject(). */
struct job {
	const struct inject_order *order;
	const struct profile *profile;
	json_t *pod, *spec, *warnings;
	struct variable variables[MAX_VARIABLES];
	size_t n_variables;
	int error;
};

/* ---- small steps ---- */

static void job_note_error(struct job *job, int error)
{
	if (error)
		job->error = -ENOMEM;
}

static void job_warn(struct job *job, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void job_warn(struct job *job, const char *format, ...)
{
	char text[256];
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	/* Names are not validated yet, and JSON refuses a text that was cut within a character. */
	text_to_ascii(text);
	job_note_error(job, json_array_append_new(job->warnings, json_string(text)));
}

/* The member, added when it is missing; NULL when it has another type. */
static json_t *member(struct job *job, json_t *object, const char *key, json_type type)
{
	json_t *found = json_object_get(object, key);
	if (!found || json_is_null(found)) {
		job_note_error(job,
			       json_object_set_new(object, key, type == JSON_ARRAY ? json_array() : json_object()));
		found = json_object_get(object, key);
	}
	return json_typeof(found) == type ? found : NULL;
}

static json_t *find_named(const json_t *list, const char *name)
{
	for (size_t i = 0; i < json_array_size(list); i++) {
		json_t *element = json_array_get(list, i);
		if (json_is_string(json_object_get(element, "name")) && !strcmp(json_text(element, "name"), name))
			return element;
	}
	return NULL;
}

static bool holds(const json_t *list, const json_t *value)
{
	for (size_t i = 0; i < json_array_size(list); i++)
		if (json_equal(json_array_get(list, i), value))
			return true;
	return false;
}

static void join_strings(const json_t *list, const char *between, char out[VALUE])
{
	size_t used = 0;
	out[0] = '\0';
	for (size_t i = 0; i < json_array_size(list) && used < VALUE; i++)
		used += (size_t)snprintf(out + used, VALUE - used, "%s%s", i ? between : "",
					 json_string_value(json_array_get(list, i)));
}

/* ---- variables ---- */

static struct variable *add_variable(struct job *job, const char *name)
{
	struct variable *variable = &job->variables[job->n_variables++];
	variable->name = name;
	variable->value[0] = '\0';
	return variable;
}

/* The variables of pod-gateway's webhook, with the same values. */
static void make_variables(struct job *job)
{
	const struct inject_order *order = job->order;
	const struct profile *profile = job->profile;
	const json_t *own = profile->cluster_dns ? profile->cluster_dns : order->cluster_dns;
	char *gateway = add_variable(job, "gateway")->value;
	if (profile->gateway)
		snprintf(gateway, VALUE, "%s", profile->gateway);
	else
		snprintf(gateway, VALUE, "%s.%s.svc.%s", order->gateway_name, order->gateway_namespace, order->domain);
	if (!json_array_size(profile->nameservers) && !profile->dns_name)
		return;
	const char *first = json_string_value(json_array_get(profile->nameservers, 0));
	snprintf(add_variable(job, "DNS")->value, VALUE, "%s", profile->dns_name ? profile->dns_name : first);
	join_strings(profile->nameservers, ",", add_variable(job, "DNS_ips")->value);
	if (json_array_size(own))
		join_strings(own, " ", add_variable(job, "K8S_DNS_ips")->value);
}

static bool has_value(const json_t *entry, const char *value)
{
	return !json_object_get(entry, "valueFrom") && !strcmp(json_text(entry, "value"), value) &&
	       json_string_length(json_object_get(entry, "value")) == strlen(value);
}

/* Of several entries with one name the last one counts, so all get the same value. Returns how many were different. */
static size_t replace_variable(struct job *job, json_t *env, const struct variable *variable, bool *found)
{
	size_t replaced = 0;
	for (size_t i = 0; i < json_array_size(env); i++) {
		json_t *entry = json_array_get(env, i);
		if (strcmp(json_text(entry, "name"), variable->name) != 0)
			continue;
		*found = true;
		if (job->profile->env_keep || has_value(entry, variable->value))
			continue;
		json_object_del(entry, "valueFrom");
		job_note_error(job, json_object_set_new(entry, "value", json_string(variable->value)));
		replaced++;
	}
	return replaced;
}

static void set_variables(struct job *job, json_t *container, bool with_warning)
{
	json_t *env = member(job, container, "env", JSON_ARRAY);
	size_t place = 0;
	for (size_t i = 0; env && i < job->n_variables; i++) {
		const struct variable *variable = &job->variables[i];
		bool found = false;
		if (replace_variable(job, env, variable, &found) && with_warning)
			job_warn(job, "container %.63s: its own variable %s is replaced by the gateway's",
				 json_text(container, "name"), variable->name);
		if (!found)
			job_note_error(job, json_array_insert_new(env, place++,
								  json_pack("{s:s, s:s}", "name", variable->name,
									    "value", variable->value)));
	}
}

static bool is_classic(const json_t *container)
{
	return !strcmp(json_text(container, "name"), INJECT_INIT) ||
	       !strcmp(json_text(container, "name"), INJECT_SIDECAR);
}

static void set_variables_in_all(struct job *job, const char *list)
{
	const json_t *containers = json_object_get(job->spec, list);
	for (size_t i = 0; i < json_array_size(containers); i++) {
		json_t *container = json_array_get(containers, i);
		bool wanted =
			!job->profile->env_names || holds(job->profile->env_names, json_object_get(container, "name"));
		if (json_is_object(container) && wanted && !is_classic(container))
			set_variables(job, container, true);
	}
}

/* ---- DNS ---- */

/* Sets the list `key` of dnsConfig to `first` and the rest of `then`, at most `most`. Returns whether all fit. */
static bool set_merged(struct job *job, json_t *config, const char *key, const json_t *first, const json_t *then,
		       size_t most)
{
	json_t *merged = json_array();
	bool whole = true;
	for (size_t pass = 0; pass < 2; pass++) {
		const json_t *list = pass ? then : first;
		for (size_t i = 0; i < json_array_size(list); i++) {
			json_t *element = json_array_get(list, i);
			if (holds(merged, element))
				continue;
			if (json_array_size(merged) < most)
				job_note_error(job, json_array_append(merged, element));
			else
				whole = false;
		}
	}
	if (json_array_size(merged))
		job_note_error(job, json_object_set(config, key, merged));
	json_decref(merged);
	return whole;
}

static bool is_none(const struct job *job)
{
	return job->profile->dns_policy && !strcmp(job->profile->dns_policy, "None");
}

/* With the policy None the pod's own servers go; with others the kubelet puts the cluster's servers first.
 */
static void set_nameservers(struct job *job, json_t *config)
{
	const json_t *own = is_none(job) ? NULL : json_object_get(config, "nameservers");
	if (!set_merged(job, config, "nameservers", job->profile->nameservers, own, MAX_NAMESERVERS))
		job_warn(job,
			 "dnsConfig: with the gateway's nameservers the pod has more than %d; the last ones are left "
			 "out",
			 MAX_NAMESERVERS);
}

/* The search domains that the kubelet gives to pods with the policy ClusterFirst. */
static json_t *cluster_searches(const struct job *job)
{
	const char *domain = job->order->domain;
	char first[VALUE], second[VALUE];
	snprintf(first, sizeof(first), "%s.svc.%s", job->order->namespace, domain);
	snprintf(second, sizeof(second), "svc.%s", domain);
	return json_pack("[s, s, s]", first, second, domain);
}

static json_t *without_repeats(struct job *job, const json_t *list)
{
	json_t *out = json_array();
	for (size_t i = 0; i < json_array_size(list); i++)
		if (!holds(out, json_array_get(list, i)))
			job_note_error(job, json_array_append(out, json_array_get(list, i)));
	return out;
}

/*
 * As the kubelet merges them: the cluster's, then the pod's own. The pod keeps all of its own. Of ours as many as an
 * older API server accepts; a pod that has more by itself shows that this one is newer.
 */
static void set_searches(struct job *job, json_t *config)
{
	json_t *wanted = job->profile->searches ? json_deep_copy(job->profile->searches)
			 : is_none(job)         ? cluster_searches(job)
						: json_array();
	json_t *own = without_repeats(job, json_object_get(config, "searches"));
	size_t most = json_array_size(own) > MAX_SEARCHES ? MAX_SEARCHES_NEW : MAX_SEARCHES, more = 0;
	size_t room = most > json_array_size(own) ? most - json_array_size(own) : 0;
	for (size_t i = 0; i < json_array_size(wanted);) {
		bool known = holds(own, json_array_get(wanted, i));
		if (known || more < room) {
			more += !known;
			i++;
			continue;
		}
		job_warn(job, "dnsConfig: there is no room for the search domain %.100s",
			 json_string_value(json_array_get(wanted, i)));
		json_array_remove(wanted, i);
	}
	set_merged(job, config, "searches", wanted, own, SIZE_MAX);
	json_decref(wanted);
	json_decref(own);
}

static void set_options(struct job *job, json_t *config)
{
	json_t *usual = is_none(job) ? json_pack("[{s:s, s:s}]", "name", "ndots", "value", "5") : NULL;
	const json_t *wanted = job->profile->options ? job->profile->options : usual;
	json_t *own = json_array_size(wanted) ? member(job, config, "options", JSON_ARRAY) : NULL;
	for (size_t i = 0; own && i < json_array_size(wanted); i++) {
		const json_t *option = json_array_get(wanted, i);
		if (!find_named(own, json_text(option, "name")))
			job_note_error(job, json_array_append_new(own, json_deep_copy(option)));
	}
	json_decref(usual);
}

static void set_dns(struct job *job)
{
	json_t *config = member(job, job->spec, "dnsConfig", JSON_OBJECT);
	if (!config)
		return;
	set_nameservers(job, config);
	set_searches(job, config);
	set_options(job, config);
	if (job->profile->dns_policy)
		job_note_error(job, json_object_set_new(job->spec, "dnsPolicy", json_string(job->profile->dns_policy)));
}

/* ---- pod-gateway's containers ---- */

/* Merges `wanted` into `there`: objects by member, lists of named things by name; everything else is replaced. */
static void merge_into(struct job *job, json_t *there, const json_t *wanted)
{
	const char *key;
	json_t *value;
	json_object_foreach((json_t *)wanted, key, value)
	{
		json_t *old = json_object_get(there, key);
		if (json_is_object(old) && json_is_object(value)) {
			merge_into(job, old, value);
			continue;
		}
		if (!json_is_array(old) || !json_object_get(json_array_get(value, 0), "name")) {
			job_note_error(job, json_object_set_new(there, key, json_deep_copy(value)));
			continue;
		}
		for (size_t i = 0; i < json_array_size(value); i++) {
			const json_t *element = json_array_get(value, i);
			json_t *same = find_named(old, json_text(element, "name"));
			if (same)
				merge_into(job, same, element);
			else
				job_note_error(job, json_array_append_new(old, json_deep_copy(element)));
		}
	}
}

static json_t *make_container(const struct job *job, const char *name, const struct profile_container *from)
{
	json_t *container = json_pack("{s:s, s:s, s:{s:{s:[s,s]}, s:i, s:b}, s:s*, s:O*}", "name", name, "image",
				      from->image, "securityContext", "capabilities", "add", "NET_ADMIN", "NET_RAW",
				      "runAsUser", 0, "runAsNonRoot", 0, "imagePullPolicy", from->pull_policy,
				      "command", json_array_size(from->command) ? from->command : NULL);
	if (job->profile->configmap && from->mount_point)
		json_object_set_new(
			container, "volumeMounts",
			json_pack("[{s:s, s:b, s:s}]", "name", VOLUME, "readOnly", 1, "mountPath", from->mount_point));
	if (job->profile->native && !strcmp(name, INJECT_SIDECAR))
		json_object_set_new(container, "restartPolicy", json_string("Always"));
	return container;
}

/* An existing container keeps its place; a new one goes to index `place`. */
static void set_container(struct job *job, const char *list, size_t place, const char *name,
			  const struct profile_container *from)
{
	json_t *containers = member(job, job->spec, list, JSON_ARRAY), *wanted = make_container(job, name, from);
	json_t *there = containers ? find_named(containers, name) : NULL;
	if (!wanted)
		job->error = -ENOMEM;
	if (there) {
		merge_into(job, there, wanted);
		json_decref(wanted);
	} else if (containers) {
		size_t size = json_array_size(containers);
		job_note_error(job, json_array_insert_new(containers, place < size ? place : size, wanted));
		there = find_named(containers, name);
	} else {
		json_decref(wanted);
	}
	if (there)
		set_variables(job, there, false);
}

static void set_volume(struct job *job)
{
	json_t *volumes = member(job, job->spec, "volumes", JSON_ARRAY);
	json_t *wanted = json_pack("{s:s, s:{s:s, s:i}}", "name", VOLUME, "configMap", "name", job->profile->configmap,
				   "defaultMode", 0777);
	json_t *there = volumes ? find_named(volumes, VOLUME) : NULL;
	if (!wanted)
		job->error = -ENOMEM;
	else if (there)
		merge_into(job, there, wanted);
	else if (volumes)
		job_note_error(job, json_array_append(volumes, wanted));
	json_decref(wanted);
}

/* A Job ends when all its containers have ended, and this one never does. */
static void warn_job(struct job *job)
{
	if (!strcmp(json_text(job->spec, "restartPolicy"), "Never") ||
	    !strcmp(json_text(job->spec, "restartPolicy"), "OnFailure"))
		job_warn(job, "the container " INJECT_SIDECAR " keeps this pod from ever ending; the gateway's "
			      "configuration can make it a native sidecar (sidecarAsInit)");
}

static void set_classic(struct job *job)
{
	const struct profile *profile = job->profile;
	char mark[160];
	if (!profile->init.image && !profile->sidecar.image)
		return;
	if (profile->init.image)
		set_container(job, "initContainers", 0, INJECT_INIT, &profile->init);
	if (profile->sidecar.image && profile->native)
		set_container(job, "initContainers", profile->init.image ? 1 : 0, INJECT_SIDECAR, &profile->sidecar);
	else if (profile->sidecar.image)
		set_container(job, "containers", SIZE_MAX, INJECT_SIDECAR, &profile->sidecar);
	if (profile->sidecar.image && !profile->native)
		warn_job(job);
	if (profile->configmap && (profile->init.mount_point || profile->sidecar.mount_point))
		set_volume(job);
	json_t *metadata = member(job, job->pod, "metadata", JSON_OBJECT);
	json_t *annotations = metadata ? member(job, metadata, "annotations", JSON_OBJECT) : NULL;
	snprintf(mark, sizeof(mark), "%s/%s", job->order->gateway_namespace, job->order->gateway_name);
	if (annotations)
		job_note_error(job, json_object_set_new(annotations, INJECT_MARK, json_string(mark)));
}

int inject(json_t *pod, const struct inject_order *order, json_t *warnings)
{
	struct job job = {.order = order, .profile = order->profile, .pod = pod, .warnings = warnings};
	job.spec = member(&job, pod, "spec", JSON_OBJECT);
	if (!job.spec)
		return job.error;
	make_variables(&job);
	if (job.profile->env) {
		set_variables_in_all(&job, "initContainers");
		set_variables_in_all(&job, "containers");
	}
	if (job.profile->dns)
		set_dns(&job);
	set_classic(&job);
	return job.error;
}

/* ---- containers from an earlier call ---- */

bool inject_is_ours(const json_t *pod)
{
	return *json_text(json_object_get(json_object_get(pod, "metadata"), "annotations"), INJECT_MARK);
}

static void hide_in(json_t *list)
{
	for (size_t i = json_array_size(list); i > 0; i--)
		if (is_classic(json_array_get(list, i - 1)))
			json_array_remove(list, i - 1);
}

void inject_hide(json_t *pod)
{
	json_t *spec = json_object_get(pod, "spec");
	hide_in(json_object_get(spec, "initContainers"));
	hide_in(json_object_get(spec, "containers"));
}
