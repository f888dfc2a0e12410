/* SPDX-License-Identifier: Apache-2.0 */
/* options.c - the command line, described once */
#include "control/ctl/options.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define KEY_SIZE 32 /* bytes of the longest option's name, with the NUL */

/* Where parsing stands. */
struct cursor {
	char **next;
	bool words_only; /* after "--" */
	struct invocation *out;
	struct failure *why;
};

static const struct option_spec global_options[] = {
	{"socket", OPTION_STRING, "SOCKET", "podswitchd's control socket (else $PODSWITCH_SOCKET, else the default)"},
	{"json", OPTION_FLAG, NULL, "print one JSON document instead of a table"},
	{"help", OPTION_FLAG, NULL, "print this; after an object or a command, its options"},
	{"version", OPTION_FLAG, NULL, "print the version of podswitchctl"},
	{0},
};

__attribute__((format(printf, 2, 3))) static int wrong_usage(const struct cursor *at, const char *format, ...)
{
	char text[160];
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	const struct command *command = at->out->command;
	const char *object = at->out->object;
	const char *name = command ? command->name : NULL;
	return fail(at->why, -EINVAL, NULL, "%s; see podswitchctl%s%s%s%s --help", text, object ? " " : "",
		    object ? object : "", name ? " " : "", name ? name : "");
}

static void key_of(const char *name, char out[static KEY_SIZE])
{
	snprintf(out, KEY_SIZE, "%s", name);
	for (char *c = out; *c; c++)
		if (*c == '-')
			*c = '_';
}

static const struct option_spec *option_find(const struct option_spec *options, const char *word, size_t length)
{
	for (; options && options->name; options++)
		if (strlen(options->name) == length && !strncmp(options->name, word, length))
			return options;
	return NULL;
}

/* The value of the option `word`: behind its '=', or the next word. */
static int take_value(struct cursor *at, const char *word, const char *equals, const char **value)
{
	if (equals) {
		*value = equals + 1;
		return 0;
	}
	const char *next = *at->next;
	if (!next)
		return wrong_usage(at, "%.40s wants a value", word);
	if (!strncmp(next, "--", 2))
		return wrong_usage(at, "%.40s wants a value, but '%.40s' follows", word, next);
	*value = next;
	at->next++;
	return 0;
}

static int put_number(struct cursor *at, const char *word, const char *key, const char *value)
{
	char *end;
	errno = 0;
	long long number = strtoll(value, &end, 10);
	if (*end || end == value || isspace((unsigned char)*value) || errno)
		return wrong_usage(at, "%.40s wants a whole number, not '%.40s'", word, value);
	json_object_set_new(at->out->params, key, json_integer(number));
	return 0;
}

/* An empty value in a command that changes lists empties the list; it says nothing beside other values. */
static int put_element(struct cursor *at, const char *word, const char *key, const char *value)
{
	json_t *list = json_object_get(at->out->params, key);
	bool empty = !*value;
	if (empty && !at->out->command->clears)
		return wrong_usage(at, "%.40s is empty", word);
	if (list && (empty || !json_array_size(list)))
		return wrong_usage(at, "an empty %.40s clears the list and stands alone", word);
	if (!list)
		json_object_set_new(at->out->params, key, json_array());
	if (!empty && json_array_append_new(json_object_get(at->out->params, key), json_string(value)))
		return wrong_usage(at, "the value of %.40s is not UTF-8 text", word);
	return 0;
}

static int put_text(struct cursor *at, const char *word, const char *key, const char *value)
{
	if (json_object_set_new(at->out->params, key, json_string(value)))
		return wrong_usage(at, "the value of %.40s is not UTF-8 text", word);
	return 0;
}

static int put_option(struct cursor *at, const struct option_spec *option, const char *equals)
{
	char key[KEY_SIZE], word[KEY_SIZE + 2];
	const char *value;
	key_of(option->name, key);
	snprintf(word, sizeof(word), "--%s", option->name);
	if (option->kind != OPTION_LIST && json_object_get(at->out->params, key))
		return wrong_usage(at, "%s is given twice", word);
	if (option->kind == OPTION_FLAG) {
		if (equals)
			return wrong_usage(at, "%s takes no value", word);
		return json_object_set_new(at->out->params, key, json_true());
	}
	int error = take_value(at, word, equals, &value);
	if (error)
		return error;
	if (option->kind == OPTION_NUMBER)
		return put_number(at, word, key, value);
	if (option->kind == OPTION_LIST)
		return put_element(at, word, key, value);
	return put_text(at, word, key, value);
}

static int global_option(struct cursor *at, const struct option_spec *option, const char *equals)
{
	if (option->kind == OPTION_FLAG && equals)
		return wrong_usage(at, "--%s takes no value", option->name);
	switch (option->name[0]) {
	case 's':
		return take_value(at, "--socket", equals, &at->out->socket);
	case 'j':
		at->out->json = true;
		break;
	case 'h':
		at->out->help = true;
		break;
	default:
		at->out->version = true;
	}
	return 0;
}

