/* SPDX-License-Identifier: Apache-2.0 */
/*
 * transport.c - HTTP exchanges with one API server
 *
 * Whether the peer is alive. The kernel notices within about PEER_TIMEOUT a peer that vanished: by keepalive probes on
 * a quiet connection, by TCP_USER_TIMEOUT on one with unacknowledged bytes (say, a second request over the same HTTP/2
 * connection). After a try without an answer, new connections are opened instead of reusing old ones.
 *
 * Whether the server is away. Two tries in a row without an answer: with several servers behind one address, one of
 * them may just be restarting. Any byte of an answer ends it. Each change is logged once.
 *
 * Trust. The CA is passed as a blob, since libcurl caches what it reads from a file for a day; no other authority is
 * accepted beside it. The token goes into each request's header, as it was read last.
 *
 * libcurl must not be called from its own callbacks, so those only append bytes; transport_finish() does the rest. One
 * thread.
 */
#include "control/kube/transport.h"
#include "control/base/json.h"
#include "control/kube/api.h"
#include "tap/base/log.h"
#include "tap/base/text.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define PEER_TIMEOUT 30     /* seconds */
#define PEER_PROBE 10       /* seconds between keepalive probes */
#define AWAY_AFTER 2        /* tries */
#define MAX_CONNECTIONS 16  /* kept for reuse */
#define MAX_RETRY_AFTER 300 /* seconds; we do not wait longer even if the server asks for it */

/* ---- the server's name ---- */

static bool host_is_loopback(const char *host)
{
	struct in_addr v4;

	if (inet_pton(AF_INET, host, &v4) == 1)
		return ntohl(v4.s_addr) >> 24 == 127;
	return !strcmp(host, "[::1]") || !strcmp(host, "localhost");
}

static char *url_part(CURLU *url, CURLUPart part)
{
	char *text = NULL;

	return curl_url_get(url, part, &text, 0) ? NULL : text;
}

static int check_parts(const char *server, const char *scheme, const char *host, bool extra, struct failure *why)
{
	if (!scheme || !host || extra || (strcmp(scheme, "https") && strcmp(scheme, "http")))
		return fail(why, -EINVAL, "server", "%s is not the address of an API server: https://HOST:PORT",
			    server);
	if (!strcmp(scheme, "http") && !host_is_loopback(host))
		return fail(why, -EINVAL, "server", "%s would show the token to the network: use https", server);
	return 0;
}

static int check_server(const char *server, struct failure *why)
{
	static const CURLUPart unwanted[] = {CURLUPART_USER, CURLUPART_PASSWORD, CURLUPART_QUERY, CURLUPART_FRAGMENT};
	CURLU *url = curl_url();
	bool extra = false;

	if (!url)
		return fail(why, -ENOMEM, "server", "out of memory");
	if (curl_url_set(url, CURLUPART_URL, server, 0)) {
		curl_url_cleanup(url);
		return fail(why, -EINVAL, "server", "%s is not an address: https://HOST:PORT", server);
	}
	for (size_t i = 0; i < sizeof(unwanted) / sizeof(unwanted[0]); i++) {
		char *text = url_part(url, unwanted[i]);
		extra = extra || text;
		curl_free(text);
	}
	char *scheme = url_part(url, CURLUPART_SCHEME);
	char *host = url_part(url, CURLUPART_HOST);
	int error = check_parts(server, scheme, host, extra, why);
	curl_free(scheme);
	curl_free(host);
	curl_url_cleanup(url);
	return error;
}

/* ---- reachable or not ---- */

static void transport_answered(struct transport *transport)
{
	transport->failures = 0;
	if (!transport->away)
		return;
	transport->away = false;
	log_line(LOG_INFO, "the API server %s answers again", transport->server);
}

static void transport_failed(struct transport *transport, const char *text)
{
	if (++transport->failures < AWAY_AFTER || transport->away)
		return;
	transport->away = true;
	transport->outages++;
	log_line(LOG_WARNING, "the API server %s does not answer (%s): trying again; what is known stays in force",
		 transport->server, text);
}

