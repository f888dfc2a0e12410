/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hook.h - the serving webhook: the cluster as its watches know it, the configuration, and the reviews
 *
 * One thread. The caller's loop is hook_wait, hook_turn, as of kube.
 */
#ifndef PODSWITCH_HOOK_H
#define PODSWITCH_HOOK_H

#include "control/webhook/usage.h"

struct hook;

/* `usage` is borrowed. 0, or a negative errno. */
int hook_open(const struct usage *usage, struct hook **out, struct failure *why);
void hook_close(struct hook *hook);

/* Sleeps until there is something to do, or `fd` (-1: none) can be read; then does what there is to do. */
void hook_wait(struct hook *hook, int fd);
void hook_turn(struct hook *hook);

/* Told to stop: not ready any more, but it still answers. */
void hook_drain(struct hook *hook);

/* Whether all that was asked has been answered since then, and who might not know yet has had the time to. */
bool hook_drained(const struct hook *hook);

#endif
