/* SPDX-License-Identifier: Apache-2.0 */
/*
 * underlay_tap.h - the underlay TAP: encapsulated super-frames leave the node whole
 *
 * A UDP socket does not take a tunnel super-frame. The most it can be given is a train of segments, and the far end's
 * kernel handles every single one. A TAP of podswitchd's own in the node's namespace takes outer headers, VXLAN header
 * and the pod's super-frame in one write (Linux 6.17), and the node forwards it like a packet that came in by a wire.
 * It is cut as late as the devices on its way allow, and for a gateway on the same node never.
 *
 * What is written is a complete Ethernet frame to the TAP's own MAC, from the node's own address and from the UDP port
 * that a socket of the underlay holds for the flow. Nothing is ever read from the TAP: answers come in by the sockets.
 *
 * egress.h decides which remotes use it.
 *
 * Threads: opened and closed by the control thread; any thread may write headers.
 */
#ifndef PODSWITCH_UNDERLAY_TAP_H
#define PODSWITCH_UNDERLAY_TAP_H

#include "tap/base/wire.h"
#include "tap/tap.h"
#include "vswitch/path/segment.h"

#include <net/if.h>
#include <sys/socket.h>

/* Ethernet, IPv6 and UDP; less with IPv4. */
#define UNDERLAY_TAP_OUTER (ETH_HEADER + IP6_HEADER + UDP_HEADER)
/* The most that the functions below write, bytes. */
#define UNDERLAY_TAP_HEADERS (TAP_TUNNEL_VNET_HEADER + UNDERLAY_TAP_OUTER)

struct underlay_tap {
	int fd;
	char ifname[IFNAMSIZ];
	struct mac mac;
};

/* The outer headers of every datagram to one remote, without lengths, checksums, ECN and source port. */
struct underlay_tap_route {
	uint8_t outer[UNDERLAY_TAP_OUTER];
	uint8_t l4; /* offset of the UDP header, the last of them */
};

/* What differs from flow to flow. */
struct underlay_tap_flow {
	uint16_t source_port; /* host order */
	unsigned ecn;         /* of the outer header */
};

/* Makes the TAP in the current namespace. -ENOTSUP before Linux 6.17, or another error of the kernel. */
int underlay_tap_open(struct underlay_tap **out, struct failure *why);
void underlay_tap_close(struct underlay_tap *tap);

/* Fills *out for datagrams between two addresses of one family; `to` has the UDP port. */
void underlay_tap_route(struct underlay_tap_route *out, const struct underlay_tap *tap,
			const struct sockaddr_storage *from, const struct sockaddr_storage *to);

/*
 * Both write the virtio header and the outer headers to `out`, which has room for UNDERLAY_TAP_HEADERS bytes, and
 * return how many bytes they wrote. The UDP payload follows them.
 */

/* For `total` bytes of datagrams (each VXLAN header and frame) of `size` bytes; the last may have fewer. */
size_t underlay_tap_train(const struct underlay_tap_route *route, const struct underlay_tap_flow *flow, uint32_t size,
			  uint32_t total, uint8_t *out);

/* For a VXLAN header and the super-frame of `plan`, as the pod sent it, with at least two segments. */
size_t underlay_tap_super(const struct underlay_tap_route *route, const struct underlay_tap_flow *flow,
			  const struct segment_plan *plan, uint8_t *out);

/* Whether the super-frame and its outer headers fit one write: the kernel forwards up to 64 KiB whole. */
bool underlay_tap_fits(const struct underlay_tap_route *route, const struct segment_plan *plan);

#endif
