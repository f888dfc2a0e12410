/* SPDX-License-Identifier: Apache-2.0 */
/*
 * path_probe.h - questions to an address behind the gateway, as whole frames: an ICMP echo request or a TCP SYN
 *
 * No sockets and no clock: frames come and go as bytes, times are passed in (microseconds of any monotonic clock), and
 * what must not be guessed comes from a seed. One thread at a time.
 */
#ifndef PODSWITCH_PATH_PROBE_H
#define PODSWITCH_PATH_PROBE_H

#include "tap/base/mac.h"
#include "tap/path_target.h"

#include <linux/filter.h>
#include <stddef.h>

#define PATH_FRAME 64    /* bytes: no frame of ours is longer */
#define PATH_QUESTIONS 8 /* that may be answered at a time: an answer may come after later questions were sent */
#define PATH_FILTER 12   /* instructions */

/* The two ends of a question on the overlay: the pod, and the router that is to forward it. */
struct path_ends {
	struct mac own_mac, router_mac;
	struct address own; /* IPv4 */
};

/* TCP source ports that the pod's kernel does not give to connections of its own. */
struct path_ports {
	uint16_t first, n; /* host order; n is not 0 */
};

/* Initialised by path_probe_init(); read it only with the functions below. */
struct path_probe {
	struct path_target target;
	struct path_ports ports;
	uint64_t random; /* xorshift64 */
	uint16_t id;     /* of echo requests */
	uint16_t number; /* of the next question */
	struct path_question {
		bool open;       /* asked, and not answered */
		uint16_t number; /* an echo request's sequence number, or a SYN's source port */
		uint32_t sequence;
		uint64_t sent; /* us */
	} questions[PATH_QUESTIONS];
};

/* The target's kind is not PATH_NONE. `seed` is any number, different for each probe. */
void path_probe_init(struct path_probe *probe, const struct path_target *target, struct path_ports ports,
		     uint64_t seed);

/* Writes the next question and returns its length, bytes. */
size_t path_probe_ask(struct path_probe *probe, const struct path_ends *ends, uint64_t now,
		      uint8_t frame[static PATH_FRAME]);

/*
 * Whether a frame with any content answers one of the last PATH_QUESTIONS questions: an echo reply, or a SYN-ACK, of
 * the target to the pod. If so, *took is for how long it was waited for, us, and it will not be taken again. A RST is
 * no answer: whoever sends it need not be the target, and firewalls do.
 */
bool path_probe_answers(struct path_probe *probe, const struct path_ends *ends, uint64_t now, const uint8_t *frame,
			size_t length, uint64_t *took);

/* Forgets what was asked: answers to it will not be taken. */
void path_probe_forget(struct path_probe *probe);

/*
 * A packet filter that lets the answers through and, of the pod's other traffic, only what looks like them. Most
 * packets are done with after two instructions. Returns the number of instructions.
 */
unsigned short path_probe_filter(const struct path_probe *probe, struct sock_filter code[static PATH_FILTER]);

/* Ports beside the range of net.ipv4.ip_local_port_range, which is `low` to `high`. */
struct path_ports path_ports_beside(unsigned low, unsigned high);

#endif
