/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http_clients.c - the connections of an HTTP server, and which of them goes when there are too many
 *
 *   connected --> UNFINISHED --the whole request--> OURS --answered--> IDLE
 *                  ^      `---no room for its body---^                  |
 *                  |<------------------ room ---------'                 |
 *                  `------------------- a request's head ---------------'
 *
 * Whoever can reach the port can open connections and leave them silent, or stop within the handshake, the head or the
 * body. Were a place kept for the usual 10 s, a few hundred of them would make the server deaf. So there is always
 * room for one more: libmicrohttpd may have HTTP_CLIENTS_SPARE connections beyond `room`, and while there are more than
 * `room`, the one that has been of its kind for longest is shut down. That is the shrinking deadline: `room` places
 * turned over at the rate at which connections come.
 *
 * It is taken from the kind of which there are most, so that a crowd of one kind drives out its own: no number of
 * silent connections ends those on which the API server has had its reviews answered. The client that comes last is the
 * last to go, which leaves it the time in which `room` others come.
 *
 * libmicrohttpd's own limit for one address would not help: the kubelet, the API server and whoever else runs on the
 * node, or comes through its NAT, have one address.
 *
 * Slow clients: idle connections must stay open, since the API server reuses them and a request on one that is just
 * being closed fails. So the sweep cuts only those that have sent bytes and no complete request.
 *
 * Handshakes: libmicrohttpd 0.9 calls gnutls_handshake() again and again while the client's next words have not come,
 * and would take a whole processor for one silent client, and a millisecond of each turn for a hundred. So we suspend a
 * connection as soon as its handshake has nothing to read, and wait for its socket in an epoll set of our own, which
 * holds libmicrohttpd's, too.
 *
 *   libmicrohttpd <--resume-- parked <--a byte-- our epoll set
 *        `--handshake unfinished, no byte--^
 *
 * A client is only shut down: the socket is libmicrohttpd's, which sees the end and closes it. It does not see it while
 * the connection is suspended; such a client is hurried instead.
 */
#include "control/base/http_clients.h"

#include <errno.h>
#include <gnutls/gnutls.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define BYTES_PER_MS 16 /* of a body; who sends that many is not slow, it is rather this machine that is busy */
#define A_MOMENT 100    /* ms in which the last bytes of a request may come after its answer has begun */

/* ---- the kinds ---- */

static void http_client_leave(struct http_clients *clients, struct http_client *client)
{
	struct http_queue *kind = &clients->kinds[client->kind];
	*(client->older ? &client->older->newer : &kind->oldest) = client->newer;
	*(client->newer ? &client->newer->older : &kind->newest) = client->older;
	kind->n--;
	clients->n--;
}

static void http_client_enter(struct http_clients *clients, struct http_client *client, enum http_kind which)
{
	struct http_queue *kind = &clients->kinds[which];
	client->kind = which;
	client->since = clients->now;
	client->allowed = client->suspected = 0;
	client->newer = NULL;
	client->older = kind->newest;
	*(kind->newest ? &kind->newest->newer : &kind->oldest) = client;
	kind->newest = client;
	kind->n++;
	clients->n++;
}

static void http_client_become(struct http_clients *clients, struct http_client *client, enum http_kind kind)
{
	if (!client || client->cut || client->hurried)
		return;
	http_client_leave(clients, client);
	http_client_enter(clients, client, kind);
}

/* A first request has the time from the connection on: sending its head must not be worth another term. */
void http_client_begin(struct http_clients *clients, struct http_client *client)
{
	if (client && client->kind != HTTP_UNFINISHED)
		http_client_become(clients, client, HTTP_UNFINISHED);
}

void http_client_progress(struct http_client *client, size_t bytes)
{
	if (client)
		client->allowed += bytes / BYTES_PER_MS;
}

void http_client_wait(struct http_clients *clients, struct http_client *client, bool pinned)
{
	if (!client)
		return;
	client->pinned = pinned;
	if (client->kind != HTTP_OURS)
		http_client_become(clients, client, HTTP_OURS);
}

void http_client_go_on(struct http_clients *clients, struct http_client *client)
{
	if (!client)
		return;
	client->pinned = false;
	http_client_begin(clients, client);
}

void http_client_hold(struct http_clients *clients, struct http_client *client)
{
	if (client)
		client->held = clients->now;
}

void http_client_finish(struct http_clients *clients, struct http_client *client)
{
	if (!client)
		return;
	client->finished = clients->now;
	client->held = 0;
	client->pinned = false;
	if (client->hurried)
		http_client_enter(clients, client, HTTP_IDLE);
	else
		http_client_become(clients, client, HTTP_IDLE);
	client->hurried = false;
}

/* ---- handshakes ---- */

static void shaking_add(struct http_clients *clients, struct http_client *client)
{
	client->next_shaking = clients->shaking;
	client->shaking_at = &clients->shaking;
	if (clients->shaking)
		clients->shaking->shaking_at = &client->next_shaking;
	clients->shaking = client;
}

static void shaking_remove(struct http_client *client)
{
	if (!client->shaking_at)
		return;
	*client->shaking_at = client->next_shaking;
	if (client->next_shaking)
		client->next_shaking->shaking_at = client->shaking_at;
	client->shaking_at = NULL;
}

/* The client's Finished is the last that it says in a handshake. GnuTLS 3.7 calls it for both sides' messages. */
static int on_shaken(gnutls_session_t session, unsigned type, unsigned when, unsigned incoming,
		     const gnutls_datum_t *message)
{
	struct http_client *client = gnutls_session_get_ptr(session);
	(void)type, (void)when, (void)message;
	if (incoming)
		client->shaking = false;
	return 0;
}

static void http_client_watch_handshake(struct http_clients *clients, struct http_client *client)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(client->connection, MHD_CONNECTION_INFO_GNUTLS_SESSION);
	gnutls_session_t session = info ? info->tls_session : NULL;
	if (!session)
		return;
	client->shaking = true;
	gnutls_session_set_ptr(session, client);
	gnutls_handshake_set_hook_function(session, GNUTLS_HANDSHAKE_FINISHED, GNUTLS_HOOK_POST, on_shaken);
	shaking_add(clients, client);
}

static bool has_nothing_to_read(int fd)
{
	char byte;
	return recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && errno == EAGAIN;
}

static void http_client_park(struct http_clients *clients, struct http_client *client)
{
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = client};
	if (epoll_ctl(clients->fd, EPOLL_CTL_ADD, client->fd, &event))
		return;
	MHD_suspend_connection(client->connection);
	client->parked = true;
}

static void http_client_unpark(struct http_clients *clients, struct http_client *client)
{
	epoll_ctl(clients->fd, EPOLL_CTL_DEL, client->fd, NULL);
	MHD_resume_connection(client->connection);
	client->parked = false;
}

static void http_clients_park(struct http_clients *clients)
{
	for (struct http_client *client = clients->shaking, *next; client; client = next) {
		next = client->next_shaking;
		if (client->shaking && !client->cut && !has_nothing_to_read(client->fd))
			continue;
		shaking_remove(client);
		if (client->shaking && !client->cut)
			http_client_park(clients, client);
	}
}

/* Level-triggered, so what finds no place in the array comes in the next turn. */
static void http_clients_unpark(struct http_clients *clients)
{
	struct epoll_event events[128];
	int n = epoll_wait(clients->fd, events, sizeof(events) / sizeof(events[0]), 0);
	for (int i = 0; i < n; i++) {
		struct http_client *client = events[i].data.ptr;
		if (!client)
			continue; /* libmicrohttpd's own */
		http_client_unpark(clients, client);
		shaking_add(clients, client);
	}
}

/* ---- libmicrohttpd's callback ---- */

struct http_client *http_client_of(struct MHD_Connection *connection)
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
	return info ? info->socket_context : NULL;
}

static void http_client_open(struct http_clients *clients, struct MHD_Connection *connection, void **state)
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
	struct http_client *client = calloc(1, sizeof(*client));
	clients->opened++;
	*state = client;
	if (!client)
		return; /* it is served, but neither counted nor watched */
	client->connection = connection;
	client->fd = info->connect_fd;
	http_client_enter(clients, client, HTTP_UNFINISHED);
	http_client_watch_handshake(clients, client);
}

static void http_client_close(struct http_clients *clients, struct http_client *client)
{
	if (client && !client->cut && !client->hurried)
		http_client_leave(clients, client);
	if (client)
		shaking_remove(client);
	free(client);
}

static void http_clients_notify(void *context, struct MHD_Connection *connection, void **state,
				enum MHD_ConnectionNotificationCode code)
{
	if (code == MHD_CONNECTION_NOTIFY_STARTED)
		http_client_open(context, connection, state);
	else
		http_client_close(context, *state);
}

void http_clients_options(struct http_clients *clients, struct MHD_OptionItem *out)
{
	out[0] = (struct MHD_OptionItem){MHD_OPTION_CONNECTION_LIMIT, clients->room + HTTP_CLIENTS_SPARE, NULL};
	out[1] = (struct MHD_OptionItem){MHD_OPTION_LISTEN_BACKLOG_SIZE, SOMAXCONN, NULL};
	out[2] = (struct MHD_OptionItem){MHD_OPTION_NOTIFY_CONNECTION, (intptr_t)http_clients_notify, clients};
}

int http_clients_start(struct http_clients *clients, struct MHD_Daemon *daemon)
{
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
	clients->daemon = daemon;
	clients->fd = epoll_create1(EPOLL_CLOEXEC);
	int own = MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd;
	int error = clients->fd < 0 || epoll_ctl(clients->fd, EPOLL_CTL_ADD, own, &event) ? -errno : 0;
	if (error)
		http_clients_stop(clients);
	return error;
}

/* libmicrohttpd ends the process when it is stopped with a suspended connection. */
void http_clients_stop(struct http_clients *clients)
{
	for (unsigned i = 0; i < HTTP_KINDS; i++)
		for (struct http_client *client = clients->kinds[i].oldest; client; client = client->newer)
			if (client->parked)
				http_client_unpark(clients, client);
	MHD_stop_daemon(clients->daemon);
	if (clients->fd >= 0)
		close(clients->fd);
}

/* ---- who goes ---- */

static void http_client_cut(struct http_clients *clients, struct http_client *client)
{
	http_client_leave(clients, client);
	if (client->pinned) {
		client->hurried = true;
		return;
	}
	client->cut = true;
	shutdown(client->fd, SHUT_RDWR);
	if (client->parked)
		http_client_unpark(clients, client);
}

static struct http_client *http_clients_oldest(const struct http_clients *clients)
{
	const struct http_queue *most = &clients->kinds[0];
	for (unsigned i = 1; i < HTTP_KINDS; i++)
		if (clients->kinds[i].n > most->n)
			most = &clients->kinds[i];
	return most->oldest;
}

static bool http_clients_make_room(struct http_clients *clients)
{
	bool any = clients->n > clients->room;
	for (; clients->n > clients->room; clients->crowded++)
		http_client_cut(clients, http_clients_oldest(clients));
	return any;
}

/* libmicrohttpd accepts ten connections in a turn, and does not say that there are more. */
void http_clients_run(struct http_clients *clients, unsigned turns, uint64_t now)
{
	MHD_UNSIGNED_LONG_LONG timeout;
	bool more = true;
	clients->now = now;
	for (unsigned i = 0; i < turns && more; i++) {
		uint64_t opened = clients->opened;
		http_clients_unpark(clients);
		MHD_run(clients->daemon);
		http_clients_park(clients);
		more = http_clients_make_room(clients) || clients->opened != opened ||
		       (MHD_get_timeout(clients->daemon, &timeout) == MHD_YES && !timeout);
	}
}

/* Whether the client has sent anything since its last request. The kernel knows when data came last. */
static bool has_sent(const struct http_client *client, uint64_t now)
{
	struct tcp_info info;
	socklen_t size = sizeof(info);
	if (getsockopt(client->fd, IPPROTO_TCP, TCP_INFO, &info, &size))
		return false;
	return now - client->finished > (uint64_t)info.tcpi_last_data_recv + A_MOMENT;
}

static bool is_slow(struct http_client *client, uint64_t now, uint64_t slow)
{
	if (client->kind != HTTP_IDLE)
		return now - client->since > slow + client->allowed;
	if (!client->suspected && has_sent(client, now))
		client->suspected = now;
	return client->suspected && now - client->suspected > slow;
}

void http_clients_sweep(struct http_clients *clients, uint64_t slow, uint64_t idle)
{
	for (unsigned i = 0; i < HTTP_KINDS; i++) {
		for (struct http_client *client = clients->kinds[i].oldest, *newer; client; client = newer) {
			newer = client->newer;
			bool is_idle = client->kind == HTTP_IDLE && clients->now - client->since > idle;
			if (!is_idle && !is_slow(client, clients->now, slow))
				continue;
			http_client_cut(clients, client);
			(*(is_idle ? &clients->idle : &clients->slow))++;
		}
	}
}

void http_clients_cut_holders(struct http_clients *clients, uint64_t slow)
{
	for (struct http_client *client = clients->kinds[HTTP_UNFINISHED].oldest, *newer; client; client = newer) {
		newer = client->newer;
		if (!client->held || clients->now - client->held <= slow + client->allowed)
			continue;
		http_client_cut(clients, client);
		clients->slow++;
	}
}
