/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rpc.c - the control socket: clients, their requests and answers, and the events they subscribed to
 *
 *   client --recv--> in --line--> jsonrpc --method--> answer --> out --send--> client
 *                     \                 \                         ^
 *                      one line at most  a batch, one element     | between two answers
 *                                        at a time                |
 *                        rpc_broadcast() --> events --------------+
 *
 * `in` holds bytes that are not answered yet, `out` answers that are not sent yet.
 *
 *   idle --its socket is ready--> fresh --one request--> idle, or, with more to do, stale
 *                                 stale --one request--> idle, or stale again, as the last one
 *
 *                     held: its request cannot be answered yet; rpc_resume() makes it fresh, to run the request again
 *
 * Whoever is first in a queue has one read, one request, and what its socket takes sent; the two queues are served in
 * turn. So who asks one thing waits for those that do the same, and as long again, and not for what others have in
 * stock. Work that is left at the end of a turn makes the eventfd `again` readable, and with it rpc_fd().
 *
 * Memory is bounded:
 *   - while a complete line waits, nothing more is read, so `in` is at most one line and one read;
 *   - while `out` is over RPC_MAX_OUTPUT, no request is run, so `out` is at most that and one answer;
 *   - when all `out` together are over RPC_MAX_UNREAD, the client with the largest is closed;
 *   - a batch is run and sent element by element, and each element counts as a request;
 *   - the answer to a batch is one line, so events have a queue of their own and join `out` between answers. When that
 *     queue is full, further events are only counted, and the client gets the count;
 *   - an idle client has no buffers, and after a crowd has gone the heap is given back to the kernel.
 *
 * How a client ends:
 *   eof      it shut down its sending side: it gets all its answers, then it is closed;
 *   gone     it closed altogether: what it sent is still run, so that "send and leave" works;
 *   leaving  it was refused: we read and discard for a moment, since closing at once would make its write fail and hide
 *            the answer;
 *   dead     an error, or no memory: closed at the end of the turn.
 *
 * One thread: the one that calls rpc_serve() and rpc_tick(). Methods run inside rpc_serve() and may call
 * rpc_subscribe() and rpc_broadcast(). JSON-RPC 2.0 is in jsonrpc.c.
 */
#include "control/base/rpc.h"
#include "tap/base/buffer.h"
#include "tap/base/clock.h"
#include "tap/base/file.h"
#include "tap/base/log.h"
#include "tap/base/text.h"

#include <fcntl.h>
#include <inttypes.h>
#include <malloc.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define READ_SIZE 16384
#define ACCEPTS 64        /* new clients per turn */
#define LARGE (1u << 20)  /* bytes in buffers, after which the heap is given back as soon as they are gone */
#define LEAVING_TICKS 2   /* how long we discard what a refused client sends */
#define NEW_SUFFIX ".new" /* the socket's name until it listens */

struct rpc_queue {
	struct rpc_client *first, *last;
};

struct rpc_client {
	struct rpc_client *next, *previous;
	struct rpc_client *behind, *before; /* in the queue */
	struct rpc_queue *queue;            /* NULL: it has nothing to do */
	struct rpc *rpc;
	int fd;
	uint32_t interest; /* what epoll watches for */
	struct buffer in, out, events;
	size_t scanned; /* the first bytes of `in`, known to hold no newline */
	json_t *batch;  /* the batch that is being run, or NULL */
	size_t batch_next;
	bool batch_answered; /* its opening bracket is in `out` */
	bool readable;
	bool backlog; /* another request may be ready without reading */
	bool eof;
	bool gone;
	bool dead;
	bool monitoring;
	bool releasing; /* after its answer, it is somebody else's */
	bool holding;   /* its request waits for rpc_resume() with: */
	uint64_t held;  /* 0: the request that comes next was not held */
	unsigned leaving;
	uint64_t missed; /* events that found no room since the last one that did */
};

