/* SPDX-License-Identifier: Apache-2.0 */
/*
 * forward.c - the way of a frame through the switch, in both directions
 *
 * forward.h draws both ways. Nothing here is kept from one frame to the next: a struct packet lives for the length of a
 * call, and its bytes stay in the ring's buffer until the flush. Gateways, ports and configured remotes do not change
 * while a worker runs (parking.h); remotes that a hub learns are the exception: they are claimed here, by one worker at
 * a time (`learning`), and published with the release store of n_remotes.
 *
 * RFC 7348, section 4 for learning and flooding, section 5 for the header; RFC 6040 for ECN.
 */
#include "vswitch/path/forward.h"

#include "tap/base/bootp.h"
#include "tap/base/wire.h"
#include "tap/tap.h"
#include "vswitch/path/decap.h"
#include "vswitch/path/deliver.h"
#include "vswitch/path/egress.h"
#include "vswitch/path/encap.h"
#include "vswitch/path/mail.h"
#include "vswitch/path/mss.h"
#include "vswitch/path/refused_train.h"
#include "vswitch/path/remote.h"
#include "vswitch/path/too_big.h"
#include "vswitch/path/train.h"

#include <linux/icmp.h>
#include <stddef.h>

/* A frame on its way, with what is known about it besides its bytes. */
struct packet {
	struct frame frame;
	bool from_pod;              /* else from the network */
	struct virtio_net_hdr vnet; /* from a pod: as it was handed to us */
	struct segment_plan plan;   /* from a pod, when `super`: how it is cut */
	bool super;
	uint32_t inner_gso; /* from the network: see decap_shape() */
};

/* To a port of this node */

/* RFC 792: type 8 is an echo request. */
static bool is_ping(const struct frame *frame)
{
	return frame->version == 4 && frame->protocol == PROTO_ICMP4 && frame->l4 && frame->l4 < frame->length &&
	       frame->data[frame->l4] == ICMP_ECHO;
}

/* RFC 9293, section 3.7.1. Only a SYN pays for more than this look. */
static bool is_syn(const struct frame *frame)
{
	return frame->protocol == PROTO_TCP && frame->l4 && (uint32_t)frame->l4 + TCP_HEADER <= frame->ip_end &&
	       frame->data[frame->l4 + TCP_FLAGS] & TCP_SYN;
}

/* A pod may have raised its interface's MTU, so it is ours that counts, and the gateway's if that is less. */
static void forward_clamp(const struct port *port, const struct packet *packet)
{
	const struct gateway *gateway = port->gateway;
	const struct frame *frame = &packet->frame;
	if (!is_syn(frame) || !gateway || !gateway->config.clamp_mss)
		return;
	unsigned mtu = port->config.link.mtu, most = gateway->config.mtu;
	bool partial = packet->from_pod ? packet->super : frame_checksum_is_partial(frame);
	(void)mss_clamp(frame, most && most < mtu ? most : mtu, partial);
}

/*
 * Whether podswitchd may use a lease depends on it (pod_network.c): the pod could answer, too, in its own namespace.
 * Answers to other clients, which a server may send to all, are not noted.
 */
static void note_offer(struct port *port, const struct frame *frame)
{
	const uint8_t *message = frame->data + frame->l4 + UDP_HEADER;
	if (!port->config.dhcp || frame->version != 4 || frame->protocol != PROTO_UDP || !frame->l4 ||
	    !frame_reaches(frame, frame->l4 + UDP_HEADER, BOOTP_OPTIONS) ||
	    load16(frame->data + frame->l4 + UDP_DST) != DHCP_CLIENT_PORT ||
	    memcmp(message + BOOTP_CHADDR, port->config.link.mac.bytes, 6) != 0)
		return;
	port_note_offer(port, load32(message + BOOTP_YIADDR));
}

static void forward_to_port(struct worker *worker, struct port *port, const struct packet *packet)
{
	note_offer(port, &packet->frame);
	if (atomic_load_explicit(&port->deaf_until, memory_order_relaxed) >= worker->now && is_ping(&packet->frame)) {
		worker_drop(worker, port, NULL, DROP_ADDRESS_CHECK);
		return;
	}
	/* A frame for a group has more than one receiver, and is never a SYN that counts. */
	if (!frame_is_group(&packet->frame))
		forward_clamp(port, packet);
	if (packet->from_pod)
		deliver_whole(worker, port, &packet->frame, &packet->vnet);
	else
		deliver_segment(worker, port, &packet->frame, packet->inner_gso);
}

