/* SPDX-License-Identifier: Apache-2.0 */
/* command_gateway.c - podswitchctl gateway: VXLAN networks behind their remotes */
#include "control/base/json.h"
#include "control/ctl/ctl.h"
#include "control/ctl/table.h"

#include <string.h>

static const struct table_column columns[] = {
	{"NAME", false}, {"VNI", true},   {"PORT", true},     {"UNDERLAY", false},
	{"MTU", true},   {"PORTS", true}, {"REMOTES", false},
};

static void gateway_add_row(struct table *table, const json_t *gateway)
{
	static const char *const keys[] = {"name", "vni", "port", "underlay", "mtu", "ports", "remotes", NULL};
	table_add_members(table, keys, gateway);
}

static int gateway_print_list(FILE *out, json_t *list)
{
	return table_print_list(columns, sizeof(columns) / sizeof(columns[0]), list, gateway_add_row, out);
}

/* The state is in brackets: "10.0.0.2:4789,configured" would look like two remotes. */
static void add_remote_row(struct table *table, const json_t *remote)
{
	const char *address = json_string_value(json_object_get(remote, "address"));
	const char *state = json_text(remote, "state");
	long long port = json_integer_value(json_object_get(remote, "port"));
	bool by_tap = !strcmp(json_text(remote, "egress"), "underlay_tap");
	if (!address) {
		table_pair_json(table, "remote", remote);
		return;
	}
	bool bracket = strchr(address, ':');
	const char *refused = json_text(remote, "trains_off");
	table_pair(table, "remote", "%s%.100s%s:%lld (%.60s%s%s%.60s)", bracket ? "[" : "", address, bracket ? "]" : "",
		   port, *state ? state : "unknown", by_tap ? ", by underlay_tap" : "",
		   *refused ? ", without trains: " : "", refused);
}

static int gateway_print(FILE *out, json_t *gateway)
{
	static const char *const plain[] = {"name",    "vni",       "port",  "underlay", "mtu", "learning",
					    "isolate", "clamp_mss", "allow", "ports",    NULL};
	static const char *const counted[] = {"encap_frames", "encap_bytes", "tx_datagrams", "tx_bytes",
					      "rx_datagrams", "rx_bytes",    "held_moves",   "evicted_remotes",
					      "evicted_macs", NULL};
	const json_t *counters = json_object_get(gateway, "counters");
	const json_t *remotes = json_object_get(gateway, "remotes"), *remote;
	struct table table;
	size_t i;
	table_open_pairs(&table);
	table_pair_members(&table, plain, gateway);
	if (!json_array_size(remotes))
		table_pair(&table, "remote", "%s", "");
	json_array_foreach(remotes, i, remote)
	{
		add_remote_row(&table, remote);
	}
	if (json_object_get(gateway, "silence"))
		table_pair(&table, "silent", "%.320s", json_text(json_object_get(gateway, "silence"), "text"));
	table_pair_members(&table, counted, counters);
	table_pair_drops(&table, json_object_get(counters, "drops"));
	return table_finish(&table, out);
}

const struct command gateway_commands[] = {
	{
		.object = "gateway",
		.name = "add",
		.method = "gateway.add",
		.help = "adds a gateway: a VXLAN network behind its remotes",
		.takes_name = true,
		.options = gateway_options,
		.required = {"vni"},
	},
	{
		.object = "gateway",
		.name = "set",
		.method = "gateway.set",
		.help = "changes a gateway while its ports are up",
		.takes_name = true,
		.clears = true,
		.options = gateway_options,
	},
	{
		.object = "gateway",
		.name = "list",
		.method = "gateway.list",
		.help = "lists the gateways",
		.print = gateway_print_list,
	},
	{
		.object = "gateway",
		.name = "show",
		.method = "gateway.show",
		.help = "shows one gateway with its counters and what it dropped",
		.takes_name = true,
		.print = gateway_print,
	},
	{
		.object = "gateway",
		.name = "remove",
		.method = "gateway.remove",
		.help = "removes a gateway; refused while ports use it",
		.takes_name = true,
		.options = gateway_removal_options,
	},
	{0},
};
