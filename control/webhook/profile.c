/* SPDX-License-Identifier: Apache-2.0 */
/* profile.c - what the pods of a gateway get, from the configuration file */
#include "control/webhook/profile.h"
#include "control/base/names.h"
#include "control/base/option.h"
#include "tap/base/address.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_NAMESERVERS 3 /* the API takes no more of them in a pod */
#define MAX_LIST 64

struct profiles {
	struct profile fallback;
	json_t *places; /* "NAMESPACE/NAME" -> its place in `list` */
	struct profile *list;
	size_t n;
};

/* ---- values ---- */

static int take_list(const char *key, const json_t *value, size_t most, const json_t **out, struct failure *why)
{
	size_t i;
	const json_t *element;
	if (!json_is_array(value) || json_array_size(value) > most)
		return fail(why, -EINVAL, key, "%s: give a list of at most %zu texts, as [\"one\", \"two\"]", key,
			    most);
	json_array_foreach(value, i, element)
	{
		const char *text = json_string_value(element);
		if (!text || !*text || strlen(text) != json_string_length(element))
			return fail(why, -EINVAL, key, "%s: element %zu is not a text, or is empty", key, i + 1);
	}
	*out = value;
	return 0;
}

static int take_texts(const char *key, const json_t *value, void *into, struct failure *why)
{
	return take_list(key, value, MAX_LIST, into, why);
}

static int take_addresses(const char *key, const json_t *value, void *out, struct failure *why)
{
	struct address address;
	size_t i;
	const json_t *element;
	char quoted[NAME_QUOTE];
	int error = take_list(key, value, MAX_NAMESERVERS, out, why);
	if (error)
		return error;
	json_array_foreach(value, i, element)
	{
		if (address_parse(json_string_value(element), &address))
			return fail(why, -EINVAL, key, "%s: %s is not an IP address", key,
				    name_quote(json_string_value(element), quoted));
	}
	return 0;
}

/* The lines of the tables: JSON alone, without help. */
#define OPTIONS struct profile
#define PROFILE_TEXT(name, member) OPTION_TEXT(name, 0, NULL, member, NULL)

/* ---- the variables ---- */

static int profile_env(const char *key, const json_t *value, void *into, struct failure *why)
{
	struct profile *profile = into;
	profile->env_names = NULL;
	profile->env = !json_is_false(value);
	if (json_is_boolean(value))
		return 0;
	if (!json_is_array(value))
		return fail(why, -EINVAL, key, "%s: give true, false, or a list of containers' names", key);
	return take_list(key, value, MAX_LIST, &profile->env_names, why);
}

static const char *const env_conflict_words[] = {"replace", "keep", NULL};

/* ---- dns ---- */

static int profile_nameservers(const char *key, const json_t *value, void *into, struct failure *why)
{
	struct profile *profile = into;
	int error = take_addresses(key, value, &profile->nameservers, why);
	if (!error)
		profile->dns = json_array_size(value) > 0;
	return error;
}

static const char *const policy_words[] = {"None", "ClusterFirst", "ClusterFirstWithHostNet", "Default", NULL};

static int profile_dns_options(const char *key, const json_t *value, void *into, struct failure *why)
{
	struct profile *profile = into;
	size_t i;
	const json_t *option;
	json_array_foreach(value, i, option)
	{
		const json_t *text = json_object_get(option, "value");
		bool known = json_object_size(option) == 1 + (text != NULL);
		if (!json_string_length(json_object_get(option, "name")) || !known || (text && !json_is_string(text)))
			return fail(why, -EINVAL, key,
				    "%s: element %zu is not like {\"name\": \"ndots\", \"value\": \"2\"}", key, i + 1);
	}
	if (!json_is_array(value))
		return fail(why, -EINVAL, key, "%s: give a list of {\"name\": ..., \"value\": ...}", key);
	profile->options = value;
	return 0;
}

static const struct option_spec dns_options[] = {
	OPTION_JSON("nameservers", profile_nameservers),
	OPTION_SWITCH("inject", dns, NULL), /* after the nameservers, which imply it */
	OPTION_WORD("policy", dns_policy, policy_words),
	OPTION_JSON("searches", take_texts, OPTION_AT(searches)),
	OPTION_JSON("options", profile_dns_options),
	PROFILE_TEXT("DNS", dns_name),
	OPTION_JSON("K8S_DNS_ips", take_addresses, OPTION_AT(cluster_dns)),
	{0},
};

