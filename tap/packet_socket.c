/* SPDX-License-Identifier: Apache-2.0 */
/* packet_socket.c - whole frames of one protocol to and from an interface, through a filter */
#include "tap/packet_socket.h"

#include "tap/base/wire.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <sys/socket.h>
#include <unistd.h>

#define RECEIVE_BUFFER 32768

static struct sockaddr_ll packet_address(int ifindex, uint16_t protocol)
{
	return (struct sockaddr_ll){.sll_family = AF_PACKET, .sll_protocol = htons(protocol), .sll_ifindex = ifindex};
}

int packet_socket_bind(int fd, int ifindex, uint16_t protocol)
{
	struct sockaddr_ll to = packet_address(ifindex, protocol);

	return bind(fd, (struct sockaddr *)&to, sizeof(to)) ? -errno : 0;
}

int packet_socket_open(int ifindex, uint16_t protocol, struct sock_filter *code, unsigned short length, int *out)
{
	struct sock_fprog program = {length, code};
	int size = RECEIVE_BUFFER;
	/* Protocol 0: nothing arrives before the filter is attached. */
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return -errno;
	int error = setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)) ? -errno : 0;
	if (!error)
		error = setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size)) ? -errno : 0;
	if (!error)
		error = packet_socket_bind(fd, ifindex, protocol);
	if (error) {
		close(fd);
		return error;
	}
	*out = fd;
	return 0;
}

void packet_socket_send(int fd, int ifindex, uint16_t protocol, const uint8_t *frame, size_t length)
{
	struct sockaddr_ll to = packet_address(ifindex, protocol);

	(void)sendto(fd, frame, length, MSG_DONTWAIT, (struct sockaddr *)&to, sizeof(to));
}

ssize_t packet_socket_next(int fd, uint8_t frame[static PACKET_FRAME])
{
	ssize_t length = recv(fd, frame, PACKET_FRAME, MSG_DONTWAIT);

	if (length >= 0 || errno == EAGAIN)
		return length;
	return 0;
}

void packet_socket_drain(int fd)
{
	uint8_t frame[PACKET_FRAME];

	/* The receive buffer holds far fewer frames: what comes after that is new. */
	for (int i = 0; fd >= 0 && i < RECEIVE_BUFFER / ETH_HEADER && packet_socket_next(fd, frame) >= 0; i++)
		;
}
