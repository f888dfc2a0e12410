/* SPDX-License-Identifier: Apache-2.0 */
/*
 * option.h - settings described once, by a table
 *
 * A table says of each setting what it is called, what it takes and where it goes. From it come the command line, the
 * environment, JSON objects (configuration files and the parameters of methods), --help, and the option lists of the
 * man pages (man.awk reads the tables' source, so its lines have to keep the form of the macros below).
 *
 * One setting has three spellings: "log-level" as --log-level on the command line, as PODSWITCH_LOG_LEVEL in the
 * environment, and as log_level in JSON. Errors name the spelling that was used.
 *
 * All functions return 0, or -EINVAL with a text that says what to write instead. Any thread.
 */
#ifndef PODSWITCH_OPTION_H
#define PODSWITCH_OPTION_H

#include "tap/base/address.h"
#include "tap/base/failure.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

enum option_kind {
	OPTION_TEXT,   /* const char *: the text itself, which must outlive the settings; "" is NULL */
	OPTION_STRING, /* char[]: a copy of 1 to size - 1 bytes */
	OPTION_NUMBER, /* unsigned or uint16_t, `least` to `most` */
	OPTION_SWITCH, /* bool: on or off; in JSON true and false, too */
	OPTION_FLAG,   /* the same, but on the command line true by being there */
	OPTION_CHOICE, /* an enum, unsigned or bool: the index of one of `words`; in JSON true and false are on and off
			*/
	OPTION_WORD,   /* const char *: one of `words` itself; "" is NULL */
	OPTION_VALUE,  /* one text for parse() */
	OPTION_ID,     /* the same, and JSON may have it as a number */
	OPTION_JSON,   /* any JSON value for parse_json(); not for the command line */
	OPTION_LIST,   /* up to `most` texts, each for parse(), which is called with NULL first to empty the list */
};

/*
 * Parses `text` into what `into` points at: the member that the table names, or the whole settings. `label` is the
 * setting as the user spelled it, to begin error texts with.
 */
typedef int option_parse(const char *label, const char *text, void *into, struct failure *why);
typedef int option_parse_json(const char *key, const json_t *value, void *into, struct failure *why);

struct option_spec {
	const char *name; /* without dashes; NULL ends a table */
	char letter;      /* -s for --socket; 0: none */
	enum option_kind kind;
	const char *argument; /* what --help calls the value; NULL for a flag */
	const char *help;     /* without full stop; the default in brackets at its end */
	size_t into, size;    /* offset and size in the settings, bytes */
	unsigned least, most;
	bool or_zero;             /* 0 is accepted, too, for the default */
	bool or_auto;             /* the word auto is, and gives 0; of an unsigned */
	const char *const *words; /* ends with NULL */
	option_parse *parse;
	option_parse_json *parse_json;
	const char *required; /* JSON: it must be given where `complete` is asked for; what to give, for the text */
	bool positional;      /* a word by itself on the command line (NAME), without --name */
	bool line_only;       /* unknown in JSON */
	unsigned commands;    /* which of a program's commands take it, as bits; 0: all */
};

/* The lines of a table; OPTIONS is the type that holds the settings. More members may follow: .commands = CERT. */
#define OPTION_AT(member) .into = offsetof(OPTIONS, member)
#define OPTION_MEMBER(member) OPTION_AT(member), .size = sizeof(((OPTIONS *)0)->member)
#define OPTION_TEXT(name_, letter_, argument_, member_, help_, ...)                                                    \
	{                                                                                                              \
		.name = (name_), .letter = (letter_), .kind = OPTION_TEXT, .argument = (argument_), .help = (help_),   \
		OPTION_AT(member_), __VA_ARGS__                                                                        \
	}
#define OPTION_STRING(name_, letter_, argument_, member_, help_, ...)                                                  \
	{                                                                                                              \
		.name = (name_), .letter = (letter_), .kind = OPTION_STRING, .argument = (argument_), .help = (help_), \
		OPTION_MEMBER(member_), __VA_ARGS__                                                                    \
	}
#define OPTION_NUMBER(name_, letter_, argument_, member_, least_, most_, help_, ...)                                   \
	{                                                                                                              \
		.name = (name_), .letter = (letter_), .kind = OPTION_NUMBER, .argument = (argument_), .help = (help_), \
		OPTION_MEMBER(member_), .least = (least_), .most = (most_), __VA_ARGS__                                \
	}
