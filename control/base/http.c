/* SPDX-License-Identifier: Apache-2.0 */
/* http.c - what our HTTP servers share: opening, answering, and the pages /healthz, /readyz and /metrics */
#include "control/base/http.h"
#include "tap/base/address.h"

#include <stdlib.h>
#include <string.h>

struct http_answer http_text(unsigned status, const char *text)
{
	return (struct http_answer){.status = status, .type = HTTP_TEXT, .text = strdup(text)};
}

static struct http_answer readiness_page(const struct http_pages *pages)
{
	const char *reason = "";
	char text[300];
	bool ready = pages->ready(pages->context, &reason);

	snprintf(text, sizeof(text), "%.290s\n", ready ? "ok" : reason);
	return http_text(ready ? MHD_HTTP_OK : MHD_HTTP_SERVICE_UNAVAILABLE, text);
}

static struct http_answer metrics_page(const struct http_pages *pages)
{
	struct http_answer answer = {.status = MHD_HTTP_OK, .type = "text/plain; version=0.0.4; charset=utf-8"};
	size_t size = 0;
	FILE *out = open_memstream(&answer.text, &size);

	if (!out)
		return answer;
	pages->metrics(pages->context, out);
	if (fclose(out)) {
		free(answer.text);
		answer.text = NULL;
	}
	return answer;
}

struct http_answer http_page(const struct http_pages *pages, const char *path)
{
	if (!strcmp(path, "/healthz"))
		return http_text(MHD_HTTP_OK, "ok\n");
	if (!strcmp(path, "/readyz"))
		return readiness_page(pages);
	if (!strcmp(path, "/metrics"))
		return metrics_page(pages);
	return (struct http_answer){0};
}

enum MHD_Result http_respond(struct MHD_Connection *connection, const struct http_answer *answer)
{
	struct MHD_Response *response = NULL;

	if (answer->text)
		response = MHD_create_response_from_buffer(strlen(answer->text), answer->text, MHD_RESPMEM_MUST_FREE);
	if (!response) {
		free(answer->text);
		return MHD_NO;
	}
	MHD_add_response_header(response, "Content-Type", answer->type);
	if (answer->allow)
		MHD_add_response_header(response, "Allow", answer->allow);
	if (answer->close)
		MHD_add_response_header(response, "Connection", "close");
	enum MHD_Result result = MHD_queue_response(connection, answer->status, response);
	MHD_destroy_response(response);
	return result;
}

int http_open(const char *listen, const char *example, unsigned flags, const struct MHD_OptionItem *options,
	      MHD_AccessHandlerCallback handler, void *context, struct MHD_Daemon **out, struct failure *why)
{
	struct endpoint endpoint = {0};
	struct sockaddr_storage address;

	if (endpoint_parse(listen, &endpoint) || !endpoint.port)
		return fail(why, -EINVAL, "listen", "listen: '%.64s' is not ADDRESS:PORT, as %s", listen, example);
	endpoint_to_sockaddr(&endpoint, &address);
	if (endpoint.address.family == AF_INET)
		flags &= ~(unsigned)MHD_USE_DUAL_STACK;
	errno = 0;
	*out = MHD_start_daemon(flags | MHD_USE_EPOLL, endpoint.port, NULL, NULL, handler, context,
				MHD_OPTION_SOCK_ADDR, &address, MHD_OPTION_ARRAY, options, MHD_OPTION_END);
	if (!*out) {
		int error = errno ? -errno : -EIO;
		return fail(why, error, "listen", "listen: cannot serve HTTP on %.64s: %s", listen, strerror(-error));
	}
	return 0;
}
