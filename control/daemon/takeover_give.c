/* SPDX-License-Identifier: Apache-2.0 */
/* takeover_give.c - the old one's side of a takeover */
#include "control/daemon/handed.h"
#include "control/daemon/method.h"
#include "control/daemon/takeover.h"
#include "tap/base/clock.h"
#include "tap/base/log.h"

#include <string.h>
#include <unistd.h>

#define GIVE_TIMEOUT 10000 /* ms for all of it */
#define DONE_TIMEOUT 2000  /* ms, while nothing is read: what arrives meanwhile fills the queues */

/* Visitors cannot say that something failed; the first failure is kept, and the rest is not sent. */
struct giving {
	struct fd_stream stream;
	struct failure why;
	unsigned ports;
};

static void give_line(struct giving *giving, json_t *line, const int *fds, size_t n)
{
	if (giving->why.code)
		json_decref(line);
	else
		(void)fd_stream_send(&giving->stream, line, fds, n, &giving->why);
}

static void give_host(void *context, const struct underlay *host)
{
	int fds[FD_STREAM_MAX];
	size_t n;
	json_t *line = handed_host_line(host, fds, &n);
	give_line(context, line, fds, n);
}

static void give_gateway(void *context, const struct handed_gateway *gateway)
{
	give_line(context, handed_gateway_line(gateway), NULL, 0);
}

static void give_port(void *context, const struct handed_port *port)
{
	struct giving *giving = context;
	int fds[FD_STREAM_MAX];
	size_t n;
	json_t *line = handed_port_line(port, fds, &n);
	give_line(giving, line, fds, n);
	giving->ports++;
}

static void give_learned(void *context, const struct fdb_status *entry)
{
	if (!strcmp(entry->kind, "learned"))
		give_line(context, handed_learned_line(entry), NULL, 0);
}

static void give_all(struct giving *giving, const struct methods *methods)
{
	int lock = methods->state ? state_lock_fd(methods->state) : -1;
	give_line(giving,
		  json_pack("{s:{s:i, s:s, s:i, s:b}}", "hello", "protocol", HANDED_PROTOCOL, "version",
			    PODSWITCH_VERSION, "pid", (int)getpid(), "locked", lock >= 0),
		  &lock, lock >= 0);
	handover_visit_hosts(methods->vs, give_host, giving);
	handover_visit_gateways(methods->vs, give_gateway, giving);
	handover_visit_ports(methods->vs, give_port, giving);
	(void)switch_visit_fdb(methods->vs, NULL, give_learned, giving);
	give_line(giving, json_pack("{s:b}", "whole", 1), NULL, 0);
}

static void give_counted(struct giving *giving, const char *kind, const char *name, json_t *counters)
{
	if (kind)
		json_object_set_new(counters, kind, json_string(name));
	give_line(giving, json_pack("{s:o}", "counted", counters), NULL, 0);
}

static void give_port_counters(void *context, const struct port_status *status)
{
	give_counted(context, "port", status->config->name, port_counters_json(&status->counters));
}

static void give_gateway_counters(void *context, const struct gateway_status *status)
{
	give_counted(context, "gateway", status->config->name, gateway_counters_json(&status->counters));
}

static void give_counters(struct giving *giving, struct vswitch *vs)
{
	struct switch_status status = {0};
	switch_count_overruns(vs, NULL);
	switch_report(vs, &status);
	(void)switch_visit_ports(vs, NULL, give_port_counters, giving);
	(void)switch_visit_gateways(vs, NULL, give_gateway_counters, giving);
	give_counted(giving, NULL, NULL, json_pack("{s:o}", "drops", drops_json(status.drops)));
	give_line(giving, json_pack("{s:b}", "yours", 1), NULL, 0);
}

/* Waits for the line {"WORD": true}; {"failed": TEXT} says why it does not come. */
static bool hears(struct giving *giving, const char *word)
{
	json_t *line = NULL;
	if (giving->why.code || fd_stream_receive(&giving->stream, &line, &giving->why))
		return false;
	bool heard = json_is_true(json_object_get(line, word));
	const char *failed = json_string_value(json_object_get(line, "failed"));
	if (!heard)
		fail(&giving->why, -EPROTO, NULL, "%.200s",
		     failed ? failed : "the new podswitchd says what was not expected");
	json_decref(line);
	return heard;
}

/* Until the other one has put its control socket in the place of ours, so that there always is one. */
static void wait_for_end(struct giving *giving)
{
	json_t *line = NULL;
	give_line(giving, json_pack("{s:b}", "bye", 1), NULL, 0);
	if (!fd_stream_receive(&giving->stream, &line, &giving->why))
		json_decref(line);
}

bool takeover_give(const struct methods *methods, int connection)
{
	struct giving giving = {.stream = {.socket = connection, .deadline = clock_ms() + GIVE_TIMEOUT}};
	bool given = false;
	log_line(LOG_INFO, "another podswitchd takes over");
	/* It reads the answer to its request without an eye for descriptors, so it must have that first. */
	if (hears(&giving, "go"))
		give_all(&giving, methods);
	if (hears(&giving, "commit")) {
		uint64_t paused = clock_ms();
		giving.stream.deadline = paused + DONE_TIMEOUT;
		switch_pause(methods->vs, true);
		give_counters(&giving, methods->vs);
		given = hears(&giving, "done");
		if (given)
			wait_for_end(&giving);
		else
			switch_pause(methods->vs, false);
		log_line(LOG_DEBUG, "paused for %u ms", (unsigned)(clock_ms() - paused));
	}
	if (given)
		log_line(LOG_INFO, "handed over, with %u port%s", giving.ports, giving.ports == 1 ? "" : "s");
	else
		log_line(LOG_WARNING, "not handed over, going on: %s", giving.why.text);
	fd_stream_close(&giving.stream);
	return given;
}
