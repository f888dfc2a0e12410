/* SPDX-License-Identifier: Apache-2.0 */
/*
 * underlay.c - the UDP sockets of a VTEP in one network namespace
 *
 * A socket stays in the namespace in which it was made, so a pod's underlay is opened there and then used from the
 * host's.
 *
 * The sockets do not change after underlay_open(). The one thing that threads share is the question for a path MTU: it
 * connects the `path` socket, reads the MTU and the local address, and another thread must not come between. A flag
 * that is spun on guards it; it is asked rarely.
 */
#include "vswitch/base/underlay.h"

#include "tap/base/wire.h"

#include <linux/sock_diag.h>
#include <net/if.h>
#include <netinet/udp.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <unistd.h>

#define RECEIVE_BUFFER (8 << 20) /* bytes: what a fast link brings in a few milliseconds, while the worker is busy */
#define SEND_BUFFER (4 << 20)
#define UDP_NO_CHECK6_RX_OPTION 102 /* UDP_NO_CHECK6_RX in Linux's udp.h, which clashes with netinet/udp.h */
#define PORT_TRIES 64

static const int families[UNDERLAY_FAMILIES] = {AF_INET, AF_INET6};

static void set_int(int fd, int level, int option, int value)
{
	/* What a kernel lacks here costs speed or a feature, never correctness. */
	(void)setsockopt(fd, level, option, &value, sizeof(value));
}

static int underlay_socket(int family)
{
	int fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_UDP);
	if (fd < 0)
		return -errno;
	if (family == AF_INET) {
		set_int(fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_PROBE);
	} else {
		set_int(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
		set_int(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_PROBE);
		set_int(fd, IPPROTO_IPV6, IPV6_DONTFRAG, 1);
	}
	return fd;
}

static int bind_socket(int fd, int family, const struct address *local, uint16_t port)
{
	struct endpoint endpoint = {.address = {.family = (uint8_t)family}, .port = port};
	if (local->family)
		endpoint.address = *local;
	struct sockaddr_storage to;
	socklen_t length = endpoint_to_sockaddr(&endpoint, &to);
	return bind(fd, (struct sockaddr *)&to, length) ? -errno : 0;
}

static int open_receiver(int family, const struct address *local, uint16_t port, bool shared, bool gro)
{
	int fd = underlay_socket(family);
	if (fd < 0)
		return fd;
	/* Only if there are several receivers: another program of the same user could join in. */
	if (shared)
		set_int(fd, SOL_SOCKET, SO_REUSEPORT, 1);
	set_int(fd, SOL_SOCKET, SO_RCVBUF, RECEIVE_BUFFER);
	set_int(fd, SOL_SOCKET, SO_RCVBUFFORCE, RECEIVE_BUFFER);
	set_int(fd, SOL_UDP, UDP_GRO, gro);
	if (family == AF_INET) {
		set_int(fd, IPPROTO_IP, IP_RECVTOS, 1);
	} else {
		set_int(fd, IPPROTO_IPV6, IPV6_RECVTCLASS, 1);
		set_int(fd, SOL_UDP, UDP_NO_CHECK6_RX_OPTION, 1);
	}
	int error = bind_socket(fd, family, local, port);
	if (error) {
		close(fd);
		return error;
	}
	return fd;
}

/* Random ports of the dynamic range, so that the pools of many pods, or of a restart, do not collide. */
static int open_source(int family, const struct address *local, uint16_t *chosen)
{
	int fd = underlay_socket(family);
	if (fd < 0)
		return fd;
	set_int(fd, SOL_SOCKET, SO_SNDBUF, SEND_BUFFER);
	set_int(fd, SOL_SOCKET, SO_SNDBUFFORCE, SEND_BUFFER);
	/* Nothing is read from it, so nothing should be queued for it. */
	set_int(fd, SOL_SOCKET, SO_RCVBUF, 0);
	int error = -EADDRINUSE;
	for (int i = 0; i < PORT_TRIES && error == -EADDRINUSE; i++) {
		uint16_t random;
		if (getrandom(&random, sizeof(random), 0) != sizeof(random))
			random = (uint16_t)(i * 257);
		*chosen = (uint16_t)(SOURCE_PORT_FIRST + random % (SOURCE_PORT_LAST - SOURCE_PORT_FIRST + 1));
		error = bind_socket(fd, family, local, *chosen);
	}
	if (error) {
		close(fd);
		return error;
	}
	return fd;
}

