/* SPDX-License-Identifier: Apache-2.0 */
/*
 * admit.h - the decision on one review: which gateway the pod gets and what goes into it, or why it is refused
 *
 * From a review and the known state of the cluster to an answer, without network, clock or state. Any thread.
 */
#ifndef PODSWITCH_ADMIT_H
#define PODSWITCH_ADMIT_H

#include "control/kube/choose.h"
#include "control/webhook/profile.h"
#include "control/webhook/review.h"

struct admit_context {
	const struct choose_policy *policy;
	const struct profiles *profiles;
	const json_t *cluster_dns; /* array of addresses; NULL: not known */
	/* The v1 Namespace; NULL: not seen yet. */
	const json_t *(*namespace)(const char *name, void *context);
	choose_lookup *lookup;
	void *context; /* of both */
};

enum admit_verdict {
	ADMIT_UNTOUCHED, /* admitted as it is */
	ADMIT_CHANGED,   /* admitted with a patch */
	ADMIT_WARNED,    /* admitted as it is, with a warning: there is no such gateway for it */
	ADMIT_DENIED,
	ADMIT_VERDICTS
};

struct admission {
	enum admit_verdict verdict;
	/* The missing object may be on its way, created just before the pod: decide again, or send this answer. */
	bool may_change;
	struct choice choice;
	struct review_answer answer; /* points into this */
	json_t *patch, *warnings;
};

/* 0, then *out needs admission_free(); or -ENOMEM. */
int admit(const struct admit_context *context, const struct review *review, struct admission *out);

/* Accepts zeroes. */
void admission_free(struct admission *admission);

/* "untouched", "changed", "warned", "denied". */
const char *admit_verdict_name(enum admit_verdict verdict);

#endif
