/* SPDX-License-Identifier: Apache-2.0 */
/*
 * underlay.h - the UDP sockets of a VTEP in one network namespace, on one VXLAN port
 *
 * Receivers: one socket for each address family and worker, bound to the VXLAN port.
 *
 * Sources: datagrams leave by a pool of sockets bound to ports of the dynamic range. The hash of the inner flow chooses
 * one, so that a flow keeps its source port and the flows spread over the paths of the network (RFC 7348, section 5).
 *
 * Path: one more socket per family only asks the kernel for path MTUs.
 *
 * All of them set DF and never fragment (section 4.3), send a UDP checksum, and accept datagrams without one. They send
 * what the device takes, whatever path MTU the kernel has been told of: what fits the path is the sender's to ask for.
 *
 * Threads: the control thread opens and closes; any thread may use the descriptors.
 */
#ifndef PODSWITCH_UNDERLAY_H
#define PODSWITCH_UNDERLAY_H

#include "tap/base/address.h"
#include "tap/base/failure.h"
#include "vswitch/base/switch_config.h"

#include <stdbool.h>
#include <stdint.h>

#define UNDERLAY_HOST_SOURCES 16 /* source ports of the host underlay; pods have fewer, as each is a descriptor */
#define UNDERLAY_POD_SOURCES 4

#define UNDERLAY_PATH_FLOOR 1280 /* bytes: IPv6's least MTU, which every path in use today takes */

enum { UNDERLAY_IP4, UNDERLAY_IP6, UNDERLAY_FAMILIES };

#define UNDERLAY_MAX_FDS (UNDERLAY_FAMILIES * (SWITCH_MAX_WORKERS + UNDERLAY_HOST_SOURCES + 1))

/* How many sockets of which kind there are; each family that is there has all of them. */
struct underlay_shape {
	uint16_t port; /* UDP, host order */
	unsigned receivers, sources;
	bool has[UNDERLAY_FAMILIES];
};

struct underlay_family {
	int receive[SWITCH_MAX_WORKERS]; /* -1: none */
	int source[UNDERLAY_HOST_SOURCES];
	uint16_t source_port[UNDERLAY_HOST_SOURCES]; /* of `source`, host order */
	int path;                                    /* socket that asks for path MTUs */
};

struct underlay {
	uint16_t port; /* UDP, host order */
	unsigned receivers, sources;
	bool gro;
	struct underlay_family family[UNDERLAY_FAMILIES];
	uint32_t dropped[UNDERLAY_FAMILIES][SWITCH_MAX_WORKERS]; /* the receivers' overruns, when they were last read */
};

/*
 * Opens the sockets in the calling thread's network namespace. `vtep` are local addresses, one a family (family 0:
 * any). With `gro` the kernel may join datagrams of one flow. Without IPv6 in the kernel, the underlay has none.
 * -EADDRINUSE when the port is taken (key "port").
 */
int underlay_open(struct underlay **out, uint16_t port, unsigned receivers, unsigned sources,
		  const struct address vtep[2], bool gro, struct failure *why);
void underlay_close(struct underlay *underlay);

/*
 * For another process: the sockets of an underlay, family by family the receivers, the sources, and the one that asks
 * for paths. Returns how many.
 */
size_t underlay_descriptors(const struct underlay *underlay, struct underlay_shape *shape,
			    int out[static UNDERLAY_MAX_FDS]);

/*
 * The reverse. The descriptors are taken in any case. -EINVAL when they are not what `shape` says, or bound to another
 * address than `vtep`.
 */
int underlay_assemble(struct underlay **out, const struct underlay_shape *shape, const int *fds, size_t n,
		      const struct address vtep[2], bool gro, struct failure *why);

/*
 * Opens further receivers, in the calling thread's network namespace, so that there are as many. From then on the
 * kernel spreads what arrives over them, too. On error there are as many as before.
 */
int underlay_add_receivers(struct underlay *underlay, unsigned receivers, const struct address vtep[2],
			   struct failure *why);

/* What its sockets send has this mark in its own network namespace (SO_MARK). */
void underlay_mark(const struct underlay *underlay, uint32_t mark);

/* The socket by which a flow with this hash leaves for a remote of this family; -1 without that family. */
int underlay_source(const struct underlay *underlay, sa_family_t family, uint64_t hash);

/* The UDP port of that socket, host order. */
uint16_t underlay_source_port(const struct underlay *underlay, sa_family_t family, uint64_t hash);

/*
 * Datagrams that did not fit the receivers' buffers since the last call, as the kernel counts them: what it had joined
 * (UDP_GRO) is one. Control thread.
 */
uint64_t underlay_overruns(struct underlay *underlay);

/*
 * The path MTU to `to`, bytes of the outer IP packet, or a negative errno: as the kernel knows it, but for IPv4 not
 * less than UNDERLAY_PATH_FLOOR unless the node's own device takes less. ICMP that reports less may be anybody's, and
 * stops what it is meant to keep going. Does not block.
 */
int underlay_path_mtu(const struct underlay *underlay, const struct sockaddr_storage *to);

/* The same, and in *from (port 0) the local address from which the sockets would reach `to`. */
int underlay_path(const struct underlay *underlay, const struct sockaddr_storage *to, struct sockaddr_storage *from);

#endif
