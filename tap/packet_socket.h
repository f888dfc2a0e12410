/* SPDX-License-Identifier: Apache-2.0 */
/*
 * packet_socket.h - whole frames of one protocol to and from an interface, through a filter
 *
 * A packet socket stays in the network namespace in which it was opened, and can be used from any other. No function
 * blocks, but the kernel takes about 10 ms to close one, and to bind one to another protocol (an RCU grace period).
 */
#ifndef PODSWITCH_PACKET_SOCKET_H
#define PODSWITCH_PACKET_SOCKET_H

#include <linux/filter.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define PACKET_FRAME 2048 /* bytes read of a frame */

/* Opens one in the calling thread's namespace; `protocol` is an ethertype. Negative errno of socket(2), bind(2). */
int packet_socket_open(int ifindex, uint16_t protocol, struct sock_filter *code, unsigned short length, int *out);

int packet_socket_bind(int fd, int ifindex, uint16_t protocol);

/* A frame that cannot be sent is lost without a word, like one that is lost on the way. */
void packet_socket_send(int fd, int ifindex, uint16_t protocol, const uint8_t *frame, size_t length);

/* Reads the next frame and returns its length; -1: there is none. After an error of the interface, which went down, 0.
 */
ssize_t packet_socket_next(int fd, uint8_t frame[static PACKET_FRAME]);

/* Reads and discards what has arrived; accepts -1. */
void packet_socket_drain(int fd);

#endif
