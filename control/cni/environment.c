/* SPDX-License-Identifier: Apache-2.0 */
/* environment.c - the CNI_* variables, checked before anything is named after them */
#include "control/cni/environment.h"

#include "control/base/names.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

static const char *const commands[CNI_COMMANDS] = {"ADD", "DEL", "CHECK", "GC", "STATUS", "VERSION"};

static enum cni_code read_command(const char *text, enum cni_command *out, struct refusal *why)
{
	if (!text || !*text)
		return refuse(why, CNI_BAD_ENVIRONMENT,
			      "CNI_COMMAND is not set: this is a CNI plugin, which container runtimes run; see "
			      "podswitch-cni --help");
	for (unsigned i = 0; i < CNI_COMMANDS; i++) {
		if (strcmp(text, commands[i]) != 0)
			continue;
		*out = (enum cni_command)i;
		return 0;
	}
	return refuse(why, CNI_BAD_ENVIRONMENT,
		      "CNI_COMMAND: '%.32s' is not one of ADD, DEL, CHECK, GC, STATUS, VERSION", text);
}

static bool missing(const char *value)
{
	return !value || !*value;
}

static enum cni_code check_present(const struct variables *v, enum cni_command command, struct refusal *why)
{
	bool container = missing(v->container_id), ifname = missing(v->ifname);
	bool netns = command != CNI_DEL && missing(v->netns);

	if (!container && !netns && !ifname)
		return 0;
	return refuse(why, CNI_BAD_ENVIRONMENT, "required environment variables are not set:%s%s%s",
		      container ? " CNI_CONTAINERID" : "", netns ? " CNI_NETNS" : "", ifname ? " CNI_IFNAME" : "");
}

static enum cni_code read_word(const char *name, const char *text, bool (*valid)(const char *), size_t size, char *out,
			       struct refusal *why)
{
	if (!valid(text) || strlen(text) >= size)
		return refuse(why, CNI_BAD_ENVIRONMENT,
			      "%s: '%.64s' is not valid; give 1 to %zu of A-Z a-z 0-9 . _ -, the first a letter or "
			      "digit",
			      name, text, size - 1);
	memcpy(out, text, strlen(text) + 1);
	return 0;
}

static enum cni_code read_netns(const char *text, struct environment *out, struct refusal *why)
{
	size_t length = strlen(text);

	if (text[0] != '/' || length >= sizeof(out->netns))
		return refuse(why, CNI_BAD_ENVIRONMENT,
			      "CNI_NETNS: '%.64s' is not an absolute path of at most %zu bytes", text,
			      sizeof(out->netns) - 1);
	for (const char *c = text; *c; c++) {
		/* It becomes a JSON string, which takes UTF-8 only. */
		if (*c < ' ' || *c > '~')
			return refuse(why, CNI_BAD_ENVIRONMENT, "CNI_NETNS: has characters other than printable ASCII");
	}
	memcpy(out->netns, text, length + 1);
	return 0;
}

static bool namespace_valid(const char *text)
{
	return name_is_label(text, strlen(text));
}

static bool uid_valid(const char *text)
{
	return !*text || names_container_valid(text);
}

/* The keys of CNI_ARGS that we read; others are for other plugins. */
static const struct arg {
	const char *key;
	size_t offset, size;
	bool (*valid)(const char *);
	const char *what;
} known_args[] = {
	{"K8S_POD_NAMESPACE", offsetof(struct environment, namespace), 64, namespace_valid, "a namespace's name"},
	{"K8S_POD_NAME", offsetof(struct environment, pod), 254, names_subdomain_valid, "a pod's name"},
	{"K8S_POD_UID", offsetof(struct environment, uid), 64, uid_valid, "a UID"},
};

static enum cni_code read_arg(const char *pair, size_t length, struct environment *out, struct refusal *why)
{
	char value[254];

	for (size_t i = 0; i < sizeof(known_args) / sizeof(*known_args); i++) {
		const struct arg *arg = &known_args[i];
		size_t key = strlen(arg->key);
		if (length <= key || strncmp(pair, arg->key, key) != 0 || pair[key] != '=')
			continue;
		size_t rest = length - key - 1;
		bool fits = rest < arg->size;
		snprintf(value, sizeof(value), "%.*s", fits ? (int)rest : 0, pair + key + 1);
		if (!fits || !arg->valid(value))
			return refuse(why, CNI_BAD_ENVIRONMENT, "CNI_ARGS: %s: '%.*s' is not %s", arg->key,
				      (int)(rest < 64 ? rest : 64), pair + key + 1, arg->what);
		memcpy((char *)out + arg->offset, value, rest + 1);
	}
	return 0;
}

static enum cni_code read_args(const char *args, struct environment *out, struct refusal *why)
{
	while (*args) {
		size_t length = strcspn(args, ";");
		enum cni_code code = read_arg(args, length, out, why);
		if (code)
			return code;
		args += length + (args[length] == ';');
	}
	return 0;
}

static enum cni_code read_pod(const struct variables *variables, struct environment *out, struct refusal *why)
{
	enum cni_code code = read_args(variables->args ? variables->args : "", out, why);

	if (code && out->command == CNI_DEL) {
		out->namespace[0] = out->pod[0] = out->uid[0] = '\0';
		return 0;
	}
	if (code || out->command == CNI_DEL || (out->namespace[0] && out->pod[0]))
		return code;
	return refuse(
		why, CNI_BAD_ENVIRONMENT,
		"CNI_ARGS has no K8S_POD_NAMESPACE and K8S_POD_NAME: podswitch-cni works for Kubernetes pods only; "
		"remove it from this network's configuration");
}

enum cni_code environment_read(const struct variables *variables, struct environment *out, struct refusal *why)
{
	*out = (struct environment){0};
	enum cni_code code = read_command(variables->command, &out->command, why);
	if (code || out->command > CNI_CHECK)
		return code;
	code = check_present(variables, out->command, why);
	if (!code)
		code = read_word("CNI_CONTAINERID", variables->container_id, names_container_valid,
				 sizeof(out->container_id), out->container_id, why);
	if (!code)
		code = read_word("CNI_IFNAME", variables->ifname, names_ifname_valid, sizeof(out->ifname), out->ifname,
				 why);
	if (!code && out->command != CNI_DEL)
		code = read_netns(variables->netns, out, why);
	return code ? code : read_pod(variables, out, why);
}
