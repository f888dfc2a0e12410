/* SPDX-License-Identifier: Apache-2.0 */
/* json.c - the few things that jansson lacks */
#include "control/base/json.h"
#include "tap/base/text.h"

#include <stdio.h>
#include <string.h>

const char *json_text(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "";
}

long long json_sum(json_t *object)
{
	long long sum = 0;
	const char *key;
	json_t *value;
	json_object_foreach(object, key, value)
	{
		sum += json_integer_value(value);
	}
	return sum;
}

json_t *json_plain_string(const char *text)
{
	char plain[640];

	snprintf(plain, sizeof(plain), "%s", text);
	text_to_line(plain, '?');
	json_t *string = strcmp(plain, text) ? NULL : json_string(text);
	if (string)
		return string;
	text_to_ascii(plain);
	return json_string(plain);
}

/* Every value but the first of its container comes after a comma. */
bool json_exceeds(const char *text, size_t length, size_t most)
{
	size_t count = 1;
	bool quoted = false;

	for (size_t i = 0; i < length; i++) {
		if (quoted && text[i] == '\\')
			i++;
		else if (text[i] == '"')
			quoted = !quoted;
		else if (!quoted && (text[i] == ',' || text[i] == '[' || text[i] == '{'))
			count++;
	}
	return count > most;
}
