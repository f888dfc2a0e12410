/* SPDX-License-Identifier: Apache-2.0 */
/*
 * refusal.h - why a CNI command was refused, in CNI's terms; and the versions of CNI that we speak
 *
 * Any thread.
 */
#ifndef PODSWITCH_REFUSAL_H
#define PODSWITCH_REFUSAL_H

/* Oldest first. CNI_VERSIONS is their number; as a version it means "not known". */
enum cni_version { CNI_0_3_1, CNI_0_4_0, CNI_1_0_0, CNI_1_1_0, CNI_VERSIONS };

extern const char *const cni_versions[CNI_VERSIONS];

/* The error codes of the CNI specification; ours start at 100. */
enum cni_code {
	CNI_BAD_VERSION = 1,
	CNI_BAD_ENVIRONMENT = 4,
	CNI_IO = 5,
	CNI_UNDECODABLE = 6,
	CNI_BAD_CONFIG = 7,
	CNI_TRY_AGAIN = 11,
	CNI_UNAVAILABLE = 50,
	CNI_REFUSED = 100, /* the pod may not use the gateway it asks for */
	CNI_FAILED = 101,  /* the agent tried and failed, or we do not understand its answer */
	CNI_CHECKED = 102, /* CHECK found something missing */
};

struct refusal {
	enum cni_code code;
	char text[640];    /* one line: what is wrong and what to change */
	char details[320]; /* one line: the underlying error, or "" */
};

/* Fills `why` and returns `code`, so that callers write `return refuse(why, CNI_BAD_CONFIG, "...")`. */
enum cni_code refuse(struct refusal *why, enum cni_code code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Adds the underlying error. */
void refuse_details(struct refusal *why, const char *details);

#endif
