/* SPDX-License-Identifier: Apache-2.0 */
/*
 * find.h - the network namespace of a pod that is running already, found by its processes
 *
 * The kubelet puts a pod's UID into the path of its processes' control groups, with every container runtime. The agent
 * sees these processes when it shares the node's process ids (hostPID).
 */
#ifndef PODSWITCH_FIND_H
#define PODSWITCH_FIND_H

#include <stddef.h>

/*
 * Writes a path by which podswitchd can open the namespace: the runtime's file under /run/netns when there is one (it
 * lives as long as the pod), else /proc/PID/ns/net. 0, or -ENOENT when there is no process of the pod, or when the pod
 * is in the node's own namespace.
 */
int find_netns(const char *uid, char *out, size_t size);

#endif
