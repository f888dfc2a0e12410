/* SPDX-License-Identifier: Apache-2.0 */
/*
 * egress.c - by which way a remote's datagrams leave the node: the underlay TAP, or the sockets
 *
 *    egress_reset()
 *         |
 *         v                a probe has left the node
 *      sockets      --------------------------------------------->    TAP
 *      mtu == 0                                                       mtu == the path's
 *      probed 1, 2, 4 ... 30 s after                                  probed every 5 s; path MTU and
 *      the last one                                                   source address asked every second
 *         ^                                                               |
 *         |   3 probes lost in a row, 100 ms apart                        |
 *         |   a worker's write was refused: probed again at the next look |
 *         |   the source address changed: probed again at once            |
 *         |   auto: its device takes no tunnel super-frames any more      |
 *         |   the remote is served locally now, or by pod underlays       |
 *         +---------------------------------------------------------------+
 *
 *    a change of interfaces, routes or filters of the node (change_watch.h): what takes the TAP is probed at once, and
 *    what takes the sockets within a second
 *
 *    egress_disable(): the device or the packet socket is gone: all remotes to the sockets, for good
 *
 * A worker may be writing by the old route when the control thread is about to change it. So the control thread first
 * sets mtu to 0 and then parks the workers once: afterwards no worker uses the route.
 *
 * After a probe that passed, the next one has another source port: connection tracking remembers a rule's verdict about
 * a flow, so only a new flow meets the rules as they are today.
 */
#include "vswitch/path/egress.h"

#include "tap/base/log.h"
#include "tap/tunnel_offload.h"
#include "vswitch/path/model.h"
#include "vswitch/path/parking.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define PROBE_EVERY 5000  /* ms, while the TAP is used */
#define RETRY_FIRST 1000  /* ms, while it is not; twice as long each time */
#define RETRY_LAST 30000  /* ms */
#define MISSES 3          /* lost in a row until the remote takes the sockets */
#define MISS_PAUSE 100    /* ms between these */
#define CHANGE_RETRY 1000 /* ms after a change, for what takes the sockets */

enum log_level egress_level(const struct vswitch *vs)
{
	return vs->options.underlay_tap == UNDERLAY_TAP_ON ? LOG_WARNING : LOG_INFO;
}

void egress_turn_off(struct vswitch *vs, const char *why)
{
	vs->offloads.underlay_tap = false;
	change_watch_close(&vs->outlet.changes); /* it would be readable for ever */
	log_line(egress_level(vs), "underlay_tap is off, everything takes the sockets: %s", why);
}

static bool egress_make_tap(struct vswitch *vs)
{
	struct failure why = {0};
	if (!vs->outlet.tap && vs->offloads.underlay_tap && underlay_tap_open(&vs->outlet.tap, &why))
		egress_turn_off(vs, why.text);
	return vs->outlet.tap;
}

static void egress_close_tap(struct vswitch *vs)
{
	underlay_tap_close(vs->outlet.tap);
	vs->outlet.tap = NULL;
}

/*
 * With `auto` there is no TAP before a remote can use it, but for a moment: whether this kernel has such is said now.
 * We close it ourselves, which takes 20 ms: another thread would be there when ours give up their rights.
 */
void egress_open(struct vswitch *vs)
{
	vs->offloads.underlay_tap = vs->options.underlay_tap != UNDERLAY_TAP_OFF;
	if (!egress_make_tap(vs))
		return;
	change_watch_open(&vs->outlet.changes);
	if (vs->options.underlay_tap != UNDERLAY_TAP_AUTO)
		return;
	close(vs->outlet.tap->fd);
	vs->outlet.tap->fd = -1;
	egress_close_tap(vs);
}

void egress_close(struct vswitch *vs)
{
	outlet_close(&vs->outlet);
}

