/* SPDX-License-Identifier: Apache-2.0 */
/*
 * netns.h - finding, entering and leaving a pod's network namespace
 *
 * setns(2) moves only the calling thread. All of this is for the control thread. Workers stay in the namespace that
 * podswitchd was started in ("host") and use others only through descriptors that were opened there.
 */
#ifndef PODSWITCH_NETNS_H
#define PODSWITCH_NETNS_H

#include "tap/base/failure.h"

#include <stdbool.h>
#include <sys/types.h>

struct netns {
	int fd;    /* open namespace, close-on-exec; -1: none */
	dev_t dev; /* with ino: identifies the namespace, to notice when its name stands for another one */
	ino_t ino;
};

/*
 * Opens the namespace that `spec` names: all digits are a process id (/proc/PID/ns/net), with a '/' it is a path,
 * otherwise a name under /run/netns. Errors: -ENOENT (no such name, path or process), -EINVAL (not a network namespace,
 * malformed name), -EACCES, -EPERM; key "netns".
 */
int netns_open(const char *spec, struct netns *out, struct failure *why);

/* The namespace of the calling thread. */
int netns_open_own(struct netns *out, struct failure *why);

/* Closes it; one that was never opened (fd -1) is accepted. */
void netns_close(struct netns *ns);

/* Whether `spec` still names this namespace. Opens nothing. */
bool netns_is(const char *spec, const struct netns *ns);

/* Moves the calling thread into `ns`. 0, or -EPERM with a text that names the capability (CAP_SYS_ADMIN). */
int netns_enter(const struct netns *ns, struct failure *why);

/*
 * Moves the calling thread back into `home` (from netns_open_own()). Aborts the process when that fails: a switch that
 * went on in a pod's namespace would attach the next pod to the wrong network.
 */
void netns_return(const struct netns *home);

#endif
