/* SPDX-License-Identifier: Apache-2.0 */
/* dhcp_request.h - whether what a pod says to a DHCP server is said in its own name */
#ifndef PODSWITCH_DHCP_REQUEST_H
#define PODSWITCH_DHCP_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Whether the `length` bytes of UDP payload are a client's message (RFC 2131) with this hardware address and nothing by
 * which a server could take it for another's: no other client identifier (RFC 2132, section 9.14), no relay (giaddr,
 * RFC 3046), no options where we do not look (overload). A server gives one lease to an identity, and takes it back
 * from nobody else. Any thread.
 */
bool dhcp_request_is_own(const uint8_t *message, size_t length, const uint8_t mac[static 6]);

#endif
