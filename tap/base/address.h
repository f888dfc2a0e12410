/* SPDX-License-Identifier: Apache-2.0 */
/*
 * address.h - IP addresses, prefixes, endpoints and MAC addresses as values
 *
 * Plain values: zero-initialise them, then compare with the functions here. Parsers accept exactly one spelling of the
 * whole string, without blanks or trailing text, and leave *out unchanged on error. Any thread.
 */
#ifndef PODSWITCH_ADDRESS_H
#define PODSWITCH_ADDRESS_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

struct address {
	uint8_t bytes[16]; /* network order; IPv4 uses the first four, the rest is zero */
	uint8_t family;    /* AF_INET, AF_INET6; 0: no address */
};

struct prefix {
	struct address
		address; /* host bits are kept: "172.16.0.10/24" can be an interface address as well as a network */
	uint8_t length;  /* bits, 0-32 or 0-128 */
};

struct endpoint {
	struct address address;
	uint16_t port; /* UDP port, host order; 0: not given */
};

struct mac {
	uint8_t bytes[6];
};

/* "a.b.c.d/len" of IPv6 with "[]:port" fits; MACs need 18. */
#define ADDRESS_TEXT 56
#define MAC_TEXT 18

/* All parsers: 0, or -EINVAL. */
int address_parse(const char *text, struct address *out);
int prefix_parse(const char *text, struct prefix *out);     /* "A" alone means the full length (/32, /128) */
int endpoint_parse(const char *text, struct endpoint *out); /* "A", "A:PORT" (IPv4), "[A]:PORT" (IPv6); PORT 1-65535 */
int mac_parse(const char *text, struct mac *out);           /* six two-digit hex bytes with ':' between, any case */

/* All formatters write a NUL-terminated text into `out` and return it. An address of family 0 is "". */
const char *address_format(const struct address *address, char out[static ADDRESS_TEXT]);
const char *prefix_format(const struct prefix *prefix, char out[static ADDRESS_TEXT]);
const char *endpoint_format(const struct endpoint *endpoint, char out[static ADDRESS_TEXT]);
const char *mac_format(const struct mac *mac, char out[static MAC_TEXT]);

/* How many of `bytes` an address of this family has. */
size_t address_size(uint8_t family);

/* How many bytes a struct sockaddr of this family has. */
socklen_t sockaddr_size(sa_family_t family);

/* All zero (INADDR_ANY, ::), and multicast. */
bool address_is_any(const struct address *address);
bool address_is_multicast(const struct address *address);

bool address_equal(const struct address *a, const struct address *b);
bool prefix_equal(const struct prefix *a, const struct prefix *b);
bool endpoint_equal(const struct endpoint *a, const struct endpoint *b);
bool mac_equal(const struct mac *a, const struct mac *b);

/* `to` has room for `n`; with none, either list may be NULL. */
void prefix_list_copy(struct prefix *to, const struct prefix *from, size_t n);

/* Whether both lists have the same prefixes in the same order. */
bool prefix_lists_equal(const struct prefix *a, size_t n_a, const struct prefix *b, size_t n_b);

/* Whether `address` lies in `prefix` (same family and the first `length` bits alike). */
bool prefix_contains(const struct prefix *prefix, const struct address *address);

/* Whether `outer` has all addresses of `inner`. */
bool prefix_holds(const struct prefix *outer, const struct prefix *inner);

/* `prefix` without its host bits. */
struct prefix prefix_network(const struct prefix *prefix);

/* Whether it is an IEEE 802 unicast address: neither a group address nor all zero. */
bool mac_is_unicast(const struct mac *mac);

/* Fills in `out` and returns its length for bind() and sendmsg(); 0 for family 0. */
socklen_t endpoint_to_sockaddr(const struct endpoint *endpoint, struct sockaddr_storage *out);

/*
 * The reverse. An IPv4-mapped IPv6 address becomes IPv4. -EAFNOSUPPORT for other families, or when `length` (bytes) is
 * too short for the family.
 */
int endpoint_from_sockaddr(const struct sockaddr *from, socklen_t length, struct endpoint *out);

#endif
