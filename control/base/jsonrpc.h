/* SPDX-License-Identifier: Apache-2.0 */
/*
 * jsonrpc.h - JSON-RPC 2.0 envelopes: from a text to a request, from a request to its answer
 *
 * Knows neither sockets nor methods. Any thread.
 */
#ifndef PODSWITCH_JSONRPC_H
#define PODSWITCH_JSONRPC_H

#include "tap/base/failure.h"

#include <jansson.h>
#include <stddef.h>

/* The codes of JSON-RPC 2.0, section 5.1, and ours in the range it leaves to servers. */
enum {
	JSONRPC_PARSE_ERROR = -32700,
	JSONRPC_INVALID_REQUEST = -32600,
	JSONRPC_UNKNOWN_METHOD = -32601,
	JSONRPC_INVALID_PARAMS = -32602,
	JSONRPC_INTERNAL = -32603,
	JSONRPC_EXISTS = -32001,    /* it exists with other settings */
	JSONRPC_NOT_FOUND = -32002, /* no such gateway, port or entry */
	JSONRPC_IN_USE = -32003,    /* something else uses it */
	JSONRPC_REFUSED = -32004,   /* the kernel or something else on this node refuses */
	JSONRPC_NOT_KEPT = -32005,  /* done and in force, but not written to the state directory */
};

/* A text with more values is refused: a parsed value takes up to a hundred times the memory of its text. */
#define JSONRPC_MAX_VALUES 100000

struct rpc_client;

/*
 * Runs one method. `params` is an object or NULL. Returns 0 and a new reference in *result, or one of the codes above
 * with the text and key of `why` filled (its code is not used).
 */
typedef int jsonrpc_call(void *context, struct rpc_client *client, const char *method, json_t *params, json_t **result,
			 struct failure *why);

/* Parses one JSON text. 0 and a new reference in *out, or a code with `why` filled. */
int jsonrpc_parse(const char *text, size_t length, json_t **out, struct failure *why);

/* Answers one request, which may be any JSON value. A new reference; NULL for a notification, which has no answer. */
json_t *jsonrpc_answer(const json_t *request, jsonrpc_call *call, void *context, struct rpc_client *client);

/* An error answer. A NULL `id` means that it is not known. */
json_t *jsonrpc_error(json_t *id, int code, const struct failure *why);

#endif
