/* SPDX-License-Identifier: Apache-2.0 */
/*
 * watch.h - following a collection of Kubernetes objects, as client-go's reflector does
 *
 * The caller keeps the store; a watch keeps it right: a complete list first (`replace`), then each change. Through
 * everything that can go wrong (the server away, a history that has expired, nonsense in the stream) nothing is taken
 * from the store until the server has said so: by a `deleted`, or by a complete list that lacks it.
 *
 * Everything happens in kube_turn, in the thread that calls it.
 */
#ifndef PODSWITCH_WATCH_H
#define PODSWITCH_WATCH_H

#include "control/kube/api.h"

#define WATCH_MAX_LINE (8ul << 20)  /* bytes of one event; etcd takes objects of 1.5 MB */
#define WATCH_MAX_PAGE (64ul << 20) /* bytes of one page of a list */
#define WATCH_MAX_OBJECTS 100000u   /* in one list */
#define WATCH_PAGE 500              /* objects a page, where the server pages at all */
#define WATCH_MIN_SECONDS 300       /* each stream is asked to end after a random time of these */
#define WATCH_MAX_SECONDS 600
#define WATCH_GRACE_SECONDS 30 /* and is given up this long after it should have ended */

struct watch;

/*
 * Objects are borrowed: what is to be kept needs json_incref or a copy. They are whole but for metadata.managedFields
 * (items of a list have neither kind nor apiVersion: Kubernetes leaves them out), are JSON objects, and have a
 * metadata.name that is a string; everything else is as foreign as it came, strings may hold NUL. Callbacks may start
 * requests and watches and may stop this watch and others. None may be NULL.
 */
struct watch_callbacks {
	/* The complete collection (JSON array): what is not in it is gone. Again after each relist. */
	void (*replace)(void *context, json_t *items);
	/* One object is new or changed; may repeat what is known. */
	void (*changed)(void *context, json_t *object);
	/* One object is gone; `object` is its last state. */
	void (*deleted)(void *context, json_t *object);
};

struct watch_config {
	/* The collection, preferred version first: "/apis/discovery.k8s.io/v1/endpointslices", then ".../v1beta1/...",
	   which is taken when the server has no such path as the first. The second may be NULL. No query. */
	const char *paths[2];
	const char *field_selector; /* "spec.nodeName=n1", not encoded; NULL or "": all */
	const char *label_selector;
	const char *what; /* plural, for the log: "pods of this node" */
	struct watch_callbacks callbacks;
	void *context;

	/* Zero: the limits above. For tests. */
	unsigned max_objects;
	size_t max_line;
	unsigned stream_seconds; /* timeoutSeconds of each stream */
};

/* Strings are copied. The first list is asked for by the next kube_turn. 0, -EINVAL ("paths"), or -ENOMEM. */
int watch_start(struct kube *kube, const struct watch_config *config, struct watch **out, struct failure *why);

/* No callback comes after this. NULL is accepted. From a callback: yes. */
void watch_stop(struct watch *watch);

/* Whether a complete list has ever arrived. Stays true through outages. */
bool watch_synced(const struct watch *watch);

/* Whether changes are being heard right now: a stream is open and the server has accepted it. */
bool watch_live(const struct watch *watch);

struct watch_counters {
	uint64_t lists;        /* complete lists handed on */
	uint64_t events;       /* changes handed on */
	uint64_t bookmarks;    /* taken note of */
	uint64_t errors;       /* tries that failed, whatever the reason */
	uint64_t restarts;     /* streams opened after the first */
	uint64_t last_news_ms; /* CLOCK_MONOTONIC of the last list, change or bookmark; 0: none yet */
	unsigned objects;      /* in the last complete list */
};
void watch_count(const struct watch *watch, struct watch_counters *out);

#endif
