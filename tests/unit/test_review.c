/* SPDX-License-Identifier: Apache-2.0 */
/* test_review.c - AdmissionReviews: what is one, and what the API server gets back */
#include "control/webhook/review.c"

#include "tests/unit/json_patch.h"
#include "tests/unit/quotes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

#define V1 "'apiVersion':'admission.k8s.io/v1','kind':'AdmissionReview'"
#define PODS "'resource':{'group':'','version':'v1','resource':'pods'}"
#define REQUEST(rest) "{" V1 ",'request':{" rest "}}"
#define CREATE(rest) REQUEST("'uid':'u'," PODS ",'operation':'CREATE','namespace':'media'," rest)

static int read_text(const char *text, struct review *out, struct failure *why)
{
	char copy[2048];

	assert_true(strlen(text) < sizeof(copy));
	strcpy(copy, text);
	swap_quotes(copy, '\'', '"');
	return review_read(copy, strlen(copy), out, why);
}

static const struct {
	const char *text;
	int error;
	bool pod, dry_run;
	const char *namespace, *why;
} examples[] = {
	{CREATE("'object':{}"), 0, true, false, "media", NULL},
	{CREATE("'object':{},'dryRun':true"), 0, true, true, "media", NULL},
	{CREATE("'object':{},'dryRun':false"), 0, true, false, "media", NULL},
	{CREATE("'object':{},'dryRun':'yes'"), 0, true, false, "media", NULL},
	{CREATE("'object':{'spec':{'x':'a\\u0000b'}}"), 0, true, false, "media", NULL},
	{CREATE("'subResource':'','object':{}"), 0, true, false, "media", NULL},
	{CREATE("'subResource':'exec','object':{}"), 0, false, false, "media", NULL},
	{"{'apiVersion':'admission.k8s.io/v1beta1','kind':'AdmissionReview','request':{'uid':'u'," PODS
	 ",'operation':'CREATE','object':{}}}",
	 0, true, false, "", NULL},
	/* No concern of ours. */
	{REQUEST("'uid':'u'," PODS ",'operation':'UPDATE','object':{}"), 0, false, false, "", NULL},
	{REQUEST("'uid':'u'," PODS ",'operation':'DELETE','object':null"), 0, false, false, "", NULL},
	{REQUEST("'uid':'u','resource':{'group':'apps','version':'v1','resource':'pods'},'operation':'CREATE'"), 0,
	 false, false, "", NULL},
	{REQUEST("'uid':'u','resource':{'group':'','version':'v1','resource':'services'},'operation':'CREATE'"), 0,
	 false, false, "", NULL},
	{REQUEST("'uid':'u'"), 0, false, false, "", NULL},
	/* No review. */
	{"", -EINVAL, false, false, NULL, "not JSON"},
	{"{", -EINVAL, false, false, NULL, "not JSON"},
	{"[]", -EINVAL, false, false, NULL, "not an AdmissionReview"},
	{"{}", -EINVAL, false, false, NULL, "not an AdmissionReview"},
	{"{'apiVersion':'admission.k8s.io/v2','kind':'AdmissionReview','request':{'uid':'u'}}", -EINVAL, false, false,
	 NULL, "not an AdmissionReview"},
	{"{'apiVersion':'admission.k8s.io/v1','kind':'Pod','request':{'uid':'u'}}", -EINVAL, false, false, NULL,
	 "not an AdmissionReview"},
	{"{" V1 "}", -EINVAL, false, false, NULL, "uid"},
	{"{" V1 ",'request':[]}", -EINVAL, false, false, NULL, "uid"},
	{REQUEST("'uid':''"), -EINVAL, false, false, NULL, "uid"},
	{REQUEST("'uid':7"), -EINVAL, false, false, NULL, "uid"},
	{REQUEST("'uid':'a\\u0000b'"), -EINVAL, false, false, NULL, "uid"},
	{CREATE("'object':null"), -EINVAL, false, false, NULL, "object"},
	{CREATE("'object':[]"), -EINVAL, false, false, NULL, "object"},
	{CREATE("'x':1"), -EINVAL, false, false, NULL, "object"},
};

static void test_reading(void **state)
{
	(void)state;

	for (size_t i = 0; i < COUNT(examples); i++) {
		struct review review = {0};
		struct failure why = {0};
		int error = read_text(examples[i].text, &review, &why);
		if (error != examples[i].error || !review.pod != !examples[i].pod ||
		    review.dry_run != examples[i].dry_run)
			fail_msg("%s: %d, pod %d", examples[i].text, error, review.pod != NULL);
		if (error) {
			assert_null(review.root);
			assert_non_null(strstr(why.text, examples[i].why));
		} else {
			assert_string_equal(review.namespace, examples[i].namespace);
			assert_string_equal(review.uid, "u");
		}
		review_free(&review);
	}
}

static char *long_review(const char *piece, size_t pieces, size_t *length)
{
	static const char head[] = "{\"apiVersion\":\"admission.k8s.io/v1\",\"kind\":\"AdmissionReview\",\"request\":"
				   "{\"uid\":\"u\",\"x\":[0";
	size_t step = strlen(piece);
	char *text = malloc(sizeof(head) + step * pieces + 4);
	char *at = text;

	assert_non_null(text);
	at += sprintf(at, "%s", head);
	for (size_t i = 0; i < pieces; i++, at += step)
		memcpy(at, piece, step);
	at += sprintf(at, "]}}");
	*length = (size_t)(at - text);
	return text;
}

