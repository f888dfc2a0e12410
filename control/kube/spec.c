/* SPDX-License-Identifier: Apache-2.0 */
/* spec.c - what a gateway's Service says about its VXLAN network */
#include "control/kube/spec.h"

#include "tap/base/breadth.h"
#include "tap/base/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_VNI 0xffffff
#define LEAST_MTU 576
#define MAX_MTU 65000
#define LEAST_INTERVAL 100 /* ms, as podswitchd's --probe-interval */
#define MAX_INTERVAL 250000
#define WORD 128 /* of a list, with its NUL */

#define BLANKS ", \t\r\n" /* between the words of a list */

static const char no_memory[] = "no memory for the gateway's settings";

/* The annotation without blanks around it, to be freed; *out is NULL when it is absent. */
static int read_annotation(const json_t *service, const char *key, char **out, struct failure *why)
{
	const json_t *metadata = json_object_get(service, "metadata");
	const char *text = json_string_value(json_object_get(json_object_get(metadata, "annotations"), key));
	size_t length = text ? text_trim(&text) : 0;

	*out = text ? strndup(text, length) : NULL;
	return text && !*out ? fail(why, -ENOMEM, NULL, "%s", no_memory) : 0;
}

/* -EINVAL with "KEY: 'VALUE' ADVICE". */
static int spec_refuse(struct failure *why, const char *key, const char *value, const char *advice)
{
	char quoted[NAME_QUOTE];

	return fail(why, -EINVAL, key, "%s: %s %s", key, name_quote(value, quoted), advice);
}

/* Digits and nothing else. */
static int parse_number(const char *text, unsigned long least, unsigned long most, unsigned long *out)
{
	size_t digits = strspn(text, "0123456789");
	unsigned long value = 0;

	/* A zero in front is octal to YAML and to some shells, and decimal to others. */
	if (!digits || digits > 8 || text[digits] || (digits > 1 && text[0] == '0'))
		return -EINVAL;
	for (size_t i = 0; i < digits; i++)
		value = 10 * value + (unsigned long)(text[i] - '0');
	if (value < least || value > most)
		return -EINVAL;
	*out = value;
	return 0;
}

static int spec_parse_vni(const char *key, const char *text, struct gateway_spec *spec, struct failure *why)
{
	unsigned long value;

	if (parse_number(text, 0, MAX_VNI, &value))
		return spec_refuse(why, key, text, "is no VXLAN network identifier; write a number from 0 to 16777215");
	spec->vni = (uint32_t)value;
	return 0;
}

static int spec_parse_port(const char *key, const char *text, struct gateway_spec *spec, struct failure *why)
{
	unsigned long value;

	if (parse_number(text, 1, UINT16_MAX, &value))
		return spec_refuse(why, key, text, "is no UDP port; write a number from 1 to 65535");
	spec->port = (uint16_t)value;
	spec->port_given = true;
	return 0;
}

static int spec_parse_mtu(const char *key, const char *text, struct gateway_spec *spec, struct failure *why)
{
	unsigned long value;

	if (parse_number(text, 0, MAX_MTU, &value) || (value && value < LEAST_MTU))
		return spec_refuse(why, key, text,
				   "is no MTU; write 576 to 65000 bytes, or 0 for what the path allows");
	spec->mtu = (unsigned)value;
	return 0;
}

static int spec_parse_probe(const char *key, const char *text, struct gateway_spec *spec, struct failure *why)
{
	struct path_target target = {.kind = PATH_NONE};

	if (!strncmp(text, "http:", 5) || !strncmp(text, "https:", 6))
		return spec_refuse(why, key, text,
				   "is asked by HTTP, which podswitch cannot do yet; write tcp:ADDRESS:PORT of that "
				   "server, icmp:ADDRESS, or arp");
	if (strcmp(text, "arp") != 0 && (path_target_parse(text, &target) || target.kind == PATH_NONE))
		return spec_refuse(why, key, text,
				   "is no probe; write arp, or icmp:ADDRESS or tcp:ADDRESS:PORT with an IPv4 address "
				   "behind the gateway, as icmp:1.1.1.1");
	spec->probe_target = target;
	return 0;
}

static int spec_parse_interval(const char *key, const char *text, struct gateway_spec *spec, struct failure *why)
{
	char number[16];
	size_t digits = strspn(text, "0123456789");
	const char *unit = text + digits;
	unsigned long value, scale = !strcmp(unit, "ms") ? 1 : 1000;

	snprintf(number, sizeof(number), "%.*s", (int)(digits < sizeof(number) ? digits : sizeof(number)), text);
	if ((*unit && strcmp(unit, "s") != 0 && scale != 1) || parse_number(number, 1, MAX_INTERVAL, &value) ||
	    value * scale < LEAST_INTERVAL || value * scale > MAX_INTERVAL)
		return spec_refuse(why, key, text, "is no interval; write 100ms to 250s, as 500ms or 2s");
	spec->probe_interval = (unsigned)(value * scale);
	return 0;
}

