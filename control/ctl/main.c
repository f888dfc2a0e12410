/* SPDX-License-Identifier: Apache-2.0 */
/* main.c - podswitchctl: the command line over podswitchd's control socket */
#include "control/ctl/ctl.h"

#include <signal.h>

int main(int argc, char **argv)
{
	/* Writing then fails with EPIPE, the same whether or not the parent ignored SIGPIPE. */
	signal(SIGPIPE, SIG_IGN);
	return ctl_main(argv + (argc > 0), stdout, stderr);
}
