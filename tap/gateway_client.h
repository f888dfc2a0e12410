/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gateway_client.h - a port as a client of its gateway: its lease, and whether the router answers
 *
 * Nothing of this runs in the pod. The thread that owns the client (the control thread) speaks DHCP, ARP and, for a
 * target behind the router, ICMP or TCP on the port's TAP, through packet sockets that were opened in the pod's network
 * namespace and can be used from any other. The caller configures addresses and routes.
 *
 * A new lease is used only after an ARP probe for its address has found nobody (RFC 5227, with shorter waits): that
 * takes 0.1 s. If somebody answers, the lease is declined. Addresses that the port was given are checked in the same
 * way (address_check.h): that takes 0.4 s, whether the gateway is there or not. Without CAP_NET_RAW they are not.
 *
 * Times are milliseconds of CLOCK_MONOTONIC. No function blocks, but the kernel takes about 10 ms to bind a packet
 * socket to another protocol, which happens when a DHCP exchange begins or ends. One thread at a time.
 */
#ifndef PODSWITCH_GATEWAY_CLIENT_H
#define PODSWITCH_GATEWAY_CLIENT_H

#include "tap/address_check.h"
#include "tap/base/failure.h"
#include "tap/dhcp.h"
#include "tap/path_target.h"

#define CLIENT_FDS 3

struct gateway_client;

struct gateway_client_config {
	bool dhcp;
	unsigned probe;            /* ms from an answered probe to the next; 0: no probes */
	struct path_target target; /* that must answer, too, behind the router */
	struct mac mac;            /* the TAP's */
	char hostname[DHCP_HOSTNAME];
	struct prefix address;   /* IPv4 address of a static port; not used with dhcp */
	struct address router;   /* IPv4; with dhcp it overrides the lease's; family 0: the lease's */
	struct address expected; /* with dhcp: whom to ask by ARP while there is no lease; family 0: nobody */
	struct address claims[ADDRESS_CHECK_MAX]; /* IPv4 addresses of the port: nobody else may have them */
	size_t n_claims;
	bool claims_used[ADDRESS_CHECK_MAX]; /* the pod has it already, and keeps it until somebody else is found */
};

enum gateway_client_state {
	CLIENT_OFF,     /* neither a lease nor probes: nothing to know */
	CLIENT_WAITING, /* no lease; or the address of a static port is being checked, or another's */
	CLIENT_PROBING, /* the router, or the target, has not answered yet, and not yet missed three probes */
	CLIENT_READY,
	CLIENT_LOST, /* one of the two missed three probes */
};

/* Returned by gateway_client_turn(), or'ed. */
enum gateway_client_event {
	CLIENT_LEASE = 1, /* there is a new or changed lease in gateway_client_report(): configure it */
	CLIENT_UNLEASED =
		2, /* the lease is gone: remove its address; together with CLIENT_LEASE, the new lease came later */
	CLIENT_IS_READY = 4, /* the state became CLIENT_READY */
	CLIENT_IS_LOST = 8,  /* the state became CLIENT_LOST */
	CLIENT_CLAIMS = 16,  /* gateway_client_claims() says something else than before */
};

struct gateway_client_status {
	enum gateway_client_state state;
	bool has_lease;
	struct dhcp_lease lease;   /* in the same clock; valid with has_lease */
	struct address address;    /* from which probes are sent; family 0: none */
	struct address router;     /* that is probed; without a lease, the expected one; family 0: none */
	uint64_t answered_at;      /* when the router last answered a probe; 0: never */
	bool lacks_path;           /* the router answers: if something is missing, it is the target's answer */
	uint64_t path_answered_at; /* when the target last did; 0: never */
	uint64_t path_took;        /* us, until its last answer came */
	bool checking;             /* the claims, for the first time */
	struct address taken;      /* a claim that is somebody else's; family 0: none */
	struct mac holder;         /* whose it is */
};

