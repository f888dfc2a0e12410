/* SPDX-License-Identifier: Apache-2.0 */
/* name.h - names of Kubernetes objects as people write them, and what people wrote, fit for a message. Any thread. */
#ifndef PODSWITCH_NAME_H
#define PODSWITCH_NAME_H

#include <stdbool.h>
#include <stddef.h>

#define KUBE_LABEL 64 /* a DNS label of at most 63 bytes, as namespaces and Services are called, and its NUL */
#define NAME_QUOTE 72 /* a quoted text and its NUL */

/* Whether the `length` bytes at `text` are a label of RFC 1123: 1 to 63 of a-z 0-9 -, - neither first nor last. */
bool name_is_label(const char *text, size_t length);

/*
 * Parses the name of a Service: NAME (of `namespace`; NULL: not accepted), NAME.NAMESPACE, NAME.NAMESPACE.svc, or
 * NAME.NAMESPACE.svc.DOMAIN with or without a final dot, where DOMAIN is `domain`. 0, or -EINVAL with the outputs (of
 * KUBE_LABEL bytes each) untouched.
 */
int name_parse(const char *text, const char *namespace, const char *domain, char *out_namespace, char *out_name);

/* `text` in quotes, cut where it is long, with ? for what is no printable ASCII; returns `out`. */
const char *name_quote(const char *text, char out[static NAME_QUOTE]);

#endif
