/* SPDX-License-Identifier: Apache-2.0 */
/* request.c - a network configuration, as a container runtime passes it on standard input */
#include "control/cni/request.h"

#include "control/base/names.h"
#include "tap/base/file.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define AGENT_SOCKET "agent.sock"
#define OTHER_KEY "cni.dev/attachments"

void request_defaults(struct request *request)
{
	struct refusal ignored;

	*request = (struct request){.version = CNI_VERSIONS, .timeout = REQUEST_TIMEOUT};
	memcpy(request->socket, REQUEST_SOCKET, sizeof(REQUEST_SOCKET));
	memcpy(request->ifname, REQUEST_IFNAME, sizeof(REQUEST_IFNAME));
	memcpy(request->skip, REQUEST_SKIP, sizeof(REQUEST_SKIP));
	memcpy(request->known, REQUEST_KNOWN, sizeof(REQUEST_KNOWN));
	request_agent_beside(request->socket, request->agent_socket, &ignored);
}

enum cni_code request_agent_beside(const char *socket, char out[108], struct refusal *why)
{
	if (file_beside(socket, AGENT_SOCKET, out, 108))
		return refuse(why, CNI_BAD_CONFIG,
			      "socket: there is no room for " AGENT_SOCKET
			      " beside it; give a path of at most %zu bytes",
			      108 - sizeof(AGENT_SOCKET));
	return 0;
}

/* Leaves `out` alone when the key is not there. */
static enum cni_code read_text(const json_t *document, const char *key, size_t size, char *out, struct refusal *why)
{
	const json_t *value = json_object_get(document, key);
	const char *text = json_string_value(value);

	if (!value)
		return 0;
	if (!text)
		return refuse(why, CNI_BAD_CONFIG, "%s: must be a string", key);
	if (!text[0] || strlen(text) >= size)
		return refuse(why, CNI_BAD_CONFIG, "%s: must have 1 to %zu characters", key, size - 1);
	memcpy(out, text, strlen(text) + 1);
	return 0;
}

static enum cni_code read_path(const json_t *document, const char *key, char out[108], struct refusal *why)
{
	char path[108] = "/";
	enum cni_code code = read_text(document, key, sizeof(path), path, why);

	if (!code && path[0] != '/')
		code = refuse(why, CNI_BAD_CONFIG, "%s: '%s' does not begin with /; give an absolute path", key, path);
	if (!code && json_object_get(document, key))
		memcpy(out, path, sizeof(path));
	return code;
}

static enum cni_code read_ifname(const json_t *document, struct request *out, struct refusal *why)
{
	char ifname[16] = REQUEST_IFNAME;
	enum cni_code code = read_text(document, "ifname", sizeof(ifname), ifname, why);

	if (!code && !names_ifname_valid(ifname))
		code = refuse(why, CNI_BAD_CONFIG,
			      "ifname: '%s' is not valid; give 1 to 15 of A-Z a-z 0-9 . _ -, the first a letter or "
			      "digit",
			      ifname);
	if (!code)
		memcpy(out->ifname, ifname, sizeof(ifname));
	return code;
}

static enum cni_code read_timeout(const json_t *document, struct request *out, struct refusal *why)
{
	const json_t *value = json_object_get(document, "timeout");
	long long seconds = json_integer_value(value);

	if (!value)
		return 0;
	/* A kubelet gives up after two minutes; an answer after that is lost. */
	if (!json_is_integer(value) || seconds < 1 || seconds > 110)
		return refuse(why, CNI_BAD_CONFIG, "timeout: must be a whole number of seconds from 1 to 110");
	out->timeout = (unsigned)seconds;
	return 0;
}

static enum cni_code read_gateway(const json_t *document, struct request *out, struct refusal *why)
{
	char gateway[254] = "";
	enum cni_code code = read_text(document, "gateway", sizeof(gateway), gateway, why);

	if (!code && gateway[0] && (!names_subdomain_valid(gateway) || !strchr(gateway, '.')))
		code = refuse(why, CNI_BAD_CONFIG, "gateway: '%.100s' is not a Service's NAME.NAMESPACE", gateway);
	if (!code)
		memcpy(out->gateway, gateway, sizeof(gateway));
	return code;
}

/* What decides while nobody answers. */
static enum cni_code read_fallback(const json_t *document, struct request *out, struct refusal *why)
{
	const json_t *fail_status = json_object_get(document, "fail_status");
	const json_t *skip = json_object_get(document, "skip_namespaces");
	json_t *handed = json_object_get(json_object_get(document, "runtimeConfig"), REQUEST_ANNOTATIONS);
	enum cni_code code = read_text(document, "known", sizeof(out->known), out->known, why);

