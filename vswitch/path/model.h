/* SPDX-License-Identifier: Apache-2.0 */
/*
 * model.h - the state of the switch, as the workers and the verbs see it
 *
 * Who may change what:
 *
 * - The control thread changes gateways, ports, configured remotes and the demux, and only while every worker is parked
 * (parking.h). So workers read them as plain memory, without locks.
 *
 * - Workers change their own counters, the forwarding database (by its own rules, fdb.h), and the remotes that a hub
 * learns: those are appended under `learning` and published by a release store of the gateway's n_remotes.
 *
 * - A socket or TAP is watched by one worker's ring. Any worker may write to it.
 *
 * A hub (server side) is a gateway without configured remotes: it learns them from the datagrams that arrive.
 *
 * Ids: gateways have 1 to FDB_MAX_GATEWAYS - 1, ports and remotes 0 to FDB_MAX_PLACES - 1. An id may be used again only
 * after the workers were parked and no FDB entry names it.
 */
#ifndef PODSWITCH_MODEL_H
#define PODSWITCH_MODEL_H

#include "tap/netns.h"
#include "vswitch/base/demux.h"
#include "vswitch/base/fdb.h"
#include "vswitch/base/switch_config.h"
#include "vswitch/base/underlay.h"
#include "vswitch/path/egress.h"
#include "vswitch/path/worker.h"

#include <pthread.h>
#include <stdatomic.h>

#define SECRET_SIZE 192
#define GATEWAY_MAX_LEARNED 256 /* remotes that a hub remembers, so also the copies of one broadcast */
#define MAX_GATEWAYS FDB_MAX_GATEWAYS
#define MAX_PORTS FDB_MAX_PLACES
#define MAX_REMOTES FDB_MAX_PLACES
#define PORT_MAX_VTEPS 8
#define MAX_HOSTS 64 /* UDP ports that the host underlay may have open at a time */

struct remote {
	struct endpoint endpoint;
	struct sockaddr_storage to;
	socklen_t to_length; /* 0: the slot is free */
	uint16_t id;
	uint16_t gateway;   /* whose remote it is */
	uint16_t local_hub; /* the hub on this node that it stands for, served without the network; 0: none */
	bool learned;
	_Atomic uint32_t seen; /* seconds; learned ones */
	struct egress egress;
};

struct gateway {
	uint16_t id;
	bool is_hub; /* no remotes were configured: it learns them */
	bool pod_underlay;
	struct gateway_config config;
	struct underlay *host;   /* NULL with the pod underlay */
	struct remote **remotes; /* room for the configured ones, or for GATEWAY_MAX_LEARNED */
	atomic_uint n_remotes;
	struct port **ports; /* attached to it, in no order */
	unsigned n_ports, max_ports;
	uint16_t *peers; /* of a hub: gateways on this node that have it as a remote */
	unsigned n_peers;
	struct gateway_counters *counters; /* one a worker */
};

struct port {
	uint16_t id;
	struct port_config config; /* config.link is complete: with derived MAC and MTU, without the lease */
	struct link_config wanted; /* config.link as it was asked for: zero where MAC or MTU are derived */
	struct link_config live;   /* what the interface has: config.link and the lease */
	struct gateway_client *gateway_client; /* NULL: neither DHCP nor probes */
	bool stays_closed;       /* being removed: an exclusive port's pod does not get its own default route back */
	char trouble[160];       /* why the lease could not be used, or "" */
	struct gateway *gateway; /* NULL: detached */
	struct worker *worker;   /* whose ring reads its TAP */
	struct netns netns;
	int tap;                   /* -1: gone */
	int tap_watch;             /* handle, -1: none */
	bool takes_uso;            /* its kernel knows UDP super-frames (Linux 6.2) */
	struct underlay *underlay; /* the port's own; NULL: the gateway's host underlay */
	int udp_watch[UNDERLAY_FAMILIES];
	/*
	 * The addresses that the namespace had before the port was made: a hub on the pod underlay is known by them.
	 * They are never read again, as a pod could give itself the address of another gateway and take its traffic. An
	 * adopted port has none, so it is reached by the network.
	 */
	struct address vteps[PORT_MAX_VTEPS];
	unsigned n_vteps;
	atomic_int lost;                /* errno with which reading its TAP ended, set by a worker; 0: it has not */
	struct port_counters *counters; /* one a worker */
	struct port *next;              /* in the order of creation */
};

