/* SPDX-License-Identifier: Apache-2.0 */
/*
 * watch.c - following a collection of Kubernetes objects, as client-go's reflector does
 *
 *             task.due, need_list               last page
 *   RESTING -----------------------> LISTING -------------> replace(), then RESTING for 0 ms
 *      | ^                            |   |
 *      | `-------- failure -----------'   `-- more pages: LISTING
 *      |
 *      |      task.due, no need_list
 *      `---------------------------> STREAMING -- each event --> changed(), deleted()
 *                                         |
 *                  RESTING for 0 ms <-----+ ended as it should
 *               RESTING, backed off <-----' failed; need_list after 410, 404, or an event that cannot be used
 *
 *   list      The first one with resourceVersion=0, which any server answers from its cache. Later ones with the last
 *             version we saw, so that a server whose cache is behind cannot take us back in time. After the history
 *             expired twice (`consistent`) without a version: that asks etcd, in pages. Pages are collected in `items`
 *             and delivered when the last one is there; the stream begins at the version of the first page.
 *   stream    From `version`, which each event and each bookmark advances. It is never taken from the items of a list.
 *
 *   silence   A proxy whose backend has died keeps its side of the connection, and a stream then says nothing for ever.
 *             Servers send a bookmark about once a minute. Without a word for WATCH_IDLE_MS a stream is opened anew at
 *             the last version, which costs a server that is well next to nothing: over the same connection, without a
 *             list, at a random time. One that is not accepted within WATCH_ACCEPT_MS has found the connection dead:
 *             the next one gets a connection of its own.
 *
 * What follows a failure is decided in failed_status(), with client-go's rules: no answer: retry the same; 410, or an
 * ERROR event with that code: list again; 429: rest as long as the server says; a stream that ends as it should
 * continues at once, one that ends within SHORT_STREAM_MS backs off.
 *
 * An `optional` collection that the server does not have, or may not show us, is asked for again rarely; a log line at
 * level debug says so.
 *
 * Each kind of trouble is logged once, and its end once: `logged` has the kinds, until there was no trouble for as long
 * as the back-off remembers; `in_trouble` says that the end has not been logged yet.
 *
 * One thread. A callback may stop any watch, also its own: while `busy`, a stopped watch is freed when its turn ends.
 */
#include "control/kube/watch.h"
#include "control/base/json.h"
#include "control/kube/decode.h"
#include "control/kube/kube.h"
#include "tap/base/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LIST_TIMEOUT_MS 300000
#define LIST_IDLE_SECONDS 30
#define MAX_PAGES 2000        /* of one list; more come from a broken server */
#define SHORT_STREAM_MS 1000  /* a stream that ends sooner counts as not begun */
#define MAX_SHORT_STREAMS 3   /* in a row, before even those with events rest */
#define MAX_STREAM_FAILURES 4 /* answers other than 200, before we list instead */
#define MAX_REFUSALS 3        /* in a row, before we log it */
#define READ_AHEAD (4u << 20) /* bytes of a stream per turn, beyond the longest line */

enum watch_phase { WATCH_RESTING, WATCH_LISTING, WATCH_STREAMING };

enum watch_trouble {
	TROUBLE_FORBIDDEN = 1,
	TROUBLE_UNAUTHORIZED = 2,
	TROUBLE_NOT_FOUND = 4,
	TROUBLE_STATUS = 8,
	TROUBLE_UNUSABLE = 16,
	TROUBLE_TOO_LARGE = 32,
	TROUBLE_SHORT = 64,
};

struct watch {
	struct kube_task task; /* first: a task is cast to its watch */
	struct kube *kube;
	struct transfer transfer;

	char *paths[2], *selectors, *what;
	struct watch_callbacks callbacks;
	void *context;
	unsigned max_objects, stream_seconds, idle_ms, accept_ms;
	size_t max_line;

	enum watch_phase phase;
	unsigned path; /* index of the one in use */
	bool need_list;
	bool consistent; /* the next list asks etcd */
	bool expired;    /* there was a 410, and no lasting stream since */
	char *version;   /* NULL before the first list */

