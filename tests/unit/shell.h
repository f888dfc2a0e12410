/* SPDX-License-Identifier: Apache-2.0 */
/* shell.h - a shell command in a directory, for tests that damage files */
#ifndef PODSWITCH_SHELL_H
#define PODSWITCH_SHELL_H

#include <stdlib.h>

/* Runs `command`, which finds `directory` as $D; what system() returns. */
static int shell_status(const char *directory, const char *command)
{
	setenv("D", directory, 1);
	return system(command); /* NOLINT(cert-env33-c): the commands are the tests' own */
}

#endif
