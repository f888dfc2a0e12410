/* SPDX-License-Identifier: Apache-2.0 */
/*
 * worker.h - one thread, one ring
 *
 * A worker takes what its ring has, forwards it (forward.h), flushes, and waits. Only the thread that opened a ring may
 * use it, so the control thread asks a worker by mail (mail.h).
 */
#ifndef PODSWITCH_WORKER_H
#define PODSWITCH_WORKER_H

#include "vswitch/path/model.h"

/* Starts the thread and waits until its ring is open. */
int worker_start(struct worker *worker, struct vswitch *vs, unsigned index, struct failure *why);
void worker_stop(struct worker *worker);

/* Starts or ends watching a descriptor on the worker's ring, as ring_watch() and ring_unwatch(). Control thread. */
int worker_watch(struct worker *worker, enum ring_kind kind, int fd, uint64_t tag);
void worker_unwatch(struct worker *worker, int handle);

/*
 * Ends reading from TAPs and sockets, or goes on with it, as ring_pause(). Paused, it returns once all that had been
 * read is forwarded. Control thread.
 */
void worker_pause(struct worker *worker, bool pause);

/* The same for one descriptor that it watches, by the handle of worker_watch(), but it does not wait. Control thread.
 */
void worker_rest(struct worker *worker, int handle, bool rest);

/* Returns once all that it has read is forwarded. Control thread. */
void worker_finish(struct worker *worker);

#endif
