/* SPDX-License-Identifier: Apache-2.0 */
/*
 * agent_client.h - calls of podswitch-agent, which may be away for a while
 *
 * One thread.
 */
#ifndef PODSWITCH_AGENT_CLIENT_H
#define PODSWITCH_AGENT_CLIENT_H

#include "control/base/client.h"
#include "control/cni/refusal.h"

#include <stdbool.h>
#include <stdint.h>

#define AGENT_REFUSED (-32020) /* the JSON-RPC code for: no, as things are for good */

struct agent_client {
	const char *path;
	int stop_fd;  /* readable: stop waiting; -1: nothing does */
	bool reached; /* a request may have got there */
	bool connected;
	struct client client;
};

/*
 * Calls `method` and waits for the answer until `deadline` (clock_ms()); takes over `params`. 0, -EREMOTEIO with
 * agent->client.refused when the agent says no, -ECANCELED when stopped; everything else means that it does not answer.
 */
int agent_client_call(struct agent_client *agent_client, const char *method, json_t *params, uint64_t deadline,
		      json_t **result, struct failure *why);

void agent_client_close(struct agent_client *agent_client);

/* Waits `milliseconds`; -ECANCELED when stopped. */
int agent_client_pause(const struct agent_client *agent_client, int milliseconds);

/* The refusal to give when the agent did not answer; `behind` says how. */
enum cni_code agent_client_away(const struct agent_client *agent_client, enum cni_code code,
				const struct failure *behind, struct refusal *why);

#endif
