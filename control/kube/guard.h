/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guard.h - whose allow list an endpoint is under, whichever Service names it
 *
 * A Service's podswitch.io/allow-namespaces would be worth nothing if another Service led to the same gateway: one of
 * another namespace with an EndpointSlice made by hand, or a second one of its own namespace without the annotation. So
 * the list guards the addresses themselves. One thread, that of the cluster.
 */
#ifndef PODSWITCH_GUARD_H
#define PODSWITCH_GUARD_H

#include "control/kube/cluster.h"
#include "control/kube/spec.h"

/* What is guarded. Zero-initialise it, free it with guards_free(). */
struct guards {
	struct guard *list;
	size_t n;
	struct guard_address *addresses;
	size_t n_addresses;
	bool found, failed; /* failed: for want of memory, it is not complete */
	unsigned version;   /* of the cluster, at that time */
};

/*
 * Takes those of the `n` endpoints of the gateway `spec` out of `list` that another Service guards from pods of
 * `namespace`. Returns how many are left. When one was taken out and none is left, `out` (bytes in `size`) gets a
 * sentence that names the Service and says what to change; else it is "".
 */
size_t guards_filter(struct guards *guards, const struct cluster *cluster, const struct gateway_spec *spec,
		     const char *namespace, struct cluster_endpoint *list, size_t n, char *out, size_t size);

void guards_free(struct guards *guards);

#endif
