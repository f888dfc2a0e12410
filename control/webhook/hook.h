/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hook.h - the serving webhook: the cluster as its watches know it, the configuration, and the reviews
 *
 * One thread. The caller's loop is hook_wait(), hook_turn(), as with kube.
 */
#ifndef PODSWITCH_HOOK_H
#define PODSWITCH_HOOK_H

#include "control/webhook/usage.h"

struct hook;

/* `usage` is borrowed. 0, or a negative errno. */
int hook_open(const struct usage *usage, struct hook **out, struct failure *why);
void hook_close(struct hook *hook);

/* Sleeps until there is work, or `fd` (-1: none) can be read; hook_turn() then does the work. */
void hook_wait(struct hook *hook, int fd);
void hook_turn(struct hook *hook);

/* Starts stopping: not ready any more, but still answering. */
void hook_drain(struct hook *hook);

/* Whether the linger time is over and all requests are answered. */
bool hook_drained(const struct hook *hook);

#endif
