/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spec.h - what a gateway's Service says about its VXLAN network
 *
 * The defaults are pod-gateway's, so that the Service of an unmodified one needs no annotation. No network, no clock.
 * Any thread.
 */
#ifndef PODSWITCH_SPEC_H
#define PODSWITCH_SPEC_H

#include "control/base/names.h"
#include "tap/base/address.h"
#include "tap/base/failure.h"
#include "tap/path_target.h"

#include <jansson.h>

#define SPEC_MAX_NOT_ROUTED 32
#define SPEC_VNI 42
#define SPEC_NETWORK                                                                                                   \
	{                                                                                                              \
		.address = {.bytes = {172, 16, 0, 0}, .family = AF_INET}, .length = 24                                 \
	}
#define SPEC_PORT_NAME "vxlan" /* of the port that counts, where a Service has several for UDP */
#define SPEC_PORT 8472         /* the kernel's default, which pod-gateway uses when VXLAN_PORT is 0 */

enum spec_mode { SPEC_DHCP, SPEC_STATIC };
enum spec_underlay { SPEC_UNDERLAY_UNSET, SPEC_UNDERLAY_AUTO, SPEC_UNDERLAY_HOST, SPEC_UNDERLAY_POD };

struct gateway_spec {
	char namespace[KUBE_LABEL], name[KUBE_LABEL];
	uint32_t vni;
	uint16_t port;     /* UDP, host order: the annotation's, else the Service's first UDP port, else SPEC_PORT */
	bool port_given;   /* by the annotation */
	bool port_guessed; /* the Service has several UDP ports, and none is called SPEC_PORT_NAME: it is the first */
	struct prefix network; /* no host bits */
	bool network_given;    /* by the annotation */
	struct address router; /* the first host of it */
	enum spec_mode mode;
	unsigned mtu;                                  /* bytes; 0: as the path allows */
	enum spec_underlay underlay;                   /* SPEC_UNDERLAY_UNSET: the agent's setting */
	bool gateway_names;                            /* podswitch.io/dns is "gateway" */
	bool foreign_addresses;                        /* podswitch.io/own-addresses is "off" */
	struct path_target probe_target;               /* that shows that it forwards; PATH_NONE: ARP will do */
	unsigned probe_interval;                       /* ms; 0: the agent's setting */
	struct prefix not_routed[SPEC_MAX_NOT_ROUTED]; /* no host bits */
	size_t n_not_routed;
	bool allow_given; /* by the annotation, be it "*" */
	char *allow;      /* namespaces whose pods may use it besides its own, blanks between; NULL: every one */
	json_t *selector; /* of the gateway's own pods, labels and their values; NULL: none */
};

/*
 * Reads a v1 Service. -EINVAL for a malformed annotation, which is the key; the text says what to write instead. After
 * 0, free *out with spec_free(); after an error it holds nothing.
 */
int spec_read(const json_t *service, struct gateway_spec *out, struct failure *why);

/* Whether the Service is annotated with podswitch.io/network, well or not. */
bool spec_names_network(const json_t *service);

/* Frees what `spec` holds and zeroes it; zeroes are accepted. */
void spec_free(struct gateway_spec *spec);

/* Whether the two say the same. */
bool spec_equal(const struct gateway_spec *a, const struct gateway_spec *b);

/*
 * Whether pods of `namespace` may use the gateway. podswitch.io/allow-namespaces lists the namespaces; the gateway's
 * own is always allowed. Without that annotation, which pod-gateway does not have, or with `*` in it, all are.
 */
bool spec_allows(const struct gateway_spec *spec, const char *namespace);

/* Whether a pod of `namespace` with these labels (an object, or NULL) is one of the gateway's own. */
bool spec_selects(const struct gateway_spec *spec, const char *namespace, const json_t *labels);

/* Parses a value of podswitch.io/dns. -EINVAL with `key` and a text that says what to write. */
int spec_parse_dns(const char *key, const char *text, bool *out, struct failure *why);

/* The same for podswitch.io/own-addresses: on or off. */
int spec_parse_own_addresses(const char *key, const char *text, bool *out, struct failure *why);

/*
 * Parses a pod's static address, with or without "/LENGTH", for this gateway: a host of its network that is not the
 * router. -EINVAL with `key` and a text that says what to write.
 */
int spec_address(const struct gateway_spec *spec, const char *key, const char *text, struct prefix *out,
		 struct failure *why);

#endif
