/* SPDX-License-Identifier: Apache-2.0 */
/*
 * method_takeover.c - another podswitchd asks for everything, takeover.begin, or to wait for our end, takeover.wait; or
 * says that nobody will, takeover.nobody
 *
 * The configuration is not handed over, as both read the same state directory. So that must be right: when a file could
 * not be written, as on a full disk, all are written again, or the takeover is refused.
 */
#include "control/daemon/method.h"
#include "control/daemon/standby.h"
#include "control/daemon/takeover.h"
#include "tap/base/clock.h"

#include <string.h>

#define ALONE 30000 /* ms */

struct keeping {
	struct methods *methods;
	int error;
	struct failure *why;
};

static void keep(struct keeping *keeping, enum state_kind kind, const char *name, json_t *params)
{
	if (!keeping->error && !params)
		keeping->error = fail(keeping->why, -ENOMEM, NULL, "out of memory");
	if (!keeping->error)
		keeping->error = state_put(keeping->methods->state, kind, name, params, keeping->why);
	json_decref(params);
}

static void keep_gateway(void *context, const struct gateway_status *status)
{
	keep(context, STATE_GATEWAY, status->config->name, gateway_config_json(status->config));
}

static void keep_port(void *context, const struct port_status *status)
{
	keep(context, STATE_PORT, status->config->name, port_config_json(status->config));
}

static bool has_gateway(void *context, const char *name)
{
	return switch_gateway_config(context, name);
}

static bool has_port(void *context, const char *name)
{
	return switch_port_config(context, name);
}

static int keep_all_objects(struct call *call, struct failure *why)
{
	struct methods *m = call->methods;
	struct keeping keeping = {.methods = m, .why = why};
	if (!m->state || !m->unkept)
		return 0;
	(void)switch_visit_gateways(m->vs, NULL, keep_gateway, &keeping);
	(void)switch_visit_ports(m->vs, NULL, keep_port, &keeping);
	if (!keeping.error)
		keeping.error = state_prune(m->state, STATE_GATEWAY, has_gateway, m->vs, why);
	if (!keeping.error)
		keeping.error = state_prune(m->state, STATE_PORT, has_port, m->vs, why);
	m->unkept = keeping.error;
	return keeping.error;
}

int method_takeover_begin(struct call *call, struct failure *why)
{
	int error = call_no_params(call, why);
	if (!error)
		error = keep_all_objects(call, why);
	if (error)
		return error;
	if (call->methods->standby)
		call->methods->standby->asked = false;
	if (call->client)
		rpc_release(call->client);
	call->result = json_pack("{s:s}", "version", PODSWITCH_VERSION);
	return 0;
}

int method_takeover_wait(struct call *call, struct failure *why)
{
	struct standby *standby = call->methods->standby;
	char instance[INSTANCE_SIZE] = "";
	int error = option_read_json(instance_options, call->params, true, instance, why);
	if (error)
		return error;
	if (!standby || !call->client)
		return fail(why, -EOPNOTSUPP, NULL, "this podswitchd has nobody wait for its end");
	if (standby->connection >= 0)
		return fail(why, -EBUSY, NULL, "another podswitchd ('%.100s') waits to take over already; end it first",
			    standby->instance);
	memcpy(standby->instance, instance, sizeof(instance));
	standby->asked = true;
	rpc_release(call->client);
	call->result = json_pack("{s:b}", "waiting", 1);
	return 0;
}

/* For one that lingers, or will be told to stop in a moment; any other goes on. */
int method_takeover_nobody(struct call *call, struct failure *why)
{
	int error = call_no_params(call, why);
	if (error)
		return error;
	if (call->methods->standby)
		call->methods->standby->alone = clock_ms() + ALONE;
	call->result = json_pack("{s:s}", "version", PODSWITCH_VERSION);
	return 0;
}
