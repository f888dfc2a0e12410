/* SPDX-License-Identifier: Apache-2.0 */
/* standby.c - a podswitchd that waits beside the one that serves */
#include "control/daemon/standby.h"
#include "control/base/client.h"
#include "control/base/json.h"
#include "control/base/jsonrpc.h"
#include "tap/base/log.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define ANSWER 10000 /* ms */
#define NOW "takeover.now"

/* ---- of the one that waits ---- */

/* 1: it is time to take over; 0: the one that served has hung up. One of an older version has nobody wait. */
static int wait_beside(struct client *client, const char *instance, struct failure *why)
{
	static const struct timespec moment = {.tv_nsec = 10000000};
	json_t *params = json_pack("{s:s}", "instance", instance), *answer = NULL;
	int error = client_call(client, STANDBY_METHOD, params, &answer, why);
	json_decref(params);
	json_decref(answer);
	if (error == -ECONNRESET) { /* it was about to end, and another is there by now */
		nanosleep(&moment, NULL);
		return 0;
	}
	if (error)
		return error == -EREMOTEIO && client->refused == JSONRPC_UNKNOWN_METHOD ? 1 : error;
	log_line(LOG_INFO, "waiting for the end of the podswitchd that runs, to take over from it");
	error = client_next(client, &answer, NULL);
	if (error)
		return error == -ECANCELED ? error : 0;
	bool called = !strcmp(json_text(answer, "method"), NOW);
	json_decref(answer);
	return called;
}

int standby_wait(const char *socket, const char *instance, int stop_fd, struct failure *why)
{
	struct client client;
	int called;
	do {
		called = client_connect_to(&client, socket, "podswitchd", ANSWER, why);
		if (called == -ENOENT || called == -ECONNREFUSED)
			return 0;
		client.stop_fd = stop_fd;
		if (!called)
			called = wait_beside(&client, instance, why);
		client_disconnect(&client);
	} while (!called);
	return called < 0 ? called : 0;
}

/* ---- of the one that serves ---- */

bool standby_is(const struct standby *standby, const char *instance)
{
	return standby->connection >= 0 && !strcmp(standby->instance, instance);
}

bool standby_keep(struct standby *standby, int connection)
{
	if (!standby->asked)
		return false;
	standby->asked = false;
	standby->called = false;
	standby->connection = connection;
	log_line(LOG_INFO, "another podswitchd waits to take over");
	return true;
}

bool standby_call(struct standby *standby)
{
	static const char now[] = "{\"jsonrpc\":\"2.0\",\"method\":\"" NOW "\"}\n";
	if (standby->connection < 0)
		return false;
	if (!standby->called && send(standby->connection, now, sizeof(now) - 1, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		standby_close(standby);
	standby->called = standby->connection >= 0;
	return standby->called;
}

void standby_close(struct standby *standby)
{
	if (standby->connection < 0)
		return;
	close(standby->connection);
	standby->connection = -1;
	if (!standby->called)
		log_line(LOG_WARNING, "the podswitchd that waited to take over has gone");
}