struct rpc {
	jsonrpc_call *call;
	void *context;
	struct rpc_client *clients;
	unsigned n_clients, holds;
	struct rpc_queue fresh, stale;
	bool stale_next;     /* whose turn it is */
	size_t held, unread; /* sums of in.size and of out.size */
	size_t peak;         /* of both, since the heap was given back */
	char scrap[READ_SIZE];
	int epoll, listener, again;
	int released; /* a connection that waits for its new owner; -1: none */
	bool full;    /* not accepting: no descriptors left */
	char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
	dev_t dev; /* with ino: the socket file we made */
	ino_t ino;
};

/* ---- answers ---- */

static void rpc_enqueue(struct rpc_client *client, struct rpc_queue *queue)
{
	client->queue = queue;
	client->behind = NULL;
	client->before = queue->last;
	*(queue->last ? &queue->last->behind : &queue->first) = client;
	queue->last = client;
}

static void rpc_dequeue(struct rpc_client *client)
{
	struct rpc_queue *queue = client->queue;

	if (!queue)
		return;
	*(client->before ? &client->before->behind : &queue->first) = client->behind;
	*(client->behind ? &client->behind->before : &queue->last) = client->before;
	client->queue = NULL;
}

static void rpc_client_awake(struct rpc_client *client)
{
	if (!client->queue)
		rpc_enqueue(client, &client->rpc->fresh);
}

static void rpc_client_kill(struct rpc_client *client)
{
	client->dead = true;
	rpc_client_awake(client);
}

/* What one client leaves unread must not cost the others theirs, nor the process its memory. */
static void rpc_bound_unread(struct rpc *rpc)
{
	struct rpc_client *worst = rpc->clients;

	if (rpc->unread <= RPC_MAX_UNREAD)
		return;
	for (struct rpc_client *client = rpc->clients; client; client = client->next)
		if (client->out.size > worst->out.size)
			worst = client;
	log_line(LOG_WARNING, "control socket: a client is closed that has left %zu bytes of answers unread",
		 buffer_length(&worst->out));
	rpc->unread -= worst->out.size;
	buffer_free(&worst->out);
	worst->gone = true; /* it gets nothing any more */
	rpc_client_kill(worst);
}

static void rpc_note_peak(struct rpc *rpc)
{
	if (rpc->held + rpc->unread > rpc->peak)
		rpc->peak = rpc->held + rpc->unread;
}

static void rpc_client_append(struct rpc_client *client, const char *bytes, size_t length)
{
	struct rpc *rpc = client->rpc;

	rpc->unread -= client->out.size;
	if (!client->gone && buffer_append(&client->out, bytes, length))
		client->dead = true;
	rpc->unread += client->out.size;
	rpc_note_peak(rpc);
	rpc_bound_unread(rpc);
}

static void rpc_client_consume(struct rpc_client *client, size_t length)
{
	client->rpc->unread -= client->out.size;
	buffer_consume(&client->out, length);
	if (!buffer_length(&client->out))
		buffer_free(&client->out);
	client->rpc->unread += client->out.size;
}

static void rpc_client_append_json(struct rpc_client *client, json_t *value)
{
	char *text = value ? json_dumps(value, JSON_COMPACT) : NULL;

	if (text)
		rpc_client_append(client, text, strlen(text));
	else
		client->dead = true;
	free(text);
	json_decref(value);
}

static void rpc_client_respond(struct rpc_client *client, json_t *answer)
{
	rpc_client_append_json(client, answer);
	rpc_client_append(client, "\n", 1);
}

static void rpc_client_refuse(struct rpc_client *client, int code, const struct failure *why)
{
	rpc_client_respond(client, jsonrpc_error(NULL, code, why));
	client->rpc->held -= client->in.size;
	buffer_free(&client->in);
	client->scanned = 0;
	client->leaving = LEAVING_TICKS;
}

/* ---- requests ---- */