/* A copy to every port of the gateway except one. Returns how many there were. */
static unsigned forward_to_ports(struct worker *worker, const struct gateway *gateway, const struct port *except,
				 const struct packet *packet)
{
	unsigned delivered = 0;
	for (unsigned i = 0; i < gateway->n_ports; i++) {
		if (gateway->ports[i] == except)
			continue;
		forward_to_port(worker, gateway->ports[i], packet);
		delivered++;
	}
	return delivered;
}

/* The port of `gateway` that has the frame's destination MAC, or NULL. */
static struct port *forward_find_port(struct worker *worker, const struct gateway *gateway, const struct frame *frame)
{
	struct fdb_entry entry;
	if (!fdb_lookup(worker->vs->fdb, gateway->id, frame_dst(frame), worker->now, &entry) || !entry.place.is_port)
		return NULL;
	struct port *port = worker->vs->ports[entry.place.index];
	return port && port->gateway == gateway ? port : NULL;
}

/* Learning */

static void forward_report_learned(struct worker *worker, const struct gateway *gateway, const struct frame *frame,
				   bool moved)
{
	if (!atomic_load_explicit(&worker->listening, memory_order_relaxed))
		return;
	unsigned in = atomic_load_explicit(&worker->learned_in, memory_order_relaxed);
	if (in - atomic_load_explicit(&worker->learned_out, memory_order_acquire) == WORKER_LEARNED)
		return;
	struct worker_learned *learned = &worker->learned[in % WORKER_LEARNED];
	*learned = (struct worker_learned){.gateway = gateway->id, .moved = moved};
	memcpy(learned->mac.bytes, frame_src(frame), sizeof(learned->mac.bytes));
	atomic_store_explicit(&worker->learned_in, in + 1, memory_order_release);
}

/* Wakes the control thread for `what`, once until it has looked: a flood must not keep it busy. */
static void forward_tell(struct worker *worker, atomic_bool *what)
{
	if (!atomic_exchange(what, true))
		mail_wake_control(worker);
}

static void forward_note_claim(struct worker *worker, const struct gateway *gateway, const struct frame *frame,
			       uint16_t remote)
{
	unsigned in = atomic_load_explicit(&worker->claims_in, memory_order_relaxed);
	struct worker_claim *claim = &worker->claims[in % WORKER_CLAIMS];
	*claim = (struct worker_claim){.gateway = gateway->id, .from = worker->vs->remotes[remote].endpoint.address};
	memcpy(claim->mac.bytes, frame_src(frame), sizeof(claim->mac.bytes));
	atomic_store_explicit(&worker->claims_in, in + 1, memory_order_release);
	/* Whoever noted the first one that waits has woken it. */
	if (in == atomic_load_explicit(&worker->claims_out, memory_order_acquire))
		mail_wake_control(worker);
}

/*
 * Anybody may be a remote of a hub, so there an address moves only when its owner is silent. Its frames are delivered
 * all the same: they are a client's that has moved, or that has two addresses; a stranger could send them with a MAC of
 * its own. A claim begins only when the control thread can be told to ask the owner.
 */
static enum fdb_outcome forward_learn_place(struct worker *worker, const struct gateway *gateway,
					    const struct frame *frame, struct fdb_place place)
{
	struct fdb *fdb = worker->vs->fdb;
	if (!gateway->is_hub || place.is_port)
		return fdb_learn(fdb, gateway->id, frame_src(frame), place, worker->now);
	unsigned waiting = atomic_load_explicit(&worker->claims_in, memory_order_relaxed) -
			   atomic_load_explicit(&worker->claims_out, memory_order_acquire);
	enum fdb_outcome outcome =
		fdb_claim(fdb, gateway->id, frame_src(frame), place, worker->now, waiting < WORKER_CLAIMS);
	if (outcome == FDB_CLAIMED)
		forward_note_claim(worker, gateway, frame, place.index);
	if (outcome == FDB_CLAIMED || outcome == FDB_HELD)
		count(&gateway->counters[worker->index].held_moves, 1);
	return outcome;
}

