/* SPDX-License-Identifier: Apache-2.0 */
/*
 * steering.h - which queue of a TAP gets a frame that the pod sends
 *
 * A TAP with several queues (IFF_MULTI_QUEUE) is read by one descriptor each. By itself the kernel puts a flow into the
 * queue by which a frame of it was written last, so whoever writes would move flows about. A steering program
 * (TUNSETSTEERINGEBPF) makes the queue a function of the frame alone: addresses, protocol and ports of TCP and UDP. So
 * a flow stays in its queue, and any descriptor may be written to.
 */
#ifndef PODSWITCH_STEERING_H
#define PODSWITCH_STEERING_H

#include "tap/base/failure.h"

#include <stdbool.h>

/*
 * Gets the two programs into the kernel, which takes CAP_SYS_ADMIN or CAP_BPF, and bpf(), which podswitchd has
 * forbidden later. Once, while there is one thread. Where it fails, steering_works() says so and TAPs have one queue.
 * 0, or a negative errno.
 */
int steering_open(struct failure *why);

/* Whether TAPs may have several queues. Any thread. */
bool steering_works(void);

/*
 * What the pod sends by the TAP of `fd` is spread over its queues from now on, or all of it goes to the first one. 0,
 * or a negative errno: -EINVAL before Linux 4.16. Any thread.
 */
int steering_set(int fd, bool spread);

#endif
