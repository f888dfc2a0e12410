/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hook.c - the serving webhook: the cluster as its watches know it, the configuration, and the reviews
 *
 *   API server --POST--> server.c --> on_review() --> review_read() --> admit() --> review_answer() --> 200
 *                           ^            |               400, 413         |
 *                           |            |                                |
 *                           |            `-- not synced, or may change <--'
 *                           `--- waits: asked again when the cluster changes (server_wake), and with `final` when its
 *                                patience is over: then 503, or the denial
 *
 * A pod may be created right after its namespace or gateway, before our watch saw those; so we wait.
 *
 * Files (configuration, certificate) are checked once a second. One that cannot be used leaves the old contents in
 * force, with a line in the log and podswitch_webhook_config_ok 0.
 *
 * Stopping takes a while on purpose. First everybody has to learn that this replica is not ready any more (endpoints,
 * then the view of every node or API server). Until then reviews are answered as before, each with "Connection: close".
 *
 *   hook_drain() --linger--> --requests under way, at most PATIENCE--> hook_drained()
 *
 * One thread: hook_wait(), hook_turn().
 */
#include "control/webhook/hook.h"
#include "control/kube/events.h"
#include "control/kube/gateway_lookup.h"
#include "control/kube/prometheus.h"
#include "control/webhook/admit.h"
#include "control/webhook/server.h"
#include "tap/base/clock.h"
#include "tap/base/file.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define COMPONENT "podswitch-webhook"
#define FILES_EVERY 1000 /* ms */
#define PATIENCE 10000   /* ms for requests under way, when we stop */
#define MAX_CLUSTER_DNS 3

struct hook {
	const struct usage *usage;
	struct choose_policy policy;
	struct kube *kube;
	struct cluster *cluster;
	struct keypair *keypair;
	struct server *server;
	struct profiles *profiles;
	struct stat seen; /* of the configuration file */
	bool rejected;    /* its present contents cannot be used */
	json_t *cluster_dns;
	struct gateway_lookup lookup;
	char instance[254];
	uint64_t files_checked, stopping_since; /* ms */
	uint64_t verdicts[ADMIT_VERDICTS], malformed;
};

/* ---- reviews ---- */

static const json_t *namespace_of(const char *name, void *context)
{
	const struct gateway_lookup *lookup = context;
	return cluster_namespace(lookup->cluster, name);
}

static const char *event_of(enum choice_verdict verdict)
{
	if (verdict == CHOICE_MALFORMED || verdict == CHOICE_UNREADABLE)
		return EVENT_MALFORMED;
	return verdict == CHOICE_NOT_ALLOWED ? EVENT_NOT_ALLOWED : EVENT_NOT_FOUND;
}

static void send_event(struct hook *hook, const struct review *review, const struct choice *choice)
{
	const json_t *metadata = json_object_get(review->pod, "metadata");
	json_t *pod = json_pack("{s:{s:s, s:O*, s:O*, s:O*}}", "metadata", "namespace", review->namespace, "name",
				json_object_get(metadata, "name"), "generateName",
				json_object_get(metadata, "generateName"), "uid", json_object_get(metadata, "uid"));
	if (pod)
		events_send_as(hook->kube, COMPONENT, hook->instance, pod, true, event_of(choice->verdict),
			       choice->reason);
	json_decref(pod);
}

static unsigned hook_finish_review(struct hook *hook, const struct review *review, const struct admission *admission,
				   char **answer)
{
	*answer = review_answer(review, &admission->answer);
	if (!*answer)
		return 503;
	hook->verdicts[admission->verdict]++;
	if (admission->verdict == ADMIT_WARNED && !review->dry_run)
		send_event(hook, review, &admission->choice);
	if (admission->verdict == ADMIT_DENIED)
		log_line(LOG_INFO, "refused a pod of namespace %.63s: %s", review->namespace, admission->choice.reason);
	return 200;
}

static unsigned hook_refuse(struct hook *hook, const struct failure *why, char **answer)
{
	hook->malformed++;
	*answer = strdup(why->text);
	switch (why->code) {
	case -EMSGSIZE:
		return 413;
	case -ENOMEM:
		return 503;
	default:
		return 400;
	}
}

