/* SPDX-License-Identifier: Apache-2.0 */
/* agent_client.c - calls of podswitch-agent (or podswitchd), which may be away for a while */
#include "control/cni/agent_client.h"

#include "tap/base/clock.h"

#include <limits.h>
#include <poll.h>
#include <string.h>

void agent_client_close(struct agent_client *agent_client)
{
	if (agent_client->connected)
		client_disconnect(&agent_client->client);
	agent_client->connected = false;
}

static int left_until(uint64_t deadline)
{
	uint64_t now = clock_ms();

	return now >= deadline ? 1 : deadline - now > INT_MAX ? INT_MAX : (int)(deadline - now);
}

static int call_once(struct agent_client *agent_client, const char *method, json_t *params, uint64_t deadline,
		     json_t **result, struct failure *why)
{
	if (!agent_client->connected) {
		int error = client_connect_to(&agent_client->client, agent_client->path, "podswitch-agent",
					      left_until(deadline), why);
		if (error)
			return error;
		agent_client->connected = true;
		agent_client->client.stop_fd = agent_client->stop_fd;
	}
	agent_client->reached = true;
	agent_client->client.timeout = left_until(deadline);
	int error = client_call(&agent_client->client, method, params, result, why);
	/* The answer that did not come may still come, and would be taken for that of the next request. */
	if (error && error != -EREMOTEIO)
		agent_client_close(agent_client);
	return error;
}

int agent_client_call(struct agent_client *agent_client, const char *method, json_t *params, uint64_t deadline,
		      json_t **result, struct failure *why)
{
	int error = params ? call_once(agent_client, method, params, deadline, result, why)
			   : fail(why, -ENOMEM, NULL, "out of memory");

	json_decref(params);
	return error;
}

int agent_client_pause(const struct agent_client *agent_client, int milliseconds)
{
	struct pollfd stop = {.fd = agent_client->stop_fd, .events = POLLIN};

	return poll(&stop, 1, milliseconds) > 0 ? -ECANCELED : 0;
}

enum cni_code agent_client_unanswered(const struct agent_client *agent_client, enum cni_code code,
				      const struct failure *failure, struct refusal *why)
{
	refuse(why, code,
	       "podswitch-agent does not answer on %s: is the podswitch DaemonSet running on this node? kubectl -n "
	       "podswitch get pods -o wide",
	       agent_client->path);
	refuse_details(why, failure->text);
	return code;
}
