/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stray.h - who sends VXLAN datagrams that belong to no gateway here
 *
 * Such datagrams are dropped. Who sent them tells why a gateway seems silent: NAT on the way has replaced its address,
 * or it uses another VNI (silence.h).
 *
 *    worker: find_origin() fails -> stray_note()     control thread: stray_find()
 *
 * Each worker remembers the last STRAYS of them, without locks: a writer makes `version` odd while it changes an entry,
 * and a reader who sees an odd or a changed version skips the entry. Anyone can send such datagrams, so what is found
 * here is a hint for people and never changes where frames go.
 */
#ifndef PODSWITCH_STRAY_H
#define PODSWITCH_STRAY_H

#include "tap/base/address.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define STRAYS 8

/* A sender on one underlay, with one VNI. */
struct stray {
	struct address source;
	uint32_t vni;
	uint16_t port;    /* UDP, host order: where it arrived */
	uint16_t gateway; /* whose pod's underlay it arrived on; 0: the host underlay */
	uint32_t seen;    /* seconds of the monotonic clock, the last time */
};

struct strays {
	atomic_uint version[STRAYS];
	struct stray entry[STRAYS];
};

/* Remembers it in the place of the oldest one, or of itself. The worker that owns `strays`. */
void stray_note(struct strays *strays, const struct stray *stray);

/* Copies entry `i` to *out. False when there is none, or when it is changing just now. Any thread. */
bool stray_read(struct strays *strays, unsigned i, struct stray *out);

#endif