static void test_limits(void **state)
{
	(void)state;
	static const struct {
		const char *piece;
		size_t pieces;
		int error;
	} sizes[] = {
		{",0", REVIEW_MAX_VALUES - 20, 0},
		{",0", REVIEW_MAX_VALUES, -EMSGSIZE},
		{",[]", REVIEW_MAX_VALUES / 2, -EMSGSIZE},
		{",\"a long text, not many values\"", 100000, 0}, /* 3 MB */
		{",\"a long text: not many values\"", 240000, -EMSGSIZE},
	};

	for (size_t i = 0; i < COUNT(sizes); i++) {
		size_t length;
		char *text = long_review(sizes[i].piece, sizes[i].pieces, &length);
		struct review review = {0};
		struct failure why = {0};
		assert_int_equal(review_read(text, length, &review, &why), sizes[i].error);
		review_free(&review);
		free(text);
	}
	char uid[512] = "{'apiVersion':'admission.k8s.io/v1','kind':'AdmissionReview','request':{'uid':'";
	size_t used = strlen(uid);
	memset(uid + used, 'u', LONGEST_UID);
	strcpy(uid + used + LONGEST_UID, "'}}");
	struct review review = {0};
	assert_int_equal(read_text(uid, &review, NULL), 0);
	review_free(&review);
	strcpy(uid + used + LONGEST_UID, "u'}}");
	assert_int_equal(read_text(uid, &review, NULL), -EINVAL);
}

/* ---- answers ---- */

static json_t *answer_of(const char *request, const struct review_answer *answer)
{
	struct review review = {0};

	assert_int_equal(read_text(request, &review, NULL), 0);
	char *text = review_answer(&review, answer);
	assert_non_null(text);
	json_t *root = json_loads(text, 0, NULL);
	assert_non_null(root);
	free(text);
	assert_string_equal(json_text(root, "kind"), "AdmissionReview");
	assert_string_equal(json_text(root, "apiVersion"), review.version);
	review_free(&review);
	return root;
}

static void test_answers(void **state)
{
	(void)state;
	struct review_answer plain = {0},
			     denied = {.denied = true, .code = 403, .reason = "Forbidden", .message = "no \"such\""};
	json_t *root = answer_of(CREATE("'object':{}"), &plain), *response = json_object_get(root, "response");

	json_t *wanted = json_pack("{s:s, s:b}", "uid", "u", "allowed", 1);
	assert_true(json_equal(response, wanted));
	json_decref(root), json_decref(wanted);

	/* An empty patch and no warnings are left out, as Go tells them from absent ones. */
	json_t *empty = json_array();
	plain.patch = plain.warnings = empty;
	root = answer_of(REQUEST("'uid':'u'"), &plain);
	assert_int_equal(json_object_size(json_object_get(root, "response")), 2);
	json_decref(root);

	json_t *warnings = json_pack("[s]", "look out");
	denied.warnings = warnings;
	root = answer_of(CREATE("'object':{}"), &denied);
	wanted = json_pack("{s:s, s:b, s:{s:s, s:s, s:s, s:i}, s:[s]}", "uid", "u", "allowed", 0, "status", "status",
			   "Failure", "reason", "Forbidden", "message", "no \"such\"", "code", 403, "warnings",
			   "look out");
	assert_true(json_equal(json_object_get(root, "response"), wanted));
	json_decref(root), json_decref(wanted), json_decref(warnings), json_decref(empty);
}

/* Every length modulo three, and every byte. */
static void test_base64(void **state)
{
	(void)state;
	char text[300];

	for (size_t length = 0; length < 256; length++) {
		for (size_t i = 0; i < length; i++)
			text[i] = (char)(1 + (i * 7 + length) % 255);
		text[length] = '\0';
		json_t *encoded = base64_encode(text);
		char *decoded = decode_base64(json_string_value(encoded));
		assert_non_null(decoded);
		assert_string_equal(decoded, text);
		free(decoded);
		json_decref(encoded);
	}
	json_t *known = base64_encode("Man, Ma");
	assert_string_equal(json_string_value(known), "TWFuLCBNYQ==");
	json_decref(known);
}

static void test_patch_inside(void **state)
{
	(void)state;
	json_t *patch = json_pack("[{s:s, s:s, s:s}]", "op", "add", "path", "/a~1b", "value", "\xc3\xa4\n");
	struct review_answer answer = {.patch = patch};
	json_t *root = answer_of(CREATE("'object':{}"), &answer), *response = json_object_get(root, "response");

	assert_string_equal(json_text(response, "patchType"), "JSONPatch");
	char *text = decode_base64(json_text(response, "patch"));
	json_t *back = json_loads(text, 0, NULL);
	assert_true(json_equal(back, patch));
	json_decref(back), json_decref(root), json_decref(patch);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_reading), cmocka_unit_test(test_limits),       cmocka_unit_test(test_answers),
		cmocka_unit_test(test_base64),  cmocka_unit_test(test_patch_inside),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
