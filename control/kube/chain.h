/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chain.h - keeps podswitch-cni behind the node's own plugins
 *
 * The primary CNI owns the node's network configuration and rewrites it when it is upgraded or restarted. Pods would
 * then start without their gateway, so the entry is put back as soon as the file changes.
 */
#ifndef PODSWITCH_CHAIN_H
#define PODSWITCH_CHAIN_H

#include "control/kube/settings.h"

struct chain;

/* NULL where the plugin is not installed, or no directories were given. Borrows settings. */
struct chain *chain_open(const struct settings *settings);
void chain_close(struct chain *chain);

/* To poll for reading; -1: nothing. All accept NULL. */
int chain_fd(const struct chain *chain);

/* Puts the entry back when something in the directory changed. */
void chain_turn(struct chain *chain);

#endif