/*
 * Opens a client on the interface `ifname` of the calling thread's network namespace. `hint` is an address that DHCP
 * asks to keep, from an earlier lease; NULL: none. The first gateway_client_turn() sends the first frames. Errors:
 * -EINVAL (an address that is not IPv4, a static port with `probe` but without address or router, or a target without
 * `probe`; key "address", "default_via", "probe" or "probe_target"), -ENODEV (no such interface, key "ifname"), -EPERM
 * (no CAP_NET_RAW), -ENOMEM and others of socket(2).
 */
int gateway_client_open(struct gateway_client **out, const char *ifname, const struct gateway_client_config *config,
			const struct address *hint, uint64_t now, struct failure *why);

/*
 * Goes on where a client of another process was, as its gateway_client_report() said: with its lease, and with answers
 * of the router and the target that this one need not ask for anew. To be called before the first turn.
 */
void gateway_client_resume(struct gateway_client *client, const struct gateway_client_status *was, uint64_t now);

/*
 * Reads what has arrived, sends what is due, and returns what that changed (enum gateway_client_event). A bounded
 * amount of work.
 */
unsigned gateway_client_turn(struct gateway_client *client, uint64_t now);

/*
 * Whether the next gateway_client_turn() asks a server for an address that the pod may have already. The server may
 * ping it before it answers, and would take the pod's own answer for somebody else's.
 */
bool gateway_client_reclaims(const struct gateway_client *client, uint64_t now);

/*
 * The lease cannot be used for a reason that only the caller knows: sends the server a DECLINE. Another one is asked
 * for after a pause.
 */
void gateway_client_decline(struct gateway_client *client, uint64_t now);

/*
 * Another gateway is behind the port now. Frames that still come from the old one are discarded. The router is probed
 * from the beginning: the state becomes CLIENT_PROBING, without an event. The new gateway is asked whether the lease
 * may be kept; until it says no, the lease stays. So do the claims, until somebody in the new network has one.
 */
void gateway_client_moved(struct gateway_client *client, uint64_t now);

/*
 * In the pod's namespace: from now on probes in other intervals, or another target (PATH_NONE: none). `probe` is not 0,
 * and was not before. A new target, and with a shorter interval the router, are asked from the beginning: the state may
 * become CLIENT_PROBING, without an event. The descriptors of gateway_client_fds() may change. On error nothing has
 * changed.
 */
int gateway_client_retune(struct gateway_client *client, unsigned probe, const struct path_target *target, uint64_t now,
			  struct failure *why);

/*
 * From now on another router is expected (family 0: none). Says nothing about a lease that there is. Nothing fails:
 * a router that is not IPv4 is nobody.
 */
void gateway_client_expect(struct gateway_client *client, const struct address *router, uint64_t now);

/* When gateway_client_turn() must be called even if nothing has arrived, ms; UINT64_MAX: never. */
uint64_t gateway_client_due(const struct gateway_client *client);

/* Fills in the descriptors to poll for reading and returns how many. They do not change until the client
 * is closed or retuned. */
size_t gateway_client_fds(const struct gateway_client *client, int out[static CLIENT_FDS]);

/*
 * Whether a question to the target, or to the router where there is no target, was answered since the last call; *took
 * is for how long it was waited for, us.
 */
bool gateway_client_answered(struct gateway_client *client, uint64_t *took);

/* What is known now. The state is that of the last gateway_client_turn(). */
void gateway_client_report(const struct gateway_client *client, struct gateway_client_status *out);

/* Its claims, and which of them the port may use now. */
const struct address_check *gateway_client_claims(const struct gateway_client *client);

/* "off", "waiting", "probing", "ready", "lost". */
const char *gateway_client_state_name(enum gateway_client_state state);

/* Sends the server a release of the lease, if there is one. gateway_client_close() is to follow. */
void gateway_client_release(struct gateway_client *client, uint64_t now);

/* Frees the client; accepts NULL. The server keeps the lease: see gateway_client_release(). */
void gateway_client_close(struct gateway_client *client);

#endif
