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
#include "vswitch/path/probe.h"

#include <string.h>

#define PROBE_EVERY 5000  /* ms, while the TAP is used */
#define RETRY_FIRST 1000  /* ms, while it is not; twice as long each time */
#define RETRY_LAST 30000  /* ms */
#define MISSES 3          /* lost in a row until the remote takes the sockets */
#define MISS_PAUSE 100    /* ms between these */
#define LOOK_EVERY 1000   /* ms between two looks at the paths of all remotes */
#define CHANGE_PAUSE 100  /* ms between two looks when changes follow each other */
#define CHANGE_RETRY 1000 /* ms after a change, for what takes the sockets */

/* The remotes that are due, with what probe_run() needs to know. */
struct egress_round {
	struct probe_target targets[PROBE_MAX];
	struct remote *remotes[PROBE_MAX];
	size_t n;
};

static void egress_turn_off(struct vswitch *vs, const char *why)
{
	vs->offloads.underlay_tap = false;
	change_watch_close(&vs->changes); /* it would be readable for ever */
	log_line(LOG_WARNING, "underlay_tap is off, everything takes the sockets: %s", why);
}

static bool egress_make_tap(struct vswitch *vs)
{
	struct failure why = {0};
	if (!vs->underlay_tap && vs->offloads.underlay_tap && underlay_tap_open(&vs->underlay_tap, &why))
		egress_turn_off(vs, why.text);
	return vs->underlay_tap;
}

/* With `auto` there is no TAP before a remote can use it. */
void egress_open(struct vswitch *vs)
{
	vs->offloads.underlay_tap = vs->options.underlay_tap != UNDERLAY_TAP_OFF;
	if (vs->offloads.underlay_tap && (vs->options.underlay_tap == UNDERLAY_TAP_AUTO || egress_make_tap(vs)))
		change_watch_open(&vs->changes);
}

void egress_close(struct vswitch *vs)
{
	change_watch_close(&vs->changes);
	underlay_tap_close(vs->underlay_tap);
	vs->underlay_tap = NULL;
}

