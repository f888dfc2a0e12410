/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rpc.h - the control socket: JSON-RPC 2.0 over a UNIX stream socket, one JSON text a line each way
 *
 * Non-blocking, for one thread, which polls rpc_fd(), calls rpc_serve() when that is readable, and rpc_tick() once a
 * second. One turn does a bounded amount of work, whatever the number of clients, and clients have their requests run
 * one by one in turn, so those with thousands of queued requests delay neither the others nor the owner's loop.
 *
 * The socket file exists exactly while somebody answers on it: it appears by a rename after listen(2), and is removed
 * before anything else is closed.
 */
#ifndef PODSWITCH_RPC_H
#define PODSWITCH_RPC_H

#include "control/base/jsonrpc.h"

#include <stdint.h>

#define RPC_MAX_LINE (4u << 20)     /* bytes of one line; a longer one is refused, and its client closed */
#define RPC_MAX_HELD (64u << 20)    /* bytes of unfinished lines of all clients together */
#define RPC_MAX_OUTPUT (64u << 10)  /* bytes of unread answers, from which on a client's requests wait */
#define RPC_MAX_UNREAD (64u << 20)  /* bytes of unread answers of all clients; who has most of them is closed */
#define RPC_MAX_EVENTS (256u << 10) /* bytes of unread events, from which on further ones are only counted */
#define RPC_TURN 32                 /* requests per turn, of all clients together */
#define RPC_TURN_US 5000            /* µs, after which no further request is begun in a turn */

struct rpc;

/*
 * Opens the socket at `path`, mode 0600; clients of other users than root and our own are refused, with an answer, even
 * if they can open it. Its directory is made when it is missing. A socket file left by a podswitchd
 * that was killed is replaced. Errors have the key "socket": -EADDRINUSE (somebody answers on it), -EEXIST (not a
 * socket), -ENAMETOOLONG, and what the kernel says.
 */
int rpc_open(const char *path, jsonrpc_call *call, void *context, struct rpc **out, struct failure *why);

/*
 * The same beside somebody who answers at `path`: there, only rpc_appear() puts this one in its place, from one moment
 * to the next.
 */
int rpc_open_beside(const char *path, jsonrpc_call *call, void *context, struct rpc **out, struct failure *why);
int rpc_appear(struct rpc *rpc, struct failure *why);

/* Removes the socket file (if it is still ours), then closes all clients. NULL is accepted. */
void rpc_close(struct rpc *rpc);

/* A descriptor to poll for reading: there is something to do. */
int rpc_fd(const struct rpc *rpc);

/* One turn: at most RPC_TURN requests, and no new one after RPC_TURN_US. Never blocks. */
void rpc_serve(struct rpc *rpc);

/* Once a second: closes refused clients, accepts again after descriptors had run out, gives memory back. */
void rpc_tick(struct rpc *rpc);

/* Serves a connected stream socket as a client, which closes it; on error it is closed at once. */
int rpc_adopt(struct rpc *rpc, int fd);

/*
 * From a method that cannot answer yet: its result is dropped, and it is called again, with the same request, after
 * rpc_resume() was called with this number, which is not 0. Until then its client's further requests wait, as they are
 * answered in order. rpc_held() is that number while it is called again, else (and of NULL) 0; a method may hold more
 * than once. It is not called again when the client has had an error, or at rpc_close(): what must be done is done the
 * first time.
 */
void rpc_hold(struct rpc_client *client, uint64_t number);
uint64_t rpc_held(const struct rpc_client *client);
void rpc_resume(struct rpc *rpc, uint64_t number);

/* How many requests are held. */
unsigned rpc_holds(const struct rpc *rpc);

/*
 * From a method: once its answer is sent, the connection is no client's any more, but waits for rpc_released(), which
 * returns its descriptor, or -1. What the client sends after its request is the new owner's to read, so it must wait
 * for the answer.
 */
void rpc_release(struct rpc_client *client);
int rpc_released(struct rpc *rpc);

/* How many clients are connected. */
unsigned rpc_clients(const struct rpc *rpc);

/*
 * Events: rpc_broadcast() queues a notification "monitor.event" with `params` (borrowed) for every subscribed client.
 * May be called from a method; nothing is sent before the next turn. When events find no room, one event
 * "monitor.missed" has their number in "missed".
 */
void rpc_subscribe(struct rpc_client *client);
void rpc_broadcast(struct rpc *rpc, json_t *params);

#endif
