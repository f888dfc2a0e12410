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

#include "tap/base/histogram.h"
#include "tap/netns.h"
#include "tap/primary.h"
#include "vswitch/base/demux.h"
#include "vswitch/base/fdb.h"
#include "vswitch/base/ring.h"
#include "vswitch/base/switch_config.h"
#include "vswitch/base/underlay.h"
#include "vswitch/path/ban.h"
#include "vswitch/path/coalesce.h"
#include "vswitch/path/identity.h"
#include "vswitch/path/outlet.h"
#include "vswitch/path/stray.h"
#include "vswitch/path/underlay_tap.h"

#include <pthread.h>
#include <stdatomic.h>

#define SECRET_SIZE 192
#define GATEWAY_MAX_LEARNED 256 /* remotes that a hub remembers, so also the copies of one broadcast */
#define GATEWAY_CROWDED 224     /* from so many on, a hub makes room (hub.h) before a new client finds none */
#define MAX_GATEWAYS FDB_MAX_GATEWAYS
#define MAX_PORTS FDB_MAX_PLACES
#define MAX_REMOTES FDB_MAX_PLACES
#define PORT_OFFERS 4
#define PORT_MAX_VTEPS 8
#define MAX_HOSTS 64 /* UDP ports that the host underlay may have open at a time */

/* ---- gateways and ports ---- */

/* By which way a remote's datagrams leave (egress.h). */
struct egress {
	atomic_uint mtu;                 /* path MTU, bytes of an outer IP packet; 0: use the sockets */
	struct underlay_tap_route route; /* valid while mtu is not 0 */
	int tap;                         /* descriptor of the underlay TAP, as long */
	struct sockaddr_storage from;    /* the local address of the route; family 0: no route yet */
	uint64_t due;                    /* when to probe next, ms of the monotonic clock; 0: at once */
	uint8_t misses;                  /* probes lost in a row */
	uint8_t turn;                    /* picks the source port of the next probe */
	bool routed;                     /* `route` and `tap` are for `from` */
	bool settled;                    /* on the sockets: why has been logged, and it is probed again when due */
};

struct remote {
	struct endpoint endpoint;
	struct sockaddr_storage to;
	socklen_t to_length; /* 0: the slot is free */
	uint16_t id;
	uint16_t gateway;   /* whose remote it is */
	uint16_t local_hub; /* the hub on this node that it stands for, served without the network; 0: none */
	bool learned;
	bool leaving;          /* chosen to be released (remote_release_leaving) */
	atomic_bool answered;  /* a frame for one address behind it was sent to it; copies of broadcasts do not count */
	uint32_t turn;         /* how many the switch had claimed before it, as an order; wraps */
	uint32_t since;        /* seconds, when it was claimed */
	_Atomic uint32_t seen; /* seconds; learned ones */
	struct ban train_ban;  /* of trains to it on the host underlay (refused_train.h) */
	atomic_uint room;      /* UDP payload that fits the path of the host underlay (too_big.h); 0: not known */
	struct egress egress;
};

/*
 * What a hub has done about strangers, and what was last logged about it: the told_ ones are the counters of then, and
 * the seconds, 0 for never (hub.h, claims.h). Control thread.
 */
struct hub {
	uint64_t evicted;      /* remotes that made room for others */
	uint64_t evicted_macs; /* table entries that did */
	uint64_t made_room_at; /* ms of the monotonic clock; 0: never */
	uint64_t cleared_at;   /* the same, of table entries */
	struct address last;   /* the last one that was evicted */
	uint64_t told_evicted, told_refused, told_barred, told_held, told_macs;
	uint32_t told_at, told_barred_at, told_held_at, told_macs_at;
	struct address claimant, owner; /* of the last claim; family 0: unknown */
	struct mac claimed;
};

/* A gateway that sends nothing back (silence.h). Control thread. */
enum silence_reason { SILENCE_NONE, SILENCE_OTHER_SOURCE, SILENCE_OTHER_VNI, SILENCE_ICMP, SILENCE_NOTHING };

