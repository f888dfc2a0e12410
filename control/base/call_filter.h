/* SPDX-License-Identifier: Apache-2.0 */
/*
 * call_filter.h - the system calls that a program may make (seccomp(2)), as lists of names
 *
 * Three answers. What is listed is allowed. What only somebody who has taken over the process would try, as running a
 * program, ends it. Everything else fails with ENOSYS, which a library takes for an older kernel and finds another way:
 * a new release of libc must not end the traffic of a node. The kernel's audit log has both.
 *
 * Of some calls only a part is allowed: clone() for threads, not for processes or namespaces; setns() for network
 * namespaces to whom `enter_networks`; memory that is executable to whom `load_code`.
 */
#ifndef PODSWITCH_CALL_FILTER_H
#define PODSWITCH_CALL_FILTER_H

#include <stdbool.h>
#include <stddef.h>

/* Each a list of names that ends with NULL. A name that this machine or libseccomp does not know is passed over. */
extern const char *const call_filter_base[];    /* memory, threads, clocks, an orderly end: what any program needs */
extern const char *const call_filter_waiting[]; /* epoll, poll, eventfd, timerfd, signalfd */
extern const char *const call_filter_files[];   /* reading, writing, naming and locking files */
extern const char *const call_filter_sockets[]; /* sockets of all families that were not forbidden otherwise */

struct call_filter {
	const char *const *const *allowed; /* lists, NULL-terminated */
	const char *const *start_only;     /* names that call_filter_seal() takes back; NULL: none */
	bool load_code;                    /* libraries may be loaded after the start */
	bool enter_networks;               /* setns(), for network namespaces */
};

/*
 * For this thread and those that it will start, for good. 0; -ENOTSUP: the kernel has no seccomp filters; or another
 * negative errno. Needs no_new_privs.
 */
int call_filter_install(const struct call_filter *filter);

/* Once all is started: from now on a call of `start_only` ends the process, whichever thread makes it. 0 or as above.
 */
int call_filter_seal(const struct call_filter *filter);

#endif
