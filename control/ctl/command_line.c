/* SPDX-License-Identifier: Apache-2.0 */
/* command_line.c - podswitchctl's command line: OBJECT COMMAND, their options, and --help */
#include "control/ctl/command_line.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#define HELP_WIDTH 26

/* Where parsing stands. */
struct cursor {
	struct option_line line;
	char program[80]; /* as far as it is known: "podswitchctl gateway add" */
	struct invocation *out;
	struct failure *why;
};

#define OPTIONS struct invocation
static const struct option_spec global_options[] = {
	OPTION_TEXT("socket", 's', "SOCKET", socket,
		    "podswitchd's control socket ($PODSWITCH_SOCKET, else /run/podswitch/control.sock)"),
	OPTION_FLAG("json", 'j', json, "print one JSON document instead of a table"),
	OPTION_FLAG("help", 'h', help, "print this help; after an object or a command, its options"),
	OPTION_FLAG("version", 'V', version, "print the version of podswitchctl"),
	{0},
};
#undef OPTIONS

static int put_number(struct cursor *at, const char *name, const char *key, const char *value)
{
	char *end;
	errno = 0;
	long long number = strtoll(value, &end, 10);
	if (*end || end == value || isspace((unsigned char)*value) || errno)
		return option_wrong_usage(&at->line, at->why, "--%s wants a whole number, not '%.40s'", name, value);
	json_object_set_new(at->out->params, key, json_integer(number));
	return 0;
}

/* An empty value in a command that changes lists empties the list; it says nothing beside other values. */
static int put_element(struct cursor *at, const char *name, const char *key, const char *value)
{
	json_t *list = json_object_get(at->out->params, key);
	bool empty = !*value;
	if (empty && !at->out->command->clears)
		return option_wrong_usage(&at->line, at->why, "--%s is empty", name);
	if (list && (empty || !json_array_size(list)))
		return option_wrong_usage(&at->line, at->why, "an empty --%s clears the list and stands alone", name);
	if (!list)
		json_object_set_new(at->out->params, key, json_array());
	if (!empty && json_array_append_new(json_object_get(at->out->params, key), json_string(value)))
		return option_wrong_usage(&at->line, at->why, "the value of --%s is not UTF-8 text", name);
	return 0;
}

static int put_text(struct cursor *at, const char *what, const char *key, const char *value)
{
	if (json_object_set_new(at->out->params, key, json_string(value)))
		return option_wrong_usage(&at->line, at->why, "the value of %s is not UTF-8 text", what);
	return 0;
}

/* A value of one of the command's options becomes a parameter. */
static int put_option(struct cursor *at, const struct option_spec *option, const char *value)
{
	char key[OPTION_KEY], word[OPTION_KEY + 2];
	option_key(option->name, key);
	snprintf(word, sizeof(word), "--%s", option->name);
	if (option->kind != OPTION_LIST && json_object_get(at->out->params, key))
		return option_wrong_usage(&at->line, at->why, "%s is given twice", word);
	switch (option->kind) {
	case OPTION_FLAG:
		return json_object_set_new(at->out->params, key, json_true());
	case OPTION_NUMBER:
		return put_number(at, option->name, key, value);
	case OPTION_LIST:
		return put_element(at, option->name, key, value);
	case OPTION_TEXT:
	case OPTION_STRING:
	case OPTION_SWITCH:
	case OPTION_CHOICE:
	case OPTION_VALUE:
	case OPTION_ID:
	case OPTION_WORD:
	case OPTION_JSON:
		break;
	}
	return put_text(at, word, key, value);
}

static bool is_global(const struct option_spec *option)
{
	return option >= global_options && option < global_options + sizeof(global_options) / sizeof(global_options[0]);
}

/* Takes options until a word that is none; *word is NULL at the end. */
static int cursor_next_word(struct cursor *at, const char **word)
{
	for (;;) {
		const struct command *command = at->out->command;
		const struct option_spec *const tables[2] = {command ? command->options : NULL, global_options};
		const struct option_spec *option;
		int got = option_next(&at->line, tables, 0, &option, word, at->why);
		if (got <= 0)
			return got;
		if (is_global(option) && option->kind == OPTION_TEXT)
			at->out->socket = *word;
		else if (is_global(option))
			*(bool *)((char *)at->out + option->into) = true;
		int error = is_global(option) ? 0 : put_option(at, option, *word);
		if (error)
			return error;
	}
}

static void cursor_enter(struct cursor *at, const char *word)
{
	size_t used = strlen(at->program);
	snprintf(at->program + used, sizeof(at->program) - used, " %s", word);
}

static const struct command *find_object(const struct command *const *objects, const char *word)
{
	for (; *objects; objects++)
		if (!strcmp((*objects)->object, word))
			return *objects;
	return NULL;
}

static int find_command(struct cursor *at, const struct command *commands, const char *word)
{
	char names[100] = "";
	for (; commands->object; commands++) {
		if (word && !strcmp(commands->name, word)) {
			at->out->command = commands;
			cursor_enter(at, word);
			return 0;
		}
		size_t used = strlen(names);
		snprintf(names + used, sizeof(names) - used, "%s%s", used ? ", " : "", commands->name);
	}
	if (!word)
		return option_wrong_usage(&at->line, at->why, "%s wants a command: %s", at->out->object, names);
	return option_wrong_usage(&at->line, at->why, "unknown command '%.40s' after %s (%s)", word, at->out->object,
				  names);
}

