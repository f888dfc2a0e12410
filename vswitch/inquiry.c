/* SPDX-License-Identifier: Apache-2.0 */
/* inquiry.c - asks the network why a remote does not answer */
#include "vswitch/inquiry.h"

#include "tap/base/wire.h"
#include "vswitch/path/probe.h"

#include <linux/errqueue.h>
#include <linux/icmp.h>
#include <linux/icmpv6.h>
#include <netinet/in.h>
#include <string.h>
#include <unistd.h>

#ifndef IPV6_RECVERR
#define IPV6_RECVERR 25
#endif

/* Linux 6.3; its port in the lower half, or another of the kernel's choice before. */
#ifndef IP_LOCAL_PORT_RANGE
#define IP_LOCAL_PORT_RANGE 51
#endif
#define DYNAMIC_PORTS (49152U | 65535U << 16) /* like those of all datagrams to a VTEP (RFC 7348, section 5) */

static int bind_inquiry(int fd, const struct address *from)
{
	struct endpoint own = {.address = *from};
	struct sockaddr_storage name;
	socklen_t length = endpoint_to_sockaddr(&own, &name);
	return bind(fd, (const struct sockaddr *)&name, length);
}

int inquiry_send(const struct sockaddr_storage *to, const struct address *from)
{
	bool ip6 = to->ss_family == AF_INET6;
	int on = 1, fd = socket(to->ss_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_UDP);
	uint32_t ports = DYNAMIC_PORTS;
	uint8_t datagram[VXLAN_HEADER];
	if (fd < 0)
		return -errno;
	probe_fill(datagram, 0);
	(void)setsockopt(fd, IPPROTO_IP, IP_LOCAL_PORT_RANGE, &ports, sizeof(ports));
	if (setsockopt(fd, ip6 ? IPPROTO_IPV6 : IPPROTO_IP, ip6 ? IPV6_RECVERR : IP_RECVERR, &on, sizeof(on)) ||
	    (from && bind_inquiry(fd, from)) ||
	    connect(fd, (const struct sockaddr *)to, sockaddr_size(to->ss_family)) ||
	    send(fd, datagram, sizeof(datagram), MSG_DONTWAIT) < 0) {
		int error = -errno;
		close(fd);
		return error;
	}
	return fd;
}

/* RFC 792 and RFC 1812, section 5.2.7.1 */
static const char *inquiry_meaning4(uint8_t type, uint8_t code)
{
	static const char *const unreachable[] = {
		[ICMP_NET_UNREACH] = "network unreachable",   [ICMP_HOST_UNREACH] = "host unreachable",
		[ICMP_PROT_UNREACH] = "protocol unreachable", [ICMP_PORT_UNREACH] = "port unreachable",
		[ICMP_FRAG_NEEDED] = "fragmentation needed",  [ICMP_NET_ANO] = "network prohibited",
		[ICMP_HOST_ANO] = "host prohibited",          [ICMP_PKT_FILTERED] = "communication prohibited",
	};
	if (type == ICMP_TIME_EXCEEDED)
		return "time exceeded: a routing loop";
	if (type != ICMP_DEST_UNREACH || code >= sizeof(unreachable) / sizeof(unreachable[0]) || !unreachable[code])
		return "an ICMP error";
	return unreachable[code];
}

/* RFC 4443, section 3.1 */
static const char *inquiry_meaning6(uint8_t type, uint8_t code)
{
	static const char *const unreachable[] = {
		[ICMPV6_NOROUTE] = "no route",
		[ICMPV6_ADM_PROHIBITED] = "communication prohibited",
		[2] = "beyond scope of source address",
		[ICMPV6_ADDR_UNREACH] = "address unreachable",
		[ICMPV6_PORT_UNREACH] = "port unreachable",
	};
	if (type == ICMPV6_TIME_EXCEED)
		return "time exceeded: a routing loop";
	if (type != ICMPV6_DEST_UNREACH || code >= sizeof(unreachable) / sizeof(unreachable[0]))
		return "an ICMP error";
	return unreachable[code];
}

static bool inquiry_parse(const struct cmsghdr *c, struct inquiry_answer *out)
{
	struct sock_extended_err error;
	struct sockaddr_storage from = {0};
	struct endpoint endpoint = {0};
	bool ip6 = c->cmsg_level == IPPROTO_IPV6;
	size_t size = ip6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
	if ((c->cmsg_type != (ip6 ? IPV6_RECVERR : IP_RECVERR)) || c->cmsg_len < CMSG_LEN(sizeof(error) + size))
		return false;
	memcpy(&error, CMSG_DATA(c), sizeof(error));
	if (error.ee_origin != SO_EE_ORIGIN_ICMP && error.ee_origin != SO_EE_ORIGIN_ICMP6)
		return false;
	memcpy(&from, CMSG_DATA(c) + sizeof(error), size);
	(void)endpoint_from_sockaddr((const struct sockaddr *)&from, (socklen_t)size, &endpoint);
	*out = (struct inquiry_answer){
		.from = endpoint.address,
		.meaning = ip6 ? inquiry_meaning6(error.ee_type, error.ee_code)
			       : inquiry_meaning4(error.ee_type, error.ee_code),
		.closed = error.ee_errno == ECONNREFUSED,
	};
	return true;
}

bool inquiry_read(int fd, struct inquiry_answer *out)
{
	_Alignas(struct cmsghdr) uint8_t control[256];
	uint8_t datagram[64];
	struct iovec piece = {datagram, sizeof(datagram)};
	struct msghdr message = {
		.msg_iov = &piece, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control)};
	if (recvmsg(fd, &message, MSG_ERRQUEUE | MSG_DONTWAIT) < 0)
		return false;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&message); c; c = CMSG_NXTHDR(&message, c))
		if (inquiry_parse(c, out))
			return true;
	return false;
}