#define OPTION_SWITCH(name_, member_, help_, ...)                                                                      \
	{                                                                                                              \
		.name = (name_), .kind = OPTION_SWITCH, .argument = "on|off", .help = (help_), OPTION_MEMBER(member_), \
		__VA_ARGS__                                                                                            \
	}
#define OPTION_FLAG(name_, letter_, member_, help_, ...)                                                               \
	{                                                                                                              \
		.name = (name_), .letter = (letter_), .kind = OPTION_FLAG, .help = (help_), OPTION_MEMBER(member_),    \
		__VA_ARGS__                                                                                            \
	}
#define OPTION_CHOICE(name_, letter_, argument_, member_, words_, help_, ...)                                          \
	{                                                                                                              \
		.name = (name_), .letter = (letter_), .kind = OPTION_CHOICE, .argument = (argument_), .help = (help_), \
		OPTION_MEMBER(member_), .words = (words_), __VA_ARGS__                                                 \
	}
#define OPTION_VALUE(name_, letter_, argument_, member_, parse_, help_, ...)                                           \
	{                                                                                                              \
		.name = (name_), .letter = (letter_), .kind = OPTION_VALUE, .argument = (argument_), .help = (help_),  \
		OPTION_MEMBER(member_), .parse = (parse_), __VA_ARGS__                                                 \
	}
#define OPTION_WORD(name_, member_, words_)                                                                            \
	{                                                                                                              \
		.name = (name_), .kind = OPTION_WORD, OPTION_AT(member_), .words = (words_)                            \
	}
/* The parser gets the whole settings unless OPTION_AT() follows. */
#define OPTION_JSON(name_, parse_json_, ...)                                                                           \
	{                                                                                                              \
		.name = (name_), .kind = OPTION_JSON, .parse_json = (parse_json_), __VA_ARGS__                         \
	}
/* Of any kind that has a parser, which gets the whole settings unless OPTION_AT() follows. */
#define OPTION_PARSED(name_, letter_, argument_, kind_, most_, parse_, help_, ...)                                     \
	{                                                                                                              \
		.name = (name_), .letter = (letter_), .kind = (kind_), .argument = (argument_), .help = (help_),       \
		.most = (most_), .parse = (parse_), __VA_ARGS__                                                        \
	}

/* The words of a command line, and how far they have been read. */
struct option_line {
	char **next;         /* NULL-terminated */
	bool words_only;     /* behind "--" */
	const char *program; /* whose --help error texts point at: "podswitchctl gateway add" */
};

/*
 * Takes what is next. 1: an option of one of the two `tables` (each may be NULL), in *option, with its value in *value
 * (NULL for a flag). 0: no option but a word, in *value, or the end, then *value is NULL. `commands`: which command's
 * options are known, as a bit; 0: all.
 */
int option_next(struct option_line *line, const struct option_spec *const tables[2], unsigned commands,
		const struct option_spec **option, const char **value, struct failure *why);

/* A wrong command line: fills `why` with the text, and where to read more. -EINVAL. */
int option_wrong_usage(const struct option_line *line, struct failure *why, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/*
 * Reads a whole command line of nothing but options into `into`. What a list had before goes with the first value that
 * is given here.
 */
int option_read_line(const struct option_spec *table, unsigned commands, struct option_line *line, void *into,
		     struct failure *why);

/* Reads the variables PODSWITCH_NAME; an empty one is as if not set, as a ConfigMap leaves what is not filled in. */
int option_read_environment(const struct option_spec *table, void *into, struct failure *why);

/*
 * Reads an object (NULL: an empty one). Unknown keys are refused before anything is read. On error `into` is half
 * changed. why->key is the key at fault.
 */
int option_read_json(const struct option_spec *table, const json_t *object, bool complete, void *into,
		     struct failure *why);

/* Whether option_read_json() knows this key. */
bool option_knows_key(const struct option_spec *table, const char *key);

/* The JSON key of a setting: its name with '_' for '-'. */
#define OPTION_KEY 32 /* bytes, with the NUL */
const char *option_key(const char *name, char out[static OPTION_KEY]);

/* The lines of --help, the left column `width` bytes wide; `commands` as it stands in the table. */
void option_help(const struct option_spec *table, unsigned commands, int width, FILE *out);

/* Refuses a value: "LABEL: 'TEXT' is not WHAT", where `what` says what to give. -EINVAL. */
int option_refuse(const char *label, const char *text, const char *what, struct failure *why);

/* For parsers: a network with its length, which is not 0. -EINVAL. */
int option_parse_network(const char *label, const char *text, struct prefix *out, struct failure *why);

#endif
