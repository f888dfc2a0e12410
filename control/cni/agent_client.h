/* SPDX-License-Identifier: Apache-2.0 */
/*
 * agent_client.h - calls of podswitch-agent (or podswitchd), which may be away for a while
 *
 * Connects when needed, and again after every error. One thread.
 */
#ifndef PODSWITCH_AGENT_CLIENT_H
#define PODSWITCH_AGENT_CLIENT_H

#include "control/base/client.h"
#include "control/cni/refusal.h"

#include <stdbool.h>
#include <stdint.h>

#define AGENT_REFUSED (-32020) /* the JSON-RPC code of a refusal that asking again does not change */

struct agent_client {
	const char *path;
	int stop_fd;  /* readable: stop waiting; -1: none */
	bool reached; /* a request may have arrived */
	bool connected;
	struct client client;
};

/*
 * Calls `method` and waits for the answer until `deadline` (clock_ms()); takes over `params`. 0 and a new reference in
 * *result, -EREMOTEIO with client.refused when the agent refuses, -ECANCELED when stopped; every other error means that
 * it does not answer.
 */
int agent_client_call(struct agent_client *agent_client, const char *method, json_t *params, uint64_t deadline,
		      json_t **result, struct failure *why);

void agent_client_close(struct agent_client *agent_client);

/* Sleeps; -ECANCELED when stopped. */
int agent_client_pause(const struct agent_client *agent_client, int milliseconds);

/* Fills `why` with the refusal for an agent that does not answer; `failure` says how it did not. Returns `code`. */
enum cni_code agent_client_unanswered(const struct agent_client *agent_client, enum cni_code code,
				      const struct failure *failure, struct refusal *why);

#endif
