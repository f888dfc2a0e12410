/* SPDX-License-Identifier: Apache-2.0 */
/*
 * switch_config.h - what a switch, a gateway and a port are configured with, and what they count
 *
 * Plain values. Both the switch's owner (vswitch/switch.h, which describes the verbs) and the workers read them.
 */
#ifndef PODSWITCH_SWITCH_CONFIG_H
#define PODSWITCH_SWITCH_CONFIG_H

#include "tap/base/address.h"
#include "tap/base/failure.h"
#include "tap/link_config.h"
#include "tap/path_target.h"
#include "vswitch/base/drops.h"

#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>

#define SWITCH_NAME 192  /* bytes of a gateway's or port's name, with the NUL */
#define SWITCH_NETNS 256 /* bytes of a NETNS argument, with the NUL */
#define SWITCH_MAX_WORKERS 16
#define SWITCH_MAX_QUEUES 16 /* of a TAP */
#define GATEWAY_MAX_REMOTES 64
#define GATEWAY_MAX_ALLOW 32
#define PORT_MAX_KEEP 256
#define PORT_MAX_PROBE 250      /* seconds; a kernel gateway forgets a client after 300 seconds of silence */
#define PORT_LEAST_INTERVAL 100 /* ms between probes */
#define PORT_HOSTNAME 64        /* bytes, with the NUL */
#define GATEWAY_NONE "none"     /* as the name of a gateway: the port is detached */
#define VXLAN_DEFAULT_PORT 4789 /* RFC 7348, section 5 */

/* A name of a gateway or port is 1 to 191 of [A-Za-z0-9._:@-] and does not start with '.' or '-'. */
bool switch_name_valid(const char *name);

/* 0, or -EINVAL with key "name" for what switch_name_valid() refuses. */
int switch_check_name(const char *name, struct failure *why);

/* Work that is left to the kernel, or done for many packets at once. The user can turn each off, and so can we. */
struct switch_offloads {
	bool tap_gso;      /* pods hand us super-frames and unfinished checksums */
	bool udp_gso;      /* several datagrams leave in one send (UDP_SEGMENT); in the options see udp_gso_choice */
	bool udp_gro;      /* several arrive in one (UDP_GRO) */
	bool trains;       /* runs of small frames of equal length leave in one send, too */
	bool tap_gro;      /* segments that arrive together reach a pod as one super-frame */
	bool underlay_tap; /* encapsulated super-frames leave whole by a TAP of our own (Linux 6.17); see the choice */
};

/* Of the option udp-gso; `auto` is on but for kernels that garble trains (kernel.h). */
enum udp_gso_choice { UDP_GSO_AUTO, UDP_GSO_ON, UDP_GSO_OFF };

/* Of the option underlay-tap; `auto`: where a tunnel super-frame leaves the node whole (tunnel_offload.h). */
enum underlay_tap_choice { UNDERLAY_TAP_AUTO, UNDERLAY_TAP_ON, UNDERLAY_TAP_OFF };

/* Of the option io: how the workers read and write; `auto` is io_uring where it is allowed and works, else epoll. */
enum io_choice { IO_AUTO, IO_URING, IO_EPOLL };

struct switch_options {
	unsigned workers;           /* 1 to SWITCH_MAX_WORKERS (switch_workers_auto()) */
	struct address vtep[2];     /* local addresses of the host underlay, at most one a family; family 0: any */
	bool ignore_reserved;       /* accept datagrams in which reserved VXLAN bits are set */
	unsigned ageing;            /* seconds until a learned entry is forgotten, 1 to 1000000 */
	unsigned fdb_gateway_limit; /* learned entries a gateway may have */
	unsigned fdb_remote_limit;  /* learned entries behind one remote */
	unsigned tap_queues;        /* of a busy pod, 1 to SWITCH_MAX_QUEUES; more than 1 needs steering_open() */
	unsigned spin; /* microseconds that a worker looks for work before it sleeps; 0: it sleeps at once */
	enum io_choice io;
	enum udp_gso_choice udp_gso;           /* decides on offloads.udp_gso */
	enum underlay_tap_choice underlay_tap; /* and on offloads.underlay_tap */
	struct switch_offloads offloads;
};

#define SWITCH_OPTIONS_DEFAULT                                                                                         \
	{                                                                                                              \
		.workers = 1, .ageing = 300, .fdb_gateway_limit = 16384, .fdb_remote_limit = 4096, .tap_queues = 8,    \
		.spin = 20, .underlay_tap = UNDERLAY_TAP_AUTO, .offloads = {                                           \
			.tap_gso = true,                                                                               \
			.udp_gso = true,                                                                               \
			.udp_gro = true,                                                                               \
			.trains = true,                                                                                \
			.tap_gro = true                                                                                \
		}                                                                                                      \
	}