void egress_reset(struct egress *egress)
{
	atomic_store_explicit(&egress->mtu, 0, memory_order_relaxed);
	egress->from.ss_family = 0;
	egress->due = 0;
	egress->misses = egress->turn = 0;
	egress->settled = egress->routed = false;
}

/* Parks the workers first, so that none of them is writing to the TAP. */
static void egress_disable(struct vswitch *vs, const char *why)
{
	workers_park(vs);
	for (unsigned i = 0; i < vs->n_gateways; i++) {
		const struct gateway *gateway = gateway_at(vs, i);
		for (unsigned r = 0; r < atomic_load(&gateway->n_remotes); r++)
			egress_reset(&gateway->remotes[r]->egress);
	}
	workers_resume(vs);
	egress_close(vs);
	egress_turn_off(vs, why);
}

static bool same_source(const struct sockaddr_storage *a, const struct sockaddr_storage *b)
{
	return a->ss_family == b->ss_family && !memcmp(a, b, sockaddr_size(a->ss_family));
}

/* Asks the kernel for the path. If it begins at another address than before, it must be probed first. */
static void egress_follow_path(struct vswitch *vs, const struct egress_way *way)
{
	struct egress *egress = way->egress;
	struct sockaddr_storage from = {0};
	int mtu = underlay_path(way->underlay, &way->remote->to, &from);
	if (mtu > 0 && same_source(&from, &egress->from)) {
		if (atomic_load(&egress->mtu))
			atomic_store_explicit(&egress->mtu, (unsigned)mtu, memory_order_release);
		return;
	}
	atomic_store(&egress->mtu, 0);
	/* Even when it was 0: a worker may just have set it while another is still writing by this route. */
	if (egress->from.ss_family) {
		workers_park(vs);
		workers_resume(vs);
	}
	egress->from = from;
	egress->due = 0;
	egress->routed = false;
}

/* The route may be another one later, and the TAP may go: no worker uses them any more. */
static void egress_withdraw(struct vswitch *vs, struct egress *egress)
{
	atomic_store(&egress->mtu, 0);
	if (!egress->routed)
		return;
	workers_park(vs);
	workers_resume(vs);
	egress->routed = false;
}

/* After a change: at once, or soon, as on some nodes there are many. */
static void egress_hasten(struct egress *egress, bool used, uint64_t now)
{
	uint64_t soon = used ? now : now + CHANGE_RETRY;
	if (egress->due > soon)
		egress->due = soon;
}

/* Waits longer each time. */
static void egress_settle(struct egress *egress, uint64_t now)
{
	unsigned turns = egress->misses > MISSES ? egress->misses - MISSES : 0;
	uint64_t pause = turns < 5 ? (uint64_t)RETRY_FIRST << turns : RETRY_LAST;
	egress->due = now + pause;
	atomic_store(&egress->mtu, 0);
	egress->settled = true;
}

/* "remote 10.0.1.2:4789", and of a port's own underlay which port's. */
#define WAY_TEXT (ADDRESS_TEXT + SWITCH_NAME + 24)
static const char *egress_describe(const struct egress_way *way, char text[static WAY_TEXT])
{
	char address[ADDRESS_TEXT];
	snprintf(text, WAY_TEXT, "%s%s%sremote %s", way->port ? "port " : "", way->port ? way->port : "",
		 way->port ? ": " : "", endpoint_format(&way->remote->endpoint, address));
	return text;
}

