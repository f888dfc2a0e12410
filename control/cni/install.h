/* SPDX-License-Identifier: Apache-2.0 */
/*
 * install.h - the CNI plugin on a node: the program, and its entry behind the node's own plugins
 *
 * Both may be done again at any time, by several programs. Any process; one thread.
 */
#ifndef PODSWITCH_INSTALL_H
#define PODSWITCH_INSTALL_H

#include "tap/base/failure.h"

/* Zero-initialise: 0 and NULL stand for what is said here. The paths are as seen from here, `socket` as on the node. */
struct cni_install {
	const char *bin_dir;   /* /opt/cni/bin */
	const char *conf_dir;  /* /etc/cni/net.d */
	const char *conf_file; /* a name in conf_dir; NULL: the first, as the runtime takes it */
	const char *program;   /* what to copy; NULL: the program that is running, which must then be podswitch-cni */
	const char *socket;    /* podswitchd's, for the entry; /run/podswitch/control.sock */
	const char *ifname;    /* for the entry; vx0 */
	unsigned timeout;      /* for the entry, seconds; 20 */
	unsigned wait;         /* seconds, for a configuration to appear; 0: not at all */
};

/* 0, or a negative errno with what is to be changed. */
int cni_install(const struct cni_install *options, struct failure *why);

/*
 * Takes out the entry, then the program, then the tombstones beside `socket`, which is here the path as seen from here.
 * 0 also when nothing is there; else the first error, with everything done that could be.
 */
int cni_uninstall(const struct cni_install *options, struct failure *why);

#endif