	json_t *items;       /* of the pages so far; NULL: none */
	char *items_version; /* of the first page */
	char *next;          /* the token of the next page */
	unsigned pages;

	struct event_reader reader;
	uint64_t accepted;        /* ms; when the server accepted the stream; 0: not yet */
	uint64_t patience;        /* ms without an event until it is made anew */
	uint64_t heard;           /* ms; when the last event came, or the stream was accepted */
	bool lasting;             /* for SHORT_STREAM_MS: all is well */
	bool unheard;             /* the last one was not accepted: the next needs a connection of its own */
	uint64_t stream_events;   /* of this stream, bookmarks included */
	unsigned short_streams;   /* in a row */
	unsigned stream_failures; /* in a row: answers other than 200 */
	unsigned refusals;        /* in a row: "ask again later" */
	bool streamed;            /* at least once */

	struct kube_backoff backoff;
	unsigned logged; /* kinds of trouble */
	bool in_trouble; /* and its end is not logged yet */

	struct watch_counters counters;
	bool optional;
	bool synced;
	bool denied;  /* an optional one was: the server has answered */
	bool busy;    /* in its turn: must not be freed */
	bool stopped; /* free it when the turn ends */
};

static void watch_begin(struct watch *watch);

/* ---- the log ---- */

static void log_trouble(struct watch *watch, enum watch_trouble kind, const char *text)
{
	if (kube_backoff_is_over(watch->kube, &watch->backoff, clock_ms()) && !watch->in_trouble)
		watch->logged = 0;
	if (watch->logged & kind)
		return;
	watch->logged |= kind;
	watch->in_trouble = true;
	log_line(LOG_WARNING, "cannot follow %s: %s", watch->what, text);
}

static void log_recovery(struct watch *watch)
{
	if (watch->in_trouble)
		log_line(LOG_INFO, "following %s again", watch->what);
	watch->in_trouble = false;
}

/* "/apis/discovery.k8s.io/v1/endpointslices" -> "discovery.k8s.io" and "endpointslices", as a rule spells them. */
static void path_parts(const char *path, char *group, size_t size, const char **resource)
{
	size_t length = strncmp(path, "/apis/", 6) ? 0 : strcspn(path + 6, "/");

	snprintf(group, size, "%.*s", (int)length, length ? path + 6 : "");
	*resource = strrchr(path, '/') + 1;
}

static void log_forbidden(struct watch *watch, const char *said)
{
	char group[128], text[512];
	const char *resource;

	path_parts(watch->paths[watch->path], group, sizeof(group), &resource);
	snprintf(text, sizeof(text),
		 "its ServiceAccount needs a rule with verb %s, resource %s, API group \"%s\", as deploy/ has it (%s)",
		 watch->phase == WATCH_LISTING ? "list" : "watch", resource, group, said);
	log_trouble(watch, TROUBLE_FORBIDDEN, text);
}

/* ---- failures ---- */

static void watch_rest(struct watch *watch, uint64_t ms)
{
	transfer_stop(&watch->transfer);
	watch->phase = WATCH_RESTING;
	watch->task.due = clock_ms() + ms;
}

static void watch_back_off(struct watch *watch)
{
	watch_rest(watch, kube_back_off(watch->kube, &watch->backoff, clock_ms()));
}

static void forget_pages(struct watch *watch)
{
	json_decref(watch->items);
	free(watch->items_version);
	free(watch->next);
	watch->items = NULL;
	watch->items_version = watch->next = NULL;
	watch->pages = 0;
}

static void list_again(struct watch *watch)
{
	forget_pages(watch);
	watch->need_list = true;
}

static void history_expired(struct watch *watch)
{
	list_again(watch);
	if (!watch->expired) {
		watch->expired = true;
		watch_rest(watch, 0);
		return;
	}
	watch->consistent = true;
	watch_back_off(watch);
}

