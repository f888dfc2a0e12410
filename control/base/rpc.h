/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rpc.h - the control socket: JSON-RPC 2.0 over a UNIX stream socket, one JSON text a line each way
 *
 * Everything is non-blocking and for one thread, which watches rpc_fd and calls rpc_serve when it is readable, and
 * rpc_tick once a second. One turn does a bounded amount of work for each client, so that a client with a thousand
 * requests in the queue holds up neither the others nor the owner's loop.
 *
 * The socket file exists exactly while somebody answers on it: it appears by rename after listen, and goes first.
 */
#ifndef PODSWITCH_RPC_H
#define PODSWITCH_RPC_H

#include "control/base/jsonrpc.h"

#define RPC_MAX_LINE (4u << 20)   /* bytes of one line; a longer one is refused and its client closed */
#define RPC_MAX_HELD (64u << 20)  /* bytes of unfinished lines that all clients together may have here */
#define RPC_MAX_OUTPUT (1u << 20) /* answers waiting for a client that does not read; then it is not served */
#define RPC_MAX_EVENTS                                                                                                 \
	(256u << 10) /* events waiting for a client that does not read; further ones are counted only                  \
		      */
#define RPC_TURN 16  /* requests of one client in one turn */

struct rpc;

/*
 * Opens the socket at `path` (its directory is made when missing), mode 0600. A file left by a podswitchd that was
 * killed is taken over. Errors, with key "socket": -EADDRINUSE (somebody answers on it), -EEXIST (it is no socket),
 * -ENAMETOOLONG, and what the kernel said.
 */
int rpc_open(const char *path, jsonrpc_call *call, void *context, struct rpc **out, struct failure *why);

/* Removes the socket file (if it is still ours), then closes all clients. NULL is accepted. */
void rpc_close(struct rpc *rpc);

/* Readable when there is something to do. */
int rpc_fd(const struct rpc *rpc);

void rpc_serve(struct rpc *rpc);
void rpc_tick(struct rpc *rpc);

/* Takes over a connected stream socket as a further client; it is closed with it, or at once when this fails. */
int rpc_adopt(struct rpc *rpc, int fd);

/* Clients connected now. */
unsigned rpc_clients(const struct rpc *rpc);

/*
 * Events: a notification "monitor.event" with `params` (borrowed) to every client that asked. May be called from
 * within a call; nothing is sent before the next turn. Events that found no room are made up for by one event
 * "monitor.missed" with their number in "missed".
 */
void rpc_subscribe(struct rpc_client *client);
void rpc_broadcast(struct rpc *rpc, json_t *params);

#endif
