/* SPDX-License-Identifier: Apache-2.0 */
/*
 * calls.c - the system calls of podswitchd
 *
 * Besides what each program makes: I/O of the workers, which a filter sees only as io_uring_enter(), whatever the ring
 * holds; and setns() into pods (tap/netns.c). podswitchd loads no library once it runs, so its memory is either written
 * or executed.
 */
#include "control/daemon/calls.h"

static const char *const rings[] = {"io_uring_enter", "io_uring_register", NULL}; /* ring.c, uring.c */

/* Rings are made with their limits (uring.c), so nobody may make another one later. */
static const char *const start_only[] = {"io_uring_setup", "seccomp", NULL};

static const char *const *const allowed[] = {
	call_filter_base,    /* everywhere */
	call_filter_waiting, /* control/daemon/main.c, control/base/rpc.c, vswitch/switch.c, tap/probe_timer.c */
	call_filter_files,   /* control/daemon/state.c, tap/base/file.c, TAPs (tap/tap.c), tap/netns.c, the log */
	call_filter_sockets, /* control/base/rpc.c, vswitch/base/underlay.c, tap/netlink.c, tap/packet_socket.c */
	rings,
	start_only,
	NULL};

const struct call_filter podswitchd_calls = {.allowed = allowed, .start_only = start_only, .enter_networks = true};
