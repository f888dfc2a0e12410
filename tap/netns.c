/* SPDX-License-Identifier: Apache-2.0 */
/* netns.c - finding, entering and leaving a pod's network namespace */
#include "tap/netns.h"

#include "tap/base/log.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#define NAMED "/run/netns/"

/* The path that `spec` stands for; -EINVAL if it is malformed. */
static int netns_path(const char *spec, char path[static PATH_MAX])
{
	const char *before = "", *after = "";

	if (!*spec || !strcmp(spec, ".") || !strcmp(spec, ".."))
		return -EINVAL;
	if (strspn(spec, "0123456789") == strlen(spec)) {
		before = "/proc/";
		after = "/ns/net";
	} else if (!strchr(spec, '/')) {
		before = NAMED;
	}
	return snprintf(path, PATH_MAX, "%s%s%s", before, spec, after) < PATH_MAX ? 0 : -EINVAL;
}

static int explain_open(int error, const char *spec, const char *path, struct failure *why)
{
	switch (error) {
	case ENAMETOOLONG:
		return fail(why, -EINVAL, "netns", "%.80s... is too long for a name", spec);
	case ENOENT:
	case ENOTDIR:
	case ELOOP:
	case ESRCH:
		return fail(why, -ENOENT, "netns", "no network namespace %.80s: %.128s does not exist", spec, path);
	case EACCES:
	case EPERM:
		return fail(why, -error, "netns", "%.128s may not be opened: run as root (CAP_SYS_PTRACE for /proc)",
			    path);
	default:
		return fail(why, -error, "netns", "cannot open %.128s: %s", path, strerror(error));
	}
}

/*
 * A name under /run/netns is a file on which the namespace is mounted. A container that does not receive the host's
 * mounts sees the bare file. That is by far the most likely reason to come here.
 */
static int refuse_file(const char *path, struct failure *why)
{
	if (!strncmp(path, NAMED, strlen(NAMED)))
		return fail(why, -EINVAL, "netns",
			    "%.80s is not a network namespace; in a container, mount /run/netns with mountPropagation "
			    "HostToContainer",
			    path);
	return fail(why, -EINVAL, "netns", "%.128s is not a network namespace", path);
}

static int open_path(const char *spec, const char *path, struct netns *out, struct failure *why)
{
	struct statfs fs;
	struct stat st;

	/* Checked before it is opened: opening a FIFO or a device has side effects. */
	if (statfs(path, &fs))
		return explain_open(errno, spec, path, why);
	if ((unsigned long)fs.f_type != NSFS_MAGIC)
		return refuse_file(path, why);
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return explain_open(errno, spec, path, why);
	if (ioctl(fd, NS_GET_NSTYPE) != CLONE_NEWNET || fstat(fd, &st)) {
		close(fd);
		return refuse_file(path, why);
	}
	*out = (struct netns){.fd = fd, .dev = st.st_dev, .ino = st.st_ino};
	return 0;
}

int netns_open(const char *spec, struct netns *out, struct failure *why)
{
	char path[PATH_MAX];

	if (netns_path(spec, path))
		return fail(why, -EINVAL, "netns", "\"%.80s\" is not a name under /run/netns, a path or a process id",
			    spec);
	return open_path(spec, path, out, why);
}

int netns_open_own(struct netns *out, struct failure *why)
{
	const char *path = "/proc/thread-self/ns/net";

	return open_path(path, path, out, why);
}

void netns_close(struct netns *ns)
{
	if (ns->fd >= 0)
		close(ns->fd);
	ns->fd = -1;
}

bool netns_is(const char *spec, const struct netns *ns)
{
	char path[PATH_MAX];
	struct stat st;

	/* While ns->fd is open the namespace exists, so its inode number cannot be another's. */
	return !netns_path(spec, path) && !stat(path, &st) && st.st_dev == ns->dev && st.st_ino == ns->ino;
}

int netns_enter(const struct netns *ns, struct failure *why)
{
	if (!setns(ns->fd, CLONE_NEWNET))
		return 0;
	int error = errno;
	if (error == EPERM)
		return fail(why, -EPERM, "netns", "entering a network namespace needs CAP_SYS_ADMIN");
	return fail(why, -error, "netns", "cannot enter the network namespace: %s", strerror(error));
}

void netns_return(const struct netns *home)
{
	if (!setns(home->fd, CLONE_NEWNET))
		return;
	log_line(LOG_ERROR, "cannot return to podswitchd's own network namespace: %s", strerror(errno));
	abort();
}
