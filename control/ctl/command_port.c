/* SPDX-License-Identifier: Apache-2.0 */
/* command_port.c - podswitchctl port: TAPs in pods, each attached to a gateway */
#include "control/base/json.h"
#include "control/ctl/ctl.h"
#include "control/ctl/table.h"

static const struct table_column columns[] = {
	{"NAME", false},      {"STATE", false},    {"GATEWAY", false},  {"NETNS", false},
	{"IFNAME", false},    {"MAC", false},      {"MTU", true},       {"UNDERLAY", false},
	{"ADDRESSES", false}, {"RX-FRAMES", true}, {"TX-FRAMES", true}, {"DROPS", true},
};

static void port_add_row(struct table *table, const json_t *port)
{
	static const char *const keys[] = {"name", "state", "gateway",  "netns",     "ifname",
					   "mac",  "mtu",   "underlay", "addresses", NULL};
	static const char *const counted[] = {"rx_frames", "tx_frames", NULL};
	const json_t *counters = json_object_get(port, "counters");
	table_add_members(table, keys, port);
	table_add_members(table, counted, counters);
	table_add_number(table, json_sum(json_object_get(counters, "drops")));
}

static int port_print_list(FILE *out, json_t *list)
{
	return table_print_list(columns, sizeof(columns) / sizeof(columns[0]), list, port_add_row, out);
}

static int port_print(FILE *out, json_t *port)
{
	static const char *const plain[] = {"name", "state",    "gateway", "netns",     "ifname",      "mac",
					    "mtu",  "underlay", "worker",  "addresses", "default_via", NULL};
	static const char *const cared[][2] = {{"state", "client"},          {"router", "router"},
					       {"server", "dhcp server"},    {"lease", "lease seconds"},
					       {"expires_in", "expires in"}, {"answered", "last answer"},
					       {"lacks", "lacks"},           {"trouble", "trouble"}};
	static const char *const asked[][2] = {{"target", "asked behind it"},
					       {"state", "behind it"},
					       {"answered", "last answer from there"},
					       {"rtt_us", "after microseconds"}};
	static const char *const closed[][2] = {{"state", "way out"},
						{"repairs", "repairs"},
						{"repaired", "last repair"},
						{"trouble", "trouble"},
						{"unfiltered", "no packet filter"}};
	static const char *const counted[] = {"rx_frames", "rx_bytes", "tx_frames", "tx_bytes", NULL};
	const json_t *counters = json_object_get(port, "counters");
	const json_t *way_out = json_object_get(port, "way_out");
	const json_t *routes = json_object_get(port, "routes");
	struct table table;
	table_open_pairs(&table);
	table_pair_members(&table, plain, port);
	const json_t *client = json_object_get(port, "client");
	for (size_t i = 0; i < sizeof(cared) / sizeof(cared[0]); i++)
		table_pair_json(&table, cared[i][1], json_object_get(client, cared[i][0]));
	for (size_t i = 0; i < sizeof(asked) / sizeof(asked[0]); i++)
		table_pair_json(&table, asked[i][1], json_object_get(json_object_get(client, "probe"), asked[i][0]));
	for (size_t i = 0; i < sizeof(closed) / sizeof(closed[0]); i++)
		table_pair_json(&table, closed[i][1], json_object_get(way_out, closed[i][0]));
	table_pair_json(&table, "gateway silent", json_object_get(json_object_get(port, "silence"), "text"));
	table_pair_json(&table, "routes", routes ? routes : json_object_get(json_object_get(port, "config"), "route"));
	table_pair_members(&table, counted, counters);
	table_pair_drops(&table, json_object_get(counters, "drops"));
	return table_finish(&table, out);
}

const struct command port_commands[] = {
	{
		.object = "port",
		.name = "add",
		.method = "port.add",
		.help = "puts an interface into a pod and attaches it to a gateway",
		.takes_name = true,
		.options = port_options,
		.required = {"gateway", "netns"},
	},
	{
		.object = "port",
		.name = "set",
		.method = "port.set",
		.help = "changes a port while it is up, also to another gateway",
		.takes_name = true,
		.clears = true,
		.options = port_options,
	},
	{
		.object = "port",
		.name = "list",
		.method = "port.list",
		.help = "lists the ports",
		.print = port_print_list,
	},
	{
		.object = "port",
		.name = "show",
		.method = "port.show",
		.help = "shows one port with its counters and what it dropped",
		.takes_name = true,
		.print = port_print,
	},
	{
		.object = "port",
		.name = "remove",
		.method = "port.remove",
		.help = "takes the interface out of the pod",
		.takes_name = true,
		.options = port_removal_options,
	},
	{0},
};
