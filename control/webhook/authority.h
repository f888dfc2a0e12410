/* SPDX-License-Identifier: Apache-2.0 */
/*
 * authority.h - a certificate for one server and an authority that has vouched for it and for nothing else
 *
 * The authority's key is forgotten at once: there is none that could be stolen, and each renewal makes another. By
 * GnuTLS, which libmicrohttpd is linked with. Any thread.
 */
#ifndef PODSWITCH_AUTHORITY_H
#define PODSWITCH_AUTHORITY_H

#include "tap/base/failure.h"

#include <stdbool.h>
#include <stdint.h>

/* PEM, to be freed by authority_free. */
struct authority {
	char *ca, *cert, *key;
};

struct authority_order {
	const char *const *names; /* DNS, NULL at the end; the first becomes the subject */
	int64_t now;              /* seconds since 1970 */
	unsigned days;            /* that the certificate is good for */
	unsigned renew_before;    /* days before its end from which it does not pass for good */
};

/* Makes all three; 0, or -EIO. Both begin an hour ago, as clocks differ. */
int authority_make(const struct authority_order *order, struct authority *out, struct failure *why);

/*
 * Whether these, any of which may be NULL or nonsense, are still good: the certificate is for all the names, vouched
 * for by the authority, of that key, and far enough from its end. 0, or -EINVAL with what is the matter.
 */
int authority_check(const struct authority_order *order, const struct authority *authority, struct failure *why);

/* Whether the text, or NULL, has certificates in PEM and nothing broken. */
bool authority_reads(const char *pem);

/* Accepts zeroes. */
void authority_free(struct authority *authority);

#endif
