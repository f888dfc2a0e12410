/* SPDX-License-Identifier: Apache-2.0 */
/*
 * main.c - podswitchd: options, start order, the control thread's loop, stop
 *
 * Start: options, log, with --standby the end of the one that runs, the state directory's lock, giving up the rights
 * that are not needed, the switch with its workers, what the state directory holds, and last the control socket, so
 * that whoever finds the socket finds everything as it was. Stop: the socket first, then the switch, then the lock, so
 * that a successor that gets the lock meets nothing of ours.
 *
 * SIGTERM and SIGINT arrive through a signalfd; they are blocked before the workers start, which inherit that.
 */
#include "control/base/confinement.h"
#include "control/base/rpc.h"
#include "control/daemon/calls.h"
#include "control/daemon/config.h"
#include "control/daemon/methods.h"
#include "control/daemon/preflight.h"
#include "control/daemon/standby.h"
#include "control/daemon/state.h"
#include "control/daemon/takeover.h"
#include "tap/base/clock.h"
#include "tap/base/log.h"
#include "tap/base/signals.h"
#include "tap/net_settings.h"
#include "tap/pod_filter.h"
#include "tap/steering.h"
#include "vswitch/handover.h"
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
#include <time.h>
#include <unistd.h>

#define LOCK_PATIENCE 500   /* times 10 ms */
#define CALLED_LINGER 10    /* s that one who was called has to take over */
#define SETTLE_TIMEOUT 2000 /* ms for the TAPs of removed ports */