/* The host underlay of one UDP port, and the handles with which each worker watches its sockets. */
struct host {
	struct underlay *underlay; /* NULL: the slot is free */
	int watch[SWITCH_MAX_WORKERS][UNDERLAY_FAMILIES];
};

struct vswitch {
	struct switch_options options;
	struct switch_offloads offloads; /* what is in force: the options, less what the kernel refused */
	atomic_bool trains_refused;      /* set by a worker when the kernel refused a train */
	struct netns home;
	uint8_t secret[SECRET_SIZE];
	struct underlay_tap *underlay_tap; /* NULL: there is none, and every datagram takes the sockets */
	struct fdb *fdb;
	struct demux *demux;
	struct gateway *gateways[MAX_GATEWAYS];
	uint16_t gateway_order[MAX_GATEWAYS]; /* ids in the order of creation */
	unsigned n_gateways;
	struct port **ports; /* by id, MAX_PORTS */
	struct port *first_port, **last_port;
	unsigned n_ports, next_port;
	struct remote *remotes; /* by id, MAX_REMOTES; pages are touched as they are used */
	uint16_t next_remote;   /* where the search for a free slot begins; under `learning` */
	atomic_flag learning;
	struct host hosts[MAX_HOSTS];
	struct worker *workers; /* options.workers of them */
	pthread_mutex_t parking;
	pthread_cond_t parked_or_resumed;
	unsigned parked;
	bool parking_wanted;
	atomic_bool woken; /* a worker has written to: (cleared by switch_tick) */
	int wakeup;        /* eventfd: a worker wants the control thread */
	int alarm;         /* timerfd: a gateway client has something due */
	int attention; /* epoll: the two above (data ATTENTION_OTHER) and the clients' sockets (data: the port's id) */
	switch_listener *listener;
	void *listener_context;
	struct switch_feature features[16];
	uint32_t started, ticked, expired_at; /* seconds of the monotonic clock */
};

#define ATTENTION_OTHER UINT32_MAX

/* The gateways in the order of their creation, `i` below n_gateways. Control thread, or a worker that is not parked. */
static inline struct gateway *gateway_at(const struct vswitch *vs, unsigned i)
{
	return vs->gateways[vs->gateway_order[i]];
}

/* The remote of `gateway` with this address, among those that are published; NULL when there is none. Any thread. */
static inline struct remote *gateway_find_remote(const struct gateway *gateway, const struct address *address)
{
	unsigned n = atomic_load_explicit(&gateway->n_remotes, memory_order_acquire);
	for (unsigned i = 0; i < n; i++)
		if (address_equal(&gateway->remotes[i]->endpoint.address, address))
			return gateway->remotes[i];
	return NULL;
}

/* Whether a hub with this configuration may learn a remote at `address`. */
static inline bool gateway_allows(const struct gateway_config *config, const struct address *address)
{
	for (size_t i = 0; i < config->n_allow; i++)
		if (prefix_contains(&config->allow[i], address))
			return true;
	return config->n_allow == 0;
}

/* The underlay that a port's datagrams take; NULL when it is detached. */
static inline struct underlay *port_underlay(const struct port *port)
{
	return port->underlay ? port->underlay : port->gateway ? port->gateway->host : NULL;
}

/* Counts a drop, always for the worker, and for the port or else the gateway it belongs to. */
static inline void worker_drop(struct worker *worker, struct port *port, struct gateway *gateway, enum drop reason)
{
	count(&worker->drops[reason], 1);
	if (port)
		count(&port->counters[worker->index].drops[reason], 1);
	else if (gateway)
		count(&gateway->counters[worker->index].drops[reason], 1);
}

#endif
