/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tap.h - the TAP device that is a pod's port
 *
 * A TAP belongs to the namespace in which its /dev/net/tun was opened, so the caller enters the pod's namespace first.
 * It is persistent: it outlives podswitchd, with everything that the pod configured on it. While nobody has its
 * descriptor open it has no carrier, and what the pod sends goes nowhere (fail closed).
 *
 * Every read and write has a struct virtio_net_hdr of TAP_VNET_HEADER bytes in front of the Ethernet frame.
 */
#ifndef PODSWITCH_TAP_H
#define PODSWITCH_TAP_H

#include "tap/base/address.h"
#include "tap/base/failure.h"

#include <stdbool.h>

#define TAP_VNET_HEADER 10        /* sizeof(struct virtio_net_hdr), bytes */
#define TAP_TUNNEL_VNET_HEADER 24 /* sizeof(struct virtio_net_hdr_v1_hash_tunnel) of Linux 6.17, bytes */

/*
 * Makes the persistent TAP `ifname` in the current namespace. *fd is non-blocking and close-on-exec. No offloads are
 * offered to the pod's kernel yet, so every frame it sends is complete. It may get more queues if steering_works(), and
 * all frames go to the first one. Errors: -EEXIST (the name is taken, key "ifname"), -EINVAL (not an interface name),
 * -ENOENT or -EPERM (/dev/net/tun is missing or forbidden; the text says what to do).
 */
int tap_create(const char *ifname, int *fd, struct failure *why);

/*
 * Opens the persistent TAP that an earlier podswitchd left. -ENODEV when there is none or it is not such a TAP, -EBUSY.
 */
int tap_adopt(const char *ifname, int *fd, struct failure *why);

/*
 * The same, but only of a TAP that has this MAC: -ENODEV when it has another, as that of another pod has in whose
 * namespace we are by mistake.
 */
int tap_adopt_own(const char *ifname, const struct mac *mac, int *fd, struct failure *why);

/*
 * Opens one more queue of the TAP of `first`, which is in the current namespace. What the pod sends gets into it from
 * now on as its steering says (steering.h). -EINVAL: it was made for a single queue. -EBADFD, -ENODEV: it is gone.
 */
int tap_open_queue(int first, int *fd, struct failure *why);

/*
 * Sets what the pod's kernel may leave to us: unfinished checksums, super-frames of TCP, and super-frames of UDP where
 * the kernel has them (Linux 6.2). *uso says whether it has, and so whether UDP super-frames may be written to the TAP,
 * too. With `on` false the pod may leave us nothing. Returns 0, or a negative errno when even checksums are refused;
 * the TAP then has no offloads.
 */
int tap_set_offloads(int fd, bool on, bool *uso);

/*
 * Makes a TAP for podswitchd itself in the current namespace, to write datagrams to as if it were a wire. It is not
 * persistent, and its virtio header of TAP_TUNNEL_VNET_HEADER bytes can describe a super-frame inside a UDP tunnel.
 * `ifname` has room for IFNAMSIZ bytes and is filled in. -ENOTSUP before Linux 6.17, which cannot do this.
 */
int tap_create_underlay(char *ifname, int *fd, struct failure *why);

/*
 * From now on the TAP is deleted when `fd` is closed. Its name, by now, goes to `ifname`, which has room for IFNAMSIZ
 * bytes. -EBADFD: it is gone already.
 */
int tap_forsake(int fd, char *ifname);

#endif