static int profile_dns(const char *key, const json_t *value, void *into, struct failure *why)
{
	struct profile *profile = into;
	if (!json_is_object(value))
		return fail(why, -EINVAL, key, "%s: give an object", key);
	int error = option_read_json(dns_options, value, false, into, why);
	if (!error && profile->dns && !json_array_size(profile->nameservers) && profile->dns_policy &&
	    !strcmp(profile->dns_policy, "None"))
		error = fail(why, -EINVAL, "nameservers", "nameservers: the policy None needs at least one");
	return error;
}

/* ---- classic ---- */

static const char *const pull_policy_words[] = {"Always", "IfNotPresent", "Never", "", NULL};

static const struct option_spec classic_options[] = {
	PROFILE_TEXT("initImage", init.image),
	OPTION_WORD("initImagePullPol", init.pull_policy, pull_policy_words),
	OPTION_JSON("initCmd", take_texts, OPTION_AT(init.command)),
	PROFILE_TEXT("initMountPoint", init.mount_point),
	PROFILE_TEXT("sidecarImage", sidecar.image),
	OPTION_WORD("sidecarImagePullPol", sidecar.pull_policy, pull_policy_words),
	OPTION_JSON("sidecarCmd", take_texts, OPTION_AT(sidecar.command)),
	PROFILE_TEXT("sidecarMountPoint", sidecar.mount_point),
	OPTION_SWITCH("sidecarAsInit", native, NULL),
	PROFILE_TEXT("configmapName", configmap),
	{0},
};

static int check_mount(const char *key, const char *path, struct failure *why)
{
	return !path || *path == '/' ? 0 : fail(why, -EINVAL, key, "%s: give a path that starts with a slash", key);
}

static int profile_classic(const char *key, const json_t *value, void *into, struct failure *why)
{
	struct profile *profile = into;
	if (!json_is_object(value))
		return fail(why, -EINVAL, key, "%s: give an object", key);
	int error = option_read_json(classic_options, value, false, into, why);
	if (!error)
		error = check_mount("initMountPoint", profile->init.mount_point, why);
	return error ? error : check_mount("sidecarMountPoint", profile->sidecar.mount_point, why);
}

/* ---- a profile ---- */

static const char *const on_error_words[] = {"deny", "warn", NULL};

static const struct option_spec profile_options[] = {
	PROFILE_TEXT("gateway", gateway),
	OPTION_JSON("env", profile_env),
	OPTION_CHOICE("env_conflict", 0, NULL, env_keep, env_conflict_words, NULL),
	OPTION_JSON("dns", profile_dns),
	OPTION_JSON("classic", profile_classic),
	OPTION_CHOICE("on_error", 0, NULL, warn, on_error_words, NULL),
	{0},
};

/* "initCmd": "/bin/x" is short for ["/bin/x"], and "" means none, as with pod-gateway's flag. */
static void list_command(json_t *classic, const char *key)
{
	const json_t *command = json_object_get(classic, key);
	if (json_string_length(command))
		json_object_set_new(classic, key, json_pack("[O]", command));
	else if (json_is_string(command))
		json_object_set_new(classic, key, json_array());
}

/* `own` over `fallback`, objects ("dns", "classic") member by member. NULL without memory. */
static json_t *profile_merge(const json_t *fallback, const json_t *own)
{
	json_t *merged = fallback ? json_deep_copy(fallback) : json_object();
	json_t *copy = json_deep_copy(own);
	int error = merged && (copy || !own) ? 0 : -ENOMEM;
	if (!error && copy)
		error = json_object_update_recursive(merged, copy);
	json_decref(copy);
	if (error) {
		json_decref(merged);
		return NULL;
	}
	list_command(json_object_get(merged, "classic"), "initCmd");
	list_command(json_object_get(merged, "classic"), "sidecarCmd");
	return merged;
}

