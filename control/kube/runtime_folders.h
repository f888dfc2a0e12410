/* SPDX-License-Identifier: Apache-2.0 */
/*
 * runtime_folders.h - the folders that this node's containerd reads its CNI configuration and plugins from
 *
 * Distributions have them in different places, and a DaemonSet with the wrong ones changes nothing, successfully. The
 * process and its configuration are found in /proc, for which the agent shares the node's process ids. Any thread.
 */
#ifndef PODSWITCH_RUNTIME_FOLDERS_H
#define PODSWITCH_RUNTIME_FOLDERS_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Whether containerd reads other folders than these two, as this process sees them. Then *out says which, and what to
 * change. False also when no containerd is found in our network namespace, or its configuration cannot be read.
 */
bool runtime_folders_differ(const char *conf_dir, const char *bin_dir, char *out, size_t size);

/* Whether a containerd is found in our network namespace: this node's. */
bool runtime_is_containerd(void);

#endif
