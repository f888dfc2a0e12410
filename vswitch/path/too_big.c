/* SPDX-License-Identifier: Apache-2.0 */
/* too_big.c - a pod's frame that does not fit the path is dropped, and the pod is told */
#include "vswitch/path/too_big.h"

#include "tap/base/wire.h"
#include "vswitch/path/icmp.h"

unsigned too_big_room(const struct remote *remote, int path)
{
	int headers = (remote->to.ss_family == AF_INET6 ? IP6_HEADER : IP4_HEADER) + UDP_HEADER;
	return path > headers ? (unsigned)(path - headers) : 0;
}

void too_big_answer(struct worker *worker, struct port *port, uint8_t *bytes, size_t length, unsigned room)
{
	struct frame frame;
	if (room <= VXLAN_HEADER + ETH_HEADER || worker->n_replies == WORKER_REPLIES)
		return;
	if (frame_parse(&frame, bytes, length) != DROP_NONE)
		return;
	struct worker_reply *reply = &worker->replies[worker->n_replies];
	unsigned mtu = room - VXLAN_HEADER - ETH_HEADER;
	reply->length = (uint32_t)icmp_too_big(&frame, mtu, reply->frame, sizeof(reply->frame));
	reply->port = port;
	if (reply->length)
		worker->n_replies++;
}
