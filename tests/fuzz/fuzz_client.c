/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_client.c - any bytes from whoever answers on a control socket, to podswitchctl, the agent and the plugin
 *
 * The first byte is the size of the pieces in which the rest arrives. Events must be the same however they are cut; a
 * call ends with an answer or with a text that says what is wrong.
 */
#include "control/base/client.h"

#include <assert.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct heard {
	unsigned messages;
	size_t bytes; /* of them, printed */
	int error;
};

static int begin(struct client *client)
{
	int ends[2];
	assert(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends));
	*client = (struct client){.fd = ends[0],
				  .path = "/run/x.sock",
				  .peer = "podswitchd",
				  .hint = "",
				  .timeout = 10000,
				  .stop_fd = -1,
				  .out_fd = -1};
	return ends[1];
}

static void take(struct client *client, struct heard *heard)
{
	json_t *message = NULL;
	struct failure why = {0};
	int got;
	while ((got = client_poll(client, &message, &why)) > 0) {
		assert(json_is_object(message));
		char *text = json_dumps(message, JSON_COMPACT);
		heard->messages++;
		heard->bytes += text ? strlen(text) : 0;
		free(text);
		json_decref(message);
	}
	assert(!got || *why.text);
	heard->error = got;
}

static struct heard listen_to(const uint8_t *data, size_t size, size_t piece)
{
	struct client client;
	struct heard heard = {0};
	int peer = begin(&client);
	while (size && !heard.error) {
		size_t length = size < piece ? size : piece;
		assert(send(peer, data, length, MSG_NOSIGNAL) == (ssize_t)length);
		take(&client, &heard);
		data += length;
		size -= length;
	}
	close(peer);
	if (!heard.error)
		take(&client, &heard);
	client_disconnect(&client);
	return heard;
}

static void call(const uint8_t *data, size_t size)
{
	struct client client;
	struct failure why = {0};
	json_t *result = NULL;
	int peer = begin(&client);
	assert(send(peer, data, size, MSG_NOSIGNAL) == (ssize_t)size);
	shutdown(peer, SHUT_WR);
	int error = client_call(&client, "status.get", NULL, &result, &why);
	assert(error ? *why.text && !result : result != NULL);
	assert(error != -ETIMEDOUT);
	json_decref(result);
	client_disconnect(&client);
	close(peer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 2)
		return 0;
	struct heard whole = listen_to(data + 1, size - 1, size);
	struct heard pieces = listen_to(data + 1, size - 1, data[0] + 1U);
	assert(whole.messages == pieces.messages && whole.bytes == pieces.bytes && whole.error == pieces.error);
	call(data + 1, size - 1);
	return 0;
}
