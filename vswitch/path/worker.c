/* SPDX-License-Identifier: Apache-2.0 */
/*
 * worker.c - one thread, one ring
 *
 * A worker alone touches its ring, its trains, its held groups and its replies, so none of them has a lock. The model
 * (model.h) is shared with the other workers and only read, except for counters, the FDB and the remotes that a hub
 * learns.
 *
 * A round:
 *
 *    ring_wait()          sleep, or spin, until the kernel has something
 *        |
 *    ring_next() ...      each event is a frame of a TAP or a datagram of a socket
 *        |  forward_*()   decides where it goes; most of them are not queued at once, but held:
 *        |                   for a remote  in a train (train.c)
 *        |                   for a pod     in a group (deliver.c, coalesce.c)
 *        v
 *    forward_finish()     queues every group and every train: nothing waits for the next round
 *        |
 *    ring_flush()         hands all of it to the kernel; forward_refused() is called for what it refused;
 *        |                the buffers of the events go back to the kernel
 *        v
 *    forward_replies()    the ICMP errors that refusals led to, and another flush, until there are none
 *        |
 *    mail_read()          the call of the control thread, if there is one
 *
 * A write that a TAP refuses may be reported as late as in the next ring_wait(), and then without its frame: see
 * ring.c.
 */
#include "vswitch/path/worker.h"

#include "tap/base/capability.h"
#include "tap/base/clock.h"
#include "vswitch/path/forward.h"
#include "vswitch/path/mail.h"

#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* The loop */

/* The TAP vanished with its namespace, or somebody in the pod deleted it. The control thread closes the port. */
static void tap_lost(struct worker *worker, struct port *port, int error)
{
	atomic_store(&port->lost, -error);
	mail_wake_control(worker);
}

static void worker_dispatch(struct worker *worker, const struct ring_event *event)
{
	struct vswitch *vs = worker->vs;
	uint32_t id = (uint32_t)event->tag;
	switch ((enum tag_kind)(event->tag >> 32)) {
	case TAG_TAP:
		if (event->error)
			tap_lost(worker, vs->ports[id], event->error);
		else
			forward_from_pod(worker, vs->ports[id], event->data, event->length);
		break;
	case TAG_HOST:
		if (!event->error)
			forward_from_network(worker, vs->hosts[id].underlay, NULL, event);
		break;
	case TAG_POD:
		if (!event->error && vs->ports[id]->underlay)
			forward_from_network(worker, vs->ports[id]->underlay, vs->ports[id], event);
		break;
	case TAG_MAIL:
		break;
	}
}

/*
 * Spinning saves a wake-up, which costs more than handling a packet, but pays only while packets follow each other
 * closely. After WORKER_IDLE_SPINS spins in a row that found nothing the worker sleeps instead, until a sleep turns out
 * to have been shorter than a spin.
 *
 * A stream gains nothing by it: what comes while the worker sleeps is handled together, and its ends want the
 * processor. So after a round with a large frame there are WORKER_BULK_ROUNDS without.
 */
static void wait_for_events(struct worker *worker)
{
	uint64_t spin = worker->bulk_rounds ? 0 : (uint64_t)worker->vs->options.spin * 1000;
	if (spin && worker->idle_spins < WORKER_IDLE_SPINS) {
		worker->idle_spins = ring_spin(worker->ring, spin) ? 0 : worker->idle_spins + 1;
		(void)ring_wait(worker->ring); /* an interrupted wait makes an empty round */
		return;
	}
	uint64_t asleep = spin ? ring_now() : 0;
	(void)ring_wait(worker->ring);
	if (spin && ring_now() - asleep < spin)
		worker->idle_spins = 0;
}

static void run_round(struct worker *worker)
{
	struct ring_event event;
	wait_for_events(worker);
	if (worker->bulk_rounds)
		worker->bulk_rounds--;
	worker->now = clock_seconds();
	count(&worker->rounds, 1);
	while (ring_next(worker->ring, &event)) {
		count(&worker->events, 1);
		if (event.length > RING_SMALL)
			worker->bulk_rounds = WORKER_BULK_ROUNDS;
		worker_dispatch(worker, &event);
	}
	forward_finish(worker);
	ring_flush(worker->ring);
	while (worker->n_replies) {
		forward_replies(worker);
		ring_flush(worker->ring);
	}
	if (atomic_load_explicit(&worker->has_mail, memory_order_acquire)) {
		/* The call may free ports and remotes that late refusals would point to. */
		ring_settle(worker->ring);
		mail_read(worker);
	}
}

