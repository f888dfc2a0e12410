/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fake_peer.h - an agent, or a podswitchd, that answers from a script and keeps what it was asked
 *
 * A line of the script is what stands behind the id in the answer ("\"result\":{}"); with '!' in front it is sent as it
 * is; "" closes the connection; "?" never answers. The last line counts for ever. One connection at a time.
 */
#ifndef PODSWITCH_FAKE_PEER_H
#define PODSWITCH_FAKE_PEER_H

#include <jansson.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

struct fake_peer {
	char path[108];
	int listener;
	int delay; /* milliseconds before each answer */
	pthread_t thread;
	const char *const *script;
	json_t *requests;
};

/* false: the connection is to be closed. */
static bool fake_peer_answer(struct fake_peer *peer, int fd, const char *line)
{
	char answer[4096], scrap;
	json_t *request = json_loads(line, 0, NULL);
	const char *text = *peer->script;

	json_array_append(peer->requests, request);
	if (peer->script[1])
		peer->script++;
	long long id = json_integer_value(json_object_get(request, "id"));
	json_decref(request);
	if (!*text)
		return false;
	if (*text == '?')
		return recv(fd, &scrap, 1, 0) > 0;
	poll(NULL, 0, peer->delay);
	if (*text == '!')
		snprintf(answer, sizeof(answer), "%s\n", text + 1);
	else
		snprintf(answer, sizeof(answer), "{\"jsonrpc\":\"2.0\",\"id\":%lld,%s}\n", id, text);
	return send(fd, answer, strlen(answer), MSG_NOSIGNAL) > 0;
}

static void fake_peer_serve(struct fake_peer *peer, int fd)
{
	char line[8192];
	size_t used = 0;

	while (used < sizeof(line) && recv(fd, line + used, 1, 0) == 1) {
		if (line[used++] != '\n')
			continue;
		line[used - 1] = '\0';
		used = 0;
		if (!fake_peer_answer(peer, fd, line))
			break;
	}
	close(fd);
}

static void *fake_peer_run(void *argument)
{
	struct fake_peer *peer = argument;

	for (int fd; (fd = accept(peer->listener, NULL, NULL)) >= 0;)
		fake_peer_serve(peer, fd);
	return NULL;
}

/* Listens at once, so that nothing is lost; answers from the start. */
static void fake_peer_start(struct fake_peer *peer, const char *path, const char *const *script)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	*peer = (struct fake_peer){.script = script, .requests = json_array()};
	snprintf(peer->path, sizeof(peer->path), "%s", path);
	memcpy(address.sun_path, peer->path, sizeof(address.sun_path));
	peer->listener = socket(AF_UNIX, SOCK_STREAM, 0);
	unlink(path);
	if (bind(peer->listener, (struct sockaddr *)&address, sizeof(address)) || listen(peer->listener, 8) ||
	    pthread_create(&peer->thread, NULL, fake_peer_run, peer))
		abort();
}

/* The requests it got are the caller's. */
static json_t *fake_peer_stop(struct fake_peer *peer)
{
	shutdown(peer->listener, SHUT_RDWR);
	pthread_join(peer->thread, NULL);
	close(peer->listener);
	unlink(peer->path);
	return peer->requests;
}

#endif
