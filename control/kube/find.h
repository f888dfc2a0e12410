/* SPDX-License-Identifier: Apache-2.0 */
/*
 * find.h - the network namespace of a pod that runs already, by its processes
 *
 * The kubelet puts a pod's UID into the path of its processes' control groups, whatever the container runtime; the
 * agent sees them when it shares the node's process ids (hostPID).
 */
#ifndef PODSWITCH_FIND_H
#define PODSWITCH_FIND_H

#include <stddef.h>

/*
 * Writes how podswitchd can name the namespace: a path under /run/netns when one of the runtime's files there is the
 * same namespace (it lives as long as the pod), else /proc/PID/ns/net. 0, -ENOENT when no process of the pod is seen or
 * it is in the node's own namespace.
 */
int find_netns(const char *uid, char *out, size_t size);

#endif
