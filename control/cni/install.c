/* SPDX-License-Identifier: Apache-2.0 */
/* install.c - the CNI plugin on a node: the program, and its entry behind the node's own plugins */
#include "control/cni/install.h"

#include "control/base/names.h"
#include "control/cni/confdir.h"
#include "control/cni/conffile.h"
#include "control/cni/request.h"
#include "control/cni/tombstone.h"
#include "tap/base/clock.h"
#include "tap/base/file.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define MAX_PROGRAM (256UL << 20) /* bytes; a build with sanitizers has about ten million */
#define AGAIN 200                 /* ms between two tries */

static struct cni_install install_defaults(const struct cni_install *options)
{
	struct cni_install all = *options;

	all.bin_dir = all.bin_dir ? all.bin_dir : "/opt/cni/bin";
	all.conf_dir = all.conf_dir ? all.conf_dir : "/etc/cni/net.d";
	all.program = all.program ? all.program : "/proc/self/exe";
	all.socket = all.socket ? all.socket : REQUEST_SOCKET;
	all.ifname = all.ifname ? all.ifname : REQUEST_IFNAME;
	all.skip = all.skip ? all.skip : REQUEST_SKIP;
	all.known = all.known ? all.known : REQUEST_KNOWN;
	all.timeout = all.timeout ? all.timeout : REQUEST_TIMEOUT;
	return all;
}

/* The plugin would refuse such an entry for every pod, so refuse it before it is there. */
static int install_check(const struct cni_install *all, struct failure *why)
{
	char agent[108];
	struct refusal refusal;

	if (all->socket[0] != '/' || strlen(all->socket) >= 108 || request_agent_beside(all->socket, agent, &refusal))
		return fail(why, -EINVAL, "socket", "socket: '%.100s' is not an absolute path of at most 96 bytes",
			    all->socket);
	if (!names_ifname_valid(all->ifname))
		return fail(why, -EINVAL, "ifname", "ifname: '%.32s' is not valid; give 1 to 15 of A-Z a-z 0-9 . _ -",
			    all->ifname);
	if (all->timeout > 110)
		return fail(why, -EINVAL, "timeout", "timeout: give 1 to 110 seconds");
	if (all->known[0] != '/' || strlen(all->known) >= sizeof(((struct request *)0)->known))
		return fail(why, -EINVAL, "known", "known: '%.100s' is not an absolute path of at most 255 bytes",
			    all->known);
	if (strlen(all->skip) >= sizeof(((struct request *)0)->skip))
		return fail(why, -EINVAL, "skip_namespaces", "skip-namespaces: give at most 1023 bytes");
	if (all->conf_file && (strchr(all->conf_file, '/') || !strchr(all->conf_file, '.')))
		return fail(why, -EINVAL, "conf_file", "conf_file: '%.64s' is not the name of a file in %.100s",
			    all->conf_file, all->conf_dir);
	return 0;
}

static int program_paths(const struct cni_install *all, char path[PATH_MAX], char temporary[PATH_MAX],
			 struct failure *why)
{
	if (snprintf(path, PATH_MAX, "%s/" PLUGIN_LIST_TYPE, all->bin_dir) >= PATH_MAX ||
	    conffile_temporary(path, temporary))
		return fail(why, -ENAMETOOLONG, "bin_dir", "bin_dir: give a shorter path");
	return 0;
}

static bool program_is_there(const char *path, const char *bytes, size_t size)
{
	struct stat status;
	size_t there;
	char *now;

	if (stat(path, &status) || (status.st_mode & 0555) != 0555 || (size_t)status.st_size != size ||
	    file_read(AT_FDCWD, path, 0, MAX_PROGRAM, &now, &there, NULL))
		return false;
	bool same = there == size && !memcmp(now, bytes, size);
	free(now);
	return same;
}

static int write_program(const struct cni_install *all, const char *bytes, size_t size, bool *put, struct failure *why)
{
	char path[PATH_MAX], temporary[PATH_MAX];

	int error = program_paths(all, path, temporary, why);
	if (error)
		return error;
	int locked = conffile_lock(all->bin_dir);
	*put = !program_is_there(path, bytes, size);
	if (*put)
		error = file_replace(AT_FDCWD, temporary, path, bytes, size, 0755);
	if (locked >= 0)
		close(locked);
	return error ? fail(why, error, "bin_dir", "bin_dir: cannot write %.160s: %s", path, strerror(-error)) : 0;
}

