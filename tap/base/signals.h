/* SPDX-License-Identifier: Apache-2.0 */
/* signals.h - how the programs that go on until they are told to stop hear of it */
#ifndef PODSWITCH_SIGNALS_H
#define PODSWITCH_SIGNALS_H

/*
 * Blocks SIGTERM and SIGINT, which are then read from the descriptor that is returned (non-blocking, close-on-exec),
 * and ignores SIGPIPE and SIGHUP. A negative errno without descriptors. Before the first thread is started.
 */
int signals_open(void);

#endif
