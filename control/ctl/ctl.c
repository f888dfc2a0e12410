/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ctl.c - podswitchctl as a whole: from the command line to the exit status
 *
 * A command is an entry of a table. Most are one call whose result is printed; the others have a function of their own.
 */
#include "control/ctl/ctl.h"
#include "tap/base/text.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

enum { EXIT_DONE = 0, EXIT_REFUSED = 1, EXIT_USAGE = 2 };

static const struct command *const objects[] = {
	gateway_commands, port_commands,    fdb_commands,     stats_commands,
	status_commands,  monitor_commands, version_commands, NULL,
};

int ctl_stop_on_signals(struct ctl *ctl, struct failure *why)
{
	sigset_t stop;
	sigemptyset(&stop);
	sigaddset(&stop, SIGINT);
	sigaddset(&stop, SIGTERM);
	sigaddset(&stop, SIGHUP);
	int fd = signalfd(-1, &stop, SFD_CLOEXEC | SFD_NONBLOCK);
	if (fd < 0)
		return fail(why, -errno, NULL, "cannot wait for signals: %s", strerror(errno));
	sigprocmask(SIG_BLOCK, &stop, NULL);
	ctl->client.stop_fd = fd;
	ctl->client.out_fd = fileno(ctl->out);
	return 0;
}

void ctl_print_json(const struct ctl *ctl, const json_t *value, bool pretty)
{
	size_t flags = JSON_ENCODE_ANY | (pretty ? JSON_INDENT(2) : JSON_COMPACT);
	json_dumpf(value, ctl->out, flags);
	fputc('\n', ctl->out);
}

int ctl_flush(const struct ctl *ctl, struct failure *why)
{
	errno = 0;
	if (!fflush(ctl->out) && !ferror(ctl->out))
		return 0;
	int error = errno ? errno : EIO;
	return fail(why, -error, NULL, "cannot write the output: %s", strerror(error));
}

static int call_and_print(struct ctl *ctl, const struct command *command, json_t *params, struct failure *why)
{
	json_t *result;
	int error = client_call(&ctl->client, command->method, params, &result, why);
	if (error)
		return error;
	if (ctl->json)
		ctl_print_json(ctl, result, true);
	else if (command->print)
		error = command->print(ctl->out, result);
	json_decref(result);
	return error ? fail(why, error, NULL, "cannot print the answer: %s", strerror(-error)) : 0;
}

static int ctl_run(struct ctl *ctl, const struct command *command, json_t *params, struct failure *why)
{
	int error = 0;
	if (command != version_commands) /* which works without a podswitchd, too */
		error = client_connect(&ctl->client, ctl->socket, why);
	if (error)
		return error;
	error = command->run ? command->run(ctl, params, why) : call_and_print(ctl, command, params, why);
	if (ctl->client.stop_fd >= 0)
		close(ctl->client.stop_fd);
	client_disconnect(&ctl->client);
	return error;
}

/* One line, whatever is in podswitchd's message. */
static void ctl_print_failure(FILE *err, struct failure *why)
{
	text_to_line(why->text, ' ');
	fprintf(err, "podswitchctl: %s\n", why->text);
}

static int exit_status(int error, FILE *err, struct failure *why)
{
	/* The user, or the reader of our output, has stopped: not a failure. */
	if (!error || error == -ECANCELED || error == -EPIPE)
		return EXIT_DONE;
	ctl_print_failure(err, why);
	return EXIT_REFUSED;
}

static const char *choose_socket(const struct invocation *invocation)
{
	const char *path = getenv("PODSWITCH_SOCKET");
	if (invocation->socket)
		return invocation->socket;
	return path && *path ? path : CLIENT_DEFAULT_SOCKET;
}

int ctl_main(char **argv, FILE *out, FILE *err)
{
	struct failure why = {0};
	struct invocation invocation;
	int error = options_parse(objects, argv, &invocation, &why);
	if (error) {
		ctl_print_failure(err, &why);
		return EXIT_USAGE;
	}
	struct ctl ctl = {.socket = choose_socket(&invocation), .json = invocation.json, .out = out};
	ctl.client.fd = ctl.client.stop_fd = ctl.client.out_fd = -1;
	if (invocation.help)
		options_help(objects, &invocation, out);
	else if (invocation.version)
		fprintf(out, "podswitchctl %s\n", PODSWITCH_VERSION);
	else
		error = ctl_run(&ctl, invocation.command, invocation.params, &why);
	json_decref(invocation.params);
	if (!error)
		error = ctl_flush(&ctl, &why);
	return exit_status(error, err, &why);
}