/* True: the request is to be run again. */
static bool rpc_run(struct rpc_client *client, const json_t *request, json_t **answer)
{
	*answer = jsonrpc_answer(request, client->rpc->call, client->rpc->context, client);
	if (client->holding) {
		json_decref(*answer);
		return true;
	}
	client->held = 0;
	return false;
}

static void batch_step(struct rpc_client *client)
{
	json_t *answer;

	if (rpc_run(client, json_array_get(client->batch, client->batch_next), &answer))
		return;
	client->batch_next++;
	if (answer) {
		rpc_client_append(client, client->batch_answered ? "," : "[", 1);
		client->batch_answered = true;
		rpc_client_append_json(client, answer);
	}
	if (client->batch_next < json_array_size(client->batch))
		return;
	if (client->batch_answered)
		rpc_client_append(client, "]\n", 2);
	json_decref(client->batch);
	client->batch = NULL;
}

/* False: it is to be run again. */
static bool rpc_client_request(struct rpc_client *client, const char *text, size_t length)
{
	struct failure why = {0};
	json_t *request = NULL;

	int code = jsonrpc_parse(text, length, &request, &why);
	if (code) {
		rpc_client_respond(client, jsonrpc_error(NULL, code, &why));
		return true;
	}
	if (json_array_size(request)) { /* an empty array is refused below (JSON-RPC 2.0, section 6) */
		client->batch = request;
		client->batch_next = 0;
		client->batch_answered = false;
		return true;
	}
	json_t *answer;
	bool again = rpc_run(client, request, &answer);
	json_decref(request);
	if (!again && answer)
		rpc_client_respond(client, answer);
	return !again;
}

/* The next line, with its length without the newline. At eof the unfinished rest is a line, too. NULL: none yet. */
static const char *next_line(struct rpc_client *client, size_t *length)
{
	const char *bytes = buffer_bytes(&client->in);
	size_t held = buffer_length(&client->in);

	if (!held)
		return NULL;
	const char *end = memchr(bytes + client->scanned, '\n', held - client->scanned);
	client->scanned = end ? (size_t)(end - bytes) : held;
	if (!end && !client->eof && held <= RPC_MAX_LINE)
		return NULL;
	*length = client->scanned;
	return bytes;
}

static void consume_input(struct rpc_client *client, size_t length)
{
	client->rpc->held -= client->in.size;
	buffer_consume(&client->in, length);
	if (!buffer_length(&client->in))
		buffer_free(&client->in);
	client->rpc->held += client->in.size;
	client->scanned = 0;
}

/* Runs one request; false when that needs more input. */
static bool rpc_client_step(struct rpc_client *client)
{
	size_t length;

	if (client->batch) {
		batch_step(client);
		return true;
	}
	const char *line = next_line(client, &length);
	if (!line)
		return false;
	if (length > RPC_MAX_LINE) {
		struct failure why = {0};
		fail(&why, -E2BIG, NULL, "a request is one line of at most %u bytes", RPC_MAX_LINE);
		rpc_client_refuse(client, JSONRPC_INVALID_REQUEST, &why);
		return false;
	}
	if (!text_is_blank(line, length) && !rpc_client_request(client, line, length))
		return true;
	size_t held = buffer_length(&client->in);
	consume_input(client, length < held ? length + 1 : held);
	return true;
}

/* ---- reading and sending ---- */

static void note_read(struct rpc_client *client, ssize_t got)
{
	struct rpc *rpc = client->rpc;

	rpc->held -= client->in.size;
	if (!got)
		client->eof = true;
	else if (got > 0 ? buffer_append(&client->in, rpc->scrap, (size_t)got) : errno != EAGAIN && errno != EINTR)
		client->dead = true;
	rpc->held += client->in.size;
	rpc_note_peak(rpc);
}

static void rpc_client_discard(struct rpc_client *client)
{
	struct rpc *rpc = client->rpc;

	for (int i = 0; i < 4 && !client->eof; i++) {
		ssize_t got = recv(client->fd, rpc->scrap, sizeof(rpc->scrap), MSG_DONTWAIT);
		if (got < 0)
			return;
		client->eof = !got;
	}
}