enum underlay_mode { UNDERLAY_AUTO, UNDERLAY_HOST, UNDERLAY_POD };

/* A gateway as the user asked for it. Zero means the default where there is one. */
struct gateway_config {
	char name[SWITCH_NAME];
	uint32_t vni;  /* 24 bits */
	uint16_t port; /* UDP port we receive on and send to, host order */
	enum underlay_mode underlay;
	unsigned mtu; /* of the pods' TAPs, bytes; 0: what the path allows */
	bool learning;
	bool isolate;
	bool clamp_mss;                               /* lower the MSS of TCP connections to what the MTU takes */
	struct endpoint remotes[GATEWAY_MAX_REMOTES]; /* none: a hub, which learns its remotes */
	size_t n_remotes;
	struct prefix allow[GATEWAY_MAX_ALLOW]; /* of a hub: where it may learn remotes; none: anywhere */
	size_t n_allow;
};

#define GATEWAY_CONFIG_DEFAULT                                                                                         \
	{                                                                                                              \
		.port = VXLAN_DEFAULT_PORT, .learning = true, .isolate = true, .clamp_mss = true                       \
	}

/* A port as the user asked for it. */
struct port_config {
	char name[SWITCH_NAME];
	char gateway[SWITCH_NAME];
	char netns[SWITCH_NETNS];
	char ifname[IFNAMSIZ];
	bool has_mac; /* else link.mac is derived from the name */
	bool has_mtu; /* else link.mtu is the gateway's */
	struct link_config link;
	bool dhcp;                       /* one more address, and the default route, from the gateway's DHCP server */
	char hostname[PORT_HOSTNAME];    /* sent to the server; "": none */
	unsigned probe;                  /* seconds between probes of the router; 0: no probes */
	unsigned probe_interval;         /* the same in ms, which wins; 0: as `probe` says */
	struct path_target probe_target; /* behind the router, that must answer too */
	bool exclusive;                  /* the pod's only way out, except to `keep` and the gateway's remotes */
	struct prefix *keep; /* room for PORT_MAX_KEEP when it is read from options; a port's own has n_keep */
	size_t n_keep;
	bool gateway_names;    /* names are asked of the gateway: what the pod sends to port 53 goes to its router */
	bool inbound;          /* exclusive, but for answers to connections that came in by another interface */
	bool own_addresses;    /* frames of the pod pass only in the name of the port's own addresses (identity.h) */
	struct prefix network; /* in which leases must be; family 0: anywhere */
	struct address expect_router; /* with dhcp, asked by ARP while there is no lease (IPv4); family 0: nobody */
};

#define PORT_CONFIG_DEFAULT                                                                                            \
	{                                                                                                              \
		.ifname = "vx0"                                                                                        \
	}

struct gateway_counters {
	uint64_t encap_frames, encap_bytes; /* inner frames for remotes, before replication */
	uint64_t tx_datagrams, tx_bytes;    /* UDP payloads sent to remotes */
	uint64_t rx_datagrams, rx_bytes;    /* UDP payloads from remotes, before their inner frames are checked */
	uint64_t held_moves;                /* frames to a hub with a MAC that stayed at another remote */
	uint64_t evicted_macs;              /* as the next */
	uint64_t evicted_remotes;           /* of a hub, to make room for others; the control thread's */
	uint64_t drops[DROP_COUNT];
};

struct port_counters {
	uint64_t rx_frames, rx_bytes; /* from the pod, Ethernet frames without preamble and FCS */
	uint64_t tx_frames, tx_bytes; /* to the pod */
	uint64_t drops[DROP_COUNT];
};

struct switch_feature {
	const char *name; /* "read_multishot" */
	bool on;
};

/*
 * Events, for monitor.start. `what` is "gateway.added", "gateway.changed", "gateway.removed", "port.added",
 * "port.changed", "port.removed", "port.gone", "port.ready" (its router, and what is asked behind it, answer, or it has
 * its lease), "port.lost", "port.leased" (its lease has come, changed or gone, or whether its address is free was found
 * out), "fdb.learned" or "fdb.moved". `name` is the gateway's or port's; for the FDB it is the gateway's and `mac` is
 * set, else NULL. Called in the control thread; must not change the switch.
 */
typedef void switch_listener(void *context, const char *what, const char *name, const struct mac *mac);

#endif
