/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dhcp.h - the client side of DHCP (RFC 2131, RFC 2132) as a state machine over whole Ethernet frames
 *
 * No sockets and no clock: frames come and go as bytes, time is passed in (milliseconds of any monotonic clock), and
 * transaction ids come from a seed, so that the same calls always do the same. The owner calls dhcp_send() when
 * dhcp_due() says so and hands every frame that came to dhcp_receive().
 *
 * A lease outlives the exchange that renews or replaces it: dhcp_lease() is what is in force, whatever the state, until
 * an event says that it is lost. One thread at a time.
 */
#ifndef PODSWITCH_DHCP_H
#define PODSWITCH_DHCP_H

#include "tap/base/address.h"

#define DHCP_FRAME_MAX 590 /* bytes: Ethernet and the datagram of 576 bytes that every host takes (RFC 791) */
#define DHCP_HOSTNAME 64   /* bytes with the NUL: one DNS label */

enum dhcp_state {
	DHCP_INIT,       /* about to look for a server */
	DHCP_SELECTING,  /* DISCOVER sent */
	DHCP_REQUESTING, /* an offer was taken, REQUEST sent */
	DHCP_REBOOTING,  /* asking for a known address */
	DHCP_BOUND,
	DHCP_RENEWING,  /* asking the lease's server, from T1 on */
	DHCP_REBINDING, /* asking anyone, from T2 on */
};

enum dhcp_event {
	DHCP_NOTHING,
	DHCP_LEASED,  /* a lease where there was none, or one of another address, router or MTU */
	DHCP_RENEWED, /* the lease goes on as it was, but for its times */
	DHCP_LOST,    /* expired or denied: the address must not be used any more */
};

struct dhcp_lease {
	struct prefix address; /* with the network's length: "172.16.0.57/24" */
	struct address router; /* family 0: none given */
	struct address server;
	struct mac server_mac; /* who sent the frame; a relay's, maybe */
	unsigned mtu;          /* bytes of the IP packet; 0: not given */
	uint32_t seconds;      /* UINT32_MAX: for ever */
	uint64_t renew_at;     /* this and the rest: ms of the caller's clock; UINT64_MAX: never */
	uint64_t rebind_at;
	uint64_t expires_at;
};

/* Filled by dhcp_init(); to be read with the functions below only. */
struct dhcp {
	struct mac mac;
	char hostname[DHCP_HOSTNAME];
	enum dhcp_state state;
	bool has_lease;
	struct dhcp_lease lease;
	struct address wanted; /* to be asked for; family 0: none */
	struct address server; /* whose offer was taken */
	uint64_t random;       /* xorshift64 */
	uint32_t xid;
	uint64_t began;  /* ms, of the exchange */
	uint64_t due;    /* ms, of the next transmission */
	unsigned tries;  /* transmissions in this state */
	unsigned denied; /* NAKs since the last lease */
};

/*
 * A client without a lease. `hostname` is option 12, cut to what fits; NULL or "": none. With a `hint` (an address that
 * the client had, NULL: none) it begins with asking whether it may keep that one (INIT-REBOOT), else with DISCOVER; the
 * first frame is due at once. `seed` is any number, different for each client.
 */
void dhcp_init(struct dhcp *dhcp, const struct mac *mac, const char *hostname, uint64_t seed,
	       const struct address *hint, uint64_t now);

/*
 * Asks whoever is there now whether the address may be kept, as after a change of the network behind the interface. The
 * lease stays in force meanwhile. Without an answer to three questions, or without a lease to ask about, DISCOVER.
 */
void dhcp_reboot(struct dhcp *dhcp, uint64_t now);

/*
 * Does what the time asks for. Returns the length of the frame to send, in bytes, or 0; *event is DHCP_NOTHING, or
 * DHCP_LOST when the lease expired. To be called again until it returns 0.
 */
size_t dhcp_send(struct dhcp *dhcp, uint64_t now, uint8_t frame[static DHCP_FRAME_MAX], enum dhcp_event *event);

/*
 * Takes a frame that arrived, of any content. What is not an answer to the last question of this client is ignored, and
 * so are leases that would not work: see dhcp.c for what is asked of them.
 */
enum dhcp_event dhcp_receive(struct dhcp *dhcp, const uint8_t *frame, size_t length, uint64_t now);

/* When dhcp_send() wants to be called, ms; UINT64_MAX: never. */
uint64_t dhcp_due(const struct dhcp *dhcp);

/* Whether an answer may come: else nothing that arrives means anything to dhcp_receive(). */
bool dhcp_listens(const struct dhcp *dhcp);

/* The lease in force, or NULL. */
const struct dhcp_lease *dhcp_lease(const struct dhcp *dhcp);

/*
 * Gives the lease back: builds the RELEASE to send and returns its length, or 0 when there is no lease. Afterwards the
 * client has none, and begins anew if it is asked to send.
 */
size_t dhcp_release(struct dhcp *dhcp, uint64_t now, uint8_t frame[static DHCP_FRAME_MAX]);

#endif