struct silence {
	uint64_t rx, tx; /* the gateway's datagrams, when it was last looked at */
	uint64_t sent;   /* datagrams since it is silent */
	uint32_t since;  /* seconds; 0: it is not silent */
	uint32_t heard;  /* seconds, the last time; 0: never since it has this underlay */
	uint32_t asked;  /* seconds, the last inquiry */
	uint32_t tried;  /* seconds, when `auto` last took another underlay; 0: never */
	int inquiry;     /* socket; -1: none */
	enum silence_reason reason;
	struct address from; /* who answered instead, or who sent the ICMP error */
	uint32_t vni;        /* of SILENCE_OTHER_VNI */
	const char *icmp;    /* of SILENCE_ICMP */
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
	struct silence silence;
	struct hub hub;
	struct histogram answers; /* how long its pods' questions waited for answers; the control thread's */
};

/* By which way a busy pod's datagrams leave its own namespace for the remote that has most of them (pod_egress.h). */
struct pod_egress {
	struct outlet outlet;
	struct egress egress;
	struct remote *remote;
	uint32_t turn;    /* the remote's: its slot may be another's by now */
	uint64_t busy_at; /* ms of the monotonic clock, the last time */
};

/* The queues of a busy pod's TAP besides the first one (pod_queues.h). */
struct pod_queues {
	unsigned n;
	struct {
		int fd, watch;
	} queue[SWITCH_MAX_QUEUES - 1];
	uint64_t busy_at; /* ms of the monotonic clock, the last time */
};

struct port {
	uint16_t id;
	struct port_config config; /* config.link is complete: with derived MAC and MTU, without the lease */
	struct link_packed *live;  /* what the interface has: config.link and the lease */
	struct identity identity;  /* its addresses, as the workers look at them */
	struct gateway_client *gateway_client; /* NULL: neither DHCP, nor probes, nor IPv4 addresses */
	bool stays_closed;      /* being removed: an exclusive port's pod does not get its own default route back */
	char trouble[160];      /* why a lease or an address could not be used, or "" */
	uint64_t follow_at;     /* ms, when that is tried again */
	uint32_t unmoved_until; /* seconds, until its MTU follows the path again after it could not (paths.h) */
	struct primary_state primary;     /* of an exclusive port's pod: this and the next five, see way_out.c */
	uint64_t check_at;                /* when the pod is looked at next, ms of the monotonic clock */
	unsigned check_pause;             /* ms */
	uint64_t checked_at, repaired_at; /* the last time; 0: never */
	unsigned repairs;                 /* checks that found something to repair */
	char disorder[160];               /* why the last repair failed, or "" */
	struct gateway *gateway;          /* NULL: detached */
	struct worker *worker;            /* whose ring reads its TAP's first queue */
	struct netns netns;
	int tap;                     /* its first queue; -1: gone */
	int tap_watch;               /* handle, -1: none */
	struct pod_queues *queues;   /* NULL: that is all it has */
	uint64_t bytes_seen;         /* from the pod, when it was last looked at */
	uint64_t queues_again;       /* ms, until which it gets no more queues */
	_Atomic uint64_t crowded_at; /* bytes that its worker has read of it, from which it is to have more */
	bool takes_uso;              /* its kernel knows UDP super-frames (Linux 6.2) */
	bool refuses_tso;            /* its TAP refused a super-frame of TCP when it was made (trial_frame.h) */
	struct ban gro_ban;          /* of super-frames that we have coalesced for it */
	struct underlay *underlay;   /* the port's own; NULL: the gateway's host underlay */
	int udp_watch[UNDERLAY_FAMILIES];
	struct pod_egress *pod_egress; /* NULL: what its own underlay sends takes the sockets */
	_Atomic uint64_t supers;       /* super-frames that its worker has sent by its own underlay */
	_Atomic uint16_t super_to;     /* the remote of the last one */
	uint64_t supers_seen;          /* when it was last looked at */
	uint64_t egress_again;         /* ms, until which no underlay TAP is tried */
	struct ban train_ban;          /* of trains by the port's own underlay (refused_train.h) */
	atomic_uint room; /* UDP payload that fits the paths of its own underlay (too_big.h); 0: not known */
	/*
	 * The addresses that the namespace had before the port was made: a hub on the pod underlay is known by them.
	 * They are never read again, as a pod could give itself the address of another gateway and take its traffic. An
	 * adopted port has none, so it is reached by the network.
	 */
	struct address vteps[PORT_MAX_VTEPS];
	unsigned n_vteps;
	/*
	 * While podswitchd asks a DHCP server for an address that the pod has, pings to the pod are dropped: second of
	 * the monotonic clock up to which that is so. The server takes an answer for somebody else's.
	 */
	_Atomic uint32_t deaf_until;
	/*
	 * The last addresses that DHCP servers gave its client by the TAP, host order. A lease that is none of them is
	 * the pod's own work.
	 */
	_Atomic uint32_t offers[PORT_OFFERS];
	atomic_uint n_offers;
	atomic_int lost;                /* errno with which reading its TAP ended, set by a worker; 0: it has not */
	struct port_counters *counters; /* one a worker */
	uint64_t tap_dropped;           /* the kernel's count of frames that its TAP lost, when it was last read */
	uint64_t tap_overruns, socket_overruns; /* drops that the kernel counted (overruns.h) */
	struct port *next;                      /* in the order of creation */
};

