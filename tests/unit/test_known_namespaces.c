/* SPDX-License-Identifier: Apache-2.0 */
/* test_known_namespaces.c - what the agent writes down for the plugin, and that the plugin reads it so */
#include "control/cni/known.c"
#include "control/kube/known_namespaces.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#undef fail /* cmocka has a macro of the name of our function */

#include "tests/unit/shell.h"

static json_t *namespaces;
static bool synced;

bool cluster_synced(const struct cluster *cluster)
{
	(void)cluster;
	return synced;
}

const json_t *cluster_objects(const struct cluster *cluster, enum cluster_kind kind)
{
	(void)cluster;
	(void)kind;
	return namespaces;
}

struct fixture {
	char top[64], path[96];
	struct choose_policy policy;
	struct known_namespaces known;
	uint64_t now;
};

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	strcpy(f->top, "/dev/shm/podswitch-known-XXXXXX");
	assert_non_null(mkdtemp(f->top));
	snprintf(f->path, sizeof(f->path), "%s/deep/known.json", f->top);
	f->policy = (struct choose_policy){.pod_annotations = true};
	f->known = (struct known_namespaces){.path = f->path, .policy = &f->policy, .changed = true};
	f->now = 100000;
	synced = true;
	namespaces = json_object();
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	known_namespaces_free(&f->known);
	json_decref(namespaces);
	assert_int_equal(shell_status(f->top, "rm -rf $D"), 0);
	free(f);
	return 0;
}

static void put(const char *name, const char *annotations)
{
	json_object_set_new(namespaces, name,
			    json_pack("{s:{s:o}}", "metadata", "annotations", json_loads(annotations, 0, NULL)));
}

static void turn(struct fixture *f, unsigned ms)
{
	f->now += ms;
	f->known.changed = true;
	known_namespaces_turn(&f->known, f->now);
}

static bool is_free(const struct fixture *f, const char *namespace)
{
	json_t *none = json_object();
	char why[256];
	bool free_pod = known_pod_is_free(f->path, namespace, none, why, sizeof(why));

	json_decref(none);
	return free_pod;
}

static void written_and_read(void **state)
{
	struct fixture *f = *state;

	synced = false;
	put("plain", "{}");
	put("out", "{\"podswitch.io/gateway\":\"none\"}");
	put("asks", "{\"podswitch.io/gateway\":\"vpn.x\"}");
	put("routes", "{\"podswitch.io/routes\":\"10.0.0.0/8=vpn\"}");
	turn(f, 0);
	assert_int_not_equal(access(f->path, F_OK), 0); /* half of a cluster is none */
	synced = true;
	turn(f, 0);
	assert_true(is_free(f, "plain") && is_free(f, "out"));
	assert_false(is_free(f, "asks") || is_free(f, "routes") || is_free(f, "unheard"));
	/* A change: within a second, and not more often. */
	put("plain", "{\"podswitch.io/gateway\":\"vpn\"}");
	turn(f, PAUSE_AFTER_LOOK - 1);
	assert_true(is_free(f, "plain"));
	turn(f, 1);
	assert_false(is_free(f, "plain"));
	/* Nothing new: not written. */
	assert_int_equal(shell_status(f->top, "stat -c %i $D/deep/known.json >$D/before"), 0);
	turn(f, PAUSE_AFTER_LOOK);
	assert_int_equal(shell_status(f->top, "stat -c %i $D/deep/known.json | cmp - $D/before"), 0);
	/* Removed by somebody. */
	assert_int_equal(shell_status(f->top, "rm -r $D/deep"), 0);
	f->now += LOOK_ANYWAY;
	known_namespaces_turn(&f->known, f->now);
	assert_true(is_free(f, "out"));
	known_namespaces_remove(&f->known);
	assert_int_equal(shell_status(f->top, "test ! -e $D/deep"), 0);
}

static void policies(void **state)
{
	struct fixture *f = *state;

	put("plain", "{}");
	f->policy.default_gateway = "vpn.media";
	turn(f, 0);
	assert_false(is_free(f, "plain"));
	f->policy.default_gateway = "";
	turn(f, PAUSE_AFTER_LOOK);
	assert_true(is_free(f, "plain"));
}

static void unwritable(void **state)
{
	struct fixture *f = *state;

	put("plain", "{}");
	assert_int_equal(shell_status(f->top, "echo >$D/deep"), 0);
	log_set_level(LOG_ERROR);
	turn(f, 0);
	assert_true(f->known.complained);
	assert_int_equal(shell_status(f->top, "rm $D/deep"), 0);
	turn(f, PAUSE_AFTER_LOOK);
	assert_true(is_free(f, "plain"));
}

#define test(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {test(written_and_read), test(policies), test(unwritable)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
