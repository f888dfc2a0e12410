/* SPDX-License-Identifier: Apache-2.0 */
/* main.c - podswitch-webhook: tells pods that are made which gateway they have, and what else that takes */
#include "control/base/confinement.h"
#include "control/webhook/cert.h"
#include "control/webhook/hook.h"
#include "tap/base/signals.h"

#include <stdio.h>
#include <sys/signalfd.h>
#include <unistd.h>

/* It reads files and speaks HTTPS: no right of root's is for that, but one for a port below 1024. */
static int webhook_confine(const struct usage *usage, struct failure *why)
{
	static const char *const *const allowed[] = {call_filter_base, call_filter_waiting, call_filter_files,
						     call_filter_sockets, NULL};
	/* libc loads a library when it is asked for a name. */
	static const struct call_filter calls = {.allowed = allowed, .load_code = true};
	const struct confinement rights = {.capabilities = CAPABILITY(CAP_NET_BIND_SERVICE),
					   .calls = usage->seccomp ? &calls : NULL};
	return confine(&rights, why);
}

static int webhook_serve(const struct usage *usage, int signals, struct failure *why)
{
	struct signalfd_siginfo signal;
	struct hook *hook = NULL;
	int error = hook_open(usage, &hook, why);
	if (error)
		return error;
	log_line(LOG_INFO, "version %s, serving on %s%s", PODSWITCH_VERSION, usage->listen,
		 usage->cert_file ? "" : " without TLS");
	while (!hook_drained(hook)) {
		hook_wait(hook, signals);
		hook_turn(hook);
		if (read(signals, &signal, sizeof(signal)) == sizeof(signal))
			hook_drain(hook);
	}
	hook_close(hook);
	return 0;
}

int main(int argc, char **argv)
{
	struct usage usage;
	struct failure why = {0};
	(void)argc;
	if (usage_read(argv + 1, &usage, &why)) {
		fprintf(stderr, "podswitch-webhook: %s\n", why.text);
		return 2;
	}
	if (usage.help || usage.version) {
		if (usage.help)
			usage_help(stdout);
		else
			puts("podswitch-webhook " PODSWITCH_VERSION);
		return 0;
	}
	log_set_level(usage.log_level);
	int signals = signals_open();
	int error = webhook_confine(&usage, &why);
	if (!error)
		error = usage.command == USAGE_SERVE ? webhook_serve(&usage, signals, &why)
						     : cert_run(&usage, signals, &why);
	if (error)
		log_line(LOG_ERROR, "%s", why.text);
	if (signals >= 0)
		close(signals);
	return error ? 1 : 0;
}