/* The token was refused. When the file has a newer one meanwhile, just use that. */
static void unauthorized(struct watch *watch, const char *said)
{
	struct credentials *credentials = &watch->kube->transport.credentials;

	credentials_refresh(credentials, clock_ms(), true);
	if (credentials->generation != watch->transfer.generation) {
		watch_rest(watch, 0);
		return;
	}
	char text[384];
	snprintf(text, sizeof(text), "the API server refuses the token (%s)", said);
	log_trouble(watch, TROUBLE_UNAUTHORIZED, text);
	watch_back_off(watch);
}

/* It is not for us. That may change, with an upgrade or another role. */
static void optional_denied(struct watch *watch, const char *said)
{
	log_line(LOG_DEBUG, "%s are not followed: %s", watch->what, said);
	list_again(watch);
	watch->denied = true;
	watch_rest(watch, WATCH_OPTIONAL_MS + kube_random(watch->kube, WATCH_OPTIONAL_MS));
}

static void watch_not_found(struct watch *watch)
{
	list_again(watch);
	if (watch->paths[1] && watch->path == 0) {
		watch->path = 1;
		watch_rest(watch, 0);
		return;
	}
	watch->path = 0;
	if (watch->optional) {
		optional_denied(watch, "the API server has no such resource");
		return;
	}
	log_trouble(watch, TROUBLE_NOT_FOUND, "the API server has no such resource");
	watch_back_off(watch);
}

/* 504: this server's cache has not reached our version yet (it was restarted, or restored from a backup). */
static bool is_version_too_large(const json_t *status)
{
	const json_t *causes = json_object_get(json_object_get(status, "details"), "causes"), *cause;
	size_t i;

	json_array_foreach(causes, i, cause)
	{
		if (!strcmp(json_text(cause, "reason"), "ResourceVersionTooLarge"))
			return true;
	}
	return strstr(json_text(status, "message"), "Too large resource version");
}

static void other_status(struct watch *watch, long status, const json_t *answer, const char *said)
{
	if (watch->phase == WATCH_LISTING) {
		list_again(watch);
		watch->consistent = watch->consistent || is_version_too_large(answer);
	} else if (++watch->stream_failures >= MAX_STREAM_FAILURES) {
		list_again(watch);
	}
	char text[384];
	snprintf(text, sizeof(text), "the API server answers %ld (%s)", status, said);
	log_trouble(watch, TROUBLE_STATUS, text);
	watch_back_off(watch);
}

static void server_is_busy(struct watch *watch, unsigned retry_ms)
{
	if (watch->phase == WATCH_LISTING)
		list_again(watch);
	if (++watch->refusals >= MAX_REFUSALS)
		log_trouble(watch, TROUBLE_STATUS, "the API server is busy and asks us to come back later");
	watch_back_off(watch);
	/* A random part, so that not all its clients come back at the same instant. */
	uint64_t due = clock_ms() + retry_ms + kube_random(watch->kube, watch->kube->backoff_ms);
	if (watch->task.due < due)
		watch->task.due = due;
}

/* `answer` is a Status or NULL; `said` is its text for people. */
static void failed_status(struct watch *watch, long status, unsigned retry_ms, const json_t *answer, const char *said)
{
	if (status == 401)
		unauthorized(watch, said);
	else if (status == 404)
		watch_not_found(watch);
	else if (status == 410)
		history_expired(watch);
	else if (status == 429 || retry_ms)
		server_is_busy(watch, retry_ms);
	else if (status == 403 && watch->optional)
		optional_denied(watch, said);
	else if (status == 403) {
		log_forbidden(watch, said);
		watch_back_off(watch);
	} else {
		other_status(watch, status, answer, said);
	}
}

