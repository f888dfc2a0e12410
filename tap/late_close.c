/* SPDX-License-Identifier: Apache-2.0 */
/*
 * late_close.c - closing descriptors that the kernel takes long to close
 *
 *     late_close() --queue, under the lock--> closer thread --close(2), without the lock
 */
#include "tap/late_close.h"

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <unistd.h>

static struct {
	pthread_mutex_t lock;
	pthread_cond_t filled;
	bool runs;
	int fds[LATE_CLOSE_MAX];
	size_t n;
} closer = {.lock = PTHREAD_MUTEX_INITIALIZER, .filled = PTHREAD_COND_INITIALIZER};

static void *close_late(void *unused)
{
	pthread_mutex_lock(&closer.lock);
	for (;;) {
		while (!closer.n)
			pthread_cond_wait(&closer.filled, &closer.lock);
		int fd = closer.fds[--closer.n];
		pthread_mutex_unlock(&closer.lock);
		close(fd);
		pthread_mutex_lock(&closer.lock);
	}
	return unused;
}

/* With the lock held. Signals are for the thread that made us. */
static bool start_closer(void)
{
	pthread_t thread;
	sigset_t all, before;

	if (closer.runs)
		return true;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	closer.runs = !pthread_create(&thread, NULL, close_late, NULL);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (closer.runs)
		pthread_detach(thread);
	return closer.runs;
}

void late_close(int fd)
{
	if (fd < 0)
		return;
	pthread_mutex_lock(&closer.lock);
	bool takes = start_closer() && closer.n < LATE_CLOSE_MAX;
	if (takes)
		closer.fds[closer.n++] = fd;
	pthread_cond_signal(&closer.filled);
	pthread_mutex_unlock(&closer.lock);
	if (!takes)
		close(fd);
}