/* ---- the transport ---- */

int transport_open(struct transport *transport, const char *server, const char *token_file, const char *ca_file,
		   uint64_t now, struct failure *why)
{
	*transport = (struct transport){0};
	int error = check_server(server, why);
	if (error)
		return error;
	error = credentials_open(&transport->credentials, token_file, ca_file, now, why);
	if (error)
		return error;
	transport->server = strdup(server);
	transport->multi = curl_multi_init();
	if (!transport->server || !transport->multi) {
		transport_close(transport);
		return fail(why, -ENOMEM, NULL, "out of memory");
	}
	for (size_t length = strlen(server); length && server[length - 1] == '/'; length--)
		transport->server[length - 1] = '\0';
	curl_multi_setopt(transport->multi, CURLMOPT_MAXCONNECTS, (long)MAX_CONNECTIONS);
	return 0;
}

void transport_close(struct transport *transport)
{
	if (transport->multi)
		curl_multi_cleanup(transport->multi);
	credentials_close(&transport->credentials);
	free(transport->server);
	*transport = (struct transport){0};
}

int transport_wait(struct transport *transport, struct curl_waitfd *extra, unsigned n_extra, int timeout_ms)
{
	CURLMcode code = curl_multi_poll(transport->multi, extra, n_extra, timeout_ms, NULL);

	if (code == CURLM_UNRECOVERABLE_POLL)
		return errno == EINTR ? -EINTR : -EIO;
	return code ? -EIO : 0;
}

void transport_perform(struct transport *transport)
{
	int running;

	curl_multi_perform(transport->multi, &running);
}

/* ---- one transfer: libcurl's callbacks ---- */

static size_t take_body(char *bytes, size_t size, size_t n, void *context)
{
	struct transfer *transfer = context;
	size_t length = size * n;

	transport_answered(transfer->transport);
	transfer->overflow = buffer_length(&transfer->in) + length > transfer->max;
	if (transfer->overflow || buffer_append(&transfer->in, bytes, length))
		return 0;
	return length;
}

static size_t take_header(char *bytes, size_t size, size_t n, void *context)
{
	struct transfer *transfer = context;

	(void)bytes;
	transport_answered(transfer->transport);
	return size * n;
}

static curl_socket_t transport_open_socket(void *context, curlsocktype purpose, struct curl_sockaddr *address)
{
	int probe = PEER_PROBE, idle = PEER_TIMEOUT, on = 1;
	unsigned unanswered = PEER_TIMEOUT * 1000;

	(void)context;
	(void)purpose;
	int fd = socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
	if (fd < 0)
		return CURL_SOCKET_BAD;
	/* Errors are ignored: without these a dead peer is only noticed later. */
	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof(idle));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &probe, sizeof(probe));
	setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &unanswered, sizeof(unanswered));
	return fd;
}

/* ---- one transfer: its start ---- */

static int add_header(struct transfer *transfer, const char *name, const char *value)
{
	size_t size = strlen(name) + strlen(value) + 3;
	char *line = malloc(size);

	if (!line)
		return -ENOMEM;
	/* To libcurl, a name with a bare colon means: do not send this header. */
	snprintf(line, size, *value ? "%s: %s" : "%s:", name, value);
	struct curl_slist *more = curl_slist_append(transfer->headers, line);
	free(line);
	if (!more)
		return -ENOMEM;
	transfer->headers = more;
	return 0;
}

static int set_headers(struct transfer *transfer, const struct transfer_request *request)
{
	const struct credentials_file *token = &transfer->transport->credentials.token;
	int error = add_header(transfer, "Accept", "application/json");

	if (!error && request->body)
		error = add_header(transfer, "Content-Type", request->content_type);
	if (!error)
		error = add_header(transfer, "Expect", "");
	if (!error && token->text) {
		size_t size = token->length + sizeof("Bearer ");
		char *value = malloc(size);
		if (!value)
			return -ENOMEM;
		snprintf(value, size, "Bearer %s", token->text);
		error = add_header(transfer, "Authorization", value);
		free(value);
	}
	return error;
}

