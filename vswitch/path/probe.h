/* SPDX-License-Identifier: Apache-2.0 */
/*
 * probe.h - does what is written to the underlay TAP leave the node unchanged?
 *
 * The node forwards those datagrams like anybody's: a FORWARD policy may drop them, NAT may rewrite them, forwarding
 * may be off. The writer does not notice. So a probe of the same kind is written, a super-frame in a tunnel, and a
 * packet socket watches whether it leaves by one of the node's devices. ETH_P_ALL sockets see what leaves after
 * netfilter and the queueing discipline.
 *
 * The probe really reaches the remote. It has a VXLAN header without the I flag, which every receiver drops (RFC 7348,
 * section 5), and a mark that podswitchd at the far end knows.
 *
 * Control thread. Needs CAP_NET_RAW.
 */
#ifndef PODSWITCH_PROBE_H
#define PODSWITCH_PROBE_H

#include "vswitch/path/underlay_tap.h"

#define PROBE_MAX 64  /* targets in one run */
#define PROBE_WAIT 20 /* milliseconds until a probe counts as lost; other packets may be queued ahead of it */

struct probe_target {
	const struct underlay_tap_route *route;
	uint16_t source_port; /* host order */
	int error; /* out: 0 the probe left the node; -ENETUNREACH it did not; else why it could not be written */
};

/*
 * Probes up to PROBE_MAX targets and fills in their errors. Watches the devices of the current network namespace.
 * Returns 0, or a negative errno when there is no packet socket; then the errors are not filled in. Takes up to
 * PROBE_WAIT.
 */
int probe_run(const struct underlay_tap *tap, struct probe_target *targets, size_t n, struct failure *why);

/* Writes the VXLAN header of a probe, with `id` in the place of the VNI. */
void probe_fill(uint8_t header[static 8], uint32_t id);

/* Whether a received datagram is a probe. */
bool probe_is(const uint8_t *datagram, size_t length);

#endif
