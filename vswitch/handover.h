/* SPDX-License-Identifier: Apache-2.0 */
/*
 * handover.h - what a switch has that no file has, given to the switch of another process, which goes on with it
 *
 *    giving                                          taking, paused from the start
 *    handover_visit_hosts(), _ports(), _gateways()
 *                                                    switch_pause(true)
 *    everything goes on                              handover_take_host()
 *                                                    handover_take_gateway(), handover_take_port() instead of
 *                                                    switch_gateway_add(), switch_port_add(); handover_learn()
 *    switch_pause(true)
 *    counters, by switch_visit_ports() ...           handover_count_port() ...
 *                                                    switch_pause(false), handover_end()
 *    switch_close()
 *
 * Descriptors stand for the same TAPs and sockets in both processes, so at no time is one closed that the other reads,
 * and what arrives while both are paused waits in the kernel's queues: 1,000 frames in a TAP's, megabytes in a
 * socket's. Until the end, switch_pause(false) lets the giving one go on as if nothing had happened.
 *
 * Control thread. Errors as in switch.h.
 */
#ifndef PODSWITCH_HANDOVER_H
#define PODSWITCH_HANDOVER_H

#include "tap/gateway_client.h"
#include "vswitch/base/underlay.h"
#include "vswitch/switch.h"

#include <unistd.h>

#define HANDED_VTEPS 8

struct handed_gateway {
	const char *name;
	bool pod_underlay; /* what UNDERLAY_AUTO was decided to be */
};

struct handed_port {
	const char *name;
	int tap, netns;            /* descriptors */
	struct underlay *underlay; /* the port's own, NULL: none */
	bool refuses_tso;          /* its TAP refuses super-frames of TCP with a short end */
	bool has_client;
	struct gateway_client_status client; /* times in ms of the monotonic clock */
	const struct address *vteps;         /* addresses that the namespace had before the port was made */
	unsigned n_vteps;
};

/* Closes what nobody has taken of it. */
static inline void handed_port_close(struct handed_port *port)
{
	if (port->tap >= 0)
		close(port->tap);
	if (port->netns >= 0)
		close(port->netns);
	underlay_close(port->underlay);
	port->tap = port->netns = -1;
	port->underlay = NULL;
}

/* Ends reading from TAPs and sockets, once all that was read is forwarded, or goes on with it. */
void switch_pause(struct vswitch *vs, bool pause);

/* What the visitors get is the switch's, and valid during the call. A port that is "gone" is not visited. */
void handover_visit_hosts(const struct vswitch *vs, void (*visit)(void *context, const struct underlay *host),
			  void *context);
void handover_visit_gateways(const struct vswitch *vs,
			     void (*visit)(void *context, const struct handed_gateway *gateway), void *context);
void handover_visit_ports(const struct vswitch *vs, void (*visit)(void *context, const struct handed_port *port),
			  void *context);

/* Sockets of the host underlay, for the gateways that come. They are taken in any case. 0 or -ENOSPC. */
int handover_take_host(struct vswitch *vs, struct underlay *host, struct failure *why);

/* When the giving one will not read again: closes those that no gateway has taken, and opens what the others lack. */
void handover_end(struct vswitch *vs);

/* As switch_gateway_add(), with the underlay that was decided on. */
int handover_take_gateway(struct vswitch *vs, const struct gateway_config *config, bool pod_underlay,
			  struct failure *why);

/* As switch_port_add(). Descriptors and underlay are taken in any case; `from` then has none of them. */
int handover_take_port(struct vswitch *vs, const struct port_config *config, struct handed_port *from,
		       struct failure *why);

/*
 * A learned entry of the FDB; exactly one of `port` and `remote` is not NULL. A hub has that remote from then on. What
 * does not fit is left out: it is learned again.
 */
void handover_learn(struct vswitch *vs, const char *gateway, const struct mac *mac, const char *port,
		    const struct endpoint *remote, unsigned age);

/* Counters go on from where they were. A port or gateway that is not there has none. */
void handover_count_port(struct vswitch *vs, const char *name, const struct port_counters *counters);
void handover_count_gateway(struct vswitch *vs, const char *name, const struct gateway_counters *counters);
void handover_count_drops(struct vswitch *vs, const uint64_t drops[static DROP_COUNT]);

#endif
