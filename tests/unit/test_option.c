/* SPDX-License-Identifier: Apache-2.0 */
/* test_option.c - one table of settings read from a command line, the environment and JSON, and printed as help */
#include "control/base/option.c"

#include <setjmp.h>

#include <cmocka.h>
#undef fail /* cmocka has a macro of the name of our function */

enum { ONE = 1, TWO = 2 };
enum colour { RED, GREEN };

struct things {
	const char *text, *word;
	char string[4];
	unsigned number;
	uint16_t small;
	bool on, flag, second;
	enum colour colour;
	unsigned mode, some;
	char list[8];
	size_t n_list;
	char id[8];
};

static struct things things;
static struct failure why;

static int parse_element(const char *label, const char *text, void *into, struct failure *failure)
{
	struct things *all = into;
	if (!text) {
		all->n_list = 0;
		return 0;
	}
	if (strlen(text) != 1)
		return option_refuse(label, text, "a letter", failure);
	all->list[all->n_list++] = *text;
	return 0;
}

static int parse_id(const char *label, const char *text, void *into, struct failure *failure)
{
	(void)label;
	(void)failure;
	snprintf(into, 8, "%s", text);
	return 0;
}

static int parse_any(const char *key, const json_t *value, void *into, struct failure *failure)
{
	(void)key;
	(void)failure;
	*(unsigned *)into = (unsigned)json_array_size(value);
	return 0;
}

static const char *const modes[] = {"auto", "on", "off", NULL};
static const char *const colours[] = {"red", "green", NULL}, *const words[] = {"yes", "", NULL};

#define OPTIONS struct things
static const struct option_spec table[] = {
	OPTION_TEXT("some-text", 't', "TEXT", text, "a text (none)"),
	OPTION_STRING("string", 0, "STRING", string, "a string", .required = "a string"),
	OPTION_NUMBER("number", 'n', "N", number, 3, 9, "a number", .or_zero = true),
	OPTION_NUMBER("small", 0, "N", small, 1, 65535, "a small one"),
	OPTION_NUMBER("many", 0, "N|auto", some, 1, 16, "as many", .or_auto = true),
	OPTION_SWITCH("on", on, "a switch"),
	OPTION_FLAG("flag", 'f', flag, "a flag"),
	OPTION_FLAG("second", 's', second, "of the second command", .commands = TWO),
	OPTION_CHOICE("colour", 0, "red|green", colour, colours, "a colour"),
	OPTION_CHOICE("mode", 0, "auto|on|off", mode, modes, "a switch that was given a third word"),
	OPTION_PARSED("list", 0, "LETTER", OPTION_LIST, 3, parse_element, "letters"),
	OPTION_PARSED("id", 0, "ID", OPTION_ID, 0, parse_id, "an id", OPTION_AT(id)),
	OPTION_WORD("word", word, words),
	OPTION_JSON("any", parse_any, OPTION_AT(number), .line_only = false),
	OPTION_TEXT("name", 0, "NAME", text, "a word by itself", .positional = true, .line_only = true),
	{0},
};
#undef OPTIONS

#define LINE(...) read_line((char *[]){__VA_ARGS__, NULL}, 0)

static int read_line(char **line_words, unsigned commands)
{
	struct option_line line = {.next = line_words, .program = "thing do"};
	why = (struct failure){0};
	return option_read_line(table, commands, &line, &things, &why);
}

static int read_json(const char *text, bool complete)
{
	json_t *object = json_loads(text, 0, NULL);
	assert_non_null(object);
	why = (struct failure){0};
	int error = option_read_json(table, object, complete, &things, &why);
	json_decref(object);
	return error;
}

static void assert_says(int error, const char *text)
{
	assert_int_equal(error, -EINVAL);
	assert_string_equal(why.text, text);
}

static int set_up(void **state)
{
	(void)state;
	things = (struct things){0};
	return clearenv();
}

