/* SPDX-License-Identifier: Apache-2.0 */
/*
 * method.h - between the methods: a call under way, and what several of them need
 *
 * A method returns 0 with `result` set (a new reference), or a negative errno with `why` filled; methods.c makes a
 * JSON-RPC code of it, unless the method has put one into `code`.
 */
#ifndef PODSWITCH_METHOD_H
#define PODSWITCH_METHOD_H

#include "control/daemon/methods.h"
#include "control/daemon/options.h"

#include <stdint.h>

struct call {
	struct methods *methods;
	struct rpc_client *client;
	const json_t *params;
	json_t *result;
	int code;
	bool restoring; /* from the state directory: ports are adopted, nothing is written back */
};

typedef int method(struct call *call, struct failure *why);

method method_gateway_add, method_gateway_set, method_gateway_list, method_gateway_show, method_gateway_remove;
method method_port_add, method_port_set, method_port_list, method_port_show, method_port_remove;
method method_fdb_list, method_fdb_add, method_fdb_remove, method_fdb_flush;
method method_stats_get, method_metrics_get, method_status_get, method_monitor_start, method_version_get,
	method_takeover_begin, method_takeover_wait, method_takeover_nobody;

/* Writes or removes an object's file; on failure `code` says that the change itself stays. */
int call_keep(struct call *call, enum state_kind kind, const char *name, json_t *params, struct failure *why);
int call_forget(struct call *call, enum state_kind kind, const char *name, struct failure *why);

/* Whether an object that the switch does not have is in the state directory and waits to be brought back. */
bool call_waits(const struct call *call, enum state_kind kind, const char *name);

/* Removes the files of static entries that went with their gateway or port. */
int call_forget_entries(struct call *call, struct failure *why);

/* The call waits, and is made again, with rpc_held(), when the TAP of this number is gone (switch_end_taps()). */
int call_hold(struct call *call, uint64_t ending);

/* Refuses any parameter. */
int call_no_params(const struct call *call, struct failure *why);

/* The name, as the one parameter there is, or as one of several. */
int call_name(const struct call *call, char out[static SWITCH_NAME], struct failure *why);
int call_find_name(const struct call *call, char out[static SWITCH_NAME], struct failure *why);

/* {"reason": n} with every reason there is. */
json_t *drops_json(const uint64_t drops[static DROP_COUNT]);

/* Why a gateway is silent; silence->reason is not NULL. */
json_t *silence_json(const struct silence_status *silence);

/* Counters and drops, as gateway.show, port.show and stats.get have them. */
json_t *gateway_counters_json(const struct gateway_counters *counters);
json_t *port_counters_json(const struct port_counters *counters);

/* The parameters of gateway.add and of port.add that make this configuration. */
json_t *gateway_config_json(const struct gateway_config *config);
json_t *port_config_json(const struct port_config *config);

#endif
