/* SPDX-License-Identifier: Apache-2.0 */
/*
 * trial_frame.h - would this TAP take a super-frame whose last segment is shorter than the others?
 *
 * Some stable kernels refuse them (EINVAL), and a TAP tells only when it is written to. A TAP that is not up answers
 * EIO, but only after it has looked at the virtio header: so a frame can be tried that nobody receives.
 */
#ifndef PODSWITCH_TRIAL_FRAME_H
#define PODSWITCH_TRIAL_FRAME_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Whether the TAP at `fd`, which is not up, refuses such a super-frame of this protocol (PROTO_TCP or PROTO_UDP). False
 * for whatever else goes wrong. Any thread.
 */
bool trial_frame_refused(int fd, uint8_t protocol);

#endif
