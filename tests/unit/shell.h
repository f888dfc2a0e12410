/* SPDX-License-Identifier: Apache-2.0 */
/* shell.h - a shell command in a directory, and a file written, for tests that change and damage files. After cmocka.h.
 */
#ifndef PODSWITCH_SHELL_H
#define PODSWITCH_SHELL_H

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

/* Runs `command`, which finds `directory` as $D; what system() returns. */
static inline int shell_status(const char *directory, const char *command)
{
	setenv("D", directory, 1);
	return system(command); /* NOLINT(cert-env33-c): the commands are the tests' own */
}

/* Replaces the file in one step, as the kubelet does it. */
static inline void write_file(const char *path, const char *text)
{
	char temporary[128];

	snprintf(temporary, sizeof(temporary), "%s.new", path);
	FILE *file = fopen(temporary, "w");
	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
	assert_return_code(rename(temporary, path), errno);
}

#endif
