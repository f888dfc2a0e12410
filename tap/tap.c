/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tap.c - the TAP device that is a pod's port
 *
 * TUNSETIFF means "attach, or make it". Here the two must never be mistaken for each other. Making uses IFF_TUN_EXCL,
 * which the kernel checks under its own lock. For attaching there is no such flag. But a device that TUNSETIFF has just
 * made, because the old one vanished a moment ago, is not persistent: that shows, and it goes away when its descriptor
 * is closed.
 *
 * Whether a TAP may have several queues is decided when it is made, and TUNSETIFF has to say the same ever after. Such
 * a TAP refuses nobody who attaches: whoever has it already shows in the number of its queues.
 */
#include "tap/tap.h"
#include "tap/link.h"
#include "tap/steering.h"

#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define TUN_DEVICE "/dev/net/tun"
#define TAP_FLAGS (IFF_TAP | IFF_NO_PI | IFF_VNET_HDR)
#define UNDERLAY_NAME "podswitch%d" /* the kernel fills in the first free number */

/* Offloads that Debian 12's if_tun.h (Linux 6.1) does not have. */
#define OFFLOAD_USO (0x20 | 0x40)     /* Linux 6.2, both or none */
#define OFFLOAD_TUNNEL (0x80 | 0x100) /* Linux 6.17, with and without the outer checksum */
#define OFFLOAD_BASIC (TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN)

/* What the kernel accepts as a name, but without '%', which it would treat as a pattern. */
static int check_name(const char *ifname, struct failure *why)
{
	size_t length = strlen(ifname);

	if (!length || length >= IFNAMSIZ || !strcmp(ifname, ".") || !strcmp(ifname, ".."))
		return fail(why, -EINVAL, "ifname", "\"%.40s\" is not an interface name: 1 to %d characters", ifname,
			    IFNAMSIZ - 1);
	for (const char *c = ifname; *c; c++) {
		if ((unsigned char)*c <= ' ' || *c == 0x7f || strchr("/:%", *c))
			return fail(why, -EINVAL, "ifname",
				    "an interface name holds no blanks, control characters, '/', ':' or '%%'");
	}
	return 0;
}

static int open_tun(struct failure *why)
{
	int fd = open(TUN_DEVICE, O_RDWR | O_NONBLOCK | O_CLOEXEC);

	if (fd >= 0)
		return fd;
	int error = errno;
	/* ENODEV, ENXIO: the device node exists, but the module behind it does not. */
	if (error == ENOENT || error == ENODEV || error == ENXIO)
		return fail(why, -ENOENT, NULL,
			    TUN_DEVICE " is missing: load the tun module (modprobe tun) or mount " TUN_DEVICE
				       " into the container");
	if (error == EPERM || error == EACCES)
		return fail(why, -EPERM, NULL,
			    TUN_DEVICE
			    " may not be opened: run as root, and allow the container that device (c 10:200)");
	return fail(why, -error, NULL, "cannot open " TUN_DEVICE ": %s", strerror(error));
}

static int set_interface(int fd, const char *ifname, int flags)
{
	struct ifreq request = {.ifr_flags = (short)flags};

	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", ifname);
	return ioctl(fd, TUNSETIFF, &request) ? -errno : 0;
}

/*
 * Sets everything about the device that matters to us, whatever an earlier owner did to it. Persistence comes last: if
 * anything fails, a new device goes away with its descriptor.
 */
static int configure(int fd, const char *ifname, struct failure *why)
{
	int header = TAP_VNET_HEADER;

	if (ioctl(fd, TUNSETVNETHDRSZ, &header) || ioctl(fd, TUNSETOFFLOAD, 0UL) || ioctl(fd, TUNSETPERSIST, 1UL)) {
		int error = errno;
		return fail(why, -error, NULL, "cannot set up the TAP %s: %s", ifname, strerror(error));
	}
	return 0;
}

static int explain_create(int code, const char *ifname, struct failure *why)
{
	switch (code) {
	case -EBUSY:
	case -EEXIST:
		return fail(why, -EEXIST, "ifname", "there is already an interface %s; choose another name", ifname);
	case -EPERM:
		return fail(why, -EPERM, NULL, "making a TAP needs CAP_NET_ADMIN");
	case -EINVAL:
		return fail(why, -EINVAL, "ifname", "the kernel does not accept %s as an interface name", ifname);
	default:
		return fail(why, code, NULL, "cannot make the TAP %s: %s", ifname, strerror(-code));
	}
}

int tap_create(const char *ifname, int *fd, struct failure *why)
{
	int code = check_name(ifname, why);
	if (code)
		return code;
	int tun = open_tun(why);
	if (tun < 0)
		return tun;
	code = set_interface(tun, ifname, TAP_FLAGS | IFF_TUN_EXCL | (steering_works() ? IFF_MULTI_QUEUE : 0));
	code = code ? explain_create(code, ifname, why) : configure(tun, ifname, why);
	if (!code && steering_works() && (code = steering_set(tun, false)))
		fail(why, code, NULL, "cannot set up the queues of the TAP %s: %s", ifname, strerror(-code));
	if (code)
		close(tun);
	else
		*fd = tun;
	return code;
}