static void command_line(void **state)
{
	(void)state;
	assert_int_equal(LINE("--some-text=a=b", "--string", "abc", "-n3", "--small", "65535", "--on", "on", "-f",
			      "--colour=green", "--list", "a,b", "--list=c", "--id", "-1", "--"),
			 0);
	assert_string_equal(things.text, "a=b");
	assert_string_equal(things.string, "abc");
	assert_int_equal(things.number, 3);
	assert_int_equal(things.small, 65535);
	assert_true(things.on && things.flag && !things.second);
	things.some = 7;
	assert_int_equal(LINE("--many", "auto", "--string", "abc"), 0);
	assert_int_equal(things.some, 0);
	assert_int_equal(LINE("--many", "16", "--string", "abc"), 0);
	assert_int_equal(things.some, 16);
	assert_says(LINE("--many", "all"), "--many: 'all' is not a whole number from 1 to 16, nor auto");
	assert_int_equal(LINE("--many", "0"), -EINVAL);
	assert_int_equal(read_json("{\"string\":\"a\",\"many\":\"auto\"}", true), 0);
	assert_int_equal(things.some, 0);
	assert_says(read_json("{\"string\":\"a\",\"many\":true}", true),
		    "many: must be a whole number from 1 to 16, or auto");
	assert_int_equal(things.colour, GREEN);
	assert_memory_equal(things.list, "abc", 3);
	assert_string_equal(things.id, "-1");
	/* The first value of a list that is given replaces what it had; "" is no text. */
	assert_int_equal(LINE("--list", "d", "-t", "", "--number", "0"), 0);
	assert_int_equal(things.n_list, 1);
	assert_null(things.text);
	assert_int_equal(things.number, 0);
}

static void wrong_usage(void **state)
{
	(void)state;
	assert_says(LINE("--nosuch"), "unknown option '--nosuch'; see thing do --help");
	assert_says(LINE("--some"), "unknown option '--some'; see thing do --help");
	assert_says(LINE("--name", "x"), "unknown option '--name'; see thing do --help");
	assert_says(LINE("-x"), "unknown option '-x'; see thing do --help");
	assert_says(LINE("-"), "unknown option '-'; see thing do --help");
	assert_says(LINE("-fx"), "unknown option '-fx'; see thing do --help");
	assert_says(LINE("word"), "unexpected argument 'word'; see thing do --help");
	assert_says(LINE("--", "-f"), "unexpected argument '-f'; see thing do --help");
	assert_says(LINE("--flag=1"), "--flag takes no value; see thing do --help");
	assert_says(LINE("--string"), "--string wants STRING; see thing do --help");
	assert_says(LINE("-n"), "-n wants N; see thing do --help");
	assert_says(LINE("--string", "--flag"), "--string wants STRING, but '--flag' follows; see thing do --help");
	assert_says(LINE("--string", "abcd"), "--string: must have 1 to 3 characters");
	assert_says(LINE("--string="), "--string: must have 1 to 3 characters");
	assert_says(LINE("--number", "2"), "--number: 2 is out of range; give 3 to 9, or 0 for the default");
	assert_says(LINE("--small", "65536"), "--small: 65536 is out of range; give 1 to 65535");
	assert_says(LINE("--small", "-1"), "--small: '-1' is not a whole number from 1 to 65535");
	assert_says(LINE("--small", "99999999999999999999"),
		    "--small: '99999999999999999999' is not a whole number from 1 to 65535");
	assert_says(LINE("--on", "yes"), "--on: 'yes' is not on or off");
	assert_says(LINE("--colour", "blue"), "--colour: 'blue' is not known; give one of red, green");
	assert_says(LINE("--list", "a,bc"), "--list: 'bc' is not a letter");
	assert_says(LINE("--list", "a,b", "--list", "c,d"), "--list: give at most 3");
}

static void commands(void **state)
{
	(void)state;
	assert_int_equal(read_line((char *[]){"--second", "--flag", NULL}, TWO), 0);
	assert_true(things.second);
	assert_says(read_line((char *[]){"--second", NULL}, ONE), "unknown option '--second'; see thing do --help");
}

static void environment(void **state)
{
	(void)state;
	setenv("PODSWITCH_SOME_TEXT", "x", 1);
	setenv("PODSWITCH_STRING", "", 1); /* as if not set */
	setenv("PODSWITCH_FLAG", "on", 1); /* a flag is for the command line */
	setenv("PODSWITCH_LIST", "a \n b", 1);
	assert_int_equal(option_read_environment(table, &things, &why), 0);
	assert_string_equal(things.text, "x");
	assert_false(things.flag);
	assert_int_equal(things.n_list, 2);
	setenv("PODSWITCH_NUMBER", "ten", 1);
	assert_says(option_read_environment(table, &things, &why),
		    "PODSWITCH_NUMBER: 'ten' is not a whole number from 3 to 9");
}

