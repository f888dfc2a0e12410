/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fake_watch.h - watches that a test fills by hand, in place of watch.c
 *
 * Whatever starts a watch is found by what it calls itself ("pods of this node"); the test then plays the API server:
 * watch_fill() is a complete list, watch_say() a change, watch_take() a deletion.
 */
#ifndef PODSWITCH_FAKE_WATCH_H
#define PODSWITCH_FAKE_WATCH_H

#include "control/kube/watch.h"
#include "tests/unit/quotes.h"

#include <stdlib.h>
#include <string.h>

#define FAKE_WATCHES 16

struct watch {
	char what[64], path[256], field[320];
	struct watch_callbacks callbacks;
	void *context;
	bool synced, live, optional;
	bool unanswered; /* the server has not even said that it has no such collection */
};

static struct watch *fake_watches[FAKE_WATCHES];
static unsigned fake_watch_limit = FAKE_WATCHES; /* more are refused */

int watch_start(struct kube *kube, const struct watch_config *config, struct watch **out, struct failure *why)
{
	unsigned i = 0;

	(void)kube;
	while (i < fake_watch_limit && fake_watches[i])
		i++;
	if (i == fake_watch_limit)
		return (fail)(why, -ENOMEM, NULL, "no more watches");
	struct watch *watch = calloc(1, sizeof(*watch));
	snprintf(watch->what, sizeof(watch->what), "%s", config->what);
	snprintf(watch->path, sizeof(watch->path), "%s", config->paths[0]);
	snprintf(watch->field, sizeof(watch->field), "%s", config->field_selector ? config->field_selector : "");
	watch->callbacks = config->callbacks;
	watch->optional = config->optional;
	watch->context = config->context;
	*out = fake_watches[i] = watch;
	return 0;
}

void watch_stop(struct watch *watch)
{
	for (unsigned i = 0; i < FAKE_WATCHES; i++)
		if (fake_watches[i] == watch)
			fake_watches[i] = NULL;
	free(watch);
}

bool watch_synced(const struct watch *watch)
{
	return watch && watch->synced;
}

bool watch_answered(const struct watch *watch)
{
	return watch && (watch->synced || (watch->optional && !watch->unanswered));
}

bool watch_live(const struct watch *watch)
{
	return watch && watch->live;
}

void watch_count(const struct watch *watch, struct watch_counters *out)
{
	(void)watch;
	*out = (struct watch_counters){.lists = 1, .events = 2, .errors = 3};
}

static inline struct watch *watch_of(const char *what)
{
	for (unsigned i = 0; i < FAKE_WATCHES; i++)
		if (fake_watches[i] && !strcmp(fake_watches[i]->what, what))
			return fake_watches[i];
	return NULL;
}

/* A complete list: an array. */
static inline void watch_fill(const char *what, const char *items)
{
	struct watch *watch = watch_of(what);
	json_t *list = json_of(items);

	watch->synced = watch->live = true;
	watch->callbacks.replace(watch->context, list);
	json_decref(list);
}

static inline void watch_say(const char *what, const char *object)
{
	struct watch *watch = watch_of(what);
	json_t *value = json_of(object);

	watch->callbacks.changed(watch->context, value);
	json_decref(value);
}

static inline void watch_take(const char *what, const char *object)
{
	struct watch *watch = watch_of(what);
	json_t *value = json_of(object);

	watch->callbacks.deleted(watch->context, value);
	json_decref(value);
}

#endif