/* The networks that machines may have addresses of: neither "this", loopback, nor multicast and above. */
static bool is_unicast(const struct prefix *network)
{
	uint8_t first = network->address.bytes[0];

	return first != 0 && first != 127 && first < 224;
}

/* pod-gateway writes the three octets of a /24. */
static int parse_three_octets(const char *text, struct prefix *out)
{
	char whole[WORD];
	size_t dots = 0;

	for (const char *c = text; *c; c++)
		dots += *c == '.';
	if (dots != 2 || strlen(text) + sizeof(".0/24") > sizeof(whole))
		return -EINVAL;
	snprintf(whole, sizeof(whole), "%s.0/24", text);
	return prefix_parse(whole, out);
}

static int parse_network(const char *key, const char *text, struct gateway_spec *spec, struct failure *why)
{
	static const char advice[] = "is no network; write an IPv4 network such as 172.16.0.0/24, of /8 to /30";
	struct prefix found;
	char network[ADDRESS_TEXT], quoted[NAME_QUOTE];

	if (parse_three_octets(text, &found) && (!strchr(text, '/') || prefix_parse(text, &found)))
		return spec_refuse(why, key, text, advice);
	if (found.address.family != AF_INET || found.length < 8 || found.length > 30 || !is_unicast(&found))
		return spec_refuse(why, key, text, advice);
	spec->network = prefix_network(&found);
	spec->network_given = true;
	if (!prefix_equal(&found, &spec->network))
		return fail(why, -EINVAL, key, "%s: %s is an address in a network; write the network itself, %s", key,
			    name_quote(text, quoted), prefix_format(&spec->network, network));
	return 0;
}

/* The first host of the network. */
static void set_router(struct gateway_spec *spec)
{
	spec->router = spec->network.address;
	spec->router.bytes[3] |= 1;
}

static int parse_mode(const char *key, const char *text, struct gateway_spec *spec, struct failure *why)
{
	if (!strcmp(text, "dhcp"))
		spec->mode = SPEC_DHCP;
	else if (!strcmp(text, "static"))
		spec->mode = SPEC_STATIC;
	else
		return spec_refuse(why, key, text, "is neither dhcp nor static; write one of them");
	return 0;
}

static int spec_parse_underlay(const char *key, const char *text, struct gateway_spec *spec, struct failure *why)
{
	if (!strcmp(text, "auto"))
		spec->underlay = SPEC_UNDERLAY_AUTO;
	else if (!strcmp(text, "host"))
		spec->underlay = SPEC_UNDERLAY_HOST;
	else if (!strcmp(text, "pod"))
		spec->underlay = SPEC_UNDERLAY_POD;
	else
		return spec_refuse(why, key, text, "is none of auto, host and pod; write one of them");
	return 0;
}

int spec_parse_dns(const char *key, const char *text, bool *out, struct failure *why)
{
	if (strcmp(text, "gateway") != 0 && strcmp(text, "cluster") != 0)
		return spec_refuse(why, key, text, "is neither gateway nor cluster; write whom names are asked of");
	*out = !strcmp(text, "gateway");
	return 0;
}

static int parse_names(const char *key, const char *text, struct gateway_spec *spec, struct failure *why)
{
	return spec_parse_dns(key, text, &spec->gateway_names, why);
}

int spec_parse_own_addresses(const char *key, const char *text, bool *out, struct failure *why)
{
	if (strcmp(text, "on") != 0 && strcmp(text, "off") != 0)
		return spec_refuse(why, key, text,
				   "is neither on nor off; off lets pods send in the name of other addresses");
	*out = !strcmp(text, "on");
	return 0;
}

static int parse_foreign(const char *key, const char *text, struct gateway_spec *spec, struct failure *why)
{
	bool own = true;
	int code = spec_parse_own_addresses(key, text, &own, why);

	spec->foreign_addresses = !own;
	return code;
}

/* Takes the next word off the list at *text, cut if it is too long. False at the end. */
static bool spec_next_word(const char **text, char out[static WORD])
{
	const char *start = *text + strspn(*text, BLANKS);
	size_t length = strcspn(start, BLANKS), cut = length < WORD ? length : WORD - 1;

	*text = start + length;
	memcpy(out, start, cut);
	out[cut] = '\0';
	return length != 0;
}