/* Learns that the frame's source is at `place`. A reason to drop it when it cannot be there. */
static enum drop forward_learn(struct worker *worker, const struct gateway *gateway, const struct frame *frame,
			       struct fdb_place place)
{
	if (!gateway->config.learning) {
		struct fdb_entry entry;
		if (!fdb_lookup(worker->vs->fdb, gateway->id, frame_src(frame), worker->now, &entry) ||
		    (entry.place.is_port == place.is_port && entry.place.index == place.index))
			return DROP_NONE;
		return entry.kind == FDB_LOCAL    ? DROP_OWN_SOURCE
		       : entry.kind == FDB_STATIC ? DROP_STATIC_MOVED
						  : DROP_NONE;
	}
	enum fdb_outcome outcome = forward_learn_place(worker, gateway, frame, place);
	if (outcome != FDB_KNOWN && fdb_crowded(worker->vs->fdb))
		mail_wake_control(worker);
	switch (outcome) {
	case FDB_FIXED:
		return DROP_STATIC_MOVED;
	case FDB_OURS:
		return DROP_OWN_SOURCE;
	case FDB_NEW:
		forward_report_learned(worker, gateway, frame, false);
		break;
	case FDB_MOVED:
		forward_report_learned(worker, gateway, frame, true);
		break;
	case FDB_REFUSED:
		if (gateway->is_hub)
			forward_tell(worker, &worker->vs->crowded);
		break;
	case FDB_KNOWN:
	case FDB_CLAIMED:
	case FDB_HELD:
		break;
	}
	return DROP_NONE;
}

/* When a new remote came; a known one costs nothing. */
static void forward_watch_crowd(struct worker *worker, const struct gateway *gateway)
{
	if (atomic_load_explicit(&gateway->n_remotes, memory_order_relaxed) >= GATEWAY_CROWDED)
		forward_tell(worker, &worker->vs->crowded);
}

/*
 * A hub's remote for this source. Usually the FDB finds it by the frame's MAC. A new one is claimed unless another
 * worker is claiming one just now, or there are too many: then NULL, and the sender's next frame tries again.
 */
static struct remote *hub_remote(struct worker *worker, struct gateway *gateway, const struct address *source,
				 const struct frame *frame)
{
	struct vswitch *vs = worker->vs;
	struct fdb_entry entry;
	struct remote *remote = NULL;
	if (fdb_lookup(vs->fdb, gateway->id, frame_src(frame), worker->now, &entry) && !entry.place.is_port)
		remote = &vs->remotes[entry.place.index];
	if (!remote || !address_equal(&remote->endpoint.address, source))
		remote = gateway_find_remote(gateway, source);
	if (!remote && gateway->config.learning &&
	    !atomic_flag_test_and_set_explicit(&vs->learning, memory_order_acquire)) {
		struct endpoint endpoint = {.address = *source, .port = gateway->config.port};
		remote = gateway_find_remote(gateway, source);
		if (!remote)
			remote = remote_claim(vs, gateway, &endpoint, true);
		atomic_flag_clear_explicit(&vs->learning, memory_order_release);
		forward_watch_crowd(worker, gateway);
	}
	if (remote && atomic_load_explicit(&remote->seen, memory_order_relaxed) != worker->now)
		atomic_store_explicit(&remote->seen, worker->now, memory_order_relaxed);
	return remote;
}

/* From a pod */

/* The remote of a client gateway that stands for this hub. */
static const struct remote *hub_remote_for(const struct gateway *client, const struct gateway *hub)
{
	unsigned n = atomic_load_explicit(&client->n_remotes, memory_order_relaxed);
	for (unsigned i = 0; i < n; i++)
		if (client->remotes[i]->local_hub == hub->id)
			return client->remotes[i];
	return NULL;
}

/* A client's frame for a hub that is on this node. */
static void forward_to_local_hub(struct worker *worker, struct port *from, const struct remote *remote,
				 const struct packet *packet)
{
	struct gateway *hub = worker->vs->gateways[remote->local_hub];
	if (!hub) {
		worker_drop(worker, from, NULL, DROP_UNKNOWN_DESTINATION);
		return;
	}
	enum drop reason =
		forward_learn(worker, hub, &packet->frame, (struct fdb_place){.is_port = true, .index = from->id});
	if (reason == DROP_NONE && frame_is_group(&packet->frame)) {
		forward_to_ports(worker, hub, NULL, packet);
		return;
	}
	struct port *to = reason == DROP_NONE ? forward_find_port(worker, hub, &packet->frame) : NULL;
	if (to)
		forward_to_port(worker, to, packet);
	else
		worker_drop(worker, from, NULL, reason == DROP_NONE ? DROP_UNKNOWN_DESTINATION : reason);
}

