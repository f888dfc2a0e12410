/* SPDX-License-Identifier: Apache-2.0 */
/* test_pod_survey.c - what is asked about other nodes' pods, and what is made of the answers */
#include "control/kube/pod_survey.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#undef fail /* cmocka has a macro of the name of our function */

#include "tests/unit/fake_watch.h"

static char asked[8192];
static unsigned requests, cancelled;
static int refusal; /* of the next request */
static const struct kube *server = (const struct kube *)&requests;

int kube_request(struct kube *kube, const struct kube_request *request, struct failure *why)
{
	(void)why;
	assert_ptr_equal(kube, server);
	snprintf(asked, sizeof(asked), "%s %s", request->method, request->path);
	requests += !refusal;
	return refusal;
}

void kube_cancel(struct kube *kube, const void *context)
{
	(void)kube;
	(void)context;
	cancelled++;
}

static void answer(struct pod_survey *survey, long status, const char *text)
{
	json_t *value = text ? json_of(text) : NULL;

	survey_done(survey, status, value, "");
	json_decref(value);
}

static int set_up(void **state)
{
	struct pod_survey *survey = calloc(1, sizeof(*survey));

	survey->kube = (struct kube *)server;
	survey->node = "n1";
	requests = cancelled = 0;
	refusal = 0;
	*state = survey;
	return 0;
}

static int tear_down(void **state)
{
	pod_survey_close(*state);
	assert_int_equal(cancelled, 1);
	free(*state);
	return 0;
}

#define PODS(list, next) "{'metadata':{'continue':'" next "'},'items':[" list "]}"
#define POD(ip) "{'spec':{},'status':{'podIP':'" ip "'}}"

static void reads_pages(void **state)
{
	struct pod_survey *survey = *state;
	char text[ADDRESS_TEXT];

	pod_survey_turn(survey, 1000, 3);
	assert_string_equal(asked,
			    "GET /api/v1/pods?limit=100&fieldSelector=status.phase%3DRunning%2Cspec.nodeName%21%3Dn1");
	pod_survey_turn(survey, 1000000, 3);
	assert_int_equal(requests, 1);
	answer(survey, 200,
	       PODS(POD("10.9.1.2") ",{'spec':{'hostNetwork':true},'status':{'podIP':'10.0.0.5'}},7,{}," POD("8.8.8.8"),
		    "a b/="));
	assert_non_null(strstr(asked, "n1&continue=a%20b%2F%3D"));
	/* Only a survey that is complete counts. */
	assert_int_equal(survey->seen.n, 0);
	assert_int_equal(survey->version, 0);
	answer(survey, 200, PODS("{'status':{'podIPs':[{'ip':'10.9.2.2'},{'ip':'fd00::2'}]}}", ""));
	assert_int_equal(survey->version, 1);
	assert_int_equal(survey->seen.n, 3);
	assert_string_equal(prefix_format(&survey->seen.list[0], text), "10.9.1.2/32");
	assert_string_equal(prefix_format(&survey->seen.list[2], text), "fd00::2/128");
}

static void asks_now_and_then(void **state)
{
	struct pod_survey *survey = *state;

	pod_survey_turn(survey, 1000, 3);
	answer(survey, 200, PODS(POD("10.9.1.2"), ""));
	pod_survey_turn(survey, 1000 + POD_SURVEY_PERIOD - 1, 3);
	assert_int_equal(requests, 1);
	pod_survey_turn(survey, 1000 + POD_SURVEY_PERIOD, 5000);
	assert_int_equal(requests, 2);
	answer(survey, 200, PODS(POD("10.9.3.2"), ""));
	assert_int_equal(survey->seen.n, 1);
	assert_int_equal(survey->seen.list[0].address.bytes[2], 3);
	pod_survey_turn(survey, 1000 + POD_SURVEY_PERIOD + 4999999, 5000);
	assert_int_equal(requests, 2);
	pod_survey_turn(survey, 1000 + POD_SURVEY_PERIOD + 5000000, 5000);
	assert_int_equal(requests, 3);
}

static void ends_after_some_pages(void **state)
{
	struct pod_survey *survey = *state;

	pod_survey_turn(survey, 1000, 3);
	for (unsigned i = 0; i < POD_SURVEY_PAGES; i++)
		answer(survey, 200, PODS(POD("10.9.1.2"), "more"));
	assert_int_equal(requests, POD_SURVEY_PAGES);
	assert_int_equal(survey->version, 1);
	assert_int_equal(survey->seen.n, POD_SURVEY_PAGES);
}

/* What was seen before stays. */
static void failures(void **state)
{
	struct pod_survey *survey = *state;

	pod_survey_turn(survey, 0, 3);
	answer(survey, 200, PODS(POD("10.9.1.2"), ""));
	pod_survey_turn(survey, POD_SURVEY_PERIOD, 3);
	answer(survey, 200, PODS(POD("10.9.2.2"), "more"));
	answer(survey, 410, "{'kind':'Status'}");
	assert_int_equal(survey->version, 2);
	pod_survey_turn(survey, 2ull * POD_SURVEY_PERIOD, 3);
	answer(survey, -ETIMEDOUT, NULL);
	refusal = -EBUSY;
	pod_survey_turn(survey, 3ull * POD_SURVEY_PERIOD, 3);
	assert_int_equal(survey->version, 4);
	assert_int_equal(survey->seen.n, 1);
	assert_int_equal(survey->seen.list[0].address.bytes[2], 1);
	assert_false(survey->asking);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(reads_pages),
		TEST(asks_now_and_then),
		TEST(ends_after_some_pages),
		TEST(failures),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