/* What the server sent cannot be used: start over with a list. */
static void unusable_answer(struct watch *watch, int error, const char *part)
{
	char text[128];

	watch->counters.errors++;
	list_again(watch);
	if (error == -EMSGSIZE) {
		snprintf(text, sizeof(text), "%s is too large", part);
		log_trouble(watch, TROUBLE_TOO_LARGE, text);
	} else if (error != -ENOMEM) {
		snprintf(text, sizeof(text), "%s is not what an API server sends", part);
		log_trouble(watch, TROUBLE_UNUSABLE, text);
	}
	watch_back_off(watch);
}

/* ---- lists ---- */

static void watch_finish_list(struct watch *watch)
{
	json_t *items = watch->items;

	free(watch->version);
	watch->version = watch->items_version;
	watch->items = NULL;
	watch->items_version = NULL;
	forget_pages(watch);
	watch->need_list = watch->consistent = false;
	watch->stream_failures = 0;
	watch->synced = true;
	watch->counters.lists++;
	watch->counters.objects = (unsigned)json_array_size(items);
	watch->counters.last_news_ms = clock_ms();
	watch_rest(watch, 0);
	watch->callbacks.replace(watch->context, items);
	json_decref(items);
}

/* Moves what it needs out of the page. 0, -ENOMEM, -EMSGSIZE, or -EBADMSG. */
static int add_page(struct watch *watch, struct page *page)
{
	if (++watch->pages > MAX_PAGES)
		return -EBADMSG;
	if (json_array_size(watch->items) + json_array_size(page->items) > watch->max_objects)
		return -EMSGSIZE;
	if (!watch->items) {
		watch->items = json_incref(page->items);
		watch->items_version = page->version;
		page->version = NULL;
	} else if (json_array_extend(watch->items, page->items)) {
		return -ENOMEM;
	}
	free(watch->next);
	watch->next = page->next;
	page->next = NULL;
	return 0;
}

static void list_ended(struct watch *watch)
{
	const struct buffer *in = &watch->transfer.in;
	struct page page = {0};
	const char *bytes = buffer_bytes(in);

	int error = page_decode(bytes ? bytes : "", buffer_length(in), &page);
	buffer_free(&watch->transfer.in);
	if (!error)
		error = add_page(watch, &page);
	page_free(&page);
	if (error)
		unusable_answer(watch, error, "the list");
	else if (watch->next)
		watch_begin(watch);
	else
		watch_finish_list(watch);
}

/* ---- streams ---- */

/* An ERROR event carries the status that the server could not send any more, as the stream had begun. */
static void stream_error(struct watch *watch, const json_t *status)
{
	const char *message = json_text(status, "message");
	long code = (long)json_integer_value(json_object_get(status, "code"));

	watch->counters.errors++;
	failed_status(watch, code, 0, status, *message ? message : "no reason given");
}

static int keep_version(struct watch *watch, const char *version)
{
	char *copy = strdup(version);

	if (!copy)
		return -ENOMEM;
	free(watch->version);
	watch->version = copy;
	return 0;
}

static void deliver_event(struct watch *watch, const struct event *event)
{
	if (event->kind == EVENT_BOOKMARK) {
		watch->counters.bookmarks++;
		return;
	}
	watch->counters.events++;
	if (event->kind == EVENT_DELETED)
		watch->callbacks.deleted(watch->context, event->object);
	else
		watch->callbacks.changed(watch->context, event->object);
}

/* Returns whether the stream goes on. */
static bool stream_event(struct watch *watch, const struct event *event)
{
	if (event->kind == EVENT_ERROR) {
		stream_error(watch, event->object);
		return false;
	}
	if (event->kind == EVENT_UNKNOWN)
		return true;
	if (keep_version(watch, event->version)) {
		unusable_answer(watch, -ENOMEM, "an event");
		return false;
	}
	watch->stream_events++;
	watch->stream_failures = 0;
	watch->heard = watch->counters.last_news_ms = clock_ms();
	deliver_event(watch, event);
	return !watch->stopped;
}

