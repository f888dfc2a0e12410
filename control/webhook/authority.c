/* SPDX-License-Identifier: Apache-2.0 */
/* authority.c - a certificate for one server, and the authority that signed it and nothing else */
#include "control/webhook/authority.h"

#include <gnutls/crypto.h>
#include <gnutls/x509.h>
#include <stdlib.h>
#include <string.h>

#define DAY 86400
#define HOUR 3600
#define SERIAL 16
#define MAX_CHAIN 8

/* ---- making ---- */

/* A certificate and its key while they are being made. */
struct draft {
	gnutls_x509_crt_t cert;
	gnutls_x509_privkey_t key;
};

static void draft_free(struct draft *draft)
{
	if (draft->cert)
		gnutls_x509_crt_deinit(draft->cert);
	if (draft->key)
		gnutls_x509_privkey_deinit(draft->key);
}

/* What both certificates have: a key, a serial number that cannot be guessed, a name, and a validity. */
static int draft_begin(struct draft *draft, const struct authority_order *order, const char *name)
{
	unsigned char serial[SERIAL] = {0};
	int error = gnutls_x509_crt_init(&draft->cert);
	if (!error)
		error = gnutls_x509_privkey_init(&draft->key);
	if (!error)
		error = gnutls_x509_privkey_generate(draft->key, GNUTLS_PK_ECDSA,
						     GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0);
	if (!error)
		error = gnutls_rnd(GNUTLS_RND_NONCE, serial, sizeof(serial));
	serial[0] = (serial[0] & 0x7f) | 1; /* positive, and of full length */
	if (!error)
		error = gnutls_x509_crt_set_version(draft->cert, 3);
	if (!error)
		error = gnutls_x509_crt_set_serial(draft->cert, serial, sizeof(serial));
	if (!error)
		error = gnutls_x509_crt_set_dn_by_oid(draft->cert, GNUTLS_OID_X520_COMMON_NAME, 0, name,
						      (unsigned)strlen(name));
	if (!error)
		error = gnutls_x509_crt_set_activation_time(draft->cert, order->now - HOUR);
	if (!error)
		error = gnutls_x509_crt_set_expiration_time(draft->cert, order->now + (int64_t)order->days * DAY);
	return error ? error : gnutls_x509_crt_set_key(draft->cert, draft->key);
}

/* By these Go finds the issuer where several have the same name, as the old and the new authority have. */
static int set_key_ids(struct draft *draft, const struct draft *issuer)
{
	unsigned char id[64];
	size_t size = sizeof(id);
	int error = gnutls_x509_crt_get_key_id(draft->cert, 0, id, &size);
	if (!error)
		error = gnutls_x509_crt_set_subject_key_id(draft->cert, id, size);
	size = sizeof(id);
	if (!error)
		error = gnutls_x509_crt_get_key_id(issuer->cert, 0, id, &size);
	return error ? error : gnutls_x509_crt_set_authority_key_id(draft->cert, id, size);
}

static int make_ca(struct draft *ca, const struct authority_order *order)
{
	int error = draft_begin(ca, order, "podswitch-webhook");
	if (!error)
		error = gnutls_x509_crt_set_basic_constraints(ca->cert, 1, 0);
	if (!error)
		error = gnutls_x509_crt_set_key_usage(ca->cert, GNUTLS_KEY_KEY_CERT_SIGN);
	if (!error)
		error = set_key_ids(ca, ca);
	return error ? error : gnutls_x509_crt_sign2(ca->cert, ca->cert, ca->key, GNUTLS_DIG_SHA256, 0);
}

static int make_server(struct draft *server, const struct draft *ca, const struct authority_order *order)
{
	/* RFC 5280, appendix A.1: a name in a subject has at most 64 characters; what counts are the alternative names.
	 */
	const char *subject = strlen(order->names[0]) <= 64 ? order->names[0] : "podswitch-webhook";
	int error = draft_begin(server, order, subject);
	for (size_t i = 0; !error && order->names[i]; i++)
		error = gnutls_x509_crt_set_subject_alt_name(server->cert, GNUTLS_SAN_DNSNAME, order->names[i],
							     (unsigned)strlen(order->names[i]), GNUTLS_FSAN_APPEND);
	if (!error)
		error = gnutls_x509_crt_set_basic_constraints(server->cert, 0, -1);
	if (!error)
		error = gnutls_x509_crt_set_key_usage(server->cert, GNUTLS_KEY_DIGITAL_SIGNATURE);
	if (!error)
		error = gnutls_x509_crt_set_key_purpose_oid(server->cert, GNUTLS_KP_TLS_WWW_SERVER, 0);
	if (!error)
		error = set_key_ids(server, ca);
	return error ? error : gnutls_x509_crt_sign2(server->cert, ca->cert, ca->key, GNUTLS_DIG_SHA256, 0);
}

/* Copies GnuTLS's memory to a text of ours, and wipes it. */
static int authority_take(int error, gnutls_datum_t *datum, char **out)
{
	if (error)
		return error;
	*out = malloc(datum->size + 1u);
	if (*out) {
		memcpy(*out, datum->data, datum->size);
		(*out)[datum->size] = '\0';
	}
	gnutls_memset(datum->data, 0, datum->size);
	gnutls_free(datum->data);
	return *out ? 0 : GNUTLS_E_MEMORY_ERROR;
}

