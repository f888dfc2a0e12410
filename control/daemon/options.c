/* SPDX-License-Identifier: Apache-2.0 */
/* options.c - the options of gateways, ports and FDB entries */
#include "control/daemon/options.h"
#include "tap/base/breadth.h"

#include <ctype.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- values ---- */

int parse_name(const char *label, const char *text, void *into, struct failure *why)
{
	if (!switch_name_valid(text))
		return fail(
			why, -EINVAL, label,
			"%s: '%.64s' is not a name; give 1 to %d of A-Z a-z 0-9 . _ : @ -, not starting with . or -",
			label, text, SWITCH_NAME - 1);
	memcpy(into, text, strlen(text) + 1);
	return 0;
}

static int parse_unicast_mac(const char *label, const char *text, struct mac *out, struct failure *why)
{
	struct mac mac;
	if (mac_parse(text, &mac))
		return fail(why, -EINVAL, label, "%s: '%.64s' is not a MAC address; write it as 02:00:00:00:00:01",
			    label, text);
	if (!mac_is_unicast(&mac))
		return fail(
			why, -EINVAL, label,
			"%s: %.64s is a group address or zero; the first byte must be even, as in 02:00:00:00:00:01",
			label, text);
	*out = mac;
	return 0;
}

static int check_one_host(const char *label, const char *text, const struct address *address, struct failure *why)
{
	static const uint8_t zero[16];
	const uint8_t *bytes = address->bytes;
	bool host = address->family == AF_INET ? bytes[0] != 0 && bytes[0] < 224
					       : bytes[0] != 0xff && memcmp(bytes, zero, sizeof(zero)) != 0;
	if (host)
		return 0;
	return fail(why, -EINVAL, label, "%s: '%.64s' is not the address of one machine; give a unicast address", label,
		    text);
}

int parse_host_address(const char *label, const char *text, struct address *out, struct failure *why)
{
	struct address address = {0};
	if (address_parse(text, &address))
		return option_refuse(label, text, "an IP address", why);
	int error = check_one_host(label, text, &address, why);
	if (!error)
		*out = address;
	return error;
}

static int parse_host_endpoint(const char *label, const char *text, struct endpoint *out, struct failure *why)
{
	struct endpoint endpoint = {0};
	if (endpoint_parse(text, &endpoint))
		return option_refuse(label, text, "an IP address; give ADDRESS, ADDRESS:PORT or [ADDRESS]:PORT", why);
	int error = check_one_host(label, text, &endpoint.address, why);
	if (!error)
		*out = endpoint;
	return error;
}

/* ---- gateways ---- */

static int parse_gateway_remote(const char *label, const char *text, void *into, struct failure *why)
{
	struct gateway_config *config = into;
	struct endpoint remote;
	if (!text) {
		config->n_remotes = 0;
		return 0;
	}
	int error = parse_host_endpoint(label, text, &remote, why);
	if (error)
		return error;
	for (size_t i = 0; i < config->n_remotes; i++)
		if (endpoint_equal(&config->remotes[i], &remote))
			return fail(why, -EINVAL, label, "%s: '%.64s' is given twice", label, text);
	config->remotes[config->n_remotes++] = remote;
	return 0;
}

static int parse_gateway_allow(const char *label, const char *text, void *into, struct failure *why)
{
	struct gateway_config *config = into;
	struct prefix allow = {0};
	if (!text) {
		config->n_allow = 0;
		return 0;
	}
	if (prefix_parse(text, &allow))
		return option_refuse(label, text, "a prefix; give ADDRESS/LENGTH or ADDRESS", why);
	config->allow[config->n_allow++] = allow;
	return 0;
}

const char *const underlay_words[] = {[UNDERLAY_AUTO] = "auto", [UNDERLAY_HOST] = "host", [UNDERLAY_POD] = "pod", NULL};

