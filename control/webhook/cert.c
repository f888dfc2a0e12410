/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cert.c - podswitch-webhook cert
 *
 * The order of a renewal matters: first the API server is told of the new authority, beside the old one, then the
 * Secret gets the new certificate, which the webhook's pods see at different times. Whoever is overtaken by another
 * that does the same (the Secret is another than it was, 409) begins again, and finds that all is done.
 */
#include "control/webhook/cert.h"
#include "control/kube/api.h"
#include "control/kube/kube.h"
#include "control/webhook/authority.h"

#include <gnutls/gnutls.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define TRIES 5
#define AGAIN 10000 /* ms until the next try after a failure */
#define MAX_NAMES 4
#define NAME 320

struct errand {
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

/* ---- asking, and waiting for the answer ---- */

struct answer {
	bool done;
	long status;
	json_t *body;
	char text[200];
};

static void on_done(void *context, long status, json_t *body, const char *text)
{
	struct answer *answer = context;
	answer->done = true;
	answer->status = status;
	answer->body = json_incref(body);
	snprintf(answer->text, sizeof(answer->text), "%s", text);
}

/* The HTTP status, with *body (may be NULL) to json_decref; or a negative errno. */
static long ask(struct errand *errand, const char *method, const char *path, json_t *body, json_t **out,
		struct failure *why)
{
	struct answer answer = {0};
	const struct kube_request request = {
		.method = method,
		.path = path,
		.body = body,
		.content_type = !strcmp(method, "PATCH") ? "application/json-patch+json" : NULL,
		.done = on_done,
		.context = &answer,
	};
	int error = kube_request(errand->kube, &request, why);
	if (error)
		return error;
	while (!answer.done) {
		struct curl_waitfd stop = {.fd = errand->signals, .events = CURL_WAIT_POLLIN};
		(void)kube_wait(errand->kube, &stop, errand->signals >= 0, 1000);
		kube_turn(errand->kube);
		if (stop.revents && !answer.done) {
			kube_cancel(errand->kube, &answer);
			return fail(why, -EINTR, NULL, "told to stop");
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

static char *decode(const json_t *secret, const char *key)
{
	const char *text = json_string_value(json_object_get(json_object_get(secret, "data"), key));
	gnutls_datum_t in = {(unsigned char *)text, text ? (unsigned)strlen(text) : 0}, out;
	if (!text || gnutls_base64_decode2(&in, &out))
		return NULL;
	char *result = malloc(out.size + 1u);
	if (result) {
		memcpy(result, out.data, out.size);
		result[out.size] = '\0';
	}
	gnutls_memset(out.data, 0, out.size);
	gnutls_free(out.data);
	return result;
}

static json_t *encode(const char *text)
{
	gnutls_datum_t in = {(unsigned char *)text, (unsigned)strlen(text)}, out;
	if (gnutls_base64_encode2(&in, &out))
		return NULL;
	json_t *result = json_stringn((const char *)out.data, out.size);
	gnutls_free(out.data);
	return result;
}

static void read_secret(const json_t *secret, struct authority *out)
{
	*out = (struct authority){decode(secret, "ca.crt"), decode(secret, "tls.crt"), decode(secret, "tls.key")};
}

/* A new one, or the one that is there with other contents. */
static json_t *make_secret(const struct errand *errand, const json_t *old, const struct authority *authority)
{
	const char *slash = strchr(errand->usage->secret, '/');
	json_t *secret = old ? json_deep_copy(old)
			     : json_pack("{s:s, s:s, s:s, s:{s:s, s:s#, s:{s:s}}}", "apiVersion", "v1", "kind",
					 "Secret", "type", "kubernetes.io/tls", "metadata", "name", slash + 1,
					 "namespace", errand->usage->secret, (int)(slash - errand->usage->secret),
					 "labels", "app.kubernetes.io/name", "podswitch-webhook");
	int error = json_object_set_new(secret, "data",
					json_pack("{s:o, s:o, s:o}", "ca.crt", encode(authority->ca), "tls.crt",
						  encode(authority->cert), "tls.key", encode(authority->key)));
	if (!error)
		return secret;
	json_decref(secret);
	return NULL;
}

/* 0; -EAGAIN when another was faster. */
static int keep(struct errand *errand, const json_t *old, const struct authority *authority, struct failure *why)
{
	json_t *secret = make_secret(errand, old, authority);
	if (!secret)
		return fail(why, -ENOMEM, NULL, "out of memory");
	long status = ask(errand, old ? "PUT" : "POST", old ? errand->secret : errand->secrets, secret, NULL, why);
	json_decref(secret);
	if (status == 409 || (old && status == 404))
		return -EAGAIN;
	return status < 0 ? (int)status : status >= 400 ? -EIO : 0;
}

/* ---- the MutatingWebhookConfiguration ---- */

/* Whether the entry is about our Service, or about a URL, whoever may be behind it. */
static bool is_ours(const struct errand *errand, const json_t *webhook)
{
	const json_t *client = json_object_get(webhook, "clientConfig"), *service = json_object_get(client, "service");
	const char *name = json_string_value(json_object_get(service, "name"));
	const char *namespace = json_string_value(json_object_get(service, "namespace"));
	if (!service)
		return client;
	return name && namespace && !strcmp(name, errand->service_name) &&
	       !strcmp(namespace, errand->service_namespace);
}

static bool trusts(const json_t *webhook, const char *ca)
{
	const json_t *bundle = json_object_get(json_object_get(webhook, "clientConfig"), "caBundle");
	json_t *holder = json_pack("{s:{s:O*}}", "data", "x", bundle);
	char *text = decode(holder, "x");
	bool found = text && strstr(text, ca);
	json_decref(holder);
	free(text);
	return found;
}

/* The patch by which all our entries trust `ca`, and `old` beside it; empty when they do. NULL without memory. */
static json_t *make_patch(const struct errand *errand, const json_t *configuration, const char *ca, const char *old)
{
	json_t *patch = json_array(), *webhook;
	char *bundle = NULL, path[64];
	size_t i;
	if (asprintf(&bundle, "%s%s", ca, old ? old : "") < 0)
		bundle = NULL;
	json_array_foreach(json_object_get(configuration, "webhooks"), i, webhook)
	{
		if (!bundle || !is_ours(errand, webhook) || trusts(webhook, ca))
			continue;
		/* Someone may have put another entry there meanwhile. */
		snprintf(path, sizeof(path), "/webhooks/%zu/name", i);
		json_array_append_new(patch, json_pack("{s:s, s:s, s:O}", "op", "test", "path", path, "value",
						       json_object_get(webhook, "name")));
		snprintf(path, sizeof(path), "/webhooks/%zu/clientConfig/caBundle", i);
		json_array_append_new(patch,
				      json_pack("{s:s, s:s, s:o}", "op", "add", "path", path, "value", encode(bundle)));
	}
	if (!bundle) {
		json_decref(patch);
		patch = NULL;
	}
	free(bundle);
	return patch;
}

static int tell(struct errand *errand, const char *ca, const char *old, struct failure *why)
{
	json_t *configuration = NULL;
	long status = ask(errand, "GET", errand->configuration, NULL, &configuration, why);
	json_t *patch = status == 200 ? make_patch(errand, configuration, ca, old) : NULL;
	json_decref(configuration);
	if (status != 200)
		return status < 0 ? (int)status : -EIO;
	if (!patch)
		return fail(why, -ENOMEM, NULL, "out of memory");
	if (json_array_size(patch)) {
		status = ask(errand, "PATCH", errand->configuration, patch, NULL, why);
		if (status == 200)
			log_line(LOG_INFO, "the MutatingWebhookConfiguration %s trusts the certificate",
				 errand->usage->configuration);
	}
	json_decref(patch);
	if (status == 409 || status == 422)
		return -EAGAIN;
	return status < 0 ? (int)status : status >= 400 ? -EIO : 0;
}

/* ---- the errand ---- */

static int renew(struct errand *errand, const json_t *secret, const struct authority *old, struct failure *why)
{
	struct authority fresh = {0};
	int error = authority_make(&errand->order, &fresh, why);
	if (error)
		return error;
	error = tell(errand, fresh.ca, authority_reads(old->ca) ? old->ca : NULL, why);
	if (!error)
		error = keep(errand, secret, &fresh, why);
	if (!error)
		log_line(LOG_INFO, "the Secret %s has a new certificate, good for %u days", errand->usage->secret,
			 errand->usage->days);
	authority_free(&fresh);
	return error;
}

static int try(struct errand *errand, struct failure *why)
{
	json_t *secret = NULL;
	struct authority there = {0};
	struct failure matter = {0};
	long status = ask(errand, "GET", errand->secret, NULL, &secret, why);
	if (status != 200 && status != 404) {
		json_decref(secret);
		return status < 0 ? (int)status : -EIO;
	}
	if (status == 404) {
		json_decref(secret);
		secret = NULL;
	}
	read_secret(secret, &there);
	errand->order.now = time(NULL);
	bool good = secret && !authority_check(&errand->order, &there, &matter);
	if (secret && !good)
		log_line(LOG_INFO, "the certificate in the Secret %s: %s: another is made", errand->usage->secret,
			 matter.text);
	int error = good ? tell(errand, there.ca, NULL, why) : renew(errand, secret, &there, why);
	authority_free(&there);
	json_decref(secret);
	return error;
}

static int run_once(struct errand *errand, struct failure *why)
{
	int error = -EAGAIN;
	for (int i = 0; i < TRIES && error == -EAGAIN; i++)
		error = try(errand, why);
	return error;
}

/* The names by which the API server and pods reach the Service. */
static void name_all(struct errand *errand)
{
	const struct usage *usage = errand->usage;
	const char *slash = strchr(usage->service, '/'), *at = strchr(usage->secret, '/');
	errand->service_name = slash + 1;
	snprintf(errand->service_namespace, sizeof(errand->service_namespace), "%.*s", (int)(slash - usage->service),
		 usage->service);
	const char *name = errand->service_name, *namespace = errand->service_namespace;
	snprintf(errand->names[0], NAME, "%.63s.%.63s.svc", name, namespace);
	snprintf(errand->names[1], NAME, "%.63s.%.63s", name, namespace);
	snprintf(errand->names[2], NAME, "%.63s.%.63s.svc.%.150s", name, namespace,
		 usage->cluster_domain ? usage->cluster_domain : "cluster.local");
	for (size_t i = 0; i < 3; i++)
		errand->list[i] = errand->names[i];
	snprintf(errand->secrets, sizeof(errand->secrets), "/api/v1/namespaces/%.*s/secrets",
		 (int)(at - usage->secret < 64 ? at - usage->secret : 64), usage->secret);
	snprintf(errand->secret, sizeof(errand->secret), "%s/%.180s", errand->secrets, at + 1);
	snprintf(errand->configuration, sizeof(errand->configuration),
		 "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/%.200s", usage->configuration);
	errand->order = (struct authority_order){
		.names = errand->list, .days = usage->days, .renew_before = usage->renew_before};
}

/* Whether it is time to stop. */
static bool nap(struct errand *errand, uint64_t ms)
{
	uint64_t now = kube_now(), end = now + ms;
	struct curl_waitfd stop = {.fd = errand->signals, .events = CURL_WAIT_POLLIN};
	for (; now < end && !stop.revents; now = kube_now()) {
		(void)kube_wait(errand->kube, &stop, errand->signals >= 0,
				(int)(end - now < 60000 ? end - now : 60000));
		kube_turn(errand->kube);
	}
	return stop.revents;
}

int cert_run(const struct usage *usage, int signals, struct failure *why)
{
	struct errand errand = {.usage = usage, .signals = signals};
	const struct kube_options api = {
		.server = usage->api, .token_file = usage->token_file, .ca_file = usage->ca_file};
	name_all(&errand);
	int error = kube_open(&api, &errand.kube, why);
	if (error)
		return error;
	for (;;) {
		error = run_once(&errand, why);
		if (!usage->every || error == -EINTR)
			break;
		if (error)
			log_line(LOG_WARNING, "%s: tried again in %d s", why->text, AGAIN / 1000);
		if (nap(&errand, error ? AGAIN : usage->every * 1000ull))
			break;
	}
	kube_close(errand.kube);
	return usage->every ? 0 : error;
}
