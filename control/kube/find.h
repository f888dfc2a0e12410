/* SPDX-License-Identifier: Apache-2.0 */
/*
 * find.h - the network namespace of a pod that is running already, found by its processes
 *
 * The kubelet puts a pod's UID into the path of its processes' control groups, with every container runtime. The agent
 * sees these processes when it shares the node's process ids (hostPID).
 */
#ifndef PODSWITCH_FIND_H
#define PODSWITCH_FIND_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Writes a path by which podswitchd can open the namespace: the runtime's file under /run/netns when there is one (it
 * lives as long as the pod), else /proc/PID/ns/net. 0, or -ENOENT when there is no process of the pod, or when the pod
 * is in the node's own namespace.
 */
int find_netns(const char *uid, char *out, size_t size);

/*
 * Writes a path by which podswitchd can open the namespace that the container runtime calls `path`: that path itself
 * where it leads to a namespace here; else the way through the root of the node's first process, which stays, or of the
 * runtime's process `runtime` (0: not known). For paths that are not mounted into our container, or whose mounts do not
 * arrive there. `path` itself when there is no way.
 */
void find_netns_of_runtime(const char *path, int runtime, char *out, size_t size);

/* Whether `path` leads to a namespace. */
bool find_is_namespace(const char *path);

#endif
