/* SPDX-License-Identifier: Apache-2.0 */
/*
 * attachment.h - a pod that has, or shall have, a port
 *
 * One for each interface that the CNI plugin asked for, or that the agent attached by itself. One thread, the agent's.
 */
#ifndef PODSWITCH_ATTACHMENT_H
#define PODSWITCH_ATTACHMENT_H

#include "control/base/names.h"
#include "tap/base/address.h"

#include <jansson.h>
#include <stdint.h>

#define ATTACHMENT_SUSPECTS 8
#define ATTACHMENT_SUSPICION 60000 /* ms for which an endpoint that did not answer is not tried again */

enum attachment_state {
	ATTACHMENT_PENDING, /* not yet; `reason` says what is missing */
	ATTACHMENT_NONE,    /* the pod has no gateway */
	ATTACHMENT_REFUSED, /* it gets none unless something changes */
	ATTACHMENT_READY,   /* its gateway has answered */
};

struct attachment {
	struct attachment *next;
	char port[NAMES_SIZE]; /* its name in podswitchd */
	char namespace[64], pod[254], uid[64];
	char id[NAMES_ID + 1]; /* of the container, or of the pod's UID */
	char ifname[16], netns[256];
	char hostname[64];    /* that DHCP servers are told: a label, or "" */
	char configured[160]; /* the gateway that the CNI configuration names, or "" */
	bool by_agent;        /* attached while it ran, without the CNI plugin */
	bool superseded;      /* by a later sandbox of its pod: cut off until it is gone */
	uint64_t began;       /* ms, when it was first asked for */
	uint64_t orphaned;    /* ms, since when its pod is unknown; 0: it is known */
	uint64_t silent;      /* ms, since when its endpoint has not answered; 0: it does */
	bool silent_leased;   /* meanwhile it gave a lease, and from then on that counts */
	uint64_t pass;        /* the reconciler's last pass that has been at it */

	enum attachment_state state;
	char reason[768];    /* for people */
	char gateway[136];   /* "NAMESPACE/NAME" of the Service that it uses or waits for */
	char at[NAMES_SIZE]; /* the gateway's name in podswitchd; "": none yet */
	struct address endpoint;
	char address[64];   /* its own, with the network's length, as people were told; "": not yet */
	bool told_not_kept; /* an Event has said that its own address is in none of the kept networks */
	bool exists;        /* podswitchd has the port */
	bool prober;        /* it asks for all of this node whether its endpoint forwards */
	bool lost;          /* its router stopped answering */
	bool counted;       /* in reconciler.seconds */
	bool attached;      /* it has been ready at `at` */
	char *applied;      /* the last parameters of port.add or port.set, as text */
	json_t *status;     /* podswitchd's last report, or NULL */
	struct suspect {
		struct address address;
		uint64_t until; /* ms */
	} suspects[ATTACHMENT_SUSPECTS];
	unsigned next_suspect;
};

/* NULL without memory, or when a part of its name is not valid. */
struct attachment *attachment_new(const char *namespace, const char *pod, const char *id, const char *ifname);
void attachment_free(struct attachment *attachment);

/* Sets state and reason, and returns the state. `reason` is for people; it may be attachment->reason itself. */
enum attachment_state attachment_set_state(struct attachment *attachment, enum attachment_state state,
					   const char *reason);

/* Its endpoint did not answer: prefer others for ATTACHMENT_SUSPICION. */
void attachment_suspect(struct attachment *attachment, uint64_t now);

/* Its endpoint answers: it is not suspected any more. */
void attachment_trust(struct attachment *attachment);
bool attachment_suspects(const struct attachment *attachment, const struct address *address, uint64_t now);

/* A member of "client" in podswitchd's report ("state", "router"); "" when there is none. */
const char *attachment_client(const struct attachment *attachment, const char *member);

/* Whether the router has answered lately, as podswitchd reports it. */
bool attachment_is_heard(const struct attachment *attachment);

#endif
