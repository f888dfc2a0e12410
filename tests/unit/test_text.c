/* SPDX-License-Identifier: Apache-2.0 */
/* test_text.c - foreign text and JSON, made fit for lines and answers of ours */
#include "control/base/json.c"
#include "tap/base/text.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void test_lines(void **state)
{
	char line[] = "a\tb\x7f\xc3\xa4\n\x1b[2J", ascii[] = "a\tb\x7f\xc3\xa4\n~";

	(void)state;
	text_to_line(line, ' ');
	assert_string_equal(line, "a b \xc3\xa4  [2J");
	text_to_ascii(ascii);
	assert_string_equal(ascii, "a?b????~");
}

static void test_blank(void **state)
{
	(void)state;
	assert_true(text_is_blank("", 0));
	assert_true(text_is_blank(" \t\r", 3));
	assert_true(text_is_blank(" x", 1));
	assert_false(text_is_blank(" x", 2));
	assert_false(text_is_blank("\0", 1));
	assert_false(text_is_blank("\n", 1));
}

static void test_ends(void **state)
{
	(void)state;
	assert_true(text_ends_with("a.json", ".json"));
	assert_false(text_ends_with(".json", ".json"));
	assert_false(text_ends_with("a.jso", ".json"));
	assert_false(text_ends_with("", ".json"));
}

static void test_members(void **state)
{
	json_t *object = json_pack("{s:s, s:i, s:n}", "text", "x", "number", 7, "null");

	(void)state;
	assert_string_equal(json_text(object, "text"), "x");
	assert_string_equal(json_text(object, "number"), "");
	assert_string_equal(json_text(object, "null"), "");
	assert_string_equal(json_text(object, "missing"), "");
	assert_string_equal(json_text(json_object_get(object, "text"), "text"), "");
	assert_string_equal(json_text(NULL, "text"), "");
	json_decref(object);
}

static void expect_plain(const char *text, const char *expected)
{
	json_t *string = json_plain_string(text);

	assert_string_equal(json_string_value(string), expected);
	json_decref(string);
}

static void test_plain_strings(void **state)
{
	char text[1000];

	(void)state;
	expect_plain("", "");
	expect_plain("l\xc3\xa4nger", "l\xc3\xa4nger");
	expect_plain("l\xc3\xa4nger, cut \xc3", "l??nger, cut ?");
	expect_plain("l\xc3\xa4nger\n", "l??nger?");
	memset(text, 'x', sizeof(text));
	text[639] = '\0';
	expect_plain(text, text);
}

static void test_counts(void **state)
{
	static const struct {
		const char *text;
		size_t most;
	} cases[] = {
		{"", 1},         {"[1,2,3]", 4}, {"{\"a\":{},\"b\":[]}", 5}, {"\"a,b,[\"", 1}, {"\"\\\",\",1", 2},
		{"[[[[[[[[", 9}, {"\"\\", 1},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		size_t length = strlen(cases[i].text);
		assert_false(json_exceeds(cases[i].text, length, cases[i].most));
		assert_true(json_exceeds(cases[i].text, length, cases[i].most - 1));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lines),   cmocka_unit_test(test_blank),         cmocka_unit_test(test_ends),
		cmocka_unit_test(test_members), cmocka_unit_test(test_plain_strings), cmocka_unit_test(test_counts),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
