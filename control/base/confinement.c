/* SPDX-License-Identifier: Apache-2.0 */
/* confinement.c - a program gives up what it does not need, once and for all */
#include "control/base/confinement.h"

#include "control/base/sanitizers.h"
#include "tap/base/log.h"

#include <string.h>
#include <sys/prctl.h>

/* A sanitizer's run-time library lists our threads, maps memory and makes calls as it likes. */
static int confine_calls(const struct call_filter *calls, struct failure *why)
{
	int error = calls && !BUILT_WITH_SANITIZERS ? call_filter_install(calls) : 0;
	if (error == -ENOTSUP) {
		log_line(LOG_WARNING, "this kernel has no seccomp filters: all system calls stay open to a program "
				      "that was taken over");
		return 0;
	}
	return error ? fail(why, error, "seccomp",
			    "cannot set up the seccomp filter: %s; --seccomp off does without it", strerror(-error))
		     : 0;
}

int confine(const struct confinement *confinement, struct failure *why)
{
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return fail(why, -errno, NULL, "cannot set no_new_privs: %s", strerror(errno));
	if (!BUILT_WITH_SANITIZERS && prctl(PR_SET_DUMPABLE, 0))
		return fail(why, -errno, NULL, "cannot become undumpable: %s", strerror(errno));
	int error = capability_keep(confinement->capabilities);
	if (error)
		return fail(why, error, NULL, "cannot give up capabilities: %s", strerror(-error));
	return confine_calls(confinement->calls, why);
}

int confine_started(const struct confinement *confinement, struct failure *why)
{
	const struct call_filter *calls = confinement->calls;
	int error = calls && !BUILT_WITH_SANITIZERS ? call_filter_seal(calls) : 0;
	/* confine() has said so. */
	if (!error || error == -ENOTSUP)
		return 0;
	return fail(why, error, "seccomp", "cannot seal the seccomp filter: %s; --seccomp off does without it",
		    strerror(-error));
}