static int export_all(const struct draft *ca, const struct draft *server, struct authority *out)
{
	gnutls_datum_t datum;
	int error = authority_take(gnutls_x509_crt_export2(ca->cert, GNUTLS_X509_FMT_PEM, &datum), &datum, &out->ca);
	if (!error)
		error = authority_take(gnutls_x509_crt_export2(server->cert, GNUTLS_X509_FMT_PEM, &datum), &datum,
				       &out->cert);
	if (!error)
		error = authority_take(gnutls_x509_privkey_export2_pkcs8(server->key, GNUTLS_X509_FMT_PEM, NULL,
									 GNUTLS_PKCS_PLAIN, &datum),
				       &datum, &out->key);
	return error;
}

int authority_make(const struct authority_order *order, struct authority *out, struct failure *why)
{
	struct draft ca = {0}, server = {0};
	struct authority made = {0};
	int error = make_ca(&ca, order);
	if (!error)
		error = make_server(&server, &ca, order);
	if (!error)
		error = export_all(&ca, &server, &made);
	draft_free(&server);
	draft_free(&ca);
	if (error) {
		authority_free(&made);
		return fail(why, -EIO, NULL, "cannot make a certificate: %s", gnutls_strerror(error));
	}
	*out = made;
	return 0;
}

/* ---- checking ---- */

/* The certificates of a PEM text; how many, or 0. */
static unsigned import_certs(const char *pem, gnutls_x509_crt_t out[static MAX_CHAIN])
{
	gnutls_datum_t datum = {(unsigned char *)pem, pem ? (unsigned)strlen(pem) : 0};
	unsigned n = MAX_CHAIN;
	if (!pem || gnutls_x509_crt_list_import(out, &n, &datum, GNUTLS_X509_FMT_PEM, 0) < 0)
		return 0;
	return n;
}

static void free_certs(gnutls_x509_crt_t *certs, unsigned n)
{
	while (n)
		gnutls_x509_crt_deinit(certs[--n]);
}

static int check_key(gnutls_x509_crt_t cert, const char *pem, struct failure *why)
{
	gnutls_datum_t datum = {(unsigned char *)pem, pem ? (unsigned)strlen(pem) : 0};
	unsigned char one[64], other[64];
	size_t one_size = sizeof(one), other_size = sizeof(other);
	gnutls_x509_privkey_t key;
	if (!pem || gnutls_x509_privkey_init(&key))
		return fail(why, -EINVAL, NULL, "there is no key");
	bool same = !gnutls_x509_privkey_import2(key, &datum, GNUTLS_X509_FMT_PEM, NULL, GNUTLS_PKCS_PLAIN) &&
		    !gnutls_x509_privkey_get_key_id(key, 0, one, &one_size) &&
		    !gnutls_x509_crt_get_key_id(cert, 0, other, &other_size) && one_size == other_size &&
		    !memcmp(one, other, one_size);
	gnutls_x509_privkey_deinit(key);
	return same ? 0 : fail(why, -EINVAL, NULL, "the key does not match the certificate");
}

static int check_cert(const struct authority_order *order, gnutls_x509_crt_t cert, struct failure *why)
{
	int64_t left = gnutls_x509_crt_get_expiration_time(cert) - order->now;
	if (left <= (int64_t)order->renew_before * DAY)
		return fail(why, -EINVAL, NULL, left < 0 ? "it has expired" : "it expires in %lld days",
			    (long long)left / DAY);
	for (size_t i = 0; order->names[i]; i++)
		if (!gnutls_x509_crt_check_hostname(cert, order->names[i]))
			return fail(why, -EINVAL, NULL, "it is not valid for %.100s", order->names[i]);
	return 0;
}

static int check_issuer(gnutls_x509_crt_t *certs, unsigned n, const char *ca, struct failure *why)
{
	gnutls_x509_crt_t issuers[MAX_CHAIN];
	unsigned n_issuers = import_certs(ca, issuers), verdict = ~0u;
	int error = n_issuers
			    ? gnutls_x509_crt_list_verify(certs, (int)n, issuers, (int)n_issuers, NULL, 0, 0, &verdict)
			    : -1;
	free_certs(issuers, n_issuers);
	return error || verdict ? fail(why, -EINVAL, NULL, "the authority did not sign it") : 0;
}

int authority_check(const struct authority_order *order, const struct authority *authority, struct failure *why)
{
	gnutls_x509_crt_t certs[MAX_CHAIN];
	unsigned n = import_certs(authority->cert, certs);
	if (!n)
		return fail(why, -EINVAL, NULL, "there is no certificate");
	int error = check_cert(order, certs[0], why);
	if (!error)
		error = check_key(certs[0], authority->key, why);
	if (!error)
		error = check_issuer(certs, n, authority->ca, why);
	free_certs(certs, n);
	return error;
}

bool authority_reads(const char *pem)
{
	gnutls_x509_crt_t certs[MAX_CHAIN];
	unsigned n = import_certs(pem, certs);
	free_certs(certs, n);
	return n > 0;
}

void authority_free(struct authority *authority)
{
	if (authority->key)
		gnutls_memset(authority->key, 0, strlen(authority->key));
	free(authority->ca);
	free(authority->cert);
	free(authority->key);
	*authority = (struct authority){0};
}
