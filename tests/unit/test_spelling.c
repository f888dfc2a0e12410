/* SPDX-License-Identifier: Apache-2.0 */
/* test_spelling.c - misspelled annotations are named, with the nearest key; right ones never are */
#include "control/kube/spelling.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/unit/quotes.h"

static const struct {
	enum spelling_of of;
	const char *annotations;
	const char *said; /* a piece of it; NULL: nothing */
} examples[] = {
	{SPELLING_POD, "'podswitch.io/gateway':'vpn'", NULL},
	{SPELLING_POD, "'podswitch.io/injected':'vpns/vpn'", NULL},
	{SPELLING_POD, "'podswitch.iogatway':'vpn','gatway':'x','other.podswitch.io/gatway':'x'", NULL},
	{SPELLING_POD, "'podswitch.io/gatway':'vpn'",
	 "the pod has an annotation under podswitch.io/ that there is not, 'gatway': did you mean "
	 "podswitch.io/gateway?"},
	{SPELLING_POD, "'podswitch.io/gateways':'vpn'", "did you mean podswitch.io/gateway?"},
	{SPELLING_POD, "'podswitch.io/Gateway':'vpn'", "did you mean podswitch.io/gateway?"},
	{SPELLING_POD, "'podswitch.io/gaetway':'vpn'", "did you mean podswitch.io/gateway?"},
	{SPELLING_POD, "'podswitch.io/adress':'vpn'", "did you mean podswitch.io/address?"},
	{SPELLING_POD, "'podswitch.io/':'vpn'", "that there is not, ''"},
	{SPELLING_POD, "'podswitch.io/network-policy-of-the-house':'vpn'", "'network-policy-of-the-house'"},
	{SPELLING_POD, "'podswitch.io/xyz':'vpn'", "that there is not, 'xyz'"},
	{SPELLING_POD, "'podswitch.io/vni':'43'",
	 "podswitch.io/vni means nothing on a pod: it belongs on the gateway's Service"},
	{SPELLING_NAMESPACE, "'podswitch.io/address':'172.16.0.9'", "means nothing on a namespace: it belongs on pods"},
	{SPELLING_NAMESPACE, "'podswitch.io/gateway':'none'", NULL},
	{SPELLING_NAMESPACE, "'podswitch.io/gatewya':'none'", "the namespace has"},
	{SPELLING_SERVICE, "'podswitch.io/ports':'8472'", "did you mean podswitch.io/port?"},
	{SPELLING_SERVICE, "'podswitch.io/not_routed':'10.0.0.0/8'", "did you mean podswitch.io/not-routed?"},
	{SPELLING_SERVICE, "'podswitch.io/allow-namespace':'x'", "did you mean podswitch.io/allow-namespaces?"},
	{SPELLING_SERVICE, "'podswitch.io/vnid':'7'", "did you mean podswitch.io/vni?"},
	{SPELLING_SERVICE, "'podswitch.io/gateway':'vpn'", "means nothing on a gateway's Service: it belongs on pods"},
	{SPELLING_SERVICE, "'podswitch.io/vni':'7','podswitch.io/port':'1','podswitch.io/mtu':'1400'", NULL},
};

static void test_examples(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(examples) / sizeof(examples[0]); i++) {
		char text[600], said[400] = "";
		snprintf(text, sizeof(text), "{'metadata':{'annotations':{%s}}}", examples[i].annotations);
		json_t *object = json_of(text);
		size_t length = spelling_check(examples[i].of, object, said, sizeof(said));
		if (!length != !examples[i].said || (length && !strstr(said, examples[i].said)))
			assert_string_equal(said, examples[i].said ? examples[i].said : "");
		assert_true(strlen(said) < 250);
		json_decref(object);
	}
}

static void test_nothing(void **state)
{
	char said[400];

	(void)state;
	assert_int_equal(spelling_check(SPELLING_POD, NULL, said, sizeof(said)), 0);
	json_t *object = json_of("{'metadata':{'annotations':['podswitch.io/x']}}");
	assert_int_equal(spelling_check(SPELLING_POD, object, said, sizeof(said)), 0);
	json_decref(object);
}

static void test_distance(void **state)
{
	static const struct {
		const char *a, *b;
		unsigned edits;
	} pairs[] = {{"", "", 0},       {"", "abc", 3},          {"abc", "", 3},     {"abc", "abc", 0},
		     {"abc", "acb", 1}, {"abc", "abcd", 1},      {"abcd", "bcd", 1}, {"abc", "xyz", 3},
		     {"ab", "ba", 1},   {"kitten", "sitting", 3}};

	(void)state;
	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++)
		assert_int_equal(spelling_distance(pairs[i].a, pairs[i].b), pairs[i].edits);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_examples),
		cmocka_unit_test(test_nothing),
		cmocka_unit_test(test_distance),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
