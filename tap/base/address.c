/* SPDX-License-Identifier: Apache-2.0 */
/* address.c - IP addresses, prefixes, endpoints and MAC addresses as values */
#include "tap/base/address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#define PORT_MAX 65535

size_t address_size(uint8_t family)
{
	return family == AF_INET ? sizeof(struct in_addr) : sizeof(struct in6_addr);
}

int address_parse(const char *text, struct address *out)
{
	struct address parsed = {.family = strchr(text, ':') ? AF_INET6 : AF_INET};
	if (inet_pton(parsed.family, text, parsed.bytes) != 1)
		return -EINVAL;

	/*
	 * Sockets show IPv4 peers as ::ffff:a.b.c.d, and endpoint_from_sockaddr() turns that into IPv4. So a configured
	 * address of this form would never match anything.
	 */
	struct in6_addr in6;
	memcpy(&in6, parsed.bytes, sizeof(in6));
	if (parsed.family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&in6))
		return -EINVAL;
	*out = parsed;
	return 0;
}

/* Parses the first `length` bytes of `text`, which may go on behind them. */
static int address_parse_part(const char *text, size_t length, struct address *out)
{
	char part[INET6_ADDRSTRLEN];
	if (length >= sizeof(part))
		return -EINVAL;
	memcpy(part, text, length);
	part[length] = '\0';
	return address_parse(part, out);
}

/* One to five digits and nothing else, without leading zero; strtoul() would allow blanks and signs. */
static int decimal_parse(const char *text, unsigned max, unsigned *out)
{
	size_t digits = strspn(text, "0123456789");
	if (!digits || digits > 5 || text[digits] || (text[0] == '0' && digits > 1))
		return -EINVAL;
	unsigned value = 0;
	for (size_t i = 0; i < digits; i++)
		value = value * 10 + (unsigned)(text[i] - '0');
	if (value > max)
		return -EINVAL;
	*out = value;
	return 0;
}

int prefix_parse(const char *text, struct prefix *out)
{
	const char *slash = strchr(text, '/');
	struct prefix parsed;
	if (address_parse_part(text, slash ? (size_t)(slash - text) : strlen(text), &parsed.address) < 0)
		return -EINVAL;

	unsigned length = (unsigned)address_size(parsed.address.family) * 8;
	if (slash && decimal_parse(slash + 1, length, &length) < 0)
		return -EINVAL;
	parsed.length = (uint8_t)length;
	*out = parsed;
	return 0;
}