/* The host underlay of one UDP port, and the handles with which workers watch its receivers. */
struct host {
	struct underlay *underlay; /* NULL: the slot is free */
	int watch[SWITCH_MAX_WORKERS][UNDERLAY_FAMILIES];
};

/* ---- workers ---- */

#define TRAIN_OPEN 8
#define TRAIN_FRAMES 64   /* UDP_MAX_SEGMENTS of Linux before 6.11 */
#define TRAIN_BYTES 65000 /* one send takes 65493 over IPv4 and 65473 over IPv6 */

/* What all datagrams of a train have in common. */
struct train_flow {
	struct port *port;
	const struct remote *remote;
	int fd;                      /* the socket of their flows */
	uint16_t source_port;        /* its UDP port, host order */
	unsigned ecn;                /* outer */
	const struct egress *egress; /* leaves by its underlay TAP instead (egress.h); NULL: it does not */
};

struct train {
	struct train_flow flow;
	uint32_t size;   /* bytes of each datagram but the last */
	uint32_t total;  /* bytes of all */
	unsigned count;  /* 0: not open */
	uint8_t *frame;  /* the first inner frame */
	uint32_t length; /* of that frame */
	struct iovec datagrams[TRAIN_FRAMES];
};

struct trains {
	struct train open[TRAIN_OPEN];
	unsigned next; /* which one is closed next when all are open */
};

#define WORKER_REPLIES 16      /* ICMP errors to pods between two flushes */
#define WORKER_REPLY_SIZE 1300 /* an ICMPv6 error fits IPv6's least MTU (RFC 4443, section 2.4) */
#define WORKER_IDLE_SPINS 8
#define WORKER_BULK_ROUNDS 16
#define WORKER_GROUPS 8   /* flows that are coalesced */
#define WORKER_LEARNED 64 /* learned MACs that wait */
#define WORKER_CLAIMS 64  /* claims that wait */

/* The upper half of an event's tag: what the descriptor belongs to. The lower half is the id of that object. */
enum tag_kind { TAG_TAP, TAG_HOST, TAG_POD, TAG_MAIL };

static inline uint64_t make_tag(enum tag_kind kind, uint32_t id)
{
	return (uint64_t)kind << 32 | id;
}

struct worker_learned {
	uint16_t gateway;
	bool moved;
	struct mac mac;
};

/* A remote of a hub that sends with the MAC of another remote's client, which must be asked whether it is there
 * (claims.h). */
struct worker_claim {
	uint16_t gateway;
	struct mac mac;
	struct address from;
};

/* The ICMP error for a frame that was too big for the path, kept until it can be queued. */
struct worker_reply {
	struct port *port;
	uint32_t length;
	uint8_t frame[WORKER_REPLY_SIZE];
};

