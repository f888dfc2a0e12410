/* SPDX-License-Identifier: Apache-2.0 */
/* podswitchd.c - the agent's connections to podswitchd */
#include "control/kube/podswitchd.h"
#include "control/base/client.h"
#include "tap/base/clock.h"
#include "tap/base/log.h"

#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NEWS_TURN 256 /* events taken in one turn */

struct podswitchd {
	char path[PATH_MAX];
	struct client calls, events;
	bool calls_connected, events_connected; /* connected */
	bool answers, logged;                   /* logged: the log has the present state */
	bool events_connected_before;           /* at least once */
	unsigned epoch;
	int timeout, rest;     /* ms */
	uint64_t silent_until; /* ms; calls fail at once until then */
};

struct podswitchd *podswitchd_new(const char *path)
{
	struct podswitchd *podswitchd = calloc(1, sizeof(*podswitchd));
	if (!podswitchd)
		return NULL;
	snprintf(podswitchd->path, sizeof(podswitchd->path), "%s", path);
	podswitchd->timeout = PODSWITCHD_TIMEOUT;
	podswitchd->rest = PODSWITCHD_REST;
	return podswitchd;
}

static void podswitchd_disconnect(struct client *client, bool *connected)
{
	if (*connected)
		client_disconnect(client);
	*connected = false;
}

void podswitchd_free(struct podswitchd *podswitchd)
{
	if (!podswitchd)
		return;
	podswitchd_disconnect(&podswitchd->calls, &podswitchd->calls_connected);
	podswitchd_disconnect(&podswitchd->events, &podswitchd->events_connected);
	free(podswitchd);
}

/* EAGAIN: its queue of new connections was full for as long as we wait for an answer. */
static void note_hang(struct podswitchd *podswitchd, int error)
{
	if (error == -ETIMEDOUT || error == -EAGAIN)
		podswitchd->silent_until = clock_ms() + (uint64_t)podswitchd->rest;
}

static int podswitchd_connect(struct podswitchd *podswitchd, struct client *client, bool *connected,
			      struct failure *why)
{
	if (*connected)
		return 0;
	*client = (struct client){.fd = -1, .stop_fd = -1, .out_fd = -1};
	int error = client_connect_to(client, podswitchd->path, "podswitchd", podswitchd->timeout, why);
	*connected = !error;
	return error;
}

static void note_answer(struct podswitchd *podswitchd, bool answers, const struct failure *why)
{
	if (podswitchd->logged && answers == podswitchd->answers)
		return;
	if (answers)
		log_line(LOG_INFO, "podswitchd answers on %s", podswitchd->path);
	else
		log_line(LOG_WARNING, "podswitchd does not answer: %s", why ? why->text : "");
	podswitchd->answers = answers;
	podswitchd->logged = true;
}

static bool is_unanswered(int error)
{
	return error && error != -EREMOTEIO;
}

int podswitchd_call(struct podswitchd *podswitchd, const char *method, json_t *params, json_t **result, int *code,
		    struct failure *why)
{
	struct failure own = {0};
	json_t *answer = NULL;
	bool old = podswitchd->calls_connected;
	int error = -ENOTCONN;
	why = why ? why : &own;
	if (code)
		*code = 0;
	if (clock_ms() < podswitchd->silent_until) {
		json_decref(params);
		return fail(why, -ETIMEDOUT, NULL, "podswitchd on %.120s did not answer: is it stopped or hung?",
			    podswitchd->path);
	}
	/* A connection that podswitchd closed since the last call fails now: connect again, once. */
	for (int i = 0; i < (old ? 2 : 1) && is_unanswered(error) && error != -ETIMEDOUT; i++) {
		podswitchd->epoch += !podswitchd->calls_connected;
		error = podswitchd_connect(podswitchd, &podswitchd->calls, &podswitchd->calls_connected, why);
		if (!error)
			error = client_call(&podswitchd->calls, method, params, &answer, why);
		if (is_unanswered(error))
			podswitchd_disconnect(&podswitchd->calls, &podswitchd->calls_connected);
	}
	json_decref(params);
	note_hang(podswitchd, error);
	note_answer(podswitchd, !is_unanswered(error), why);
	if (code)
		*code = error == -EREMOTEIO ? podswitchd->calls.refused : 0;
	if (!error && result)
		*result = answer;
	else
		json_decref(answer);
	return error;
}

bool podswitchd_answers(const struct podswitchd *podswitchd)
{
	return podswitchd->answers;
}

unsigned podswitchd_epoch(const struct podswitchd *podswitchd)
{
	return podswitchd->epoch;
}

int podswitchd_events_fd(const struct podswitchd *podswitchd)
{
	return podswitchd->events_connected ? podswitchd->events.fd : -1;
}

static int podswitchd_subscribe(struct podswitchd *podswitchd)
{
	json_t *answer = NULL;
	if (podswitchd->events_connected)
		return 0;
	if (clock_ms() < podswitchd->silent_until)
		return -ETIMEDOUT;
	int error = podswitchd_connect(podswitchd, &podswitchd->events, &podswitchd->events_connected, NULL);
	if (!error)
		error = client_call(&podswitchd->events, "monitor.start", NULL, &answer, NULL);
	json_decref(answer);
	note_hang(podswitchd, error);
	if (error)
		podswitchd_disconnect(&podswitchd->events, &podswitchd->events_connected);
	else
		podswitchd->epoch += podswitchd->events_connected_before;
	podswitchd->events_connected_before = podswitchd->events_connected_before || !error;
	return error;
}

void podswitchd_take_events(struct podswitchd *podswitchd, void (*on_event)(void *context, const json_t *event),
			    void *context)
{
	if (podswitchd_subscribe(podswitchd))
		return;
	for (int i = 0; i < NEWS_TURN; i++) {
		json_t *message = NULL;
		int got = client_poll(&podswitchd->events, &message, NULL);
		if (got < 0)
			podswitchd_disconnect(&podswitchd->events, &podswitchd->events_connected);
		if (got <= 0)
			return;
		on_event(context, json_object_get(message, "params"));
		json_decref(message);
	}
}