static unsigned on_review(void *context, const char *body, size_t length, bool final, char **answer)
{
	struct hook *hook = context;
	const struct admit_context known = {
		.policy = &hook->policy,
		.profiles = hook->profiles,
		.cluster_dns = hook->cluster_dns,
		.namespace = namespace_of,
		.lookup = gateway_lookup_find,
		.context = &hook->lookup,
	};
	struct review review = {0};
	struct admission admission;
	struct failure why = {0};
	if (!cluster_synced(hook->cluster))
		return final ? 503 : 0;
	if (review_read(body, length, &review, &why))
		return hook_refuse(hook, &why, answer);
	unsigned status = 503;
	if (!admit(&known, &review, &admission)) {
		status = admission.may_change && !final ? 0 : hook_finish_review(hook, &review, &admission, answer);
		admission_free(&admission);
	}
	review_free(&review);
	return status;
}

/* ---- health and metrics ---- */

static bool hook_is_ready(void *context, const char **reason)
{
	const struct hook *hook = context;
	if (hook->stopping_since)
		*reason = "it is stopping";
	else if (!cluster_synced(hook->cluster))
		*reason = cluster_missing(hook->cluster);
	else
		return true;
	return false;
}

static void hook_write_watch(void *context, const char *what, const struct watch_counters *counters, bool live)
{
	FILE *out = context;
	prometheus_labelled(out, "podswitch_webhook_watch_live", "of", what, live);
	prometheus_labelled(out, "podswitch_webhook_watch_errors_total", "of", what, (long long)counters->errors);
}

static void on_metrics(void *context, FILE *out)
{
	const struct hook *hook = context;
	const struct server_counters *served = server_count(hook->server);
	prometheus_head(out, "podswitch_webhook_info", "gauge", "The webhook's version.");
	prometheus_labelled(out, "podswitch_webhook_info", "version", PODSWITCH_VERSION, 1);
	prometheus_head(out, "podswitch_webhook_reviews_total", "counter", "Reviews answered, by verdict.");
	for (unsigned i = 0; i < ADMIT_VERDICTS; i++)
		prometheus_labelled(out, "podswitch_webhook_reviews_total", "verdict", admit_verdict_name(i),
				    (long long)hook->verdicts[i]);
	prometheus_counter(out, "podswitch_webhook_malformed_total", "Requests that were no review.",
			   (long long)hook->malformed);
	prometheus_histogram(out, "podswitch_webhook_review_seconds", "From a review's last byte to its answer.",
			     &served->seconds);
	prometheus_gauge(out, "podswitch_webhook_clients", "Connections.", served->clients);
	prometheus_gauge(out, "podswitch_webhook_requests", "Requests under way.", served->requests);
	prometheus_gauge(out, "podswitch_webhook_waiting", "Reviews that wait for the cluster's news.",
			 served->waiting);
	prometheus_counter(out, "podswitch_webhook_cut_total", "Connections ended for being slow.",
			   (long long)served->cut);
	prometheus_counter(out, "podswitch_webhook_idle_total", "Connections ended for being idle.",
			   (long long)served->idle);
	prometheus_counter(out, "podswitch_webhook_crowded_total", "Connections ended to make room for newer ones.",
			   (long long)served->crowded);
	prometheus_counter(out, "podswitch_webhook_refused_total", "Requests answered with 400 and more.",
			   (long long)served->refused);
	prometheus_gauge(out, "podswitch_webhook_config_ok", "Whether the configuration file is in force.",
			 !hook->rejected);
	if (hook->keypair)
		prometheus_gauge(out, "podswitch_webhook_certificate_expires",
				 "When the certificate ends, in seconds since 1970.", keypair_expires(hook->keypair));
	prometheus_gauge(out, "podswitch_webhook_api_reachable", "Whether the API server answers.",
			 kube_reachable(hook->kube));
	cluster_count(hook->cluster, hook_write_watch, out);
}

/* ---- files ---- */

/* The nameservers of a resolv.conf, as pod-gateway's webhook takes them from its own. */
static json_t *read_nameservers(const char *path)
{
	json_t *list = json_array();
	char line[512], address[64];
	FILE *file = path ? fopen(path, "re") : NULL;
	while (file && fgets(line, sizeof(line), file))
		if (sscanf(line, " nameserver %63s", address) == 1 && json_array_size(list) < MAX_CLUSTER_DNS)
			json_array_append_new(list, json_string(address));
	if (file)
		fclose(file);
	return list;
}

static bool config_changed(struct hook *hook)
{
	struct stat now;
	if (stat(hook->usage->config, &now))
		return false;
	bool same = file_unchanged(&now, &hook->seen);
	hook->seen = now;
	return !same;
}

