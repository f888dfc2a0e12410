/* SPDX-License-Identifier: Apache-2.0 */
/*
 * switch.h - the switch as its owner sees it: gateways, ports, the table, and the verbs that change them
 *
 * A gateway is a VXLAN network behind one or more remotes; a port is a TAP in a pod's network namespace, attached to
 * one gateway. Gateways may share VNIs and address ranges: everything is kept per gateway.
 *
 * Threads: every function here is for the control thread alone, but for switch_open and switch_close, which start and
 * join the workers. A verb that returns has taken effect for every packet that is read afterwards. A verb that is
 * refused has changed nothing and left nothing half made.
 *
 * Errors are negative errno with `why` filled: -EEXIST (it exists with other settings), -ENOENT (no such gateway, port
 * or entry), -EBUSY (in use), -EINVAL (a value that cannot be), and what the kernel said.
 */
#ifndef PODSWITCH_SWITCH_H
#define PODSWITCH_SWITCH_H

#include "tap/base/address.h"
#include "tap/base/failure.h"
#include "tap/link.h"
#include "vswitch/base/drops.h"

#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>

#define SWITCH_NAME 192  /* bytes of a gateway's or port's name, with the NUL */
#define SWITCH_NETNS 256 /* bytes of a NETNS argument, with the NUL */
#define SWITCH_MAX_WORKERS 16
#define GATEWAY_MAX_REMOTES 64
#define GATEWAY_MAX_ALLOW 32
#define PORT_MAX_KEEP 64
#define PORT_MAX_PROBE 250      /* seconds; a kernel gateway forgets a client that is silent for 300 */
#define PORT_HOSTNAME 64        /* bytes, with the NUL */
#define GATEWAY_NONE "none"     /* in place of a gateway's name: the port is detached */
#define VXLAN_DEFAULT_PORT 4789 /* RFC 7348, section 5 */

struct vswitch; /* `switch` alone is a keyword */

/* What is left to the kernel, or done for many packets at once. Each can be turned off, by itself or by the user. */
struct switch_offloads {
	bool tap_gso;      /* pods hand us super-frames and unfinished checksums */
	bool udp_gso;      /* several datagrams leave in one send (UDP_SEGMENT) */
	bool udp_gro;      /* several arrive in one (UDP_GRO) */
	bool trains;       /* runs of small frames of equal length leave in one send, too */
	bool tap_gro;      /* segments that arrive together are handed to a pod as one super-frame */
	bool underlay_tap; /* encapsulated super-frames leave whole, by a TAP of our own (Linux 6.17); not by default */
};

struct switch_options {
	unsigned workers;           /* 1 to SWITCH_MAX_WORKERS */
	struct address vtep[2];     /* local addresses of the host underlay, at most one a family; family 0: any */
	bool ignore_reserved;       /* accept datagrams with reserved VXLAN bits set */
	unsigned ageing;            /* seconds after which a learned entry is forgotten, 1 to 1000000 */
	unsigned fdb_gateway_limit; /* learned entries a gateway may have */
	unsigned fdb_remote_limit;  /* learned entries behind one remote */
	unsigned spin;              /* microseconds that a worker looks for work before it sleeps; 0: none */
	struct switch_offloads offloads;
};

#define SWITCH_OPTIONS_DEFAULT                                                                                         \
	{                                                                                                              \
		.workers = 1, .ageing = 300, .fdb_gateway_limit = 16384, .fdb_remote_limit = 4096, .spin = 0,          \
		.offloads = {                                                                                          \
			.tap_gso = true,                                                                               \
			.udp_gso = true,                                                                               \
			.udp_gro = true,                                                                               \
			.trains = true,                                                                                \
			.tap_gro = true                                                                                \
		}                                                                                                      \
	}

enum underlay_mode { UNDERLAY_AUTO, UNDERLAY_HOST, UNDERLAY_POD };

/* What a user said of a gateway; zeroes are "not said" where a default exists. */
struct gateway_config {
	char name[SWITCH_NAME];
	uint32_t vni;  /* 24 bits */
	uint16_t port; /* UDP port we receive on and send to, host order */
	enum underlay_mode underlay;
	unsigned mtu; /* of the pods' TAPs, bytes; 0: as the path allows */
	bool learning;
	bool isolate;
	struct endpoint remotes[GATEWAY_MAX_REMOTES]; /* none: the gateway's own side, which learns its remotes */
	size_t n_remotes;
	struct prefix allow[GATEWAY_MAX_ALLOW]; /* own side: whom to learn from; none: anyone */
	size_t n_allow;
};

