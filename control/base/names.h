/* SPDX-License-Identifier: Apache-2.0 */
/*
 * names.h - what Kubernetes' objects are called, and what their gateways and ports are called in podswitchd
 *
 * The agent and the CNI plugin make a port's name independently of each other, so both make it here. Any thread.
 */
#ifndef PODSWITCH_NAMES_H
#define PODSWITCH_NAMES_H

#include <stdbool.h>
#include <stddef.h>

#define KUBE_LABEL 64  /* a DNS label of at most 63 bytes, as namespaces and Services are called, and its NUL */
#define NAME_QUOTE 72  /* a quoted text and its NUL */
#define NAMES_SIZE 192 /* bytes of a gateway's or port's name with the NUL, as podswitchd has it */
#define NAMES_ID 12    /* characters of a container's id, or of a pod's UID, in a port's name */
#define NAMES_DEFAULT_IFNAME "vx0" /* which a port's name leaves out */

/* Whether the `length` bytes at `text` are an RFC 1123 label: 1 to 63 of a-z 0-9 -, with no - at either end. */
bool name_is_label(const char *text, size_t length);

/* A DNS name, as pods have: labels with dots between them, 1 to 253 bytes. */
bool names_subdomain_valid(const char *text);

/* A container's id as CNI allows it: 1 to 255 of A-Z a-z 0-9 . _ -, the first a letter or digit. */
bool names_container_valid(const char *text);

/* An interface's name that can stand in a port's: 1 to 15 of A-Z a-z 0-9 . _ -, the first a letter or digit. */
bool names_ifname_valid(const char *text);

/*
 * Parses the name of a Service: NAME (of `namespace`; NULL: not accepted), NAME.NAMESPACE, NAME.NAMESPACE.svc, or
 * NAME.NAMESPACE.svc.DOMAIN with or without a final dot, where DOMAIN is `domain`. 0, or -EINVAL with the outputs (of
 * KUBE_LABEL bytes each) untouched.
 */
int name_parse(const char *text, const char *namespace, const char *domain, char *out_namespace, char *out_name);

/* `text` in quotes for a message, shortened when it is long, with ? for all but printable ASCII; returns `out`. */
const char *name_quote(const char *text, char out[static NAME_QUOTE]);

/*
 * NAMESPACE.POD@ID, with .IFNAME behind it when `ifname` is not vx0. ID is the first 12 characters of `id`; POD is cut
 * when the name would be too long, since the id alone makes it unique. 0, or -EINVAL when a part is not valid.
 */
int port_name(char out[NAMES_SIZE], const char *namespace, const char *pod, const char *id, const char *ifname);

/* The ID for a pod whose container id is not known: the first 12 hex digits of its UID. 0 or -EINVAL. */
int port_id_of_uid(char out[NAMES_ID + 1], const char *uid);

/* NAMESPACE.SERVICE@ADDRESS for one endpoint of a gateway's Service. 0, or -EINVAL when a part is not valid. */
int gateway_name(char out[NAMES_SIZE], const char *namespace, const char *service, const char *address);

/* Whether `name` is one of `list`, with commas or blanks between. */
bool names_list_has(const char *list, const char *name);

#endif
