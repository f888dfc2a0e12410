/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tap.h - the TAP device that is a pod's port
 *
 * A TAP belongs to the namespace its /dev/net/tun was opened in, so the caller enters the pod's namespace first. It is
 * persistent: it outlives podswitchd with everything the pod configured on it, and while nobody holds its descriptor it
 * has no carrier, so that what the pod sends goes nowhere (fail closed).
 *
 * Every read and write carries a struct virtio_net_hdr of TAP_VNET_HEADER bytes in front of the Ethernet frame.
 */
#ifndef PODSWITCH_TAP_H
#define PODSWITCH_TAP_H

#include "tap/base/failure.h"

#include <stdbool.h>

#define TAP_VNET_HEADER 10        /* sizeof(struct virtio_net_hdr), bytes */
#define TAP_TUNNEL_VNET_HEADER 24 /* sizeof(struct virtio_net_hdr_v1_hash_tunnel) of Linux 6.17, bytes */

/*
 * Makes the persistent TAP `ifname` in the current namespace; *fd is non-blocking and close-on-exec. No offload is
 * offered to the pod's kernel yet: what it hands us is complete. Errors: -EEXIST (the name is taken, key "ifname"),
 * -EINVAL (not an interface name), -ENOENT or -EPERM (/dev/net/tun missing or forbidden, the text says what to do).
 */
int tap_create(const char *ifname, int *fd, struct failure *why);

/* Takes up the persistent TAP that an earlier podswitchd left. -ENODEV when there is none or it is no such TAP, -EBUSY.
 */
int tap_adopt(const char *ifname, int *fd, struct failure *why);

/*
 * What the pod's kernel may leave to us: unfinished checksums and super-frames of TCP and, where the kernel knows it
 * (Linux 6.2), of UDP; then *uso is true, and UDP super-frames may be written to the TAP as well. With `on` false
 * nothing. Returns 0, or a negative errno when even checksums are refused, which leaves the TAP without offloads.
 */
int tap_set_offloads(int fd, bool on, bool *uso);

/*
 * Makes a TAP of podswitchd's own in the current namespace, for datagrams that are written to it as if it were a wire:
 * not persistent, with a virtio header of TAP_TUNNEL_VNET_HEADER bytes that can describe a super-frame inside a UDP
 * tunnel. `ifname` has room for IFNAMSIZ bytes and is filled. -ENOTSUP on a kernel without that (before Linux 6.17).
 */
int tap_create_underlay(char *ifname, int *fd, struct failure *why);

/* Makes the TAP vanish and closes `fd` (-1 is accepted). */
void tap_destroy(int fd);

#endif
