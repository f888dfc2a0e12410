/* SPDX-License-Identifier: Apache-2.0 */
/* names.c - what Kubernetes' objects are called, and what their gateways and ports are called in podswitchd */
#include "control/base/names.h"
#include "tap/base/text.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#define QUOTED 64 /* bytes of the text that are shown */

/* ---- names of Kubernetes objects ---- */

/* isalnum() and its like depend on the locale. */
static bool is_alnum(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

bool name_is_label(const char *text, size_t length)
{
	static const char inner[] = "abcdefghijklmnopqrstuvwxyz0123456789-";

	if (!length || length >= KUBE_LABEL || text[0] == '-' || text[length - 1] == '-')
		return false;
	return strspn(text, inner) >= length;
}

bool names_subdomain_valid(const char *text)
{
	if (strlen(text) > 253)
		return false;
	for (;;) {
		size_t length = strcspn(text, ".");
		if (!name_is_label(text, length))
			return false;
		if (!text[length])
			return true;
		text += length + 1;
	}
}

static bool word_valid(const char *text, size_t most)
{
	size_t length = strlen(text);

	if (!length || length > most || !is_alnum(text[0]))
		return false;
	for (size_t i = 0; i < length; i++) {
		if (!is_alnum(text[i]) && !strchr("._-", text[i]))
			return false;
	}
	return true;
}

bool names_container_valid(const char *text)
{
	return word_valid(text, 255);
}

bool names_ifname_valid(const char *text)
{
	return word_valid(text, 15);
}

/* What may follow NAME.NAMESPACE: nothing, .svc, or .svc.DOMAIN with or without a final dot. */
static bool is_suffix(const char *rest, const char *domain)
{
	static const char svc[] = ".svc";
	size_t length = strlen(domain);

	if (!*rest || !strcmp(rest, svc))
		return true;
	if (strncmp(rest, svc, strlen(svc)) != 0 || rest[strlen(svc)] != '.')
		return false;
	rest += strlen(svc) + 1;
	return !strncmp(rest, domain, length) && (!rest[length] || !strcmp(rest + length, "."));
}

int name_parse(const char *text, const char *namespace, const char *domain, char *out_namespace, char *out_name)
{
	size_t name = strcspn(text, ".");
	bool short_form = !text[name];
	const char *second = short_form ? namespace : text + name + 1;
	size_t length = second ? strcspn(second, short_form ? "" : ".") : 0;

	if (!name_is_label(text, name) || !second || !name_is_label(second, length))
		return -EINVAL;
	if (!short_form && !is_suffix(second + length, domain))
		return -EINVAL;
	snprintf(out_namespace, KUBE_LABEL, "%.*s", (int)length, second);
	snprintf(out_name, KUBE_LABEL, "%.*s", (int)name, text);
	return 0;
}

const char *name_quote(const char *text, char out[static NAME_QUOTE])
{
	bool whole = strlen(text) < QUOTED;

	snprintf(out, NAME_QUOTE, "'%.*s%s'", whole ? QUOTED : QUOTED - 3, text, whole ? "" : "...");
	text_to_ascii(out);
	return out;
}

/* ---- names of our ports and gateways ---- */

int port_name(char out[NAMES_SIZE], const char *namespace, const char *pod, const char *id, const char *ifname)
{
	char tail[1 + NAMES_ID + 1 + 15 + 1];

	if (!name_is_label(namespace, strlen(namespace)) || !names_subdomain_valid(pod) || !names_container_valid(id) ||
	    !names_ifname_valid(ifname))
		return -EINVAL;
	bool usual = !strcmp(ifname, NAMES_DEFAULT_IFNAME);
	snprintf(tail, sizeof(tail), "@%.*s%s%s", NAMES_ID, id, usual ? "" : ".", usual ? "" : ifname);
	int room = (int)(NAMES_SIZE - 1 - strlen(namespace) - 1 - strlen(tail));
	snprintf(out, NAMES_SIZE, "%s.%.*s%s", namespace, room, pod, tail);
	return 0;
}

int port_id_of_uid(char out[NAMES_ID + 1], const char *uid)
{
	char id[NAMES_ID + 1] = "";
	size_t used = 0;

	for (; *uid && used < NAMES_ID; uid++) {
		if (*uid == '-')
			continue;
		if (!is_alnum(*uid))
			return -EINVAL;
		id[used++] = *uid;
	}
	if (used < NAMES_ID)
		return -EINVAL;
	memcpy(out, id, sizeof(id));
	return 0;
}

int gateway_name(char out[NAMES_SIZE], const char *namespace, const char *service, const char *address)
{
	struct in6_addr scrap;

	if (!name_is_label(namespace, strlen(namespace)) || !name_is_label(service, strlen(service)))
		return -EINVAL;
	if (inet_pton(AF_INET, address, &scrap) != 1 && inet_pton(AF_INET6, address, &scrap) != 1)
		return -EINVAL;
	snprintf(out, NAMES_SIZE, "%s.%s@%s", namespace, service, address);
	return 0;
}

bool names_list_has(const char *list, const char *name)
{
	static const char between[] = ", \t\r\n";

	for (const char *at = list + strspn(list, between); *at; at += strspn(at, between)) {
		size_t length = strcspn(at, between);
		if (length == strlen(name) && !strncmp(at, name, length))
			return true;
		at += length;
	}
	return false;
}
