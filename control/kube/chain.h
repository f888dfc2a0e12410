/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chain.h - keeps podswitch-cni behind the node's own plugins
 *
 * The node's network configuration belongs to its CNI, which writes it anew when it is upgraded or started again. From
 * then on pods would start without their gateway; so the entry is put back as soon as the file has changed.
 */
#ifndef PODSWITCH_CHAIN_H
#define PODSWITCH_CHAIN_H

#include "control/kube/settings.h"

struct chain;

/* NULL where the plugin is not installed, or not ours to look after: then there is nothing to keep. Borrows settings.
 */
struct chain *chain_open(const struct settings *settings);
void chain_close(struct chain *chain);

/* To poll for reading; -1: nothing. All accept NULL. */
int chain_fd(const struct chain *chain);

/* Puts the entry back when something in the directory changed. */
void chain_turn(struct chain *chain);

#endif
