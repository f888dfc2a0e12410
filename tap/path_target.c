/* SPDX-License-Identifier: Apache-2.0 */
/* path_target.c - what is asked to see whether a gateway forwards */
#include "tap/path_target.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

/* Neither "this" network, loopback, nor multicast and above: nothing there answers for the way out. */
static bool path_target_is_host(const struct address *address)
{
	uint8_t first = address->bytes[0];

	return address->family == AF_INET && first != 0 && first != 127 && first < 224;
}

static int path_target_read(struct path_target *target, const char *text)
{
	struct endpoint endpoint = {0};

	if (target->kind == PATH_ICMP)
		return address_parse(text, &target->address);
	if (endpoint_parse(text, &endpoint) || !endpoint.port)
		return -EINVAL;
	target->address = endpoint.address;
	target->port = endpoint.port;
	return 0;
}

int path_target_parse(const char *text, struct path_target *out)
{
	struct path_target target = {0};
	const char *rest = strchr(text, ':');

	if (!strcmp(text, "none")) {
		*out = target;
		return 0;
	}
	target.kind = !strncmp(text, "icmp:", 5) ? PATH_ICMP : !strncmp(text, "tcp:", 4) ? PATH_TCP : PATH_NONE;
	if (target.kind == PATH_NONE || path_target_read(&target, rest + 1) || !path_target_is_host(&target.address))
		return -EINVAL;
	*out = target;
	return 0;
}

const char *path_target_format(const struct path_target *target, char out[static PATH_TARGET_TEXT])
{
	char address[ADDRESS_TEXT];

	address_format(&target->address, address);
	switch (target->kind) {
	case PATH_NONE:
		snprintf(out, PATH_TARGET_TEXT, "none");
		break;
	case PATH_ICMP:
		snprintf(out, PATH_TARGET_TEXT, "icmp:%.15s", address);
		break;
	case PATH_TCP:
		snprintf(out, PATH_TARGET_TEXT, "tcp:%.15s:%u", address, target->port);
		break;
	}
	return out;
}

bool path_target_equal(const struct path_target *a, const struct path_target *b)
{
	return a->kind == b->kind && address_equal(&a->address, &b->address) && a->port == b->port;
}
