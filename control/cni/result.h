/* SPDX-License-Identifier: Apache-2.0 */
/*
 * result.h - what a CNI command prints, in the version that was asked for
 *
 * What the plugins before us have made stays as it is: our interface and addresses go behind theirs, so that their
 * indexes stay right, and the runtime goes on taking the pod's address from its first interface. Any thread.
 */
#ifndef PODSWITCH_RESULT_H
#define PODSWITCH_RESULT_H

#include "control/cni/environment.h"
#include "control/cni/request.h"

#include <stdbool.h>

/*
 * The result of an ADD whose pod has its gateway, as the agent described it in `answer`: a new reference in *out. With
 * a result of other plugins it is that with ours added, else ours alone, with the default route. CNI_FAILED when
 * `answer` is not what an agent says, CNI_BAD_CONFIG when `ifname` is taken.
 */
enum cni_code result_ready(const struct request *request, const struct environment *environment, const char *ifname,
			   const json_t *answer, json_t **out, struct refusal *why);

/* Refuses what the agent said, as its `key` is missing or strange. */
enum cni_code result_not_understood(struct refusal *why, const char *key);

/* The result of VERSION. A new reference; NULL without memory. */
json_t *result_version(void);

/* What is printed of a refusal. A new reference; NULL without memory. */
json_t *result_refusal(enum cni_version version, const struct refusal *why);

/* Whether `previous` (may be NULL) holds an interface of that name in a pod. */
bool result_has_interface(const json_t *previous, const char *ifname);

#endif
