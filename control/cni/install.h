/* SPDX-License-Identifier: Apache-2.0 */
/*
 * install.h - the CNI plugin on a node: the program, and its entry behind the node's own plugins
 *
 * Installing again, and by several programs at once, is fine. Any process; one thread.
 */
#ifndef PODSWITCH_INSTALL_H
#define PODSWITCH_INSTALL_H

#include "control/cni/confdir.h"
#include "tap/base/failure.h"

#include <stdbool.h>

/* 0 and NULL mean the defaults named here. Paths are as this process sees them; `socket` is as the node sees it. */
struct cni_install {
	const char *bin_dir;   /* /opt/cni/bin */
	const char *conf_dir;  /* /etc/cni/net.d */
	const char *conf_file; /* a name in conf_dir; NULL: the first, which the runtime takes */
	const char *program;   /* what to copy; NULL: the running program, which must be podswitch-cni */
	const char *socket;    /* podswitchd's, for the entry; /run/podswitch/control.sock */
	const char *ifname;    /* for the entry; vx0 */
	unsigned timeout;      /* for the entry, seconds; 20 */
	const char *skip;  /* for the entry, namespaces whose pods start without a question; kube-system,podswitch */
	const char *known; /* for the entry, the agent's file (known.h) as the node sees it */
	bool fail_status;  /* for the entry: STATUS fails while no gateway can be given */
	unsigned wait;     /* seconds to wait for a configuration to appear */
	bool keep_program; /* when uninstalled: the runtime deletes pods by the plugins that they were made with */
};

/*
 * Looks whether cni_install() would change anything in the configuration; see confdir_look(). 0, or the error that it
 * would return.
 */
int cni_install_look(const struct cni_install *options, struct confdir_look *out, struct failure *why);

/*
 * Puts the program into its place, unless the same bytes are there. *put (may be NULL): whether it had to be. 0, or a
 * negative errno.
 */
int cni_install_program(const struct cni_install *options, bool *put, struct failure *why);

/* Both, program and entry. 0, or a negative errno with a text that says what to change. */
int cni_install(const struct cni_install *options, struct failure *why);

/*
 * Removes the entry, then the program, then the tombstones beside `socket`, a path as this process sees it. The program
 * stays with keep_program, and behind Multus: pods that were made with it could not be deleted without it. 0 also when
 * there is nothing to remove; else the first error, after all that is possible has been removed.
 */
int cni_uninstall(const struct cni_install *options, struct failure *why);

#endif