static int add_not_routed(const char *key, const char *word, struct gateway_spec *spec, struct failure *why)
{
	struct prefix network;

	if (prefix_parse(word, &network))
		return spec_refuse(why, key, word,
				   "is no network; write networks such as 10.0.0.0/8, commas between them");
	if (!network.length)
		return spec_refuse(why, key, word,
				   "would leave nothing to the gateway; to opt pods out, annotate them with "
				   "podswitch.io/gateway: none");
	if (spec->n_not_routed == SPEC_MAX_NOT_ROUTED)
		return spec_refuse(why, key, word, "is one network too many; write 32 at most, larger ones instead");
	spec->not_routed[spec->n_not_routed] = prefix_network(&network);
	if (breadth_exceeds(spec->not_routed, spec->n_not_routed + 1, 1))
		return spec_refuse(why, key, word,
				   "is too much: more than an eighth of IPv4, or than a /12 of IPv6, would go around "
				   "the gateway; write smaller networks");
	spec->n_not_routed++;
	return 0;
}

static int parse_not_routed(const char *key, const char *text, struct gateway_spec *spec, struct failure *why)
{
	char word[WORD];
	int code = 0;

	while (!code && spec_next_word(&text, word))
		code = add_not_routed(key, word, spec, why);
	return code;
}

static int spec_parse_allow(const char *key, const char *text, struct gateway_spec *spec, struct failure *why)
{
	const char *rest = text;
	char word[WORD];
	bool all = false;

	spec->allow_given = true;
	while (spec_next_word(&rest, word)) {
		if (!strcmp(word, "*"))
			all = true;
		else if (!name_is_label(word, strlen(word)))
			return spec_refuse(why, key, word,
					   "is no namespace; write names of namespaces, commas between them, or *");
	}
	if (all)
		return 0;
	spec->allow = strdup(text);
	return spec->allow ? 0 : fail(why, -ENOMEM, NULL, "%s", no_memory);
}

static const struct {
	const char *key;
	int (*parse)(const char *key, const char *text, struct gateway_spec *spec, struct failure *why);
} known[] = {
	{"podswitch.io/vni", spec_parse_vni},
	{"podswitch.io/port", spec_parse_port},
	{"podswitch.io/network", parse_network},
	{"podswitch.io/mode", parse_mode},
	{"podswitch.io/mtu", spec_parse_mtu},
	{"podswitch.io/underlay", spec_parse_underlay},
	{"podswitch.io/dns", parse_names},
	{"podswitch.io/not-routed", parse_not_routed},
	{"podswitch.io/allow-namespaces", spec_parse_allow},
	{"podswitch.io/probe", spec_parse_probe},
	{"podswitch.io/probe-interval", spec_parse_interval},
	{"podswitch.io/own-addresses", parse_foreign},
};

static uint16_t port_of(const json_t *entry)
{
	const json_t *target = json_object_get(entry, "targetPort");
	json_int_t port = json_integer_value(json_is_integer(target) ? target : json_object_get(entry, "port"));

	return port > 0 && port <= UINT16_MAX ? (uint16_t)port : 0;
}

static bool is_udp(const json_t *entry)
{
	const char *protocol = json_string_value(json_object_get(entry, "protocol"));

	return protocol && !strcmp(protocol, "UDP") && port_of(entry);
}

/* The port called vxlan, else the first one for UDP; 0: there is none. */
static uint16_t find_udp_port(const json_t *service, bool *guessed)
{
	const json_t *ports = json_object_get(json_object_get(service, "spec"), "ports");
	uint16_t first = 0;
	size_t n = 0;

	*guessed = false;
	for (size_t i = 0; i < json_array_size(ports); i++) {
		const json_t *entry = json_array_get(ports, i);
		const char *name = json_string_value(json_object_get(entry, "name"));
		if (!is_udp(entry))
			continue;
		if (name && !strcmp(name, SPEC_PORT_NAME)) {
			*guessed = false;
			return port_of(entry);
		}
		first = first ? first : port_of(entry);
		*guessed = ++n > 1;
	}
	return first;
}

static int read_name(const json_t *service, const char *key, char out[static KUBE_LABEL], struct failure *why)
{
	const char *text = json_string_value(json_object_get(json_object_get(service, "metadata"), key));

	if (!text || !name_is_label(text, strlen(text)))
		return fail(why, -EINVAL, key, "%s: a Service has one of up to 63 small letters, digits and -", key);
	snprintf(out, KUBE_LABEL, "%s", text);
	return 0;
}

static int read_selector(const json_t *service, struct gateway_spec *spec, struct failure *why)
{
	const json_t *selector = json_object_get(json_object_get(service, "spec"), "selector");

	/* An empty selector selects nothing: such endpoints are made by hand. */
	if (!json_is_object(selector) || !json_object_size(selector))
		return 0;
	spec->selector = json_deep_copy(selector);
	return spec->selector ? 0 : fail(why, -ENOMEM, NULL, "%s", no_memory);
}

