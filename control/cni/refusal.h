/* SPDX-License-Identifier: Apache-2.0 */
/*
 * refusal.h - why a CNI command was refused, as CNI wants it said; and the versions of CNI that we speak
 *
 * Any thread.
 */
#ifndef PODSWITCH_REFUSAL_H
#define PODSWITCH_REFUSAL_H

/* In the order of their age; CNI_VERSIONS is their number and, as a version, stands for one that is not known. */
enum cni_version { CNI_0_3_1, CNI_0_4_0, CNI_1_0_0, CNI_1_1_0, CNI_VERSIONS };

extern const char *const cni_versions[CNI_VERSIONS];

/* The codes of the CNI specification, and from 100 on our own. */
enum cni_code {
	CNI_BAD_VERSION = 1,
	CNI_BAD_ENVIRONMENT = 4,
	CNI_IO = 5,
	CNI_UNDECODABLE = 6,
	CNI_BAD_CONFIG = 7,
	CNI_TRY_AGAIN = 11,
	CNI_UNAVAILABLE = 50,
	CNI_REFUSED = 100, /* the pod may not have the gateway that it asks for */
	CNI_FAILED = 101,  /* the agent tried and failed, or answers what we do not understand */
	CNI_CHECKED = 102, /* CHECK has found something missing */
};

struct refusal {
	enum cni_code code;
	char text[640];    /* one line: what is wrong and what to change */
	char details[320]; /* one line: what lies behind it, or "" */
};

/* Fills `why` and returns `code`, so that callers write `return refuse(why, CNI_BAD_CONFIG, "...")`. */
enum cni_code refuse(struct refusal *why, enum cni_code code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Adds what lies behind a refusal. */
void refuse_details(struct refusal *why, const char *details);

#endif
