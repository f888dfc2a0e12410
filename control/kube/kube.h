/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kube.h - the inside of struct kube, for api.c and watch.c
 *
 * A task is something that kube_turn() runs: a watch. In its turn it may remove itself and any other task.
 */
#ifndef PODSWITCH_KUBE_H
#define PODSWITCH_KUBE_H

#include "control/kube/api.h"
#include "control/kube/transport.h"
#include "tap/base/clock.h"

#define KUBE_NEVER UINT64_MAX

struct kube_task {
	struct kube_task *next;
	void (*turn)(struct kube_task *task, uint64_t now);
	uint64_t due; /* ms; kube_wait() returns by then. `turn` is called in every kube_turn() */
};

struct kube_pending; /* a request, waiting or in flight */

struct kube {
	struct transport transport;
	struct kube_task *tasks, *next_task; /* next_task: of the present kube_turn() */
	struct kube_pending *waiting, **last_waiting, *flying;
	struct kube_counters counters;
	unsigned backoff_ms, backoff_max_ms, backoff_reset_ms;
	uint64_t random;
	bool closing;
};

void kube_add_task(struct kube *kube, struct kube_task *task);
void kube_remove_task(struct kube *kube, struct kube_task *task);

/* A random number below `bound`, which must not be 0. */
uint64_t kube_random(struct kube *kube, uint64_t bound);

struct kube_backoff {
	unsigned ms;   /* the next wait, without its random part */
	uint64_t last; /* when the last one began */
};

/* How long to wait after a failure at `now`, in ms. */
uint64_t kube_back_off(struct kube *kube, struct kube_backoff *backoff, uint64_t now);

/* Whether a failure at `now` would count as the first one. */
bool kube_backoff_is_over(const struct kube *kube, const struct kube_backoff *backoff, uint64_t now);

#endif
