/* SPDX-License-Identifier: Apache-2.0 */
/*
 * log.h - log lines on stderr
 *
 * Never called for a packet. Any thread; a line is one write(2), so lines do not mix.
 */
#ifndef PODSWITCH_LOG_H
#define PODSWITCH_LOG_H

enum log_level { LOG_ERROR, LOG_WARNING, LOG_INFO, LOG_DEBUG };

/* Sets which levels are written from now on. Before the first thread is started. */
void log_set_level(enum log_level level);

/* Their names, in order; ends with NULL. */
extern const char *const log_levels[];

/* Writes "podswitchd: error: ..." (the program's name, the level, the text) and a newline. */
void log_line(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
