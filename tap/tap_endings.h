/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tap_endings.h - TAPs that are on their way out of their pods
 *
 * Deleting a TAP takes the kernel 20 ms and more (late_close.h), of which the device is still in its namespace, and its
 * name taken, for the first 1 ms or less. So a TAP is handed over here, and whoever needs to know is told when its pod
 * does not have it any more. From tap_endings_add() on it is not persistent: it goes away with this process, however
 * that ends.
 *
 * Control thread.
 */
#ifndef PODSWITCH_TAP_ENDINGS_H
#define PODSWITCH_TAP_ENDINGS_H

#include "tap/base/failure.h"
#include "tap/netns.h"

#include <stdint.h>

struct tap_endings;

/* 0, or -EMFILE, -ENOMEM and the like. */
int tap_endings_open(struct tap_endings **out, struct failure *why);

/*
 * Ends the TAP `tap` (-1: nothing) in the namespace `netns`; `home` is the one to return to. Returns its number, which
 * tap_endings_turn() tells when the device is gone; 0 when it is gone already, as it is when the pod has removed it, or
 * when so many are waiting that it was deleted here and now.
 */
uint64_t tap_endings_add(struct tap_endings *endings, int tap, const struct netns *netns, const struct netns *home);

/* The number of the one that still has the name `ifname` in the namespace `spec` (netns_open()); 0: none has. */
uint64_t tap_endings_find(const struct tap_endings *endings, const char *spec, const char *ifname);

/* How many devices are not gone yet. */
unsigned tap_endings_pending(const struct tap_endings *endings);

/* When this descriptor is readable: calls `gone` for each that is gone by now. Does not block. */
int tap_endings_fd(const struct tap_endings *endings);
void tap_endings_turn(struct tap_endings *endings, void (*gone)(void *context, uint64_t number), void *context);

/* Waits until all are closed, but not for longer than `patience` ms; the rest ends with the process. NULL: nothing. */
void tap_endings_close(struct tap_endings *endings, unsigned patience);

#endif