/* All complete events that have arrived. Returns whether the stream goes on. */
static bool deliver_events(struct watch *watch)
{
	struct event event;
	int got;

	while ((got = event_next(&watch->reader, &watch->transfer.in, &event)) > 0) {
		bool more = stream_event(watch, &event);
		json_decref(event.object);
		if (!more)
			return false;
	}
	if (!got)
		return true;
	unusable_answer(watch, got, "an event");
	return false;
}

/* The stream has lasted SHORT_STREAM_MS: all is well. */
static void stream_lasts(struct watch *watch)
{
	watch->expired = false;
	watch->short_streams = watch->stream_failures = watch->refusals = 0;
	log_recovery(watch);
}

/* A connection that leads nowhere, most likely: the server says nothing at all. */
static void stream_is_unheard(struct watch *watch)
{
	watch->counters.errors++;
	watch->unheard = true;
	transfer_give_up(&watch->transfer, "a watch is not accepted");
	watch_back_off(watch);
}

static void stream_is_silent(struct watch *watch)
{
	log_line(LOG_DEBUG, "nothing is heard of %s, not even a bookmark: asking again", watch->what);
	watch->counters.silent++;
	watch_rest(watch, 0);
}

static void stream_accepted(struct watch *watch, uint64_t now)
{
	watch->accepted = watch->heard = now;
	watch->unheard = false;
	watch->task.due = now + SHORT_STREAM_MS;
}

static void stream_turn(struct watch *watch, uint64_t now)
{
	long status = transfer_status(&watch->transfer);
	if (!status && now >= watch->task.due)
		stream_is_unheard(watch);
	else if (status && status != 200)
		watch->task.due = KUBE_NEVER; /* the rest of its answer is on its way */
	if (status != 200)
		return;
	if (!watch->accepted)
		stream_accepted(watch, now);
	if (!deliver_events(watch) || now < watch->task.due)
		return;
	if (!watch->lasting)
		stream_lasts(watch);
	watch->lasting = true;
	watch->task.due = watch->heard + watch->patience;
	if (now >= watch->task.due)
		stream_is_silent(watch);
}

/* The server had accepted it; the reason of its end does not matter. */
static void stream_ended(struct watch *watch)
{
	if (watch->accepted && clock_ms() - watch->accepted >= SHORT_STREAM_MS) {
		stream_lasts(watch);
		watch_rest(watch, 0);
		return;
	}
	if (++watch->short_streams < MAX_SHORT_STREAMS && watch->stream_events) {
		watch_rest(watch, 0);
		return;
	}
	watch->counters.errors++;
	if (watch->short_streams >= MAX_SHORT_STREAMS)
		log_trouble(watch, TROUBLE_SHORT, "the API server ends the stream at once");
	watch_back_off(watch);
}

/* ---- transfers ---- */

static void transfer_failed(struct watch *watch, const struct transfer_end *end)
{
	watch->counters.errors++;
	if (!end->error) {
		failed_status(watch, end->status, end->retry_ms, end->answer, end->text);
		return;
	}
	if (watch->phase == WATCH_LISTING) {
		list_again(watch);
		if (end->error == -EMSGSIZE) {
			log_trouble(watch, TROUBLE_TOO_LARGE, "the list is too large; trying in pages");
			watch->consistent = true;
		}
	}
	watch_back_off(watch);
}

static void watch_free(struct watch *watch)
{
	transfer_stop(&watch->transfer);
	forget_pages(watch);
	free(watch->paths[0]);
	free(watch->paths[1]);
	free(watch->selectors);
	free(watch->what);
	free(watch->version);
	free(watch);
}

static void watch_leave_stream(struct watch *watch)
{
	watch->busy = false;
	if (watch->stopped)
		watch_free(watch);
}

static void transfer_ended(struct transfer *transfer, struct transfer_end *end)
{
	struct watch *watch = transfer->context;

	watch->busy = true;
	if (end->status == 200 && watch->phase == WATCH_STREAMING)
		stream_ended(watch);
	else if (end->status == 200 && !end->error)
		list_ended(watch);
	else
		transfer_failed(watch, end);
	json_decref(end->answer);
	watch_leave_stream(watch);
}

