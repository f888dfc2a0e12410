/* SPDX-License-Identifier: Apache-2.0 */
/*
 * net_settings.h - writing settings below /proc/sys/net, where /proc/sys is read-only, too
 *
 * A container that is not privileged has /proc/sys read-only, although the kernel lets CAP_NET_ADMIN of the network
 * namespace write what is below net. It may, with CAP_SYS_ADMIN, make a procfs of its own. Of that, only sys/net is
 * kept, as the root of a mount without a place: no path leads from there to the settings of the node.
 */
#ifndef PODSWITCH_NET_SETTINGS_H
#define PODSWITCH_NET_SETTINGS_H

/*
 * Once, at the start, before the rights to mount are given up and before the first thread. Where the kernel or the
 * container's rules (AppArmor) forbid it, /proc/sys/net is used as it is.
 */
void net_settings_open(void);

/*
 * Writes `value` to the setting, whose name is a path below /proc/sys/net, as "ipv4/fwmark_reflect", in the calling
 * thread's network namespace. 0 or a negative errno: -ENOENT, this kernel does not have it; -EROFS.
 */
int net_settings_write(const char *name, const char *value);

#endif