/* A hub's frame for one of its clients on this node. */
static void forward_to_hub_client(struct worker *worker, struct port *from, struct port *to,
				  const struct packet *packet)
{
	const struct remote *remote = hub_remote_for(to->gateway, from->gateway);
	enum drop reason = DROP_UNKNOWN_DESTINATION;
	if (remote)
		reason = forward_learn(worker, to->gateway, &packet->frame, (struct fdb_place){.index = remote->id});
	if (reason == DROP_NONE)
		forward_to_port(worker, to, packet);
	else
		worker_drop(worker, from, NULL, reason);
}

static void forward_to_remote(struct worker *worker, struct port *from, const struct remote *remote,
			      const struct packet *packet)
{
	if (remote->local_hub)
		forward_to_local_hub(worker, from, remote, packet);
	else
		encap_send(worker, from, remote, &packet->frame, packet->super ? &packet->plan : NULL);
}

/* Broadcast, multicast and unknown unicast: a copy to each remote. */
static void forward_flood(struct worker *worker, struct port *from, const struct packet *packet)
{
	struct gateway *gateway = from->gateway;
	unsigned n = atomic_load_explicit(&gateway->n_remotes, memory_order_acquire), copies = n;
	for (unsigned i = 0; i < n; i++)
		forward_to_remote(worker, from, gateway->remotes[i], packet);
	for (unsigned i = 0; i < gateway->n_peers && frame_is_group(&packet->frame); i++) {
		const struct gateway *client = worker->vs->gateways[gateway->peers[i]];
		for (unsigned p = 0; p < client->n_ports; p++, copies++)
			forward_to_hub_client(worker, from, client->ports[p], packet);
	}
	if (!gateway->config.isolate && frame_is_group(&packet->frame))
		copies += forward_to_ports(worker, gateway, from, packet);
	if (!copies)
		worker_drop(worker, from, NULL, DROP_NO_REMOTE);
}

static void count_encap(struct worker *worker, const struct gateway *gateway, const struct frame *frame)
{
	struct gateway_counters *counters = &gateway->counters[worker->index];
	count(&counters->encap_frames, 1);
	count(&counters->encap_bytes, frame->length);
}

static void forward_unicast(struct worker *worker, struct port *from, const struct packet *packet)
{
	struct gateway *gateway = from->gateway;
	struct fdb_entry entry;
	if (!fdb_lookup(worker->vs->fdb, gateway->id, frame_dst(&packet->frame), worker->now, &entry)) {
		count_encap(worker, gateway, &packet->frame);
		forward_flood(worker, from, packet);
		return;
	}
	if (!entry.place.is_port) {
		struct remote *remote = &worker->vs->remotes[entry.place.index];
		if (!atomic_load_explicit(&remote->answered, memory_order_relaxed))
			atomic_store_explicit(&remote->answered, true, memory_order_relaxed);
		if (gateway->is_hub && !entry.answered && entry.kind == FDB_LEARNED)
			fdb_answer(worker->vs->fdb, gateway->id, frame_dst(&packet->frame));
		count_encap(worker, gateway, &packet->frame);
		forward_to_remote(worker, from, remote, packet);
		return;
	}
	struct port *to = worker->vs->ports[entry.place.index];
	if (!to || !to->gateway || to == from)
		worker_drop(worker, from, NULL, DROP_UNKNOWN_DESTINATION);
	else if (to->gateway != gateway)
		forward_to_hub_client(worker, from, to, packet);
	else if (gateway->config.isolate)
		worker_drop(worker, from, NULL, DROP_ISOLATED);
	else
		forward_to_port(worker, to, packet);
}

/* When the pod's route to its gateway leads into its own TAP, each datagram would be encapsulated again, for ever. */
static bool is_loop(const struct port *port, const struct frame *frame)
{
	const uint8_t *ip = frame->data + frame->l3;
	if (!port->underlay || frame->protocol != PROTO_UDP || !frame->l4)
		return false;
	if (load16(frame->data + frame->l4 + UDP_DST) != port->gateway->config.port)
		return false;
	struct address to = {.family = frame->version == 4 ? AF_INET : AF_INET6};
	memcpy(to.bytes, ip + (frame->version == 4 ? IP4_DST : IP6_DST), frame->version == 4 ? 4 : 16);
	return gateway_find_remote(port->gateway, &to) != NULL;
}

