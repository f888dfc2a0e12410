/* SPDX-License-Identifier: Apache-2.0 */
/* kernel.h - faults of kernel versions that show nowhere else */
#ifndef PODSWITCH_KERNEL_H
#define PODSWITCH_KERNEL_H

#include "vswitch/base/switch_config.h"

/*
 * Linux 7.0 to 7.1.4 spoil UDP lengths and checksums of a train whose datagrams are all equally long, on some drivers
 * and without any error. Most trains are such. `release` is that of uname(): "7.0.0-14-generic"; false for what is not
 * a version. Any thread.
 */
bool kernel_garbles_trains(const char *release);

/* Whether trains are sent at all, by what the user chose and this kernel's release. Any thread. */
bool kernel_udp_gso(enum udp_gso_choice choice, const char *release);

#endif