static void rpc_client_read(struct rpc_client *client)
{
	struct rpc *rpc = client->rpc;

	if (client->leaving) {
		rpc_client_discard(client);
		return;
	}
	if (rpc->held > RPC_MAX_HELD && buffer_length(&client->in) > READ_SIZE) {
		struct failure why = {0};
		fail(&why, -ENOBUFS, NULL, "too many large requests at once; try again");
		rpc_client_refuse(client, JSONRPC_INTERNAL, &why);
		return;
	}
	note_read(client, recv(client->fd, rpc->scrap, sizeof(rpc->scrap), MSG_DONTWAIT));
}

/* Between answers: the queued events, then the number of those that found no room. */
static void merge_events(struct rpc_client *client)
{
	char note[160];

	if (client->batch || buffer_length(&client->out) > RPC_MAX_OUTPUT)
		return;
	rpc_client_append(client, buffer_bytes(&client->events), buffer_length(&client->events));
	buffer_free(&client->events);
	if (!client->missed)
		return;
	int length =
		snprintf(note, sizeof(note),
			 "{\"jsonrpc\":\"2.0\",\"method\":\"monitor.event\",\"params\":{\"event\":\"monitor.missed\","
			 "\"missed\":%" PRIu64 "}}\n",
			 client->missed);
	rpc_client_append(client, note, (size_t)length);
	client->missed = 0;
}

static void rpc_client_flush(struct rpc_client *client)
{
	merge_events(client);
	while (!client->gone && buffer_length(&client->out)) {
		ssize_t sent = send(client->fd, buffer_bytes(&client->out), buffer_length(&client->out),
				    MSG_DONTWAIT | MSG_NOSIGNAL);
		if (sent > 0)
			rpc_client_consume(client, (size_t)sent);
		else if (errno == EAGAIN || errno == EINTR)
			return;
		else
			client->gone = true;
	}
	if (client->gone)
		rpc_client_consume(client, buffer_length(&client->out));
}

/* ---- the life of a client ---- */

static bool rpc_client_finished(const struct rpc_client *client)
{
	if (client->dead)
		return true;
	if (client->leaving && client->gone)
		return true;
	if (!client->eof || client->backlog || buffer_length(&client->out))
		return false;
	return client->gone || client->leaving || !client->monitoring;
}

static void rpc_client_close(struct rpc_client *client)
{
	struct rpc *rpc = client->rpc;

	if (client->next)
		client->next->previous = client->previous;
	if (client->previous)
		client->previous->next = client->next;
	else
		rpc->clients = client->next;
	rpc->n_clients--;
	rpc->holds -= client->holding;
	rpc_dequeue(client);
	rpc->held -= client->in.size;
	rpc->unread -= client->out.size;
	/* close(2) alone leaves it in the epoll set as long as a forked child has the descriptor, too. */
	epoll_ctl(rpc->epoll, EPOLL_CTL_DEL, client->fd, NULL);
	close(client->fd);
	buffer_free(&client->in);
	buffer_free(&client->out);
	buffer_free(&client->events);
	json_decref(client->batch);
	free(client);
}

static void rpc_client_watch(struct rpc_client *client)
{
	bool pending = buffer_length(&client->out) || buffer_length(&client->events);
	uint32_t interest = (client->eof || client->backlog ? 0 : EPOLLIN) | (pending ? EPOLLOUT : 0);
	if (client->holding)
		interest |= EPOLLET; /* that it has gone is to be told once, not until it goes on */
	struct epoll_event event = {.events = interest, .data.ptr = client};

	if (interest == client->interest)
		return;
	if (epoll_ctl(client->rpc->epoll, EPOLL_CTL_MOD, client->fd, &event))
		rpc_client_kill(client);
	client->interest = interest;
}

