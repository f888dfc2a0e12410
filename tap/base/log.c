/* SPDX-License-Identifier: Apache-2.0 */
/* log.c - log lines on stderr */
#include "tap/base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

const char *const log_levels[] = {"error", "warning", "info", "debug", NULL};
static enum log_level threshold = LOG_INFO;

void log_set_level(enum log_level level)
{
	threshold = level;
}

void log_line(enum log_level level, const char *format, ...)
{
	if (level > threshold)
		return;
	char line[512];
	int used = snprintf(line, sizeof(line), "%s: %s: ", program_invocation_short_name, log_levels[level]);
	va_list args;
	va_start(args, format);
	used += vsnprintf(line + used, sizeof(line) - (size_t)used, format, args);
	va_end(args);
	if (used > (int)sizeof(line) - 2)
		used = (int)sizeof(line) - 2;
	line[used] = '\n';
	/* When stderr is gone there is nothing to be done. */
	ssize_t ignored = write(STDERR_FILENO, line, (size_t)used + 1);
	(void)ignored;
}
