/* SPDX-License-Identifier: Apache-2.0 */
/* signals.h - the signals that stop a program */
#ifndef PODSWITCH_SIGNALS_H
#define PODSWITCH_SIGNALS_H

/*
 * Blocks SIGTERM and SIGINT, which can then be read from the returned descriptor (non-blocking, close-on-exec), and
 * ignores SIGPIPE and SIGHUP. A negative errno when there is no descriptor left. Before the first thread is started.
 */
int signals_open(void);

#endif
