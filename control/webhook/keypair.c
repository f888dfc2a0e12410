/* SPDX-License-Identifier: Apache-2.0 */
/*
 * keypair.c - the server's certificate and key, reloaded when their files change
 *
 *   files --keypair_refresh--> pair in force --a newer one--> retired --RETIRED_FOR--> freed
 *                 `-- unreadable, or the key is of another certificate: logged once, retried every time
 *
 * A TLS handshake keeps using the pair it was given, and may last SERVER_SLOW (server.h), so a retired pair is kept
 * longer than that. Two reads may see half an exchange of the Secret's files: such a pair does not match and is not
 * used.
 *
 * One thread. libmicrohttpd's callback has no context, so a process has one pair of files: `served`.
 */
#include "control/webhook/keypair.h"
#include "tap/base/file.h"
#include "tap/base/log.h"

#include <gnutls/x509.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define MAX_CHAIN 8
#define RETIRED_FOR 60000 /* ms */

struct pair {
	struct pair *next; /* the one it replaced */
	gnutls_pcert_st certs[MAX_CHAIN];
	unsigned n_certs;
	gnutls_privkey_t key;
	int64_t expires;
	uint64_t retired; /* ms; when it was replaced */
};

struct keypair {
	char *cert_file, *key_file;
	struct stat seen[2];
	struct pair *in_force;
	bool complained;
};

static const struct keypair *served;

/* ---- a pair ---- */

static void pair_free(struct pair *pair)
{
	for (unsigned i = 0; i < pair->n_certs; i++)
		gnutls_pcert_deinit(&pair->certs[i]);
	if (pair->key)
		gnutls_privkey_deinit(pair->key);
	free(pair);
}

static int load_file(const char *path, gnutls_datum_t *out, struct failure *why)
{
	int error = gnutls_load_file(path, out);
	return error ? fail(why, -ENOENT, NULL, "%.180s: cannot be read", path) : 0;
}

static int read_certs(const char *path, struct pair *pair, struct failure *why)
{
	gnutls_datum_t pem;
	unsigned n = MAX_CHAIN;
	int error = load_file(path, &pem, why);
	if (error)
		return error;
	error = gnutls_pcert_list_import_x509_raw(pair->certs, &n, &pem, GNUTLS_X509_FMT_PEM, 0);
	gnutls_free(pem.data);
	if (error)
		return fail(why, -EINVAL, NULL, "%.120s: no certificate in PEM: %s", path, gnutls_strerror(error));
	pair->n_certs = n;
	return 0;
}

static int read_key(const char *path, struct pair *pair, struct failure *why)
{
	gnutls_datum_t pem;
	int error = load_file(path, &pem, why);
	if (error)
		return error;
	error = gnutls_privkey_init(&pair->key);
	if (!error)
		error = gnutls_privkey_import_x509_raw(pair->key, &pem, GNUTLS_X509_FMT_PEM, NULL, 0);
	gnutls_memset(pem.data, 0, pem.size);
	gnutls_free(pem.data);
	return error ? fail(why, -EINVAL, NULL, "%.120s: no private key in PEM: %s", path, gnutls_strerror(error)) : 0;
}

/* Whether the key is that of the first certificate. */
static bool keypair_matches(const struct pair *pair)
{
	unsigned char one[64], other[64];
	size_t one_size = sizeof(one), other_size = sizeof(other);
	gnutls_pubkey_t public;
	if (gnutls_pubkey_init(&public))
		return false;
	bool same = !gnutls_pubkey_import_privkey(public, pair->key, 0, 0) &&
		    !gnutls_pubkey_get_key_id(public, 0, one, &one_size) &&
		    !gnutls_pubkey_get_key_id(pair->certs[0].pubkey, 0, other, &other_size) && one_size == other_size &&
		    !memcmp(one, other, one_size);
	gnutls_pubkey_deinit(public);
	return same;
}

static int64_t expiry_of(const struct pair *pair)
{
	gnutls_x509_crt_t cert;
	int64_t expires = 0;
	if (gnutls_x509_crt_init(&cert))
		return 0;
	if (!gnutls_x509_crt_import(cert, &pair->certs[0].cert, GNUTLS_X509_FMT_DER))
		expires = gnutls_x509_crt_get_expiration_time(cert);
	gnutls_x509_crt_deinit(cert);
	return expires;
}

