/* SPDX-License-Identifier: Apache-2.0 */
/* succession.c - one agent after the other on a node */
#include "control/kube/succession.h"
#include "control/base/json.h"
#include "tap/base/clock.h"
#include "tap/base/log.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#define ANSWER 5000    /* ms for an answer, and for one of an older version to end */
#define AGAIN 1000     /* ms between two claims */
#define LAST_WAIT 5000 /* ms that the old one keeps its place for one that has claimed it and does not appear */

static bool is_nobody(int error)
{
	return error == -ENOENT || error == -ECONNREFUSED;
}

static int succession_connect(struct succession *succession, const char *socket, struct failure *why)
{
	int error = client_connect_to(&succession->client, socket, "podswitch-agent", ANSWER, why);
	succession->connected = !error;
	return error;
}

void succession_end(struct succession *succession)
{
	if (succession->connected)
		client_disconnect(&succession->client);
	succession->connected = false;
}

/* ---- the new one ---- */

int succession_begin(struct succession *succession, const char *socket, struct failure *why)
{
	json_t *status = NULL;
	int error = succession_connect(succession, socket, why);
	if (is_nobody(error))
		return 0;
	if (!error)
		error = client_call(&succession->client, "agent.status", NULL, &status, why);
	if (!error) {
		succession->waits = json_is_true(json_object_get(status, "hands_over"));
		if (succession->waits)
			log_line(LOG_INFO,
				 "another podswitch-agent serves, version %.32s: its place is taken when the "
				 "cluster is known here",
				 json_text(status, "version"));
		else
			error = client_stop_peer(&succession->client, why);
	}
	json_decref(status);
	succession_end(succession);
	return error;
}

bool succession_claim(struct succession *succession, const char *socket, uint64_t now)
{
	struct failure why = {0};
	json_t *result = NULL;
	if (succession->tried && now - succession->tried < AGAIN)
		return false;
	int error = succession_connect(succession, socket, &why);
	if (!error)
		error = client_call(&succession->client, SUCCESSION_METHOD, NULL, &result, &why);
	json_decref(result);
	succession->waits = error && !is_nobody(error);
	if (!succession->waits)
		return true;
	succession->tried = now;
	succession_end(succession);
	log_line(LOG_WARNING, "the podswitch-agent that serves does not hand over: %s", why.text);
	return false;
}

/* ---- the old one ---- */

void succession_let_go(int connection)
{
	struct pollfd end = {.fd = connection, .events = POLLIN};
	if (poll(&end, 1, LAST_WAIT) < 1)
		log_line(LOG_WARNING, "the podswitch-agent that has claimed this one's place does not appear");
	close(connection);
}

/* ---- probes ---- */

static int judge_status(const json_t *status, const char *instance, struct failure *why)
{
	const char *served = json_text(status, "instance");
	if (instance && strcmp(served, instance) != 0)
		return fail(why, -ESRCH, NULL, "the podswitch-agent that serves is '%.100s', not '%.100s'", served,
			    instance);
	if (!json_is_true(json_object_get(status, "ready")))
		return fail(why, -EAGAIN, NULL, "%.280s", json_text(status, "reason"));
	return 0;
}

int succession_check(const char *socket, const char *instance, struct failure *why)
{
	struct succession succession = {0};
	json_t *status = NULL;
	int error = succession_connect(&succession, socket, why);
	if (!error)
		error = client_call(&succession.client, "agent.status", NULL, &status, why);
	if (!error)
		error = judge_status(status, instance, why);
	json_decref(status);
	succession_end(&succession);
	return error;
}
