/* SPDX-License-Identifier: Apache-2.0 */
/* test_cert.c - podswitch-webhook cert, and the certificates it makes, beside an API server of threads */
#include "control/webhook/authority.c"

#include "control/webhook/cert.c"

#include "tests/unit/json_patch.h"
#include "tests/unit/small_api.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define SECRETS "/api/v1/namespaces/podswitch/secrets"
#define SECRET SECRETS "/podswitch-webhook-tls"
#define CONFIGURATION "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/podswitch"
#define SERVICE "\"service\":{\"namespace\":\"podswitch\",\"name\":\"podswitch-webhook\"}"

static struct small_api *api;
static char folder[40], token[64];
static struct usage usage;
static unsigned patches, secrets, conflicts, refusals;
static char order[32]; /* of the writes: p a patch, s a Secret */

/* ---- the API server ---- */

static unsigned patch_configuration(const char *body)
{
	json_t *old = json_loads(json_string_value(json_object_get(api->objects, CONFIGURATION)), 0, NULL);
	json_t *patch = json_loads(body, 0, NULL), *tests = json_array();
	size_t i;
	json_t *operation;

	json_array_foreach(patch, i, operation)
	{
		if (!strcmp(json_string_value(json_object_get(operation, "op")), "test"))
			assert_int_equal(json_array_append(tests, operation), 0);
	}
	assert_int_equal(json_array_size(tests) * 2, json_array_size(patch));
	for (i = json_array_size(patch); i > 0; i -= 2)
		json_array_remove(patch, i - 2);
	json_t *new = patch_apply(old, patch);
	char *text = json_dumps(new, 0);
	json_object_set_new(api->objects, CONFIGURATION, json_string(text));
	free(text);
	json_decref(old), json_decref(patch), json_decref(tests), json_decref(new);
	patches++;
	strcat(order, "p");
	return 200;
}

static unsigned on_write(struct small_api *of, const char *method, const char *path, const char *body)
{
	bool there = json_object_get(of->objects, SECRET);

	if (refusals) {
		refusals--;
		return 403;
	}
	if (!strcmp(method, "PATCH"))
		return strcmp(path, CONFIGURATION) ? 404 : patch_configuration(body);
	if (conflicts) { /* another has been faster */
		conflicts--;
		struct authority other;
		const char *const names[] = {"podswitch-webhook.podswitch.svc", "podswitch-webhook.podswitch",
					     "podswitch-webhook.podswitch.svc.cluster.local", NULL};
		const struct authority_order by = {.names = names, .now = time(NULL), .days = 365};
		assert_int_equal(authority_make(&by, &other, NULL), 0);
		json_t *secret = json_pack("{s:{s:o, s:o, s:o}}", "data", "ca.crt", base64_encode(other.ca), "tls.crt",
					   base64_encode(other.cert), "tls.key", base64_encode(other.key));
		char *text = json_dumps(secret, 0);
		json_object_set_new(of->objects, SECRET, json_string(text));
		free(text);
		json_decref(secret);
		authority_free(&other);
		return 409;
	}
	if (!strcmp(method, "POST") ? there || strcmp(path, SECRETS) != 0 : !there || strcmp(path, SECRET) != 0)
		return 409;
	json_object_set_new(of->objects, SECRET, json_string(body));
	secrets++;
	strcat(order, "s");
	return 201;
}

static void put_configuration(void)
{
	api_put(api, CONFIGURATION,
		"{\"webhooks\":[{\"name\":\"a\",\"clientConfig\":{" SERVICE "}},{\"name\":\"b\",\"clientConfig\":"
		"{\"service\":{\"namespace\":\"other\",\"name\":\"podswitch-webhook\"}}},{\"name\":\"c\","
		"\"clientConfig\":{\"url\":\"https://10.0.0.1/\"}}]}");
}

static json_t *stored(const char *path)
{
	char *text = api_get(api, path);
	json_t *json = text ? json_loads(text, 0, NULL) : NULL;

	free(text);
	return json;
}

