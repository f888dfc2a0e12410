/* SPDX-License-Identifier: Apache-2.0 */
/*
 * refusals.c - what the kernel refused somewhere, and is therefore off there
 *
 *    worker:  ban_impose(), vs->banned = true, wakes the control thread
 *    here:    every ban of every remote and port is looked at; those that are new get a line
 *
 * Bans end by themselves (ban.h), without a line: what is refused again is logged again, at most four times an hour.
 */
#include "vswitch/refusals.h"

#include "tap/base/clock.h"
#include "tap/base/log.h"
#include "vswitch/switch.h"

#include <stdio.h>
#include <string.h>

/* A ban, and what it is about. */
struct banned {
	struct ban *ban;
	const char *what;
	char where[SWITCH_NAME + ADDRESS_TEXT + 32];
};

typedef void banned_visitor(void *context, const struct banned *banned);

static void visit_remotes(const struct gateway *gateway, banned_visitor *visit, void *context)
{
	char text[ADDRESS_TEXT];
	struct banned banned = {.what = "trains"};
	for (unsigned i = 0; i < atomic_load(&gateway->n_remotes); i++) {
		struct remote *remote = gateway->remotes[i];
		banned.ban = &remote->train_ban;
		snprintf(banned.where, sizeof(banned.where), "remote %s of gateway %s",
			 endpoint_format(&remote->endpoint, text), gateway->config.name);
		visit(context, &banned);
	}
}

static void visit_port(struct port *port, banned_visitor *visit, void *context)
{
	struct banned banned = {.ban = &port->train_ban, .what = "trains"};
	snprintf(banned.where, sizeof(banned.where), "port %s", port->config.name);
	visit(context, &banned);
	banned.ban = &port->gro_ban;
	banned.what = "tap_gro";
	visit(context, &banned);
}

static void visit_all(const struct vswitch *vs, banned_visitor *visit, void *context)
{
	for (unsigned i = 0; i < vs->n_gateways; i++)
		visit_remotes(gateway_at(vs, i), visit, context);
	for (struct port *port = vs->first_port; port; port = port->next)
		visit_port(port, visit, context);
}

static void log_banned(void *context, const struct banned *banned)
{
	const uint32_t *now = context;
	bool first;
	int error = 0;
	if (!ban_is_news(banned->ban, *now, &first))
		return;
	unsigned left = ban_left(banned->ban, *now, &error);
	log_line(first ? LOG_WARNING : LOG_INFO, "%s: %s off for %u seconds: the kernel refused it: %s", banned->where,
		 banned->what, left, strerror(error));
}

void refusals_log(struct vswitch *vs, uint32_t now)
{
	if (atomic_exchange(&vs->banned, false))
		visit_all(vs, log_banned, &now);
}

struct refusal_visit {
	void (*visit)(void *context, const struct refusal_status *status);
	void *context;
	uint32_t now;
};

static void report_banned(void *context, const struct banned *banned)
{
	const struct refusal_visit *walk = context;
	int error = 0;
	struct refusal_status status = {.what = banned->what, .where = banned->where};
	status.seconds = ban_left(banned->ban, walk->now, &error);
	if (!status.seconds)
		return;
	status.why = strerror(error);
	walk->visit(walk->context, &status);
}

/* What its TAP refused when it was made stays off as long as it is there. */
static void report_refusing_tap(const struct refusal_visit *walk, const struct port *port)
{
	char where[SWITCH_NAME + 16];
	struct refusal_status status = {.what = "tap_gro", .where = where, .why = "super-frames with a short end"};
	snprintf(where, sizeof(where), "port %s", port->config.name);
	if (port->refuses_tso)
		walk->visit(walk->context, &status);
}

void switch_visit_refusals(const struct vswitch *vs, void (*visit)(void *context, const struct refusal_status *status),
			   void *context)
{
	struct refusal_visit walk = {.visit = visit, .context = context, .now = clock_seconds()};
	static const struct refusal_status garbled = {
		.what = "udp_gso", .where = "all", .why = "this kernel's version (7.0 to 7.1.4) may garble trains"};
	if (vs->trains_garbled)
		visit(context, &garbled);
	visit_all(vs, report_banned, &walk);
	for (const struct port *port = vs->first_port; port; port = port->next)
		report_refusing_tap(&walk, port);
}
