#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# 60-crowd.sh - fifty pods at once, and all of them gone at once
# shellcheck source=lib.sh

COUNT=50
space t-one
gateway t-one "$N1"
poll 60 gateway_up t-one || die "no gateway in t-one"
for node in "${NODES[@]}"; do metrics "$node" >"$TMP/metrics.$node" || true; done
begin=$SECONDS
apply crowd NAMESPACE=t-one COUNT=$COUNT GATEWAY=vpn PAUSE=2
check "$COUNT pods at once: all start" poll 180 prints $COUNT K -n t-one get deployment crowd -o jsonpath='{.status.readyReplicas}'
note "the last was ready after $((SECONDS - begin)) s"
note "$(latencies)"
crowd >"$TMP/crowd"
same "each has an address of its own" $COUNT "$(cut -d' ' -f2 "$TMP/crowd" | sort -u | wc -l)"
same "the gateway has that many leases" $COUNT "$(lease_count t-one)"
same "each has been answered, by its gateway only" "t-one" "$(cut -d' ' -f3- "$TMP/crowd" | tr ' ' '\n' | sort -u | xargs)"
same "none was restarted" 0 "$(K -n t-one get pods -l app=crowd -o json | jq '[.items[].status.containerStatuses[].restartCount] | add')"
K -n t-one delete deployment crowd --wait=false >/dev/null
check "all are deleted: no port of them is left" poll 60 no_ports t-one
check "and no lease" poll 30 prints 0 lease_count t-one

# Deleted while they are being attached: DEL before ADD has ended.
apply crowd NAMESPACE=t-one COUNT=10 GATEWAY=vpn PAUSE=2
poll 20 some_created || die "no pod is created"
K -n t-one delete deployment crowd --wait=false >/dev/null
check "ten deleted while they start: they go" poll "$GOES" prints "" K -n t-one get pods -l app=crowd -o name
check "no port of them is left" poll 30 no_ports t-one
check "and no lease" poll 30 prints 0 lease_count t-one