struct daemon {
	struct config config;
	struct state *state;
	struct vswitch *vs;
	struct rpc *rpc;
	struct methods methods;
	struct standby standby;
	uint64_t ends; /* ms of clock_ms(), when nobody has taken over until then; 0: it goes on */
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

/* Before bpf() is forbidden. */
static void open_queues(const struct config *config)
{
	struct failure why = {0};

	if (config->options.tap_queues > 1 && steering_open(&why))
		log_line(LOG_INFO, "tap_queues is 1: %s", why.text);
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

static bool takes_over(const struct config *config)
{
	return config->takeover || config->standby;
}

/* Of one that was told to stop, the lock is free a moment after it has hung up. */
static int open_state(struct daemon *daemon, int lock, struct failure *why)
{
	static const struct timespec moment = {.tv_nsec = 10000000};
	const char *path = daemon->config.state_dir;
	int error =
		lock >= 0 ? state_open_locked(path, lock, &daemon->state, why) : state_open(path, &daemon->state, why);

	for (int i = 0; error == -EBUSY && takes_over(&daemon->config) && i < LOCK_PATIENCE; i++) {
		nanosleep(&moment, NULL);
		error = state_open(path, &daemon->state, why);
	}
	return error;
}

/* With what another one handed over, if `takeover` is not NULL. */
static int restore(struct daemon *daemon, struct takeover *takeover, struct failure *why)
{
	const struct config *config = &daemon->config;

	daemon->methods = (struct methods){
		.vs = daemon->vs, .state = daemon->state, .config = config, .standby = &daemon->standby};
	if (takeover) {
		switch_pause(daemon->vs, true);
		int error = takeover_receive(takeover, daemon->vs, &config->options, why);
		if (error)
			return error;
	}
	daemon->methods.takeover = takeover;
	unsigned restored = methods_restore(&daemon->methods);
	daemon->methods.takeover = NULL;
	takeover_restored(takeover, daemon->vs);
	if (restored)
		log_line(LOG_INFO, "took up %u object%s from %s", restored, restored == 1 ? "" : "s",
			 config->state_dir);
	return 0;
}

/* Whoever finds the socket finds everything as it was; with a takeover there is one at any time. */
static int open_socket(struct daemon *daemon, struct takeover *takeover, struct failure *why)
{
	const char *path = daemon->config.socket;
	if (!takeover)
		return rpc_open(path, methods_call, &daemon->methods, &daemon->rpc, why);
	int error = rpc_open_beside(path, methods_call, &daemon->methods, &daemon->rpc, why);
	if (!error)
		error = takeover_commit(takeover, daemon->vs, why);
	if (!error)
		error = rpc_appear(daemon->rpc, why);
	if (!error)
		error = state_own(daemon->state, why);
	return error;
}

/*
 * Our turn has come, and the state directory is ours, or will be: *takeover says who gives it. Of two with --standby
 * that start at once, the one that finds the lock taken waits for the other.
 */
static int daemon_begin(struct daemon *daemon, struct takeover **takeover, struct failure *why)
{
	const struct config *config = &daemon->config;
	int error, lock = -1;
	do {
		error = config->standby ? standby_wait(config->socket, config->instance, daemon->signals, why) : 0;
		if (!error && takes_over(config))
			error = takeover_begin(config->socket, takeover, &lock, why);
		if (!error)
			error = open_state(daemon, lock, why);
	} while (error == -EBUSY && config->standby && !*takeover);
	return error;
}

static int daemon_build(struct daemon *daemon, struct takeover *takeover, const struct confinement *rights,
			struct failure *why)
{
	int error = confine(rights, why);
	if (!error)
		error = switch_open(&daemon->config.options, &daemon->vs, why);
	if (!error)
		error = confine_started(rights, why);
	if (!error)
		error = restore(daemon, takeover, why);
	if (!error)
		error = open_socket(daemon, takeover, why);
	return error;
}

static int daemon_start(struct daemon *daemon, struct failure *why)
{
	const struct config *config = &daemon->config;
	struct takeover *takeover = NULL;
	const struct confinement rights = {.capabilities = preflight_capabilities(),
					   .calls = config->seccomp ? &podswitchd_calls : NULL};

	if (!config->options.workers)
		daemon->config.options.workers = switch_workers_auto();
	raise_descriptor_limit();
	pod_filter_hold_descriptors();
	daemon->signals = signals_open();
	daemon->timer = open_timer();
	if (daemon->signals < 0 || daemon->timer < 0)
		return fail(why, -EMFILE, NULL, "cannot open a signalfd and a timerfd");
	int error = preflight(why);
	net_settings_open();
	if (!error)
		open_queues(config);
	if (!error)
		error = daemon_begin(daemon, &takeover, why);
	if (!error) /* what a takeover needs beyond our rights, to stop an old version, is done by now */
		error = daemon_build(daemon, takeover, &rights, why);
	takeover_end(takeover, error ? why->text : NULL);
	if (error)
		return error;
	daemon->methods.rpc = daemon->rpc;
	switch_listen(daemon->vs, methods_event, &daemon->methods);
	log_line(LOG_INFO, "version %s, socket %s, %u worker%s", PODSWITCH_VERSION, config->socket,
		 config->options.workers, config->options.workers == 1 ? "" : "s");
	return 0;
}

static void daemon_close(struct daemon *daemon)
{
	rpc_close(daemon->rpc);
	standby_close(&daemon->standby);
	daemon->methods.rpc = NULL;
	switch_close(daemon->vs);
	state_close(daemon->state);
	daemon->rpc = NULL;
	daemon->vs = NULL;
	daemon->state = NULL;
}

static void resume_request(void *context, uint64_t ending)
{
	const struct daemon *daemon = context;
	rpc_resume(daemon->rpc, ending);
}

/*
 * Before another one goes on in our place, or we end: ports that were removed have no TAP any more, and their removers
 * know.
 */
static void daemon_settle(struct daemon *daemon)
{
	struct pollfd endings = {.fd = switch_endings_fd(daemon->vs), .events = POLLIN};

	for (uint64_t end = clock_ms() + SETTLE_TIMEOUT; clock_ms() < end;) {
		bool pending = switch_end_taps(daemon->vs, resume_request, daemon);
		if (!pending && !rpc_holds(daemon->rpc))
			break;
		(void)poll(&endings, pending, 10);
		rpc_serve(daemon->rpc);
	}
}

/* Accepts what start() left half done. */
static void daemon_stop(struct daemon *daemon)
{
	daemon_close(daemon);
	if (daemon->signals >= 0)
		close(daemon->signals);
	if (daemon->timer >= 0)
		close(daemon->timer);
}

/* ---- the loop ---- */

/* True: another one has everything now. */
static bool hand_over(struct daemon *daemon)
{
	int connection = rpc_released(daemon->rpc);

	if (connection < 0 || standby_keep(&daemon->standby, connection))
		return false;
	daemon_settle(daemon);
	return takeover_give(&daemon->methods, connection);
}

/* Where a supervisor would start us again, and with that take over in turn, we stay until we are stopped. */
static void wait_for_signal(const struct daemon *daemon)
{
	struct pollfd fds[] = {{.fd = daemon->signals, .events = POLLIN}};

	log_line(LOG_INFO, "waiting to be stopped");
	while (poll(fds, 1, -1) < 1)
		continue;
}

/* False: now. A second signal, or one from a keyboard, leaves no time for another one to take over. */
static bool goes_on(struct daemon *daemon, uint32_t number)
{
	unsigned linger = daemon->config.linger;
	bool waited_for = daemon->standby.connection >= 0;

	if (number != SIGTERM || daemon->ends || clock_ms() < daemon->standby.alone || (!linger && !waited_for)) {
		log_line(LOG_INFO, "stopped by %s", number == SIGTERM ? "SIGTERM" : "SIGINT");
		return false;
	}
	if (waited_for && linger < CALLED_LINGER)
		linger = CALLED_LINGER;
	daemon->ends = clock_ms() + linger * 1000ULL;
	log_line(LOG_INFO, "SIGTERM: going on until another podswitchd has taken over, for %u s at most", linger);
	return true;
}

/* Calls whoever waits, also one that comes only now. False: nobody has taken over in time. */
static bool lingers(struct daemon *daemon)
{
	if (!daemon->ends)
		return true;
	if (clock_ms() >= daemon->ends || clock_ms() < daemon->standby.alone) {
		log_line(LOG_WARNING, "nobody has taken over: stopped by SIGTERM");
		return false;
	}
	(void)standby_call(&daemon->standby);
	return true;
}

static void daemon_tick(struct daemon *daemon)
{
	uint64_t expired;

	if (read(daemon->timer, &expired, sizeof(expired)) != sizeof(expired))
		return;
	switch_tick(daemon->vs);
	methods_retry(&daemon->methods);
	rpc_tick(daemon->rpc);
}

/* Returns true when another one has taken over, false when we are to stop. */
static bool daemon_loop(struct daemon *daemon)
{
	struct pollfd fds[] = {
		{.fd = daemon->signals, .events = POLLIN},
		{.fd = daemon->timer, .events = POLLIN},
		{.fd = switch_wakeup_fd(daemon->vs), .events = POLLIN},
		{.fd = rpc_fd(daemon->rpc), .events = POLLIN},
		{.fd = -1, .events = POLLIN},
		{.fd = switch_endings_fd(daemon->vs), .events = POLLIN},
	};
	struct signalfd_siginfo signal;

	while (lingers(daemon)) {
		fds[4].fd = daemon->standby.connection;
		if (poll(fds, sizeof(fds) / sizeof(fds[0]), -1) < 0)
			continue;
		if (fds[1].revents)
			daemon_tick(daemon);
		if (fds[2].revents)
			switch_tick(daemon->vs);
		if (fds[4].revents)
			standby_close(&daemon->standby);
		if (fds[5].revents)
			(void)switch_end_taps(daemon->vs, resume_request, daemon);
		if (fds[3].revents)
			rpc_serve(daemon->rpc);
		if (hand_over(daemon))
			return true;
		if (fds[0].revents && read(daemon->signals, &signal, sizeof(signal)) == sizeof(signal) &&
		    !goes_on(daemon, signal.ssi_signo))
			break;
	}
	daemon_settle(daemon);
	return false;
}

int main(int argc, char **argv)
{
	struct daemon daemon = {.config = CONFIG_DEFAULT, .standby = STANDBY_NONE, .signals = -1, .timer = -1};
	struct failure why = {0};

	(void)argc;
	int code = read_config(&daemon.config, argv + 1);
	if (code >= 0)
		return code;
	log_set_level(daemon.config.log_level);
	int error = daemon_start(&daemon, &why);
	code = error && error != -ECANCELED;
	if (error == -ECANCELED) {
		log_line(LOG_INFO, "stopped while it waited");
	} else if (error) {
		log_line(LOG_ERROR, "%s", why.text);
	} else if (daemon_loop(&daemon) && daemon.config.then_waits && !daemon.ends) {
		daemon_close(&daemon);
		wait_for_signal(&daemon);
	}
	daemon_stop(&daemon);
	return code;
}
