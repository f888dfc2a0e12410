/* SPDX-License-Identifier: Apache-2.0 */
/*
 * switch.h - the switch as its owner sees it: gateways, ports, the FDB, and the verbs that change them
 *
 * A gateway is a VXLAN network behind one or more remotes. A port is a TAP in a pod's network namespace, attached to
 * one gateway. Gateways may share VNIs and address ranges: everything is kept per gateway.
 *
 * Threads: every function here is for the control thread, which also calls switch_open() and switch_close(); those
 * start and join the workers. When a verb returns, it is in effect for every packet that is read afterwards. A verb
 * that is refused has changed nothing.
 *
 * Errors are negative errno with `why` filled in: -EEXIST (it exists with other settings), -ENOENT (no such gateway,
 * port or entry), -EBUSY (in use), -EINVAL (an invalid value), or what the kernel said.
 */
#ifndef PODSWITCH_SWITCH_H
#define PODSWITCH_SWITCH_H

#include "tap/base/failure.h"
#include "tap/base/histogram.h"
#include "vswitch/base/switch_config.h"

struct vswitch; /* `switch` alone is a keyword */

/* How many workers the processors that we may use can feed: one for each two, 4 at most. Any thread. */
unsigned switch_workers_auto(void);

/*
 * Starts the workers. With IO_URING, where io_uring is forbidden, `why` says in one line what forbids it and what to
 * set; with IO_AUTO that is logged, and epoll used.
 */
int switch_open(const struct switch_options *options, struct vswitch **out, struct failure *why);

/*
 * Stops the workers and closes everything. TAPs stay in their pods, without carrier, but for those of ports that were
 * removed: it waits for their ends. NULL is accepted.
 */
void switch_close(struct vswitch *vs);

/*
 * Gateways. Adding one that exists with the same settings succeeds and changes nothing. `set` takes the complete new
 * configuration and applies the difference while the ports of the gateway are up. A gateway that ports use is removed
 * only with `force`: its ports stay, in state "detached", and drop everything.
 */
int switch_gateway_add(struct vswitch *vs, const struct gateway_config *config, struct failure *why);
int switch_gateway_set(struct vswitch *vs, const struct gateway_config *config, struct failure *why);
int switch_gateway_remove(struct vswitch *vs, const char *name, bool force, struct failure *why);

/*
 * Ports. With `adopt`, a port gets the TAP that an earlier podswitchd left in the namespace, with whatever the pod has
 * configured on it. If that TAP is gone a new one is made, unless the namespace is given by a process id, which may
 * belong to another process by now. When namespace or TAP cannot be had, the port is added in state "gone"; that is not
 * an error.
 *
 * Adding a port that is "gone" or "detached" with the same settings attaches it again. `set` cannot change netns and
 * ifname. What an exclusive port took from the pod comes back when the port is removed, unless it is to stay `closed`.
 *
 * A port that is removed is one no more for podswitchd, but its TAP may be in the pod for a moment yet. *ending is its
 * number then, else 0; switch_end_taps() says when it is gone. Until then its name there is taken: what is to be added
 * must wait for the number that switch_port_waits_for() returns, if it is not 0.
 */
int switch_port_add(struct vswitch *vs, const struct port_config *config, bool adopt, struct failure *why);
int switch_port_set(struct vswitch *vs, const struct port_config *config, struct failure *why);
int switch_port_remove(struct vswitch *vs, const char *name, bool closed, uint64_t *ending, struct failure *why);
uint64_t switch_port_waits_for(const struct vswitch *vs, const struct port_config *config);

/* The current configuration, or NULL; valid until the next verb. */
const struct gateway_config *switch_gateway_config(const struct vswitch *vs, const char *name);
const struct port_config *switch_port_config(const struct vswitch *vs, const char *name);

/* Static entries of the FDB. Exactly one of `port` (a port's name) and `remote` is not NULL. */
int switch_fdb_add(struct vswitch *vs, const char *gateway, const struct mac *mac, const char *port,
		   const struct endpoint *remote, struct failure *why);
int switch_fdb_remove(struct vswitch *vs, const char *gateway, const struct mac *mac, struct failure *why);

/*
 * Forgets learned entries, of one gateway or (NULL) of all. Static and local ones stay. Returns how many, or -ENOENT.
 */
int switch_fdb_flush(struct vswitch *vs, const char *gateway, struct failure *why);

/*
 * Reports. Each visits the objects in the order of their creation, or only the one called `name`, and returns how many
 * it visited. What is passed to the visitor is valid during the call only. The visitor must not change the switch.
 */
struct remote_status {
	struct endpoint endpoint;
	const char *state; /* "configured", "learned", or "local": a hub of this node, reached without the network */
	bool by_tap;       /* its datagrams leave by the underlay TAP, not by the sockets */
	int trains_off;    /* the errno with which a train to it was refused a while ago; 0: trains are on */
};

/* A gateway that sends nothing back. */
struct silence_status {
	const char *reason;  /* "other_source", "other_vni", "icmp" or "nothing"; NULL: it is not silent */
	unsigned seconds;    /* since when */
	uint64_t sent;       /* datagrams meanwhile */
	struct address from; /* who answers in its place, or who sent the ICMP error; family 0: nobody */
	uint32_t vni;        /* that came instead of the gateway's own, with "other_vni" */
	const char *icmp;    /* "port unreachable" and the like, with "icmp"; else "" */
	char text[320];      /* for people: what was found, and what to do */
};

struct gateway_status {
	const struct gateway_config *config;
	bool pod_underlay; /* what UNDERLAY_AUTO was decided to be */
	unsigned mtu;      /* what a port gets by default now, bytes */
	unsigned ports;
	const struct remote_status *remotes;
	size_t n_remotes;
	struct gateway_counters counters;
	struct silence_status silence;
	const struct histogram *answers; /* how long its pods' questions to it waited for answers, since it was added */
};

