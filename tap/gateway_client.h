/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gateway_client.h - a port as a client of its gateway: its lease, and whether the router answers
 *
 * Nothing of this runs in the pod: the thread that owns the client (the control thread) speaks DHCP and ARP on the
 * port's TAP through packet sockets that were opened in the pod's network namespace and may be used from anywhere.
 * Addresses and routes are the caller's to configure.
 *
 * Times are milliseconds of CLOCK_MONOTONIC. No function blocks, but the kernel takes about 10 ms for closing a packet
 * socket and for turning one to another protocol (when a DHCP exchange begins or ends). One thread at a time.
 */
#ifndef PODSWITCH_GATEWAY_CLIENT_H
#define PODSWITCH_GATEWAY_CLIENT_H

#include "tap/base/failure.h"
#include "tap/dhcp.h"

#define CLIENT_FDS 2

struct gateway_client;

struct gateway_client_config {
	bool dhcp;
	unsigned probe; /* seconds from an answered ARP probe to the next; 0: off */
	struct mac mac; /* the TAP's */
	char hostname[DHCP_HOSTNAME];
	struct prefix address; /* IPv4, of a static port; not used with dhcp */
	struct address router; /* IPv4; with dhcp it wins over the lease's; family 0: the lease's */
};

enum gateway_client_state {
	CLIENT_OFF,     /* neither a lease nor an answer is waited for: nothing to know */
	CLIENT_WAITING, /* no lease */
	CLIENT_PROBING, /* the router has not answered yet, nor missed three probes */
	CLIENT_READY,
	CLIENT_LOST, /* the router missed three probes */
};

/* What gateway_client_turn() returns, or'ed. */
enum gateway_client_event {
	CLIENT_LEASE = 1,    /* a new or changed lease in gateway_client_report(): configure it */
	CLIENT_UNLEASED = 2, /* the lease is gone: take the address away; a lease of the same turn came after it */
	CLIENT_IS_READY = 4, /* the state became CLIENT_READY */
	CLIENT_IS_LOST = 8,  /* the state became CLIENT_LOST */
};

struct gateway_client_status {
	enum gateway_client_state state;
	bool has_lease;
	struct dhcp_lease lease; /* expires_at as the times here; valid with has_lease */
	struct address address;  /* that probes are sent from; family 0: none */
	struct address router;   /* that is probed; family 0: none */
	uint64_t answered_at;    /* when the router last answered a probe; 0: never */
};

/*
 * Opens a client on the interface `ifname` of the network namespace that the calling thread is in. `hint` is an address
 * that DHCP asks to keep (an earlier lease's; NULL: none). What is to be sent is sent by the first
 * gateway_client_turn(). The caller frees with gateway_client_close(). Errors: -EINVAL (an address that is not IPv4, a
 * static port with `probe` that lacks the address or the router; key "address", "default_via" or "probe"), -ENODEV (no
 * such interface, key "ifname"), -EPERM (no CAP_NET_RAW), -ENOMEM and others of socket(2).
 */
int gateway_client_open(struct gateway_client **out, const char *ifname, const struct gateway_client_config *config,
			const struct address *hint, uint64_t now, struct failure *why);

/* Takes what came, sends what is due, and tells what that changed (enum gateway_client_event). A bounded amount of
 * work. */
unsigned gateway_client_turn(struct gateway_client *client, uint64_t now);

/*
 * The gateway behind the port is another one now. What still comes from the old one is forgotten, the router is probed
 * anew (the state becomes CLIENT_PROBING, without an event), and the new gateway is asked whether the lease may be
 * kept; until it says no the lease stays.
 */
void gateway_client_moved(struct gateway_client *client, uint64_t now);

/* When gateway_client_turn() wants to be called even if nothing came, ms; UINT64_MAX: never. */
uint64_t gateway_client_due(const struct gateway_client *client);

/* The descriptors to poll for reading: how many of `out` are filled. They stay the same until gateway_client_close().
 */
size_t gateway_client_fds(const struct gateway_client *client, int out[static CLIENT_FDS]);

/* What is known now. The state is that of the last gateway_client_turn(). */
void gateway_client_report(const struct gateway_client *client, struct gateway_client_status *out);

/* "off", "waiting", "probing", "ready", "lost". */
const char *gateway_client_state_name(enum gateway_client_state state);

/* Gives the lease back to the server, if there is one; to be followed by gateway_client_close(). */
void gateway_client_release(struct gateway_client *client, uint64_t now);

/* Frees; accepts NULL. The lease, if any, stays the client's at the server: see gateway_client_release(). */
void gateway_client_close(struct gateway_client *client);

#endif