static int open_family(struct underlay *underlay, int which, const struct address *local)
{
	struct underlay_family *family = &underlay->family[which];
	for (unsigned i = 0; i < underlay->receivers; i++) {
		int fd = open_receiver(families[which], local, underlay->port, underlay->receivers > 1, underlay->gro);
		if (fd < 0)
			return fd;
		family->receive[i] = fd;
	}
	for (unsigned i = 0; i < underlay->sources; i++) {
		int fd = open_source(families[which], local, &family->source_port[i]);
		if (fd < 0)
			return fd;
		family->source[i] = fd;
	}
	family->path = underlay_socket(families[which]);
	if (family->path < 0)
		return family->path;
	/* Bound to the address of the others, so that the path it learns is theirs. */
	return local->family ? bind_socket(family->path, families[which], local, 0) : 0;
}

static void close_family(struct underlay_family *family)
{
	for (int i = 0; i < SWITCH_MAX_WORKERS; i++)
		if (family->receive[i] >= 0)
			close(family->receive[i]);
	for (int i = 0; i < UNDERLAY_HOST_SOURCES; i++)
		if (family->source[i] >= 0)
			close(family->source[i]);
	if (family->path >= 0)
		close(family->path);
	memset(family, 0xff, sizeof(*family)); /* makes every descriptor -1 */
}

static int underlay_explain(int error, uint16_t port, struct failure *why)
{
	if (error == -EADDRINUSE)
		return fail(why, error, "port",
			    "UDP port %u is in use there by another program or a kernel vxlan device; "
			    "free it, or use --underlay pod or another --port",
			    port);
	if (error == -EADDRNOTAVAIL)
		return fail(why, error, "vtep", "the --vtep address is not one of this network namespace");
	if (error == -EMFILE || error == -ENFILE)
		return fail(why, error, NULL, "out of file descriptors; raise the limit (LimitNOFILE, ulimit -n)");
	return fail(why, error, NULL, "UDP sockets on port %u: %s", port, strerror(-error));
}

static const struct address *vtep_of(const struct address vtep[2], int which)
{
	static const struct address any;
	for (int i = 0; i < 2; i++)
		if (vtep[i].family == families[which])
			return &vtep[i];
	return &any;
}

int underlay_open(struct underlay **out, uint16_t port, unsigned receivers, unsigned sources,
		  const struct address vtep[2], bool gro, struct failure *why)
{
	struct underlay *underlay = calloc(1, sizeof(*underlay));
	if (!underlay)
		return fail(why, -ENOMEM, NULL, "out of memory");
	memset(underlay->family, 0xff, sizeof(underlay->family));
	underlay->port = port;
	underlay->receivers = receivers;
	underlay->sources = sources;
	underlay->gro = gro;
	for (int which = 0; which < UNDERLAY_FAMILIES; which++) {
		const struct address *local = vtep_of(vtep, which);
		int error = open_family(underlay, which, local);
		/* Without IPv6 in the kernel, or with IPv6 disabled, IPv4 alone serves. */
		if (which == UNDERLAY_IP6 && (error == -EAFNOSUPPORT || error == -EADDRNOTAVAIL) && !local->family) {
			close_family(&underlay->family[which]);
			continue;
		}
		if (error) {
			underlay_close(underlay);
			return underlay_explain(error, port, why);
		}
	}
	*out = underlay;
	return 0;
}

void underlay_close(struct underlay *underlay)
{
	if (!underlay)
		return;
	for (int which = 0; which < UNDERLAY_FAMILIES; which++)
		close_family(&underlay->family[which]);
	free(underlay);
}

/* Handing over */

size_t underlay_descriptors(const struct underlay *underlay, struct underlay_shape *shape,
			    int out[static UNDERLAY_MAX_FDS])
{
	size_t n = 0;
	*shape = (struct underlay_shape){
		.port = underlay->port, .receivers = underlay->receivers, .sources = underlay->sources};
	for (int which = 0; which < UNDERLAY_FAMILIES; which++) {
		const struct underlay_family *family = &underlay->family[which];
		shape->has[which] = family->path >= 0;
		if (!shape->has[which])
			continue;
		for (unsigned i = 0; i < underlay->receivers; i++)
			out[n++] = family->receive[i];
		for (unsigned i = 0; i < underlay->sources; i++)
			out[n++] = family->source[i];
		out[n++] = family->path;
	}
	return n;
}

void underlay_mark(const struct underlay *underlay, uint32_t mark)
{
	int fds[UNDERLAY_MAX_FDS];
	struct underlay_shape shape;
	size_t n = underlay_descriptors(underlay, &shape, fds);
	for (size_t i = 0; i < n; i++)
		set_int(fds[i], SOL_SOCKET, SO_MARK, (int)mark);
}