	if (code)
		return code;
	if (fail_status && !json_is_boolean(fail_status))
		return refuse(why, CNI_BAD_CONFIG, "fail_status: must be true or false");
	if (skip && (!json_is_string(skip) || json_string_length(skip) >= sizeof(out->skip)))
		return refuse(why, CNI_BAD_CONFIG,
			      "skip_namespaces: must be a text of NAME,NAME... with at most %zu bytes",
			      sizeof(out->skip) - 1);
	if (skip)
		memcpy(out->skip, json_string_value(skip), json_string_length(skip) + 1);
	out->fail_status = json_is_true(fail_status);
	/* A runtime with nothing to hand over may say null. */
	if (json_is_null(handed))
		json_object_set_new(json_object_get(document, "runtimeConfig"), REQUEST_ANNOTATIONS, json_object());
	handed = json_object_get(json_object_get(document, "runtimeConfig"), REQUEST_ANNOTATIONS);
	out->annotations = json_is_object(handed) ? handed : NULL;
	return 0;
}

static enum cni_code read_sockets(const json_t *document, struct request *out, struct refusal *why)
{
	enum cni_code code = read_path(document, "socket", out->socket, why);

	if (!code)
		code = request_agent_beside(out->socket, out->agent_socket, why);
	return code ? code : read_path(document, "agent_socket", out->agent_socket, why);
}

static enum cni_code read_network(const json_t *document, struct request *out, struct refusal *why)
{
	return read_text(document, "name", sizeof(out->network), out->network, why);
}

static enum cni_code read_version(const json_t *document, struct request *out, struct refusal *why)
{
	const char *version = json_string_value(json_object_get(document, "cniVersion"));

	for (unsigned i = 0; version && i < CNI_VERSIONS; i++) {
		if (!strcmp(version, cni_versions[i])) {
			out->version = (enum cni_version)i;
			return 0;
		}
	}
	if (version)
		return refuse(why, CNI_BAD_VERSION, "cniVersion: '%.32s' is not one of 0.3.1, 0.4.0, 1.0.0, 1.1.0",
			      version);
	return refuse(why, CNI_BAD_VERSION, "cniVersion: missing; give 0.3.1, 0.4.0, 1.0.0 or 1.1.0");
}

/* Arrays of objects, as far as we look into them. */
static enum cni_code check_list(const json_t *object, const char *key, const char *path, struct refusal *why)
{
	const json_t *list = json_object_get(object, key);

	if (list && !json_is_null(list) && !json_is_array(list))
		return refuse(why, CNI_BAD_CONFIG, "%s: must be an array", path);
	for (size_t i = 0; i < json_array_size(list); i++) {
		if (!json_is_object(json_array_get(list, i)))
			return refuse(why, CNI_BAD_CONFIG, "%s: each element must be an object", path);
	}
	return 0;
}

static enum cni_code read_previous(const json_t *document, struct request *out, struct refusal *why)
{
	json_t *previous = json_object_get(document, "prevResult");

	if (!previous || json_is_null(previous))
		return 0;
	if (!json_is_object(previous))
		return refuse(why, CNI_BAD_CONFIG, "prevResult: must be an object");
	enum cni_code code = check_list(previous, "interfaces", "prevResult.interfaces", why);
	if (!code)
		code = check_list(previous, "ips", "prevResult.ips", why);
	if (!code)
		out->previous = previous;
	return code;
}

static enum cni_code read_valid(const json_t *document, struct request *out, struct refusal *why)
{
	/* The specification's key first, then the one that some runtimes use instead. */
	bool usual = json_object_get(document, "cni.dev/valid-attachments") || !json_object_get(document, OTHER_KEY);
	const char *key = usual ? "cni.dev/valid-attachments" : OTHER_KEY;
	json_t *valid = json_object_get(document, key);
	enum cni_code code = check_list(document, key, key, why);

	if (!code && json_is_array(valid))
		out->valid = valid;
	return code;
}

static enum cni_code read_document(const json_t *document, struct request *out, struct refusal *why)
{
	static enum cni_code (*const readers[])(const json_t *, struct request *, struct refusal *) = {
		read_version, read_sockets,  read_ifname, read_timeout,  read_gateway,
		read_network, read_previous, read_valid,  read_fallback,
	};
	struct refusal further;
	enum cni_code first = 0;

	for (size_t i = 0; i < sizeof(readers) / sizeof(*readers); i++) {
		enum cni_code code = readers[i](document, out, first ? &further : why);
		first = first ? first : code;
	}
	return first;
}

enum cni_code request_read(const char *text, size_t length, struct request *out, struct refusal *why)
{
	json_error_t error;

	request_defaults(out);
	out->document = json_loadb(text, length, 0, &error);
	if (json_is_object(out->document))
		return read_document(out->document, out, why);
	if (out->document)
		return refuse(why, CNI_UNDECODABLE, "the network configuration on standard input is not an object");
	return refuse(why, CNI_UNDECODABLE, "the network configuration on standard input is not JSON: %s, at byte %d",
		      error.text, error.position);
}

void request_free(struct request *request)
{
	json_decref(request->document);
	request->document = request->previous = request->valid = request->annotations = NULL;
}
