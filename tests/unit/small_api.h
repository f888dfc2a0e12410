/* SPDX-License-Identifier: Apache-2.0 */
/*
 * small_api.h - an API server of threads, for a program that runs by itself: lists, watches, and objects by their paths
 *
 * What a GET finds is what the test has put there (api_put); a collection's watch stays open and tells what api_tell
 * says. PUT, POST and PATCH go to the test's own function. All under one lock.
 */
#ifndef PODSWITCH_SMALL_API_H
#define PODSWITCH_SMALL_API_H

#include <arpa/inet.h>
#include <jansson.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define API_STREAMS 16
#define API_BODY (1u << 20)

struct small_api {
	int listener;
	unsigned short port;
	char url[64];
	pthread_mutex_t lock;
	pthread_cond_t changed;
	json_t *objects; /* path without query -> text of the answer */
	struct {
		int fd;
		char path[512];
	} streams[API_STREAMS];
	bool held; /* GETs are not answered yet */
	unsigned n_writes;
	char last_write[API_BODY]; /* "METHOD PATH\nBODY" */
	/* The status of a write, with what it changes; NULL: 201. */
	unsigned (*write)(struct small_api *api, const char *method, const char *path, const char *body);
};

static inline void api_send(int fd, const char *text)
{
	size_t length = strlen(text);

	while (length) {
		ssize_t sent = send(fd, text, length, MSG_NOSIGNAL);
		if (sent <= 0)
			return;
		text += sent;
		length -= (size_t)sent;
	}
}

static inline void api_reply(int fd, unsigned status, const char *body)
{
	char head[160];

	snprintf(head, sizeof(head), "HTTP/1.1 %u X\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n",
		 status, strlen(body));
	api_send(fd, head);
	api_send(fd, body);
}

/* Takes it out of `fd` for good. */
static inline void api_stream(struct small_api *api, int fd, const char *path)
{
	api_send(fd, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n");
	for (size_t i = 0; i < API_STREAMS; i++) {
		if (api->streams[i].fd)
			continue;
		api->streams[i].fd = fd;
		snprintf(api->streams[i].path, sizeof(api->streams[i].path), "%s", path);
		pthread_cond_broadcast(&api->changed);
		return;
	}
	close(fd);
}

/* False: the connection is not its thread's any more. */
static inline bool api_request(struct small_api *api, int fd, const char *method, char *path, const char *body)
{
	char *query = strchr(path, '?');

	if (query)
		*query++ = '\0';
	while (api->held)
		pthread_cond_wait(&api->changed, &api->lock);
	if (!strcmp(method, "GET") && query && strstr(query, "watch=")) {
		api_stream(api, fd, path);
		return false;
	}
	if (!strcmp(method, "GET")) {
		const json_t *found = json_object_get(api->objects, path);
		api_reply(fd, found ? 200 : 404,
			  found ? json_string_value(found) : "{\"kind\":\"Status\",\"code\":404}");
		return true;
	}
	unsigned status = api->write ? api->write(api, method, path, body) : 201;
	api->n_writes++;
	snprintf(api->last_write, sizeof(api->last_write), "%s %s\n%s", method, path, body);
	pthread_cond_broadcast(&api->changed);
	api_reply(fd, status, "{}");
	return true;
}

struct api_conn {
	struct small_api *api;
	int fd;
};

static inline void *api_serve(void *context)
{
	struct api_conn conn = *(struct api_conn *)context;
	char *in = malloc(API_BODY), method[16], path[512];
	size_t have = 0;
	bool mine = true;

	free(context);
	while (mine) {
		char *end = have ? strstr(in, "\r\n\r\n") : NULL, *length = end ? strstr(in, "Content-Length: ") : NULL;
		size_t body = length && length < end ? strtoul(length + 16, NULL, 10) : 0;
		size_t whole = end ? (size_t)(end + 4 - in) + body : 0;
		if (!end || have < whole) {
			ssize_t got = recv(conn.fd, in + have, API_BODY - have - 1, 0);
			if (got <= 0)
				break;
			have += (size_t)got;
			in[have] = '\0';
			continue;
		}
		char kept = in[whole];
		in[whole] = '\0';
		if (sscanf(in, "%15s %511s", method, path) == 2) {
			pthread_mutex_lock(&conn.api->lock);
			mine = api_request(conn.api, conn.fd, method, path, end + 4);
			pthread_mutex_unlock(&conn.api->lock);
		}
		in[whole] = kept;
		memmove(in, in + whole, have - whole + 1);
		have -= whole;
	}
	if (mine)
		close(conn.fd);
	free(in);
	return NULL;
}

static inline void *api_accept(void *context)
{
	struct small_api *api = context;
	int on = 1;

	for (;;) {
		struct api_conn *conn = malloc(sizeof(*conn));
		pthread_t thread;
		*conn = (struct api_conn){api, accept(api->listener, NULL, NULL)};
		if (conn->fd < 0) {
			free(conn);
			return NULL;
		}
		setsockopt(conn->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
		if (!pthread_create(&thread, NULL, api_serve, conn))
			pthread_detach(thread);
	}
}

/* A port of 127.0.0.1 that is free now. */
static inline int api_bind(unsigned short *port)
{
	struct sockaddr_in at = {.sin_family = AF_INET};
	socklen_t size = sizeof(at);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd < 0 || bind(fd, (struct sockaddr *)&at, size) || getsockname(fd, (struct sockaddr *)&at, &size))
		abort();
	*port = ntohs(at.sin_port);
	return fd;
}

/* It lives as long as the test. */
static inline struct small_api *api_open(void)
{
	struct small_api *api = calloc(1, sizeof(*api));

	pthread_mutex_init(&api->lock, NULL);
	pthread_cond_init(&api->changed, NULL);
	api->objects = json_object();
	api->listener = api_bind(&api->port);
	snprintf(api->url, sizeof(api->url), "http://127.0.0.1:%u", api->port);
	if (listen(api->listener, 64))
		abort();
	return api;
}

/* Begins to answer; after a fork, which threads would not survive. */
static inline void api_start(struct small_api *api)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, api_accept, api))
		abort();
	pthread_detach(thread);
}

static inline void api_hold(struct small_api *api, bool held)
{
	pthread_mutex_lock(&api->lock);
	api->held = held;
	pthread_cond_broadcast(&api->changed);
	pthread_mutex_unlock(&api->lock);
}

/* `text` NULL: it is gone. */
static inline void api_put(struct small_api *api, const char *path, const char *text)
{
	pthread_mutex_lock(&api->lock);
	if (text)
		json_object_set_new(api->objects, path, json_string(text));
	else
		json_object_del(api->objects, path);
	pthread_mutex_unlock(&api->lock);
}

static inline char *api_get(struct small_api *api, const char *path)
{
	pthread_mutex_lock(&api->lock);
	const char *text = json_string_value(json_object_get(api->objects, path));
	char *copy = text ? strdup(text) : NULL;
	pthread_mutex_unlock(&api->lock);
	return copy;
}

/* An event for whoever watches the collection. */
static inline void api_tell(struct small_api *api, const char *path, const char *event)
{
	char *chunk = NULL;

	if (asprintf(&chunk, "%zx\r\n%s\n\r\n", strlen(event) + 1, event) < 0)
		abort();
	pthread_mutex_lock(&api->lock);
	for (size_t i = 0; i < API_STREAMS; i++)
		if (api->streams[i].fd && !strcmp(api->streams[i].path, path))
			api_send(api->streams[i].fd, chunk);
	pthread_mutex_unlock(&api->lock);
	free(chunk);
}

#endif
