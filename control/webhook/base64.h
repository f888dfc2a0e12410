/* SPDX-License-Identifier: Apache-2.0 */
/* base64.h - base64 of RFC 4648, section 4, as Secrets and reviews have it. Any thread. */
#ifndef PODSWITCH_BASE64_H
#define PODSWITCH_BASE64_H

#include <jansson.h>

/* NULL without memory. */
json_t *base64_encode(const char *text);

/* The text, to be freed; other copies of it are wiped, as it may be a key. NULL when `text` is NULL or not base64. */
char *base64_decode(const char *text);

#endif
