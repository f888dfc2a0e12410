/* SPDX-License-Identifier: Apache-2.0 */
/* housekeeping.c - the alarm, the listener, and the patience of the first seconds */
#include "vswitch/housekeeping.h"
#include "tap/base/clock.h"

#include <sys/timerfd.h>
#include <time.h>

#define SETTLING 2 /* seconds */

bool switch_settling(const struct vswitch *vs)
{
	static const struct timespec moment = {.tv_nsec = 10000000};
	if (clock_seconds() - vs->started > SETTLING)
		return false;
	nanosleep(&moment, NULL);
	return true;
}

void switch_notify(const struct vswitch *vs, const char *what, const char *name, const struct mac *mac)
{
	if (vs->listener)
		vs->listener(vs->listener_context, what, name, mac);
}

void switch_alarm(const struct vswitch *vs, uint64_t at)
{
	struct itimerspec when = {0};
	if (at != UINT64_MAX)
		when.it_value = (struct timespec){(time_t)(at / 1000), (long)(at % 1000) * 1000000 + 1};
	(void)timerfd_settime(vs->alarm, TFD_TIMER_ABSTIME, &when, NULL);
}
