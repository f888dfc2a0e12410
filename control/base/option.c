/* SPDX-License-Identifier: Apache-2.0 */
/* option.c - settings described once, by a table */
#include "control/base/option.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define LABEL (OPTION_KEY + sizeof("PODSWITCH_")) /* the longest spelling */
#define SEPARATORS ", \t\n"                       /* of a list in one text */
#define ELEMENT 128                               /* bytes of an element of such a list */

static bool takes_value(const struct option_spec *option)
{
	return option->kind != OPTION_FLAG;
}

const char *option_key(const char *name, char out[static OPTION_KEY])
{
	snprintf(out, OPTION_KEY, "%s", name);
	for (char *c = out; *c; c++)
		if (*c == '-')
			*c = '_';
	return out;
}

int option_refuse(const char *label, const char *text, const char *what, struct failure *why)
{
	return fail(why, -EINVAL, label, "%s: '%.64s' is not %s", label, text, what);
}

int option_parse_network(const char *label, const char *text, struct prefix *out, struct failure *why)
{
	if (strchr(text, '/') && !prefix_parse(text, out) && out->length)
		return 0;
	return option_refuse(label, text, "a network; give ADDRESS/LENGTH, as 10.244.0.0/16", why);
}

/* ---- from a text ---- */

static int set_integer(const struct option_spec *option, const char *label, long long number, void *into,
		       struct failure *why)
{
	bool zero = option->or_zero && !number;
	if (!zero && (number < option->least || number > option->most))
		return fail(why, -EINVAL, label, "%s: %lld is out of range; give %u to %u%s", label, number,
			    option->least, option->most, option->or_zero ? ", or 0 for the default" : "");
	if (option->size == sizeof(uint16_t))
		*(uint16_t *)into = (uint16_t)number;
	else
		*(unsigned *)into = (unsigned)number;
	return 0;
}

/* False: the text is not the word, or the option has none. */
static bool set_auto(const struct option_spec *option, const char *text, unsigned *into)
{
	if (!option->or_auto || !text || strcmp(text, "auto") != 0)
		return false;
	*into = 0;
	return true;
}

static int set_number(const struct option_spec *option, const char *label, const char *text, void *into,
		      struct failure *why)
{
	size_t digits = strspn(text, "0123456789");
	if (set_auto(option, text, into))
		return 0;
	if (!digits || digits > 18 || text[digits])
		return fail(why, -EINVAL, label, "%s: '%.40s' is not a whole number from %u to %u%s", label, text,
			    option->least, option->most, option->or_auto ? ", nor auto" : "");
	return set_integer(option, label, strtoll(text, NULL, 10), into, why);
}

static int set_string(const struct option_spec *option, const char *label, const char *text, char *into,
		      struct failure *why)
{
	size_t length = strlen(text);
	if (!length || length >= option->size)
		return fail(why, -EINVAL, label, "%s: must have 1 to %zu characters", label, option->size - 1);
	memcpy(into, text, length + 1);
	return 0;
}

static int set_switch(const char *label, const char *text, bool *into, struct failure *why)
{
	bool on = !strcmp(text, "on");
	if (!on && strcmp(text, "off") != 0)
		return option_refuse(label, text, "on or off", why);
	*into = on;
	return 0;
}

static void store_choice(const struct option_spec *option, unsigned index, void *into)
{
	const char *word = option->words[index];
	if (option->kind == OPTION_WORD)
		*(const char **)into = *word ? word : NULL;
	else if (option->size == sizeof(bool))
		*(bool *)into = index;
	else
		*(unsigned *)into = index;
}

/* `text` may be NULL: not a word at all. */
static int set_choice(const struct option_spec *option, const char *label, const char *text, void *into,
		      struct failure *why)
{
	char known[128] = "";
	size_t used = 0;
	for (unsigned i = 0; option->words[i] && used < sizeof(known); i++) {
		if (text && !strcmp(text, option->words[i])) {
			store_choice(option, i, into);
			return 0;
		}
		used += (size_t)snprintf(known + used, sizeof(known) - used, "%s%s", i ? ", " : "", option->words[i]);
	}
	if (!text)
		return fail(why, -EINVAL, label, "%s: must be one of the words %s", label, known);
	return fail(why, -EINVAL, label, "%s: '%.64s' is not known; give one of %s", label, text, known);
}

/* Adds the elements of one text. `n` counts those of the whole list. */
static int set_list(const struct option_spec *option, const char *label, const char *text, void *into, size_t *n,
		    struct failure *why)
{
	for (text += strspn(text, SEPARATORS); *text; text += strspn(text, SEPARATORS)) {
		char element[ELEMENT];
		int length = (int)strcspn(text, SEPARATORS);
		snprintf(element, sizeof(element), "%.*s", length, text);
		if (++*n > option->most)
			return fail(why, -EINVAL, label, "%s: give at most %u", label, option->most);
		int error = option->parse(label, element, into, why);
		if (error)
			return error;
		text += length;
	}
	return 0;
}

