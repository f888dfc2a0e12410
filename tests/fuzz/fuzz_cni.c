/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_cni.c - any environment, any configuration and any answer of an agent; and any configuration of a node
 *
 * The input is cut at its NULs into CNI_COMMAND, CNI_CONTAINERID, CNI_NETNS, CNI_IFNAME, CNI_ARGS, the configuration
 * and an agent's answer; what lacks is not set.
 */
#include "control/base/names.h"
#include "control/cni/environment.h"
#include "control/cni/request.h"
#include "control/cni/result.h"
#include "control/cni/splice.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { COMMAND, CONTAINER, NETNS, IFNAME, ARGS, CONFIG, ANSWER, PARTS };

static void cut(char *text, size_t size, const char *parts[PARTS])
{
	size_t at = 0;

	for (int i = 0; i < PARTS && at <= size; i++) {
		parts[i] = text + at;
		at += strlen(text + at) + 1;
	}
}

/* What a pod's objects are named after must be a name, whatever was read. */
static void check_names(const struct environment *e, const struct request *r)
{
	char name[NAMES_SIZE];

	if (!names_ifname_valid(r->ifname) || r->socket[0] != '/' || r->timeout < 1 || r->timeout > 110)
		abort();
	if (!e->container_id[0])
		return;
	if (!names_container_valid(e->container_id) || !names_ifname_valid(e->ifname))
		abort();
	if (!e->namespace[0] || !e->pod[0])
		return;
	if (port_name(name, e->namespace, e->pod, e->container_id, e->ifname) || strpbrk(name, "/ \n"))
		abort();
}

static void check_result(const struct environment *e, const struct request *r, const char *text)
{
	json_t *answer = text ? json_loads(text, 0, NULL) : NULL, *result = NULL;
	struct refusal why = {0};

	if (!result_ready(r, e, "vx0", answer, &result, &why)) {
		char *printed = json_dumps(result, JSON_COMPACT);
		if (!printed || !result_has_interface(result, "vx0"))
			abort();
		free(printed);
	} else if (!why.text[0]) {
		abort();
	}
	json_decref(result);
	json_decref(answer);
}

/* An entry that is put in and taken out again leaves the text as it was. */
static void check_splice(const char *text)
{
	struct span all = span_value(text), plugins, element;
	size_t count = 0;
	json_t *document = json_loads(text, 0, NULL);

	if (span_member(text, all, "plugins", &plugins) && text[plugins.start] == '[') {
		while (span_element(text, plugins, count, &element))
			count++;
		char *more = splice_append(text, plugins, "{}");
		char *less = splice_remove(more, plugins, count);
		if (document && (!less || strcmp(less, text) != 0))
			abort();
		free(more);
		free(less);
	}
	json_decref(document);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *parts[PARTS] = {0};
	struct environment environment;
	struct request request;
	struct refusal why = {0};
	char *text = malloc(size + 1);

	if (!text)
		return 0;
	if (size)
		memcpy(text, data, size);
	text[size] = '\0';
	cut(text, size, parts);
	const struct variables variables = {parts[COMMAND], parts[CONTAINER], parts[NETNS], parts[IFNAME], parts[ARGS]};
	bool known = !environment_read(&variables, &environment, &why);
	const char *config = parts[CONFIG] ? parts[CONFIG] : "";
	bool usable = !request_read(config, strlen(config), &request, &why);
	if (known)
		check_names(&environment, &request);
	if (known && usable && environment.command == CNI_ADD)
		check_result(&environment, &request, parts[ANSWER]);
	json_decref(result_refusal(request.version, &why));
	check_splice(config);
	request_free(&request);
	free(text);
	return 0;
}
