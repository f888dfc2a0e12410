/* SPDX-License-Identifier: Apache-2.0 */
/*
 * probe.h - does what is written to the underlay TAP leave the node, and as it was written?
 *
 * The node forwards those datagrams like anybody's: a FORWARD policy may drop them, NAT may rewrite them, forwarding
 * may be off. Nothing tells the writer. So a datagram of the same kind is written, a super-frame in a tunnel, and a
 * packet socket watches whether it comes out of one of the node's devices (ETH_P_ALL taps see what leaves behind
 * netfilter and the queueing discipline).
 *
 * The probe does reach the remote: it is a VXLAN header without the I flag, which a receiver drops (RFC 7348, section
 * 5), with a mark by which podswitchd at the far end knows it.
 *
 * Control thread. Needs CAP_NET_RAW.
 */
#ifndef PODSWITCH_PROBE_H
#define PODSWITCH_PROBE_H

#include "vswitch/path/underlay_tap.h"

#define PROBE_MAX 64  /* targets of one run */
#define PROBE_WAIT 20 /* milliseconds until what has not left is taken for lost: a queue may be ahead of it */

struct probe_target {
	const struct underlay_tap_route *route;
	uint16_t source_port; /* host order */
	int error; /* out: 0 when the probe left; -ENETUNREACH when it did not; or why it could not be written */
};

/*
 * Probes up to PROBE_MAX targets and fills in their errors; the packet socket sees the current network namespace.
 * Returns 0, or a negative errno when the packet socket could not be had; the errors are not filled then.
 */
int probe_run(const struct underlay_tap *tap, struct probe_target *targets, size_t n, struct failure *why);

/* Whether what arrived is a probe: to be dropped in silence. */
bool probe_is(const uint8_t *datagram, size_t length);

#endif
