/* SPDX-License-Identifier: Apache-2.0 */
/* config.c - podswitchd's settings: the command line over -c CONFIG.json over the defaults */
#include "control/daemon/config.h"
#include "control/daemon/options.h"

#include <string.h>

static int parse_vtep(const char *label, const char *text, void *into, struct failure *why)
{
	struct address *vtep = ((struct config *)into)->options.vtep, address;
	if (!text) {
		memset(vtep, 0, 2 * sizeof(*vtep));
		return 0;
	}
	int error = parse_host_address(label, text, &address, why);
	if (error)
		return error;
	if (vtep[0].family == address.family)
		return fail(why, -EINVAL, label, "%s: give at most one IPv4 and one IPv6 address", label);
	vtep[vtep[0].family ? 1 : 0] = address;
	return 0;
}

static const char *const io_words[] = {"auto", "uring", "epoll", NULL};
static const char *const udp_gso_words[] = {"auto", "on", "off", NULL};
static const char *const underlay_tap_words[] = {"auto", "on", "off", NULL};
static const char *const after_words[] = {"exit", "wait", NULL};
static const char *const reserved_words[] = {"drop", "ignore", NULL};

#define OPTIONS struct config
static const struct option_spec config_options[] = {
	OPTION_STRING("socket", 's', "SOCKET", socket, "control socket (/run/podswitch/control.sock)"),
	OPTION_STRING("state-dir", 0, "DIR", state_dir, "where the configuration is kept (/run/podswitch/state)"),
	OPTION_NUMBER("workers", 'w', "N|auto", options.workers, 1, SWITCH_MAX_WORKERS,
		      "threads that move packets, 1 to 16; auto: one for each two processors, 4 at most (1)",
		      .or_auto = true),
	OPTION_PARSED("vtep", 0, "ADDRESS", OPTION_LIST, 2, parse_vtep,
		      "local address of the host underlay, one IPv4 and one IPv6 address at most (any)"),
	OPTION_CHOICE("reserved", 0, "drop|ignore", options.ignore_reserved, reserved_words,
		      "what to do with datagrams that have reserved VXLAN bits set (drop)"),
	OPTION_NUMBER("ageing", 0, "SECONDS", options.ageing, 1, 1000000,
		      "forget a learned MAC address that was not seen for so long (300)"),
	OPTION_NUMBER("fdb-gateway-limit", 0, "N", options.fdb_gateway_limit, 1, 1000000,
		      "learned MAC addresses per gateway (16384)"),
	OPTION_NUMBER("fdb-remote-limit", 0, "N", options.fdb_remote_limit, 1, 1000000,
		      "learned MAC addresses behind one remote (4096)"),
	OPTION_NUMBER("tap-queues", 0, "N", options.tap_queues, 1, SWITCH_MAX_QUEUES,
		      "queues of a busy pod's interface, which all workers read, 1 to 16 (8)"),
	OPTION_NUMBER("spin", 0, "MICROSECONDS", options.spin, 0, 1000,
		      "how long to look for packets before sleeping, 0 to 1000 (20)"),
	OPTION_CHOICE("io", 0, "auto|uring|epoll", options.io, io_words,
		      "how packets are read and written; auto: io_uring, or epoll where that is forbidden (auto)"),
	OPTION_SWITCH("tap-gso", options.offloads.tap_gso, "take super-frames from pods (on)"),
	OPTION_CHOICE("udp-gso", 0, "auto|on|off", options.udp_gso, udp_gso_words,
		      "send several datagrams at once; auto: unless this kernel garbles them (auto)"),
	OPTION_SWITCH("udp-gro", options.offloads.udp_gro, "receive several datagrams at once (on)"),
	OPTION_SWITCH("trains", options.offloads.trains, "send runs of small frames at once; needs udp-gso (on)"),
	OPTION_SWITCH("tap-gro", options.offloads.tap_gro, "coalesce segments for the pod (on)"),
	OPTION_CHOICE(
		"underlay-tap", 0, "auto|on|off", options.underlay_tap, underlay_tap_words,
		"let super-frames leave the node, or a busy pod, whole, by a TAP of podswitchd's own; auto: where "
		"the devices on the way take them (auto)"),
	OPTION_FLAG("takeover", 0, takeover,
		    "take everything over from the podswitchd that runs, without losing a frame"),
	OPTION_CHOICE("after-takeover", 0, "exit|wait", then_waits, after_words,
		      "what to do once another one has taken over: exit, or wait to be stopped (exit)"),
	OPTION_FLAG("standby", 0, standby, "wait for the end of the podswitchd that runs, and take over then"),
	OPTION_NUMBER("linger", 0, "SECONDS", linger, 0, 3600,
		      "go on after SIGTERM until another one has taken over, for so long at most (0)"),
	OPTION_STRING("instance", 0, "NAME", instance,
		      "what tells this podswitchd from one that it takes over from, for status --instance (none)"),
	OPTION_SWITCH("seccomp", seccomp, "have all system calls refused that it does not need (on)"),
	OPTION_CHOICE("log-level", 0, "LEVEL", log_level, log_levels, "error, warning, info or debug (info)"),
	OPTION_TEXT("config", 'c', "FILE", file,
		    "a JSON object with these settings, as state_dir; the command line wins", .line_only = true),
	OPTION_FLAG("help", 'h', help, "print this help", .line_only = true),
	OPTION_FLAG("version", 'V', version, "print the version", .line_only = true),
	{0},
};
#undef OPTIONS

int config_read_line(struct config *config, char **words, struct failure *why)
{
	struct option_line line = {.next = words, .program = "podswitchd"};
	return option_read_line(config_options, 0, &line, config, why);
}

int config_read_json(struct config *config, const json_t *object, struct failure *why)
{
	struct config wanted = *config;
	int error = option_read_json(config_options, object, false, &wanted, why);
	if (!error)
		*config = wanted;
	return error;
}

int config_read_file(struct config *config, const char *path, struct failure *why)
{
	json_error_t error;
	struct failure inner = {0};
	FILE *file = fopen(path, "re");
	if (!file)
		return fail(why, -errno, "config", "config: cannot open %.128s: %s", path, strerror(errno));
	json_t *object = json_loadf(file, JSON_REJECT_DUPLICATES, &error);
	fclose(file);
	if (!object)
		return fail(why, -EINVAL, "config", "config: %.128s: line %d: %s", path, error.line, error.text);
	int code = -EINVAL;
	if (!json_is_object(object))
		fail(why, code, "config", "config: %.128s: must hold one object with keys such as \"socket\"", path);
	else if ((code = config_read_json(config, object, &inner)))
		fail(why, code, inner.key, "%.100s: %.150s", path, inner.text);
	json_decref(object);
	return code;
}

void config_help(FILE *out)
{
	fputs("usage: podswitchd [OPTION]...\n"
	      "The per-node VXLAN switch. Runs in the foreground; podswitchctl tells it what to do.\n\n",
	      out);
	option_help(config_options, 0, 30, out);
}
