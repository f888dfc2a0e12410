/* SPDX-License-Identifier: Apache-2.0 */
/* confinement.c - a program gives up what it does not need, once and for all */
#include "control/base/confinement.h"

#include "control/base/sanitizers.h"

#include <string.h>
#include <sys/prctl.h>

int confine(uint64_t kept, struct failure *why)
{
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return fail(why, -errno, NULL, "cannot set no_new_privs: %s", strerror(errno));
	/* Of a process that is not dumpable the leak checker cannot list the threads. */
	if (!BUILT_WITH_SANITIZERS && prctl(PR_SET_DUMPABLE, 0))
		return fail(why, -errno, NULL, "cannot become undumpable: %s", strerror(errno));
	int error = capability_keep(kept);
	return error ? fail(why, error, NULL, "cannot give up capabilities: %s", strerror(-error)) : 0;
}