#define OPTIONS struct gateway_config
const struct option_spec gateway_options[] = {
	OPTION_VALUE("name", 0, "NAME", name, parse_name, "the gateway's name", .positional = true,
		     .required = "a name for it"),
	/* 0 is a VNI like others, to RFC 7348 and to the kernel's vxlan device. */
	OPTION_NUMBER("vni", 0, "N", vni, 0, 0xffffff, "the VXLAN network identifier, 0 to 16777215",
		      .required = "its VXLAN network identifier, 0 to 16777215"),
	OPTION_PARSED("remote", 0, "ADDRESS[:PORT]", OPTION_LIST, GATEWAY_MAX_REMOTES, parse_gateway_remote,
		      "where the gateway is; none: this is a hub, which learns its remotes"),
	OPTION_NUMBER("port", 0, "N", port, 1, 65535, "the UDP port to receive on and to send to (4789)"),
	OPTION_CHOICE("underlay", 0, "auto|host|pod", underlay, underlay_words,
		      "whose network carries the datagrams (auto)"),
	OPTION_NUMBER("mtu", 0, "N", mtu, 576, 65000, "MTU of the pods' interfaces, bytes; 0: what the path allows (0)",
		      .or_zero = true),
	OPTION_SWITCH("learning", learning, "learn MAC addresses from what arrives (on)"),
	OPTION_SWITCH("isolate", isolate, "keep the gateway's pods apart from each other (on)"),
	OPTION_SWITCH("clamp-mss", clamp_mss, "lower the segment size of TCP connections to what the MTU takes (on)"),
	OPTION_PARSED("allow", 0, "CIDR", OPTION_LIST, GATEWAY_MAX_ALLOW, parse_gateway_allow,
		      "hubs only: from whom to learn remotes (anyone)"),
	{0},
};
#undef OPTIONS

#define OPTIONS struct gateway_removal
const struct option_spec gateway_removal_options[] = {
	OPTION_VALUE("name", 0, "NAME", name, parse_name, "the gateway to remove", .positional = true,
		     .required = "the gateway to remove"),
	OPTION_FLAG("force", 0, force, "even if ports use it; they stay, detached, and drop everything"),
	{0},
};
#undef OPTIONS

/* ---- ports ---- */

static int parse_netns(const char *label, const char *text, void *into, struct failure *why)
{
	size_t length = strlen(text);
	char *end;
	long long pid = strtoll(text, &end, 10);
	if (length && !*end && (pid < 1 || pid > INT_MAX))
		return fail(why, -EINVAL, label, "%s: %lld is not a process id; give 1 to %d", label, pid, INT_MAX);
	if (!length || length >= SWITCH_NETNS)
		return fail(why, -EINVAL, label, "%s: must have 1 to %d characters", label, SWITCH_NETNS - 1);
	memcpy(into, text, length + 1);
	return 0;
}

/* As the kernel decides, and no '%', which it would replace by a number. */
static int parse_ifname(const char *label, const char *text, void *into, struct failure *why)
{
	bool valid = strcmp(text, ".") != 0 && strcmp(text, "..") != 0;
	size_t length = strlen(text);
	for (const char *c = text; *c; c++)
		valid = valid && *c > ' ' && *c != 0x7f && !strchr("/:%", *c);
	if (!length || length >= IFNAMSIZ || !valid)
		return fail(why, -EINVAL, label,
			    "%s: '%.32s' is not an interface name; give 1 to %d characters without blanks / : %%",
			    label, text, IFNAMSIZ - 1);
	memcpy(into, text, length + 1);
	return 0;
}

static int parse_port_mac(const char *label, const char *text, void *into, struct failure *why)
{
	struct port_config *config = into;
	config->has_mac = strcmp(text, "auto") != 0;
	return config->has_mac ? parse_unicast_mac(label, text, &config->link.mac, why) : 0;
}

static int parse_port_address(const char *label, const char *text, void *into, struct failure *why)
{
	struct link_config *link = into;
	struct prefix address = {0};
	struct address bare;
	char plain[ADDRESS_TEXT];
	if (!text) {
		link->n_addresses = 0;
		return 0;
	}
	/* Without a length it would be /32, which reaches nobody: that was forgotten rather than meant. */
	if (!strchr(text, '/') || prefix_parse(text, &address))
		return option_refuse(label, text, "an address; give ADDRESS/LENGTH, as 172.16.0.10/24", why);
	int error = parse_host_address(label, address_format(&address.address, plain), &bare, why);
	if (error)
		return error;
	for (size_t i = 0; i < link->n_addresses; i++)
		if (prefix_equal(&link->addresses[i], &address))
			return fail(why, -EINVAL, label, "%s: '%.64s' is given twice", label, text);
	link->addresses[link->n_addresses++] = address;
	return 0;
}

static int parse_router(const char *label, const char *text, void *into, struct failure *why)
{
	if (strcmp(text, "none") != 0)
		return parse_host_address(label, text, into, why);
	*(struct address *)into = (struct address){0};
	return 0;
}

