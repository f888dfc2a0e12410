/* SPDX-License-Identifier: Apache-2.0 */
/* arp_probe.c - ARP for IPv4 over Ethernet as whole frames: questions of a pod, and who answers */
#include "tap/arp_probe.h"

#include "tap/base/wire.h"

#include <net/ethernet.h>
#include <string.h>

_Static_assert(ETH_HEADER + ARP_LENGTH == ARP_FRAME, "a request is as long as it is said to be");

void arp_probe_write(uint8_t frame[static ARP_FRAME], const struct mac *own, const uint8_t *sender,
		     const uint8_t *target)
{
	uint8_t *arp = frame + ETH_HEADER;

	memset(frame, 0, ARP_FRAME);
	memset(frame + ETH_DST, 0xff, sizeof(own->bytes));
	memcpy(frame + ETH_SRC, own->bytes, sizeof(own->bytes));
	store16(frame + ETH_TYPE, ETH_P_ARP);
	store16(arp + ARP_HTYPE, 1);
	store16(arp + ARP_PTYPE, ETHERTYPE_IP4);
	store16(arp + ARP_SIZES, ARP_SIZES_VALUE);
	store16(arp + ARP_OPERATION, ARP_REQUEST);
	memcpy(arp + ARP_SENDER_MAC, own->bytes, sizeof(own->bytes));
	if (sender)
		memcpy(arp + ARP_SENDER, sender, 4);
	memcpy(arp + ARP_TARGET, target, 4);
}

bool arp_probe_is_arp(const uint8_t *frame, size_t length)
{
	const uint8_t *arp = frame + ETH_HEADER;

	return length >= ARP_FRAME && load16(frame + ETH_TYPE) == ETH_P_ARP && load16(arp + ARP_HTYPE) == 1 &&
	       load16(arp + ARP_PTYPE) == ETHERTYPE_IP4 && load16(arp + ARP_SIZES) == ARP_SIZES_VALUE;
}

bool arp_probe_answers(const uint8_t *frame, const struct mac *own_mac, const struct address *own,
		       const struct address *router, struct mac *from)
{
	const uint8_t *arp = frame + ETH_HEADER, *mac = own_mac->bytes;

	memcpy(from->bytes, arp + ARP_SENDER_MAC, sizeof(from->bytes));
	return !memcmp(frame + ETH_DST, mac, 6) && load16(arp + ARP_OPERATION) == ARP_REPLY &&
	       !memcmp(arp + ARP_SENDER, router->bytes, 4) && !memcmp(arp + ARP_TARGET_MAC, mac, 6) &&
	       !memcmp(arp + ARP_TARGET, own->bytes, 4) && mac_is_unicast(from);
}

bool arp_probe_conflicts(const uint8_t *frame, const struct mac *own_mac, const uint8_t *address)
{
	const uint8_t *arp = frame + ETH_HEADER;
	bool reply = load16(arp + ARP_OPERATION) == ARP_REPLY;

	return memcmp(arp + ARP_SENDER_MAC, own_mac->bytes, 6) != 0 &&
	       !memcmp(arp + (reply ? ARP_SENDER : ARP_TARGET), address, 4);
}

unsigned short arp_probe_filter(struct sock_filter code[static ARP_FILTER])
{
	const struct sock_filter program[] = {
		BPF_STMT(BPF_LD | BPF_H | BPF_ABS, ETH_HEADER + ARP_OPERATION),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ARP_REPLY, 2, 0),
		/* Of requests, only others' probes for an address: those have no sender. */
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, ETH_HEADER + ARP_SENDER),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, UINT16_MAX),
		BPF_STMT(BPF_RET | BPF_K, 0),
	};

	_Static_assert(sizeof(program) == ARP_FILTER * sizeof(code[0]), "all of it");
	memcpy(code, program, sizeof(program));
	return ARP_FILTER;
}
