/* SPDX-License-Identifier: Apache-2.0 */
/* tap_destroy.h - the end of a TAP that a test has made: here and now, while podswitchd leaves it to others */
#ifndef PODSWITCH_TAP_DESTROY_H
#define PODSWITCH_TAP_DESTROY_H

#include "tap/tap.h"

#include <net/if.h>
#include <unistd.h>

/* Deletes the TAP and closes `fd` (-1 is accepted). */
static inline void tap_destroy(int fd)
{
	char ifname[IFNAMSIZ];

	if (fd < 0)
		return;
	(void)tap_forsake(fd, ifname);
	close(fd);
}

#endif