/* Where its gateway takes VXLAN: all remotes of a gateway have one port, but for those set up by hand otherwise. */
static uint16_t tunnel_port(const struct gateway *gateway)
{
	bool some = atomic_load_explicit(&gateway->n_remotes, memory_order_acquire) > 0;
	return some ? gateway->remotes[0]->endpoint.port : gateway->config.port;
}

/* Whether the port may send this frame at all, and how it will be cut. */
static enum drop forward_check_frame(const struct port *port, uint8_t *data, size_t length, struct packet *packet)
{
	struct frame *frame = &packet->frame;
	enum drop reason = frame_parse(frame, data, length);
	if (reason != DROP_NONE)
		return reason;
	if (memcmp(frame_src(frame), port->config.link.mac.bytes, 6) != 0)
		return DROP_FOREIGN_SOURCE;
	if (frame_is_link_local(frame))
		return DROP_RESERVED_MAC;
	if (!port->gateway)
		return DROP_DETACHED;
	if (is_loop(port, frame))
		return DROP_LOOP;
	reason = segment_plan(frame, &packet->vnet, &packet->plan, &packet->super);
	if (reason == DROP_NONE && port->config.own_addresses)
		reason = identity_check(&port->identity, frame, packet->super, tunnel_port(port->gateway));
	/* Its checksum is complete now, so every receiver gets a complete frame. */
	if (!packet->super)
		packet->vnet = (struct virtio_net_hdr){0};
	return reason;
}

/* A pod may have become busy enough for more queues (pod_queues.h). */
static void note_crowd(struct worker *worker, const struct port *port, uint64_t bytes)
{
	if (bytes >= atomic_load_explicit(&port->crowded_at, memory_order_relaxed) && worker == port->worker)
		forward_tell(worker, &worker->vs->pods_crowded);
}

void forward_from_pod(struct worker *worker, struct port *port, uint8_t *data, uint32_t length)
{
	struct packet packet = {.from_pod = true};
	if (length < TAP_VNET_HEADER) {
		worker_drop(worker, port, NULL, DROP_BAD_VNET);
		return;
	}
	struct port_counters *counters = &port->counters[worker->index];
	count(&counters->rx_frames, 1);
	count(&counters->rx_bytes, length - TAP_VNET_HEADER);
	note_crowd(worker, port, counted(&counters->rx_bytes));
	memcpy(&packet.vnet, data, TAP_VNET_HEADER);
	enum drop reason = forward_check_frame(port, data + TAP_VNET_HEADER, length - TAP_VNET_HEADER, &packet);
	if (reason == DROP_NONE)
		forward_clamp(port, &packet);
	if (reason != DROP_NONE) {
		worker_drop(worker, port, NULL, reason);
	} else if (frame_is_group(&packet.frame)) {
		count_encap(worker, port->gateway, &packet.frame);
		forward_flood(worker, port, &packet);
	} else {
		forward_unicast(worker, port, &packet);
	}
}

/* From the network */

/* Where a datagram comes from, and which gateway it belongs to. */
struct origin {
	struct gateway *gateway; /* NULL: not looked up yet, or there is none */
	uint32_t vni;            /* with which it was found */
	struct remote *remote;   /* NULL: a hub that has not learned it */
	struct port *owner;      /* the port whose underlay received it; NULL: the host underlay */
	struct address source;
	uint8_t tos;
};

/* The pod underlay: the socket belongs to a port, and the port to a gateway. */
static enum drop match_owner(struct origin *origin, uint32_t vni)
{
	struct gateway *gateway = origin->owner->gateway;
	if (!gateway)
		return DROP_DETACHED;
	origin->remote = gateway->is_hub ? NULL : gateway_find_remote(gateway, &origin->source);
	if (!gateway->is_hub && !origin->remote)
		return DROP_UNKNOWN_REMOTE;
	if (vni != gateway->config.vni)
		return DROP_UNKNOWN_VNI;
	origin->gateway = gateway;
	return DROP_NONE;
}

