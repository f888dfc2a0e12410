/* SPDX-License-Identifier: Apache-2.0 */
/* preflight.c - what podswitchd lacks here, said at its start instead of at each pod's */
#include "control/daemon/preflight.h"

#include "tap/base/log.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static const struct {
	unsigned capability;
	const char *name, *what;
	bool needed;
} wanted_capabilities[] = {
	{CAP_NET_ADMIN, "CAP_NET_ADMIN", "make interfaces in pods", true},
	{CAP_SYS_ADMIN, "CAP_SYS_ADMIN", "enter pods' network namespaces", true},
	{CAP_NET_RAW, "CAP_NET_RAW", "ask for addresses by DHCP, or look whether gateways answer", false},
};

/* Bits of the effective set. Without an answer, none is said to be missing. */
static uint64_t own_capabilities(void)
{
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];
	if (syscall(SYS_capget, &head, data))
		return UINT64_MAX;
	return data[0].effective | (uint64_t)data[1].effective << 32;
}

static int check_capabilities(struct failure *why)
{
	uint64_t own = own_capabilities();
	for (size_t i = 0; i < sizeof(wanted_capabilities) / sizeof(wanted_capabilities[0]); i++) {
		const char *name = wanted_capabilities[i].name, *what = wanted_capabilities[i].what;
		if (own >> wanted_capabilities[i].capability & 1)
			continue;
		if (wanted_capabilities[i].needed)
			return fail(why, -EPERM, NULL,
				    "without %s podswitchd cannot %s: run it as root, or give the container that "
				    "capability (privileged: true)",
				    name, what);
		log_line(LOG_WARNING, "without %s no port can %s", name, what);
	}
	return 0;
}

static int check_tun(struct failure *why)
{
	int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
	if (fd < 0 && (errno == ENOENT || errno == ENXIO || errno == ENODEV))
		return fail(why, -errno, NULL,
			    "/dev/net/tun is not there: load the kernel's module on the node (modprobe tun), or give "
			    "the container the device");
	if (fd < 0)
		return fail(why, -errno, NULL,
			    "/dev/net/tun cannot be opened (%s): give the container that device (privileged: true)",
			    strerror(errno));
	close(fd);
	return 0;
}

int preflight(struct failure *why)
{
	int error = check_capabilities(why);
	return error ? error : check_tun(why);
}
