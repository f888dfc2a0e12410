/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_dhcp.c - any frames and any passing of time to a DHCP client, through all its states */
#include "tap/base/checksum.h"
#include "tap/base/wire.h"
#include "tap/dhcp.h"

#include <assert.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define XID (ETH_HEADER + IP4_HEADER + UDP_HEADER + 4)
#define MEND_IDS 1  /* the answer is to the last question */
#define MEND_SUMS 2 /* its lengths and checksums are right */
#define REBOOT 4
#define RELEASE 8
#define SKIP 16 /* to the next moment that the client waits for */

static const struct mac mac = {{0x02, 0x11, 0x22, 0x33, 0x44, 0x55}};

static void mend(const struct dhcp *dhcp, uint8_t *frame, size_t length, unsigned flags)
{
	uint8_t *ip = frame + ETH_HEADER, *udp = ip + IP4_HEADER;

	if (length < XID + 4)
		return;
	if (flags & MEND_IDS)
		store32(frame + XID, dhcp->xid);
	if (!(flags & MEND_SUMS))
		return;
	uint16_t datagram = (uint16_t)(length - ETH_HEADER - IP4_HEADER);
	store16(ip + IP4_LENGTH, (uint16_t)(length - ETH_HEADER));
	store16(udp + UDP_LENGTH, datagram);
	store16(udp + UDP_CHECKSUM, 0);
	store16(ip + IP4_CHECKSUM, 0);
	store_word(ip + IP4_CHECKSUM, checksum_finish(checksum_add(0, ip, IP4_HEADER)));
}

static void check(const struct dhcp *dhcp, uint64_t now)
{
	const struct dhcp_lease *lease = dhcp_lease(dhcp);

	if (!lease)
		return;
	const uint8_t *own = lease->address.address.bytes;
	assert(lease->address.address.family == AF_INET && lease->address.length && lease->address.length < 32);
	uint32_t hosts = UINT32_MAX >> lease->address.length, host = load32(own) & hosts;
	assert(own[0] && own[0] != 127 && own[0] < 224 && (hosts == 1 || (host && host != hosts)));
	assert(!lease->router.family || prefix_contains(&lease->address, &lease->router));
	assert(!address_equal(&lease->router, &lease->address.address) && mac_is_unicast(&lease->server_mac));
	assert(!lease->mtu || lease->mtu >= 576);
	assert(lease->expires_at >= now && dhcp_due(dhcp) <= lease->expires_at);
	assert(lease->expires_at == UINT64_MAX || lease->expires_at > lease->rebind_at);
	assert(lease->rebind_at == UINT64_MAX || lease->rebind_at > lease->renew_at);
}

/* Sends everything that is due; the client never sends more than twice at one moment. */
static void send_all(struct dhcp *dhcp, uint64_t now)
{
	uint8_t frame[DHCP_FRAME_MAX];
	enum dhcp_event event;

	for (unsigned sent = 0; dhcp_due(dhcp) <= now; sent++) {
		size_t length = dhcp_send(dhcp, now, frame, &event);
		assert(length == 0 || (length >= 342 && length <= sizeof(frame)));
		assert(event == DHCP_NOTHING || (event == DHCP_LOST && !dhcp_lease(dhcp)));
		assert(sent < 2);
	}
}

/* A step is flags, how much time passes (quarters of a second, squared), the length of a frame and the frame. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct address hint = {.family = AF_INET, .bytes = {172, 16, 0, 57}};
	struct dhcp dhcp;
	uint64_t now = 1000;

	dhcp_init(&dhcp, &mac, "app-0", 42, size && data[0] & 0x80 ? &hint : NULL, now);
	while (size >= 4) {
		unsigned flags = data[0];
		size_t length = load16(data + 2);
		now += 250ULL * data[1] * data[1];
		if (flags & SKIP && dhcp_due(&dhcp) != UINT64_MAX && dhcp_due(&dhcp) > now)
			now = dhcp_due(&dhcp);
		data += 4;
		size -= 4;
		length = length < size ? length : size;
		send_all(&dhcp, now);
		uint8_t *frame = malloc(length ? length : 1), released[DHCP_FRAME_MAX];
		memcpy(frame, data, length);
		mend(&dhcp, frame, length, flags);
		bool had = dhcp_lease(&dhcp) != NULL;
		enum dhcp_event event = dhcp_receive(&dhcp, frame, length, now);
		free(frame);
		assert(event != DHCP_LEASED || dhcp_lease(&dhcp));
		assert(event != DHCP_RENEWED || (had && dhcp_lease(&dhcp)));
		assert(event != DHCP_LOST || (had && !dhcp_lease(&dhcp)));
		assert(event != DHCP_NOTHING || had == (dhcp_lease(&dhcp) != NULL));
		check(&dhcp, now);
		if (flags & REBOOT)
			dhcp_reboot(&dhcp, now);
		if (flags & RELEASE)
			dhcp_release(&dhcp, now, released);
		data += length;
		size -= length;
	}
	return 0;
}
