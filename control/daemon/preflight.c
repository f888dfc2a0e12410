/* SPDX-License-Identifier: Apache-2.0 */
/* preflight.c - what podswitchd lacks here, said at its start instead of at each pod's */
#include "control/daemon/preflight.h"

#include "tap/base/capability.h"
#include "tap/base/log.h"

#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

/* What is kept at the start. Others are given up: nothing of it works by being root. */
static const struct {
	const char *name, *what;
	unsigned capability;
	bool needed;
} wanted_capabilities[] = {
	{"NET_ADMIN", "make interfaces in pods", CAP_NET_ADMIN, true},
	{"SYS_ADMIN", "enter pods' network namespaces", CAP_SYS_ADMIN, true},
	{"NET_RAW", "ask for addresses by DHCP, or look whether gateways answer and addresses are free", CAP_NET_RAW,
	 false},
	{"SYS_PTRACE", "be given to a pod by a process id that is another user's", CAP_SYS_PTRACE, false},
	{"NET_BIND_SERVICE", "have a gateway with a UDP port below 1024", CAP_NET_BIND_SERVICE, false},
};
#define N_WANTED (sizeof(wanted_capabilities) / sizeof(wanted_capabilities[0]))

static int check_capabilities(struct failure *why)
{
	uint64_t own = capability_effective();
	for (size_t i = 0; i < N_WANTED; i++) {
		const char *name = wanted_capabilities[i].name, *what = wanted_capabilities[i].what;
		if (own & CAPABILITY(wanted_capabilities[i].capability))
			continue;
		if (wanted_capabilities[i].needed)
			return fail(why, -EPERM, NULL,
				    "without CAP_%s podswitchd cannot %s: run it as root, or add %s to its container's "
				    "securityContext.capabilities.add",
				    name, what, name);
		log_line(LOG_WARNING, "without CAP_%s no port can %s", name, what);
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
		return fail(
			why, -errno, NULL,
			"/dev/net/tun cannot be opened (%s): allow the container that device (c 10:200); runc 1.2.0 to "
			"1.2.3 and crun before 1.20 forbid it",
			strerror(errno));
	close(fd);
	return 0;
}

int preflight(struct failure *why)
{
	int error = check_capabilities(why);
	return error ? error : check_tun(why);
}

uint64_t preflight_capabilities(void)
{
	uint64_t wanted = CAPABILITY_NONE;
	for (size_t i = 0; i < N_WANTED; i++)
		wanted |= CAPABILITY(wanted_capabilities[i].capability);
	return wanted;
}