static enum drop match_host(struct worker *worker, const struct underlay *underlay, struct origin *origin, uint32_t vni)
{
	struct demux_match match = demux_find(worker->vs->demux, underlay->port, &origin->source, vni);
	if (!match.gateway)
		return match.source_known ? DROP_UNKNOWN_VNI : DROP_UNKNOWN_REMOTE;
	origin->gateway = worker->vs->gateways[match.gateway];
	origin->remote = match.known ? &worker->vs->remotes[match.remote] : NULL;
	/*
	 * The demux may be older than the gateways by a moment. What it names must still be true, or the frame would be
	 * learned for the wrong gateway.
	 */
	if (!origin->gateway || (match.known ? !origin->remote->to_length || origin->remote->gateway != match.gateway
					     : !origin->gateway->is_hub)) {
		origin->gateway = NULL;
		return DROP_UNKNOWN_REMOTE;
	}
	return DROP_NONE;
}

/* `port` is the UDP port at which it arrived. */
static void forward_note_stray(struct worker *worker, uint16_t port, const struct origin *origin)
{
	const struct stray stray = {
		.source = origin->source,
		.vni = origin->vni,
		.port = port,
		.gateway = origin->owner ? origin->owner->gateway->id : 0,
		.seen = worker->now,
	};
	stray_note(&worker->strays, &stray);
}

static enum drop find_origin(struct worker *worker, const struct underlay *underlay, struct origin *origin,
			     uint32_t vni)
{
	origin->vni = vni;
	enum drop reason = origin->owner ? match_owner(origin, vni) : match_host(worker, underlay, origin, vni);
	if (reason == DROP_UNKNOWN_REMOTE || reason == DROP_UNKNOWN_VNI)
		forward_note_stray(worker, underlay->port, origin);
	return reason;
}

/* What would be answered to a remote that it cannot remember, it would send to all that it does. */
static bool is_full_hub(const struct gateway *gateway)
{
	return gateway->config.learning &&
	       atomic_load_explicit(&gateway->n_remotes, memory_order_relaxed) >= GATEWAY_MAX_LEARNED;
}

/* Whether the frame may come from there. If so, learns it. */
static enum drop check_source(struct worker *worker, struct origin *origin, const struct frame *frame)
{
	struct gateway *gateway = origin->gateway;
	if (frame_is_link_local(frame))
		return DROP_RESERVED_MAC;
	if (!origin->remote) {
		if (!gateway_allows(&gateway->config, &origin->source)) {
			forward_note_stray(worker, gateway->config.port, origin);
			return DROP_UNKNOWN_REMOTE;
		}
		origin->remote = hub_remote(worker, gateway, &origin->source, frame);
		if (!origin->remote)
			return is_full_hub(gateway) ? DROP_TOO_MANY_REMOTES : DROP_NONE;
	}
	return forward_learn(worker, gateway, frame, (struct fdb_place){.index = origin->remote->id});
}

static void deliver_from_network(struct worker *worker, const struct origin *origin, const struct packet *packet)
{
	const struct frame *frame = &packet->frame;
	struct port *owner = origin->owner;
	bool found;
	if (owner) {
		found = frame_is_group(frame) || !memcmp(frame_dst(frame), owner->config.link.mac.bytes, 6);
		if (found)
			forward_to_port(worker, owner, packet);
	} else if (frame_is_group(frame)) {
		found = forward_to_ports(worker, origin->gateway, NULL, packet) > 0;
	} else {
		struct port *to = forward_find_port(worker, origin->gateway, frame);
		found = to != NULL;
		if (found)
			forward_to_port(worker, to, packet);
	}
	if (!found)
		worker_drop(worker, owner, origin->gateway, DROP_UNKNOWN_DESTINATION);
}

