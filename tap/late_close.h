/* SPDX-License-Identifier: Apache-2.0 */
/*
 * late_close.h - closing descriptors that the kernel takes long to close
 *
 * A packet socket's end waits for an RCU grace period, 8 to 24 ms. The control thread serves all pods, and with fifty
 * of them ending at once the others would wait for a second and more. So a thread of its own, begun with the first one
 * and there until the process ends, closes them one after the other.
 */
#ifndef PODSWITCH_LATE_CLOSE_H
#define PODSWITCH_LATE_CLOSE_H

/*
 * Closes `fd` (-1: nothing) soon. The caller must not use it any more; it counts as open, in epoll sets too, until it
 * is closed. Without a thread, or with LATE_CLOSE_MAX waiting, it is closed at once. Any thread.
 */
#define LATE_CLOSE_MAX 1024
void late_close(int fd);

#endif
