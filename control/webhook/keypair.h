/* SPDX-License-Identifier: Apache-2.0 */
/*
 * keypair.h - the server's certificate and key, read again when their files change
 *
 * The kubelet exchanges the files of a Secret as one, but two reads may still see an old one and a new one: a pair that
 * does not fit together is not taken, and what was in force stays. One thread.
 */
#ifndef PODSWITCH_KEYPAIR_H
#define PODSWITCH_KEYPAIR_H

#include "tap/base/failure.h"

#include <gnutls/abstract.h>
#include <stdbool.h>
#include <stdint.h>

struct keypair;

/* Reads both, PEM; the certificate's file may have those of its issuers behind it. 0, or a negative errno. */
int keypair_open(const char *cert_file, const char *key_file, struct keypair **out, struct failure *why);
void keypair_close(struct keypair *keypair);

/* Looks at the files; whether another pair is in force now. To be called every now and then. `now` in ms. */
bool keypair_refresh(struct keypair *keypair, uint64_t now);

/* When the certificate in force ends, in seconds since 1970. */
int64_t keypair_expires(const struct keypair *keypair);

/* For MHD_OPTION_HTTPS_CERT_CALLBACK, which knows no context: the pair that was opened last. */
int keypair_retrieve(gnutls_session_t session, const gnutls_datum_t *issuers, int n_issuers,
		     const gnutls_pk_algorithm_t *algorithms, int n_algorithms, gnutls_pcert_st **certs,
		     unsigned *n_certs, gnutls_privkey_t *key);

#endif