/* ---- requests ---- */

/* key=value, percent-encoded, after a '?' or '&'. */
static int add_parameter(struct buffer *path, const char *key, const char *value)
{
	char *encoded = curl_easy_escape(NULL, value, 0);
	const char *mark = memchr(buffer_bytes(path), '?', buffer_length(path)) ? "&" : "?";

	if (!encoded)
		return -ENOMEM;
	int error = buffer_append(path, mark, 1);
	if (!error)
		error = buffer_append(path, key, strlen(key));
	if (!error)
		error = buffer_append(path, "=", 1);
	if (!error)
		error = buffer_append(path, encoded, strlen(encoded));
	curl_free(encoded);
	return error;
}

static int add_number(struct buffer *path, const char *key, unsigned number)
{
	char text[16];

	snprintf(text, sizeof(text), "%u", number);
	return add_parameter(path, key, text);
}

/* With a limit, a version other than 0 would mean exactly that version, which etcd may have compacted. */
static int add_list(const struct watch *watch, struct buffer *path)
{
	int error = 0;

	if (watch->next)
		error = add_parameter(path, "continue", watch->next);
	else if (!watch->consistent)
		error = add_parameter(path, "resourceVersion", watch->version ? watch->version : "0");
	if (!error && (watch->next || watch->consistent || !watch->version))
		error = add_number(path, "limit", WATCH_PAGE);
	return error;
}

static int add_stream(struct watch *watch, struct buffer *path, unsigned seconds)
{
	int error = add_parameter(path, "watch", "1");

	if (!error)
		error = add_parameter(path, "allowWatchBookmarks", "true");
	if (!error)
		error = add_number(path, "timeoutSeconds", seconds);
	if (!error)
		error = add_parameter(path, "resourceVersion", watch->version);
	return error;
}

static int build_path(struct watch *watch, struct buffer *path, unsigned seconds)
{
	const char *base = watch->paths[watch->path];
	int error = buffer_append(path, base, strlen(base));

	if (!error)
		error = watch->phase == WATCH_LISTING ? add_list(watch, path) : add_stream(watch, path, seconds);
	if (!error)
		error = buffer_append(path, watch->selectors, strlen(watch->selectors) + 1);
	return error;
}

static unsigned pick_seconds(struct watch *watch)
{
	if (watch->stream_seconds)
		return watch->stream_seconds;
	return WATCH_MIN_SECONDS + (unsigned)kube_random(watch->kube, WATCH_MAX_SECONDS - WATCH_MIN_SECONDS + 1);
}

static void watch_prepare(struct watch *watch)
{
	watch->phase = watch->need_list ? WATCH_LISTING : WATCH_STREAMING;
	watch->task.due = KUBE_NEVER;
	watch->transfer.max = watch->need_list ? WATCH_MAX_PAGE : watch->max_line + READ_AHEAD;
	if (watch->need_list)
		return;
	watch->reader = (struct event_reader){.max_line = watch->max_line};
	watch->accepted = watch->stream_events = 0;
	watch->lasting = false;
	watch->patience = watch->idle_ms + kube_random(watch->kube, watch->idle_ms / 4 + 1);
	watch->task.due = clock_ms() + watch->accept_ms;
	watch->counters.restarts += watch->streamed;
	watch->streamed = true;
}

static void watch_begin(struct watch *watch)
{
	struct buffer path = {0};
	unsigned seconds = pick_seconds(watch);

	watch_prepare(watch);
	int error = build_path(watch, &path, seconds);
	if (!error) {
		struct transfer_request request = {.method = "GET", .path = buffer_bytes(&path)};
		request.timeout_ms = watch->need_list ? LIST_TIMEOUT_MS : (seconds + WATCH_GRACE_SECONDS) * 1000;
		request.idle_seconds = watch->need_list ? LIST_IDLE_SECONDS : 0;
		request.fresh = !watch->need_list && watch->unheard;
		error = transfer_start(&watch->kube->transport, &watch->transfer, &request, clock_ms());
	}
	buffer_free(&path);
	if (!error)
		return;
	watch->counters.errors++;
	if (watch->need_list)
		forget_pages(watch);
	watch_back_off(watch);
}

