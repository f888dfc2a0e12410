/* SPDX-License-Identifier: Apache-2.0 */
/*
 * netns.h - finding, entering and leaving a pod's network namespace
 *
 * setns(2) moves only the calling thread. All of this is for the control thread; workers stay in the namespace
 * podswitchd was started in ("host") and touch other namespaces only through descriptors opened there.
 */
#ifndef PODSWITCH_NETNS_H
#define PODSWITCH_NETNS_H

#include "tap/base/failure.h"

#include <stdbool.h>
#include <sys/types.h>

struct netns {
	int fd;    /* open namespace, close-on-exec; -1: none */
	dev_t dev; /* with ino: the identity of the namespace, to notice that its name now means another one */
	ino_t ino;
};

/*
 * Opens what `spec` names: all digits = a process id (/proc/PID/ns/net), with a '/' = a path, else a name under
 * /run/netns. Refuses what is not a network namespace. Errors: -ENOENT (no such name, path or process), -EINVAL (not a
 * network namespace, malformed name), -EACCES, -EPERM; key "netns".
 */
int netns_open(const char *spec, struct netns *out, struct failure *why);

/* The namespace of the calling thread. */
int netns_open_own(struct netns *out, struct failure *why);

/* Closes; accepts one that was never opened (fd -1). */
void netns_close(struct netns *ns);

/* Whether `spec` still means the namespace with this identity; without opening anything. */
bool netns_is(const char *spec, const struct netns *ns);

/*
 * Moves the calling thread into `ns`. 0, or -EPERM with a line that names the capability (CAP_SYS_ADMIN).
 */
int netns_enter(const struct netns *ns, struct failure *why);

/*
 * Moves the calling thread back into `home` (from netns_open_own). A switch that went on in a pod's namespace would
 * attach the next pod to the wrong network, so failing here aborts the process.
 */
void netns_return(const struct netns *home);

#endif
