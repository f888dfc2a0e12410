/* SPDX-License-Identifier: Apache-2.0 */
/*
 * main.c - podswitchd: options, start order, the control thread's loop, stop
 *
 * Start: options, log, giving up the rights that are not needed, the state directory's lock, the switch with its
 * workers, what the state directory holds, and last the control socket, so that whoever finds the socket finds
 * everything as it was. Stop: the socket first, then the switch, then the lock, so that a successor that gets the lock
 * meets nothing of ours.
 *
 * SIGTERM and SIGINT arrive through a signalfd; they are blocked before the workers start, which inherit that.
 */
#include "control/base/confinement.h"
#include "control/base/rpc.h"
#include "control/daemon/calls.h"
#include "control/daemon/config.h"
#include "control/daemon/methods.h"
#include "control/daemon/preflight.h"
#include "control/daemon/state.h"
#include "tap/base/log.h"
#include "tap/base/signals.h"
#include "tap/net_settings.h"
#include "tap/pod_filter.h"
#include "vswitch/switch.h"

#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

struct daemon {
	struct config config;
	struct state *state;
	struct vswitch *vs;
	struct rpc *rpc;
	struct methods methods;
	int signals, timer;
};

/* ---- options ---- */

/* -1: go on; else the exit status. The line is read twice: first for its errors and the file, then over the file. */
static int read_config(struct config *config, char **words)
{
	struct failure why = {0};
	struct config given = *config;
	int status = -1;
	if (config_read_line(&given, words, &why)) {
		status = 2;
	} else if (given.help) {
		config_help(stdout);
		return 0;
	} else if (given.version) {
		puts("podswitchd " PODSWITCH_VERSION);
		return 0;
	} else if (given.file && config_read_file(config, given.file, &why)) {
		status = 1;
	} else {
		config_read_line(config, words, &why);
	}
	if (status > 0)
		fprintf(stderr, "podswitchd: %s\n", why.text);
	return status;
}

/* ---- starting ---- */

/* Every port holds several descriptors; the soft limit of 1024 is for programs that use select(). */
static void raise_descriptor_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit))
		return;
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit))
		log_line(LOG_WARNING, "cannot raise the limit of open files: %s", strerror(errno));
}

static int open_timer(void)
{
	const struct itimerspec second = {.it_interval.tv_sec = 1, .it_value.tv_sec = 1};
	int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);

	if (fd < 0 || timerfd_settime(fd, 0, &second, NULL)) {
		int error = -errno;
		if (fd >= 0)
			close(fd);
		return error;
	}
	return fd;
}

static int daemon_start(struct daemon *daemon, struct failure *why)
{
	const struct config *config = &daemon->config;
	const struct confinement rights = {.capabilities = preflight_capabilities(),
					   .calls = config->seccomp ? &podswitchd_calls : NULL};

	raise_descriptor_limit();
	pod_filter_hold_descriptors();
	daemon->signals = signals_open();
	daemon->timer = open_timer();
	if (daemon->signals < 0 || daemon->timer < 0)
		return fail(why, -EMFILE, NULL, "cannot open a signalfd and a timerfd");
	int error = preflight(why);
	net_settings_open();
	if (!error)
		error = confine(&rights, why);
	if (!error)
		error = state_open(config->state_dir, &daemon->state, why);
	if (!error)
		error = switch_open(&config->options, &daemon->vs, why);
	if (!error)
		error = confine_started(&rights, why);
	if (error)
		return error;
	daemon->methods = (struct methods){.vs = daemon->vs, .state = daemon->state, .config = config};
	unsigned restored = methods_restore(&daemon->methods);
	if (restored)
		log_line(LOG_INFO, "took up %u object%s from %s", restored, restored == 1 ? "" : "s",
			 config->state_dir);
	error = rpc_open(config->socket, methods_call, &daemon->methods, &daemon->rpc, why);
	if (error)
		return error;
	daemon->methods.rpc = daemon->rpc;
	switch_listen(daemon->vs, methods_event, &daemon->methods);
	log_line(LOG_INFO, "version %s, socket %s, %u worker%s", PODSWITCH_VERSION, config->socket,
		 config->options.workers, config->options.workers == 1 ? "" : "s");
	return 0;
}

/* Accepts what start() left half done. */
static void daemon_stop(struct daemon *daemon)
{
	rpc_close(daemon->rpc);
	daemon->methods.rpc = NULL;
	switch_close(daemon->vs);
	state_close(daemon->state);
	if (daemon->signals >= 0)
		close(daemon->signals);
	if (daemon->timer >= 0)
		close(daemon->timer);
}

/* ---- the loop ---- */

static void daemon_tick(struct daemon *daemon)
{
	uint64_t expired;

	if (read(daemon->timer, &expired, sizeof(expired)) != sizeof(expired))
		return;
	switch_tick(daemon->vs);
	methods_retry(&daemon->methods);
	rpc_tick(daemon->rpc);
}

static void daemon_loop(struct daemon *daemon)
{
	struct pollfd fds[] = {
		{.fd = daemon->signals, .events = POLLIN},
		{.fd = daemon->timer, .events = POLLIN},
		{.fd = switch_wakeup_fd(daemon->vs), .events = POLLIN},
		{.fd = rpc_fd(daemon->rpc), .events = POLLIN},
	};
	struct signalfd_siginfo signal;

	for (;;) {
		if (poll(fds, sizeof(fds) / sizeof(fds[0]), -1) < 0)
			continue;
		if (fds[1].revents)
			daemon_tick(daemon);
		if (fds[2].revents)
			switch_tick(daemon->vs);
		if (fds[3].revents)
			rpc_serve(daemon->rpc);
		if (fds[0].revents && read(daemon->signals, &signal, sizeof(signal)) == sizeof(signal)) {
			log_line(LOG_INFO, "stopped by %s", signal.ssi_signo == SIGTERM ? "SIGTERM" : "SIGINT");
			return;
		}
	}
}

int main(int argc, char **argv)
{
	struct daemon daemon = {.config = CONFIG_DEFAULT, .signals = -1, .timer = -1};
	struct failure why = {0};

	(void)argc;
	int code = read_config(&daemon.config, argv + 1);
	if (code >= 0)
		return code;
	log_set_level(daemon.config.log_level);
	code = daemon_start(&daemon, &why) ? 1 : 0;
	if (code)
		log_line(LOG_ERROR, "%s", why.text);
	else
		daemon_loop(&daemon);
	daemon_stop(&daemon);
	return code;
}
