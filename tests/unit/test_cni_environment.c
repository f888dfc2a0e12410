/* SPDX-License-Identifier: Apache-2.0 */
/* test_cni_environment.c - CNI_* variables: what is missing, what is hostile, and what they say of the pod */
#include "control/cni/environment.c"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#define POD "K8S_POD_NAMESPACE=media;K8S_POD_NAME=tv-0"

static const struct variables good = {"ADD", "c0ffee", "/run/netns/x", "eth0", POD};

static void expect_refused(const struct variables *v, const char *piece)
{
	struct environment environment;
	struct refusal why = {0};

	assert_int_equal(environment_read(v, &environment, &why), 4);
	assert_int_equal(why.code, 4);
	if (!strstr(why.text, piece))
		assert_string_equal(why.text, piece);
}

static void expect_read(const struct variables *v, struct environment *out)
{
	struct refusal why = {0};

	if (environment_read(v, out, &why))
		assert_string_equal(why.text, "");
}

static void test_commands(void **state)
{
	static const char *const words[] = {"ADD", "DEL", "CHECK", "GC", "STATUS", "VERSION"};
	struct environment environment;
	struct variables v = good;

	(void)state;
	for (unsigned i = 0; i < 6; i++) {
		v.command = words[i];
		expect_read(&v, &environment);
		assert_int_equal(environment.command, i);
	}
	v.command = NULL;
	expect_refused(&v, "CNI_COMMAND is not set");
	v.command = "";
	expect_refused(&v, "CNI_COMMAND is not set");
	v.command = "add";
	expect_refused(&v, "'add' is not one of ADD, DEL");
	v.command = "ADDD";
	expect_refused(&v, "CNI_COMMAND: ");
}

static void test_missing(void **state)
{
	struct environment environment;
	struct variables v = {.command = "ADD"};

	(void)state;
	expect_refused(&v, "not set: CNI_CONTAINERID CNI_NETNS CNI_IFNAME");
	v.command = "CHECK";
	expect_refused(&v, "not set: CNI_CONTAINERID CNI_NETNS CNI_IFNAME");
	v.command = "DEL";
	expect_refused(&v, "not set: CNI_CONTAINERID CNI_IFNAME");
	v.container_id = "c0ffee";
	v.ifname = "";
	expect_refused(&v, "not set: CNI_IFNAME");
	v.ifname = "eth0";
	expect_read(&v, &environment);
	v.command = "ADD";
	expect_refused(&v, "not set: CNI_NETNS");
	v.netns = "/x";
	expect_refused(&v, "CNI_ARGS has no K8S_POD_NAMESPACE and K8S_POD_NAME");
	v.args = "K8S_POD_NAMESPACE=media";
	expect_refused(&v, "CNI_ARGS has no K8S_POD_NAMESPACE and K8S_POD_NAME");
	v = (struct variables){.command = "STATUS"};
	expect_read(&v, &environment);
}

static void test_args(void **state)
{
	static const struct {
		const char *args, *namespace, *pod, *uid;
	} cases[] = {
		{POD, "media", "tv-0", ""},
		{"IgnoreUnknown=1;;=;x;K8S_POD_UID=;" POD ";", "media", "tv-0", ""},
		{"K8S_POD_UID=1-2;K8S_POD_NAME=a.b;K8S_POD_NAMESPACE=n;XK8S_POD_NAME=q;K8S_POD_NAMEX=r", "n", "a.b",
		 "1-2"},
		{"K8S_POD_NAME=a;K8S_POD_NAME=b;K8S_POD_NAMESPACE=n", "n", "b", ""},
	};
	static const char *const bad[] = {
		"K8S_POD_NAMESPACE=Media;K8S_POD_NAME=a", "K8S_POD_NAMESPACE=../x;K8S_POD_NAME=a",
		"K8S_POD_NAMESPACE=m;K8S_POD_NAME=a/b",   "K8S_POD_NAMESPACE=m;K8S_POD_NAME=",
		"K8S_POD_NAMESPACE=m;K8S_POD_NAME=a\nb",  "K8S_POD_NAMESPACE=m;K8S_POD_NAME=a;K8S_POD_UID=a b",
		"K8S_POD_NAMESPACE=m;K8S_POD_NAME=a@b",   "K8S_POD_NAMESPACE= m;K8S_POD_NAME=a",
	};
	struct environment environment;
	struct variables v = good;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		v.args = cases[i].args;
		expect_read(&v, &environment);
		assert_string_equal(environment.namespace, cases[i].namespace);
		assert_string_equal(environment.pod, cases[i].pod);
		assert_string_equal(environment.uid, cases[i].uid);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		v.command = "ADD";
		v.args = bad[i];
		expect_refused(&v, "CNI_ARGS: K8S_POD_");
		v.command = "DEL";
		expect_read(&v, &environment);
		assert_string_equal(environment.container_id, "c0ffee");
		assert_string_equal(environment.namespace, "");
		assert_string_equal(environment.pod, "");
	}
}

static char *repeat(const char *head, char c, size_t count)
{
	char *text = malloc(strlen(head) + count + 1);

	strcpy(text, head);
	memset(text + strlen(head), c, count);
	text[strlen(head) + count] = '\0';
	return text;
}

/* The longest that is taken, and one more. */
static void check_length(size_t variable, const char *head, char c, size_t most)
{
	struct environment environment;
	struct variables v = good;
	char *fits = repeat(head, c, most - strlen(head)), *longer = repeat(fits, c, 1);

	*(const char **)((char *)&v + variable) = fits;
	expect_read(&v, &environment);
	*(const char **)((char *)&v + variable) = longer;
	expect_refused(&v, "CNI_");
	free(fits);
	free(longer);
}

static void test_lengths(void **state)
{
	static const char name[] = "K8S_POD_NAME=x;K8S_POD_NAMESPACE=", uid[] = POD ";K8S_POD_UID=";

	(void)state;
	check_length(offsetof(struct variables, container_id), "c", 'c', 255);
	check_length(offsetof(struct variables, ifname), "i", 'i', 15);
	check_length(offsetof(struct variables, netns), "/", 'n', PATH_MAX - 1);
	check_length(offsetof(struct variables, args), name, 'n', strlen(name) + 63);
	check_length(offsetof(struct variables, args), uid, 'u', strlen(uid) + 63);
}

static void test_hostile(void **state)
{
	static const char *const words[] = {"../x", ".",   "..",       "a/b", "-a", "a b",
					    "a\n",  "a;b", "\xc3\xa4", "a@b", "%s"};
	struct variables v = good;

	(void)state;
	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++) {
		v = good;
		v.container_id = words[i];
		expect_refused(&v, "CNI_CONTAINERID: ");
		v.command = "DEL";
		expect_refused(&v, "CNI_CONTAINERID: ");
		v = good;
		v.ifname = words[i];
		expect_refused(&v, "CNI_IFNAME: ");
	}
	v = good;
	v.netns = "run/netns/x";
	expect_refused(&v, "CNI_NETNS: ");
	v.netns = "/run/netns/x\n";
	expect_refused(&v, "CNI_NETNS: ");
	v.netns = "/run/\xcdtns/x";
	expect_refused(&v, "CNI_NETNS: ");
	v.command = "DEL";
	struct environment environment;
	expect_read(&v, &environment);
	assert_string_equal(environment.netns, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_commands), cmocka_unit_test(test_missing), cmocka_unit_test(test_args),
		cmocka_unit_test(test_lengths),  cmocka_unit_test(test_hostile),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