static int pair_load(const struct keypair *keypair, struct pair **out, struct failure *why)
{
	struct pair *pair = calloc(1, sizeof(*pair));
	if (!pair)
		return fail(why, -ENOMEM, NULL, "out of memory");
	int error = read_certs(keypair->cert_file, pair, why);
	if (!error)
		error = read_key(keypair->key_file, pair, why);
	if (!error && !keypair_matches(pair))
		error = fail(why, -EINVAL, NULL, "%.90s is not the key of the certificate %.90s", keypair->key_file,
			     keypair->cert_file);
	if (error) {
		pair_free(pair);
		return error;
	}
	pair->expires = expiry_of(pair);
	*out = pair;
	return 0;
}

/* ---- the files ---- */

/* Whether one of the files changed. When one is missing, the next call will see. */
static bool keypair_files_changed(struct keypair *keypair)
{
	struct stat now[2];
	if (stat(keypair->cert_file, &now[0]) || stat(keypair->key_file, &now[1]))
		return false;
	bool same = file_unchanged(&now[0], &keypair->seen[0]) && file_unchanged(&now[1], &keypair->seen[1]);
	memcpy(keypair->seen, now, sizeof(now));
	return !same;
}

int keypair_open(const char *cert_file, const char *key_file, struct keypair **out, struct failure *why)
{
	struct keypair *keypair = calloc(1, sizeof(*keypair));
	if (!keypair)
		return fail(why, -ENOMEM, NULL, "out of memory");
	keypair->cert_file = strdup(cert_file);
	keypair->key_file = strdup(key_file);
	if (!keypair->cert_file || !keypair->key_file) {
		keypair_close(keypair);
		return fail(why, -ENOMEM, NULL, "out of memory");
	}
	keypair_files_changed(keypair);
	int error = pair_load(keypair, &keypair->in_force, why);
	if (error) {
		keypair_close(keypair);
		return error;
	}
	served = keypair;
	*out = keypair;
	return 0;
}

void keypair_close(struct keypair *keypair)
{
	if (!keypair)
		return;
	if (served == keypair)
		served = NULL;
	for (struct pair *pair = keypair->in_force, *next; pair; pair = next) {
		next = pair->next;
		pair_free(pair);
	}
	free(keypair->cert_file);
	free(keypair->key_file);
	free(keypair);
}

static void forget_retired(struct keypair *keypair, uint64_t now)
{
	for (struct pair **at = &keypair->in_force->next; *at;) {
		struct pair *pair = *at;
		if (now - pair->retired < RETIRED_FOR) {
			at = &pair->next;
			continue;
		}
		*at = pair->next;
		pair_free(pair);
	}
}

bool keypair_refresh(struct keypair *keypair, uint64_t now)
{
	struct pair *fresh = NULL;
	struct failure why = {0};
	forget_retired(keypair, now);
	/* After a bad pair retry even without a change: a file may have been read while it was being exchanged. */
	if (!keypair_files_changed(keypair) && !keypair->complained)
		return false;
	if (pair_load(keypair, &fresh, &why) || !fresh) {
		if (!keypair->complained)
			log_line(LOG_WARNING, "%s; the previous certificate stays in force", why.text);
		keypair->complained = true;
		return false;
	}
	keypair->complained = false;
	keypair->in_force->retired = now;
	fresh->next = keypair->in_force;
	keypair->in_force = fresh;
	log_line(LOG_INFO, "the certificate has been reloaded");
	return true;
}

int64_t keypair_expires(const struct keypair *keypair)
{
	return keypair->in_force->expires;
}

int keypair_retrieve(gnutls_session_t session, const gnutls_datum_t *issuers, int n_issuers,
		     const gnutls_pk_algorithm_t *algorithms, int n_algorithms, gnutls_pcert_st **certs,
		     unsigned *n_certs, gnutls_privkey_t *key)
{
	(void)session;
	(void)issuers;
	(void)n_issuers;
	(void)algorithms;
	(void)n_algorithms;
	if (!served)
		return -1;
	*certs = served->in_force->certs;
	*n_certs = served->in_force->n_certs;
	*key = served->in_force->key;
	return 0;
}
