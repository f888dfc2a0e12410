/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pod_queues.c - a busy pod's TAP has several queues
 *
 *      one queue  <-----------------------------------------+
 *         |                                                 |
 *         |  BUSY bytes in a second                         |  IDLE without STILL;
 *         v                                                 |  another podswitchd takes over
 *      pod_queues_begin():                               pod_queues_end():
 *         the others are opened, and nothing gets there     the first one rests
 *         flows are spread                                  all frames go to the first one
 *         what is in the first one is read                  what is in the others is read
 *         all are read                                      the first one is read, they are closed
 *         |                                                 |
 *         +------------------> several  --------------------+
 */
#include "vswitch/pod_queues.h"

#include "tap/base/clock.h"
#include "tap/base/log.h"
#include "tap/link.h"
#include "tap/steering.h"
#include "tap/tap.h"
#include "vswitch/path/worker.h"

#include <poll.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define BUSY 4000000    /* bytes in a second; what sends less is held up elsewhere */
#define STILL 1000000   /* bytes in a second; a pod that is about as busy as that shall not go to and fro */
#define IDLE 10000      /* ms */
#define TRY_AGAIN 60000 /* ms, after what has failed */
#define PATIENCE 1000   /* ms */

static uint64_t frames_read(const struct port *port)
{
	return counted(&port->counters[port->worker->index].rx_frames);
}

static uint64_t bytes_from(const struct vswitch *vs, const struct port *port)
{
	uint64_t bytes = 0;
	for (unsigned w = 0; w < vs->options.workers; w++)
		bytes += counted(&port->counters[w].rx_bytes);
	return bytes;
}

/* The worker that reads the queue `i` besides the first one. */
static struct worker *queue_worker(const struct vswitch *vs, const struct port *port, unsigned i)
{
	return &vs->workers[(port->worker->index + i + 1) % vs->options.workers];
}

/* Or its interface is gone. */
static bool queue_is_empty(int fd)
{
	struct pollfd queue = {.fd = fd, .events = POLLIN};
	return poll(&queue, 1, 0) <= 0 || !(queue.revents & POLLIN);
}

static void wait_a_moment(void)
{
	static const struct timespec moment = {.tv_nsec = 50000};
	nanosleep(&moment, NULL);
}

/* A sender that has chosen a queue may be held up before its frame is there, as where a processor is a virtual one. */
static void wait_for_stragglers(void)
{
	static const struct timespec long_enough = {.tv_nsec = 10000000};
	nanosleep(&long_enough, NULL);
}

/*
 * Until the worker has all that was in the first queue, which holds `length` frames, when this was called: it takes
 * them in their order. It has up to RING_TAP_BUFFERS already that are not counted yet. A full queue is read in ten ms,
 * but for a worker that waits for a processor.
 */
static void wait_for_older(const struct port *port, unsigned length)
{
	uint64_t enough = frames_read(port) + length + RING_TAP_BUFFERS;
	uint64_t end = clock_ms() + PATIENCE;
	while (!queue_is_empty(port->tap) && frames_read(port) < enough && clock_ms() < end)
		wait_a_moment();
	worker_finish(port->worker);
}

/* Until the queues besides the first one are empty, twice: a frame may have been on its way to one. */
static void wait_for_rest(const struct pod_queues *queues)
{
	uint64_t end = clock_ms() + PATIENCE;
	for (int empty = 0; empty < 2 && clock_ms() < end;) {
		bool all = true;
		for (unsigned i = 0; i < queues->n; i++)
			all = all && queue_is_empty(queues->queue[i].fd);
		empty = all ? empty + 1 : 0;
		wait_a_moment();
	}
}

static void queues_free(struct pod_queues *queues)
{
	for (unsigned i = 0; i < queues->n; i++)
		close(queues->queue[i].fd);
	free(queues);
}

/* In the pod's namespace. *length is how many frames each of them holds. */
static int queues_open(struct pod_queues *queues, const struct port *port, unsigned n, unsigned *length,
		       struct failure *why)
{
	struct link_queues has = {0};
	int error = link_get_queues(port->config.ifname, &has, why);
	*length = has.length;
	for (; !error && queues->n < n; queues->n += !error)
		error = tap_open_queue(port->tap, &queues->queue[queues->n].fd, why);
	return error;
}