int endpoint_parse(const char *text, struct endpoint *out)
{
	const char *colon = strrchr(text, ':');
	struct endpoint parsed = {.port = 0};

	/* Several colons without brackets: an IPv6 address, whose last group is not a port. */
	if (!colon || (text[0] != '[' && strchr(text, ':') != colon)) {
		if (address_parse(text, &parsed.address) < 0)
			return -EINVAL;
		*out = parsed;
		return 0;
	}

	size_t length = (size_t)(colon - text);
	uint8_t family = AF_INET;
	if (text[0] == '[') {
		if (length < 2 || colon[-1] != ']')
			return -EINVAL;
		family = AF_INET6;
		text++;
		length -= 2;
	}
	unsigned port;
	if (address_parse_part(text, length, &parsed.address) < 0 || parsed.address.family != family ||
	    decimal_parse(colon + 1, PORT_MAX, &port) < 0 || !port)
		return -EINVAL;
	parsed.port = (uint16_t)port;
	*out = parsed;
	return 0;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

int mac_parse(const char *text, struct mac *out)
{
	struct mac parsed;
	if (strlen(text) != MAC_TEXT - 1)
		return -EINVAL;
	for (size_t i = 0; i < sizeof(parsed.bytes); i++) {
		int high = hex_digit(text[3 * i]);
		int low = hex_digit(text[3 * i + 1]);
		char end = i + 1 < sizeof(parsed.bytes) ? ':' : '\0';
		if (high < 0 || low < 0 || text[3 * i + 2] != end)
			return -EINVAL;
		parsed.bytes[i] = (uint8_t)(high << 4 | low);
	}
	*out = parsed;
	return 0;
}

const char *address_format(const struct address *address, char out[static ADDRESS_TEXT])
{
	if (!address->family || !inet_ntop(address->family, address->bytes, out, ADDRESS_TEXT))
		out[0] = '\0';
	return out;
}

const char *prefix_format(const struct prefix *prefix, char out[static ADDRESS_TEXT])
{
	address_format(&prefix->address, out);
	size_t used = strlen(out);
	if (used)
		snprintf(out + used, ADDRESS_TEXT - used, "/%u", prefix->length);
	return out;
}

const char *endpoint_format(const struct endpoint *endpoint, char out[static ADDRESS_TEXT])
{
	char text[ADDRESS_TEXT];
	address_format(&endpoint->address, text);
	if (!text[0] || !endpoint->port)
		return memcpy(out, text, sizeof(text));

	bool v6 = endpoint->address.family == AF_INET6;
	/* The precision tells the compiler how short an address is. */
	snprintf(out, ADDRESS_TEXT, "%s%.45s%s:%u", v6 ? "[" : "", text, v6 ? "]" : "", endpoint->port);
	return out;
}

const char *mac_format(const struct mac *mac, char out[static MAC_TEXT])
{
	const uint8_t *b = mac->bytes;
	snprintf(out, MAC_TEXT, "%02x:%02x:%02x:%02x:%02x:%02x", b[0], b[1], b[2], b[3], b[4], b[5]);
	return out;
}

socklen_t sockaddr_size(sa_family_t family)
{
	return family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
}

bool address_is_any(const struct address *address)
{
	static const uint8_t zero[16];

	return !memcmp(address->bytes, zero, address_size(address->family));
}

bool address_is_multicast(const struct address *address)
{
	return address->family == AF_INET6 ? address->bytes[0] == 0xff : (address->bytes[0] & 0xf0) == 0xe0;
}

bool address_equal(const struct address *a, const struct address *b)
{
	return a->family == b->family && !memcmp(a->bytes, b->bytes, sizeof(a->bytes));
}

bool prefix_equal(const struct prefix *a, const struct prefix *b)
{
	return a->length == b->length && address_equal(&a->address, &b->address);
}

void prefix_list_copy(struct prefix *to, const struct prefix *from, size_t n)
{
	for (size_t i = 0; i < n; i++)
		to[i] = from[i];
}

bool prefix_lists_equal(const struct prefix *a, size_t n_a, const struct prefix *b, size_t n_b)
{
	bool equal = n_a == n_b;
	for (size_t i = 0; equal && i < n_a; i++)
		equal = prefix_equal(&a[i], &b[i]);
	return equal;
}

bool endpoint_equal(const struct endpoint *a, const struct endpoint *b)
{
	return a->port == b->port && address_equal(&a->address, &b->address);
}

bool mac_equal(const struct mac *a, const struct mac *b)
{
	return !memcmp(a->bytes, b->bytes, sizeof(a->bytes));
}

bool prefix_contains(const struct prefix *prefix, const struct address *address)
{
	size_t whole = prefix->length / 8;
	unsigned rest = prefix->length % 8;

	if (!address->family || prefix->address.family != address->family ||
	    prefix->length > address_size(address->family) * 8)
		return false;
	if (memcmp(prefix->address.bytes, address->bytes, whole) != 0)
		return false;
	return !rest || (prefix->address.bytes[whole] ^ address->bytes[whole]) >> (8 - rest) == 0;
}

bool prefix_holds(const struct prefix *outer, const struct prefix *inner)
{
	return outer->length <= inner->length && prefix_contains(outer, &inner->address);
}

struct prefix prefix_network(const struct prefix *prefix)
{
	struct prefix out = *prefix;

	for (size_t i = 0; i < sizeof(out.address.bytes); i++) {
		size_t kept = out.length > 8 * i ? out.length - 8 * i : 0;
		if (kept < 8)
			out.address.bytes[i] &= (uint8_t)(0xff00 >> kept);
	}
	return out;
}

bool mac_is_unicast(const struct mac *mac)
{
	static const struct mac zero;
	return !(mac->bytes[0] & 1) && !mac_equal(mac, &zero);
}

socklen_t endpoint_to_sockaddr(const struct endpoint *endpoint, struct sockaddr_storage *out)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(endpoint->port)};
	struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(endpoint->port)};

	memset(out, 0, sizeof(*out));
	switch (endpoint->address.family) {
	case AF_INET:
		memcpy(&in.sin_addr, endpoint->address.bytes, sizeof(in.sin_addr));
		memcpy(out, &in, sizeof(in));
		return sizeof(in);
	case AF_INET6:
		memcpy(&in6.sin6_addr, endpoint->address.bytes, sizeof(in6.sin6_addr));
		memcpy(out, &in6, sizeof(in6));
		return sizeof(in6);
	default:
		return 0;
	}
}

static void endpoint_from_in(const struct sockaddr_in *in, struct endpoint *out)
{
	*out = (struct endpoint){.address.family = AF_INET, .port = ntohs(in->sin_port)};
	memcpy(out->address.bytes, &in->sin_addr, sizeof(in->sin_addr));
}

static void endpoint_from_in6(const struct sockaddr_in6 *in6, struct endpoint *out)
{
	bool mapped = IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr);
	*out = (struct endpoint){.address.family = mapped ? AF_INET : AF_INET6, .port = ntohs(in6->sin6_port)};
	if (mapped)
		memcpy(out->address.bytes, in6->sin6_addr.s6_addr + 12, 4);
	else
		memcpy(out->address.bytes, in6->sin6_addr.s6_addr, 16);
}

int endpoint_from_sockaddr(const struct sockaddr *from, socklen_t length, struct endpoint *out)
{
	/* Copied first: control messages and ring buffers may not be aligned. */
	union {
		sa_family_t family;
		struct sockaddr_in in;
		struct sockaddr_in6 in6;
	} copy = {.family = AF_UNSPEC};

	memcpy(&copy, from, length < sizeof(copy) ? length : sizeof(copy));
	if (length >= sizeof(copy.in) && copy.family == AF_INET)
		endpoint_from_in(&copy.in, out);
	else if (length >= sizeof(copy.in6) && copy.family == AF_INET6)
		endpoint_from_in6(&copy.in6, out);
	else
		return -EAFNOSUPPORT;
	return 0;
}
