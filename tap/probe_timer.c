/* SPDX-License-Identifier: Apache-2.0 */
/* probe_timer.c - when to ask again, and when too many questions have gone unanswered */
#include "tap/probe_timer.h"

#define SECOND 1000U  /* ms */
#define LOST_EAGER 30 /* questions to who is lost until they become rarer */
#define LOST_WAIT (4 * SECOND)

void probe_timer_restart(struct probe_timer *timer, uint64_t now)
{
	*timer = (struct probe_timer){.due = now};
}

/* What was slow to answer must not be taken for lost because the interval is short. */
static unsigned probe_timer_patience(const struct probe_timer *timer, unsigned interval)
{
	unsigned wait = interval < SECOND ? interval : SECOND;

	if (timer->misses >= PROBE_TIMER_MISSES + LOST_EAGER)
		return LOST_WAIT;
	if (!timer->answered || timer->misses >= PROBE_TIMER_MISSES)
		return SECOND;
	return timer->took < wait ? wait : timer->took < SECOND ? timer->took : SECOND;
}

void probe_timer_asked(struct probe_timer *timer, unsigned interval, uint64_t now)
{
	if (timer->unanswered && timer->misses < PROBE_TIMER_MISSES + LOST_EAGER)
		timer->misses++;
	timer->unanswered = true;
	timer->sent_at = now;
	timer->due = now + probe_timer_patience(timer, interval);
}

void probe_timer_answered(struct probe_timer *timer, unsigned interval, unsigned took, uint64_t now)
{
	timer->answered = true;
	timer->answered_at = now;
	timer->misses = 0;
	timer->took = took;
	/* An answer that nobody asked for is just as good, but it answers no question. */
	if (timer->unanswered)
		timer->due = timer->sent_at + interval;
	timer->unanswered = false;
}

bool probe_timer_is_lost(const struct probe_timer *timer)
{
	return timer->misses >= PROBE_TIMER_MISSES;
}
