/* SPDX-License-Identifier: Apache-2.0 */
/*
 * model.h - the state of the switch, as the data plane and the verbs see it
 *
 * Who may touch what:
 *
 *  - The control thread changes gateways, ports, remotes and the demux only while every worker is parked (freeze/thaw),
 *    so that workers read them as plain memory, without locks.
 *  - Workers change three things: their own counters, the forwarding database (which has its own rules, fdb.h), and the
 *    remotes that a gateway's own side learns: those are appended under `learning` and published by a release store of
 *    the gateway's count.
 *  - Sockets and TAPs are watched by one worker's ring, and written to by any worker.
 *
 * Ids: gateways 1 to FDB_MAX_GATEWAYS - 1, ports and remotes below FDB_MAX_PLACES. An id is free again only after the
 * workers were parked and the table holds no entry that names it.
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
#define GATEWAY_MAX_LEARNED 256 /* remotes that an own side remembers, and so the copies of one broadcast */
#define MAX_GATEWAYS FDB_MAX_GATEWAYS
#define MAX_PORTS FDB_MAX_PLACES
#define MAX_REMOTES FDB_MAX_PLACES
#define PORT_MAX_VTEPS 8
#define MAX_HOSTS 64 /* different UDP ports of the host underlay */

struct remote {
	struct endpoint endpoint;
	struct sockaddr_storage to;
	socklen_t to_length; /* 0: the slot is free */
	uint16_t id;
	uint16_t gateway;   /* whose remote it is */
	uint16_t local_hub; /* the own side on this node that it stands for, or 0: served without the network */
	bool learned;
	_Atomic uint32_t seen; /* seconds; learned ones */
	struct egress egress;
};

struct gateway {
	uint16_t id;
	bool is_hub; /* no remotes were configured: learns them */
	bool pod_underlay;
	struct gateway_config config;
	struct underlay *host;   /* NULL with the pod underlay */
	struct remote **remotes; /* room for the configured ones, or for GATEWAY_MAX_LEARNED */
	atomic_uint n_remotes;
	struct port **ports; /* attached to it, in no order */
	unsigned n_ports, max_ports;
	uint16_t *peers; /* own side: gateways on this node of which a remote stands for it */
	unsigned n_peers;
	struct gateway_counters *counters; /* one a worker */
};

struct port {
	uint16_t id;
	struct port_config config; /* config.link is complete: with what was derived, but without the lease */
	struct link_config wanted; /* the same with zeroes for what was derived, to compare with what is asked for */
	struct link_config live;   /* what the interface has: config.link and the lease */
	struct gateway_client *gateway_client; /* NULL: neither DHCP nor probes */
	bool stays_closed; /* being removed, of an exclusive port: the pod's own default route does not come back */
	char trouble[160]; /* why the lease could not be used, or "" */
	struct gateway *gateway; /* NULL: detached */
	struct worker *worker;   /* whose ring reads its TAP */
	struct netns netns;
	int tap;                   /* -1: gone */
	int tap_watch;             /* handle, -1: none */
	bool takes_uso;            /* its kernel knows UDP super-frames (Linux 6.2) */
	struct underlay *underlay; /* of its own, or NULL: the gateway's host underlay */
	int udp_watch[UNDERLAY_FAMILIES];
	/*
	 * The addresses that the namespace had before the port was made, by which it may be known as an own side on the
	 * pod underlay. Never asked again: a pod could give itself another gateway's address and take its traffic. Not
	 * known of an adopted port, which is then reached by the wire.
	 */
	struct address vteps[PORT_MAX_VTEPS];
	unsigned n_vteps;
	atomic_int lost;                /* errno by which its TAP ended, set by a worker */
	struct port_counters *counters; /* one a worker */
	struct port *next;              /* order of creation */
};

/* The host underlay of one UDP port, and how each worker's ring watches it. */
struct host {
	struct underlay *underlay; /* NULL: the slot is free */
	int watch[SWITCH_MAX_WORKERS][UNDERLAY_FAMILIES];
};

struct vswitch {
	struct switch_options options;
	struct switch_offloads offloads; /* those in force */
	atomic_bool trains_refused;      /* a worker met a kernel that does not take them */
	struct netns home;
	uint8_t secret[SECRET_SIZE];
	struct underlay_tap *underlay_tap; /* NULL: none, everything takes the sockets */
	struct fdb *fdb;
	struct demux *demux;
	struct gateway *gateways[MAX_GATEWAYS];
	uint16_t gateway_order[MAX_GATEWAYS]; /* ids in the order of creation */
	unsigned n_gateways;
	struct port **ports; /* by id, MAX_PORTS */
	struct port *first_port, **last_port;
	unsigned n_ports, next_port;
	struct remote *remotes; /* by id, MAX_REMOTES; pages are touched as they are used */
	uint16_t next_remote;   /* where to look for a free slot next; under `learning` */
	atomic_flag learning;
	struct host hosts[MAX_HOSTS];
	struct worker *workers; /* options.workers of them */
	pthread_mutex_t parking;
	pthread_cond_t parked_or_resumed;
	unsigned parked;
	bool parking_wanted;
	atomic_bool woken; /* and has said so by: */
	int wakeup;        /* eventfd: a worker wants the control thread */
	int alarm;         /* timerfd: a client has something to do */
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

/* The underlay that a port's datagrams take; NULL when detached. */
static inline struct underlay *port_underlay(const struct port *port)
{
	return port->underlay ? port->underlay : port->gateway ? port->gateway->host : NULL;
}

/* Counts a drop: with a port's, else with a gateway's, and always with the worker's. */
static inline void worker_drop(struct worker *worker, struct port *port, struct gateway *gateway, enum drop reason)
{
	count(&worker->drops[reason], 1);
	if (port)
		count(&port->counters[worker->index].drops[reason], 1);
	else if (gateway)
		count(&gateway->counters[worker->index].drops[reason], 1);
}

#endif
