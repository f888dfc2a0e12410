/* SPDX-License-Identifier: Apache-2.0 */
/* command_port.c - podswitchctl port: TAPs in pods, each attached to a gateway */
#include "control/base/json.h"
#include "control/ctl/ctl.h"
#include "control/ctl/table.h"

#include <time.h>

#define CHECKED_PAUSE 20 /* ms between two questions whether the port has its address */
#define CHECKED_LIMIT 3000

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
	static const char *const plain[] = {"name",   "state",     "gateway",     "netns",  "ifname",
					    "mac",    "mtu",       "underlay",    "egress", "worker",
					    "queues", "addresses", "default_via", NULL};
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

/* Whoever has added a port wants to use it: its addresses are configured once it is known that nobody else has them. */
static int await_addresses(struct ctl *ctl, const char *name, json_t **port, struct failure *why)
{
	const struct timespec pause = {.tv_nsec = CHECKED_PAUSE * 1000000L};
	int error = 0;
	for (int waited = 0; !error && waited < CHECKED_LIMIT; waited += CHECKED_PAUSE) {
		if (!json_is_true(json_object_get(json_object_get(*port, "client"), "checking")))
			return 0;
		nanosleep(&pause, NULL);
		json_decref(*port);
		*port = NULL;
		json_t *params = json_pack("{s:s}", "name", name);
		error = client_call(&ctl->client, "port.show", params, port, why);
		json_decref(params);
	}
	return error;
}

static int port_change(struct ctl *ctl, const char *method, json_t *params, struct failure *why)
{
	const char *name = json_text(params, "name");
	json_t *port = NULL;
	int error = client_call(&ctl->client, method, params, &port, why);
	bool checks = !error && json_is_true(json_object_get(json_object_get(port, "client"), "checking"));
	if (!error)
		error = await_addresses(ctl, name, &port, why);
	const char *trouble = error ? "" : json_text(json_object_get(port, "client"), "trouble");
	if (!error && ctl->json)
		ctl_print_json(ctl, port, true);
	if (checks && *trouble)
		error = fail(why, -EADDRINUSE, "address", "port '%s' waits for its address: %s", name, trouble);
	json_decref(port);
	return error;
}

static int port_add_run(struct ctl *ctl, json_t *params, struct failure *why)
{
	return port_change(ctl, "port.add", params, why);
}

static int port_set_run(struct ctl *ctl, json_t *params, struct failure *why)
{
	return port_change(ctl, "port.set", params, why);
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
		.run = port_add_run,
	},
	{
		.object = "port",
		.name = "set",
		.method = "port.set",
		.help = "changes a port while it is up, also to another gateway",
		.takes_name = true,
		.clears = true,
		.options = port_options,
		.run = port_set_run,
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
