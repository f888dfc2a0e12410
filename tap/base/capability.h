/* SPDX-License-Identifier: Apache-2.0 */
/*
 * capability.h - what a process may do that is root's, and giving up the rest of it (capabilities(7))
 *
 * The kernel keeps these sets for each thread. A thread inherits them from the one that starts it, so what all are to
 * give up goes before the first thread is started.
 */
#ifndef PODSWITCH_CAPABILITY_H
#define PODSWITCH_CAPABILITY_H

#include <linux/capability.h>
#include <stdint.h>

/* A set of capabilities; bit N is the one with the number N. */
#define CAPABILITY(number) (UINT64_C(1) << (number))
#define CAPABILITY_NONE UINT64_C(0)

/* The calling thread's effective set. Without an answer from the kernel all of them, so that none is said to lack. */
uint64_t capability_effective(void);

/*
 * Reduces the calling thread's sets to those of `kept` that it has: permitted, effective and, where it may change that,
 * bounding; the inheritable and the ambient one are emptied. There is no way back. 0 or a negative errno.
 */
int capability_keep(uint64_t kept);

#endif