int cni_install_program(const struct cni_install *options, bool *put, struct failure *why)
{
	const struct cni_install all = install_defaults(options);
	struct stat status;
	size_t size;
	char *bytes;
	bool ignored;

	if (stat(all.bin_dir, &status) || !S_ISDIR(status.st_mode))
		return fail(why, -ENOENT, "bin_dir",
			    "bin_dir: no directory %.100s: give the node's directory of CNI plugins, mounted here",
			    all.bin_dir);
	int error = file_read(AT_FDCWD, all.program, 0, MAX_PROGRAM, &bytes, &size, NULL);
	if (error)
		return fail(why, error, NULL, "cannot read %.160s: %s", all.program, strerror(-error));
	error = write_program(&all, bytes, size, put ? put : &ignored, why);
	free(bytes);
	return error;
}

/* No file yet, a half written one, or one that is being changed: worth another try. */
static bool may_change(int error)
{
	return error == -ENOENT || error == -EBADMSG || error == -EAGAIN;
}

static int install_put_entry(const struct cni_install *all, const json_t *entry, struct failure *why)
{
	static const struct timespec pause = {.tv_nsec = AGAIN * 1000000L};
	uint64_t deadline = clock_ms() + all->wait * 1000ull;
	int error;

	for (unsigned i = 0;; i++) {
		error = confdir_chain(all->conf_dir, all->conf_file, entry, why);
		if (!may_change(error) || (clock_ms() >= deadline && (error != -EAGAIN || i >= 10)))
			break;
		nanosleep(&pause, NULL);
	}
	if (error != -ENOENT)
		return error;
	return fail(why, error, "conf_dir",
		    "no network configuration in %.100s after %u s: is this the node's, mounted here, and has the "
		    "cluster's "
		    "network been installed?",
		    all->conf_dir, all->wait);
}

static json_t *install_entry(const struct cni_install *all)
{
	return json_pack("{s:s, s:s, s:s, s:i, s:s, s:s, s:b, s:{s:b}}", "type", PLUGIN_LIST_TYPE, "socket",
			 all->socket, "ifname", all->ifname, "timeout", (int)all->timeout, "skip_namespaces", all->skip,
			 "known", all->known, "fail_status", all->fail_status, "capabilities", REQUEST_ANNOTATIONS,
			 true);
}

int cni_install_look(const struct cni_install *options, struct confdir_look *out, struct failure *why)
{
	struct cni_install all = install_defaults(options);
	json_t *entry = install_entry(&all);

	*out = (struct confdir_look){0};
	int error = entry ? confdir_look(all.conf_dir, all.conf_file, entry, out, why) : -ENOMEM;
	json_decref(entry);
	return error;
}

int cni_install(const struct cni_install *options, struct failure *why)
{
	struct cni_install all = install_defaults(options);

	int error = install_check(&all, why);
	/* The program first: as soon as the entry is there, every new pod needs it. */
	if (!error)
		error = cni_install_program(&all, NULL, why);
	if (error)
		return error;
	json_t *entry = install_entry(&all);
	error = entry ? install_put_entry(&all, entry, why) : fail(why, -ENOMEM, NULL, "out of memory");
	json_decref(entry);
	return error;
}

static int remove_program(const struct cni_install *all, struct failure *why)
{
	char path[PATH_MAX], temporary[PATH_MAX];

	int error = program_paths(all, path, temporary, why);
	if (error)
		return error;
	unlink(temporary);
	if (unlink(path) && errno != ENOENT)
		return fail(why, -errno, "bin_dir", "bin_dir: cannot remove %.160s: %s", path, strerror(errno));
	return 0;
}

/*
 * containerd deletes a pod by the list that is in force then. Multus, and CRI-O (the caller knows), delete it by a copy
 * of the one that it was made with, and fail until every plugin of that is there.
 */
static bool install_is_remembered(const struct cni_install *all)
{
	struct conf_scan scan;

	(void)conf_scan(all->conf_dir, NULL, &scan, NULL);
	return all->keep_program || scan.multus[0];
}

int cni_uninstall(const struct cni_install *options, struct failure *why)
{
	struct cni_install all = install_defaults(options);
	struct failure further;

	bool remembered = install_is_remembered(&all);
	int first = confdir_unchain(all.conf_dir, why);
	if (first == -ENOENT)
		first = 0; /* no directory, no entry */
	/* While the entry is there, pods need the program. */
	int error = first || remembered ? 0 : remove_program(&all, why);
	first = first ? first : error;
	error = tombstone_clear(all.socket, first ? &further : why);
	return first ? first : error;
}
