/* SPDX-License-Identifier: Apache-2.0 */
/* names.c - what Kubernetes' objects are called, and what their gateways and ports are called in podswitchd */
#include "control/base/names.h"
#include "control/base/name.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

/* isalnum() and its like depend on the locale. */
static bool is_lower(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

static bool is_alnum(char c)
{
	return is_lower(c) || (c >= 'A' && c <= 'Z');
}

bool names_label_valid(const char *text)
{
	return name_is_label(text, strlen(text));
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

int port_name(char out[NAMES_SIZE], const char *namespace, const char *pod, const char *id, const char *ifname)
{
	char tail[1 + NAMES_ID + 1 + 15 + 1];

	if (!names_label_valid(namespace) || !names_subdomain_valid(pod) || !names_container_valid(id) ||
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

	if (!names_label_valid(namespace) || !names_label_valid(service))
		return -EINVAL;
	if (inet_pton(AF_INET, address, &scrap) != 1 && inet_pton(AF_INET6, address, &scrap) != 1)
		return -EINVAL;
	snprintf(out, NAMES_SIZE, "%s.%s@%s", namespace, service, address);
	return 0;
}