/* Stores a text of the command line or the environment; of a list, after emptying it when *n is 0. */
static int store_text(const struct option_spec *option, const char *label, const char *text, void *settings, size_t *n,
		      struct failure *why)
{
	void *into = (char *)settings + option->into;
	switch (option->kind) {
	case OPTION_TEXT:
		*(const char **)into = *text ? text : NULL;
		return 0;
	case OPTION_STRING:
		return set_string(option, label, text, into, why);
	case OPTION_NUMBER:
		return set_number(option, label, text, into, why);
	case OPTION_SWITCH:
		return set_switch(label, text, into, why);
	case OPTION_FLAG:
		*(bool *)into = true;
		return 0;
	case OPTION_CHOICE:
	case OPTION_WORD:
		return set_choice(option, label, text, into, why);
	case OPTION_JSON:
		break;
	case OPTION_VALUE:
	case OPTION_ID:
		return option->parse(label, text, into, why);
	case OPTION_LIST:
		if (!*n)
			option->parse(label, NULL, into, NULL);
		return set_list(option, label, text, into, n, why);
	}
	return 0;
}

/* ---- the command line ---- */

int option_wrong_usage(const struct option_line *line, struct failure *why, const char *format, ...)
{
	char text[160];
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	return fail(why, -EINVAL, NULL, "%s; see %s --help", text, line->program);
}

/* The option that `word` names: "--NAME", "--NAME=...", "-L", "-L..." */
static const struct option_spec *find_option(const struct option_spec *table, unsigned commands, const char *word)
{
	size_t length = strcspn(word + 2, "=");
	for (const struct option_spec *option = table; option && option->name; option++) {
		if (option->positional || (commands && option->commands && !(option->commands & commands)))
			continue;
		if (word[1] == '-' ? strlen(option->name) == length && !strncmp(option->name, word + 2, length)
				   : option->letter && option->letter == word[1])
			return option;
	}
	return NULL;
}

static int take_value(struct option_line *line, const char *word, const struct option_spec *option, const char **value,
		      struct failure *why)
{
	const char *attached = word[1] != '-' ? (word[2] ? word + 2 : NULL) : strchr(word, '=');
	int length = word[1] == '-' ? (int)strcspn(word, "=") : 2;
	if (attached && !takes_value(option))
		return word[1] == '-' ? option_wrong_usage(line, why, "%.*s takes no value", length, word)
				      : option_wrong_usage(line, why, "unknown option '%.40s'", word);
	*value = attached ? attached + (word[1] == '-') : NULL;
	if (attached || !takes_value(option))
		return 1;
	const char *next = *line->next;
	if (!next)
		return option_wrong_usage(line, why, "%.40s wants %s", word, option->argument);
	if (!strncmp(next, "--", 2))
		return option_wrong_usage(line, why, "%.40s wants %s, but '%.40s' follows", word, option->argument,
					  next);
	*value = next;
	line->next++;
	return 1;
}

int option_next(struct option_line *line, const struct option_spec *const tables[2], unsigned commands,
		const struct option_spec **option, const char **value, struct failure *why)
{
	if (*line->next && !line->words_only && !strcmp(*line->next, "--")) {
		line->words_only = true;
		line->next++;
	}
	const char *word = *value = *line->next;
	if (!word)
		return 0;
	line->next++;
	if (line->words_only || *word != '-')
		return 0;
	for (int i = 0; word[1] && i < 2; i++) {
		*option = find_option(tables[i], commands, word);
		if (*option)
			return take_value(line, word, *option, value, why);
	}
	return option_wrong_usage(line, why, "unknown option '%.40s'", word);
}

int option_read_line(const struct option_spec *table, unsigned commands, struct option_line *line, void *into,
		     struct failure *why)
{
	const struct option_spec *const tables[2] = {table, NULL}, *option = NULL;
	size_t counts[64] = {0};
	const char *value;
	for (;;) {
		char label[LABEL];
		int got = option_next(line, tables, commands, &option, &value, why);
		if (!got && value)
			return option_wrong_usage(line, why, "unexpected argument '%.40s'", value);
		if (got <= 0 || !option)
			return got;
		snprintf(label, sizeof(label), "--%s", option->name);
		int error = store_text(option, label, value, into, &counts[option - table], why);
		if (error)
			return error;
	}
}

/* ---- the environment ---- */

int option_read_environment(const struct option_spec *table, void *into, struct failure *why)
{
	for (; table->name; table++) {
		char name[LABEL] = "PODSWITCH_";
		size_t used = strlen(name), n = 0;
		for (const char *c = table->name; *c; c++)
			name[used++] = (char)(*c == '-' ? '_' : toupper((unsigned char)*c));
		name[used] = '\0';
		const char *value = takes_value(table) ? getenv(name) : NULL;
		int error = value && *value ? store_text(table, name, value, into, &n, why) : 0;
		if (error)
			return error;
	}
	return 0;
}

/* ---- JSON ---- */

