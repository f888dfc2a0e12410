/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dhcp.h - the client side of DHCP (RFC 2131, RFC 2132) as a state machine over whole Ethernet frames
 *
 * No sockets and no clock: frames come and go as bytes, the time is passed in (milliseconds of any monotonic clock),
 * and transaction ids come from a seed. So the same calls always do the same. The owner calls dhcp_send() when
 * dhcp_due() says so, and passes every frame that arrives to dhcp_receive().
 *
 * A lease outlives the exchange that renews or replaces it: dhcp_lease() returns the lease in force, whatever the
 * state, until an event says that it is lost. One thread at a time.
 */
#ifndef PODSWITCH_DHCP_H
#define PODSWITCH_DHCP_H

#include "tap/base/address.h"

#define DHCP_FRAME_MAX 590 /* bytes: Ethernet, and the datagram of 576 bytes that every host accepts (RFC 791) */
#define DHCP_HOSTNAME 64   /* bytes with the NUL: one DNS label */

enum dhcp_state {
	DHCP_INIT,       /* about to look for a server */
	DHCP_SELECTING,  /* DISCOVER sent */
	DHCP_REQUESTING, /* an offer was accepted, REQUEST sent */
	DHCP_REBOOTING,  /* asking for a known address */
	DHCP_BOUND,
	DHCP_RENEWING,  /* asking the lease's server, from T1 on */
	DHCP_REBINDING, /* asking anyone, from T2 on */
};

enum dhcp_event {
	DHCP_NOTHING,
	DHCP_LEASED,  /* a first lease, or one with another address, router or MTU */
	DHCP_RENEWED, /* the same lease with new times */
	DHCP_LOST,    /* expired or denied: the address must not be used any more */
};

struct dhcp_lease {
	struct prefix address; /* with the network's length: "172.16.0.57/24" */
	struct address router; /* family 0: none given */
	struct address server;
	struct mac server_mac; /* source of the frame; may be a relay's */
	unsigned mtu;          /* bytes of the IP packet; 0: not given */
	uint32_t seconds;      /* UINT32_MAX: for ever */
	uint64_t renew_at;     /* these three: ms of the caller's clock; UINT64_MAX: never */
	uint64_t rebind_at;
	uint64_t expires_at;
};

/* Initialised by dhcp_init(), then perhaps dhcp_resume(); read it only with the functions below. */
struct dhcp {
	struct mac mac;
	char hostname[DHCP_HOSTNAME];
	enum dhcp_state state;
	bool has_lease;
	struct dhcp_lease lease;
	struct address wanted; /* address to ask for; family 0: none */
	struct address server; /* whose offer was accepted */
	uint64_t random;       /* xorshift64 */
	uint32_t xid;
	uint64_t began;    /* ms, start of the exchange */
	uint64_t due;      /* ms, next transmission */
	unsigned tries;    /* transmissions in this state */
	unsigned denied;   /* NAKs since the last lease */
	unsigned declined; /* leases that were declined */
};

/*
 * Initialises a client without a lease. `hostname` is option 12, cut to what fits; NULL or "": none. With a `hint`, an
 * address that the client had earlier (NULL: none), it starts by asking whether it may keep that one (INIT-REBOOT),
 * otherwise with DISCOVER. The first frame is due at once. `seed` is any number, different for each client.
 */
void dhcp_init(struct dhcp *dhcp, const struct mac *mac, const char *hostname, uint64_t seed,
	       const struct address *hint, uint64_t now);

/* Goes on with a lease that another process was given, in the same clock: nothing is asked until it is to be renewed.
 */
void dhcp_resume(struct dhcp *dhcp, const struct dhcp_lease *lease, uint64_t now);

/*
 * Asks any server whether the address may be kept, after the network behind the interface has changed. The lease stays
 * in force. Goes on with DISCOVER after three unanswered questions, or without a lease to ask about.
 */
void dhcp_reboot(struct dhcp *dhcp, uint64_t now);

/*
 * Does what is due. Returns the length of the frame to send, bytes, or 0. *event is DHCP_NOTHING, or DHCP_LOST when the
 * lease has expired. Call it again until it returns 0.
 */
size_t dhcp_send(struct dhcp *dhcp, uint64_t now, uint8_t frame[static DHCP_FRAME_MAX], enum dhcp_event *event);

/*
 * Handles a frame that arrived, with any content. Ignores what does not answer this client's last question, and leases
 * that would not work (dhcp.c says which).
 */
enum dhcp_event dhcp_receive(struct dhcp *dhcp, const uint8_t *frame, size_t length, uint64_t now);

/* When dhcp_send() has to be called, ms; UINT64_MAX: never. */
uint64_t dhcp_due(const struct dhcp *dhcp);

/*
 * Whether dhcp_send() would now ask for an address that the client had before, and may still use. A server looks
 * whether somebody answers at an address before it offers it, and must not be answered by the client itself.
 */
bool dhcp_reclaims(const struct dhcp *dhcp, uint64_t now);

/* Whether an answer is expected. If not, dhcp_receive() ignores everything. */
bool dhcp_listens(const struct dhcp *dhcp);

/* The lease in force, or NULL. */
const struct dhcp_lease *dhcp_lease(const struct dhcp *dhcp);

/*
 * Builds the RELEASE to send and returns its length, bytes, or 0 when there is no lease. Afterwards the client has
 * none, and starts again with DISCOVER if dhcp_send() is called.
 */
size_t dhcp_release(struct dhcp *dhcp, uint64_t now, uint8_t frame[static DHCP_FRAME_MAX]);

/*
 * The leased address is in use by somebody else (RFC 2131, section 3.1.5): builds the DECLINE to send and returns its
 * length, bytes, or 0 when there is no lease. The client then has none, and asks for another one after a pause.
 */
size_t dhcp_decline(struct dhcp *dhcp, uint64_t now, uint8_t frame[static DHCP_FRAME_MAX]);

#endif
