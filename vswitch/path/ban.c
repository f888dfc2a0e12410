/* SPDX-License-Identifier: Apache-2.0 */
/* ban.c - something that the kernel refused is not tried again for a while */
#include "vswitch/path/ban.h"

static uint32_t ban_until(uint64_t state)
{
	return (uint32_t)(state >> 32);
}

static uint32_t ban_length(uint64_t state)
{
	return (uint32_t)(state >> 16) & 0xffff;
}

/* Refused as soon as it was tried again, it is likely to be refused for longer. */
static uint32_t ban_next_length(uint64_t before, uint32_t now)
{
	uint32_t length = ban_length(before);
	if (!length || now - ban_until(before) > length)
		return BAN_LEAST;
	return length * 2 < BAN_MOST ? length * 2 : BAN_MOST;
}

bool ban_impose(struct ban *ban, int error, uint32_t now)
{
	uint64_t before = atomic_load_explicit(&ban->state, memory_order_relaxed);
	if (now < ban_until(before))
		return false;
	uint32_t length = ban_next_length(before, now);
	uint64_t state = (uint64_t)(now + length) << 32 | (uint64_t)length << 16 | (uint16_t)-error;
	return atomic_compare_exchange_strong(&ban->state, &before, state);
}

void ban_lift(struct ban *ban)
{
	atomic_store_explicit(&ban->state, 0, memory_order_relaxed);
	ban->told = 0;
}

unsigned ban_left(const struct ban *ban, uint32_t now, int *error)
{
	uint64_t state = atomic_load_explicit(&ban->state, memory_order_relaxed);
	if (now >= ban_until(state))
		return 0;
	*error = (int)(state & 0xffff);
	return ban_until(state) - now;
}

bool ban_is_news(struct ban *ban, uint32_t now, bool *first)
{
	uint64_t state = atomic_load_explicit(&ban->state, memory_order_relaxed);
	if (now >= ban_until(state) || ban->told == ban_until(state))
		return false;
	ban->told = ban_until(state);
	*first = ban_length(state) == BAN_LEAST;
	return true;
}
