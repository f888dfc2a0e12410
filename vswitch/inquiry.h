/* SPDX-License-Identifier: Apache-2.0 */
/*
 * inquiry.h - asks the network why a remote does not answer: does somebody on the way answer by ICMP?
 *
 * The sockets that carry frames do not ask for ICMP errors: each error would fail the next send. So a socket of its own
 * sends one datagram that every receiver drops (probe.h), and reads the error that may come back (IP_RECVERR, ip(7)).
 *
 * Control thread.
 */
#ifndef PODSWITCH_INQUIRY_H
#define PODSWITCH_INQUIRY_H

#include "tap/base/address.h"

#include <stdbool.h>
#include <sys/socket.h>

struct inquiry_answer {
	struct address from; /* who sent the ICMP error */
	const char *meaning; /* "port unreachable"; valid for the life of the process */
	bool closed;         /* that is: the host is there, and nobody listens on the port */
};

/*
 * Sends a datagram to `to`, from the network namespace of the calling thread and from the address `from` (NULL: any).
 * Returns the socket on which the error will arrive, to be closed by the caller, or a negative errno: -ECONNREFUSED and
 * others when the kernel itself knows that there is no way.
 */
int inquiry_send(const struct sockaddr_storage *to, const struct address *from);

/* Takes what has come back. False when nothing has. Does not block. */
bool inquiry_read(int fd, struct inquiry_answer *out);

#endif
