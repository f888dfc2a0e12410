/* SPDX-License-Identifier: Apache-2.0 */
/*
 * admit.h - a review's verdict: which gateway the pod gets, what it is given, or why it is refused
 *
 * From a review and what is known of the cluster to an answer, without network, clock or state.
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
	ADMIT_WARNED,    /* admitted as it is, although its gateway cannot be had */
	ADMIT_DENIED,
	ADMIT_VERDICTS
};

struct admission {
	enum admit_verdict verdict;
	/* What is missing may be here in a moment: an object that was made just before the pod. Ask again, or answer
	 * so. */
	bool may_change;
	struct choice choice;
	struct review_answer answer; /* points into this */
	json_t *patch, *warnings;
};

/* Decides. 0, or -ENOMEM; *out is to be freed after 0. */
int admit(const struct admit_context *context, const struct review *review, struct admission *out);

/* Accepts zeroes. */
void admission_free(struct admission *admission);

/* "untouched", "changed", "warned", "denied". */
const char *admit_verdict_name(enum admit_verdict verdict);

#endif