static int set_url(struct transfer *transfer, const char *path)
{
	size_t size = strlen(transfer->transport->server) + strlen(path) + 1;
	char *url = malloc(size);

	if (!url)
		return -ENOMEM;
	snprintf(url, size, "%s%s", transfer->transport->server, path);
	CURLcode code = curl_easy_setopt(transfer->easy, CURLOPT_URL, url);
	free(url);
	return code ? -ENOMEM : 0;
}

#define SET(option, value)                                                                                             \
	do {                                                                                                           \
		if (curl_easy_setopt(transfer->easy, (option), (value)))                                               \
			return -EIO;                                                                                   \
	} while (0)

static int set_trust(struct transfer *transfer)
{
	const struct credentials_file *ca = &transfer->transport->credentials.ca;

	SET(CURLOPT_SSL_VERIFYPEER, 1L);
	SET(CURLOPT_SSL_VERIFYHOST, 2L);
	if (!ca->path)
		return 0;
	struct curl_blob blob = {.data = ca->text, .len = ca->length, .flags = CURL_BLOB_COPY};
	SET(CURLOPT_CAINFO, (char *)NULL);
	SET(CURLOPT_CAPATH, (char *)NULL);
	SET(CURLOPT_CAINFO_BLOB, &blob);
	return 0;
}

static int set_limits(struct transfer *transfer, const struct transfer_request *request)
{
	SET(CURLOPT_CONNECTTIMEOUT_MS, (long)KUBE_CONNECT_TIMEOUT_MS);
	SET(CURLOPT_TIMEOUT_MS, (long)request->timeout_ms);
	SET(CURLOPT_NOSIGNAL, 1L);
	SET(CURLOPT_PROXY, "");
	SET(CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
	SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_2TLS);
	SET(CURLOPT_PIPEWAIT, 1L); /* requests that start together share one connection */
	SET(CURLOPT_OPENSOCKETFUNCTION, transport_open_socket);
	SET(CURLOPT_FRESH_CONNECT, transfer->transport->failures || request->fresh ? 1L : 0L);
	if (request->idle_seconds) {
		SET(CURLOPT_LOW_SPEED_LIMIT, 1L);
		SET(CURLOPT_LOW_SPEED_TIME, (long)request->idle_seconds);
	}
	return 0;
}

static int set_request(struct transfer *transfer, const struct transfer_request *request)
{
	int error = set_url(transfer, request->path);
	if (!error)
		error = set_headers(transfer, request);
	if (error)
		return error;
	SET(CURLOPT_HTTPHEADER, transfer->headers);
	SET(CURLOPT_USERAGENT, "podswitch-agent/" PODSWITCH_VERSION);
	if (request->body)
		SET(CURLOPT_COPYPOSTFIELDS, request->body);
	SET(CURLOPT_CUSTOMREQUEST, request->method);
	SET(CURLOPT_WRITEFUNCTION, take_body);
	SET(CURLOPT_WRITEDATA, transfer);
	SET(CURLOPT_HEADERFUNCTION, take_header);
	SET(CURLOPT_HEADERDATA, transfer);
	SET(CURLOPT_ERRORBUFFER, transfer->error);
	SET(CURLOPT_PRIVATE, transfer);
	return 0;
}

int transfer_start(struct transport *transport, struct transfer *transfer, const struct transfer_request *request,
		   uint64_t now)
{
	credentials_refresh(&transport->credentials, now, false);
	buffer_free(&transfer->in);
	transfer->transport = transport;
	transfer->generation = transport->credentials.generation;
	transfer->overflow = false;
	transfer->error[0] = '\0';
	transfer->easy = curl_easy_init();
	if (!transfer->easy)
		return -ENOMEM;
	int error = set_request(transfer, request);
	if (!error)
		error = set_trust(transfer);
	if (!error)
		error = set_limits(transfer, request);
	if (!error && curl_multi_add_handle(transport->multi, transfer->easy))
		error = -ENOMEM;
	if (error) {
		curl_easy_cleanup(transfer->easy);
		transfer->easy = NULL;
		transfer_stop(transfer);
	}
	return error;
}

