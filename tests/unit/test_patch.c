/* SPDX-License-Identifier: Apache-2.0 */
/* test_patch.c - the patch that makes one document another: by hand, and any two documents */
#include "control/webhook/patch.c"

#include "tests/unit/json_patch.h"
#include "tests/unit/quotes.h"

#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const struct {
	const char *from, *to, *patch;
} examples[] = {
	{"{}", "{}", "[]"},
	{"{'a':1}", "{'a':1}", "[]"},
	{"{}", "{'a':{'b':[]}}", "[{'op':'add','path':'/a','value':{'b':[]}}]"},
	{"{'a':1}", "{}", "[{'op':'remove','path':'/a'}]"},
	{"{'a':1}", "{'a':2}", "[{'op':'replace','path':'/a','value':2}]"},
	{"{'a':null}", "{'a':[]}", "[{'op':'replace','path':'/a','value':[]}]"},
	{"{'a':{'b':1,'c':1}}", "{'a':{'b':1,'c':2}}", "[{'op':'replace','path':'/a/c','value':2}]"},
	{"1", "2", "[{'op':'replace','path':'','value':2}]"},
	{"[]", "{}", "[{'op':'replace','path':'','value':{}}]"},
	/* RFC 6901: ~ before /, so that ~1 in a key is not taken for a slash. */
	{"{}", "{'a/b':1}", "[{'op':'add','path':'/a~1b','value':1}]"},
	{"{}", "{'a~b':1}", "[{'op':'add','path':'/a~0b','value':1}]"},
	{"{}", "{'~1/~0':1}", "[{'op':'add','path':'/~01~1~00','value':1}]"},
	{"{'':{}}", "{'':{'':1}}", "[{'op':'add','path':'//','value':1}]"},
	/* Arrays: what is new is named, not what only moves. */
	{"[1,2]", "[0,1,2]", "[{'op':'add','path':'/0','value':0}]"},
	{"[1,2]", "[1,2,3]", "[{'op':'add','path':'/2','value':3}]"},
	{"[1,2,3]", "[1,3]", "[{'op':'remove','path':'/1'}]"},
	{"[1,2,3]", "[]", "[{'op':'remove','path':'/0'},{'op':'remove','path':'/0'},{'op':'remove','path':'/0'}]"},
	{"[1]", "[2]", "[{'op':'add','path':'/0','value':2},{'op':'remove','path':'/1'}]"},
	{"[{'name':'a','x':1},{'name':'b'}]", "[{'name':'n'},{'name':'a','x':2},{'name':'b'}]",
	 "[{'op':'add','path':'/0','value':{'name':'n'}},{'op':'replace','path':'/1/x','value':2}]"},
	{"[{'name':'a'},{'name':'b'}]", "[{'name':'b'},{'name':'a'}]",
	 "[{'op':'remove','path':'/0'},{'op':'add','path':'/1','value':{'name':'a'}}]"},
	{"[{'name':1,'x':1}]", "[{'name':1,'x':1}]", "[]"},
};

static void test_examples(void **state)
{
	(void)state;
	unsigned wrong = 0;

	for (size_t i = 0; i < COUNT(examples); i++) {
		json_t *from = json_of(examples[i].from), *to = json_of(examples[i].to),
		       *wanted = json_of(examples[i].patch);
		json_t *patch = patch_make(from, to), *result = patch_apply(from, patch);
		if (!json_equal(patch, wanted) || !json_equal(result, to)) {
			char *text = json_dumps(patch, JSON_COMPACT);
			print_message("%s to %s: %s\n", examples[i].from, examples[i].to, text);
			free(text);
			wrong++;
		}
		json_decref(from), json_decref(to), json_decref(wanted), json_decref(patch), json_decref(result);
	}
	assert_int_equal(wrong, 0);
}

/* ---- any two documents ---- */

static uint64_t seed = 1;

static unsigned dice(unsigned sides)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (unsigned)(seed >> 33) % sides;
}

static const char *const keys[] = {"name", "a", "a/b", "~", "~1", "", "name/", "\xc3\xa4"};

static json_t *any_json(unsigned levels)
{
	unsigned kind = dice(levels ? 7 : 4), n = dice(5);
	json_t *json;

	switch (kind) {
	case 0:
		return json_integer(dice(3));
	case 1:
		return json_string(keys[dice(COUNT(keys))]);
	case 2:
		return json_null();
	case 3:
		return json_boolean(dice(2));
	case 4:
		json = json_object();
		while (n--)
			json_object_set_new(json, keys[dice(COUNT(keys))], any_json(levels - 1));
		return json;
	default:
		json = json_array();
		while (n--)
			json_array_append_new(json, any_json(levels - 1));
		return json;
	}
}

/* Copies, with something else here and there, as two documents that have nothing in common say little. */
static json_t *disturb(const json_t *from, unsigned levels)
{
	json_t *out;
	const char *key;
	json_t *value;

	if (!dice(8))
		return any_json(levels);
	if (json_is_object(from)) {
		out = json_object();
		json_object_foreach((json_t *)from, key, value)
		{
			if (dice(8))
				json_object_set_new(out, key, disturb(value, levels ? levels - 1 : 0));
		}
		return out;
	}
	if (!json_is_array(from))
		return json_deep_copy(from);
	out = json_array();
	for (size_t i = 0; i < json_array_size(from); i++) {
		if (dice(8))
			json_array_append_new(out, disturb(json_array_get(from, i), levels ? levels - 1 : 0));
		if (!dice(8))
			json_array_insert_new(out, dice((unsigned)json_array_size(out) + 1), any_json(1));
	}
	return out;
}

static void test_any(void **state)
{
	(void)state;

	for (unsigned i = 0; i < 20000; i++) {
		json_t *from = any_json(4), *to = i % 2 ? any_json(4) : disturb(from, 3);
		json_t *before = json_deep_copy(from), *patch = patch_make(from, to);
		json_t *result = patch_apply(from, patch);
		assert_non_null(patch);
		assert_true(json_equal(from, before)); /* left alone */
		assert_true(json_equal(result, to));
		assert_int_equal(json_array_size(patch) == 0, json_equal(from, to));
		json_decref(from), json_decref(to), json_decref(before), json_decref(patch), json_decref(result);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_examples),
		cmocka_unit_test(test_any),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
