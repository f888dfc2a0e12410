/* SPDX-License-Identifier: Apache-2.0 */
/*
 * overruns.h - frames and datagrams that the kernel dropped before a worker could read them
 *
 * A TAP and a socket have a queue each. What does not fit is dropped by the kernel, which keeps a counter. These
 * counters are read when somebody asks for ours, and before their TAP or socket goes away; what they have grown since
 * the last time is added to the drops of the port, or of the switch where a socket is shared by gateways.
 *
 * Control thread.
 */
#ifndef PODSWITCH_OVERRUNS_H
#define PODSWITCH_OVERRUNS_H

#include "vswitch/path/model.h"

/* What a TAP that we have just taken over had lost before is not our drop. In the pod's namespace. */
void overruns_begin(struct port *port);

/* Of one port's TAP and sockets. Enters its namespace. */
void overruns_count_port(struct vswitch *vs, struct port *port);

/* Of sockets that gateways share. */
void overruns_count_host(struct vswitch *vs, struct underlay *host);

#endif