static void watch_queues(struct vswitch *vs, struct port *port, struct pod_queues *queues)
{
	for (unsigned i = 0; i < queues->n; i++)
		queues->queue[i].watch = worker_watch(queue_worker(vs, port, i), RING_TAP, queues->queue[i].fd,
						      make_tag(TAG_TAP, port->id));
}

static void unwatch_queues(struct vswitch *vs, struct port *port, struct pod_queues *queues)
{
	for (unsigned i = 0; i < queues->n; i++)
		worker_unwatch(queue_worker(vs, port, i), queues->queue[i].watch);
}

static bool all_watched(const struct pod_queues *queues)
{
	for (unsigned i = 0; i < queues->n; i++)
		if (queues->queue[i].watch < 0)
			return false;
	return true;
}

static void pod_queues_begin(struct vswitch *vs, struct port *port, uint64_t now)
{
	struct failure why = {0};
	unsigned length = 0;
	struct pod_queues *queues = calloc(1, sizeof(*queues));
	port->queues_again = now + TRY_AGAIN;
	atomic_store(&port->crowded_at, UINT64_MAX);
	if (!queues || netns_enter(&port->netns, &why)) {
		free(queues);
		return;
	}
	int error = steering_set(port->tap, false); /* one that has crashed may have left it otherwise */
	if (!error)
		error = queues_open(queues, port, vs->options.tap_queues - 1, &length, &why);
	netns_return(&vs->home);
	if (!error)
		error = steering_set(port->tap, true);
	if (error) {
		log_line(LOG_DEBUG, "port %s keeps one queue: %s", port->config.name, why.text);
		queues_free(queues);
		return;
	}
	wait_for_older(port, length);
	watch_queues(vs, port, queues);
	queues->busy_at = now;
	port->queues = queues;
	port->queues_again = now;
	if (!all_watched(queues)) /* out of memory */
		pod_queues_end(vs, port);
}

/* What the workers have read of any queue is forwarded. */
static void finish_all(struct vswitch *vs)
{
	for (unsigned w = 0; w < vs->options.workers; w++)
		worker_finish(&vs->workers[w]);
}

void pod_queues_end(struct vswitch *vs, struct port *port)
{
	struct pod_queues *queues = port->queues;
	if (!queues)
		return;
	worker_rest(port->worker, port->tap_watch, true);
	(void)steering_set(port->tap, false);
	wait_for_rest(queues);
	finish_all(vs);
	worker_rest(port->worker, port->tap_watch, false);
	wait_for_stragglers();
	finish_all(vs);
	unwatch_queues(vs, port, queues);
	port->queues = NULL;
	queues_free(queues);
}

void pod_queues_close(struct vswitch *vs, struct port *port)
{
	struct pod_queues *queues = port->queues;
	port->queues = NULL;
	if (!queues)
		return;
	if (vs)
		unwatch_queues(vs, port, queues);
	queues_free(queues);
}

static bool is_crowded(const struct port *port)
{
	return port->tap >= 0 &&
	       counted(&port->counters[port->worker->index].rx_bytes) >= atomic_load(&port->crowded_at);
}

/* From now on it is the worker that finds out whether the pod is busy. */
static void pod_queues_mark(struct port *port, uint64_t now)
{
	bool may = !port->queues && now >= port->queues_again;
	uint64_t bytes = counted(&port->counters[port->worker->index].rx_bytes);
	atomic_store(&port->crowded_at, may ? bytes + BUSY : UINT64_MAX);
}

static void pod_queues_look(struct vswitch *vs, struct port *port, uint64_t now)
{
	uint64_t bytes = bytes_from(vs, port);
	if (port->queues && bytes - port->bytes_seen >= STILL)
		port->queues->busy_at = now;
	port->bytes_seen = bytes;
	if (port->queues && now - port->queues->busy_at > IDLE)
		pod_queues_end(vs, port);
	pod_queues_mark(port, now);
}

void pod_queues_turn(struct vswitch *vs, uint64_t now, bool all)
{
	bool crowded = atomic_exchange(&vs->pods_crowded, false);
	if (vs->options.tap_queues < 2 || !steering_works())
		return;
	for (struct port *port = vs->first_port; port && (crowded || all); port = port->next) {
		if (is_crowded(port))
			pod_queues_begin(vs, port, now);
		if (all)
			pod_queues_look(vs, port, now);
	}
}
