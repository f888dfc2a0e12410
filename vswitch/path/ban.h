/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ban.h - something that the kernel refused is not tried again for a while
 *
 * What speeds things up (a train of datagrams, a super-frame) may be refused in one place and work in all others: a
 * device without checksum offload, IPsec on one route, a kernel that dislikes a short last segment. So a ban belongs
 * to that place alone, and ends by itself: devices and routes change.
 *
 *    ban_impose()     60 s, for what was not banned before or worked for a while since
 *                     twice as long as last time, up to 15 min, for what is refused again when it is tried again
 *    ban_holds()      false once it is over: then the caller tries it, and bans it again if it is refused
 *
 * Threads: several workers may impose a ban at a time, and one of them does. The control thread reads it.
 */
#ifndef PODSWITCH_BAN_H
#define PODSWITCH_BAN_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define BAN_LEAST 60 /* seconds */
#define BAN_MOST 900

struct ban {
	_Atomic uint64_t state; /* until (32 bits, seconds), length (16, seconds), errno (16); 0: never imposed */
	uint32_t told;          /* `until` of the last one that was logged. Control thread */
};

static inline bool ban_holds(const struct ban *ban, uint32_t now)
{
	return now < atomic_load_explicit(&ban->state, memory_order_relaxed) >> 32;
}

/* Bans it from `now` on, for `error` (a negative errno). False when somebody else just did. */
bool ban_impose(struct ban *ban, int error, uint32_t now);

/* Forgets it, for another user of the same slot. */
void ban_lift(struct ban *ban);

/* Seconds that are left, 0 when it does not hold, and why it was imposed (a positive errno). */
unsigned ban_left(const struct ban *ban, uint32_t now, int *error);

/* True once for each ban that holds: then it is to be logged, `first` as news. Control thread. */
bool ban_is_news(struct ban *ban, uint32_t now, bool *first);

#endif
