/* SPDX-License-Identifier: Apache-2.0 */
/* capability.c - what a process may do that is root's, and giving up the rest of it */
#include "tap/base/capability.h"

#include <errno.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The calling thread's. libcap's calls would do no more, and glibc has none for these two. */
static int capability_get(struct __user_cap_data_struct data[static _LINUX_CAPABILITY_U32S_3])
{
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	return syscall(SYS_capget, &head, data) ? -errno : 0;
}

static int capability_set(const struct __user_cap_data_struct data[static _LINUX_CAPABILITY_U32S_3])
{
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	return syscall(SYS_capset, &head, data) ? -errno : 0;
}

uint64_t capability_effective(void)
{
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];
	if (capability_get(data))
		return UINT64_MAX;
	return data[0].effective | (uint64_t)data[1].effective << 32;
}

/* Needs CAP_SETPCAP. Who lacks that was started with a bounding set already, which a container's runtime has set. */
static void capability_bound(uint64_t kept)
{
	for (unsigned number = 0; number < 64 && prctl(PR_CAPBSET_READ, number) >= 0; number++)
		if (!(kept & CAPABILITY(number)))
			(void)prctl(PR_CAPBSET_DROP, number);
}

int capability_keep(uint64_t kept)
{
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];
	capability_bound(kept);
	(void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	int error = capability_get(data);
	if (error)
		return error;
	for (int half = 0; half < _LINUX_CAPABILITY_U32S_3; half++) {
		data[half].permitted &= (uint32_t)(kept >> 32 * half);
		data[half].effective = data[half].permitted;
		data[half].inheritable = 0;
	}
	return capability_set(data);
}
