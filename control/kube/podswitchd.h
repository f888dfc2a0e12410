/* SPDX-License-Identifier: Apache-2.0 */
/*
 * podswitchd.h - the agent's connections to podswitchd: one for calls, one for events
 *
 * A call waits for its answer for at most PODSWITCHD_TIMEOUT; podswitchd answers within milliseconds or not at all. A
 * call without an answer closes the connection, and the next call connects again. After a timeout all calls fail at
 * once for PODSWITCHD_REST, so that a hung podswitchd does not hold up the agent once for every pod. One thread, the
 * agent's.
 */
#ifndef PODSWITCH_PODSWITCHD_H
#define PODSWITCH_PODSWITCHD_H

#include "control/base/jsonrpc.h"

#include <stdbool.h>

#define PODSWITCHD_TIMEOUT 5000 /* ms */
#define PODSWITCHD_REST 10000   /* ms */

struct podswitchd;

/* `path` is copied. Does not connect yet. NULL when there is no memory. */
struct podswitchd *podswitchd_new(const char *path);
void podswitchd_free(struct podswitchd *podswitchd);

/*
 * Calls a method. Takes the reference to `params`. *result (may be NULL) is the caller's. 0, or a negative errno with
 * `why` filled: -EREMOTEIO when podswitchd refuses, with the JSON-RPC code in *code (may be NULL), anything else when
 * it does not answer.
 */
int podswitchd_call(struct podswitchd *podswitchd, const char *method, json_t *params, json_t **result, int *code,
		    struct failure *why);

/* Whether the last call was answered. */
bool podswitchd_answers(const struct podswitchd *podswitchd);

/*
 * Counts connections, but for the first one for events. When it has changed, podswitchd may have been restarted, and
 * what it has may differ from before.
 */
unsigned podswitchd_epoch(const struct podswitchd *podswitchd);

/*
 * Events, from monitor.start on a connection of their own. The descriptor is to be polled for reading; -1 while there
 * is no connection. podswitchd_take_events() connects if need be and calls `on_event` with the parameters of each
 * event.
 */
int podswitchd_events_fd(const struct podswitchd *podswitchd);
void podswitchd_take_events(struct podswitchd *podswitchd, void (*on_event)(void *context, const json_t *event),
			    void *context);

#endif
