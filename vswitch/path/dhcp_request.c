/* SPDX-License-Identifier: Apache-2.0 */
/* dhcp_request.c - whether what a pod says to a DHCP server is said in its own name */
#include "vswitch/path/dhcp_request.h"

#include "tap/base/bootp.h"
#include "tap/base/wire.h"

#include <string.h>

static bool is_own_identifier(const uint8_t *value, size_t length, const uint8_t mac[static 6])
{
	return length == 7 && value[0] == HTYPE_ETHERNET && !memcmp(value + 1, mac, 6);
}

/* Up to the end mark, which has to be there. Two identifiers would be joined to a third one (RFC 3396). */
static bool has_own_options(const uint8_t *message, size_t length, const uint8_t mac[static 6])
{
	bool identified = false;
	for (size_t at = BOOTP_OPTIONS; at < length && message[at] != OPT_END;) {
		if (message[at] == OPT_PAD) {
			at++;
			continue;
		}
		if (length - at < 2 || length - at - 2 < message[at + 1])
			return false;
		uint8_t option = message[at], size = message[at + 1];
		if (option == OPT_OVERLOAD || option == OPT_RELAY)
			return false;
		if (option == OPT_CLIENT && (identified || !is_own_identifier(message + at + 2, size, mac)))
			return false;
		identified = identified || option == OPT_CLIENT;
		at += 2U + size;
		if (at < length && message[at] == OPT_END)
			return true;
	}
	return false;
}

bool dhcp_request_is_own(const uint8_t *message, size_t length, const uint8_t mac[static 6])
{
	return length >= BOOTP_OPTIONS && message[BOOTP_OP] == BOOTP_REQUEST &&
	       message[BOOTP_HTYPE] == HTYPE_ETHERNET && message[BOOTP_HLEN] == 6 && !load32(message + BOOTP_GIADDR) &&
	       !memcmp(message + BOOTP_CHADDR, mac, 6) && load32(message + BOOTP_COOKIE) == DHCP_COOKIE &&
	       has_own_options(message, length, mac);
}
