/* SPDX-License-Identifier: Apache-2.0 */
/* daemon.c - podswitchd, as the agent sees it */
#include "control/kube/daemon.h"
#include "control/ctl/client.h"
#include "vswitch/clock.h"
#include "vswitch/log.h"

#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NEWS_TURN 256 /* events taken in one turn */

struct daemon {
	char path[PATH_MAX];
	struct client orders, news;
	bool ordering, listening; /* connected */
	bool answers, told;       /* told: the log knows how it is */
	bool listened;            /* it has been listening before */
	unsigned epoch;
	int timeout, rest;     /* ms */
	uint64_t silent_until; /* ms; nothing is tried before */
};

struct daemon *daemon_new(const char *path)
{
	struct daemon *daemon = calloc(1, sizeof(*daemon));
	if (!daemon)
		return NULL;
	snprintf(daemon->path, sizeof(daemon->path), "%s", path);
	daemon->timeout = DAEMON_TIMEOUT;
	daemon->rest = DAEMON_REST;
	return daemon;
}

static void hang_up(struct client *client, bool *connected)
{
	if (*connected)
		client_disconnect(client);
	*connected = false;
}

void daemon_free(struct daemon *daemon)
{
	if (!daemon)
		return;
	hang_up(&daemon->orders, &daemon->ordering);
	hang_up(&daemon->news, &daemon->listening);
	free(daemon);
}

/* A busy listener's full queue (EAGAIN) is waited for as long as an answer. */
static void note_hang(struct daemon *daemon, int error)
{
	if (error == -ETIMEDOUT || error == -EAGAIN)
		daemon->silent_until = clock_ms() + (uint64_t)daemon->rest;
}

static int dial(struct daemon *daemon, struct client *client, bool *connected, struct failure *why)
{
	if (*connected)
		return 0;
	*client = (struct client){.fd = -1, .stop_fd = -1, .out_fd = -1};
	int error = client_connect_to(client, daemon->path, "podswitchd", daemon->timeout, why);
	*connected = !error;
	return error;
}

static void note_answer(struct daemon *daemon, bool answers, const struct failure *why)
{
	if (daemon->told && answers == daemon->answers)
		return;
	if (answers)
		log_line(LOG_INFO, "podswitchd answers on %s", daemon->path);
	else
		log_line(LOG_WARNING, "podswitchd does not answer: %s", why ? why->text : "");
	daemon->answers = answers;
	daemon->told = true;
}

static bool is_gone(int error)
{
	return error && error != -EREMOTEIO;
}

int daemon_call(struct daemon *daemon, const char *method, json_t *params, json_t **result, int *code,
		struct failure *why)
{
	struct failure own = {0};
	json_t *answer = NULL;
	bool old = daemon->ordering;
	int error = -ENOTCONN;
	why = why ? why : &own;
	if (code)
		*code = 0;
	if (clock_ms() < daemon->silent_until) {
		json_decref(params);
		return fail(why, -ETIMEDOUT, NULL, "podswitchd on %.120s did not answer: is it stopped or hung?",
			    daemon->path);
	}
	/* A connection that podswitchd closed since the last call is noticed by this one: then once more. */
	for (int i = 0; i < (old ? 2 : 1) && is_gone(error) && error != -ETIMEDOUT; i++) {
		daemon->epoch += !daemon->ordering;
		error = dial(daemon, &daemon->orders, &daemon->ordering, why);
		if (!error)
			error = client_call(&daemon->orders, method, params, &answer, why);
		if (is_gone(error))
			hang_up(&daemon->orders, &daemon->ordering);
	}
	json_decref(params);
	note_hang(daemon, error);
	note_answer(daemon, !is_gone(error), why);
	if (code)
		*code = error == -EREMOTEIO ? daemon->orders.refused : 0;
	if (!error && result)
		*result = answer;
	else
		json_decref(answer);
	return error;
}

bool daemon_answers(const struct daemon *daemon)
{
	return daemon->answers;
}

unsigned daemon_epoch(const struct daemon *daemon)
{
	return daemon->epoch;
}

int daemon_news_fd(const struct daemon *daemon)
{
	return daemon->listening ? daemon->news.fd : -1;
}

static int subscribe(struct daemon *daemon)
{
	json_t *answer = NULL;
	if (daemon->listening)
		return 0;
	if (clock_ms() < daemon->silent_until)
		return -ETIMEDOUT;
	int error = dial(daemon, &daemon->news, &daemon->listening, NULL);
	if (!error)
		error = client_call(&daemon->news, "monitor.start", NULL, &answer, NULL);
	json_decref(answer);
	note_hang(daemon, error);
	if (error)
		hang_up(&daemon->news, &daemon->listening);
	else
		daemon->epoch += daemon->listened;
	daemon->listened = daemon->listened || !error;
	return error;
}

void daemon_news(struct daemon *daemon, void (*hear)(void *context, const json_t *event), void *context)
{
	if (subscribe(daemon))
		return;
	for (int i = 0; i < NEWS_TURN; i++) {
		json_t *message = NULL;
		int got = client_poll(&daemon->news, &message, NULL);
		if (got < 0)
			hang_up(&daemon->news, &daemon->listening);
		if (got <= 0)
			return;
		hear(context, json_object_get(message, "params"));
		json_decref(message);
	}
}
