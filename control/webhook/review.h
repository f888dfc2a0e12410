/* SPDX-License-Identifier: Apache-2.0 */
/*
 * review.h - an AdmissionReview: what the API server asks, and the answer in its terms
 *
 * Versions v1 and v1beta1 of admission.k8s.io, which do not differ in anything used here. No network, no clock. Any
 * thread.
 */
#ifndef PODSWITCH_REVIEW_H
#define PODSWITCH_REVIEW_H

#include "tap/base/failure.h"

#include <jansson.h>
#include <stdbool.h>

#define REVIEW_MAX (6u << 20)    /* bytes; the API server takes objects of 3 MB */
#define REVIEW_MAX_VALUES 500000 /* JSON values: a parsed one takes up to a hundred times the memory of its text */

struct review {
	json_t *root;
	const char *version; /* apiVersion, which the answer has to repeat */
	const char *uid;
	const char *namespace; /* "" when there is none */
	const json_t *pod;     /* NULL: not about a new pod, so there is nothing to decide */
	bool dry_run;
};

/*
 * Reads the `length` bytes of a request. 0, then *out needs review_free(); -EINVAL (not a review), -EMSGSIZE (over the
 * limits), or -ENOMEM.
 */
int review_read(const char *bytes, size_t length, struct review *out, struct failure *why);

/* Accepts zeroes. */
void review_free(struct review *review);

struct review_answer {
	bool denied;
	int code;           /* of a denial, as an HTTP status */
	const char *reason; /* as the API's Status has it: "Forbidden", "BadRequest" */
	const char *message;
	const json_t *patch;    /* JSON Patch; NULL or empty: none */
	const json_t *warnings; /* array of strings for the user; NULL or empty: none */
};

/* The answer as a text to free; NULL without memory. */
char *review_answer(const struct review *review, const struct review_answer *answer);

#endif