static bool rpc_client_may_run(const struct rpc_client *client)
{
	return !client->dead && !client->holding && buffer_length(&client->out) <= RPC_MAX_OUTPUT;
}

/* Whether another request is there already: one that has to be read first is no stale one's. */
static bool has_more(struct rpc_client *client)
{
	size_t length;

	return client->batch || next_line(client, &length);
}

/* The descriptor outlives the client. */
static bool rpc_client_let_go(struct rpc_client *client)
{
	struct rpc *rpc = client->rpc;

	if (!client->releasing || client->dead || buffer_length(&client->out))
		return false;
	if (rpc->released >= 0)
		close(rpc->released);
	rpc->released = fcntl(client->fd, F_DUPFD_CLOEXEC, 0);
	rpc_client_close(client);
	return true;
}

/* The turn of one that has been taken out of its queue: it is closed, idle, or among the stale ones afterwards. */
static void rpc_client_turn(struct rpc_client *client)
{
	if (client->readable && !client->eof && !client->backlog)
		rpc_client_read(client);
	client->readable = false;
	client->backlog = true;
	if (rpc_client_may_run(client))
		client->backlog = rpc_client_step(client) && has_more(client);
	rpc_client_flush(client);
	if (rpc_client_let_go(client))
		return;
	if (rpc_client_finished(client)) {
		rpc_client_close(client);
		return;
	}
	rpc_client_watch(client);
	if (client->backlog && rpc_client_may_run(client) && !client->queue)
		rpc_enqueue(client, &client->rpc->stale);
}

int rpc_adopt(struct rpc *rpc, int fd)
{
	struct rpc_client *client = calloc(1, sizeof(*client));
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = client};

	if (!client || epoll_ctl(rpc->epoll, EPOLL_CTL_ADD, fd, &event)) {
		int error = client ? -errno : -ENOMEM;
		close(fd);
		free(client);
		return error;
	}
	client->rpc = rpc;
	client->fd = fd;
	client->interest = EPOLLIN;
	client->next = rpc->clients;
	if (rpc->clients)
		rpc->clients->previous = client;
	rpc->clients = client;
	rpc->n_clients++;
	return 0;
}

/* ---- the listener ---- */

static void listener_watch(struct rpc *rpc, bool on)
{
	struct epoll_event event = {.events = on ? EPOLLIN : 0, .data.ptr = rpc};

	epoll_ctl(rpc->epoll, EPOLL_CTL_MOD, rpc->listener, &event);
	rpc->full = !on;
}

/* The file's mode keeps others away while it is as we made it. What is said here holds whatever became of that. */
static int check_peer(int fd, struct failure *why)
{
	struct ucred peer = {.uid = (uid_t)-1};
	socklen_t size = sizeof(peer);
	uid_t own = geteuid();

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size))
		return fail(why, -errno, NULL, "this socket does not say who is there: %s", strerror(errno));
	if (!peer.uid || peer.uid == own)
		return 0;
	return fail(why, -EACCES, NULL, "user %u may not use this socket: be root%s", peer.uid,
		    own ? " or the user that this program runs as" : "");
}

static void rpc_accept(struct rpc *rpc, int fd)
{
	struct failure why = {0};

	if (rpc_adopt(rpc, fd) || !check_peer(fd, &why))
		return;
	rpc_client_refuse(rpc->clients, JSONRPC_REFUSED, &why);
	rpc_client_awake(rpc->clients);
}

static void accept_clients(struct rpc *rpc)
{
	for (int i = 0; i < ACCEPTS; i++) {
		int fd = accept4(rpc->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd >= 0) {
			rpc_accept(rpc, fd);
			continue;
		}
		if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
			/* The listener stays readable and would make the loop spin; rpc_tick() tries again. */
			log_line(LOG_WARNING, "control socket: cannot accept a client now: %s", strerror(errno));
			listener_watch(rpc, false);
		}
		return;
	}
}