static int store_list(const struct option_spec *option, const char *key, const json_t *value, void *into,
		      struct failure *why)
{
	size_t count = json_array_size(value);
	int error = option->parse(key, NULL, into, NULL);
	if (json_is_string(value) && strcmp(json_string_value(value), "none") != 0)
		return option->parse(key, json_string_value(value), into, why);
	if (!json_is_array(value) && !json_is_string(value))
		return fail(why, -EINVAL, key, "%s: must be an array of strings, or one string", key);
	if (count > option->most)
		return fail(why, -EINVAL, key, "%s: %zu are too many; give at most %u", key, count, option->most);
	for (size_t i = 0; i < count && !error; i++) {
		const char *text = json_string_value(json_array_get(value, i));
		error = text ? option->parse(key, text, into, why)
			     : fail(why, -EINVAL, key, "%s: every element must be a string", key);
	}
	return error;
}

static int store_id(const struct option_spec *option, const char *key, const json_t *value, void *into,
		    struct failure *why)
{
	char digits[24];
	if (json_is_string(value))
		return option->parse(key, json_string_value(value), into, why);
	if (!json_is_integer(value))
		return fail(why, -EINVAL, key, "%s: give %s", key,
			    option->required ? option->required : "a text or a whole number");
	snprintf(digits, sizeof(digits), "%" JSON_INTEGER_FORMAT, json_integer_value(value));
	return option->parse(key, digits, into, why);
}

static int store_json(const struct option_spec *option, const char *key, const json_t *value, void *settings,
		      struct failure *why)
{
	void *into = (char *)settings + option->into;
	size_t n = 0;
	if (option->kind == OPTION_JSON)
		return option->parse_json(key, value, into, why);
	if (option->kind == OPTION_LIST)
		return store_list(option, key, value, into, why);
	if (option->kind == OPTION_ID)
		return store_id(option, key, value, into, why);
	if (option->kind == OPTION_NUMBER && json_is_integer(value))
		return set_integer(option, key, json_integer_value(value), into, why);
	if (option->kind == OPTION_NUMBER && set_auto(option, json_string_value(value), into))
		return 0;
	if (option->kind == OPTION_NUMBER)
		return fail(why, -EINVAL, key, "%s: must be a whole number from %u to %u%s", key, option->least,
			    option->most, option->or_auto ? ", or auto" : "");
	if (option->kind == OPTION_SWITCH || option->kind == OPTION_FLAG) {
		if (json_is_string(value))
			return set_switch(key, json_string_value(value), into, why);
		if (!json_is_boolean(value))
			return fail(why, -EINVAL, key, "%s: give on or off", key);
		*(bool *)into = json_is_true(value);
		return 0;
	}
	const char *text = json_string_value(value);
	/* As for a switch, which some choices have been. */
	if (option->kind == OPTION_CHOICE && json_is_boolean(value))
		text = json_is_true(value) ? "on" : "off";
	if (option->kind == OPTION_CHOICE || option->kind == OPTION_WORD)
		return set_choice(option, key, text, into, why);
	if (!text || strlen(text) != json_string_length(value))
		return fail(why, -EINVAL, key, "%s: must be a string", key);
	return store_text(option, key, text, settings, &n, why);
}

bool option_knows_key(const struct option_spec *table, const char *key)
{
	char own[OPTION_KEY];
	for (; table->name; table++)
		if (!table->line_only && !strcmp(option_key(table->name, own), key))
			return true;
	return false;
}

static int refuse_key(const struct option_spec *table, const char *key, struct failure *why)
{
	char known[192] = "none", own[OPTION_KEY];
	size_t used = 0;
	for (; table->name && used < sizeof(known); table++) {
		if (table->line_only)
			continue;
		used += (size_t)snprintf(known + used, sizeof(known) - used, "%s%s", used ? ", " : "",
					 option_key(table->name, own));
	}
	return fail(why, -EINVAL, key, "%.32s: no such key here; known: %s", key, known);
}

int option_read_json(const struct option_spec *table, const json_t *object, bool complete, void *into,
		     struct failure *why)
{
	const char *given;
	json_t *value;
	json_object_foreach((json_t *)object, given, value)
	{
		if (!option_knows_key(table, given))
			return refuse_key(table, given, why);
	}
	for (; table->name; table++) {
		char key[OPTION_KEY];
		value = json_object_get(object, option_key(table->name, key));
		if (!value && complete && table->required)
			return fail(why, -EINVAL, key, "%s: missing; give %s", key, table->required);
		int error = value ? store_json(table, key, value, into, why) : 0;
		if (error)
			return error;
	}
	return 0;
}

/* ---- help ---- */

void option_help(const struct option_spec *table, unsigned commands, int width, FILE *out)
{
	bool letters = false;
	for (const struct option_spec *option = table; option && option->name; option++)
		letters = letters || option->letter;
	for (; table && table->name; table++) {
		char left[80], letter[8] = "    ";
		if (table->positional || !table->help || (commands && table->commands != commands))
			continue;
		if (table->letter)
			snprintf(letter, sizeof(letter), "-%c, ", table->letter);
		snprintf(left, sizeof(left), "%s--%s%s%s", letters ? letter : "", table->name,
			 table->argument ? " " : "", table->argument ? table->argument : "");
		fprintf(out, "  %-*s %s%s\n", width, left, table->help,
			table->kind == OPTION_LIST ? "; may be given again" : "");
	}
}