static int spec_read_all(const json_t *service, struct gateway_spec *spec, struct failure *why)
{
	char *text;
	uint16_t port = find_udp_port(service, &spec->port_guessed);
	int code = read_name(service, "name", spec->name, why);

	if (!code)
		code = read_name(service, "namespace", spec->namespace, why);
	if (port)
		spec->port = port;
	for (size_t i = 0; !code && i < sizeof(known) / sizeof(known[0]); i++) {
		code = read_annotation(service, known[i].key, &text, why);
		/* A template with a value that is not set leaves it empty. For a list of who may, that says: nobody. */
		if (text && (*text || known[i].parse == spec_parse_allow))
			code = known[i].parse(known[i].key, text, spec, why);
		free(text);
	}
	set_router(spec);
	return code ? code : read_selector(service, spec, why);
}

bool spec_names_network(const json_t *service)
{
	const json_t *annotations = json_object_get(json_object_get(service, "metadata"), "annotations");
	const char *text = json_string_value(json_object_get(annotations, "podswitch.io/network"));

	return text && text_trim(&text);
}

int spec_read(const json_t *service, struct gateway_spec *out, struct failure *why)
{
	*out = (struct gateway_spec){
		.vni = SPEC_VNI,
		.port = SPEC_PORT,
		.network = SPEC_NETWORK,
	};
	int code = spec_read_all(service, out, why);
	if (code)
		spec_free(out);
	return code;
}

void spec_free(struct gateway_spec *spec)
{
	free(spec->allow);
	json_decref(spec->selector);
	*spec = (struct gateway_spec){0};
}

bool spec_equal(const struct gateway_spec *a, const struct gateway_spec *b)
{
	bool same = !strcmp(a->namespace, b->namespace) && !strcmp(a->name, b->name) && a->vni == b->vni &&
		    a->port == b->port && a->port_given == b->port_given && prefix_equal(&a->network, &b->network) &&
		    a->mode == b->mode && a->mtu == b->mtu && a->underlay == b->underlay &&
		    a->gateway_names == b->gateway_names && a->foreign_addresses == b->foreign_addresses &&
		    path_target_equal(&a->probe_target, &b->probe_target) && a->probe_interval == b->probe_interval &&
		    a->n_not_routed == b->n_not_routed;

	for (size_t i = 0; same && i < a->n_not_routed; i++)
		same = prefix_equal(&a->not_routed[i], &b->not_routed[i]);
	if (!same || a->allow_given != b->allow_given || !a->allow != !b->allow || !a->selector != !b->selector)
		return false;
	return (!a->allow || !strcmp(a->allow, b->allow)) && (!a->selector || json_equal(a->selector, b->selector));
}

bool spec_allows(const struct gateway_spec *spec, const char *namespace)
{
	const char *rest = spec->allow;
	char word[WORD];

	if (!rest || !strcmp(namespace, spec->namespace))
		return true;
	while (spec_next_word(&rest, word)) {
		if (!strcmp(word, namespace))
			return true;
	}
	return false;
}

bool spec_selects(const struct gateway_spec *spec, const char *namespace, const json_t *labels)
{
	const char *key;
	json_t *value;

	if (!spec->selector || strcmp(namespace, spec->namespace) != 0)
		return false;
	json_object_foreach(spec->selector, key, value)
	{
		const json_t *label = json_object_get(labels, key);
		if (!label || !json_equal(value, label))
			return false;
	}
	return true;
}

static bool is_broadcast(const struct prefix *prefix)
{
	struct prefix network = prefix_network(prefix);

	for (unsigned bit = network.length; bit < 32; bit++)
		network.address.bytes[bit / 8] |= (uint8_t)(0x80 >> bit % 8);
	return address_equal(&network.address, &prefix->address);
}

/* What is wrong with the address; NULL: nothing. */
static const char *judge_address(const struct gateway_spec *spec, const struct prefix *address)
{
	if (!prefix_contains(&spec->network, &address->address))
		return "is not in the gateway's network";
	if (address->length != spec->network.length)
		return "does not have the length of the gateway's network";
	if (address_equal(&address->address, &spec->network.address) || is_broadcast(address))
		return "is the address of no one host";
	return address_equal(&address->address, &spec->router) ? "is the gateway's own" : NULL;
}

int spec_address(const struct gateway_spec *spec, const char *key, const char *text, struct prefix *out,
		 struct failure *why)
{
	struct prefix found = {0};
	char quoted[NAME_QUOTE], network[ADDRESS_TEXT], router[ADDRESS_TEXT];
	const char *wrong = "is no address";

	if (!prefix_parse(text, &found)) {
		if (!strchr(text, '/'))
			found.length = spec->network.length;
		wrong = judge_address(spec, &found);
	}
	if (wrong)
		return fail(why, -EINVAL, key, "%s: %s %s; write a free host of %s, with /%u, that is not %s", key,
			    name_quote(text, quoted), wrong, prefix_format(&spec->network, network),
			    spec->network.length, address_format(&spec->router, router));
	*out = found;
	return 0;
}