static void rpc_take_events(struct rpc *rpc)
{
	struct epoll_event events[64];

	int n = epoll_wait(rpc->epoll, events, 64, 0);
	for (int i = 0; i < n; i++) {
		if (events[i].data.ptr == rpc) {
			accept_clients(rpc);
		} else if (events[i].data.ptr) {
			struct rpc_client *client = events[i].data.ptr;
			client->readable = events[i].events & ~(uint32_t)EPOLLOUT;
			client->gone = client->gone || (events[i].events & (EPOLLHUP | EPOLLERR));
			rpc_client_awake(client);
		}
	}
}

/* Of the fresh and the stale ones in turn. */
static struct rpc_client *rpc_next(struct rpc *rpc)
{
	bool stale = rpc->stale.first && (rpc->stale_next || !rpc->fresh.first);
	struct rpc_queue *queue = stale ? &rpc->stale : &rpc->fresh;
	struct rpc_client *client = queue->first;

	rpc->stale_next = !stale;
	if (!client)
		return NULL;
	queue->first = client->behind;
	*(client->behind ? &client->behind->before : &queue->last) = NULL;
	client->queue = NULL;
	return client;
}

void rpc_release(struct rpc_client *client)
{
	client->releasing = true;
}

int rpc_released(struct rpc *rpc)
{
	int fd = rpc->released;

	rpc->released = -1;
	return fd;
}

void rpc_hold(struct rpc_client *client, uint64_t number)
{
	client->rpc->holds += !client->holding;
	client->holding = true;
	client->held = number;
}

uint64_t rpc_held(const struct rpc_client *client)
{
	return client ? client->held : 0;
}

unsigned rpc_holds(const struct rpc *rpc)
{
	return rpc->holds;
}

void rpc_resume(struct rpc *rpc, uint64_t number)
{
	const uint64_t one = 1;

	for (struct rpc_client *client = rpc->holds ? rpc->clients : NULL; client; client = client->next) {
		if (!client->holding || client->held != number)
			continue;
		client->holding = false;
		rpc->holds--;
		rpc_client_awake(client);
		ssize_t ignored = write(rpc->again, &one, sizeof(one)); /* as in rpc_serve() */
		(void)ignored;
	}
}

void rpc_serve(struct rpc *rpc)
{
	uint64_t end = clock_us() + RPC_TURN_US, one = 1;
	struct rpc_client *client;

	rpc_take_events(rpc);
	for (int i = 0; i < RPC_TURN && (!i || clock_us() < end) && (client = rpc_next(rpc)); i++)
		rpc_client_turn(client);
	bool more = rpc->fresh.first || rpc->stale.first;
	/* The only possible error is EAGAIN, which means that the eventfd is in the wanted state already. */
	ssize_t ignored = more ? write(rpc->again, &one, sizeof(one)) : read(rpc->again, &one, sizeof(one));
	(void)ignored;
}

/* Many small pieces stay with the allocator, which gives back only what is at the heap's end. */
static void rpc_give_back(struct rpc *rpc)
{
	if (rpc->peak < LARGE || rpc->held + rpc->unread > LARGE / 4)
		return;
	malloc_trim(0);
	rpc->peak = 0;
}

void rpc_tick(struct rpc *rpc)
{
	if (rpc->full)
		listener_watch(rpc, true);
	for (struct rpc_client *client = rpc->clients, *next; client; client = next) {
		next = client->next;
		if (client->leaving && !--client->leaving)
			rpc_client_close(client);
	}
	rpc_give_back(rpc);
}

/* ---- events ---- */

void rpc_subscribe(struct rpc_client *client)
{
	client->monitoring = true;
}