static bool is_given(const struct cursor *at, const char *option)
{
	char key[OPTION_KEY];
	return json_object_get(at->out->params, option_key(option, key));
}

static int check_complete(const struct cursor *at)
{
	const struct command *command = at->out->command;
	const char *const *either = command->either;
	if (command->takes_name && !is_given(at, "name"))
		return option_wrong_usage(&at->line, at->why, "NAME is missing");
	for (size_t i = 0; i < sizeof(command->required) / sizeof(command->required[0]); i++)
		if (command->required[i] && !is_given(at, command->required[i]))
			return option_wrong_usage(&at->line, at->why, "--%s is missing", command->required[i]);
	if (either[0] && !is_given(at, either[0]) && !is_given(at, either[1]))
		return option_wrong_usage(&at->line, at->why, "--%s or --%s is missing", either[0], either[1]);
	if (either[0] && is_given(at, either[0]) && is_given(at, either[1]))
		return option_wrong_usage(&at->line, at->why, "--%s and --%s exclude each other", either[0], either[1]);
	return 0;
}

static int parse_arguments(struct cursor *at)
{
	const struct command *command = at->out->command;
	at->out->params = json_object();
	for (;;) {
		const char *word;
		int error = cursor_next_word(at, &word);
		if (error)
			return error;
		if (!word)
			break;
		if (!command->takes_name || is_given(at, "name"))
			return option_wrong_usage(&at->line, at->why, "unexpected argument '%.40s'", word);
		error = put_text(at, "NAME", "name", word);
		if (error)
			return error;
	}
	return at->out->help ? 0 : check_complete(at);
}

static int parse(struct cursor *at, const struct command *const *objects)
{
	const char *word;
	int error = cursor_next_word(at, &word);
	if (error)
		return error;
	if (!word && (at->out->help || at->out->version))
		return 0;
	if (!word)
		return option_wrong_usage(&at->line, at->why, "no object given");
	const struct command *commands = find_object(objects, word);
	if (!commands)
		return option_wrong_usage(&at->line, at->why, "unknown object '%.40s'", word);
	at->out->object = commands->object;
	cursor_enter(at, commands->object);
	if (!commands->name) {
		at->out->command = commands;
		return parse_arguments(at);
	}
	error = cursor_next_word(at, &word);
	if (error)
		return error;
	if (!word && at->out->help)
		return 0;
	error = find_command(at, commands, word);
	return error ? error : parse_arguments(at);
}

int options_parse(const struct command *const *objects, char **argv, struct invocation *out, struct failure *why)
{
	*out = (struct invocation){0};
	struct cursor at = {.line.next = argv, .program = "podswitchctl", .out = out, .why = why};
	at.line.program = at.program;
	int error = parse(&at, objects);
	if (error) {
		json_decref(out->params);
		out->params = NULL;
	}
	return error;
}

static void help_usage(const struct command *command, FILE *out)
{
	fprintf(out, "usage: podswitchctl [-s SOCKET] [-j] %s", command->object);
	if (command->name)
		fprintf(out, " %s", command->name);
	if (command->takes_name)
		fputs(" NAME", out);
	for (const char *const *required = command->required; *required; required++) {
		const struct option_spec *option = command->options;
		while (strcmp(option->name, *required) != 0)
			option++;
		fprintf(out, " --%s %s", option->name, option->argument);
	}
	if (command->either[0])
		fprintf(out, " (--%s ... | --%s ...)", command->either[0], command->either[1]);
	fprintf(out, "%s\n%s\n", command->options ? " [OPTIONS]" : "", command->help);
}

static void help_command(const struct command *command, FILE *out)
{
	help_usage(command, out);
	if (command->options)
		fputc('\n', out);
	option_help(command->options, 0, HELP_WIDTH, out);
	if (command->clears)
		fputs("\nWhat is not given stays. A list option replaces the whole list; an empty one ('') clears "
		      "it.\n",
		      out);
}

static void help_object(const struct command *commands, FILE *out)
{
	const char *object = commands->object;
	for (; commands->object && commands->name; commands++) {
		char left[64];
		snprintf(left, sizeof(left), "%s %s%s", commands->object, commands->name,
			 commands->takes_name ? " NAME" : "");
		fprintf(out, "  %-26s %s\n", left, commands->help);
	}
	if (commands->object)
		fprintf(out, "  %-26s %s\n", object, commands->help);
}

static void help_everything(const struct command *const *objects, FILE *out)
{
	fputs("usage: podswitchctl [-s SOCKET] [-j] OBJECT COMMAND [ARGUMENTS]\n"
	      "Shows and changes what podswitchd on this node switches.\n\n",
	      out);
	for (; *objects; objects++)
		help_object(*objects, out);
	fputs("\nOptions:\n", out);
	option_help(global_options, 0, HELP_WIDTH, out);
	fputs("\nExit status: 0 done, 1 refused or failed, 2 wrong usage. More in podswitchctl(8).\n", out);
}

void options_help(const struct command *const *objects, const struct invocation *about, FILE *out)
{
	if (about->command) {
		help_command(about->command, out);
		return;
	}
	if (!about->object) {
		help_everything(objects, out);
		return;
	}
	fprintf(out, "usage: podswitchctl [-s SOCKET] [-j] %s COMMAND [ARGUMENTS]\n\n", about->object);
	for (; *objects; objects++)
		if (!strcmp((*objects)->object, about->object))
			help_object(*objects, out);
	fprintf(out, "\nSee podswitchctl %s COMMAND --help for a command's options.\n", about->object);
}
