/* SPDX-License-Identifier: Apache-2.0 */
/*
 * methods.h - what can be asked on the control socket
 *
 * Methods are called OBJECT.COMMAND; their parameters are objects whose keys are the long options of podswitchctl with
 * '_' for '-'. Beyond that:
 *
 *   - lists (remote, allow, address, route) are arrays of strings; one string alone is a list of one, "none" of none
 *   - learning and isolate are "on", "off", true or false; netns is a string, or a process id as a number
 *   - in `set`, what is not given stays; mtu 0, mac "auto" and default_via "none" go back to the default
 *   - add, set and show answer with the object as `list` shows it, remove with {"name"}, fdb.flush with {"flushed"}
 *
 * Errors carry the key at fault in data.key; the codes are in jsonrpc.h. For the control thread.
 */
#ifndef PODSWITCH_METHODS_H
#define PODSWITCH_METHODS_H

#include "control/base/jsonrpc.h"
#include "control/base/rpc.h"
#include "control/daemon/config.h"
#include "control/daemon/state.h"
#include "vswitch/switch.h"

struct standby;
struct takeover;

/* What the methods work on, all borrowed. Without `state` nothing is kept, without `rpc` there are no events. */
struct methods {
	struct vswitch *vs;
	struct state *state;
	struct rpc *rpc;
	const struct config *config;
	struct standby *standby;   /* who waits to take over from us; NULL: nobody can */
	struct takeover *takeover; /* while what the state directory has is restored with what another handed over */
	unsigned kept_entries;     /* files of static entries there may be; 0: no need to look */
	bool unkept;               /* a file could not be written or removed since the last time that all were right */
};

/* Carries out one request; `context` is a struct methods. */
jsonrpc_call methods_call;

/* Brings back what the state directory holds; warnings go to the log. How many objects were taken up. */
unsigned methods_restore(struct methods *methods);

/* Tries again what could not be brought back for a reason that may have passed. Cheap when there is nothing. */
void methods_retry(struct methods *methods);

/* Passes an event of the switch on to the clients that monitor; `context` is a struct methods. */
switch_listener methods_event;

#endif
