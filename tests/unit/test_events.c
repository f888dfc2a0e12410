/* SPDX-License-Identifier: Apache-2.0 */
/* test_events.c - Events as the API server takes them */
#include "control/kube/events.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#undef fail /* cmocka has a macro of the name of our function */

static json_t *sent;
static char path[256];
static int answer;

int kube_request(struct kube *kube, const struct kube_request *request, struct failure *why)
{
	(void)kube;
	(void)why;
	assert_string_equal(request->method, "POST");
	assert_null(request->done);
	assert_null(request->content_type);
	snprintf(path, sizeof(path), "%s", request->path);
	json_decref(sent);
	sent = json_deep_copy(request->body);
	return answer;
}

static int tear_down(void **state)
{
	(void)state;
	json_decref(sent);
	sent = NULL;
	return 0;
}

static const char *at(const char *outer, const char *inner)
{
	const json_t *group = outer ? json_object_get(sent, outer) : sent;

	return json_text(group, inner);
}

static void all_of_it(void **state)
{
	json_t *pod = json_pack("{s:{s:s, s:s, s:s}}", "metadata", "namespace", "media", "name", "tv", "uid", "u-1");

	(void)state;
	answer = -EBUSY; /* a full queue is nobody's trouble */
	events_send(NULL, "n1", pod, true, EVENT_LOST, "it is away");
	assert_string_equal(path, "/api/v1/namespaces/media/events");
	assert_string_equal(at(NULL, "kind"), "Event");
	assert_string_equal(at(NULL, "apiVersion"), "v1");
	assert_string_equal(at(NULL, "type"), "Warning");
	assert_string_equal(at(NULL, "reason"), "GatewayLost");
	assert_string_equal(at(NULL, "message"), "it is away");
	assert_string_equal(at("metadata", "namespace"), "media");
	assert_int_equal(strncmp(at("metadata", "name"), "tv.", 3), 0);
	assert_string_equal(at("involvedObject", "kind"), "Pod");
	assert_string_equal(at("involvedObject", "name"), "tv");
	assert_string_equal(at("involvedObject", "namespace"), "media");
	assert_string_equal(at("involvedObject", "uid"), "u-1");
	assert_string_equal(at("source", "host"), "n1");
	assert_int_equal(strlen(at(NULL, "firstTimestamp")), strlen("2026-01-01T00:00:00Z"));
	assert_string_equal(at(NULL, "firstTimestamp"), at(NULL, "lastTimestamp"));
	assert_int_equal(json_integer_value(json_object_get(sent, "count")), 1);
	char first[300];
	snprintf(first, sizeof(first), "%s", at("metadata", "name"));
	events_send(NULL, "n1", pod, false, EVENT_ATTACHED, "it is here");
	assert_string_equal(at(NULL, "type"), "Normal");
	assert_string_not_equal(at("metadata", "name"), first);
	json_decref(pod);
}

/* The Event's name may be as long as the pod's, and has more in it. */
static void long_name(void **state)
{
	char name[254];

	(void)state;
	memset(name, 'a', 253);
	name[253] = '\0';
	json_t *pod = json_pack("{s:{s:s, s:s}}", "metadata", "namespace", "media", "name", name);
	events_send(NULL, "n1", pod, true, EVENT_LOST, "x");
	assert_in_range(strlen(at("metadata", "name")), 230, 253);
	assert_string_equal(at("involvedObject", "name"), name);
	json_decref(pod);
}

/* RFC 1123, as the API server checks it: labels of small letters and digits, with '-' inside, dots between. */
static bool is_subdomain(const char *name)
{
	const char *ends = "abcdefghijklmnopqrstuvwxyz0123456789";

	for (const char *c = name; *c; c++) {
		bool first = c == name || c[-1] == '.', last = !c[1] || c[1] == '.';
		if (*c == '.' ? first : !strchr(ends, *c) && (*c != '-' || first || last))
			return false;
	}
	return *name && name[strlen(name) - 1] != '.' && strlen(name) <= 253;
}

static void name_for(const char *pod, char out[static 254])
{
	json_t *object = json_pack("{s:{s:s, s:s}}", "metadata", "namespace", "media", "name", pod);

	events_send(NULL, "n1", object, true, EVENT_LOST, "x");
	snprintf(out, 254, "%s", at("metadata", "name"));
	assert_string_equal(at("involvedObject", "name"), pod);
	json_decref(object);
}

/* Wherever a long name is cut, what is left is a name, and another pod's is another one. */
static void names_that_are_cut(void **state)
{
	static const char *const breaks[] = {"-", ".", "--", "-a-", "a.b-c.d-"};
	char pod[254], name[254], other[254];

	(void)state;
	for (size_t at_byte = 200; at_byte < 250; at_byte++)
		for (size_t i = 0; i < sizeof(breaks) / sizeof(breaks[0]) && strlen(breaks[i]) + at_byte < 253; i++) {
			memset(pod, 'a', 253);
			memcpy(pod + at_byte, breaks[i], strlen(breaks[i]));
			pod[253] = '\0';
			name_for(pod, name);
			if (!is_subdomain(name))
				assert_string_equal(name, "a DNS subdomain");
			pod[252] = 'b';
			name_for(pod, other);
			assert_int_not_equal(strncmp(name, other, strrchr(name, '.') - name), 0);
		}
	memset(pod, 'a', 253);
	memset(pod + 100, '-', 140);
	name_for(pod, name);
	assert_true(is_subdomain(name));
	name_for("tv", name);
	assert_true(is_subdomain(name));
}

static void nonsense(void **state)
{
	json_t *pod = json_pack("{s:i}", "metadata", 7);

	(void)state;
	events_send(NULL, "n1", pod, true, EVENT_LOST, "x");
	assert_non_null(sent);
	assert_true(is_subdomain(at("metadata", "name")));
	json_decref(pod);
	/* What was cut in the middle of a character, or is none, is told all the same. */
	pod = json_pack("{s:{s:s, s:s}}", "metadata", "namespace", "media", "name", "tv");
	events_send(NULL, "n1", pod, true, EVENT_LOST, "caf\xc3");
	assert_string_equal(at(NULL, "message"), "caf?");
	events_send(NULL, "n1", pod, true, EVENT_LOST, "\xff caf\xc3\xa9 \xe2\x82");
	assert_string_equal(at(NULL, "message"), "? caf?? ??");
	json_decref(pod);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(all_of_it, tear_down),
		cmocka_unit_test_teardown(long_name, tear_down),
		cmocka_unit_test_teardown(names_that_are_cut, tear_down),
		cmocka_unit_test_teardown(nonsense, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