/* A port as a client of its gateway. */
struct port_client {
	const char *state; /* "off" (neither DHCP nor probes), "waiting" (for its address), "probing" (for an answer),
			      "ready" or "lost" */
	struct address router, server; /* family 0: none; without a lease, the router is the one that is expected */
	unsigned lease, expires_in;    /* seconds; lease 0: none */
	bool has_answered;
	unsigned answered;         /* seconds since the router's last answer */
	bool checking;             /* whether its static addresses are free; it gets them when they are */
	char trouble[160];         /* why the lease, or a static address, cannot be used, or "" */
	const char *lacks;         /* whose answer is missing, "router" or "path"; NULL: nobody's */
	struct path_target target; /* asked behind the router; the rest is for PATH_NONE without meaning */
	const char *path_state;    /* "probing", "ready" or "lost" */
	bool path_has_answered;
	unsigned path_answered; /* seconds since the target's last answer */
	uint64_t path_took;     /* us, until it came */
};

/* An exclusive port as its pod's only way out. */
struct port_way_out {
	bool exclusive;         /* else the rest says nothing */
	const char *state;      /* "closed"; "preceded": a rule of the pod's own comes first; "broken": see trouble */
	unsigned checked;       /* seconds since the last check; 0: none yet */
	unsigned repairs;       /* checks that found something to repair */
	unsigned repaired;      /* seconds since the last of these */
	const char *trouble;    /* or "" */
	const char *unfiltered; /* why the pod has no packet filter, or "" */
};

struct port_status {
	const struct port_config *config; /* config->link holds the MAC and MTU in force */
	const struct link_config *live;   /* what the interface has: config->link and the lease */
	struct port_client client;
	struct port_way_out way_out;
	struct silence_status silence; /* its gateway's */
	bool pod_underlay;
	bool by_tap; /* with the pod underlay: what it is busy with leaves by an underlay TAP, not by the sockets */
	const char
		*state;  /* "up", "gone" (namespace or TAP vanished) or "detached" (gateway removed, or GATEWAY_NONE) */
	unsigned worker; /* that reads its TAP's first queue */
	unsigned queues; /* of its TAP; 0: gone */
	struct port_counters counters;
};

struct fdb_status {
	const char *gateway;
	uint32_t vni;
	struct mac mac;
	const char *port;              /* NULL: behind `remote` */
	const struct endpoint *remote; /* NULL: behind `port` */
	const char *kind;              /* "static", "learned", "local" */
	unsigned age;                  /* seconds since it was last seen; 0 for static and local ones */
};

struct worker_status {
	uint64_t rounds;  /* rounds of its loop */
	uint64_t events;  /* frames and datagrams read */
	uint64_t starved; /* times that a descriptor had to wait for the next round because the receive buffers ran out
			   */
};

struct switch_status {
	double uptime;      /* seconds */
	const char *io;     /* "uring" or "epoll" */
	const char *io_why; /* for people */
	unsigned workers;
	struct worker_status worker[SWITCH_MAX_WORKERS];
	uint64_t drops[DROP_COUNT]; /* all drops: of ports, of gateways, and of datagrams that belong to neither */
	unsigned gateways, ports;
	size_t fdb_entries;
	uint64_t fdb_refused; /* addresses not learned because a limit was reached */
};

unsigned switch_visit_gateways(const struct vswitch *vs, const char *name,
			       void (*visit)(void *context, const struct gateway_status *status), void *context);
unsigned switch_visit_ports(const struct vswitch *vs, const char *name,
			    void (*visit)(void *context, const struct port_status *status), void *context);
unsigned switch_visit_fdb(const struct vswitch *vs, const char *gateway,
			  void (*visit)(void *context, const struct fdb_status *status), void *context);

/* Something that is off in one place, because the kernel refused it there. */
struct refusal_status {
	const char *what;  /* "trains", "tap_gro", "udp_gso" */
	const char *where; /* "remote 10.0.0.2:4789 of gateway a", "port web", "all" */
	const char *why;   /* for people */
	unsigned seconds;  /* until it is tried again; 0: not before podswitchd starts again */
};

void switch_visit_refusals(const struct vswitch *vs, void (*visit)(void *context, const struct refusal_status *status),
			   void *context);
/*
 * Reads what the kernel dropped since the last call, for the reports that follow: tap_overrun, socket_overrun. Of the
 * port `name`, or with NULL of everything. Each port costs a visit to its namespace, so a report of one port must not
 * ask for all: with many pods starting at once there is a report for each of them.
 */
void switch_count_overruns(struct vswitch *vs, const char *name);

/* The same of `n` ports, in turns: those that were counted longest ago. */
void switch_count_some_overruns(struct vswitch *vs, unsigned n);

void switch_report(const struct vswitch *vs, struct switch_status *out);

/* What the kernel offers, and the offloads in force; ends with a NULL name. */
const struct switch_feature *switch_features(const struct vswitch *vs);

/* Calls `listener` for every event from now on; NULL ends it. */
void switch_listen(struct vswitch *vs, switch_listener *listener, void *context);

/*
 * Housekeeping: call switch_tick() once a second, and whenever this descriptor is readable: a worker or a gateway
 * client then needs the control thread.
 */
int switch_wakeup_fd(const struct vswitch *vs);
void switch_tick(struct vswitch *vs);

/* Calls `gone` for each TAP that is gone by now; call it when the descriptor is readable. How many are not gone yet. */
int switch_endings_fd(const struct vswitch *vs);
unsigned switch_end_taps(struct vswitch *vs, void (*gone)(void *context, uint64_t number), void *context);

#endif
