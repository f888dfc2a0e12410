/* SPDX-License-Identifier: Apache-2.0 */
/*
 * late_close.h - closing descriptors that the kernel takes long to close
 *
 * The end of a packet socket waits for an RCU grace period, 8 to 24 ms; that of a TAP, once its device is gone, for one
 * and for all callbacks that were queued until then (netdev_run_todo(): rcu_barrier()), 20 to 40 ms. The control thread
 * serves all pods, and with fifty of them ending at once the others would wait for a second and more. These waits cost
 * no CPU and can be had together: one thread closes 40 TAPs a second, 24 close 600. So threads of their own, made as
 * they are needed and there until the process ends, close them.
 */
#ifndef PODSWITCH_LATE_CLOSE_H
#define PODSWITCH_LATE_CLOSE_H

#include <stdatomic.h>
#include <stdbool.h>

#define LATE_CLOSE_THREADS 24
#define LATE_CLOSE_MAX 1024

/*
 * Closes `fd` (-1: nothing) soon. The caller must not use it any more; it counts as open, in epoll sets too, until it
 * is closed. Without a thread, or with LATE_CLOSE_MAX waiting, it is closed at once. Any thread.
 */
void late_close(int fd);

/*
 * The same for a TAP, before all that late_close() was given. When it is closed, *closed is set, and then the eventfd
 * `wakeup` is written to. Both must stay until then; `wakeup` until late_close_told() has returned after that, too.
 */
void late_close_tap(int fd, atomic_bool *closed, int wakeup);
void late_close_told(void);

#endif
