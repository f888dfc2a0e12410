/* SPDX-License-Identifier: Apache-2.0 */
/*
 * command_line.h - podswitchctl's command line: OBJECT COMMAND, their options, and --help
 *
 * A command's options are those of the method it calls (control/daemon/options.h) and become the method's parameters.
 * Only their shape is checked here: unknown words, missing values, numbers where the method wants numbers. Whether a
 * value makes sense is for podswitchd to say, which names the parameter.
 */
#ifndef PODSWITCH_COMMAND_LINE_H
#define PODSWITCH_COMMAND_LINE_H

#include "control/daemon/options.h"

struct ctl;

struct command {
	const char *object; /* "gateway"; NULL ends an array */
	const char *name;   /* "add"; NULL: the object is a command by itself ("stats") */
	const char *method; /* of the control socket */
	const char *help;
	bool takes_name;                   /* a NAME follows: parameter "name" */
	bool clears;                       /* an empty list option sends an empty array */
	const struct option_spec *options; /* may be NULL */
	const char *required[4];           /* names of options that must be there */
	const char *either[2];             /* exactly one of these two must be there */

	/* Prints the result for people; NULL: nothing is printed. 0 or negative errno. */
	int (*print)(FILE *out, json_t *result);
	/* Instead of the plain call of `method`. 0, or a negative errno with `why` filled. */
	int (*run)(struct ctl *ctl, json_t *params, struct failure *why);
};

/* What the user asked for. The strings point into argv. */
struct invocation {
	const char *socket; /* NULL: not given */
	bool json;
	bool help;    /* of the command, else of the object, else of everything */
	bool version; /* the client's */
	const char *object;
	const struct command *command;
	json_t *params; /* an object, owned; NULL without a command */
};

/*
 * Parses `argv` (NULL-terminated, without the program's name). `objects` is a NULL-terminated list of arrays of
 * commands. On -EINVAL `why` holds a line that names the wrong word and hints at --help, and nothing is owned.
 */
int options_parse(const struct command *const *objects, char **argv, struct invocation *out, struct failure *why);

/* What --help prints for this invocation. */
void options_help(const struct command *const *objects, const struct invocation *about, FILE *out);

#endif
