/* SPDX-License-Identifier: Apache-2.0 */
/*
 * podswitchd.h - podswitchd, as the agent sees it: questions and orders over its control socket, and its news
 *
 * Every call waits for its answer, at most DAEMON_TIMEOUT; podswitchd answers within milliseconds or not at all. After
 * a call that got no answer the connection is made anew by the next one; after one that waited in vain, calls fail at
 * once for DAEMON_REST, so that a hung podswitchd does not hold up the agent once for every pod. One thread, the
 * agent's.
 */
#ifndef PODSWITCH_PODSWITCHD_H
#define PODSWITCH_PODSWITCHD_H

#include "control/base/jsonrpc.h"

#include <stdbool.h>

#define DAEMON_TIMEOUT 5000 /* ms */
#define DAEMON_REST 10000   /* ms */

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

/* Times a connection had to be made, but for the first of the news: after each, what podswitchd has may be something
 * else than before. */
unsigned podswitchd_epoch(const struct podswitchd *podswitchd);

/*
 * News: listens to monitor.start on a connection of its own. The descriptor to poll for reading, -1 while there is
 * none; daemon_news connects when there is none and takes what came: `hear` is called with each event's parameters.
 */
int podswitchd_events_fd(const struct podswitchd *podswitchd);
void podswitchd_take_events(struct podswitchd *podswitchd, void (*on_event)(void *context, const json_t *event),
			    void *context);

#endif
