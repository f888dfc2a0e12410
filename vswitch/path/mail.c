/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mail.c - calls of the control thread that run on a worker's thread
 *
 * One call at a time:
 *
 *    control thread                                    worker
 *    mail_post():
 *      wait until `call` is NULL
 *      set `call`, `argument`, has_mail
 *      write to the eventfd       ---------------->    ring_wait() returns, the round ends
 *                                                      ring_settle(), call(worker, argument)
 *    mail_run():                                     call = NULL
 *      wait until `call` is NULL  <--- answered ---
 *
 * ring_settle() comes before the call because the call may free ports and remotes that late refusals point to.
 */
#include "vswitch/path/mail.h"

#include <unistd.h>

void mail_wake_control(const struct worker *worker)
{
	static const uint64_t one = 1;
	if (atomic_exchange_explicit(&worker->vs->woken, true, memory_order_acq_rel))
		return;
	ssize_t ignored = write(worker->vs->wakeup, &one, sizeof(one));
	(void)ignored;
}

void mail_read(struct worker *worker)
{
	pthread_mutex_lock(&worker->mailbox);
	void (*call)(struct worker *, void *) = worker->call;
	pthread_mutex_unlock(&worker->mailbox);
	if (!call)
		return;
	call(worker, worker->argument);
	pthread_mutex_lock(&worker->mailbox);
	worker->call = NULL;
	atomic_store(&worker->has_mail, false);
	pthread_cond_broadcast(&worker->answered);
	pthread_mutex_unlock(&worker->mailbox);
}

void mail_post(struct worker *worker, void (*call)(struct worker *worker, void *argument), void *argument)
{
	static const uint64_t one = 1;
	pthread_mutex_lock(&worker->mailbox);
	while (worker->call)
		pthread_cond_wait(&worker->answered, &worker->mailbox);
	worker->call = call;
	worker->argument = argument;
	atomic_store_explicit(&worker->has_mail, true, memory_order_release);
	pthread_mutex_unlock(&worker->mailbox);
	ssize_t ignored = write(worker->mail, &one,
				sizeof(one)); /* fails only when the counter is full, and then it is readable */
	(void)ignored;
}

void mail_run(struct worker *worker, void (*call)(struct worker *worker, void *argument), void *argument)
{
	mail_post(worker, call, argument);
	pthread_mutex_lock(&worker->mailbox);
	while (worker->call)
		pthread_cond_wait(&worker->answered, &worker->mailbox);
	pthread_mutex_unlock(&worker->mailbox);
}