void rpc_broadcast(struct rpc *rpc, json_t *params)
{
	json_t *event = json_pack("{s:s, s:s, s:O}", "jsonrpc", "2.0", "method", "monitor.event", "params", params);
	char *text = event ? json_dumps(event, JSON_COMPACT) : NULL;
	size_t length = text ? strlen(text) : 0;

	if (text)
		text[length++] = '\n'; /* in the place of the NUL */
	for (struct rpc_client *client = rpc->clients; client; client = client->next) {
		if (!client->monitoring || client->gone)
			continue;
		bool room = text && !client->missed && buffer_length(&client->events) + length <= RPC_MAX_EVENTS;
		if (!room || buffer_append(&client->events, text, length))
			client->missed++;
		rpc_client_watch(client);
	}
	free(text);
	json_decref(event);
}

/* ---- opening and closing ---- */

static int rpc_socket_address(const char *path, const char *suffix, struct sockaddr_un *out, struct failure *why)
{
	*out = (struct sockaddr_un){.sun_family = AF_UNIX};
	size_t room = sizeof(out->sun_path) - strlen(NEW_SUFFIX);

	if (!path[0] || strlen(path) >= room)
		return fail(why, -ENAMETOOLONG, "socket", "socket: give a path of 1 to %zu characters", room - 1);
	snprintf(out->sun_path, sizeof(out->sun_path), "%s%s", path, suffix);
	return 0;
}

/* The path may be used when there is no file, or a socket on which nobody answers. */
static int check_stale(const char *path, struct failure *why)
{
	struct sockaddr_un address;
	struct stat status;

	if (lstat(path, &status)) {
		if (errno == ENOENT)
			return 0;
		return fail(why, -errno, "socket", "socket: cannot examine %s: %s", path, strerror(errno));
	}
	if (!S_ISSOCK(status.st_mode))
		return fail(why, -EEXIST, "socket", "socket: %s exists and is not a socket; give another path", path);
	int error = rpc_socket_address(path, "", &address, why);
	if (error)
		return error;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return fail(why, -errno, "socket", "socket: %s", strerror(errno));
	error = connect(fd, (const struct sockaddr *)&address, sizeof(address)) ? errno : 0;
	close(fd);
	if (error == ECONNREFUSED || error == ENOENT)
		return 0;
	/* EAGAIN means that somebody listens, too: its backlog is full. */
	return fail(why, -EADDRINUSE, "socket",
		    "socket: another podswitchd answers on %s; stop it or give another path with -s", path);
}

/* Listens under another name. The directory must be locked. */
static int listen_beside(struct rpc *rpc, struct failure *why)
{
	struct sockaddr_un address;
	struct stat status;

	int error = rpc_socket_address(rpc->path, NEW_SUFFIX, &address, why);
	if (error)
		return error;
	if (!lstat(address.sun_path, &status) && S_ISSOCK(status.st_mode))
		unlink(address.sun_path); /* left by a process that was killed between bind and rename */
	mode_t mask = umask(0177);
	error = bind(rpc->listener, (const struct sockaddr *)&address, sizeof(address)) ? errno : 0;
	umask(mask);
	if (error)
		return fail(why, -error, "socket", "socket: cannot make %s: %s", rpc->path, strerror(error));
	if (listen(rpc->listener, SOMAXCONN) || stat(address.sun_path, &status)) {
		error = errno;
		unlink(address.sun_path);
		return fail(why, -error, "socket", "socket: cannot make %s: %s", rpc->path, strerror(error));
	}
	rpc->dev = status.st_dev;
	rpc->ino = status.st_ino;
	return 0;
}

int rpc_appear(struct rpc *rpc, struct failure *why)
{
	struct sockaddr_un address;

	int error = rpc_socket_address(rpc->path, NEW_SUFFIX, &address, why);
	if (error || !rename(address.sun_path, rpc->path))
		return error;
	error = errno;
	unlink(address.sun_path);
	return fail(why, -error, "socket", "socket: cannot make %s: %s", rpc->path, strerror(error));
}

/*
 * Of two that start at once, both could find the same stale file: lock the directory from the check to the rename. Who
 * is to appear later does not look.
 */
