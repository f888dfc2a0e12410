/* SPDX-License-Identifier: Apache-2.0 */
/*
 * authority.h - a certificate for one server, and the authority that signed it and nothing else
 *
 * The authority's key is dropped at once, so it cannot be stolen; each renewal makes another authority. With GnuTLS,
 * which libmicrohttpd uses anyway. Any thread.
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
	unsigned days;            /* the certificate's validity */
	unsigned renew_before;    /* days before its end, from which on it counts as expired */
};

/* Makes all three; 0, or -EIO. They are valid from an hour ago, since clocks differ. */
int authority_make(const struct authority_order *order, struct authority *out, struct failure *why);

/*
 * Checks that the certificate is for all the names, signed by the authority, of that key, and far enough from its end.
 * Each of the three may be NULL or garbage. 0, or -EINVAL with the reason.
 */
int authority_check(const struct authority_order *order, const struct authority *authority, struct failure *why);

/* Whether the text (may be NULL) has PEM certificates, all of them readable. */
bool authority_reads(const char *pem);

/* Accepts zeroes. */
void authority_free(struct authority *authority);

#endif
