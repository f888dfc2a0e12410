/* SPDX-License-Identifier: Apache-2.0 */
/*
 * main.c - podswitchd: options, start order, the control thread's loop, stop
 *
 * Start: options, log, the state directory's lock, the switch with its workers, what the state directory holds, and
 * last the control socket, so that whoever finds the socket finds everything as it was. Stop: the socket first, then
 * the switch, then the lock, so that a successor that gets the lock meets nothing of ours.
 *
 * SIGTERM and SIGINT arrive through a signalfd; they are blocked before the workers start, which inherit that.
 */
#include "control/base/rpc.h"
#include "control/daemon/config.h"
#include "control/daemon/methods.h"
#include "control/daemon/state.h"
#include "tap/base/log.h"
#include "tap/base/signals.h"
#include "vswitch/switch.h"

#include <getopt.h>
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

static const char help[] =
	"usage: podswitchd [OPTION]...\n"
	"The per-node VXLAN switch. Runs in the foreground; podswitchctl tells it what to do.\n"
	"\n"
	"  -s, --socket SOCKET            control socket (/run/podswitch/control.sock)\n"
	"      --state-dir DIR            where the configuration is kept (/run/podswitch/state)\n"
	"  -w, --workers N                threads that move packets, 1 to 16 (1)\n"
	"      --vtep ADDRESS             local address of the host underlay; once for IPv4, once for IPv6 (any)\n"
	"      --reserved drop|ignore     datagrams with reserved VXLAN bits set (drop)\n"
	"      --ageing SECONDS           after which a learned MAC is forgotten (300)\n"
	"      --fdb-gateway-limit N      learned MACs of one gateway (16384)\n"
	"      --fdb-remote-limit N       learned MACs behind one remote (4096)\n"
	"      --spin MICROSECONDS        look for packets so long before sleeping; 0 to 1000 (0)\n"
	"      --tap-gso on|off           super-frames from pods (on)\n"
	"      --udp-gso on|off           several datagrams in one send (on)\n"
	"      --udp-gro on|off           several datagrams in one receive (on)\n"
	"      --trains on|off            runs of small frames in one send, with udp-gso (on)\n"
	"      --tap-gro on|off           segments put together for the pod (on)\n"
	"      --underlay-tap on|off      super-frames leave the node whole, by a TAP of its own (off)\n"
	"      --log-level LEVEL          error, warning, info or debug (info)\n"
	"  -c, --config FILE              a JSON object with these keys, as state_dir; the command line wins\n"
	"  -h, --help                     this text\n"
	"  -V, --version                  the version\n";

static const struct option options[] = {
	{"socket", required_argument, NULL, 's'},
	{"state-dir", required_argument, NULL, 'o'},
	{"workers", required_argument, NULL, 'w'},
	{"vtep", required_argument, NULL, 'o'},
	{"reserved", required_argument, NULL, 'o'},
	{"ageing", required_argument, NULL, 'o'},
	{"fdb-gateway-limit", required_argument, NULL, 'o'},
	{"fdb-remote-limit", required_argument, NULL, 'o'},
	{"spin", required_argument, NULL, 'o'},
	{"tap-gso", required_argument, NULL, 'o'},
	{"udp-gso", required_argument, NULL, 'o'},
	{"udp-gro", required_argument, NULL, 'o'},
	{"trains", required_argument, NULL, 'o'},
	{"tap-gro", required_argument, NULL, 'o'},
	{"underlay-tap", required_argument, NULL, 'o'},
	{"log-level", required_argument, NULL, 'o'},
	{"config", required_argument, NULL, 'c'},
	{"help", no_argument, NULL, 'h'},
	{"version", no_argument, NULL, 'V'},
	{0},
};

struct daemon {
	struct config config;
	struct state *state;
	struct vswitch *vs;
	struct rpc *rpc;
	struct methods methods;
	int signals, timer;
};

/* ---- options ---- */

static int wrong_usage(const char *text, const char *what)
{
	fprintf(stderr, "podswitchd: %s%s; try podswitchd --help\n", text, what);
	return 2;
}

/* Gathers the command line in `given` and *file. -1: go on; else the exit code. */
static int read_options(int argc, char **argv, json_t *given, const char **file)
{
	int option, place = 0;

	while ((option = getopt_long(argc, argv, ":s:w:c:hV", options, &place)) != -1) {
		switch (option) {
		case 's':
			config_option(given, "socket", optarg);
			break;
		case 'w':
			config_option(given, "workers", optarg);
			break;
		case 'o':
			config_option(given, options[place].name, optarg);
			break;
		case 'c':
			*file = optarg;
			break;
		case 'h':
			fputs(help, stdout);
			return 0;
		case 'V':
			puts("podswitchd " PODSWITCH_VERSION);
			return 0;
		case ':':
			return wrong_usage("a value is missing after ", argv[optind - 1]);
		default:
			return wrong_usage("no such option: ", argv[optind - 1]);
		}
	}
	return optind < argc ? wrong_usage("takes options only, not ", argv[optind]) : -1;
}

static int read_config(struct config *config, int argc, char **argv)
{
	struct failure why = {0};
	const char *file = NULL;
	json_t *given = json_object();
	struct config checked = *config;

	int code = given ? read_options(argc, argv, given, &file) : 1;
	if (code < 0 && config_apply(&checked, given, &why))
		code = wrong_usage(why.text, "");
	if (code < 0 && file && config_load(config, file, &why)) {
		fprintf(stderr, "podswitchd: %s\n", why.text);
		code = 1;
	}
	if (code < 0)
		config_apply(config, given, &why); /* was checked above */
	json_decref(given);
	return code;
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

	raise_descriptor_limit();
	daemon->signals = signals_open();
	daemon->timer = open_timer();
	if (daemon->signals < 0 || daemon->timer < 0)
		return fail(why, -EMFILE, NULL, "cannot open a signalfd and a timerfd");
	int error = state_open(config->state_dir, &daemon->state, why);
	if (!error)
		error = switch_open(&config->options, &daemon->vs, why);
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

	int code = read_config(&daemon.config, argc, argv);
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