static int listen_locked(struct rpc *rpc, bool beside, struct failure *why)
{
	char directory[sizeof(rpc->path) + 1];

	file_beside(rpc->path, ".", directory, sizeof(directory));
	int lock = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (lock < 0)
		return fail(why, -errno, "socket", "socket: cannot open the directory of %s: %s", rpc->path,
			    strerror(errno));
	int error = 0;
	if (flock(lock, LOCK_EX))
		error = fail(why, -errno, "socket", "socket: cannot lock the directory of %s: %s", rpc->path,
			     strerror(errno));
	else if (!beside)
		error = check_stale(rpc->path, why);
	if (!error)
		error = listen_beside(rpc, why);
	if (!error && !beside)
		error = rpc_appear(rpc, why);
	close(lock);
	return error;
}

static int open_descriptors(struct rpc *rpc, struct failure *why)
{
	struct epoll_event listener = {.events = EPOLLIN, .data.ptr = rpc};
	struct epoll_event again = {.events = EPOLLIN, .data.ptr = NULL};

	rpc->epoll = epoll_create1(EPOLL_CLOEXEC);
	rpc->again = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	rpc->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (rpc->epoll < 0 || rpc->again < 0 || rpc->listener < 0 ||
	    epoll_ctl(rpc->epoll, EPOLL_CTL_ADD, rpc->again, &again) ||
	    epoll_ctl(rpc->epoll, EPOLL_CTL_ADD, rpc->listener, &listener))
		return fail(why, -errno, "socket", "socket: %s", strerror(errno));
	return 0;
}

static int rpc_open_either(const char *path, bool beside, jsonrpc_call *call, void *context, struct rpc **out,
			   struct failure *why)
{
	struct sockaddr_un address;

	int error = rpc_socket_address(path, "", &address, why);
	if (!error)
		error = file_make_parent(path, "socket", why);
	if (error)
		return error;
	struct rpc *rpc = calloc(1, sizeof(*rpc));
	if (!rpc)
		return fail(why, -ENOMEM, NULL, "out of memory");
	*rpc = (struct rpc){.call = call, .context = context, .epoll = -1, .listener = -1, .again = -1, .released = -1};
	snprintf(rpc->path, sizeof(rpc->path), "%s", path);
	error = open_descriptors(rpc, why);
	if (!error)
		error = listen_locked(rpc, beside, why);
	if (error) {
		rpc_close(rpc);
		return error;
	}
	*out = rpc;
	return 0;
}

int rpc_open(const char *path, jsonrpc_call *call, void *context, struct rpc **out, struct failure *why)
{
	return rpc_open_either(path, false, call, context, out, why);
}

int rpc_open_beside(const char *path, jsonrpc_call *call, void *context, struct rpc **out, struct failure *why)
{
	return rpc_open_either(path, true, call, context, out, why);
}

static void close_if_open(int fd)
{
	if (fd >= 0)
		close(fd);
}

/* By its name, or by the one that it has until it appears, if it is ours there. */
static void rpc_remove_socket(const struct rpc *rpc, const char *suffix)
{
	struct sockaddr_un address;
	struct stat status;

	if (rpc->ino && !rpc_socket_address(rpc->path, suffix, &address, NULL) && !lstat(address.sun_path, &status) &&
	    status.st_ino == rpc->ino && status.st_dev == rpc->dev)
		unlink(address.sun_path);
}

void rpc_close(struct rpc *rpc)
{
	if (!rpc)
		return;
	rpc_remove_socket(rpc, "");
	rpc_remove_socket(rpc, NEW_SUFFIX);
	for (struct rpc_client *client = rpc->clients, *next; client; client = next) {
		next = client->next;
		rpc_client_close(client);
	}
	close_if_open(rpc->released);
	close_if_open(rpc->listener);
	close_if_open(rpc->again);
	close_if_open(rpc->epoll);
	free(rpc);
}

int rpc_fd(const struct rpc *rpc)
{
	return rpc->epoll;
}

unsigned rpc_clients(const struct rpc *rpc)
{
	return rpc->n_clients;
}
