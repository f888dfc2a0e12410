/* SPDX-License-Identifier: Apache-2.0 */
/* name.c - names of Kubernetes objects as people write them, and what people wrote, fit for a message */
#include "control/base/name.h"

#include <errno.h>
#include <string.h>

#define QUOTED 64 /* bytes of the text that are shown */

bool name_is_label(const char *text, size_t length)
{
	static const char inner[] = "abcdefghijklmnopqrstuvwxyz0123456789-";

	if (!length || length >= KUBE_LABEL || text[0] == '-' || text[length - 1] == '-')
		return false;
	return strspn(text, inner) >= length;
}

/* Whether `rest`, what follows NAME.NAMESPACE, makes a full name of it. */
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

static void copy(const char *from, size_t length, char *out)
{
	memcpy(out, from, length);
	out[length] = '\0';
}

int name_parse(const char *text, const char *namespace, const char *domain, char *out_namespace, char *out_name)
{
	size_t name = strcspn(text, ".");

	if (!name_is_label(text, name))
		return -EINVAL;
	if (!text[name]) {
		if (!namespace || !name_is_label(namespace, strlen(namespace)))
			return -EINVAL;
		copy(namespace, strlen(namespace), out_namespace);
		copy(text, name, out_name);
		return 0;
	}
	const char *second = text + name + 1;
	size_t length = strcspn(second, ".");
	if (!name_is_label(second, length) || !is_suffix(second + length, domain))
		return -EINVAL;
	copy(second, length, out_namespace);
	copy(text, name, out_name);
	return 0;
}

const char *name_quote(const char *text, char out[static NAME_QUOTE])
{
	size_t length = strlen(text), shown = length < QUOTED ? length : QUOTED - 3;
	char *at = out;

	*at++ = '\'';
	for (size_t i = 0; i < shown; i++) {
		bool printable = text[i] >= ' ' && text[i] <= '~';
		*at++ = (char)(printable ? text[i] : '?');
	}
	memcpy(at, shown < length ? "...'" : "'", shown < length ? 5 : 2);
	return out;
}
