/* SPDX-License-Identifier: Apache-2.0 */
/* base64.c - base64 of RFC 4648, section 4, as Secrets and reviews have it */
#include "control/webhook/base64.h"

#include <gnutls/gnutls.h>
#include <stdlib.h>
#include <string.h>

json_t *base64_encode(const char *text)
{
	gnutls_datum_t in = {(unsigned char *)text, (unsigned)strlen(text)}, out;

	if (gnutls_base64_encode2(&in, &out))
		return NULL;
	json_t *result = json_stringn((const char *)out.data, out.size);
	gnutls_free(out.data);
	return result;
}

char *base64_decode(const char *text)
{
	gnutls_datum_t in = {(unsigned char *)text, text ? (unsigned)strlen(text) : 0}, out;

	if (!text || gnutls_base64_decode2(&in, &out))
		return NULL;
	char *result = calloc(1, out.size + 1);
	if (result)
		memcpy(result, out.data, out.size);
	gnutls_memset(out.data, 0, out.size);
	gnutls_free(out.data);
	return result;
}
