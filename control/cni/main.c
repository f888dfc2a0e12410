/* SPDX-License-Identifier: Apache-2.0 */
/* main.c - podswitch-cni: a CNI plugin, and what puts it on a node */
#include "control/cni/plugin.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

/* Readable from the first stop signal on. Everything but an ADD ends within seconds anyway. */
static int open_stop(void)
{
	sigset_t stop;

	sigemptyset(&stop);
	sigaddset(&stop, SIGINT);
	sigaddset(&stop, SIGTERM);
	sigaddset(&stop, SIGHUP);
	sigprocmask(SIG_BLOCK, &stop, NULL);
	return signalfd(-1, &stop, SFD_CLOEXEC | SFD_NONBLOCK);
}

int main(int argc, char **argv)
{
	const struct variables variables = {
		.command = getenv("CNI_COMMAND"),
		.container_id = getenv("CNI_CONTAINERID"),
		.netns = getenv("CNI_NETNS"),
		.ifname = getenv("CNI_IFNAME"),
		.args = getenv("CNI_ARGS"),
	};

	(void)argc;
	(void)argv;
	signal(SIGPIPE, SIG_IGN);
	return plugin_run(&variables, STDIN_FILENO, open_stop(), stdout, stderr);
}
