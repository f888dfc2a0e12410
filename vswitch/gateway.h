/* SPDX-License-Identifier: Apache-2.0 */
/* gateway.h - gateways, as the rest of the switch uses them. Control thread. */
#ifndef PODSWITCH_GATEWAY_H
#define PODSWITCH_GATEWAY_H

#include "vswitch/path/model.h"

/* NULL when there is no gateway of this name. */
struct gateway *gateway_find(const struct vswitch *vs, const char *name);

/* The MTU that a TAP of this gateway gets by default, bytes: what the paths from `underlay` to its remotes allow. */
unsigned gateway_mtu(const struct gateway *gateway, const struct underlay *underlay);

/* With the lowest id that is free; not yet in `vs`. NULL when there is none, or no memory. */
struct gateway *gateway_new(const struct vswitch *vs);

/*
 * Moves a gateway with --underlay auto, and its ports, to the pod underlay or to the host underlay. On error it stays
 * where it was. Not for a gateway whose configuration names its underlay. (gateway_verbs.c)
 */
int gateway_change_underlay(struct vswitch *vs, struct gateway *gateway, bool pod, struct failure *why);

/* Frees what belongs to the object alone; NULL is accepted. */
void gateway_free(struct gateway *gateway);

#endif