long transfer_status(const struct transfer *transfer)
{
	long status = 0;

	if (transfer->easy)
		curl_easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE, &status);
	return status;
}

static void transfer_detach(struct transfer *transfer)
{
	if (transfer->easy) {
		curl_multi_remove_handle(transfer->transport->multi, transfer->easy);
		curl_easy_cleanup(transfer->easy);
		transfer->easy = NULL;
	}
	curl_slist_free_all(transfer->headers);
	transfer->headers = NULL;
}

void transfer_stop(struct transfer *transfer)
{
	transfer_detach(transfer);
	buffer_free(&transfer->in);
}

void transfer_give_up(struct transfer *transfer, const char *text)
{
	transport_failed(transfer->transport, text);
	transfer_stop(transfer);
}

/* ---- one transfer: its end ---- */

static int error_of(const struct transfer *transfer, CURLcode code)
{
	switch (code) {
	case CURLE_OK:
		return 0;
	case CURLE_OPERATION_TIMEDOUT:
		return -ETIMEDOUT;
	case CURLE_COULDNT_CONNECT:
	case CURLE_COULDNT_RESOLVE_HOST:
		return -ECONNREFUSED;
	case CURLE_SSL_CONNECT_ERROR:
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_CACERT_BADFILE:
	case CURLE_SSL_CERTPROBLEM:
	case CURLE_SSL_ISSUER_ERROR:
		return -EPROTO;
	case CURLE_OUT_OF_MEMORY:
		return -ENOMEM;
	default:
		return transfer->overflow ? -EMSGSIZE : -EIO;
	}
}

static void set_text(struct transfer_end *end, const char *text)
{
	snprintf(end->text, sizeof(end->text), "%s", text);
	text_to_line(end->text, ' ');
}

/* An API server sends a Status with a message; a proxy before it sends an HTML page, which must not get into the log.
 */
static void transfer_explain(const struct transfer *transfer, struct transfer_end *end, CURLcode code)
{
	char fallback[64];

	if (end->error) {
		set_text(end, *transfer->error ? transfer->error : curl_easy_strerror(code));
		return;
	}
	if (end->status < 400)
		return;
	const char *message = json_text(end->answer, "message");
	snprintf(fallback, sizeof(fallback), "HTTP status %ld", end->status);
	set_text(end, *message ? message : fallback);
}

static void transfer_end(struct transfer *transfer, CURLcode code)
{
	struct transfer_end end = {.status = transfer_status(transfer), .error = error_of(transfer, code)};
	curl_off_t seconds = 0;

	if (!curl_easy_getinfo(transfer->easy, CURLINFO_RETRY_AFTER, &seconds) && seconds > 0)
		end.retry_ms = (unsigned)(seconds < MAX_RETRY_AFTER ? seconds : MAX_RETRY_AFTER) * 1000;
	if (!end.error && end.status != 200 && buffer_length(&transfer->in))
		end.answer =
			json_loadb(buffer_bytes(&transfer->in), buffer_length(&transfer->in), JSON_ALLOW_NUL, NULL);
	transfer_explain(transfer, &end, code);
	transfer_detach(transfer);
	if (!end.status && end.error != -ENOMEM)
		transport_failed(transfer->transport, end.text);
	transfer->done(transfer, &end);
}

void transport_finish(struct transport *transport)
{
	const CURLMsg *message;
	int left;

	while ((message = curl_multi_info_read(transport->multi, &left))) {
		struct transfer *transfer = NULL;
		CURLcode code = message->data.result;
		curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &transfer);
		if (transfer)
			transfer_end(transfer, code);
	}
}
