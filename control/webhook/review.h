/* SPDX-License-Identifier: Apache-2.0 */
/*
 * review.h - an AdmissionReview: what the API server asks, and the answer it understands
 *
 * Of admission.k8s.io/v1 and v1beta1, which differ in nothing that is used here. No network, no clock. Any thread.
 */
#ifndef PODSWITCH_REVIEW_H
#define PODSWITCH_REVIEW_H

#include "tap/base/failure.h"

#include <jansson.h>
#include <stdbool.h>

#define REVIEW_MAX (6u << 20)    /* bytes; the API server takes objects of 3 MB */
#define REVIEW_MAX_VALUES 500000 /* JSON values in it: parsed, each takes up to a hundred times its text's memory */

struct review {
	json_t *root;
	const char *version; /* of the API, as the answer has to repeat it */
	const char *uid;
	const char *namespace; /* "" when there is none */
	const json_t *pod;     /* NULL: this is not about a pod that is to be made, and no concern of ours */
	bool dry_run;
};

/*
 * Reads the `length` bytes of a request. 0, -EINVAL for what is no review, -EMSGSIZE for one beyond the limits,
 * -ENOMEM; *out is to be freed after 0 only.
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