#define GATEWAY_CONFIG_DEFAULT                                                                                         \
	{                                                                                                              \
		.port = VXLAN_DEFAULT_PORT, .learning = true, .isolate = true                                          \
	}

/* What a user said of a port. */
struct port_config {
	char name[SWITCH_NAME];
	char gateway[SWITCH_NAME];
	char netns[SWITCH_NETNS];
	char ifname[IFNAMSIZ];
	bool has_mac; /* else link.mac is derived from the name */
	bool has_mtu; /* else link.mtu is the gateway's */
	struct link_config link;
	bool dhcp;                    /* a further address, and the default route, as the gateway's DHCP server says */
	char hostname[PORT_HOSTNAME]; /* that the server is told; "": none */
	unsigned probe;               /* seconds between questions whether the router is there; 0: none */
	bool exclusive;               /* the pod's only way out, but for networks to keep and the gateway's remotes */
	struct prefix keep[PORT_MAX_KEEP];
	size_t n_keep;
};

#define PORT_CONFIG_DEFAULT                                                                                            \
	{                                                                                                              \
		.ifname = "vx0"                                                                                        \
	}

/* Names of gateways and ports: 1 to 191 of [A-Za-z0-9._:@-], not starting with '.' or '-'. */
bool switch_name_valid(const char *name);

/*
 * Starts the workers. When io_uring is forbidden here, the one line in `why` says what forbids it and what to set.
 */
int switch_open(const struct switch_options *options, struct vswitch **out, struct failure *why);

/* Stops the workers and closes everything; TAPs stay in their pods, without carrier. NULL is accepted. */
void switch_close(struct vswitch *vs);

/*
 * Gateways. Adding one that exists with the same settings succeeds and changes nothing. `set` takes the whole wanted
 * configuration and applies the difference to the gateway's ports while they are up. A gateway that ports use is
 * removed only by `force`: the ports stay, in state "detached", and drop everything.
 */
int switch_gateway_add(struct vswitch *vs, const struct gateway_config *config, struct failure *why);
int switch_gateway_set(struct vswitch *vs, const struct gateway_config *config, struct failure *why);
int switch_gateway_remove(struct vswitch *vs, const char *name, bool force, struct failure *why);

/*
 * Ports. `adopt` takes up the TAP that an earlier podswitchd left in the namespace, with whatever the pod has
 * configured on it (a TAP that vanished is made anew, unless the namespace was given by a process id, which may be
 * another process's by now; what is gone gives a port in state "gone", not an error). Adding a port that is "gone" or
 * "detached" with the same settings attaches it again. netns and ifname cannot be changed by `set`. What an exclusive
 * port kept from the pod comes back when it is removed, unless it is to stay `closed`.
 */
int switch_port_add(struct vswitch *vs, const struct port_config *config, bool adopt, struct failure *why);
int switch_port_set(struct vswitch *vs, const struct port_config *config, struct failure *why);
int switch_port_remove(struct vswitch *vs, const char *name, bool closed, struct failure *why);

/* The configuration as it is now, or NULL; valid until the next verb. */
const struct gateway_config *switch_gateway_config(const struct vswitch *vs, const char *name);
const struct port_config *switch_port_config(const struct vswitch *vs, const char *name);

/* Static entries of the table. Exactly one of `port` (a port's name) and `remote` is given, the other is NULL. */
int switch_fdb_add(struct vswitch *vs, const char *gateway, const struct mac *mac, const char *port,
		   const struct endpoint *remote, struct failure *why);
int switch_fdb_remove(struct vswitch *vs, const char *gateway, const struct mac *mac, struct failure *why);

/* Forgets learned entries, of one gateway or (NULL) of all; static and local ones stay. Returns how many, or -ENOENT.
 */
int switch_fdb_flush(struct vswitch *vs, const char *gateway, struct failure *why);

/*
 * Reports. Each visits the objects in the order of their creation, or the one called `name`, and returns how many it
 * visited. What the visitor is given is valid during the call only; it must not change the switch.
 */
