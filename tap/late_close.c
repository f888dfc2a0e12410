/* SPDX-License-Identifier: Apache-2.0 */
/*
 * late_close.c - closing descriptors that the kernel takes long to close
 *
 *     late_close() ------- sockets --.
 *                                     }-- queues, under the lock --> closer threads --close(2), without the lock
 *     late_close_tap() --- TAPs -----'                                    |
 *           ^                                                            `closed`, then the eventfd
 *           '------------------- control thread <-------------------------'
 *
 * TAPs go first: somebody waits for them. A thread is made when there is more to do than threads that have nothing to
 * do.
 */
#include "tap/late_close.h"

#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

struct late_fd {
	int fd;
	atomic_bool *closed; /* NULL: nobody wants to know */
	int wakeup;
};

struct late_queue {
	struct late_fd fds[LATE_CLOSE_MAX];
	size_t first, n;
};

static struct {
	pthread_mutex_t lock;
	pthread_cond_t filled;
	unsigned threads, idle;
	struct late_queue taps, sockets;
} closer = {.lock = PTHREAD_MUTEX_INITIALIZER, .filled = PTHREAD_COND_INITIALIZER};

static struct late_fd late_queue_take(struct late_queue *queue)
{
	struct late_fd late = queue->fds[queue->first];
	queue->first = (queue->first + 1) % LATE_CLOSE_MAX;
	queue->n--;
	return late;
}

/* With the lock held: whoever has seen `closed`, and has had the lock since, may close `wakeup`. */
static void tell_closed(const struct late_fd *late)
{
	const uint64_t one = 1;

	if (!late->closed)
		return;
	atomic_store(late->closed, true);
	ssize_t ignored = write(late->wakeup, &one, sizeof(one));
	(void)ignored;
}

static void *close_late(void *unused)
{
	pthread_mutex_lock(&closer.lock);
	for (;;) {
		closer.idle++;
		while (!closer.taps.n && !closer.sockets.n)
			pthread_cond_wait(&closer.filled, &closer.lock);
		closer.idle--;
		struct late_fd late = late_queue_take(closer.taps.n ? &closer.taps : &closer.sockets);
		pthread_mutex_unlock(&closer.lock);
		close(late.fd);
		pthread_mutex_lock(&closer.lock);
		tell_closed(&late);
	}
	return unused;
}

/* With the lock held. Signals are for the thread that made us. */
static void start_closer(void)
{
	pthread_t thread;
	sigset_t all, before;

	if (closer.taps.n + closer.sockets.n < closer.idle || closer.threads == LATE_CLOSE_THREADS)
		return;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	if (!pthread_create(&thread, NULL, close_late, NULL)) {
		closer.threads++;
		pthread_detach(thread);
	}
	pthread_sigmask(SIG_SETMASK, &before, NULL);
}

static void close_by_closer(struct late_queue *queue, struct late_fd late)
{
	pthread_mutex_lock(&closer.lock);
	start_closer();
	bool takes = closer.threads && queue->n < LATE_CLOSE_MAX;
	if (takes)
		queue->fds[(queue->first + queue->n++) % LATE_CLOSE_MAX] = late;
	pthread_cond_signal(&closer.filled);
	pthread_mutex_unlock(&closer.lock);
	if (takes)
		return;
	close(late.fd);
	tell_closed(&late);
}

void late_close(int fd)
{
	if (fd >= 0)
		close_by_closer(&closer.sockets, (struct late_fd){.fd = fd, .wakeup = -1});
}

void late_close_tap(int fd, atomic_bool *closed, int wakeup)
{
	close_by_closer(&closer.taps, (struct late_fd){.fd = fd, .closed = closed, .wakeup = wakeup});
}

void late_close_told(void)
{
	pthread_mutex_lock(&closer.lock);
	pthread_mutex_unlock(&closer.lock);
}
