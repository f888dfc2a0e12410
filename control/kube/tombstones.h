/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tombstones.h - ports whose pod was deleted while nobody answered: files that the CNI plugin left
 *
 * A file is named as the port. The plugin writes them (control/cni/), the agent carries them out.
 */
#ifndef PODSWITCH_KUBE_TOMBSTONES_H
#define PODSWITCH_KUBE_TOMBSTONES_H

#include <stdbool.h>

/*
 * Calls `bury` for each, and removes the file when that says that it is done; else it stays for the next time. A
 * directory that is not there holds none.
 */
void tombstones_carry_out(const char *directory, bool (*bury)(void *context, const char *port), void *context);

#endif