static void receive_datagram(struct worker *worker, const struct underlay *underlay, struct origin *origin,
			     uint8_t *data, size_t length, uint32_t inner_gso)
{
	uint32_t vni;
	struct packet packet = {.inner_gso = inner_gso};
	enum drop reason = decap_header(data, length, worker->vs->options.ignore_reserved, &vni);
	/* All datagrams of a train have one source, and usually one VNI. */
	if (reason != DROP_NONE || vni != origin->vni)
		origin->gateway = NULL;
	if (reason == DROP_NONE && !origin->gateway)
		reason = find_origin(worker, underlay, origin, vni);
	if (reason == DROP_NONE) {
		struct gateway_counters *counters = &origin->gateway->counters[worker->index];
		count(&counters->rx_datagrams, 1);
		count(&counters->rx_bytes, length);
		reason = frame_parse(&packet.frame, data + VXLAN_HEADER, length - VXLAN_HEADER);
	}
	if (reason == DROP_NONE)
		reason = check_source(worker, origin, &packet.frame);
	if (reason == DROP_NONE)
		reason = frame_ecn_decapsulate(&packet.frame, origin->tos & ECN_MASK);
	if (reason == DROP_NONE)
		deliver_from_network(worker, origin, &packet);
	else
		worker_drop(worker, origin->owner, origin->gateway, reason);
}

void forward_from_network(struct worker *worker, const struct underlay *underlay, struct port *owner,
			  const struct ring_event *event)
{
	struct origin origin = {.owner = owner, .tos = event->tos};
	struct endpoint source;
	size_t segment;
	enum drop reason = DROP_NONE;
	if (endpoint_from_sockaddr(event->from, event->from_length, &source))
		reason = DROP_UNKNOWN_REMOTE;
	else if (event->truncated)
		reason = DROP_TRUNCATED;
	else
		reason = decap_split(event->data, event->length, event->gro_size, &segment);
	if (reason != DROP_NONE) {
		worker_drop(worker, owner, NULL, reason);
		return;
	}
	origin.source = source.address;
	uint32_t inner_gso = segment == event->length ? event->gro_size : 0;
	size_t at = 0;
	do {
		size_t length = event->length - at < segment ? event->length - at : segment;
		receive_datagram(worker, underlay, &origin, event->data + at, length, inner_gso);
		at += segment;
	} while (at < event->length);
}

/*
 * The end of a round
 *
 *    forward_finish()                 ring_flush()                      forward_replies()
 *    groups and trains  -> queued ->  the kernel takes or refuses  ->   ICMP errors -> queued -> ring_flush()
 *                                         |
 *                                         +-- a send: now, with its frame      -> forward_refused(); a train
 *                                         |                                       singly (refused_train.c)
 *                                         +-- a TAP write: by task work, which
 *                                             may be after the flush, without  -> forward_refused()
 *                                             its frame (tx->frame is NULL)
 */

void forward_finish(struct worker *worker)
{
	deliver_all_held(worker);
	train_close_all(worker);
}

/* Refusals */

void forward_refused(void *context, const struct ring_tx *tx, int error)
{
	struct worker *worker = context;
	struct port *port = tx->port;
	if (!tx->remote) {
		deliver_refused(worker, tx, error);
		return;
	}
	uint64_t bytes;
	uint32_t sent = refused_train_send(worker, tx, &error, &bytes);
	struct gateway_counters *counters = &port->gateway->counters[worker->index];
	uncount(&counters->tx_datagrams, tx->count - sent);
	uncount(&counters->tx_bytes, tx->total - bytes);
	if (sent == tx->count)
		return;
	enum drop reason = error == -EMSGSIZE                      ? DROP_TOO_BIG
			   : error == -EAGAIN || error == -ENOBUFS ? DROP_SEND_FULL
								   : DROP_SEND_FAILED;
	for (uint32_t i = sent; i < tx->count; i++)
		worker_drop(worker, port, NULL, reason);
	/* EINVAL is about this frame; another one may be fine. Every other error would meet all of them. */
	struct egress *egress = tx->by_tap && error != -EINVAL ? (struct egress *)egress_of(port, tx->remote) : NULL;
	if (egress)
		egress_refused(egress);
	const struct remote *remote = tx->remote;
	if (reason == DROP_TOO_BIG && tx->frame)
		too_big_answer(worker, port, tx->frame, tx->length,
			       too_big_room(remote, underlay_path_mtu(port_underlay(port), &remote->to)));
}

void forward_replies(struct worker *worker)
{
	static const struct virtio_net_hdr complete;
	for (unsigned i = 0; i < worker->n_replies; i++) {
		struct worker_reply *reply = &worker->replies[i];
		struct frame frame;
		if (frame_parse(&frame, reply->frame, reply->length) == DROP_NONE)
			deliver_whole(worker, reply->port, &frame, &complete);
	}
	worker->n_replies = 0;
}
