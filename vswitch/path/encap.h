/* SPDX-License-Identifier: Apache-2.0 */
/* encap.h - a pod's frame becomes a VXLAN datagram to a remote, a super-frame a train of them */
#ifndef PODSWITCH_ENCAP_H
#define PODSWITCH_ENCAP_H

#include "vswitch/path/frame.h"
#include "vswitch/path/model.h"
#include "vswitch/path/segment.h"

/* Writes the eight bytes of a VXLAN header: I flag, reserved bits zero (RFC 7348, section 5). */
void encap_header(uint8_t out[static 8], uint32_t vni);

/*
 * Queues `frame` for `remote`, with the outer ECN that its own asks for (RFC 6040) and the source port of its flow. The
 * VXLAN header is written in front of the frame's first byte, over the TAP's virtio header, so nothing is copied.
 * `plan` says how a super-frame is cut; NULL for an ordinary frame.
 */
void encap_send(struct worker *worker, struct port *port, const struct remote *remote, const struct frame *frame,
		const struct segment_plan *plan);

#endif
