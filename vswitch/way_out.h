/* SPDX-License-Identifier: Apache-2.0 */
/*
 * way_out.h - an exclusive port as its pod's only way out: closing the others, and looking that they stay closed
 *
 * Control thread.
 */
#ifndef PODSWITCH_WAY_OUT_H
#define PODSWITCH_WAY_OUT_H

#include "vswitch/path/model.h"
#include "vswitch/switch.h"

/* In the pod's namespace: primary_take() with what `config` and the gateway (NULL: none) keep. */
int way_out_take(struct vswitch *vs, struct port *port, const struct port_config *config, const struct gateway *gateway,
		 struct failure *why);

/* Plans the first check. */
void way_out_watch(struct port *port, uint64_t now);

/*
 * Compares and repairs the ways out of a port whose time has come, at `now` in ms of the monotonic clock; enters the
 * pod's namespace itself. Returns when to call again; UINT64_MAX: never.
 */
uint64_t way_out_turn(struct vswitch *vs, struct port *port, uint64_t now);

void way_out_report(const struct port *port, struct port_way_out *out);

#endif
