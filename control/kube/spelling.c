/* SPDX-License-Identifier: Apache-2.0 */
/* spelling.c - annotations under podswitch.io/ that mean nothing */
#include "control/kube/spelling.h"

#include "control/base/json.h"
#include "control/base/names.h"

#include <stdio.h>
#include <string.h>

#define PREFIX "podswitch.io/"
#define LONGEST 40 /* bytes of a key that is compared; a longer one is like none of ours */
#define FURTHEST 3 /* edits; what is further off is no misspelling */

enum { ON_POD = 1 << SPELLING_POD, ON_NAMESPACE = 1 << SPELLING_NAMESPACE, ON_SERVICE = 1 << SPELLING_SERVICE };

static const char *const kinds_of_objects[] = {
	[SPELLING_POD] = "pod", [SPELLING_NAMESPACE] = "namespace", [SPELLING_SERVICE] = "gateway's Service"};

static const struct {
	const char *name;
	unsigned on;
} keys[] = {
	{"gateway", ON_POD | ON_NAMESPACE},
	{"address", ON_POD},
	{"inbound", ON_POD | ON_NAMESPACE},
	{"dns", ON_POD | ON_NAMESPACE | ON_SERVICE},
	{"own-addresses", ON_NAMESPACE | ON_SERVICE},
	{"vni", ON_SERVICE},
	{"port", ON_SERVICE},
	{"network", ON_SERVICE},
	{"mode", ON_SERVICE},
	{"mtu", ON_SERVICE},
	{"underlay", ON_SERVICE},
	{"not-routed", ON_SERVICE},
	{"allow-namespaces", ON_SERVICE},
	{"probe", ON_SERVICE},
	{"probe-interval", ON_SERVICE},
	{"injected", ON_POD}, /* by the webhook */
};

static unsigned least(unsigned a, unsigned b)
{
	return a < b ? a : b;
}

/* How many characters must be changed, added, removed, or exchanged with their neighbour, to make `b` of `a`. */
static unsigned spelling_distance(const char *a, const char *b)
{
	unsigned row[3][LONGEST + 1];
	size_t n = strlen(a), m = strlen(b);
	if (n > LONGEST || m > LONGEST)
		return LONGEST;
	for (size_t j = 0; j <= m; j++)
		row[0][j] = (unsigned)j;
	for (size_t i = 1; i <= n; i++) {
		unsigned *now = row[i % 3];
		const unsigned *before = row[(i + 2) % 3], *earlier = row[(i + 1) % 3];
		now[0] = (unsigned)i;
		for (size_t j = 1; j <= m; j++) {
			now[j] = least(least(before[j], now[j - 1]) + 1, before[j - 1] + (a[i - 1] != b[j - 1]));
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				now[j] = least(now[j], earlier[j - 2] + 1);
		}
	}
	return row[n % 3][m];
}

static int find_key(const char *name)
{
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		if (!strcmp(name, keys[i].name))
			return (int)i;
	return -1;
}

/* The index of the key that is nearest to `name`, which is none. -1: none is near. */
static int nearest_key(const char *name)
{
	int best = -1;
	unsigned edits = FURTHEST + 1;
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		unsigned distance = spelling_distance(name, keys[i].name);
		/* Of three letters, two that differ are another word. */
		if (distance >= edits || 2 * (size_t)distance > strlen(keys[i].name))
			continue;
		edits = distance;
		best = (int)i;
	}
	return best;
}

static const char *place_of(unsigned on)
{
	return on & ON_POD ? "pods" : on & ON_NAMESPACE ? "namespaces" : "the gateway's Service";
}

static size_t spelling_say(enum spelling_of of, const char *name, char *out, size_t size)
{
	char quoted[NAME_QUOTE];
	int key = find_key(name);
	if (key >= 0 && keys[key].on & 1U << of)
		return 0;
	if (key >= 0)
		return (size_t)snprintf(out, size,
					"the annotation " PREFIX "%s means nothing on a %s: it belongs on %s", name,
					kinds_of_objects[of], place_of(keys[key].on));
	key = nearest_key(name);
	name_quote(name, quoted);
	return (size_t)snprintf(out, size, "the %s has an annotation under " PREFIX " that there is not, %s%s%s%s",
				kinds_of_objects[of], quoted, key >= 0 ? ": did you mean " PREFIX : "",
				key >= 0 ? keys[key].name : "", key >= 0 ? "?" : "");
}

size_t spelling_check(enum spelling_of of, const json_t *object, char *out, size_t size)
{
	const char *key;
	json_t *value;
	json_t *annotations = json_object_get(json_object_get(object, "metadata"), "annotations");
	json_object_foreach(annotations, key, value)
	{
		if (strncmp(key, PREFIX, strlen(PREFIX)) != 0)
			continue;
		size_t length = spelling_say(of, key + strlen(PREFIX), out, size);
		if (length)
			return length;
	}
	return 0;
}
