/* SPDX-License-Identifier: Apache-2.0 */
/*
 * probe_timer.h - when to ask again, and when too many questions have gone unanswered
 *
 *     answered                 after the interval
 *     not answered since       after min(interval, 1 s), or after what an answer took last if that is longer
 *     never answered           every second
 *     three misses: lost       every second, and after 30 more every fourth, so that a return is noticed within five
 *
 * Values and times that are passed in, ms. One thread at a time.
 */
#ifndef PODSWITCH_PROBE_TIMER_H
#define PODSWITCH_PROBE_TIMER_H

#include <stdbool.h>
#include <stdint.h>

#define PROBE_TIMER_MISSES 3

struct probe_timer {
	bool unanswered;      /* the last question */
	bool answered;        /* since the timer was restarted */
	unsigned misses;      /* questions in a row */
	unsigned took;        /* ms, until the last answer came */
	uint64_t sent_at;     /* ms */
	uint64_t due;         /* ms: when to ask */
	uint64_t answered_at; /* ms; 0: never */
};

/* There is somebody else to ask, at once. */
void probe_timer_restart(struct probe_timer *timer, uint64_t now);

/* To be called when a question is sent, which is at `due`. `interval` is in ms. */
void probe_timer_asked(struct probe_timer *timer, unsigned interval, uint64_t now);

/* An answer arrived; `took` is for how long it was waited for, ms, or 0. */
void probe_timer_answered(struct probe_timer *timer, unsigned interval, unsigned took, uint64_t now);

bool probe_timer_is_lost(const struct probe_timer *timer);

#endif
