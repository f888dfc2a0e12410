/* SPDX-License-Identifier: Apache-2.0 */
/* params.c - from JSON objects to settings */
#include "control/daemon/params.h"

#include <stdio.h>
#include <string.h>

static void list_keys(const struct param *table, char *out, size_t size)
{
	size_t used = 0;

	for (; table->key && used < size; table++)
		used += (size_t)snprintf(out + used, size - used, "%s%s", used ? ", " : "", table->key);
}

static const struct param *find_param(const struct param *table, const char *key)
{
	for (; table->key; table++) {
		if (!strcmp(table->key, key))
			return table;
	}
	return NULL;
}

int params_read(const struct param *table, const json_t *params, bool complete, void *into, struct failure *why)
{
	char known[192] = "none";
	const char *key;
	json_t *value;

	json_object_foreach((json_t *)params, key, value)
	{
		if (find_param(table, key))
			continue;
		list_keys(table, known, sizeof(known));
		return fail(why, -EINVAL, key, "%.32s: no such key here; known: %s", key, known);
	}
	for (; table->key; table++) {
		value = json_object_get(params, table->key);
		if (!value && complete && table->required)
			return fail(why, -EINVAL, table->key, "%s: missing; give %s", table->key, table->required);
		int error = value ? table->parse(table->key, value, into, why) : 0;
		if (error)
			return error;
	}
	return 0;
}

int param_text(const char *key, const json_t *value, size_t size, char *out, struct failure *why)
{
	const char *text = json_string_value(value);

	if (!text)
		return fail(why, -EINVAL, key, "%s: must be a string", key);
	if (!text[0] || strlen(text) >= size)
		return fail(why, -EINVAL, key, "%s: must have 1 to %zu characters", key, size - 1);
	memcpy(out, text, strlen(text) + 1);
	return 0;
}

int param_name(const char *key, const json_t *value, char *out, struct failure *why)
{
	const char *text = json_string_value(value);

	if (!text)
		return fail(why, -EINVAL, key, "%s: must be a string", key);
	if (!switch_name_valid(text))
		return fail(
			why, -EINVAL, key,
			"%s: '%.64s' is not a name; give 1 to %d of A-Z a-z 0-9 . _ : @ -, not starting with . or -",
			key, text, SWITCH_NAME - 1);
	memcpy(out, text, strlen(text) + 1);
	return 0;
}

int param_integer(const char *key, const json_t *value, long long least, long long most, long long *out,
		  struct failure *why)
{
	long long number = json_integer_value(value);

	if (!json_is_integer(value))
		return fail(why, -EINVAL, key, "%s: must be a whole number from %lld to %lld", key, least, most);
	if (number < least || number > most)
		return fail(why, -EINVAL, key, "%s: %lld is out of range; give %lld to %lld", key, number, least, most);
	*out = number;
	return 0;
}

int param_unsigned(const char *key, const json_t *value, unsigned least, unsigned most, unsigned *out,
		   struct failure *why)
{
	long long number = 0;

	int error = param_integer(key, value, least, most, &number, why);
	if (!error)
		*out = (unsigned)number;
	return error;
}

int param_mtu(const char *key, const json_t *value, unsigned *out, struct failure *why)
{
	unsigned mtu = 0;

	int error = param_unsigned(key, value, 0, 65000, &mtu, why);
	if (error)
		return error;
	if (mtu && mtu < 576)
		return fail(why, -EINVAL, key, "%s: %u is too small; give 576 to 65000, or 0 for the default", key,
			    mtu);
	*out = mtu;
	return 0;
}

int param_switch(const char *key, const json_t *value, bool *out, struct failure *why)
{
	const char *text = json_string_value(value);

	if (json_is_true(value) || (text && !strcmp(text, "on")))
		*out = true;
	else if (json_is_false(value) || (text && !strcmp(text, "off")))
		*out = false;
	else
		return fail(why, -EINVAL, key, "%s: give on or off", key);
	return 0;
}

int param_choice(const char *key, const json_t *value, const char *const words[], unsigned *out, struct failure *why)
{
	const char *text = json_string_value(value);
	char known[128] = "";
	size_t used = 0;

	for (unsigned i = 0; words[i] && used < sizeof(known); i++) {
		if (text && !strcmp(text, words[i])) {
			*out = i;
			return 0;
		}
		used += (size_t)snprintf(known + used, sizeof(known) - used, "%s%s", i ? ", " : "", words[i]);
	}
	if (!text)
		return fail(why, -EINVAL, key, "%s: must be one of the words %s", key, known);
	return fail(why, -EINVAL, key, "%s: '%.64s' is not known; give one of %s", key, text, known);
}

int param_mac(const char *key, const json_t *value, struct mac *out, struct failure *why)
{
	const char *text = json_string_value(value);
	struct mac mac;

	if (!text)
		return fail(why, -EINVAL, key, "%s: must be a string such as 02:00:00:00:00:01", key);
	if (mac_parse(text, &mac))
		return fail(why, -EINVAL, key, "%s: '%.64s' is not a MAC address; write it as 02:00:00:00:00:01", key,
			    text);
	if (!mac_is_unicast(&mac))
		return fail(
			why, -EINVAL, key,
			"%s: %.64s is a group address or zero; the first byte must be even, as in 02:00:00:00:00:01",
			key, text);
	*out = mac;
	return 0;
}

int param_list(const char *key, const json_t *value, size_t most, param_add *add, void *into, struct failure *why)
{
	size_t count = json_array_size(value);
	int error = 0;

	if (json_is_string(value))
		return strcmp(json_string_value(value), "none") ? add(key, json_string_value(value), into, why) : 0;
	if (!json_is_array(value))
		return fail(why, -EINVAL, key, "%s: must be an array of strings, or one string", key);
	if (count > most)
		return fail(why, -EINVAL, key, "%s: %zu are too many; give at most %zu", key, count, most);
	for (size_t i = 0; i < count && !error; i++) {
		const char *text = json_string_value(json_array_get(value, i));
		error = text ? add(key, text, into, why)
			     : fail(why, -EINVAL, key, "%s: every element must be a string", key);
	}
	return error;
}

static bool is_one_machine(const struct address *address)
{
	static const uint8_t zero[16];
	const uint8_t *bytes = address->bytes;

	if (address->family == AF_INET)
		return bytes[0] != 0 && bytes[0] < 224;
	return bytes[0] != 0xff && memcmp(bytes, zero, sizeof(zero)) != 0;
}

static int check_one_machine(const char *key, const char *text, const struct address *address, struct failure *why)
{
	if (is_one_machine(address))
		return 0;
	return fail(why, -EINVAL, key, "%s: '%.64s' is not the address of one machine; give a unicast address", key,
		    text);
}

int param_endpoint(const char *key, const char *text, struct endpoint *out, struct failure *why)
{
	struct endpoint endpoint = {0};

	if (endpoint_parse(text, &endpoint))
		return fail(why, -EINVAL, key,
			    "%s: '%.64s' is not an IP address; give ADDRESS, ADDRESS:PORT or [ADDRESS]:PORT", key,
			    text);
	int error = check_one_machine(key, text, &endpoint.address, why);
	if (!error)
		*out = endpoint;
	return error;
}

int param_address(const char *key, const char *text, struct address *out, struct failure *why)
{
	struct address address = {0};

	if (address_parse(text, &address))
		return fail(why, -EINVAL, key, "%s: '%.64s' is not an IP address", key, text);
	int error = check_one_machine(key, text, &address, why);
	if (!error)
		*out = address;
	return error;
}
