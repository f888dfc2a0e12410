/* SPDX-License-Identifier: Apache-2.0 */
/*
 * keypair.h - the server's certificate and key, reloaded when their files change
 *
 * A pair that does not match is not used, and the one in force stays. One thread.
 */
#ifndef PODSWITCH_KEYPAIR_H
#define PODSWITCH_KEYPAIR_H

#include "tap/base/failure.h"

#include <gnutls/abstract.h>
#include <stdbool.h>
#include <stdint.h>

struct keypair;

/* Reads both (PEM); the certificate may be followed by those of its issuers. 0, or a negative errno. */
int keypair_open(const char *cert_file, const char *key_file, struct keypair **out, struct failure *why);
void keypair_close(struct keypair *keypair);

/* Call it regularly: reloads changed files. Returns whether a new pair is in force. `now` in ms. */
bool keypair_refresh(struct keypair *keypair, uint64_t now);

/* When the certificate in force expires, in seconds since 1970. */
int64_t keypair_expires(const struct keypair *keypair);

/* For MHD_OPTION_HTTPS_CERT_CALLBACK, which has no context: the pair that was opened last. */
int keypair_retrieve(gnutls_session_t session, const gnutls_datum_t *issuers, int n_issuers,
		     const gnutls_pk_algorithm_t *algorithms, int n_algorithms, gnutls_pcert_st **certs,
		     unsigned *n_certs, gnutls_privkey_t *key);

#endif
