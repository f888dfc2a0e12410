/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_agent.c - any objects of a cluster, any questions of a plugin and any answers of a podswitchd, in any order
 *
 * A line is a letter and a JSON text. 0 to 9: an object of that kind (see below) is new or changed; a to j: is deleted;
 * A to J: a complete list. + - ? *: a question of the plugin (add, remove, check, gc). =: what podswitchd answers from
 * now on, to everything. !: news from it. T: five seconds are over. Whatever comes, the agent goes on; and a pod of
 * which nothing is known is never told that it has no gateway.
 */
#include "control/kube/agent_methods.h"
#include "control/kube/events.h"
#include "control/kube/find.h"
#include "control/kube/kept_networks.h"
#include "control/kube/reconciler.h"
#include "tests/fuzz/quiet.h"

#include <assert.h>
#include <stdio.h>

#define assert_non_null(value) assert(value)
#include "tests/unit/fake_watch.h"

#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const kinds[] = {
	"pods of this node", "namespaces",        "services",         "endpointslices",   "nodes",
	"servicecidrs",      "our own DaemonSet", "Calico's ippools", "ciliumpodippools", "ciliumnodes"};

/* ---- what the agent talks to ---- */

struct podswitchd {
	json_t *answer, *news;
	unsigned calls;
};

int podswitchd_call(struct podswitchd *daemon, const char *method, json_t *params, json_t **result, int *code,
		    struct failure *why)
{
	(void)method;
	json_decref(params);
	if (code)
		*code = JSONRPC_EXISTS + (int)(daemon->calls++ % 3) - 1;
	if (!daemon->answer)
		return (fail)(why, daemon->calls % 2 ? -EREMOTEIO : -ETIMEDOUT, NULL, "not now");
	if (result)
		*result = json_incref(daemon->answer);
	return 0;
}

bool podswitchd_answers(const struct podswitchd *daemon)
{
	return daemon->answer;
}

unsigned podswitchd_epoch(const struct podswitchd *daemon)
{
	return daemon->calls / 64;
}

void podswitchd_take_events(struct podswitchd *daemon, void (*hear)(void *context, const json_t *event), void *context)
{
	if (daemon->news)
		hear(context, daemon->news);
	json_decref(daemon->news);
	daemon->news = NULL;
}

void events_send(struct kube *kube, const char *node, const json_t *pod, bool warning, const char *reason,
		 const char *message)
{
	(void)kube;
	(void)node;
	(void)warning;
	assert(json_is_object(pod) && *reason && *message);
}

int find_netns(const char *uid, char *out, size_t size)
{
	assert(*uid);
	snprintf(out, size, "/proc/7/ns/net");
	return 0;
}

bool find_is_namespace(const char *path)
{
	return *path == '/';
}

void find_netns_of_runtime(const char *path, int runtime, char *out, size_t size)
{
	snprintf(out, size, "%s%s", runtime ? "/proc/7/root" : "", path);
}

static void on_changed(void *context)
{
	struct reconciler **attach = context;

	if (*attach)
		reconciler_wake(*attach);
}

/* ---- the input ---- */

struct world {
	struct reconciler *attach;
	struct cluster *cluster;
	struct podswitchd daemon;
	uint64_t now;
};

/* As watch.c hands them on. */
static bool has_name(const json_t *object)
{
	return json_is_string(json_object_get(json_object_get(object, "metadata"), "name"));
}

static bool have_names(const json_t *list)
{
	bool all = json_is_array(list);

	for (size_t i = 0; i < json_array_size(list); i++)
		all = all && has_name(json_array_get(list, i));
	return all;
}

static void say(int kind, char what, json_t *value)
{
	struct watch *watch = watch_of(kinds[kind]);

	if (what == 'A' && have_names(value)) {
		watch->synced = watch->live = true;
		watch->callbacks.replace(watch->context, value);
	} else if (what != 'A' && has_name(value)) {
		(what == '0' ? watch->callbacks.changed : watch->callbacks.deleted)(watch->context, value);
	}
}

static bool is_ready(void *context, const char **reason)
{
	return reconciler_ready(context, reason);
}

static void ask(struct world *world, const char *method, json_t *params)
{
	json_t *result = NULL;
	struct failure why = {0};
	struct agent_methods methods = {.reconciler = world->attach, .ready = is_ready, .context = world->attach};
	int code = agent_methods_call(&methods, NULL, method, params, &result, &why);
	const char *state = json_string_value(json_object_get(result, "state"));

	assert(code ? *why.text && !result : result != NULL);
	if (!strcmp(method, "attachment.add") && state && !strcmp(state, "none"))
		assert(cluster_synced(world->cluster));
	json_decref(result);
}

static void take_line(struct world *world, const char *line)
{
	char what = *line;
	json_t *value = json_loads(line + 1, 0, NULL);

	if (what >= '0' && what <= '9')
		say(what - '0', '0', value);
	else if (what >= 'a' && what <= 'j')
		say(what - 'a', 'a', value);
	else if (what >= 'A' && what <= 'J')
		say(what - 'A', 'A', value);
	if (what == '+')
		ask(world, "attachment.add", value);
	if (what == '-')
		ask(world, "attachment.remove", value);
	if (what == '?')
		ask(world, "attachment.check", value);
	if (what == '*')
		ask(world, "attachment.gc", value);
	if (what == '=') {
		json_decref(world->daemon.answer);
		world->daemon.answer = json_incref(value);
	}
	if (what == '!') {
		json_decref(world->daemon.news);
		world->daemon.news = json_incref(value);
	}
	world->now += what == 'T' ? 5000 : 1;
	reconciler_turn(world->attach, world->now);
	json_decref(value);
}

static void look_around(const struct world *world)
{
	struct cluster_endpoint endpoints[CLUSTER_MAX_ENDPOINTS];
	const struct kept_networks_config config = {.node = "n1"};
	struct kept_networks kept = {0};
	struct reconciler_counters counters;

	for (size_t i = 0; i < cluster_endpoints(world->cluster, "media", "vpn", endpoints); i++)
		assert(endpoints[i].address.family);
	assert(!kept_networks_find(world->cluster, &config, &kept, &kept) && kept.n <= KEPT_NETWORKS_MAX);
	for (size_t i = 0; i < kept.n; i++)
		assert(kept.list[i].length);
	reconciler_count(world->attach, &counters);
	assert(counters.ready + counters.pending + counters.refused <= counters.attachments);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct world world = {.now = 1000000};
	const struct choose_policy policy = {.pod_annotations = true, .default_gateway = "vpn.media"};
	const struct cluster_config config = {
		.node = "n1", .daemonset = "a/b", .changed = on_changed, .context = &world.attach};
	char *text = malloc(size + 1), *rest = NULL;

	memcpy(text, data, size);
	text[size] = '\0';
	if (cluster_open(NULL, &config, &world.cluster, NULL))
		abort();
	const struct reconciler_config attach = {.cluster = world.cluster,
						 .podswitchd = &world.daemon,
						 .node = "n1",
						 .policy = &policy,
						 .probe = 10,
						 .running = true,
						 .socket = "/nonexistent/control.sock",
						 .memory = "/dev/null/none"};
	if (reconciler_open(&attach, &world.attach, NULL))
		abort();
	for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
		take_line(&world, line);
	look_around(&world);
	reconciler_close(world.attach);
	cluster_close(world.cluster);
	json_decref(world.daemon.answer);
	json_decref(world.daemon.news);
	free(text);
	return 0;
}
