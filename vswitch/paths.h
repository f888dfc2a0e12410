/* SPDX-License-Identifier: Apache-2.0 */
/*
 * paths.h - what the paths to the gateways take, and the MTUs of the ports that follow them
 *
 *    kernel's path MTU --> underlay.h (floor) --> remote->room, or port->room with a pod underlay --> too_big.h
 *                                            `--> gateway_mtu() --> the interface in the pod, down and up again
 *
 * The sockets do not obey the kernel's path MTUs, as anybody who knows a source port may report one (RFC 8900, section
 * 3.7): with a forged one of 552 bytes the kernel would refuse every full datagram for ten minutes. So the path is
 * asked here, once a second, is believed down to UNDERLAY_PATH_FLOOR, and only while the kernel believes it.
 *
 * Control thread.
 */
#ifndef PODSWITCH_PATHS_H
#define PODSWITCH_PATHS_H

#include "vswitch/path/model.h"

/* Asks for the paths, a bounded number each time, and lets ports follow, a few each time. Once a second. */
void paths_check(struct vswitch *vs, uint32_t now);

#endif
