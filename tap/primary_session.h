/* SPDX-License-Identifier: Apache-2.0 */
/*
 * primary_session.h - what primary.c works on: the routes and interfaces of the pod as they were found
 *
 * What the files primary*.c share. Control thread, in the pod's namespace.
 */
#ifndef PODSWITCH_PRIMARY_SESSION_H
#define PODSWITCH_PRIMARY_SESSION_H

#include "tap/primary.h"
#include "tap/route.h"

#include <net/if.h>

#define PRIMARY_MAX_LINKS 1024 /* of a pod that are looked at; the first ones, as the kernel lists them */

/* An interface passes through these one after the other; the pod's own links are in other groups. */
enum link_stage {
	LINK_NEW,    /* not seen before */
	LINK_SEEN,   /* in PRIMARY_SEEN_GROUP */
	LINK_FROZEN, /* in PRIMARY_FROZEN_GROUP */
};

struct primary_link {
	unsigned ifindex;
	char name[IFNAMSIZ];
	enum link_stage stage; /* as found */
	bool freezes;          /* is to be frozen now */
};

struct primary_session {
	struct netlink nl;
	unsigned ifindex;           /* of the TAP; 0: it does not exist */
	struct route_list list;     /* as of the last primary_read() */
	struct primary_link *links; /* all but lo and the TAP */
	size_t n_links;
	unsigned changes; /* made so far, to what was not as it should be */
	bool grows;       /* an interface has come: what changes has to change */
	bool took_over;   /* something that an earlier version had left was removed */
};

/* Opens a session and reads. On success it has to be closed. */
int primary_open(struct primary_session *s, const char *ifname, struct failure *why);
void primary_close(struct primary_session *s);

/* Reads the routes again. */
int primary_read(struct primary_session *s, struct failure *why);

int primary_delete_route(struct primary_session *s, const struct route *route, struct failure *why);

/* Moves an interface to another of our groups, or (LINK_NEW) to the default group. */
int primary_set_stage(struct primary_session *s, const struct primary_link *link, enum link_stage stage,
		      struct failure *why);

/*
 * Lets the reverse path filter of all interfaces look at marks (src_valid_mark). That stays: where nothing is marked it
 * changes nothing.
 */
int primary_accept_marks(struct primary_session *s, struct failure *why);

/*
 * A prefix that is shorter than this is a default route (10.0.0.0/8 is none). Among the unique local addresses of IPv6
 * (RFC 4193) and the link-local ones there is no such thing.
 */
#define PRIMARY_WIDE_IP4 8
#define PRIMARY_WIDE_IP6 16
bool primary_is_wide(const struct prefix *to);

/*
 * Rules. Whether those of IPv4 and IPv6 were in force before, so that the pod's routes were copied; putting them in
 * force; making them the first again, before those that somebody else has added; and deleting them.
 */
int primary_rules_in_force(struct primary_session *s, bool out[static 2], struct failure *why);
int primary_put_rules(struct primary_session *s, const struct primary_config *config, struct failure *why);
int primary_lead_rules(struct primary_session *s, struct primary_state *state, struct failure *why);
int primary_delete_rules(struct primary_session *s, struct failure *why);

/* Whether a table is one of ours, or of an earlier version's. */
bool primary_is_our_table(uint32_t table);

/*
 * What an earlier version did: it parked the pod's own default routes in PRIMARY_PARKED_TABLE, and put its own routes,
 * with the TAP's, into the main table. primary_take_along() copies the TAP's to where they belong now, as long as there
 * is such a thing. primary_forget_old() restores the pod's routes and removes the others; it comes when rules lead past
 * the main table, or to undo all. Both do nothing where there is nothing of the kind.
 */
bool primary_is_parked(const struct route *route);
int primary_take_along(struct primary_session *s, struct failure *why);
int primary_forget_old(struct primary_session *s, struct failure *why);

#endif