static int explain_adopt(int code, const char *ifname, struct failure *why)
{
	switch (code) {
	case -EBUSY:
		return fail(why, -EBUSY, "ifname", "the TAP %s is held by another process", ifname);
	case -EINVAL:
		return fail(why, -ENODEV, "ifname", "the interface %s is not a TAP of podswitchd", ifname);
	case -ENODEV:
		return fail(why, -ENODEV, "ifname", "no TAP %s is there", ifname);
	case -EPERM:
		return fail(why, -EPERM, NULL, "attaching to a TAP needs CAP_NET_ADMIN");
	default:
		return fail(why, code, NULL, "cannot attach to the TAP %s: %s", ifname, strerror(-code));
	}
}

/* To a persistent TAP that was there: one that TUNSETIFF has just made is not. */
static int attach_queue(int tun, const char *ifname, int flags)
{
	struct ifreq found = {0};
	int code = set_interface(tun, ifname, flags);

	if (!code && (ioctl(tun, TUNGETIFF, &found) || !((unsigned)found.ifr_flags & IFF_PERSIST)))
		code = -ENODEV;
	return code;
}

static int tap_attach(int tun, const char *ifname, struct failure *why)
{
	struct link_queues queues;
	int code = attach_queue(tun, ifname, TAP_FLAGS | IFF_MULTI_QUEUE);

	if (code == -EINVAL)
		code = attach_queue(tun, ifname, TAP_FLAGS);
	if (!code && !link_get_queues(ifname, &queues, NULL) && queues.n > 1)
		code = -EBUSY;
	return code ? explain_adopt(code, ifname, why) : configure(tun, ifname, why);
}

int tap_adopt(const char *ifname, int *fd, struct failure *why)
{
	int code = check_name(ifname, why);
	if (code)
		return code;
	if (!if_nametoindex(ifname))
		return fail(why, -ENODEV, "ifname", "no TAP %s is there", ifname);
	int tun = open_tun(why);
	if (tun < 0)
		return tun;
	code = tap_attach(tun, ifname, why);
	if (code)
		close(tun);
	else
		*fd = tun;
	return code;
}

int tap_adopt_own(const char *ifname, const struct mac *mac, int *fd, struct failure *why)
{
	struct mac found;
	char text[MAC_TEXT];

	/* Before it is opened, so that nobody else finds it busy. What cannot be looked at, cannot be opened. */
	if (!link_find(ifname, &found, NULL) && !mac_equal(&found, mac))
		return fail(why, -ENODEV, "ifname", "the interface %s there is another pod's: its MAC is %s", ifname,
			    mac_format(&found, text));
	return tap_adopt(ifname, fd, why);
}

int tap_open_queue(int first, int *fd, struct failure *why)
{
	struct ifreq found = {0};

	if (ioctl(first, TUNGETIFF, &found))
		return fail(why, -errno, NULL, "the TAP gets no further queue: %s", strerror(errno));
	int tun = open_tun(why);
	if (tun < 0)
		return tun;
	int code = attach_queue(tun, found.ifr_name, TAP_FLAGS | IFF_MULTI_QUEUE);
	if (code) {
		close(tun);
		return fail(why, code, NULL, "the TAP %s gets no further queue: %s", found.ifr_name, strerror(-code));
	}
	*fd = tun;
	return 0;
}

int tap_set_offloads(int fd, bool on, bool *uso)
{
	*uso = ioctl(fd, TUNSETOFFLOAD, (unsigned long)(OFFLOAD_BASIC | OFFLOAD_USO)) == 0;
	if (!on)
		return ioctl(fd, TUNSETOFFLOAD, 0UL) ? -errno : 0;
	if (*uso || !ioctl(fd, TUNSETOFFLOAD, (unsigned long)OFFLOAD_BASIC))
		return 0;
	int error = -errno;
	ioctl(fd, TUNSETOFFLOAD, 0UL);
	return error;
}

int tap_create_underlay(char *ifname, int *fd, struct failure *why)
{
	struct ifreq request = {.ifr_name = UNDERLAY_NAME, .ifr_flags = TAP_FLAGS};
	int header = TAP_TUNNEL_VNET_HEADER;
	int tun = open_tun(why);

	if (tun < 0)
		return tun;
	int error = ioctl(tun, TUNSETIFF, &request) ? errno : 0;
	if (error) {
		close(tun);
		return explain_create(-error, UNDERLAY_NAME, why);
	}
	if (ioctl(tun, TUNSETVNETHDRSZ, &header) ||
	    ioctl(tun, TUNSETOFFLOAD, (unsigned long)(OFFLOAD_BASIC | OFFLOAD_USO | OFFLOAD_TUNNEL))) {
		close(tun);
		return fail(why, -ENOTSUP, NULL,
			    "this kernel's TAPs do not support tunnel GSO, which came with Linux 6.17");
	}
	memcpy(ifname, request.ifr_name, IFNAMSIZ);
	*fd = tun;
	return 0;
}

int tap_forsake(int fd, char *ifname)
{
	struct ifreq found = {0};

	if (ioctl(fd, TUNGETIFF, &found) || ioctl(fd, TUNSETPERSIST, 0UL))
		return -errno;
	memcpy(ifname, found.ifr_name, IFNAMSIZ);
	return 0;
}
