/* SPDX-License-Identifier: Apache-2.0 */
/*
 * agent_methods.h - the methods of the agent's socket: attachment.add, remove, check and gc, and agent.status
 *
 * podswitch-cni calls them (control/cni/attach.c). It repeats attachment.add until the answer is no longer "pending",
 * so each of them may be called again at any time. One thread, the agent's.
 */
#ifndef PODSWITCH_AGENT_METHODS_H
#define PODSWITCH_AGENT_METHODS_H

#include "control/base/jsonrpc.h"

/* `context` is a struct reconciler. */
jsonrpc_call agent_methods_call;

#endif