void egress_reset(struct egress *egress)
{
	atomic_store_explicit(&egress->mtu, 0, memory_order_relaxed);
	egress->from.ss_family = 0;
	egress->due = 0;
	egress->misses = egress->turn = 0;
	egress->settled = false;
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
static void egress_follow_path(struct vswitch *vs, const struct underlay *underlay, struct remote *remote)
{
	struct egress *egress = &remote->egress;
	struct sockaddr_storage from = {0};
	int mtu = underlay_path(underlay, &remote->to, &from);
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

/* With `auto`: whether it could gain anything, and the TAP is there. */
static bool egress_is_worth_it(struct vswitch *vs, struct remote *remote, uint64_t now)
{
	char text[ADDRESS_TEXT];
	struct egress *egress = &remote->egress;
	if (vs->options.underlay_tap == UNDERLAY_TAP_AUTO && tunnel_offload(&remote->to) != 1) {
		if (!egress->settled)
			log_line(LOG_INFO,
				 "remote %s is reached by the sockets: the device on the way takes no super-frames in "
				 "tunnels (ethtool -k: tx-udp_tnl-csum-segmentation, tx-tcp-segmentation)",
				 endpoint_format(&remote->endpoint, text));
		egress->misses = UINT8_MAX; /* its device is not asked often */
		egress_settle(egress, now);
		return false;
	}
	if (!egress_make_tap(vs))
		return false;
	if (!egress->routed)
		underlay_tap_route(&egress->route, vs->underlay_tap, &egress->from, &remote->to);
	egress->routed = true;
	return true;
}

static void egress_consider(struct vswitch *vs, const struct gateway *gateway, struct remote *remote, uint64_t now,
			    struct egress_round *due)
{
	struct egress *egress = &remote->egress;
	if (!gateway->host || gateway->pod_underlay || remote->local_hub) {
		atomic_store(&egress->mtu, 0);
		return;
	}
	bool used = atomic_load(&egress->mtu) != 0;
	egress_follow_path(vs, gateway->host, remote);
	if (vs->changed)
		egress_hasten(egress, used, now);
	if (!egress->from.ss_family || due->n == PROBE_MAX)
		return;
	/* When a worker has set mtu to 0 after a refusal, the remote is probed at once. */
	bool withdrawn = !used && !egress->misses && !egress->settled;
	if ((now < egress->due && !withdrawn) || !egress_is_worth_it(vs, remote, now))
		return;
	due->remotes[due->n] = remote;
	due->targets[due->n++] = (struct probe_target){
		.route = &egress->route,
		.source_port = underlay_source_port(gateway->host, remote->to.ss_family, egress->turn),
	};
}

static void egress_log_lost(const struct egress *egress, const struct remote *remote, int error)
{
	char text[ADDRESS_TEXT];
	if (egress->settled)
		return;
	if (error == -ENETUNREACH)
		log_line(LOG_WARNING,
			 "remote %s is reached by the sockets, not by underlay_tap: forwarded datagrams do not leave "
			 "the node unchanged; look for a FORWARD policy or NAT (nft list ruleset), or "
			 "check whether it answers ARP",
			 endpoint_format(&remote->endpoint, text));
	else
		log_line(LOG_WARNING, "remote %s is reached by the sockets, not by underlay_tap: the TAP refuses: %s",
			 endpoint_format(&remote->endpoint, text), strerror(-error));
}

static void egress_probe_passed(const struct vswitch *vs, struct remote *remote, int mtu, uint64_t now)
{
	char text[ADDRESS_TEXT];
	struct egress *egress = &remote->egress;
	egress->misses = 0;
	/* The next probe is a new flow. */
	egress->turn++;
	egress->due = now + PROBE_EVERY;
	if (atomic_load(&egress->mtu))
		return;
	log_line(LOG_INFO, "remote %s is reached by underlay_tap %s", endpoint_format(&remote->endpoint, text),
		 vs->underlay_tap->ifname);
	egress->settled = false;
	atomic_store_explicit(&egress->mtu, (unsigned)mtu, memory_order_release);
}

static void egress_probe_missed(struct remote *remote, int error, uint64_t now)
{
	struct egress *egress = &remote->egress;
	if (egress->misses < UINT8_MAX)
		egress->misses++;
	egress->due = now + MISS_PAUSE;
	if (egress->misses < MISSES)
		return;
	egress_log_lost(egress, remote, error);
	egress_settle(egress, now);
}

static void egress_take_results(struct vswitch *vs, const struct egress_round *due, uint64_t now)
{
	for (size_t i = 0; i < due->n; i++) {
		struct remote *remote = due->remotes[i];
		const struct underlay *underlay = vs->gateways[remote->gateway]->host;
		struct sockaddr_storage from;
		int error = due->targets[i].error;
		int mtu = error ? 0 : underlay_path(underlay, &remote->to, &from);
		if (mtu > 0)
			egress_probe_passed(vs, remote, mtu, now);
		else
			egress_probe_missed(remote, error ? error : mtu, now);
	}
}

static void egress_probe_round(struct vswitch *vs, struct egress_round *due, uint64_t now)
{
	struct failure why = {0};
	if (probe_run(vs->underlay_tap, due->targets, due->n, &why)) {
		egress_disable(vs, why.text);
		return;
	}
	for (size_t i = 0; i < due->n; i++) {
		/* EBADFD: the device was deleted. */
		if (due->targets[i].error == -EBADFD) {
			egress_disable(vs, "its device was removed");
			return;
		}
	}
	egress_take_results(vs, due, now);
}

/* When the next remote is due, and not later than the next look at all paths. */
static uint64_t egress_next(const struct vswitch *vs, uint64_t now)
{
	uint64_t next = now + LOOK_EVERY;
	for (unsigned i = 0; i < vs->n_gateways; i++) {
		const struct gateway *gateway = gateway_at(vs, i);
		for (unsigned r = 0; r < atomic_load_explicit(&gateway->n_remotes, memory_order_acquire); r++) {
			const struct egress *egress = &gateway->remotes[r]->egress;
			if (egress->from.ss_family && egress->due < next)
				next = egress->due;
		}
	}
	return next > now ? next : now + MISS_PAUSE;
}

uint64_t egress_turn(struct vswitch *vs, uint64_t now)
{
	struct egress_round due = {.n = 0};
	if (!vs->offloads.underlay_tap)
		return UINT64_MAX;
	vs->changed |= change_watch_seen(&vs->changes);
	if (vs->changed && now < vs->egress_looked + CHANGE_PAUSE)
		return vs->egress_looked + CHANGE_PAUSE;
	if (!vs->changed && now < vs->egress_due)
		return vs->egress_due;
	/* Starts at another gateway each time, as one run probes only PROBE_MAX remotes. */
	for (unsigned i = 0; i < vs->n_gateways; i++) {
		const struct gateway *gateway = gateway_at(vs, (i + now / LOOK_EVERY) % vs->n_gateways);
		for (unsigned r = 0; r < atomic_load_explicit(&gateway->n_remotes, memory_order_acquire); r++)
			egress_consider(vs, gateway, gateway->remotes[r], now, &due);
	}
	vs->changed = false;
	vs->egress_looked = now;
	if (due.n && vs->underlay_tap)
		egress_probe_round(vs, &due, now);
	vs->egress_due = vs->offloads.underlay_tap ? egress_next(vs, now) : UINT64_MAX;
	return vs->egress_due;
}
