/* SPDX-License-Identifier: Apache-2.0 */
/*
 * result.h - what a CNI command prints, in the version that the configuration asks for
 *
 * The results of the plugins before us stay as they are. Our interface and addresses go behind theirs, so that indexes
 * into their lists stay right, and the runtime still takes the pod's address from its first interface. Any thread.
 */
#ifndef PODSWITCH_RESULT_H
#define PODSWITCH_RESULT_H

#include "control/cni/environment.h"
#include "control/cni/request.h"

#include <stdbool.h>

/*
 * The result of an ADD for a pod that has its gateway, as the agent describes it in `answer`: a new reference in *out.
 * Chained, it is the result of the plugins before us with ours added; standalone, ours with the default route. 0, or
 * CNI_FAILED when the answer is not understood.
 */
enum cni_code result_ready(const struct request *request, const struct environment *environment, const char *ifname,
			   const json_t *answer, json_t **out, struct refusal *why);

/* The refusal for an answer of the agent whose `key` is missing or wrong. */
enum cni_code result_not_understood(struct refusal *why, const char *key);

/* The result of VERSION. A new reference; NULL without memory. */
json_t *result_version(void);

/* A refusal as it is printed. A new reference; NULL without memory. */
json_t *result_refusal(enum cni_version version, const struct refusal *why);

/* Whether `previous` (may be NULL) has an interface of that name inside a pod. */
bool result_has_interface(const json_t *previous, const char *ifname);

#endif