/* Whether it is a UDP socket of this family, with its local endpoint. */
static bool is_udp_socket(int fd, int family, struct endpoint *local)
{
	int type = 0, domain = 0, protocol = 0;
	socklen_t size = sizeof(type);
	struct sockaddr_storage at = {0};
	if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) ||
	    getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) ||
	    getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &size))
		return false;
	size = sizeof(at);
	if (type != SOCK_DGRAM || domain != family || protocol != IPPROTO_UDP ||
	    getsockname(fd, (struct sockaddr *)&at, &size))
		return false;
	return !endpoint_from_sockaddr((const struct sockaddr *)&at, size, local);
}

static bool is_bound_to(const struct endpoint *local, const struct address *wanted)
{
	return wanted->family ? address_equal(&local->address, wanted) : address_is_any(&local->address);
}

/* Of one family; `fds` has as many as the shape says. */
static bool take_family(struct underlay *underlay, int which, const int *fds, const struct address *wanted)
{
	struct underlay_family *family = &underlay->family[which];
	struct endpoint local = {0};
	bool right = true;
	for (unsigned i = 0; i < underlay->receivers; i++) {
		family->receive[i] = *fds++;
		right = right && is_udp_socket(family->receive[i], families[which], &local) &&
			local.port == underlay->port && is_bound_to(&local, wanted);
		set_int(family->receive[i], SOL_UDP, UDP_GRO, underlay->gro);
	}
	for (unsigned i = 0; i < underlay->sources; i++) {
		family->source[i] = *fds++;
		right = right && is_udp_socket(family->source[i], families[which], &local) &&
			is_bound_to(&local, wanted);
		family->source_port[i] = local.port;
	}
	family->path = *fds;
	return right && is_udp_socket(family->path, families[which], &local);
}

static bool fits_shape(const struct underlay_shape *shape, size_t n)
{
	size_t each = shape->receivers + shape->sources + 1;
	return shape->receivers >= 1 && shape->receivers <= SWITCH_MAX_WORKERS && shape->sources >= 1 &&
	       shape->sources <= UNDERLAY_HOST_SOURCES && shape->has[UNDERLAY_IP4] &&
	       n == each * (shape->has[UNDERLAY_IP6] ? 2 : 1);
}

int underlay_assemble(struct underlay **out, const struct underlay_shape *shape, const int *fds, size_t n,
		      const struct address vtep[2], bool gro, struct failure *why)
{
	struct underlay *underlay = fits_shape(shape, n) ? calloc(1, sizeof(*underlay)) : NULL;
	if (!underlay) {
		for (size_t i = 0; i < n; i++)
			close(fds[i]);
		return fail(why, -EINVAL, NULL, "the sockets of UDP port %u are not complete", shape->port);
	}
	memset(underlay->family, 0xff, sizeof(underlay->family));
	underlay->port = shape->port;
	underlay->receivers = shape->receivers;
	underlay->sources = shape->sources;
	underlay->gro = gro;
	bool right = true;
	for (int which = 0; which < UNDERLAY_FAMILIES; which++) {
		if (shape->has[which])
			right = take_family(underlay, which, fds, vtep_of(vtep, which)) && right;
		fds += shape->receivers + shape->sources + 1;
	}
	if (!right) {
		underlay_close(underlay);
		return fail(why, -EINVAL, "vtep",
			    "the sockets of UDP port %u are bound to another address: another --vtep needs a restart "
			    "without --takeover",
			    shape->port);
	}
	*out = underlay;
	return 0;
}

static int add_receiver(struct underlay *underlay, int which, unsigned at, const struct address *local)
{
	struct underlay_family *family = &underlay->family[which];
	if (family->path < 0)
		return 0;
	/* The one that was alone did not share. */
	set_int(family->receive[0], SOL_SOCKET, SO_REUSEPORT, 1);
	int fd = open_receiver(families[which], local, underlay->port, true, underlay->gro);
	family->receive[at] = fd < 0 ? -1 : fd;
	return fd < 0 ? fd : 0;
}

int underlay_add_receivers(struct underlay *underlay, unsigned receivers, const struct address vtep[2],
			   struct failure *why)
{
	while (underlay->receivers < receivers) {
		unsigned at = underlay->receivers;
		int error = 0;
		for (int which = 0; !error && which < UNDERLAY_FAMILIES; which++)
			error = add_receiver(underlay, which, at, vtep_of(vtep, which));
		if (error) {
			close(underlay->family[UNDERLAY_IP4].receive[at]);
			underlay->family[UNDERLAY_IP4].receive[at] = -1;
			return underlay_explain(error, underlay->port, why);
		}
		underlay->receivers++;
	}
	return 0;
}

