/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plugin.c - one CNI command, from its environment and standard input to what it prints
 *
 *   CNI_* -> environment.c --.
 *   stdin -> request.c ------+-> attach.c (agent, podswitchd) -> result.c -> stdout, exit status
 *
 * Standard input has INPUT_PATIENCE to end, so that a runtime that forgets to close it does not hang the pod. Every
 * refusal is a JSON error on stdout, as the CNI specification wants it, and one line on stderr. DEL reports nothing but
 * success: it uses what it could read, and a runtime that gets an error keeps the pod and asks again.
 *
 * An ADD whose result could not be printed counts as failed to the runtime, which may never send a DEL: so it is
 * undone.
 *
 * One thread.
 */
#include "control/cni/plugin.h"

#include "control/cni/agent_client.h"
#include "control/cni/attach.h"
#include "control/cni/request.h"
#include "control/cni/result.h"
#include "tap/base/buffer.h"
#include "tap/base/clock.h"
#include "tap/base/text.h"

#include <poll.h>
#include <string.h>
#include <unistd.h>

#define INPUT_PATIENCE 5000 /* ms for all of standard input; a runtime on a busy node is slow */

static enum cni_code plugin_read_stdin(int in, uint64_t deadline, struct buffer *text, struct refusal *why)
{
	for (;;) {
		struct pollfd ready = {.fd = in, .events = POLLIN};
		uint64_t now = clock_ms();
		if (now >= deadline)
			return refuse(why, CNI_IO,
				      "standard input does not end: close it after the network configuration");
		if (buffer_length(text) > REQUEST_MAX)
			return refuse(why, CNI_IO, "the network configuration has more than %lu bytes", REQUEST_MAX);
		if (poll(&ready, 1, (int)(deadline - now)) <= 0)
			continue;
		if (buffer_reserve(text, 65536))
			return refuse(why, CNI_IO, "out of memory for the network configuration");
		ssize_t got = read(in, text->data + text->end, 65536);
		if (got < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (got < 0)
			return refuse(why, CNI_IO, "cannot read standard input: %s", strerror(errno));
		if (!got)
			return 0;
		text->end += (size_t)got;
	}
}

static enum cni_code plugin_read_request(int in, uint64_t deadline, struct request *out, struct refusal *why)
{
	struct buffer text = {0};
	enum cni_code code = plugin_read_stdin(in, deadline, &text, why);

	request_defaults(out);
	if (!code)
		code = request_read(buffer_length(&text) ? buffer_bytes(&text) : "", buffer_length(&text), out, why);
	buffer_free(&text);
	return code;
}

static enum cni_code plugin_check_version(const struct environment *environment, const struct request *request,
					  struct refusal *why)
{
	static const enum cni_version since[CNI_COMMANDS] = {
		[CNI_CHECK] = CNI_0_4_0, [CNI_GC] = CNI_1_1_0, [CNI_STATUS] = CNI_1_1_0};

	if (request->version >= since[environment->command])
		return 0;
	return refuse(why, CNI_BAD_VERSION, "cniVersion: %s does not have this command; it needs %s or later",
		      cni_versions[request->version], cni_versions[since[environment->command]]);
}

static int print(const json_t *value, FILE *out)
{
	if (json_dumpf(value, out, JSON_COMPACT) || fputc('\n', out) == EOF || fflush(out))
		return -1;
	return 0;
}

static int report(enum cni_version version, struct refusal *why, FILE *out, FILE *err)
{
	text_to_line(why->text, ' ');
	text_to_line(why->details, ' ');
	json_t *refusal = result_refusal(version, why);
	print(refusal, out);
	json_decref(refusal);
	fprintf(err, "podswitch-cni: %s%s%s%s\n", why->text, why->details[0] ? " (" : "", why->details,
		why->details[0] ? ")" : "");
	return 1;
}

static enum cni_code add(const struct attach *attach, FILE *out, struct refusal *why)
{
	json_t *result = NULL;
	enum cni_code code = attach_add(attach, &result, why);

	if (!code && print(result, out)) {
		code = refuse(why, CNI_IO, "cannot write the result: %s", strerror(errno));
		attach_undo(attach);
	}
	json_decref(result);
	return code;
}

static enum cni_code run_command(const struct attach *attach, FILE *out, struct refusal *why)
{
	enum cni_code code = plugin_check_version(attach->environment, attach->request, why);

	if (code)
		return code;
	switch (attach->environment->command) {
	case CNI_ADD:
		return add(attach, out, why);
	case CNI_CHECK:
		return attach_check(attach, why);
	case CNI_GC:
		return attach_collect(attach, why);
	case CNI_STATUS:
		return attach_status(attach, why);
	case CNI_DEL:
	case CNI_VERSION:
	case CNI_COMMANDS:
		break;
	}
	return 0;
}

static int delete (struct attach *attach, enum cni_code code, const struct refusal *why, FILE *err)
{
	if (code)
		fprintf(err, "podswitch-cni: DEL continues: %s\n", why->text);
	attach_remove(attach);
	return 0;
}

static bool is_delete(const struct variables *variables)
{
	return variables->command && !strcmp(variables->command, "DEL");
}

int plugin_run(const struct variables *variables, int in, int stop_fd, FILE *out, FILE *err)
{
	struct environment environment;
	struct request request;
	struct refusal why = {0};
	struct attach attach = {&environment, &request, clock_ms(), stop_fd};

	enum cni_code code = environment_read(variables, &environment, &why);
	if (code && is_delete(variables)) {
		/* An ADD with the same variables was refused, so there is nothing to delete. */
		fprintf(err, "podswitch-cni: DEL: %s\n", why.text);
		return 0;
	}
	if (code)
		return report(CNI_VERSIONS, &why, out, err);
	if (environment.command == CNI_VERSION) {
		json_t *versions = result_version();
		int error = print(versions, out);
		json_decref(versions);
		return error ? 1 : 0;
	}
	bool del = environment.command == CNI_DEL;
	int status = 0;
	code = plugin_read_request(in, attach.started + INPUT_PATIENCE, &request, &why);
	attach.started = clock_ms();
	if (del) {
		status = delete (&attach, code, &why, err);
	} else {
		if (!code)
			code = run_command(&attach, out, &why);
		if (code)
			status = report(request.version, &why, out, err);
	}
	request_free(&request);
	return status;
}
