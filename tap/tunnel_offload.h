/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tunnel_offload.h - whether a tunnel super-frame leaves the node whole
 *
 * The device by which datagrams leave either takes super-frames in a UDP tunnel, with a checksum in the outer header,
 * and has them cut by a card or by nobody (veth), or the kernel cuts them in software before. A bond or VLAN has what
 * those below it have; a bridge answers for itself, as its ports need not be alike. In the namespace of the calling
 * thread.
 */
#ifndef PODSWITCH_TUNNEL_OFFLOAD_H
#define PODSWITCH_TUNNEL_OFFLOAD_H

#include <sys/socket.h>

/*
 * Of the device by which `to` is reached: 1 it takes them (ethtool -k: tx-udp_tnl-csum-segmentation,
 * tcp-segmentation-offload, tx-checksumming, scatter-gather), 0 it does not, -ENETUNREACH or another negative errno
 * when there is no such device.
 */
int tunnel_offload(const struct sockaddr_storage *to);

#endif