/* With `auto`: whether it could gain anything, and the TAP is there. */
static bool egress_is_worth_it(struct vswitch *vs, const struct egress_way *way, uint64_t now)
{
	char text[WAY_TEXT];
	struct egress *egress = way->egress;
	const struct remote *remote = way->remote;
	if (vs->options.underlay_tap == UNDERLAY_TAP_AUTO && tunnel_offload(&remote->to) != 1) {
		if (!egress->settled)
			log_line(LOG_INFO,
				 "%s is reached by the sockets: the device on the way takes no super-frames in "
				 "tunnels (ethtool -k: tx-udp_tnl-csum-segmentation, tx-tcp-segmentation)",
				 egress_describe(way, text));
		egress->misses = UINT8_MAX; /* its device is not asked often */
		egress_settle(egress, now);
		egress_withdraw(vs, egress);
		return false;
	}
	if (!way->outlet->tap && !egress_make_tap(vs))
		return false;
	/* Workers may be reading both. */
	if (egress->routed)
		return true;
	underlay_tap_route(&egress->route, way->outlet->tap, &egress->from, &remote->to);
	egress->tap = way->outlet->tap->fd;
	egress->routed = true;
	return true;
}

void egress_consider(struct vswitch *vs, const struct egress_way *way, uint64_t now, struct egress_round *due)
{
	struct egress *egress = way->egress;
	bool used = atomic_load(&egress->mtu) != 0;
	egress_follow_path(vs, way);
	if (way->outlet->changed)
		egress_hasten(egress, used, now);
	if (!egress->from.ss_family || due->n == PROBE_MAX)
		return;
	/* When a worker has set mtu to 0 after a refusal, the remote is probed at once. */
	bool withdrawn = !used && !egress->misses && !egress->settled;
	if ((now < egress->due && !withdrawn) || !egress_is_worth_it(vs, way, now))
		return;
	due->ways[due->n] = *way;
	due->targets[due->n++] = (struct probe_target){
		.route = &egress->route,
		.source_port = underlay_source_port(way->underlay, way->remote->to.ss_family, egress->turn),
	};
}

static void egress_log_lost(const struct egress_way *way, int error)
{
	char text[WAY_TEXT];
	if (way->egress->settled)
		return;
	if (error == -ENETUNREACH)
		log_line(way->level,
			 "%s is reached by the sockets, not by underlay_tap: forwarded datagrams do not leave "
			 "the %s unchanged; look for a FORWARD policy or NAT (nft list ruleset), or "
			 "check whether it answers ARP",
			 egress_describe(way, text), way->port ? "pod" : "node");
	else
		log_line(way->level, "%s is reached by the sockets, not by underlay_tap: the TAP refuses: %s",
			 egress_describe(way, text), strerror(-error));
}

static void egress_probe_passed(const struct egress_way *way, int mtu, uint64_t now)
{
	char text[WAY_TEXT];
	struct egress *egress = way->egress;
	egress->misses = 0;
	/* The next probe is a new flow. */
	egress->turn++;
	egress->due = now + PROBE_EVERY;
	if (atomic_load(&egress->mtu))
		return;
	log_line(LOG_INFO, "%s is reached by underlay_tap %s", egress_describe(way, text), way->outlet->tap->ifname);
	egress->settled = false;
	atomic_store_explicit(&egress->mtu, (unsigned)mtu, memory_order_release);
}

static void egress_probe_missed(const struct egress_way *way, int error, uint64_t now)
{
	struct egress *egress = way->egress;
	if (egress->misses < UINT8_MAX)
		egress->misses++;
	egress->due = now + MISS_PAUSE;
	if (egress->misses < MISSES)
		return;
	egress_log_lost(way, error);
	egress_settle(egress, now);
}

static void egress_take_results(const struct egress_round *due, uint64_t now)
{
	for (size_t i = 0; i < due->n; i++) {
		const struct egress_way *way = &due->ways[i];
		struct sockaddr_storage from;
		int error = due->targets[i].error;
		int mtu = error ? 0 : underlay_path(way->underlay, &way->remote->to, &from);
		if (mtu > 0)
			egress_probe_passed(way, mtu, now);
		else
			egress_probe_missed(way, error ? error : mtu, now);
	}
}

int egress_probe(struct outlet *outlet, struct egress_round *due, uint64_t now, struct failure *why)
{
	int error = probe_run(outlet->tap, due->targets, due->n, why);
	for (size_t i = 0; !error && i < due->n; i++)
		if (due->targets[i].error == -EBADFD)
			error = fail(why, -EBADFD, NULL, "its device was removed");
	if (!error)
		egress_take_results(due, now);
	return error;
}

