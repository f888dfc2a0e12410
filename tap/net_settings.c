/* SPDX-License-Identifier: Apache-2.0 */
/* net_settings.c - writing settings below /proc/sys/net, where /proc/sys is read-only, too */
#include "tap/net_settings.h"

#include "tap/base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

/* glibc has had these calls since 2.36. */
#define FSOPEN(type, flags) ((int)syscall(SYS_fsopen, type, flags))
#define FSCONFIG(fd, command) ((int)syscall(SYS_fsconfig, fd, command, NULL, NULL, 0))
#define FSMOUNT(fd, flags, attributes) ((int)syscall(SYS_fsmount, fd, flags, attributes))
#define OPEN_TREE(fd, path, flags) ((int)syscall(SYS_open_tree, fd, path, flags))

/* A directory of which every setting is looked up in the network namespace of who asks. -1: by its path. */
static int settings = -1;

static int make_procfs(void)
{
	int context = FSOPEN("proc", FSOPEN_CLOEXEC);
	if (context < 0)
		return -errno;
	int mount = FSCONFIG(context, FSCONFIG_CMD_CREATE) ? -1 : FSMOUNT(context, FSMOUNT_CLOEXEC, 0);
	int result = mount < 0 ? -errno : mount;
	close(context);
	return result;
}

void net_settings_open(void)
{
	struct statvfs fs;
	if (!statvfs("/proc/sys/net", &fs) && !(fs.f_flag & ST_RDONLY))
		return;
	int procfs = make_procfs();
	if (procfs >= 0) {
		settings = OPEN_TREE(procfs, "sys/net", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
		close(procfs);
	}
	if (settings < 0)
		log_line(LOG_WARNING,
			 "/proc/sys/net is read-only here, and an own one is refused (%s): IPv6 of ports with inbound, "
			 "and of the underlay TAP, does without what needs it; AppArmor's default profile forbids it",
			 strerror(procfs < 0 ? -procfs : errno));
}

int net_settings_write(const char *name, const char *value)
{
	int directory = settings < 0 ? open("/proc/sys/net", O_PATH | O_DIRECTORY | O_CLOEXEC) : settings;
	int fd = directory < 0 ? -1 : openat(directory, name, O_WRONLY | O_CLOEXEC);
	int error = fd < 0 ? -errno : 0;
	if (fd >= 0 && write(fd, value, strlen(value)) < 0)
		error = -errno;
	if (fd >= 0)
		close(fd);
	if (settings < 0 && directory >= 0)
		close(directory);
	return error;
}
