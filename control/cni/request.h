/* SPDX-License-Identifier: Apache-2.0 */
/*
 * request.h - a network configuration, as a container runtime passes it on standard input
 *
 * Unknown keys are ignored: runtimes and other programs add their own. Any thread.
 */
#ifndef PODSWITCH_REQUEST_H
#define PODSWITCH_REQUEST_H

#include "control/cni/refusal.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#define REQUEST_SOCKET "/run/podswitch/control.sock"
#define REQUEST_IFNAME "vx0"
#define REQUEST_TIMEOUT 20 /* seconds */
#define REQUEST_SKIP "kube-system,podswitch"
#define REQUEST_KNOWN "/var/lib/podswitch/known.json"
#define REQUEST_ANNOTATIONS "io.kubernetes.cri.pod-annotations" /* a capability of containerd and CRI-O */
#define REQUEST_MAX (4UL << 20)                                 /* bytes of a configuration */

struct request {
	json_t *document;         /* NULL: nothing was read */
	enum cni_version version; /* CNI_VERSIONS: not known */
	char network[256];        /* `name`, or "" */
	char socket[108];         /* podswitchd's */
	char agent_socket[108];
	char ifname[16];     /* of our interface when we are chained behind another plugin */
	unsigned timeout;    /* seconds */
	char gateway[254];   /* NAME.NAMESPACE, or "" */
	char skip[1024];     /* namespaces whose pods start without a question, with commas or blanks between */
	char known[256];     /* the agent's file (known.h) */
	bool fail_status;    /* STATUS fails while no gateway can be given */
	json_t *annotations; /* the pod's, an object; NULL: not handed over. Borrowed from `document` */
	json_t *previous;    /* the result of the plugins before us, an object; NULL: there is none. Borrowed */
	json_t *valid;       /* GC: an array of objects; NULL: not given. Borrowed */
};

/* The settings without a configuration. */
void request_defaults(struct request *request);

/*
 * Reads `length` bytes of JSON. 0 or a CNI code; request_free() is needed in both cases. After an error `out` has the
 * keys that could be read, so that a DEL can go on with them.
 */
enum cni_code request_read(const char *text, size_t length, struct request *out, struct refusal *why);

void request_free(struct request *request);

/* The path of the agent's socket, beside podswitchd's. CNI_BAD_CONFIG when it would be too long. */
enum cni_code request_agent_beside(const char *socket, char out[108], struct refusal *why);

#endif
