/* SPDX-License-Identifier: Apache-2.0 */
/* jsonrpc.c - JSON-RPC 2.0 envelopes: from a text to a request, from a request to its answer */
#include "control/base/jsonrpc.h"
#include "control/base/json.h"

#include <stdbool.h>
#include <string.h>

int jsonrpc_parse(const char *text, size_t length, json_t **out, struct failure *why)
{
	json_error_t error;

	if (json_exceeds(text, length, JSONRPC_MAX_VALUES)) {
		fail(why, -E2BIG, NULL, "more than %d values in one request", JSONRPC_MAX_VALUES);
		return JSONRPC_INVALID_REQUEST;
	}
	json_t *value = json_loadb(text, length, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, &error);
	if (!value) {
		fail(why, -EINVAL, NULL, "not JSON: %s, at byte %d", error.text, error.position);
		return JSONRPC_PARSE_ERROR;
	}
	*out = value;
	return 0;
}

json_t *jsonrpc_error(json_t *id, int code, const struct failure *why)
{
	json_t *error = json_pack("{s:i, s:o}", "code", code, "message", json_plain_string(why->text));

	if (why->key[0])
		json_object_set_new(error, "data", json_pack("{s:o}", "key", json_plain_string(why->key)));
	return json_pack("{s:s, s:O?, s:o}", "jsonrpc", "2.0", "id", id ? id : json_null(), "error", error);
}

static int check_envelope(const json_t *request, struct failure *why)
{
	const json_t *id = json_object_get(request, "id");
	const json_t *params = json_object_get(request, "params");

	if (!json_is_object(request))
		return fail(why, -EINVAL, NULL, "a request is an object with jsonrpc, id, method and params");
	if (strcmp(json_text(request, "jsonrpc"), "2.0") != 0)
		return fail(why, -EINVAL, "jsonrpc", "jsonrpc: must be \"2.0\"");
	if (id && !json_is_string(id) && !json_is_number(id) && !json_is_null(id))
		return fail(why, -EINVAL, "id", "id: must be a string, a number or null");
	if (!json_is_string(json_object_get(request, "method")))
		return fail(why, -EINVAL, "method", "method: must be a string such as \"gateway.list\"");
	if (params && !json_is_object(params) && !json_is_array(params))
		return fail(why, -EINVAL, "params", "params: must be an object");
	return 0;
}

static int jsonrpc_run_method(const json_t *request, jsonrpc_call *call, void *context, struct rpc_client *client,
			      json_t **result, struct failure *why)
{
	const char *method = json_string_value(json_object_get(request, "method"));
	json_t *params = json_object_get(request, "params");

	if (json_is_array(params)) {
		fail(why, -EINVAL, "params", "params: there are no positional parameters; give an object with keys");
		return JSONRPC_INVALID_PARAMS;
	}
	int code = call(context, client, method, params, result, why);
	if (!code && !*result) {
		fail(why, -ENOMEM, NULL, "out of memory for the answer");
		return JSONRPC_INTERNAL;
	}
	return code;
}

json_t *jsonrpc_answer(const json_t *request, jsonrpc_call *call, void *context, struct rpc_client *client)
{
	struct failure why = {0};
	json_t *result = NULL;

	if (check_envelope(request, &why)) {
		json_t *bad = json_object_get(request, "id");
		bool usable = json_is_string(bad) || json_is_number(bad);
		return jsonrpc_error(usable ? bad : NULL, JSONRPC_INVALID_REQUEST, &why);
	}
	json_t *id = json_object_get(request, "id");
	int code = jsonrpc_run_method(request, call, context, client, &result, &why);
	if (!id) {
		json_decref(result);
		return NULL;
	}
	if (code)
		return jsonrpc_error(id, code, &why);
	return json_pack("{s:s, s:O, s:o}", "jsonrpc", "2.0", "id", id, "result", result);
}
