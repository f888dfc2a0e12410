/* SPDX-License-Identifier: Apache-2.0 */
/* pod_survey.c - where the pods of other nodes are, in clusters that do not name their pods' networks */
#include "control/kube/pod_survey.h"
#include "control/base/json.h"
#include "control/kube/kept_networks.h"
#include "tap/base/log.h"

#include <stdio.h>
#include <string.h>

static void survey_done(void *context, long status, json_t *answer, const char *text);

static void survey_end(struct pod_survey *survey, bool good)
{
	if (good && !survey->fresh.failed) {
		network_set_free(&survey->seen);
		survey->seen = survey->fresh;
		survey->fresh = (struct network_set){0};
	}
	network_set_free(&survey->fresh);
	survey->asking = false;
	survey->version++;
}

/* `next`: the token of the next page, "" for the first. */
static void survey_ask(struct pod_survey *survey, const char *next)
{
	char path[4096];
	char *token = curl_easy_escape(NULL, next, 0);
	int length = snprintf(path, sizeof(path),
			      "/api/v1/pods?limit=%d&fieldSelector=status.phase%%3DRunning%%2Cspec.nodeName%%21%%3D%s"
			      "%s%s",
			      POD_SURVEY_PAGE, survey->node, *next ? "&continue=" : "", token ? token : "");
	const struct kube_request request = {.method = "GET", .path = path, .done = survey_done, .context = survey};
	survey->pages++;
	if (!token || (size_t)length >= sizeof(path) || kube_request(survey->kube, &request, NULL))
		survey_end(survey, false);
	curl_free(token);
}

static void survey_add(void *context, const struct prefix *address)
{
	if (network_is_private(address))
		network_set_add(context, address);
}

static void survey_done(void *context, long status, json_t *answer, const char *text)
{
	struct pod_survey *survey = context;
	const char *next = json_text(json_object_get(answer, "metadata"), "continue");
	const json_t *pod;
	size_t i;
	if (status != 200) {
		log_line(LOG_DEBUG, "cannot read where other nodes' pods are: %ld %s", status, text);
		survey_end(survey, false);
		return;
	}
	json_array_foreach(json_object_get(answer, "items"), i, pod)
	{
		pod_addresses_each(pod, survey_add, &survey->fresh);
	}
	if (*next && survey->pages < POD_SURVEY_PAGES)
		survey_ask(survey, next);
	else
		survey_end(survey, true);
}

void pod_survey_turn(struct pod_survey *survey, uint64_t now, size_t nodes)
{
	uint64_t period = nodes * POD_SURVEY_PER_NODE;
	if (!survey->kube || survey->asking || now < survey->due)
		return;
	survey->due = now + (period > POD_SURVEY_PERIOD ? period : POD_SURVEY_PERIOD);
	survey->asking = true;
	survey->pages = 0;
	survey_ask(survey, "");
}

void pod_survey_close(struct pod_survey *survey)
{
	if (survey->kube)
		kube_cancel(survey->kube, survey);
	network_set_free(&survey->seen);
	network_set_free(&survey->fresh);
}