int underlay_source(const struct underlay *underlay, sa_family_t family, uint64_t hash)
{
	return underlay->family[family == AF_INET6].source[hash % underlay->sources];
}

uint16_t underlay_source_port(const struct underlay *underlay, sa_family_t family, uint64_t hash)
{
	return underlay->family[family == AF_INET6].source_port[hash % underlay->sources];
}

static uint32_t socket_drops(int fd)
{
	uint32_t info[SK_MEMINFO_VARS] = {0};
	socklen_t size = sizeof(info);
	return getsockopt(fd, SOL_SOCKET, SO_MEMINFO, info, &size) ? 0 : info[SK_MEMINFO_DROPS];
}

uint64_t underlay_overruns(struct underlay *underlay)
{
	uint64_t sum = 0;
	for (int which = 0; which < UNDERLAY_FAMILIES; which++) {
		for (unsigned i = 0; i < underlay->receivers; i++) {
			int fd = underlay->family[which].receive[i];
			uint32_t now = fd < 0 ? 0 : socket_drops(fd);
			sum += now - underlay->dropped[which][i]; /* 32 bits, which may wrap */
			underlay->dropped[which][i] = now;
		}
	}
	return sum;
}

static int path_mtu(int fd, const struct sockaddr_storage *to)
{
	static const struct sockaddr nowhere = {.sa_family = AF_UNSPEC};
	bool ip6 = to->ss_family == AF_INET6;
	int mtu = 0;
	socklen_t length = sockaddr_size(to->ss_family), size = sizeof(mtu);
	/*
	 * A connected socket keeps its source address when it is connected elsewhere, even one that the node no longer
	 * has. So it is disconnected first.
	 */
	if (connect(fd, &nowhere, sizeof(nowhere)) || connect(fd, (const struct sockaddr *)to, length) ||
	    getsockopt(fd, ip6 ? IPPROTO_IPV6 : IPPROTO_IP, ip6 ? IPV6_MTU : IP_MTU, &mtu, &size))
		return -errno;
	return mtu;
}

/* The MTU of the device that has the IPv4 address, or 0. In the socket's network namespace, not the thread's. */
static int device_mtu(int fd, const struct sockaddr_in *local)
{
	struct ifconf list = {0};
	int mtu = 0;
	if (ioctl(fd, SIOCGIFCONF, &list) || list.ifc_len <= 0)
		return 0;
	list.ifc_buf = calloc(1, (size_t)list.ifc_len);
	if (list.ifc_buf && !ioctl(fd, SIOCGIFCONF, &list)) {
		for (size_t i = 0; !mtu && i < (size_t)list.ifc_len / sizeof(struct ifreq); i++) {
			struct ifreq *device = &list.ifc_req[i];
			const struct sockaddr_in *its = (const struct sockaddr_in *)&device->ifr_addr;
			if (its->sin_addr.s_addr == local->sin_addr.s_addr && !ioctl(fd, SIOCGIFMTU, device))
				mtu = device->ifr_mtu;
		}
	}
	free(list.ifc_buf);
	return mtu;
}

/* Below the floor only what the node's own device says; IPv6 has the floor in the kernel (RFC 8201, section 4). */
static int believed(int fd, int mtu, sa_family_t family, const struct sockaddr_storage *local)
{
	if (mtu <= 0 || mtu >= UNDERLAY_PATH_FLOOR || family != AF_INET)
		return mtu;
	int device = device_mtu(fd, (const struct sockaddr_in *)local);
	return device && device < UNDERLAY_PATH_FLOOR ? device : UNDERLAY_PATH_FLOOR;
}

int underlay_path(const struct underlay *underlay, const struct sockaddr_storage *to, struct sockaddr_storage *from)
{
	/* Several calls that another thread must not interrupt. */
	static atomic_flag asking = ATOMIC_FLAG_INIT;
	int fd = underlay->family[to->ss_family == AF_INET6].path;
	socklen_t size = sizeof(*from);
	while (atomic_flag_test_and_set_explicit(&asking, memory_order_acquire))
		sched_yield();
	*from = (struct sockaddr_storage){0};
	int mtu = path_mtu(fd, to);
	if (mtu > 0 && getsockname(fd, (struct sockaddr *)from, &size))
		mtu = -errno;
	mtu = believed(fd, mtu, to->ss_family, from);
	if (mtu > 0)
		((struct sockaddr_in *)from)->sin_port =
			0; /* the port differs each time; it is at the same offset in both families */
	atomic_flag_clear_explicit(&asking, memory_order_release);
	return mtu;
}

int underlay_path_mtu(const struct underlay *underlay, const struct sockaddr_storage *to)
{
	struct sockaddr_storage from;
	return underlay_path(underlay, to, &from);
}