uint64_t egress_next(const struct egress *egress, uint64_t now)
{
	uint64_t next = now + EGRESS_LOOK_EVERY;
	if (egress->from.ss_family && egress->due < next)
		next = egress->due;
	return next > now ? next : now + MISS_PAUSE;
}

/* The node's remotes */

static bool egress_may_lead(const struct gateway *gateway, const struct remote *remote)
{
	return gateway->host && !gateway->pod_underlay && !remote->local_hub;
}

static void egress_consider_remote(struct vswitch *vs, const struct gateway *gateway, struct remote *remote,
				   uint64_t now, struct egress_round *due)
{
	const struct egress_way way = {.outlet = &vs->outlet,
				       .underlay = gateway->host,
				       .remote = remote,
				       .egress = &remote->egress,
				       .level = egress_level(vs)};
	if (egress_may_lead(gateway, remote))
		egress_consider(vs, &way, now, due);
	else
		egress_withdraw(vs, &remote->egress);
}

static bool egress_is_needed(const struct vswitch *vs)
{
	for (unsigned i = 0; i < vs->n_gateways; i++) {
		const struct gateway *gateway = gateway_at(vs, i);
		for (unsigned r = 0; r < atomic_load_explicit(&gateway->n_remotes, memory_order_acquire); r++)
			if (egress_may_lead(gateway, gateway->remotes[r]) && gateway->remotes[r]->egress.routed)
				return true;
	}
	return false;
}

/* With `auto` the TAP goes when the last remote that could use it has gone: what is not there is in nobody's way. */
static void egress_drop_tap(struct vswitch *vs)
{
	if (vs->options.underlay_tap != UNDERLAY_TAP_AUTO || !vs->outlet.tap || egress_is_needed(vs))
		return;
	/* One that was released may still be written for, in this round. */
	workers_park(vs);
	workers_resume(vs);
	egress_close_tap(vs);
}

static uint64_t egress_next_remote(const struct vswitch *vs, uint64_t now)
{
	uint64_t next = now + EGRESS_LOOK_EVERY;
	for (unsigned i = 0; i < vs->n_gateways; i++) {
		const struct gateway *gateway = gateway_at(vs, i);
		for (unsigned r = 0; r < atomic_load_explicit(&gateway->n_remotes, memory_order_acquire); r++) {
			uint64_t due = egress_next(&gateway->remotes[r]->egress, now);
			next = due < next ? due : next;
		}
	}
	return next;
}

uint64_t egress_turn(struct vswitch *vs, uint64_t now)
{
	struct egress_round due = {.n = 0};
	if (!vs->offloads.underlay_tap)
		return UINT64_MAX;
	uint64_t next;
	if (!outlet_is_due(&vs->outlet, now, &next))
		return next;
	/* Starts at another gateway each time, as one run probes only PROBE_MAX remotes. */
	for (unsigned i = 0; i < vs->n_gateways; i++) {
		const struct gateway *gateway = gateway_at(vs, (i + now / EGRESS_LOOK_EVERY) % vs->n_gateways);
		for (unsigned r = 0; r < atomic_load_explicit(&gateway->n_remotes, memory_order_acquire); r++)
			egress_consider_remote(vs, gateway, gateway->remotes[r], now, &due);
	}
	vs->outlet.changed = false;
	vs->outlet.looked = now;
	struct failure why = {0};
	if (due.n && vs->outlet.tap && egress_probe(&vs->outlet, &due, now, &why))
		egress_disable(vs, why.text);
	egress_drop_tap(vs);
	vs->outlet.due = vs->offloads.underlay_tap ? egress_next_remote(vs, now) : UINT64_MAX;
	return vs->outlet.due;
}
