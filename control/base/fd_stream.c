/* SPDX-License-Identifier: Apache-2.0 */
/* fd_stream.c - JSON texts, one a line, with file descriptors beside them, over a UNIX stream socket */
#include "control/base/fd_stream.h"

#include "tap/base/clock.h"

#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define READ_SIZE 65536

union control {
	struct cmsghdr header; /* for its alignment */
	char bytes[CMSG_SPACE(FD_STREAM_MAX * sizeof(int))];
};

static int stream_wait(const struct fd_stream *stream, short events, struct failure *why)
{
	uint64_t now = clock_ms();
	struct pollfd ready = {.fd = stream->socket, .events = events};
	int left = now >= stream->deadline            ? 0
		   : stream->deadline - now > INT_MAX ? INT_MAX
						      : (int)(stream->deadline - now);
	int n = poll(&ready, 1, left);
	if (n < 0 && errno != EINTR)
		return fail(why, -errno, NULL, "poll: %s", strerror(errno));
	return n || left ? 0 : fail(why, -ETIMEDOUT, NULL, "the other podswitchd does not go on");
}

/* Sends some of the bytes; the descriptors go with the first. How many bytes, or a negative errno. */
static ssize_t stream_send_some(const struct fd_stream *stream, const char *bytes, size_t length, const int *fds,
				size_t n)
{
	union control control = {0};
	struct iovec piece = {.iov_len = length};
	memcpy(&piece.iov_base, &bytes, sizeof(bytes)); /* sendmsg() does not write, but has one type for both ways */
	struct msghdr message = {.msg_iov = &piece, .msg_iovlen = 1};
	if (n) {
		message.msg_control = control.bytes;
		message.msg_controllen = CMSG_SPACE(n * sizeof(int));
		struct cmsghdr *c = CMSG_FIRSTHDR(&message);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(n * sizeof(int));
		memcpy(CMSG_DATA(c), fds, n * sizeof(int));
	}
	ssize_t sent = sendmsg(stream->socket, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
	return sent < 0 ? -errno : sent;
}

static int stream_send_all(struct fd_stream *stream, const char *bytes, size_t length, const int *fds, size_t n,
			   struct failure *why)
{
	while (length) {
		ssize_t sent = stream_send_some(stream, bytes, length, fds, n);
		int error = 0;
		if (sent == -EAGAIN || sent == -EINTR)
			error = stream_wait(stream, POLLOUT, why);
		else if (sent < 0)
			error = fail(why, (int)sent, NULL, "the other podswitchd cannot be told: %s",
				     strerror((int)-sent));
		if (error)
			return error;
		if (sent > 0) {
			bytes += sent;
			length -= (size_t)sent;
			n = 0;
		}
	}
	return 0;
}

int fd_stream_send(struct fd_stream *stream, json_t *line, const int *fds, size_t n, struct failure *why)
{
	char *text = line ? json_dumps(line, JSON_COMPACT) : NULL;
	size_t length = text ? strlen(text) : 0;
	json_decref(line);
	if (!text)
		return fail(why, -ENOMEM, NULL, "out of memory");
	if (n > FD_STREAM_MAX) {
		free(text);
		return fail(why, -E2BIG, NULL, "more than %d descriptors at once", FD_STREAM_MAX);
	}
	text[length++] = '\n'; /* in the place of the NUL */
	int error = stream_send_all(stream, text, length, fds, n, why);
	free(text);
	return error;
}

static int keep_descriptors(struct fd_stream *stream, struct msghdr *message, struct failure *why)
{
	int error = 0;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c; c = CMSG_NXTHDR(message, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < n; i++) {
			int fd;
			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(fd));
			if (stream->n_fds < FD_STREAM_MAX) {
				stream->fds[stream->n_fds++] = fd;
			} else {
				close(fd);
				error = fail(why, -EPROTO, NULL, "descriptors have come that no line speaks of");
			}
		}
	}
	if (message->msg_flags & MSG_CTRUNC)
		error = fail(why, -EPROTO, NULL, "descriptors were lost on the way; raise the limit of open files");
	return error;
}

static int stream_read(struct fd_stream *stream, struct failure *why)
{
	union control control = {0};
	if (buffer_reserve(&stream->in, READ_SIZE))
		return fail(why, -ENOMEM, NULL, "out of memory");
	struct iovec piece = {stream->in.data + stream->in.end, READ_SIZE};
	struct msghdr message = {.msg_iov = &piece,
				 .msg_iovlen = 1,
				 .msg_control = control.bytes,
				 .msg_controllen = sizeof(control.bytes)};
	ssize_t got = recvmsg(stream->socket, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return stream_wait(stream, POLLIN, why);
	if (got < 0)
		return fail(why, -errno, NULL, "the other podswitchd cannot be heard: %s", strerror(errno));
	stream->in.end += (size_t)got;
	int error = keep_descriptors(stream, &message, why);
	if (!error && !got)
		error = fail(why, -EPIPE, NULL, "the other podswitchd has hung up");
	return error;
}

int fd_stream_receive(struct fd_stream *stream, json_t **out, struct failure *why)
{
	const char *end = NULL;
	json_error_t where;
	for (;;) {
		size_t held = buffer_length(&stream->in);
		end = held ? memchr(buffer_bytes(&stream->in), '\n', held) : NULL;
		if (end)
			break;
		if (held > FD_STREAM_LINE)
			return fail(why, -EPROTO, NULL, "the other podswitchd sends no end of a line");
		int error = stream_read(stream, why);
		if (error)
			return error;
	}
	size_t length = (size_t)(end - buffer_bytes(&stream->in));
	json_t *line = json_loadb(buffer_bytes(&stream->in), length, JSON_REJECT_DUPLICATES, &where);
	buffer_consume(&stream->in, length + 1);
	if (json_is_object(line)) {
		*out = line;
		return 0;
	}
	json_decref(line);
	return fail(why, -EPROTO, NULL, "the other podswitchd sends what is no JSON object");
}

int fd_stream_take(struct fd_stream *stream, int *out, size_t n, struct failure *why)
{
	if (n > stream->n_fds)
		return fail(why, -EPROTO, NULL, "descriptors are missing: %zu of %zu have come", stream->n_fds, n);
	memcpy(out, stream->fds, n * sizeof(int));
	stream->n_fds -= n;
	memmove(stream->fds, stream->fds + n, stream->n_fds * sizeof(int));
	return 0;
}

void fd_stream_close(struct fd_stream *stream)
{
	for (size_t i = 0; i < stream->n_fds; i++)
		close(stream->fds[i]);
	stream->n_fds = 0;
	buffer_free(&stream->in);
	if (stream->socket >= 0)
		close(stream->socket);
	stream->socket = -1;
}
