/* SPDX-License-Identifier: Apache-2.0 */
/*
 * watch.h - following a collection of Kubernetes objects, as client-go's reflector does
 *
 * The caller keeps the store; a watch keeps it current: first a complete list (`replace`), then each change. Whatever
 * goes wrong (the server is away, the history expired, garbage in the stream), nothing leaves the store before the
 * server says so: by a `deleted`, or by a complete list without it.
 *
 * Everything happens in kube_turn(), in the thread that calls it.
 */
#ifndef PODSWITCH_WATCH_H
#define PODSWITCH_WATCH_H

#include "control/kube/api.h"

#define WATCH_MAX_LINE (8ul << 20)  /* bytes of one event; etcd takes objects of 1.5 MB */
#define WATCH_MAX_PAGE (64ul << 20) /* bytes of one page of a list */
#define WATCH_MAX_OBJECTS 100000u   /* in one list */
#define WATCH_PAGE 500              /* objects per page, where the server pages at all */
#define WATCH_MIN_SECONDS 300       /* each stream is asked to end after a random time between these two */
#define WATCH_MAX_SECONDS 600
#define WATCH_IDLE_MS 80000   /* a stream without a word for so long, and up to a quarter more, is made anew */
#define WATCH_ACCEPT_MS 20000 /* the server has this long to accept a stream; it may have to queue it */
#define WATCH_OPTIONAL_MS                                                                                              \
	300000                 /* an optional collection that was refused is asked for again after this, or twice it */
#define WATCH_GRACE_SECONDS 30 /* after which we end a stream that should have ended */

struct watch;

/*
 * Objects are borrowed; keep them with json_incref() or a copy. They are JSON objects with a string metadata.name and
 * without metadata.managedFields (items of a list have neither kind nor apiVersion: Kubernetes omits them). Everything
 * else is unchecked; strings may hold NUL. Callbacks may start requests and watches, and may stop this watch and
 * others. None may be NULL.
 */
struct watch_callbacks {
	/* The complete collection (JSON array): what is not in it is gone. Called after each list. */
	void (*replace)(void *context, json_t *items);
	/* One object is new or changed; may repeat a known state. */
	void (*changed)(void *context, json_t *object);
	/* One object is gone; `object` is its last state. */
	void (*deleted)(void *context, json_t *object);
};

struct watch_config {
	/* The collection, preferred version first: "/apis/discovery.k8s.io/v1/endpointslices", then ".../v1beta1/...",
	   which is used when the server does not know the first. The second may be NULL. No query. */
	const char *paths[2];
	const char *field_selector; /* "spec.nodeName=n1", not encoded; NULL or "": all */
	const char *label_selector;
	const char *what; /* plural, for the log: "pods of this node" */
	bool optional;    /* not every server has it, and not everybody may read it: that is no trouble */
	struct watch_callbacks callbacks;
	void *context;

	/* Zero: the limits above. For tests. */
	unsigned max_objects;
	size_t max_line;
	unsigned stream_seconds; /* timeoutSeconds of each stream */
	unsigned idle_ms, accept_ms;
};

/* Copies the strings. The next kube_turn() requests the first list. 0, -EINVAL ("paths"), or -ENOMEM. */
int watch_start(struct kube *kube, const struct watch_config *config, struct watch **out, struct failure *why);

/* No callback comes after this. May be called from a callback. NULL is accepted. */
void watch_stop(struct watch *watch);

/* Whether a complete list has ever arrived. Stays true through outages. */
bool watch_synced(const struct watch *watch);

/* Whether a list has arrived, or the server has said that it has none for us (`optional`). Stays true. */
bool watch_answered(const struct watch *watch);

/* Whether changes arrive right now: a stream is open and the server has accepted it. */
bool watch_live(const struct watch *watch);

struct watch_counters {
	uint64_t lists;        /* complete lists delivered */
	uint64_t events;       /* changes delivered */
	uint64_t bookmarks;    /* received */
	uint64_t errors;       /* failed tries, of any kind */
	uint64_t restarts;     /* streams opened after the first */
	uint64_t silent;       /* of these, after one that was given up as nothing had come for WATCH_IDLE_MS */
	uint64_t last_news_ms; /* CLOCK_MONOTONIC of the last list, change or bookmark; 0: none yet */
	unsigned objects;      /* in the last complete list */
};
void watch_count(const struct watch *watch, struct watch_counters *out);

#endif
