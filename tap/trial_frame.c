/* SPDX-License-Identifier: Apache-2.0 */
/* trial_frame.c - would this TAP take a super-frame whose last segment is shorter than the others? */
#include "tap/trial_frame.h"

#include "tap/base/checksum.h"
#include "tap/base/wire.h"
#include "tap/tap.h"

#include <errno.h>
#include <linux/virtio_net.h>
#include <sys/uio.h>

#ifndef VIRTIO_NET_HDR_GSO_UDP_L4
#define VIRTIO_NET_HDR_GSO_UDP_L4 5 /* Linux 6.2; Debian 12's headers are 6.1 */
#endif

enum { TRIAL_SIZE = 1000, TRIAL_TAIL = 7, TRIAL_L4 = ETH_HEADER + IP4_HEADER };

/* From 192.0.2.1 to 192.0.2.2 (RFC 5737). Returns the length of the headers. */
static uint32_t write_headers(uint8_t *frame, uint8_t protocol)
{
	static const uint8_t addresses[8] = {192, 0, 2, 1, 192, 0, 2, 2};
	uint8_t *ip = frame + ETH_HEADER, *l4 = frame + TRIAL_L4;
	bool tcp = protocol == PROTO_TCP;
	uint16_t inner = (uint16_t)((tcp ? TCP_HEADER : UDP_HEADER) + TRIAL_SIZE + TRIAL_TAIL);
	frame[ETH_DST] = frame[ETH_SRC] = 2; /* locally administered */
	store16(frame + ETH_TYPE, ETHERTYPE_IP4);
	ip[IP4_VERSION_IHL] = 0x45;
	store16(ip + IP4_LENGTH, (uint16_t)(IP4_HEADER + inner));
	ip[IP4_TTL] = 1;
	ip[IP4_PROTOCOL] = protocol;
	memcpy(ip + IP4_SRC, addresses, sizeof(addresses));
	store_word(ip + IP4_CHECKSUM, checksum_finish(checksum_add(0, ip, IP4_HEADER)));
	if (tcp)
		l4[TCP_OFFSET] = TCP_HEADER / 4 << 4;
	else
		store16(l4 + UDP_LENGTH, inner);
	store_word(l4 + (tcp ? TCP_CHECKSUM : UDP_CHECKSUM),
		   checksum_fold(checksum_pseudo4(ip + IP4_SRC, ip + IP4_DST, protocol, inner)));
	return TRIAL_L4 + (tcp ? TCP_HEADER : UDP_HEADER);
}

bool trial_frame_refused(int fd, uint8_t protocol)
{
	uint8_t frame[TRIAL_L4 + TCP_HEADER + TRIAL_SIZE + TRIAL_TAIL] = {0};
	bool tcp = protocol == PROTO_TCP;
	uint32_t headers = write_headers(frame, protocol);
	struct virtio_net_hdr vnet = {.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
				      .gso_type = tcp ? VIRTIO_NET_HDR_GSO_TCPV4 : VIRTIO_NET_HDR_GSO_UDP_L4,
				      .hdr_len = (uint16_t)headers,
				      .gso_size = TRIAL_SIZE,
				      .csum_start = TRIAL_L4,
				      .csum_offset = tcp ? TCP_CHECKSUM : UDP_CHECKSUM};
	struct iovec iov[] = {{&vnet, TAP_VNET_HEADER}, {frame, headers + TRIAL_SIZE + TRIAL_TAIL}};
	return writev(fd, iov, 2) < 0 && errno == EINVAL;
}