static void json(void **state)
{
	(void)state;
	assert_int_equal(read_json("{\"string\":\"abc\",\"number\":9,\"small\":1,\"on\":true,\"flag\":\"on\","
				   "\"colour\":\"green\",\"list\":[\"a\",\"b\"],\"id\":7,\"word\":\"\"}",
				   true),
			 0);
	assert_string_equal(things.string, "abc");
	assert_true(things.on && things.flag);
	assert_int_equal(things.colour, GREEN);
	assert_int_equal(things.n_list, 2);
	assert_string_equal(things.id, "7");
	assert_null(things.word);
	assert_int_equal(read_json("{\"list\":\"none\",\"word\":\"yes\",\"any\":[1,2,3]}", false), 0);
	assert_int_equal(things.n_list, 0);
	assert_int_equal(things.number, 3);
	assert_string_equal(things.word, "yes");
	static const char *const texts[] = {"\"auto\"", "\"on\"", "\"off\"", "true", "false"};
	for (unsigned i = 0; i < 5; i++) {
		char object[40];
		snprintf(object, sizeof(object), "{\"mode\":%s}", texts[i]);
		assert_int_equal(read_json(object, false), 0);
		assert_int_equal(things.mode, i < 3 ? i : i - 2);
	}
}

static void json_refused(void **state)
{
	static const struct {
		const char *text, *key, *says;
	} cases[] = {
		{"{}", "string", "string: missing; give a string"},
		{"{\"string\":1}", "string", "string: must be a string"},
		{"{\"string\":null}", "string", "string: must be a string"},
		{"{\"string\":\"a\",\"number\":\"3\"}", "number", "number: must be a whole number from 3 to 9"},
		{"{\"string\":\"a\",\"number\":4.0}", "number", "number: must be a whole number from 3 to 9"},
		{"{\"string\":\"a\",\"number\":10}", "number",
		 "number: 10 is out of range; give 3 to 9, or 0 for the default"},
		{"{\"string\":\"a\",\"on\":1}", "on", "on: give on or off"},
		{"{\"string\":\"a\",\"colour\":0}", "colour", "colour: must be one of the words red, green"},
		{"{\"string\":\"a\",\"id\":true}", "id", "id: give a text or a whole number"},
		{"{\"string\":\"a\",\"list\":{}}", "list", "list: must be an array of strings, or one string"},
		{"{\"string\":\"a\",\"list\":[1]}", "list", "list: every element must be a string"},
		{"{\"string\":\"a\",\"list\":[\"a\",\"b\",\"c\",\"d\"]}", "list",
		 "list: 4 are too many; give at most 3"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_says(read_json(cases[i].text, true), cases[i].says);
		assert_string_equal(why.key, cases[i].key);
	}
	assert_int_equal(read_json("{\"string\":\"a\",\"name\":\"x\"}", true), -EINVAL);
	assert_string_equal(why.key, "name");
	assert_non_null(strstr(why.text, "name: no such key here; known: some_text, string, number"));
}

static void help(void **state)
{
	char *text = NULL;
	size_t size;

	(void)state;
	FILE *out = open_memstream(&text, &size);
	option_help(table, TWO, 20, out);
	fclose(out);
	assert_string_equal(text, "  -s, --second         of the second command\n");
	free(text);
	out = open_memstream(&text, &size);
	option_help(table + 10, 0, 16, out);
	fclose(out);
	assert_int_equal(strncmp(text, "  --list LETTER    letters; may be given again\n", 47), 0);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(command_line, set_up), cmocka_unit_test_setup(wrong_usage, set_up),
		cmocka_unit_test_setup(commands, set_up),     cmocka_unit_test_setup(environment, set_up),
		cmocka_unit_test_setup(json, set_up),         cmocka_unit_test_setup(json_refused, set_up),
		cmocka_unit_test_setup(help, set_up),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