static int parse_port_route(const char *label, const char *text, void *into, struct failure *why)
{
	struct link_config *link = into;
	struct link_route route = {0};
	char to[ADDRESS_TEXT + 1];
	if (!text) {
		link->n_routes = 0;
		return 0;
	}
	const char *comma = strchr(text, ',');
	size_t length = comma ? (size_t)(comma - text) : strlen(text);
	snprintf(to, sizeof(to), "%.*s", (int)(length < sizeof(to) ? length : sizeof(to)), text);
	if (length >= sizeof(to) || prefix_parse(to, &route.to))
		return option_refuse(label, text, "a route; give ADDRESS/LENGTH or ADDRESS/LENGTH,VIA", why);
	int error = comma ? parse_host_address(label, comma + 1, &route.via, why) : 0;
	if (error)
		return error;
	if (comma && route.via.family != route.to.address.family)
		return fail(why, -EINVAL, label, "%s: '%.64s' mixes IPv4 and IPv6", label, text);
	link->routes[link->n_routes++] = route;
	return 0;
}

/* As DHCP servers take it: they put it into DNS (RFC 1123, section 2.1). */
static int parse_hostname(const char *label, const char *text, void *into, struct failure *why)
{
	size_t length = strlen(text);
	for (const char *c = text; *c; c++)
		if (!isalnum((unsigned char)*c) && *c != '-' && *c != '.')
			length = PORT_HOSTNAME;
	if (length >= PORT_HOSTNAME)
		return fail(why, -EINVAL, label, "%s: '%.64s' is not a host name; give up to %d of A-Z a-z 0-9 - .",
			    label, text, PORT_HOSTNAME - 1);
	memcpy(into, text, length + 1);
	return 0;
}

static int parse_port_keep(const char *label, const char *text, void *into, struct failure *why)
{
	struct port_config *config = into;
	int error = text ? option_parse_network(label, text, &config->keep[config->n_keep], why) : 0;
	if (text && !error && breadth_exceeds(config->keep, config->n_keep + 1, BREADTH_ALL))
		error = fail(why, -EINVAL, label,
			     "%s: '%.64s' is too much: more than half of IPv4, or than four /12 of IPv6, would go "
			     "around the gateway; give smaller networks, or make the port not exclusive",
			     label, text);
	if (!error)
		config->n_keep = text ? config->n_keep + 1 : 0;
	return error;
}

static int parse_probe_target(const char *label, const char *text, void *into, struct failure *why)
{
	if (path_target_parse(text, into))
		return option_refuse(label, text, "a target; give icmp:ADDRESS, tcp:ADDRESS:PORT (IPv4) or none", why);
	return 0;
}

static int parse_port_network(const char *label, const char *text, void *into, struct failure *why)
{
	if (strcmp(text, "none") != 0)
		return option_parse_network(label, text, into, why);
	*(struct prefix *)into = (struct prefix){0};
	return 0;
}

static const char *const dns_words[] = {"cluster", "gateway", NULL};