static void report_start(struct worker *worker, int result)
{
	pthread_mutex_lock(&worker->mailbox);
	worker->start_result = result;
	pthread_cond_broadcast(&worker->answered);
	pthread_mutex_unlock(&worker->mailbox);
}

static void *worker_main(void *argument)
{
	struct worker *worker = argument;
	const struct ring_options options = {.io = worker->vs->io.io, .refused = forward_refused, .context = worker};
	int error = ring_open(&worker->ring, &options, &worker->failure);
	if (!error && ring_watch(worker->ring, RING_SIGNAL, worker->mail, make_tag(TAG_MAIL, 0)) < 0)
		error = fail(&worker->failure, -ENOMEM, NULL, "out of memory");
	/* Opening the ring may need one (kernel.io_uring_disabled=1); to read, write and send takes none. */
	if (!error && (error = capability_keep(CAPABILITY_NONE)))
		error = fail(&worker->failure, error, NULL, "a worker cannot give up its capabilities: %s",
			     strerror(-error));
	report_start(worker, error);
	while (!error && !worker->stopping)
		run_round(worker);
	ring_close(worker->ring);
	worker->ring = NULL;
	return NULL;
}

/* Called by the control thread */

int worker_start(struct worker *worker, struct vswitch *vs, unsigned index, struct failure *why)
{
	*worker = (struct worker){.vs = vs, .index = index, .start_result = 1};
	pthread_mutex_init(&worker->mailbox, NULL);
	pthread_cond_init(&worker->answered, NULL);
	worker->mail = eventfd(0, EFD_CLOEXEC);
	if (worker->mail < 0)
		return fail(why, -errno, NULL, "eventfd: %s", strerror(errno));
	/* Signals are the control thread's. */
	sigset_t all, before;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	int error = pthread_create(&worker->thread, NULL, worker_main, worker);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (error)
		return fail(why, -error, NULL, "cannot start a worker thread: %s", strerror(error));
	worker->started = true;
	pthread_mutex_lock(&worker->mailbox);
	while (worker->start_result > 0)
		pthread_cond_wait(&worker->answered, &worker->mailbox);
	pthread_mutex_unlock(&worker->mailbox);
	if (worker->start_result && why)
		*why = worker->failure;
	return worker->start_result;
}

static void worker_note_stop(struct worker *worker, void *argument)
{
	(void)argument;
	worker->stopping = true;
}

void worker_stop(struct worker *worker)
{
	if (!worker->vs)
		return;
	if (worker->started && !worker->start_result)
		mail_run(worker, worker_note_stop, NULL);
	if (worker->started)
		pthread_join(worker->thread, NULL);
	if (worker->mail >= 0)
		close(worker->mail);
	pthread_cond_destroy(&worker->answered);
	pthread_mutex_destroy(&worker->mailbox);
	worker->vs = NULL;
}

struct watch_request {
	enum ring_kind kind;
	int fd;
	uint64_t tag;
	int handle;
};

static void worker_do_watch(struct worker *worker, void *argument)
{
	struct watch_request *request = argument;
	request->handle = ring_watch(worker->ring, request->kind, request->fd, request->tag);
}

static void worker_do_unwatch(struct worker *worker, void *argument)
{
	struct watch_request *request = argument;
	ring_unwatch(worker->ring, request->handle);
}

int worker_watch(struct worker *worker, enum ring_kind kind, int fd, uint64_t tag)
{
	struct watch_request request = {.kind = kind, .fd = fd, .tag = tag};
	mail_run(worker, worker_do_watch, &request);
	return request.handle;
}

void worker_unwatch(struct worker *worker, int handle)
{
	if (handle >= 0)
		mail_run(worker, worker_do_unwatch, &(struct watch_request){.handle = handle});
}

static void worker_do_pause(struct worker *worker, void *argument)
{
	ring_pause(worker->ring, *(const bool *)argument);
}

static void worker_do_nothing(struct worker *worker, void *argument)
{
	(void)worker;
	(void)argument;
}

void worker_finish(struct worker *worker)
{
	/* Mail ends a round, so these are two of them. */
	for (int round = 0; round < 2; round++)
		mail_run(worker, worker_do_nothing, NULL);
}

void worker_pause(struct worker *worker, bool pause)
{
	mail_run(worker, worker_do_pause, &pause);
	if (pause)
		worker_finish(worker);
}

struct rest_request {
	int handle;
	bool rest;
};

static void worker_do_rest(struct worker *worker, void *argument)
{
	const struct rest_request *request = argument;
	ring_rest(worker->ring, request->handle, request->rest);
}

void worker_rest(struct worker *worker, int handle, bool rest)
{
	mail_run(worker, worker_do_rest, &(struct rest_request){handle, rest});
}
