/* SPDX-License-Identifier: Apache-2.0 */
/* encap.c - a pod's frame becomes a VXLAN datagram to a remote */
#include "vswitch/encap.h"

#include "tap/tap.h"
#include "vswitch/wire.h"

_Static_assert(TAP_VNET_HEADER >= VXLAN_HEADER, "the VXLAN header takes the place of the virtio header");

void encap_header(uint8_t out[static 8], uint32_t vni)
{
	memset(out, 0, VXLAN_HEADER);
	out[VXLAN_FLAGS] = VXLAN_FLAG_I;
	store24(out + VXLAN_VNI, vni);
}

/* The outer TOS is 0 but for ECN, as Linux's default; only then is there a need to say anything. */
static void set_outer_ecn(struct ring_tx *tx, sa_family_t family, unsigned ecn)
{
	int tos = (int)ecn;
	if (!tos)
		return;
	tx->message.msg_control = tx->control;
	tx->message.msg_controllen = CMSG_SPACE(sizeof(tos));
	struct cmsghdr *c = CMSG_FIRSTHDR(&tx->message);
	c->cmsg_level = family == AF_INET6 ? IPPROTO_IPV6 : IPPROTO_IP;
	c->cmsg_type = family == AF_INET6 ? IPV6_TCLASS : IP_TOS;
	c->cmsg_len = CMSG_LEN(sizeof(tos));
	memcpy(CMSG_DATA(c), &tos, sizeof(tos));
}

void encap_send(struct worker *worker, struct port *port, const struct remote *remote, const struct frame *frame)
{
	struct gateway *gateway = port->gateway;
	const struct underlay *underlay = port_underlay(port);
	uint64_t hash = frame_flow_hash(frame, worker->vs->secret, SECRET_SIZE);
	int fd = underlay_source(underlay, remote->to.ss_family, hash);
	uint8_t *datagram = frame->data - VXLAN_HEADER;
	encap_header(datagram, gateway->config.vni);
	struct ring_tx *tx = ring_tx(worker->ring);
	tx->port = port;
	tx->remote = (void *)remote;
	tx->frame = frame->data;
	tx->length = frame->length;
	tx->iov[0] = (struct iovec){datagram, VXLAN_HEADER + (size_t)frame->length};
	tx->message.msg_iovlen = 1;
	tx->message.msg_name = (void *)&remote->to;
	tx->message.msg_namelen = remote->to_length;
	set_outer_ecn(tx, remote->to.ss_family, frame_ecn_encapsulate(frame));
	ring_send(worker->ring, fd, tx);
	struct gateway_counters *counters = &gateway->counters[worker->index];
	count(&counters->tx_datagrams, 1);
	count(&counters->tx_bytes, VXLAN_HEADER + (uint64_t)frame->length);
}
