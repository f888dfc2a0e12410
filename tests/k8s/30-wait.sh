#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# 30-wait.sh - a gateway that is not there yet: the pod waits, says why, and starts when it comes
# shellcheck source=lib.sh

space t-apps
space t-late
client t-apps early "$N1" gateway=vpn.t-late
client t-apps given-up "$N2" gateway=vpn.t-late
check "unknown name: an Event says so" poll 30 event t-apps early GatewayNotFound
like "and names the gateway" 't-late' "$(event t-apps early GatewayNotFound || true)"
check "and so does the plugin, in the kubelet's" poll 60 not_started_like t-apps early 'podswitch.*t-late|t-late.*podswitch'
check "no container of the pod has run" asleep t-apps early
K -n t-apps delete pod given-up --wait=false >/dev/null
check "a pod is deleted while its gateway is looked for" gone t-apps pod given-up
gateway t-late "$N2"
check "the gateway appears" poll 60 gateway_up t-late
DEADLINE=90 check "and the pod starts" ready t-apps early
check "answered by it" poll 5 answered t-apps early t-late

# A Service that is there and has no pod behind it.
space t-empty
gateway t-empty "$N1"
K -n t-empty scale deployment --all --replicas=0 >/dev/null
poll 30 prints "" gateway_pods t-empty || die "the gateway of t-empty does not go"
client t-apps patient "$N1" gateway=vpn.t-empty
check "a gateway without a pod: an Event says so" poll 60 event_like t-apps patient 't-empty'
check "no container of the pod has run" asleep t-apps patient
K -n t-empty scale deployment --all --replicas=1 >/dev/null
check "its pod comes" poll 60 gateway_up t-empty
DEADLINE=90 check "and ours starts" ready t-apps patient
only "the early pod has met its gateway only" t-apps early t-late
only "the patient pod has met its gateway only" t-apps patient t-empty
