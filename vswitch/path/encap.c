/* SPDX-License-Identifier: Apache-2.0 */
/* encap.c - a pod's frame becomes a VXLAN datagram to a remote */
#include "vswitch/path/encap.h"

#include "tap/base/wire.h"
#include "tap/tap.h"
#include "vswitch/path/egress.h"
#include "vswitch/path/too_big.h"
#include "vswitch/path/train.h"

_Static_assert(TAP_VNET_HEADER >= VXLAN_HEADER, "the VXLAN header takes the place of the virtio header");

void encap_header(uint8_t out[static 8], uint32_t vni)
{
	memset(out, 0, VXLAN_HEADER);
	out[VXLAN_FLAGS] = VXLAN_FLAG_I;
	store24(out + VXLAN_VNI, vni);
}

/* The underlay TAP, or NULL. */
static const struct egress *encap_egress(const struct port *port, const struct remote *remote, uint32_t longest)
{
	const struct egress *egress = egress_of(port, remote);
	return egress && egress_by_tap(egress, longest) ? egress : NULL;
}

/* For pod_egress.h. */
static void encap_note_super(struct port *port, const struct remote *remote)
{
	atomic_store_explicit(&port->super_to, remote->id, memory_order_relaxed);
	atomic_fetch_add_explicit(&port->supers, 1, memory_order_relaxed);
}

void encap_send(struct worker *worker, struct port *port, const struct remote *remote, const struct frame *frame,
		const struct segment_plan *plan)
{
	const struct underlay *underlay = port_underlay(port);
	uint64_t hash = frame_flow_hash(frame, worker->vs->secret, SECRET_SIZE);
	uint32_t longest = VXLAN_HEADER + (plan ? plan->headers + plan->size : frame->length);
	struct train_flow flow = {
		.port = port,
		.remote = remote,
		.fd = underlay_source(underlay, remote->to.ss_family, hash),
		.source_port = underlay_source_port(underlay, remote->to.ss_family, hash),
		.ecn = frame_ecn_encapsulate(frame),
		.egress = encap_egress(port, remote, longest),
	};
	unsigned room = too_big_limit(port, remote);
	if (room && longest > room) {
		for (unsigned i = plan ? plan->count : 1; i > 0; i--)
			worker_drop(worker, port, NULL, DROP_TOO_BIG);
		too_big_answer(worker, port, frame->data, frame->length, room);
		return;
	}
	uint8_t *datagram = frame->data - VXLAN_HEADER;
	encap_header(datagram, port->gateway->config.vni);
	if (plan && port->underlay)
		encap_note_super(port, remote);
	if (plan)
		train_add_super(worker, &flow, datagram, plan);
	else
		train_add(worker, &flow, datagram, frame);
}