static char *bundle(size_t i)
{
	json_t *configuration = stored(CONFIGURATION);
	const json_t *client =
		json_object_get(json_array_get(json_object_get(configuration, "webhooks"), i), "clientConfig");
	char *text = base64_decode(json_string_value(json_object_get(client, "caBundle")));

	json_decref(configuration);
	return text;
}

static void secret_now(struct authority *out)
{
	json_t *secret = stored(SECRET);

	read_secret(secret, out);
	json_decref(secret);
}

static int run(struct failure *why)
{
	patches = secrets = 0;
	order[0] = '\0';
	return cert_run(&usage, -1, why);
}

static int setup(void **state)
{
	(void)state;
	api_put(api, SECRET, NULL);
	put_configuration();
	conflicts = refusals = 0;
	usage.days = 365;
	usage.renew_before = 90;
	return 0;
}

/* ---- the errand ---- */

static void test_first(void **state)
{
	(void)state;
	struct authority made;
	struct failure why = {0};

	assert_int_equal(run(&why), 0);
	assert_string_equal(order, "ps"); /* trusted before it is used */
	secret_now(&made);
	char *first = bundle(0), *other = bundle(1), *url = bundle(2);
	assert_string_equal(first, made.ca);
	assert_null(other); /* not our Service */
	assert_string_equal(url, made.ca);
	json_t *secret = stored(SECRET);
	assert_string_equal(json_string_value(json_object_get(secret, "type")), "kubernetes.io/tls");
	json_decref(secret);
	free(first), free(url);
	authority_free(&made);
	/* Once more, nothing is to be done. */
	assert_int_equal(run(&why), 0);
	assert_string_equal(order, "");
}

static void test_renewal(void **state)
{
	(void)state;
	struct authority old, new;

	assert_int_equal(run(NULL), 0);
	secret_now(&old);
	usage.renew_before = 370; /* it ends too soon now */
	usage.days = 500;
	assert_int_equal(run(NULL), 0);
	assert_string_equal(order, "ps");
	secret_now(&new);
	assert_string_not_equal(old.ca, new.ca);
	assert_string_not_equal(old.key, new.key);
	/* Who still serves with the old one is still trusted. */
	char *text = bundle(0);
	assert_non_null(strstr(text, old.ca));
	assert_ptr_equal(strstr(text, new.ca), text);
	free(text);
	assert_int_equal(run(NULL), 0);
	assert_string_equal(order, "");
	authority_free(&old);
	authority_free(&new);
}

static void test_bundle_lost(void **state)
{
	(void)state;
	struct authority made;

	assert_int_equal(run(NULL), 0);
	secret_now(&made);
	put_configuration();
	assert_int_equal(run(NULL), 0);
	assert_string_equal(order, "p");
	char *text = bundle(0);
	assert_string_equal(text, made.ca);
	free(text);
	authority_free(&made);
}

static void test_overtaken(void **state)
{
	(void)state;
	struct authority there;

	conflicts = 1;
	assert_int_equal(run(NULL), 0);
	assert_string_equal(order, "pp"); /* ours, then the other's */
	secret_now(&there);
	char *text = bundle(0);
	assert_non_null(strstr(text, there.ca));
	free(text);
	authority_free(&there);
}

static void test_nonsense_inside(void **state)
{
	(void)state;
	struct authority made;

	api_put(api, SECRET,
		"{\"metadata\":{\"resourceVersion\":\"7\",\"labels\":{\"a\":\"b\"}},\"data\":{\"tls.crt\":"
		"\"!\",\"ca.crt\":\"bm8gY2VydGlmaWNhdGU=\"}}");
	assert_int_equal(run(NULL), 0);
	assert_string_equal(order, "ps");
	json_t *secret = stored(SECRET), *metadata = json_object_get(secret, "metadata");
	assert_string_equal(json_string_value(json_object_get(metadata, "resourceVersion")), "7");
	assert_non_null(json_object_get(metadata, "labels"));
	json_decref(secret);
	secret_now(&made);
	char *text = bundle(0);
	assert_string_equal(text, made.ca);
	free(text);
	authority_free(&made);
}