static void refresh_config(struct hook *hook)
{
	struct profiles *fresh = NULL;
	struct failure why = {0};
	if (!hook->usage->config || !config_changed(hook))
		return;
	hook->rejected = profiles_load(hook->usage->config, &fresh, &why);
	if (hook->rejected) {
		log_line(LOG_ERROR, "%s; the previous configuration stays in force", why.text);
		return;
	}
	profiles_free(hook->profiles);
	hook->profiles = fresh;
	log_line(LOG_INFO, "%s has been reloaded", hook->usage->config);
}

static int open_files(struct hook *hook, struct failure *why)
{
	const struct usage *usage = hook->usage;
	int error = 0;
	if (usage->config) {
		config_changed(hook);
		error = profiles_load(usage->config, &hook->profiles, why);
	} else {
		error = profiles_read(NULL, &hook->profiles, why);
	}
	if (!error && usage->cert_file)
		error = keypair_open(usage->cert_file, usage->key_file, &hook->keypair, why);
	hook->cluster_dns = read_nameservers(usage->resolv_conf);
	return error;
}

/* ---- opening and closing ---- */

static void hook_cluster_changed(void *context)
{
	struct hook *hook = context;
	if (hook->server)
		server_wake(hook->server);
}

static int hook_open_cluster(struct hook *hook, struct failure *why)
{
	const struct usage *usage = hook->usage;
	const struct kube_options api = {.server = usage->api,
					 .token_file = usage->token_file,
					 .ca_file = usage->ca_file,
					 .backoff_max_ms = 5000};
	const struct cluster_config config = {.changed = hook_cluster_changed, .context = hook};
	int error = kube_open(&api, &hook->kube, why);
	if (!error)
		error = cluster_open(hook->kube, &config, &hook->cluster, why);
	hook->lookup.cluster = hook->cluster;
	return error;
}

static int open_server(struct hook *hook, struct failure *why)
{
	const struct server_config config = {
		.listen = hook->usage->listen,
		.keypair = hook->keypair,
		.patience = hook->usage->patience,
		.review = on_review,
		.context = hook,
		.pages = {hook_is_ready, on_metrics, hook},
	};
	return server_open(&config, &hook->server, why);
}

int hook_open(const struct usage *usage, struct hook **out, struct failure *why)
{
	struct hook *hook = calloc(1, sizeof(*hook));
	if (!hook)
		return fail(why, -ENOMEM, NULL, "out of memory");
	hook->usage = usage;
	hook->policy = (struct choose_policy){
		.default_gateway = usage->default_gateway,
		.set_gateway_default = usage->set_gateway_default,
		.pod_annotations = usage->pod_annotations,
		.cluster_domain = usage->cluster_domain,
	};
	if (gethostname(hook->instance, sizeof(hook->instance) - 1))
		hook->instance[0] = '\0';
	int error = open_files(hook, why);
	if (!error)
		error = hook_open_cluster(hook, why);
	if (!error)
		error = open_server(hook, why);
	if (error) {
		hook_close(hook);
		return error;
	}
	*out = hook;
	return 0;
}

void hook_close(struct hook *hook)
{
	if (!hook)
		return;
	server_close(hook->server);
	cluster_close(hook->cluster);
	kube_close(hook->kube);
	keypair_close(hook->keypair);
	profiles_free(hook->profiles);
	gateway_lookup_free(&hook->lookup);
	json_decref(hook->cluster_dns);
	free(hook);
}

/* ---- the loop ---- */

void hook_wait(struct hook *hook, int fd)
{
	struct curl_waitfd fds[] = {
		{.fd = server_fd(hook->server), .events = CURL_WAIT_POLLIN},
		{.fd = fd, .events = CURL_WAIT_POLLIN},
	};
	(void)kube_wait(hook->kube, fds, fd < 0 ? 1 : 2, server_timeout(hook->server));
}

void hook_turn(struct hook *hook)
{
	uint64_t now = clock_ms();
	kube_turn(hook->kube);
	server_turn(hook->server, now);
	if (now - hook->files_checked < FILES_EVERY)
		return;
	hook->files_checked = now;
	refresh_config(hook);
	if (hook->keypair)
		keypair_refresh(hook->keypair, now);
}

void hook_drain(struct hook *hook)
{
	hook->stopping_since = hook->stopping_since ? hook->stopping_since : clock_ms();
	server_drain(hook->server);
}

bool hook_drained(const struct hook *hook)
{
	uint64_t since = hook->stopping_since ? clock_ms() - hook->stopping_since : 0,
		 linger = hook->usage->linger * 1000ull;
	return hook->stopping_since && since >= linger &&
	       (!server_count(hook->server)->requests || since >= linger + PATIENCE);
}
