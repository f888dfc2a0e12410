/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cert.c - podswitch-webhook cert: keeps the webhook's certificate in a Secret, and its authority where it is trusted
 *
 *   GET Secret -- good --> is its CA in the MutatingWebhookConfiguration? --no--> PATCH caBundle
 *        |
 *        `-- missing, expiring, not ours --> make a CA and a certificate
 *               1. PATCH caBundle: new CA, then the old one     both are trusted from here on
 *               2. PUT (POST) Secret                            the webhook's pods read it, each at its own time
 *
 * In this order no pod of the webhook ever serves a certificate that the API server does not trust. When another
 * process does the same and is faster, the Secret's resourceVersion (409) or the patch's "test" (422) stops us, and we
 * start over: the next round finds that everything is done.
 *
 * One thread. Each request runs the loop of api.c until its answer is there, or a signal to stop.
 */
#include "control/webhook/cert.h"
#include "control/base/json.h"
#include "control/kube/api.h"
#include "control/kube/kube.h"
#include "control/webhook/authority.h"
#include "control/webhook/base64.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#define TRIES 5
#define AGAIN 10000 /* ms until the next round after a failed one */
#define MAX_NAMES 4
#define NAME 320

struct renewal {
	const struct usage *usage;
	struct kube *kube;
	int signals;
	char names[MAX_NAMES][NAME];
	const char *list[MAX_NAMES + 1];
	struct authority_order order;
	char secrets[128], secret[320], configuration[320]; /* paths */
	const char *service_name;
	char service_namespace[128];
};

/* ---- requests, one after the other ---- */

struct cert_answer {
	bool done;
	long status;
	json_t *body;
	char text[200];
};

static void cert_on_done(void *context, long status, json_t *body, const char *text)
{
	struct cert_answer *answer = context;
	answer->done = true;
	answer->status = status;
	answer->body = json_incref(body);
	snprintf(answer->text, sizeof(answer->text), "%s", text);
}

/* The HTTP status, with *body (may be NULL) to json_decref; or a negative errno. */
static long renewal_request(struct renewal *renewal, const char *method, const char *path, json_t *body, json_t **out,
			    struct failure *why)
{
	struct cert_answer answer = {0};
	const struct kube_request request = {
		.method = method,
		.path = path,
		.body = body,
		.content_type = !strcmp(method, "PATCH") ? "application/json-patch+json" : NULL,
		.done = cert_on_done,
		.context = &answer,
	};
	int error = kube_request(renewal->kube, &request, why);
	if (error)
		return error;
	while (!answer.done) {
		struct curl_waitfd stop = {.fd = renewal->signals, .events = CURL_WAIT_POLLIN};
		(void)kube_wait(renewal->kube, &stop, renewal->signals >= 0, 1000);
		kube_turn(renewal->kube);
		if (stop.revents && !answer.done) {
			kube_cancel(renewal->kube, &answer);
			return fail(why, -EINTR, NULL, "stopped by a signal");
		}
	}
	if (answer.status < 0 || answer.status >= 400)
		fail(why, answer.status < 0 ? (int)answer.status : -EIO, NULL, "%s %.100s: %.120s", method, path,
		     answer.text);
	if (out)
		*out = answer.body;
	else
		json_decref(answer.body);
	return answer.status;
}

/* ---- the Secret ---- */

static void read_secret(const json_t *secret, struct authority *out)
{
	const json_t *data = json_object_get(secret, "data");
	*out = (struct authority){
		.ca = base64_decode(json_string_value(json_object_get(data, "ca.crt"))),
		.cert = base64_decode(json_string_value(json_object_get(data, "tls.crt"))),
		.key = base64_decode(json_string_value(json_object_get(data, "tls.key"))),
	};
}

/* A new Secret, or the old one with new contents. */
static json_t *renewal_make_secret(const struct renewal *renewal, const json_t *old, const struct authority *authority)
{
	const char *slash = strchr(renewal->usage->secret, '/');
	json_t *secret = old ? json_deep_copy(old)
			     : json_pack("{s:s, s:s, s:s, s:{s:s, s:s#, s:{s:s}}}", "apiVersion", "v1", "kind",
					 "Secret", "type", "kubernetes.io/tls", "metadata", "name", slash + 1,
					 "namespace", renewal->usage->secret, (int)(slash - renewal->usage->secret),
					 "labels", "app.kubernetes.io/name", "podswitch-webhook");
	int error = json_object_set_new(secret, "data",
					json_pack("{s:o, s:o, s:o}", "ca.crt", base64_encode(authority->ca), "tls.crt",
						  base64_encode(authority->cert), "tls.key",
						  base64_encode(authority->key)));
	if (!error)
		return secret;
	json_decref(secret);
	return NULL;
}

/* 0, -EAGAIN when another process was faster, or another negative errno. */
static int renewal_store_secret(struct renewal *renewal, const json_t *old, const struct authority *authority,
				struct failure *why)
{
	json_t *secret = renewal_make_secret(renewal, old, authority);
	if (!secret)
		return fail(why, -ENOMEM, NULL, "out of memory");
	long status = renewal_request(renewal, old ? "PUT" : "POST", old ? renewal->secret : renewal->secrets, secret,
				      NULL, why);
	json_decref(secret);
	if (status == 409 || (old && status == 404))
		return -EAGAIN;
	return status < 0 ? (int)status : status >= 400 ? -EIO : 0;
}

/* ---- the MutatingWebhookConfiguration ---- */

/* An entry for our Service, or for a URL: behind that it can only be us, since the configuration is ours. */
static bool webhook_is_ours(const struct renewal *renewal, const json_t *webhook)
{
	const json_t *client = json_object_get(webhook, "clientConfig"), *service = json_object_get(client, "service");
	if (!service)
		return client;
	return !strcmp(json_text(service, "name"), renewal->service_name) &&
	       !strcmp(json_text(service, "namespace"), renewal->service_namespace);
}

static bool webhook_trusts(const json_t *webhook, const char *ca)
{
	char *text = base64_decode(json_text(json_object_get(webhook, "clientConfig"), "caBundle"));
	bool found = text && strstr(text, ca);
	free(text);
	return found;
}

/* The patch that makes all our entries trust `ca`, and `old` as well; empty when they do. NULL without memory. */
static json_t *renewal_make_patch(const struct renewal *renewal, const json_t *configuration, const char *ca,
				  const char *old)
{
	json_t *patch = json_array(), *webhook;
	char *bundle = NULL, path[64];
	size_t i;
	if (asprintf(&bundle, "%s%s", ca, old ? old : "") < 0)
		bundle = NULL;
	json_array_foreach(json_object_get(configuration, "webhooks"), i, webhook)
	{
		if (!bundle || !webhook_is_ours(renewal, webhook) || webhook_trusts(webhook, ca))
			continue;
		/* Another entry may have this index by now. */
		snprintf(path, sizeof(path), "/webhooks/%zu/name", i);
		json_array_append_new(patch, json_pack("{s:s, s:s, s:O}", "op", "test", "path", path, "value",
						       json_object_get(webhook, "name")));
		snprintf(path, sizeof(path), "/webhooks/%zu/clientConfig/caBundle", i);
		json_array_append_new(
			patch, json_pack("{s:s, s:s, s:o}", "op", "add", "path", path, "value", base64_encode(bundle)));
	}
	if (!bundle) {
		json_decref(patch);
		patch = NULL;
	}
	free(bundle);
	return patch;
}

static int renewal_trust_authority(struct renewal *renewal, const char *ca, const char *old, struct failure *why)
{
	json_t *configuration = NULL;
	long status = renewal_request(renewal, "GET", renewal->configuration, NULL, &configuration, why);
	json_t *patch = status == 200 ? renewal_make_patch(renewal, configuration, ca, old) : NULL;
	json_decref(configuration);
	if (status != 200)
		return status < 0 ? (int)status : -EIO;
	if (!patch)
		return fail(why, -ENOMEM, NULL, "out of memory");
	if (json_array_size(patch)) {
		status = renewal_request(renewal, "PATCH", renewal->configuration, patch, NULL, why);
		if (status == 200)
			log_line(LOG_INFO, "the MutatingWebhookConfiguration %s trusts the certificate",
				 renewal->usage->configuration);
	}
	json_decref(patch);
	if (status == 409 || status == 422)
		return -EAGAIN;
	return status < 0 ? (int)status : status >= 400 ? -EIO : 0;
}

/* ---- one round ---- */

static int renewal_make_certificate(struct renewal *renewal, const json_t *secret, const struct authority *old,
				    struct failure *why)
{
	struct authority fresh = {0};
	int error = authority_make(&renewal->order, &fresh, why);
	if (error)
		return error;
	error = renewal_trust_authority(renewal, fresh.ca, authority_reads(old->ca) ? old->ca : NULL, why);
	if (!error)
		error = renewal_store_secret(renewal, secret, &fresh, why);
	if (!error)
		log_line(LOG_INFO, "the Secret %s has a new certificate, good for %u days", renewal->usage->secret,
			 renewal->usage->days);
	authority_free(&fresh);
	return error;
}

static int renewal_run(struct renewal *renewal, struct failure *why)
{
	json_t *secret = NULL;
	struct authority there = {0};
	struct failure reason = {0};
	long status = renewal_request(renewal, "GET", renewal->secret, NULL, &secret, why);
	if (status != 200 && status != 404) {
		json_decref(secret);
		return status < 0 ? (int)status : -EIO;
	}
	if (status == 404) {
		json_decref(secret);
		secret = NULL;
	}
	read_secret(secret, &there);
	renewal->order.now = time(NULL);
	bool good = secret && !authority_check(&renewal->order, &there, &reason);
	if (secret && !good)
		log_line(LOG_INFO, "the certificate in the Secret %s: %s; making a new one", renewal->usage->secret,
			 reason.text);
	int error = good ? renewal_trust_authority(renewal, there.ca, NULL, why)
			 : renewal_make_certificate(renewal, secret, &there, why);
	authority_free(&there);
	json_decref(secret);
	return error;
}

static int renewal_run_retrying(struct renewal *renewal, struct failure *why)
{
	int error = -EAGAIN;
	for (int i = 0; i < TRIES && error == -EAGAIN; i++)
		error = renewal_run(renewal, why);
	return error;
}

/* The Service's DNS names, and the paths of the three objects. */
static void renewal_set_names(struct renewal *renewal)
{
	const struct usage *usage = renewal->usage;
	const char *slash = strchr(usage->service, '/'), *at = strchr(usage->secret, '/');
	renewal->service_name = slash + 1;
	snprintf(renewal->service_namespace, sizeof(renewal->service_namespace), "%.*s", (int)(slash - usage->service),
		 usage->service);
	const char *name = renewal->service_name, *namespace = renewal->service_namespace;
	snprintf(renewal->names[0], NAME, "%.63s.%.63s.svc", name, namespace);
	snprintf(renewal->names[1], NAME, "%.63s.%.63s", name, namespace);
	snprintf(renewal->names[2], NAME, "%.63s.%.63s.svc.%.150s", name, namespace,
		 usage->cluster_domain ? usage->cluster_domain : "cluster.local");
	for (size_t i = 0; i < 3; i++)
		renewal->list[i] = renewal->names[i];
	snprintf(renewal->secrets, sizeof(renewal->secrets), "/api/v1/namespaces/%.*s/secrets",
		 (int)(at - usage->secret < 64 ? at - usage->secret : 64), usage->secret);
	snprintf(renewal->secret, sizeof(renewal->secret), "%s/%.180s", renewal->secrets, at + 1);
	snprintf(renewal->configuration, sizeof(renewal->configuration),
		 "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/%.200s", usage->configuration);
	renewal->order = (struct authority_order){
		.names = renewal->list, .days = usage->days, .renew_before = usage->renew_before};
}

/* Returns whether a signal to stop came. */
static bool renewal_sleep(struct renewal *renewal, uint64_t ms)
{
	uint64_t now = clock_ms(), end = now + ms;
	struct curl_waitfd stop = {.fd = renewal->signals, .events = CURL_WAIT_POLLIN};
	for (; now < end && !stop.revents; now = clock_ms()) {
		(void)kube_wait(renewal->kube, &stop, renewal->signals >= 0,
				(int)(end - now < 60000 ? end - now : 60000));
		kube_turn(renewal->kube);
	}
	return stop.revents;
}

int cert_run(const struct usage *usage, int signals, struct failure *why)
{
	struct renewal renewal = {.usage = usage, .signals = signals};
	const struct kube_options api = {
		.server = usage->api, .token_file = usage->token_file, .ca_file = usage->ca_file};
	renewal_set_names(&renewal);
	int error = kube_open(&api, &renewal.kube, why);
	if (error)
		return error;
	for (;;) {
		error = renewal_run_retrying(&renewal, why);
		if (!usage->every || error == -EINTR)
			break;
		if (error)
			log_line(LOG_WARNING, "%s; trying again in %d s", why->text, AGAIN / 1000);
		if (renewal_sleep(&renewal, error ? AGAIN : usage->every * 1000ull))
			break;
	}
	kube_close(renewal.kube);
	return usage->every ? 0 : error;
}