#define OPTIONS struct port_config
const struct option_spec port_options[] = {
	OPTION_VALUE("name", 0, "NAME", name, parse_name, "the port's name", .positional = true,
		     .required = "a name for it"),
	OPTION_VALUE("gateway", 0, "GATEWAY", gateway, parse_name, "the gateway it is attached to; none detaches it",
		     .required = "the gateway it belongs to"),
	OPTION_PARSED("netns", 0, "NETNS", OPTION_ID, 0, parse_netns,
		      "the pod's network namespace: a name under /run/netns, a path, or a process id", OPTION_AT(netns),
		      .required = "a name under /run/netns, a path, or a process id"),
	OPTION_VALUE("ifname", 0, "NAME", ifname, parse_ifname,
		     "the interface's name in the pod; cannot be changed later (vx0)"),
	OPTION_PARSED("mac", 0, "MAC", OPTION_VALUE, 0, parse_port_mac,
		      "its MAC address; auto makes one from the port's name (auto)"),
	OPTION_PARSED("address", 0, "CIDR", OPTION_LIST, LINK_MAX_ADDRESSES, parse_port_address,
		      "an address of the interface", OPTION_AT(link)),
	OPTION_FLAG("dhcp", 0, dhcp, "ask the gateway for an address and the default route by DHCP"),
	OPTION_VALUE("hostname", 0, "NAME", hostname, parse_hostname, "host name for the DHCP server"),
	OPTION_NUMBER("probe", 0, "SECONDS", probe, 0, PORT_MAX_PROBE,
		      "how often to check by ARP that the router answers; 0: never (0)"),
	OPTION_NUMBER("probe-interval", 0, "MS", probe_interval, PORT_LEAST_INTERVAL, PORT_MAX_PROBE * 1000,
		      "the same in milliseconds, 100 to 250000, which wins; 0: as probe says (0)", .or_zero = true),
	OPTION_VALUE("probe-target", 0, "TARGET", probe_target, parse_probe_target,
		     "what must answer behind the router, too: icmp:ADDRESS or tcp:ADDRESS:PORT; none: nothing (none)"),
	OPTION_SWITCH("exclusive", exclusive, "make it the pod's only way out: disable all other default routes (off)"),
	OPTION_PARSED("keep", 0, "CIDR", OPTION_LIST, PORT_MAX_KEEP, parse_port_keep,
		      "with exclusive: a network that the pod reaches by its first interface"),
	OPTION_CHOICE("dns", 0, "cluster|gateway", gateway_names, dns_words,
		      "with exclusive: what the pod asks at port 53 goes where it is sent, or to the router (cluster)"),
	OPTION_SWITCH("inbound", inbound,
		      "with exclusive: answers to who connected by another interface leave by it (off)"),
	OPTION_SWITCH("own-addresses", own_addresses,
		      "drop what the pod sends in the name of addresses that are not the port's (off)"),
	OPTION_VALUE("network", 0, "CIDR", network, parse_port_network,
		     "with dhcp: refuse a lease outside of this network; none: accept any (none)"),
	OPTION_VALUE(
		"expect-router", 0, "ADDRESS", expect_router, parse_router,
		"with dhcp: who is asked by ARP, while there is no lease, whether the gateway is there; none (none)"),
	OPTION_VALUE("default-via", 0, "ADDRESS", link.default_via, parse_router,
		     "the default route's next hop; none removes it"),
	OPTION_PARSED("route", 0, "CIDR[,ADDRESS]", OPTION_LIST, LINK_MAX_ROUTES, parse_port_route,
		      "a route through the interface, on link or through ADDRESS", OPTION_AT(link)),
	OPTION_NUMBER("mtu", 0, "N", link.mtu, 576, 65000, "MTU of the interface, bytes; 0: the gateway's (0)",
		      .or_zero = true),
	{0},
};
#undef OPTIONS

#define OPTIONS struct port_removal
const struct option_spec port_removal_options[] = {
	OPTION_VALUE("name", 0, "NAME", name, parse_name, "the port to remove", .positional = true,
		     .required = "the name of one"),
	OPTION_FLAG("closed", 0, closed, "of an exclusive port: do not restore the pod's own default route"),
	{0},
};
#undef OPTIONS

/* ---- the FDB ---- */

static int parse_fdb_mac(const char *label, const char *text, void *into, struct failure *why)
{
	return parse_unicast_mac(label, text, into, why);
}

static int parse_fdb_remote(const char *label, const char *text, void *into, struct failure *why)
{
	return parse_host_endpoint(label, text, into, why);
}

#define OPTIONS struct fdb_params
const struct option_spec fdb_filter_options[] = {
	OPTION_VALUE("gateway", 0, "GATEWAY", gateway, parse_name, "only of this gateway"),
	{0},
};

const struct option_spec fdb_key_options[] = {
	OPTION_VALUE("gateway", 0, "GATEWAY", gateway, parse_name, "the gateway in whose network the MAC is",
		     .required = "the gateway it belongs to"),
	OPTION_VALUE("mac", 0, "MAC", mac, parse_fdb_mac, "the MAC address", .required = "its MAC address"),
	{0},
};

const struct option_spec fdb_entry_options[] = {
	OPTION_VALUE("gateway", 0, "GATEWAY", gateway, parse_name, "the gateway in whose network the MAC is",
		     .required = "the gateway it belongs to"),
	OPTION_VALUE("mac", 0, "MAC", mac, parse_fdb_mac, "the MAC address", .required = "its MAC address"),
	OPTION_VALUE("port", 0, "PORT", port, parse_name, "it is behind this port of the gateway"),
	OPTION_VALUE("remote", 0, "ADDRESS[:PORT]", remote, parse_fdb_remote, "it is behind this remote"),
	{0},
};
#undef OPTIONS

struct instance_params {
	char instance[INSTANCE_SIZE];
};
#define OPTIONS struct instance_params
const struct option_spec instance_options[] = {
	OPTION_STRING("instance", 0, "NAME", instance,
		      "fail unless this is the --instance of the one that answers, or of one with --standby"),
	{0},
};
#undef OPTIONS

#define OPTIONS struct port_removal
const struct option_spec name_options[] = {
	OPTION_VALUE("name", 0, "NAME", name, parse_name, "the name of one", .positional = true,
		     .required = "the name of one"),
	{0},
};
#undef OPTIONS
