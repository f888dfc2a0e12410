/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hub.h - what the control thread does for hubs: room for new remotes, and lines about those who are none
 *
 * Anybody whose datagrams arrive becomes a remote of a hub (but for --allow), and a hub keeps GATEWAY_MAX_LEARNED. So
 * that strangers cannot keep clients out, room is made before it is needed, in this order:
 *
 *    1. remotes that nothing was ever sent to but copies of broadcasts, the oldest first. The newest few are kept for
 *       two seconds, in which a client is answered
 *    2. only when there is no room at all: those from which nothing came for half a minute, the most silent first
 *
 * Table entries that nothing was ever sent to go likewise when the hub has as many as it may have
 * (--fdb-gateway-limit): what is for an address that it cannot learn goes to all its remotes.
 *
 * A client that is forgotten becomes a remote again with its next frame. When all are answered and speak, new ones are
 * refused (too_many_remotes). Control thread.
 */
#ifndef PODSWITCH_HUB_H
#define PODSWITCH_HUB_H

#include "vswitch/path/model.h"

/*
 * Makes room in the hubs that workers found crowded. Parks the workers when there is something to forget. `now` is that
 * of clock_seconds(), `now_ms` that of clock_ms(). Returns when to call it again, ms; UINT64_MAX: when a worker wakes
 * us.
 */
uint64_t hub_make_room(struct vswitch *vs, uint32_t now, uint64_t now_ms);

/*
 * Logs, at most once a minute for each hub and of each kind, what was forgotten and refused since the last time, and
 * what
 * --allow did not let in. Once a second.
 */
void hub_log(struct vswitch *vs, uint32_t now);

#endif
