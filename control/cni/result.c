/* SPDX-License-Identifier: Apache-2.0 */
/* result.c - what a CNI command prints, in the version that the configuration asks for */
#include "control/cni/result.h"

#include "control/base/json.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* 4 or 6; 0 when `text` is not an address (with `prefix`: an address and "/LENGTH"). */
static int family_of(const char *text, bool prefix)
{
	char address[INET6_ADDRSTRLEN], *end = NULL;
	struct in6_addr scrap;
	size_t length = strcspn(text, "/");

	if (length >= sizeof(address) || (text[length] == '/') != prefix)
		return 0;
	memcpy(address, text, length);
	address[length] = '\0';
	int family = inet_pton(AF_INET, address, &scrap) == 1 ? 4 : inet_pton(AF_INET6, address, &scrap) == 1 ? 6 : 0;
	if (!prefix)
		return family;
	const char *digits = text + length + 1;
	unsigned long bits = strtoul(digits, &end, 10);
	return *digits >= '0' && *digits <= '9' && !*end && bits <= (family == 4 ? 32 : 128) ? family : 0;
}

enum cni_code result_not_understood(struct refusal *why, const char *key)
{
	return refuse(
		why, CNI_FAILED,
		"podswitch-agent's answer is not understood (%s): podswitch-cni and podswitch-agent must have the same "
		"version; run podswitch-cni install from the agent's image",
		key);
}

static enum cni_code check_answer(const json_t *answer, struct refusal *why)
{
	const json_t *addresses = json_object_get(answer, "addresses");
	const json_t *router = json_object_get(answer, "router");

	if (strlen(json_text(answer, "mac")) != 17)
		return result_not_understood(why, "mac");
	if (!json_is_integer(json_object_get(answer, "mtu")))
		return result_not_understood(why, "mtu");
	if (!json_is_array(addresses))
		return result_not_understood(why, "addresses");
	for (size_t i = 0; i < json_array_size(addresses); i++) {
		const char *address = json_string_value(json_array_get(addresses, i));
		if (!address || !family_of(address, true))
			return result_not_understood(why, "addresses");
	}
	if (router && !json_is_null(router) &&
	    (!json_is_string(router) || !family_of(json_string_value(router), false)))
		return result_not_understood(why, "router");
	return 0;
}

bool result_has_interface(const json_t *previous, const char *ifname)
{
	const json_t *interfaces = json_object_get(previous, "interfaces");

	for (size_t i = 0; i < json_array_size(interfaces); i++) {
		const json_t *interface = json_array_get(interfaces, i);
		/* Without a sandbox it is on the node: a bridge, or the other end of a veth. */
		if (*json_text(interface, "sandbox") && !strcmp(json_text(interface, "name"), ifname))
			return true;
	}
	return false;
}

/* The array `key` of `result`, added when it is missing. */
static json_t *array_of(json_t *result, const char *key)
{
	if (!json_is_array(json_object_get(result, key)))
		json_object_set_new(result, key, json_array());
	return json_object_get(result, key);
}

static void add_addresses(json_t *result, enum cni_version version, size_t interface, const json_t *answer)
{
	const json_t *addresses = json_object_get(answer, "addresses");
	const char *router = json_string_value(json_object_get(answer, "router"));
	json_t *ips = array_of(result, "ips");

	for (size_t i = 0; i < json_array_size(addresses); i++) {
		const char *address = json_string_value(json_array_get(addresses, i));
		int family = family_of(address, true);
		json_t *ip = json_object();
		if (version < CNI_1_0_0)
			json_object_set_new(ip, "version", json_string(family == 4 ? "4" : "6"));
		json_object_set_new(ip, "interface", json_integer((json_int_t)interface));
		json_object_set_new(ip, "address", json_string(address));
		if (router && family_of(router, false) == family)
			json_object_set_new(ip, "gateway", json_string(router));
		json_array_append_new(ips, ip);
	}
}

static void add_interface(json_t *result, enum cni_version version, const char *ifname, const char *netns,
			  const json_t *answer)
{
	json_t *interfaces = array_of(result, "interfaces");
	json_t *interface = json_pack("{s:s, s:O}", "name", ifname, "mac", json_object_get(answer, "mac"));
	size_t index = json_array_size(interfaces);

	if (version >= CNI_1_1_0)
		json_object_set(interface, "mtu", json_object_get(answer, "mtu"));
	json_object_set_new(interface, "sandbox", json_string(netns));
	json_array_append_new(interfaces, interface);
	add_addresses(result, version, index, answer);
}

static void add_default_route(json_t *result, const json_t *answer)
{
	const char *router = json_string_value(json_object_get(answer, "router"));
	json_t *routes = array_of(result, "routes");

	if (!router)
		return;
	const char *all = family_of(router, false) == 4 ? "0.0.0.0/0" : "::/0";
	json_array_append_new(routes, json_pack("{s:s, s:s}", "dst", all, "gw", router));
}

enum cni_code result_ready(const struct request *request, const struct environment *environment, const char *ifname,
			   const json_t *answer, json_t **out, struct refusal *why)
{
	enum cni_code code = check_answer(answer, why);

	if (code)
		return code;
	json_t *result = request->previous ? json_deep_copy(request->previous) : json_object();
	json_object_set_new(result, "cniVersion", json_string(cni_versions[request->version]));
	add_interface(result, request->version, ifname, environment->netns, answer);
	if (!request->previous)
		add_default_route(result, answer);
	*out = result;
	return 0;
}

json_t *result_version(void)
{
	json_t *versions = json_array();

	for (unsigned i = 0; i < CNI_VERSIONS; i++)
		json_array_append_new(versions, json_string(cni_versions[i]));
	return json_pack("{s:s, s:o}", "cniVersion", cni_versions[CNI_VERSIONS - 1], "supportedVersions", versions);
}

json_t *result_refusal(enum cni_version version, const struct refusal *why)
{
	const char *spoken = cni_versions[version < CNI_VERSIONS ? version : CNI_VERSIONS - 1];
	json_t *result = json_pack("{s:s, s:i, s:o}", "cniVersion", spoken, "code", (int)why->code, "msg",
				   json_plain_string(why->text));

	if (why->details[0])
		json_object_set_new(result, "details", json_plain_string(why->details));
	return result;
}
