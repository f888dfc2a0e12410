/* SPDX-License-Identifier: Apache-2.0 */
/*
 * handed.h - the lines by which one podswitchd hands its switch over to another
 *
 *    line                                                  descriptors
 *                                                          ---> {"go": true}
 *    {"hello": {"protocol": 1, "version", "pid"}}          the state directory's lock
 *    {"host": SOCKETS}                                     those of the underlay
 *    {"gateway": {"name", "pod_underlay"}}
 *    {"port": {"name", "refuses_tso", "vteps", ...}}       TAP, network namespace, and those of "sockets" if it has any
 *    {"learned": {"gateway", "mac", "port" or "remote", "age"}}
 *    {"whole": true}                                       ---> {"commit": true}
 *    {"counted": {"port": NAME, ...}}, or "gateway", or neither
 *    {"yours": true}                                       ---> {"done": true}, or at any time {"failed": TEXT}
 *    {"bye": true}
 *
 * SOCKETS is {"port", "receivers", "sources", "ip6"}. Times are ms of the monotonic clock, -1 for never. Keys and lines
 * that a reader does not know are passed over, so that older and newer versions understand each other.
 *
 * Readers take any JSON. Errors: -EPROTO with the key at fault in the text; descriptors that came are closed then.
 */
#ifndef PODSWITCH_HANDED_H
#define PODSWITCH_HANDED_H

#include "control/base/fd_stream.h"
#include "vswitch/handover.h"

#define HANDED_PROTOCOL 1

/* A port as it was read: what `port` points to is in the same struct. */
struct handed_port_line {
	struct handed_port port;
	char name[SWITCH_NAME];
	struct address vteps[HANDED_VTEPS];
};

/* A new reference, or NULL without memory. *n is how many descriptors go with it. */
json_t *handed_host_line(const struct underlay *host, int fds[static FD_STREAM_MAX], size_t *n);
json_t *handed_gateway_line(const struct handed_gateway *gateway);
json_t *handed_port_line(const struct handed_port *port, int fds[static FD_STREAM_MAX], size_t *n);
json_t *handed_learned_line(const struct fdb_status *entry);

/* With the descriptors that are next in `stream`. `options` say what sockets must be like. */
int handed_read_host(const json_t *line, struct fd_stream *stream, const struct switch_options *options,
		     struct underlay **out, struct failure *why);
int handed_read_gateway(const json_t *line, char name[static SWITCH_NAME], bool *pod_underlay, struct failure *why);
int handed_read_port(const json_t *line, struct fd_stream *stream, const struct switch_options *options,
		     struct handed_port_line *out, struct failure *why);

/* What cannot be read is left out. */
void handed_read_learned(const json_t *line, struct vswitch *vs);
void handed_read_counted(const json_t *line, struct vswitch *vs);

#endif