/* "-s SOCKET", "-sSOCKET", "-j", "-h", "-V". */
static int short_option(struct cursor *at, const char *word)
{
	if (word[1] == 's' && word[2]) {
		at->out->socket = word + 2;
		return 0;
	}
	if (!word[1] || word[2] || !strchr("sjhV", word[1]))
		return wrong_usage(at, "unknown option '%.40s'", word);
	if (word[1] == 's')
		return take_value(at, "-s", NULL, &at->out->socket);
	at->out->json |= word[1] == 'j';
	at->out->help |= word[1] == 'h';
	at->out->version |= word[1] == 'V';
	return 0;
}

/* The word at the cursor starts with '-'. */
static int any_option(struct cursor *at)
{
	const char *word = *at->next++;
	if (!strcmp(word, "--")) {
		at->words_only = true;
		return 0;
	}
	if (word[1] != '-')
		return short_option(at, word);
	const char *equals = strchr(word, '=');
	size_t length = equals ? (size_t)(equals - word) - 2 : strlen(word) - 2;
	const struct option_spec *option = NULL;
	if (at->out->command)
		option = option_find(at->out->command->options, word + 2, length);
	if (option)
		return put_option(at, option, equals);
	option = option_find(global_options, word + 2, length);
	if (option)
		return global_option(at, option, equals);
	return wrong_usage(at, "unknown option '%.40s'", word);
}

/* Takes options until a word that is none; *word is NULL at the end. */
static int next_word(struct cursor *at, const char **word)
{
	while (*at->next && **at->next == '-' && !at->words_only) {
		int error = any_option(at);
		if (error)
			return error;
	}
	*word = *at->next;
	if (*word)
		at->next++;
	return 0;
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
			return 0;
		}
		size_t used = strlen(names);
		snprintf(names + used, sizeof(names) - used, "%s%s", used ? ", " : "", commands->name);
	}
	if (!word)
		return wrong_usage(at, "%s wants a command: %s", at->out->object, names);
	return wrong_usage(at, "unknown command '%.40s' after %s (%s)", word, at->out->object, names);
}

static bool is_given(const struct cursor *at, const char *option)
{
	char key[KEY_SIZE];
	key_of(option, key);
	return json_object_get(at->out->params, key);
}

static int check_complete(const struct cursor *at)
{
	const struct command *command = at->out->command;
	const char *const *either = command->either;
	if (command->takes_name && !is_given(at, "name"))
		return wrong_usage(at, "NAME is missing");
	for (size_t i = 0; i < sizeof(command->required) / sizeof(command->required[0]); i++)
		if (command->required[i] && !is_given(at, command->required[i]))
			return wrong_usage(at, "--%s is missing", command->required[i]);
	if (either[0] && !is_given(at, either[0]) && !is_given(at, either[1]))
		return wrong_usage(at, "--%s or --%s is missing", either[0], either[1]);
	if (either[0] && is_given(at, either[0]) && is_given(at, either[1]))
		return wrong_usage(at, "--%s and --%s exclude each other", either[0], either[1]);
	return 0;
}

static int parse_arguments(struct cursor *at)
{
	const struct command *command = at->out->command;
	at->out->params = json_object();
	for (;;) {
		const char *word;
		int error = next_word(at, &word);
		if (error)
			return error;
		if (!word)
			break;
		if (!command->takes_name || is_given(at, "name"))
			return wrong_usage(at, "unexpected argument '%.40s'", word);
		error = put_text(at, "NAME", "name", word);
		if (error)
			return error;
	}
	return at->out->help ? 0 : check_complete(at);
}

static int parse(struct cursor *at, const struct command *const *objects)
{
	const char *word;
	int error = next_word(at, &word);
	if (error)
		return error;
	if (!word && (at->out->help || at->out->version))
		return 0;
	if (!word)
		return wrong_usage(at, "no object given");
	const struct command *commands = find_object(objects, word);
	if (!commands)
		return wrong_usage(at, "unknown object '%.40s'", word);
	at->out->object = commands->object;
	if (!commands->name) {
		at->out->command = commands;
		return parse_arguments(at);
	}
	error = next_word(at, &word);
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
	struct cursor at = {.next = argv, .out = out, .why = why};
	int error = parse(&at, objects);
	if (error) {
		json_decref(out->params);
		out->params = NULL;
	}
	return error;
}

static void help_options(const struct option_spec *options, FILE *out)
{
	for (; options && options->name; options++) {
		char left[64];
		snprintf(left, sizeof(left), "--%s%s%s", options->name, options->value ? " " : "",
			 options->value ? options->value : "");
		fprintf(out, "  %-26s %s%s\n", left, options->help,
			options->kind == OPTION_LIST ? "; may be given again" : "");
	}
}

static void help_usage(const struct command *command, FILE *out)
{
	fprintf(out, "usage: podswitchctl [-s SOCKET] [-j] %s", command->object);
	if (command->name)
		fprintf(out, " %s", command->name);
	if (command->takes_name)
		fputs(" NAME", out);
	for (const char *const *required = command->required; *required; required++) {
		const struct option_spec *option = option_find(command->options, *required, strlen(*required));
		fprintf(out, " --%s %s", option->name, option->value);
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
	help_options(command->options, out);
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
	fputs("\nOptions; -s, -j, -h and -V are short for them:\n", out);
	help_options(global_options, out);
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