struct remote_status {
	struct endpoint endpoint;
	const char *state; /* "configured", "learned", or "local": served on this node without the network */
	bool by_tap;       /* its datagrams leave by the underlay TAP, else by the sockets */
};

struct gateway_counters {
	uint64_t encap_frames, encap_bytes; /* inner frames sent to remotes, before replication */
	uint64_t tx_datagrams, tx_bytes;    /* what left for remotes: UDP payloads */
	uint64_t rx_datagrams,
		rx_bytes; /* what arrived from remotes: UDP payloads, before the checks of inner frames */
	uint64_t drops[DROP_COUNT];
};

struct gateway_status {
	const struct gateway_config *config;
	bool pod_underlay; /* what auto was decided to be */
	unsigned mtu;      /* that a port of it gets by default now, bytes */
	unsigned ports;
	const struct remote_status *remotes;
	size_t n_remotes;
	struct gateway_counters counters;
};

struct port_counters {
	uint64_t rx_frames, rx_bytes; /* from the pod, Ethernet frames without preamble and FCS */
	uint64_t tx_frames, tx_bytes; /* to the pod */
	uint64_t drops[DROP_COUNT];
};

/* What a port has as a client of its gateway. */
struct port_client {
	const char *state; /* "off" (neither DHCP nor probes), "waiting" (for a lease), "probing" (for an answer),
			      "ready", "lost" */
	struct address router, server; /* family 0: none */
	unsigned lease, expires_in;    /* seconds; lease 0: none */
	bool has_answered;
	unsigned answered; /* seconds since the router's last answer */
	char trouble[160]; /* what stands in the way of the lease, or "" */
};

struct port_status {
	const struct port_config *config; /* config->link holds the MAC and MTU in force */
	const struct link_config *live;   /* what the interface has: config->link and the lease */
	struct port_client client;
	bool pod_underlay;
	const char *state; /* "up", "gone" (the namespace or TAP vanished), "detached" (its gateway was removed, or is
			      GATEWAY_NONE) */
	unsigned worker;
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
	uint64_t rounds;  /* turns of the loop */
	uint64_t events;  /* frames and datagrams taken from the ring */
	uint64_t starved; /* times the receive buffers ran out and a read had to be armed again */
};

struct switch_status {
	double uptime; /* seconds */
	unsigned workers;
	struct worker_status worker[SWITCH_MAX_WORKERS];
	uint64_t drops[DROP_COUNT]; /* all drops there were, of ports, of gateways, and of what belongs to neither */
	unsigned gateways, ports;
	size_t fdb_entries;
	uint64_t fdb_refused; /* addresses not learned because a bound was reached */
};

struct switch_feature {
	const char *name; /* "read_multishot" */
	bool on;
};

unsigned switch_visit_gateways(const struct vswitch *vs, const char *name,
			       void (*visit)(void *context, const struct gateway_status *status), void *context);
unsigned switch_visit_ports(const struct vswitch *vs, const char *name,
			    void (*visit)(void *context, const struct port_status *status), void *context);
unsigned switch_visit_fdb(const struct vswitch *vs, const char *gateway,
			  void (*visit)(void *context, const struct fdb_status *status), void *context);
void switch_report(const struct vswitch *vs, struct switch_status *out);

/* What the kernel offers and the switch uses; ends with a NULL name. */
const struct switch_feature *switch_features(const struct vswitch *vs);

/*
 * Events, for monitor.start. `what` is "gateway.added", "gateway.changed", "gateway.removed", "port.added",
 * "port.changed", "port.removed", "port.gone", "port.ready" (its router answers, or its lease is there), "port.lost",
 * "fdb.learned", "fdb.moved"; `name` is the gateway's or port's (for the table: the gateway's, with `mac` set, else
 * NULL). Called in the control thread; must not change the switch.
 */
typedef void switch_listener(void *context, const char *what, const char *name, const struct mac *mac);
void switch_listen(struct vswitch *vs, switch_listener *listener, void *context);

/* Housekeeping. Readable when a worker wants the control thread's attention; then, and once a second, call the tick. */
int switch_wakeup_fd(const struct vswitch *vs);
void switch_tick(struct vswitch *vs);

#endif
