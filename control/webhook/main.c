/* SPDX-License-Identifier: Apache-2.0 */
/* main.c - podswitch-webhook: tells pods that are made which gateway they have, and what else that takes */
#include "control/webhook/cert.h"
#include "control/webhook/hook.h"
#include "tap/base/signals.h"

#include <stdio.h>
#include <sys/signalfd.h>
#include <unistd.h>

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
	int error =
		usage.command == USAGE_SERVE ? webhook_serve(&usage, signals, &why) : cert_run(&usage, signals, &why);
	if (error)
		log_line(LOG_ERROR, "%s", why.text);
	if (signals >= 0)
		close(signals);
	return error ? 1 : 0;
}
