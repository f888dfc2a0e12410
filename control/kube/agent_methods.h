/* SPDX-License-Identifier: Apache-2.0 */
/*
 * agent_methods.h - the methods of the agent's socket: attachment.add, remove, check and gc, agent.status and hand_over
 *
 * podswitch-cni calls them (control/cni/attach.c). It repeats attachment.add until the answer is no longer "pending",
 * so each of them may be called again at any time. Another agent calls agent.hand_over (succession.h): its connection
 * is released (rpc.h). One thread, the agent's.
 */
#ifndef PODSWITCH_AGENT_METHODS_H
#define PODSWITCH_AGENT_METHODS_H

#include "control/base/jsonrpc.h"
#include "control/kube/reconciler.h"

/* All borrowed. */
struct agent_methods {
	struct reconciler *reconciler;
	const char *instance; /* NULL: none */
	/* Whether all is well; else *reason says what is missing, for people. */
	bool (*ready)(void *context, const char **reason);
	void *context;
};

/* `context` is a struct agent_methods. */
jsonrpc_call agent_methods_call;

#endif
