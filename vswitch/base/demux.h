/* SPDX-License-Identifier: Apache-2.0 */
/*
 * demux.h - whose datagram is this? (UDP port, outer source, VNI) -> gateway and remote, for the host underlay
 *
 * Several gateways with the same VNI share the sockets of the node. A datagram belongs to the gateway that has its
 * outer source as a remote; if there is none, to the hub with that VNI and port. The control thread builds a new demux
 * whenever gateways change, and puts it in place while the workers are parked; afterwards it is only read.
 */
#ifndef PODSWITCH_DEMUX_H
#define PODSWITCH_DEMUX_H

#include "tap/base/address.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct demux;

struct demux_match {
	uint16_t gateway;  /* 0: none */
	uint16_t remote;   /* valid when `known` */
	bool known;        /* the source is a configured remote of that gateway; else the gateway is a hub */
	bool source_known; /* without a gateway: the source is a remote of some gateway on this port */
};

/* An empty demux for up to `entries` additions; NULL without memory. `secret` is copied. */
struct demux *demux_new(size_t entries, const uint8_t *secret, size_t secret_size);
void demux_free(struct demux *demux);

/*
 * Adds a remote of a gateway or, with `source` NULL, a hub, which gets what no other gateway does. -EEXIST when
 * somebody has port, source and VNI already; *holder (may be NULL) is then that gateway.
 */
int demux_add(struct demux *demux, uint16_t port, const struct address *source, uint32_t vni, uint16_t gateway,
	      uint16_t remote, uint16_t *holder);

/* Any worker. */
struct demux_match demux_find(const struct demux *demux, uint16_t port, const struct address *source, uint32_t vni);

#endif
