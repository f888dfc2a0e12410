/* SPDX-License-Identifier: Apache-2.0 */
/*
 * egress.c - by which way a remote's datagrams leave the node: the underlay TAP, or the sockets
 *
 *    egress_reset()
 *         |
 *         v                a probe has left the node
 *      sockets      --------------------------------------------->    TAP
 *      mtu == 0                                                       mtu == the path's
 *      probed every 30 s,                                             probed every 5 s; path MTU and
 *      every second until 3 are lost                                  source address asked every second
 *         ^                                                               |
 *         |   3 probes lost in a row                                      |
 *         |   a worker's write was refused: probed again at the next check|
 *         |   the source address changed: probed again at once            |
 *         |   the remote is served locally now, or by pod underlays       |
 *         +---------------------------------------------------------------+
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
#include "vswitch/path/model.h"
#include "vswitch/path/parking.h"
#include "vswitch/path/probe.h"

#include <string.h>

#define PROBE_EVERY 5  /* seconds, while the TAP is used */
#define RETRY_EVERY 30 /* seconds, while it is not */
#define MISSES 3       /* lost in a row, a second apart, until the remote takes the sockets */

/* The remotes that are due, with what probe_run() needs to know. */
struct egress_round {
	struct probe_target targets[PROBE_MAX];
	struct remote *remotes[PROBE_MAX];
	size_t n;
};

static void egress_turn_off(struct vswitch *vs, const char *why)
{
	vs->offloads.underlay_tap = false;
	log_line(LOG_WARNING, "underlay_tap is off, everything takes the sockets: %s", why);
}

void egress_open(struct vswitch *vs)
{
	struct failure why = {0};
	if (vs->offloads.underlay_tap && underlay_tap_open(&vs->underlay_tap, &why))
		egress_turn_off(vs, why.text);
}

void egress_close(struct vswitch *vs)
{
	underlay_tap_close(vs->underlay_tap);
	vs->underlay_tap = NULL;
}

void egress_reset(struct egress *egress)
{
	atomic_store_explicit(&egress->mtu, 0, memory_order_relaxed);
	egress->from.ss_family = 0;
	egress->due = 0;
	egress->misses = egress->turn = 0;
	egress->logged = false;
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
	if (mtu > 0)
		underlay_tap_route(&egress->route, vs->underlay_tap, &from, &remote->to);
}

static void egress_consider(struct vswitch *vs, const struct gateway *gateway, struct remote *remote, uint32_t now,
			    struct egress_round *due)
{
	struct egress *egress = &remote->egress;
	if (!gateway->host || gateway->pod_underlay || remote->local_hub) {
		atomic_store(&egress->mtu, 0);
		return;
	}
	bool used = atomic_load(&egress->mtu) != 0;
	egress_follow_path(vs, gateway->host, remote);
	if (!egress->from.ss_family || due->n == PROBE_MAX)
		return;
	/* When a worker has set mtu to 0 after a refusal, the remote is probed at once. */
	bool withdrawn = !used && !egress->misses && !egress->logged;
	if (now < egress->due && !withdrawn)
		return;
	due->remotes[due->n] = remote;
	due->targets[due->n++] = (struct probe_target){
		.route = &egress->route,
		.source_port = underlay_source_port(gateway->host, remote->to.ss_family, egress->turn),
	};
}

static void egress_log_lost(struct egress *egress, const struct remote *remote, int error)
{
	char text[ADDRESS_TEXT];
	if (egress->logged)
		return;
	egress->logged = true;
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

static void egress_probe_passed(const struct vswitch *vs, struct remote *remote, int mtu, uint32_t now)
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
	egress->logged = false;
	atomic_store_explicit(&egress->mtu, (unsigned)mtu, memory_order_release);
}

static void egress_probe_missed(struct remote *remote, int error, uint32_t now)
{
	struct egress *egress = &remote->egress;
	if (egress->misses < MISSES)
		egress->misses++;
	egress->due = now + 1;
	if (egress->misses < MISSES)
		return;
	egress->due = now + RETRY_EVERY;
	atomic_store(&egress->mtu, 0);
	egress_log_lost(egress, remote, error);
}

static void egress_take_results(struct vswitch *vs, const struct egress_round *due, uint32_t now)
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

void egress_check(struct vswitch *vs, uint32_t now)
{
	struct egress_round due = {.n = 0};
	struct failure why = {0};
	if (!vs->underlay_tap)
		return;
	/* Starts at another gateway each time, as one run probes only PROBE_MAX remotes. */
	for (unsigned i = 0; i < vs->n_gateways; i++) {
		const struct gateway *gateway = gateway_at(vs, (i + now) % vs->n_gateways);
		for (unsigned r = 0; r < atomic_load_explicit(&gateway->n_remotes, memory_order_acquire); r++)
			egress_consider(vs, gateway, gateway->remotes[r], now, &due);
	}
	if (!due.n)
		return;
	if (probe_run(vs->underlay_tap, due.targets, due.n, &why)) {
		egress_disable(vs, why.text);
		return;
	}
	for (size_t i = 0; i < due.n; i++) {
		/* EBADFD: the device was deleted. */
		if (due.targets[i].error == -EBADFD) {
			egress_disable(vs, "its device was removed");
			return;
		}
	}
	egress_take_results(vs, &due, now);
}
