/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pod_egress.c - a busy pod's own underlay gets an underlay TAP (egress.h), in the pod's namespace
 *
 *      the sockets alone  <------------------------------------------------------------+
 *         |                                                                            |
 *         |  BUSY super-frames in a second, to a remote of the gateway's;              |  IDLE without so many;
 *         |  --underlay-tap auto: the node's device on the way takes                   |  the remote is gone;
 *         |  super-frames in tunnels                                                   |  the device is gone;
 *         v                                                                            |  pod_egress_end()
 *      pod_egress_begin(): TAP, change watch, workers know                             |
 *         |                                                                            |
 *         v                                                                            |
 *      pod_egress_look(): sockets or TAP, as egress.c has it for this one remote  -----+
 *
 * What changes in the pod is looked for now and then, and wakes nobody up: a pod could change something all the time.
 *
 * The pod's device on the way is asked by egress.c, in the pod's namespace, each time. The node's is asked once: the
 * kernel cuts there what it does not take, and then nothing is gained.
 */
#include "vswitch/pod_egress.h"

#include "tap/base/log.h"
#include "tap/tunnel_offload.h"
#include "vswitch/path/egress.h"
#include "vswitch/path/parking.h"

#include <stdlib.h>

#define BUSY 100         /* super-frames in a second: a stream of 10 to 50 Mbit/s */
#define LOOK_EVERY 500   /* ms, and at all pods at once */
#define COUNT_EVERY 1000 /* ms */
#define IDLE 60000       /* ms */
#define TRY_AGAIN 60000  /* ms, after what has failed or would gain nothing */

/* Whether it has sent much since it was last counted. */
static bool is_busy(struct port *port, uint64_t elapsed)
{
	uint64_t supers = atomic_load_explicit(&port->supers, memory_order_relaxed);
	uint64_t grown = supers - port->supers_seen;
	port->supers_seen = supers;
	return grown * 1000 >= BUSY * elapsed;
}

/* The remote that it is busy with; NULL where the sockets are all there is. */
static struct remote *busy_remote(const struct port *port)
{
	const struct gateway *gateway = port->gateway;
	uint16_t id = atomic_load_explicit(&port->super_to, memory_order_relaxed);
	if (!gateway || gateway->is_hub || !port->underlay || port->tap < 0)
		return NULL;
	for (unsigned i = 0; i < atomic_load_explicit(&gateway->n_remotes, memory_order_acquire); i++) {
		struct remote *remote = gateway->remotes[i];
		if (remote->id == id && !remote->local_hub)
			return remote;
	}
	return NULL;
}

static void free_own(struct pod_egress *own)
{
	outlet_close(&own->outlet);
	free(own);
}

void pod_egress_free(struct port *port)
{
	struct pod_egress *own = port->pod_egress;
	port->pod_egress = NULL;
	if (own)
		free_own(own);
}

void pod_egress_end(struct vswitch *vs, struct port *port)
{
	struct pod_egress *own = port->pod_egress;
	if (!own)
		return;
	workers_park(vs);
	port->pod_egress = NULL;
	workers_resume(vs);
	free_own(own);
}

/* -ENOTSUP: it would be the same for any other. */
static void pod_egress_refused(struct vswitch *vs, const struct port *port, int error, const struct failure *why)
{
	if (error == -ENOTSUP)
		egress_turn_off(vs, why->text);
	else
		log_line(egress_level(vs), "port %s has no underlay_tap, its datagrams take the sockets: %s",
			 port->config.name, why->text);
}

/* In the pod's namespace. */
static int pod_egress_open(struct pod_egress *own, struct failure *why)
{
	int error = underlay_tap_open(&own->outlet.tap, why);
	if (!error)
		change_watch_open(&own->outlet.changes);
	return error;
}

static void pod_egress_begin(struct vswitch *vs, struct port *port, struct remote *remote, uint64_t now)
{
	struct failure why = {0};
	port->egress_again = now + TRY_AGAIN;
	if (vs->options.underlay_tap == UNDERLAY_TAP_AUTO && tunnel_offload(&remote->to) != 1)
		return;
	struct pod_egress *own = calloc(1, sizeof(*own));
	if (!own)
		return;
	*own = (struct pod_egress){.outlet = OUTLET_NONE, .remote = remote, .turn = remote->turn, .busy_at = now};
	egress_reset(&own->egress);
	int error = netns_enter(&port->netns, &why);
	if (!error) {
		error = pod_egress_open(own, &why);
		netns_return(&vs->home);
	}
	if (error) {
		free(own);
		pod_egress_refused(vs, port, error, &why);
		return;
	}
	workers_park(vs);
	port->pod_egress = own;
	workers_resume(vs);
}

static bool is_outdated(const struct port *port, uint64_t now)
{
	const struct pod_egress *own = port->pod_egress;
	const struct remote *remote = busy_remote(port);
	return now - own->busy_at > IDLE || !remote || remote != own->remote || remote->turn != own->turn;
}

static int pod_egress_probe(struct vswitch *vs, struct port *port, uint64_t now, struct failure *why)
{
	struct pod_egress *own = port->pod_egress;
	const struct egress_way way = {.outlet = &own->outlet,
				       .underlay = port->underlay,
				       .remote = own->remote,
				       .egress = &own->egress,
				       .port = port->config.name,
				       .level = egress_level(vs)};
	struct egress_round due = {.n = 0};
	int error = netns_enter(&port->netns, why);
	if (error)
		return error;
	egress_consider(vs, &way, now, &due);
	if (due.n)
		error = egress_probe(&own->outlet, &due, now, why);
	netns_return(&vs->home);
	return error;
}

static uint64_t pod_egress_look(struct vswitch *vs, struct port *port, uint64_t now)
{
	struct pod_egress *own = port->pod_egress;
	struct failure why = {0};
	if (is_outdated(port, now)) {
		pod_egress_end(vs, port);
		return UINT64_MAX;
	}
	if (now < own->outlet.due)
		return own->outlet.due;
	own->outlet.changed = change_watch_seen(&own->outlet.changes);
	int error = pod_egress_probe(vs, port, now, &why);
	if (error) {
		pod_egress_refused(vs, port, error, &why);
		pod_egress_end(vs, port);
		port->egress_again = now + TRY_AGAIN;
		return UINT64_MAX;
	}
	uint64_t next = egress_next(&own->egress, now), regular = (now / LOOK_EVERY + 1) * LOOK_EVERY;
	own->outlet.due = next < regular ? next : regular;
	return own->outlet.due;
}

static void pod_egress_count(struct vswitch *vs, struct port *port, uint64_t elapsed, uint64_t now)
{
	bool busy = is_busy(port, elapsed);
	struct remote *remote = busy ? busy_remote(port) : NULL;
	if (busy && port->pod_egress)
		port->pod_egress->busy_at = now;
	else if (remote && now >= port->egress_again)
		pod_egress_begin(vs, port, remote, now);
}

uint64_t pod_egress_turn(struct vswitch *vs, uint64_t now)
{
	uint64_t first = UINT64_MAX, elapsed = now - vs->pods_counted;
	bool counts = elapsed >= COUNT_EVERY, on = vs->offloads.underlay_tap;
	for (struct port *port = vs->first_port; port; port = port->next) {
		if (on && counts && port->underlay)
			pod_egress_count(vs, port, elapsed, now);
		if (!on)
			pod_egress_end(vs, port);
		uint64_t due = port->pod_egress ? pod_egress_look(vs, port, now) : UINT64_MAX;
		first = due < first ? due : first;
	}
	if (counts)
		vs->pods_counted = now;
	return first;
}