static void test_failures(void **state)
{
	(void)state;
	struct failure why = {0};

	api_put(api, CONFIGURATION, NULL);
	assert_true(run(&why) < 0);
	assert_non_null(strstr(why.text, "mutatingwebhookconfigurations/podswitch"));
	assert_string_equal(order, "");
	put_configuration();
	refusals = 1;
	assert_true(run(&why) < 0);
	assert_string_equal(order, "");
}

/* ---- what is made ---- */

static const char *const names[] = {"podswitch-webhook.podswitch.svc", "two.example", NULL};
static const char *const others[] = {"podswitch-webhook.podswitch.svc", "three.example", NULL};

static int check_made(const struct authority *made, int64_t now, unsigned before, const char *const *whose,
		      const char *wanted)
{
	const struct authority_order by = {.names = whose, .now = now, .days = 10, .renew_before = before};
	struct failure why = {0};
	int error = authority_check(&by, made, &why);

	if (wanted && !strstr(why.text, wanted))
		fail_msg("'%s', not '%s'", why.text, wanted);
	return error;
}

static void test_checks(void **state)
{
	(void)state;
	int64_t now = time(NULL);
	const struct authority_order by = {.names = names, .now = now, .days = 10};
	struct authority made, other;

	assert_int_equal(authority_make(&by, &made, NULL), 0);
	assert_int_equal(authority_make(&by, &other, NULL), 0);
	assert_int_equal(check_made(&made, now, 9, names, NULL), 0);
	assert_int_equal(check_made(&made, now, 10, names, "expires in 10 days"), -EINVAL);
	assert_int_equal(check_made(&made, now + (int64_t)8 * DAY, 3, names, "expires in 2 days"), -EINVAL);
	assert_int_equal(check_made(&made, now + (int64_t)11 * DAY, 0, names, "has expired"), -EINVAL);
	assert_int_equal(check_made(&made, now, 1, others, "not valid for three.example"), -EINVAL);
	struct authority mixed = made;
	mixed.key = other.key;
	assert_int_equal(check_made(&mixed, now, 1, names, "the key does not match"), -EINVAL);
	mixed = made;
	mixed.ca = other.ca;
	assert_int_equal(check_made(&mixed, now, 1, names, "authority did not sign it"), -EINVAL);
	mixed.ca = NULL;
	assert_int_equal(check_made(&mixed, now, 1, names, "authority did not sign it"), -EINVAL);
	mixed = made;
	mixed.cert = NULL;
	assert_int_equal(check_made(&mixed, now, 1, names, "there is no certificate"), -EINVAL);
	mixed = made;
	mixed.key = NULL;
	assert_int_equal(check_made(&mixed, now, 1, names, "there is no key"), -EINVAL);
	assert_true(authority_reads(made.ca));
	assert_false(authority_reads("no certificate"));
	assert_false(authority_reads(NULL));
	authority_free(&made);
	authority_free(&other);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_first, setup),
		cmocka_unit_test_setup(test_renewal, setup),
		cmocka_unit_test_setup(test_bundle_lost, setup),
		cmocka_unit_test_setup(test_overtaken, setup),
		cmocka_unit_test_setup(test_nonsense_inside, setup),
		cmocka_unit_test_setup(test_failures, setup),
		cmocka_unit_test(test_checks),
	};
	char *argv[] = {"cert", "--log-level", "error", NULL};

	log_set_level(LOG_ERROR);
	strcpy(folder, "/dev/shm/podswitch-cert-XXXXXX");
	if (!mkdtemp(folder) || usage_read(argv, &usage, NULL))
		return 1;
	snprintf(token, sizeof(token), "%s/token", folder);
	FILE *file = fopen(token, "w");
	if (!file || fputs("token", file) < 0 || fclose(file))
		return 1;
	api = api_open();
	api->write = on_write;
	api_start(api);
	usage.api = api->url;
	usage.token_file = usage.ca_file = token;
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	unlink(token);
	rmdir(folder);
	return failed;
}
