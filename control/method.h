/* SPDX-License-Identifier: Apache-2.0 */
/*
 * method.h - between the methods: a call under way, and what several of them need
 *
 * A method returns 0 with `result` set (a new reference), or a negative errno with `why` filled; methods.c makes a
 * JSON-RPC code of it, unless the method has put one into `code`.
 */
#ifndef PODSWITCH_METHOD_H
#define PODSWITCH_METHOD_H

#include "control/methods.h"
#include "control/params.h"

struct call {
	struct methods *methods;
	struct rpc_client *client;
	const json_t *params;
	json_t *result;
	int code;
	bool restoring; /* from the state directory: ports are adopted, nothing is written back */
};

typedef int method(struct call *call, struct failure *why);

method gateway_add, gateway_set, gateway_list, gateway_show, gateway_remove;
method port_add, port_set, port_list, port_show, port_remove;
method fdb_list, fdb_add, fdb_remove, fdb_flush;
method stats_get, status_get, monitor_start, version_get;

/* Writes or removes an object's file; on failure `code` says that the change itself stays. */
int call_keep(struct call *call, enum state_kind kind, const char *name, json_t *params, struct failure *why);
int call_forget(struct call *call, enum state_kind kind, const char *name, struct failure *why);

/* Removes the files of static entries that went with their gateway or port. */
int call_forget_entries(struct call *call, struct failure *why);

/* The one parameter of show and remove, checked. */
int call_name(const struct call *call, char out[static SWITCH_NAME], struct failure *why);

/* {"reason": n} with every reason there is. */
json_t *drops_json(const uint64_t drops[static DROP_COUNT]);

#endif