struct worker {
	struct vswitch *vs;
	unsigned index;
	pthread_t thread;
	bool started;
	struct ring *ring;
	uint32_t now;         /* seconds, of this round */
	unsigned idle_spins;  /* spins in a row that found nothing */
	unsigned bulk_rounds; /* that are not to be spun for yet */
	uint64_t rounds, events;
	uint64_t drops[DROP_COUNT];
	struct strays strays;
	struct trains trains;
	struct coalesce_group groups[WORKER_GROUPS];
	unsigned n_groups;
	struct worker_reply replies[WORKER_REPLIES];
	unsigned n_replies;
	/*
	 * MACs learned, for the monitor: the worker writes at `learned_in`, the control thread reads at `learned_out`.
	 */
	struct worker_learned learned[WORKER_LEARNED];
	atomic_uint learned_in, learned_out;
	atomic_bool listening;
	struct worker_claim claims[WORKER_CLAIMS]; /* in the same way */
	atomic_uint claims_in, claims_out;
	/* Mail: one call of the control thread at a time. */
	int mail; /* eventfd */
	pthread_mutex_t mailbox;
	pthread_cond_t answered;
	void (*call)(struct worker *worker, void *argument);
	void *argument;
	atomic_bool has_mail;
	bool stopping;
	struct failure failure; /* why the thread could not start */
	int start_result;       /* 1 until it is known */
};

/* A counter has one writer, its worker. The control thread may read it at any time. */
static inline void count(uint64_t *counter, uint64_t by)
{
	__atomic_store_n(counter, __atomic_load_n(counter, __ATOMIC_RELAXED) + by, __ATOMIC_RELAXED);
}

static inline void uncount(uint64_t *counter, uint64_t by)
{
	count(counter, (uint64_t)0 - by);
}

static inline uint64_t counted(const uint64_t *counter)
{
	return __atomic_load_n(counter, __ATOMIC_RELAXED);
}

/* ---- the switch ---- */

struct vswitch {
	struct switch_options options;
	struct switch_offloads offloads; /* what is in force: the options, less what the kernel refused */
	struct ring_choice io;           /* of every worker's ring */
	bool trains_garbled;             /* offloads.udp_gso is off because of the kernel's version */
	atomic_bool banned;              /* set by a worker that has imposed a ban, until the control thread logs it */
	struct netns home;
	struct tap_endings *endings; /* of ports that were removed */
	uint8_t secret[SECRET_SIZE];
	struct outlet outlet;  /* the node's; its changes are watched while offloads.underlay_tap */
	uint64_t pods_counted; /* ms, when it was last counted what pods send (pod_egress.h) */
	struct fdb *fdb;
	struct demux *demux;
	struct gateway *gateways[MAX_GATEWAYS];
	uint16_t gateway_order[MAX_GATEWAYS]; /* ids in the order of creation */
	unsigned n_gateways;
	struct port **ports; /* by id, MAX_PORTS */
	struct port *first_port, **last_port;
	unsigned n_ports, next_port;
	unsigned next_counted;    /* port whose overruns are read next (overruns.h) */
	struct remote *remotes;   /* by id, MAX_REMOTES; pages are touched as they are used */
	uint16_t next_remote;     /* where the search for a free slot begins; under `learning` */
	uint32_t next_turn;       /* of the next remote; under `learning`, too */
	uint64_t asked_at;        /* ms, when owners of claimed addresses were last asked (claims.h) */
	atomic_bool pods_crowded; /* set by a worker that reads a pod which has become busy, as long */
	atomic_bool crowded;      /* set by a worker whose hub is short of remotes, until the control thread looks */
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
	bool told_unfiltered; /* that pods have no packet filter was logged */
	switch_listener *listener;
	void *listener_context;
	struct switch_feature features[16];
	uint64_t tap_overruns, socket_overruns; /* of all ports, also of those that are gone, and of hosts */
	uint32_t started, ticked, expired_at;   /* seconds of the monotonic clock */
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

/* A DHCP server has given the port's client this address, host order. Any thread. */
static inline void port_note_offer(struct port *port, uint32_t address)
{
	unsigned at = atomic_fetch_add_explicit(&port->n_offers, 1, memory_order_relaxed) % PORT_OFFERS;
	atomic_store_explicit(&port->offers[at], address, memory_order_release);
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