static int profile_read(const char *what, const json_t *fallback, const json_t *own, struct profile *out,
			struct failure *why)
{
	struct failure inner = {0};
	*out = (struct profile){.env = true};
	if ((own && !json_is_object(own)) || (fallback && !json_is_object(fallback)))
		return fail(why, -EINVAL, what, "%.140s: give an object", what);
	out->source = profile_merge(fallback, own);
	if (!out->source)
		return fail(why, -ENOMEM, NULL, "out of memory");
	int error = option_read_json(profile_options, out->source, false, out, &inner);
	return error ? fail(why, error, inner.key, "%.140s: %s", what, inner.text) : 0;
}

/* ---- all of them ---- */

static bool is_gateway_key(const char *key)
{
	const char *slash = strchr(key, '/');
	return slash && name_is_label(key, (size_t)(slash - key)) && name_is_label(slash + 1, strlen(slash + 1));
}

static int read_gateways(struct profiles *profiles, const json_t *fallback, const json_t *gateways, struct failure *why)
{
	const char *key;
	json_t *own;
	char quoted[NAME_QUOTE];
	int error = 0;
	if (gateways && !json_is_object(gateways))
		return fail(why, -EINVAL, "gateways", "gateways: give an object of NAMESPACE/NAME");
	profiles->places = json_object();
	profiles->list = calloc(json_object_size(gateways) + 1, sizeof(*profiles->list));
	if (!profiles->places || !profiles->list)
		return fail(why, -ENOMEM, NULL, "out of memory");
	json_object_foreach((json_t *)gateways, key, own)
	{
		if (!is_gateway_key(key))
			return fail(why, -EINVAL, "gateways", "gateways: %s is not NAMESPACE/NAME of a Service",
				    name_quote(key, quoted));
		error = json_object_set_new(profiles->places, key, json_integer((json_int_t)profiles->n));
		if (error)
			return fail(why, -ENOMEM, NULL, "out of memory");
		error = profile_read(key, fallback, own, &profiles->list[profiles->n++], why);
		if (error)
			return error;
	}
	return 0;
}

static int profiles_read_root(struct profiles *profiles, const json_t *root, struct failure *why)
{
	const char *key;
	json_t *value;
	char quoted[NAME_QUOTE];
	if (root && !json_is_object(root))
		return fail(why, -EINVAL, NULL, "give one object with \"default\" and \"gateways\"");
	json_object_foreach((json_t *)root, key, value)
	{
		if (strcmp(key, "default") != 0 && strcmp(key, "gateways") != 0)
			return fail(why, -EINVAL, NULL, "there is no key %s; the keys are default and gateways",
				    name_quote(key, quoted));
	}
	const json_t *fallback = json_object_get(root, "default");
	int error = profile_read("default", NULL, fallback, &profiles->fallback, why);
	return error ? error : read_gateways(profiles, fallback, json_object_get(root, "gateways"), why);
}

int profiles_read(const json_t *root, struct profiles **out, struct failure *why)
{
	struct profiles *profiles = calloc(1, sizeof(*profiles));
	if (!profiles)
		return fail(why, -ENOMEM, NULL, "out of memory");
	int error = profiles_read_root(profiles, root, why);
	if (error)
		profiles_free(profiles);
	else
		*out = profiles;
	return error;
}

int profiles_load(const char *path, struct profiles **out, struct failure *why)
{
	struct failure inner = {0};
	json_error_t where;
	json_t *root = json_load_file(path, JSON_REJECT_DUPLICATES, &where);
	if (!root)
		return fail(why, -EINVAL, NULL, "%.100s: line %d: %.100s", path, where.line, where.text);
	int error = profiles_read(root, out, &inner);
	json_decref(root);
	return error ? fail(why, error, inner.key, "%.100s: %s", path, inner.text) : 0;
}

void profiles_free(struct profiles *profiles)
{
	if (!profiles)
		return;
	json_decref(profiles->fallback.source);
	for (size_t i = 0; i < profiles->n; i++)
		json_decref(profiles->list[i].source);
	json_decref(profiles->places);
	free(profiles->list);
	free(profiles);
}

const struct profile *profiles_find(const struct profiles *profiles, const char *namespace, const char *name)
{
	char key[2 * KUBE_LABEL + 2];
	snprintf(key, sizeof(key), "%s/%s", namespace, name);
	const json_t *place = json_object_get(profiles->places, key);
	return place ? &profiles->list[json_integer_value(place)] : &profiles->fallback;
}
