/* SPDX-License-Identifier: Apache-2.0 */
/*
 * known.h - what is known on disk of the namespaces, for the time when nobody can be asked
 *
 * podswitch-agent writes the file whenever something in it changes, in one step:
 *
 *   {"version": 1, "pods_choose": true, "default_gateway": false, "namespaces": {"default": false, "media": true}}
 *
 * namespaces: whether its annotations ask for anything of ours. pods_choose: whether a pod's own podswitch.io/gateway
 * and setGateway may opt it out. default_gateway: there is one, so a pod's setGateway counts, of which the label is not
 * handed to plugins.
 *
 * Any thread.
 */
#ifndef PODSWITCH_KNOWN_H
#define PODSWITCH_KNOWN_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#define KNOWN_VERSION 1

/* Whether annotations (an object; NULL: none) ask for anything of ours. podswitch.io/gateway: none or empty does not.
 */
bool known_asks(const json_t *annotations);

/*
 * Whether a pod of `namespace` with these annotations (NULL: they were not handed over) has no gateway for sure, by the
 * file at `path`. If not, `why` gets a line that says what is missing, or that it asks.
 */
bool known_pod_is_free(const char *path, const char *namespace, const json_t *annotations, char *why, size_t size);

#endif
