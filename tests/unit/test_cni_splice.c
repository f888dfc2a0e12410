/* SPDX-License-Identifier: Apache-2.0 */
/* test_cni_splice.c - what is put into a JSON text and taken out again leaves the rest as it was */
#include "control/cni/splice.c"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

static void expect_span(const char *text, bool found, struct span span, const char *expected)
{
	assert_int_equal(found, expected != NULL);
	if (!expected)
		return;
	assert_int_equal(span.end - span.start, strlen(expected));
	assert_memory_equal(text + span.start, expected, strlen(expected));
}

static void test_members(void **state)
{
	static const char text[] = "\n {\"a\" : 1.50 ,\"b\\\"\":{\"a\":2}, \"c\":[ {\"a\":\"]}\\\\\"} , [] ],\n"
				   "\"d\":\"x\\\"y\",\"e\":true,\"a\":{ }}\t";
	struct span object = span_value(text), span = {0};

	(void)state;
	expect_span(text, span_member(text, object, "a", &span), span, "{ }");
	expect_span(text, span_member(text, object, "c", &span), span, "[ {\"a\":\"]}\\\\\"} , [] ]");
	struct span array = span;
	expect_span(text, span_element(text, array, 0, &span), span, "{\"a\":\"]}\\\\\"}");
	expect_span(text, span_element(text, array, 1, &span), span, "[]");
	expect_span(text, span_element(text, array, 2, &span), span, NULL);
	expect_span(text, span_member(text, array, "a", &span), span, NULL);
	expect_span(text, span_element(text, object, 0, &span), span, NULL);
	expect_span(text, span_member(text, object, "d", &span), span, "\"x\\\"y\"");
	expect_span(text, span_member(text, object, "e", &span), span, "true");
	expect_span(text, span_member(text, object, "b", &span), span, NULL);
	expect_span(text, span_member(text, object, "", &span), span, NULL);
}

static const struct {
	const char *before, *after;
} appended[] = {
	{"[]", "[7]"},
	{"[ ]", "[7 ]"},
	{"[1]", "[1,7]"},
	{"[1, 2]", "[1, 2, 7]"},
	{"[\n\t{ },\n\t[1, 2]\n]\n", "[\n\t{ },\n\t[1, 2],\n\t7\n]\n"},
	{"[ \"]\" ]", "[ \"]\", 7 ]"},
	{" [1 ,2 ] ", " [1 ,2,7 ] "},
};

static void test_append(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(appended) / sizeof(*appended); i++) {
		json_t *before = json_loads(appended[i].before, 0, NULL);
		char *after = splice_append(appended[i].before, span_value(appended[i].before), "7");
		assert_string_equal(after, appended[i].after);
		char *again = splice_remove(after, span_value(after), json_array_size(before));
		assert_string_equal(again, appended[i].before);
		free(after);
		free(again);
		json_decref(before);
	}
}

static void test_remove(void **state)
{
	static const char text[] = "[ 1, 2,\n3 ]";
	static const char *const expected[] = {"[ 2,\n3 ]", "[ 1,\n3 ]", "[ 1, 2 ]"};

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		char *after = splice_remove(text, span_value(text), i);
		assert_string_equal(after, expected[i]);
		free(after);
	}
	assert_null(splice_remove(text, span_value(text), 3));
	assert_null(splice_remove("{}", span_value("{}"), 0));
	assert_null(splice_append("{}", span_value("{}"), "7"));
	assert_null(splice_append("5", span_value("5"), "7"));
	char *after = splice_replace("{\"a\": 1 }", (struct span){6, 7}, "[2]");
	assert_string_equal(after, "{\"a\": [2] }");
	free(after);
}

/* A text that is cut anywhere is not JSON, but must not lead us beyond its end (seen by AddressSanitizer). */
static void test_cut(void **state)
{
	static const char whole[] = "{\"plugins\": [ {\"a\\\"\": \"\\u0041\\\\\"}, [1, 2.5e3], \"x\" ], \"b\": [ ] }";

	(void)state;
	for (size_t length = 0; length <= strlen(whole); length++) {
		char *text = strndup(whole, length);
		struct span object = span_value(text), list = {0}, element;
		assert_in_range(object.end, object.start, length);
		if (length && span_member(text, object, "plugins", &list)) {
			assert_in_range(list.end, list.start, length);
			for (size_t i = 0; span_element(text, list, i, &element); i++)
				assert_in_range(element.end, element.start, length);
			free(splice_append(text, list, "7"));
			free(splice_remove(text, list, 0));
			free(splice_remove(text, list, 1));
		}
		free(text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_members),
		cmocka_unit_test(test_append),
		cmocka_unit_test(test_remove),
		cmocka_unit_test(test_cut),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