/* ---- the interface ---- */

static void watch_turn(struct kube_task *task, uint64_t now)
{
	struct watch *watch = (struct watch *)task;

	watch->busy = true;
	if (watch->phase == WATCH_STREAMING)
		stream_turn(watch, now);
	else if (watch->phase == WATCH_RESTING && now >= task->due)
		watch_begin(watch);
	watch_leave_stream(watch);
}

static int encode_selectors(const struct watch_config *config, char **out)
{
	struct buffer text = {0};
	int error = buffer_append(&text, "?", 1); /* so that the first selector begins with '&', too */

	if (!error && config->field_selector && *config->field_selector)
		error = add_parameter(&text, "fieldSelector", config->field_selector);
	if (!error && config->label_selector && *config->label_selector)
		error = add_parameter(&text, "labelSelector", config->label_selector);
	if (!error)
		error = buffer_append(&text, "", 1);
	if (!error)
		*out = strdup(buffer_bytes(&text) + 1);
	buffer_free(&text);
	return error || !*out ? -ENOMEM : 0;
}

static bool is_path(const char *path)
{
	return path && *path == '/' && path[strlen(path) - 1] != '/' && !strpbrk(path, "?# ");
}

static int copy_strings(struct watch *watch, const struct watch_config *config)
{
	watch->paths[0] = strdup(config->paths[0]);
	watch->what = strdup(config->what ? config->what : config->paths[0]);
	if (config->paths[1])
		watch->paths[1] = strdup(config->paths[1]);
	if (!watch->paths[0] || !watch->what || (config->paths[1] && !watch->paths[1]))
		return -ENOMEM;
	return encode_selectors(config, &watch->selectors);
}

int watch_start(struct kube *kube, const struct watch_config *config, struct watch **out, struct failure *why)
{
	if (!is_path(config->paths[0]) || (config->paths[1] && !is_path(config->paths[1])))
		return fail(why, -EINVAL, "paths", "a collection's path is like /api/v1/pods");
	struct watch *watch = calloc(1, sizeof(*watch));
	if (!watch)
		return fail(why, -ENOMEM, NULL, "out of memory");
	if (copy_strings(watch, config)) {
		watch_free(watch);
		return fail(why, -ENOMEM, NULL, "out of memory");
	}
	watch->kube = kube;
	watch->callbacks = config->callbacks;
	watch->context = config->context;
	watch->max_objects = config->max_objects ? config->max_objects : WATCH_MAX_OBJECTS;
	watch->max_line = config->max_line ? config->max_line : WATCH_MAX_LINE;
	watch->stream_seconds = config->stream_seconds;
	watch->idle_ms = config->idle_ms ? config->idle_ms : WATCH_IDLE_MS;
	watch->accept_ms = config->accept_ms ? config->accept_ms : WATCH_ACCEPT_MS;
	watch->optional = config->optional;
	watch->need_list = true;
	watch->transfer.done = transfer_ended;
	watch->transfer.context = watch;
	watch->task.turn = watch_turn;
	kube_add_task(kube, &watch->task);
	*out = watch;
	return 0;
}

void watch_stop(struct watch *watch)
{
	if (!watch || watch->stopped)
		return;
	kube_remove_task(watch->kube, &watch->task);
	watch->stopped = true;
	if (!watch->busy)
		watch_free(watch);
}

bool watch_synced(const struct watch *watch)
{
	return watch->synced;
}

bool watch_answered(const struct watch *watch)
{
	return watch->synced || watch->denied;
}

bool watch_live(const struct watch *watch)
{
	return watch->phase == WATCH_STREAMING && watch->accepted;
}

void watch_count(const struct watch *watch, struct watch_counters *out)
{
	*out = watch->counters;
}
