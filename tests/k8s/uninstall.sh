#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# uninstall.sh - kubectl delete -k deploy/, with a pod that still runs: nodes are as before, and the pod has no way out
# shellcheck source=lib.sh

echo "== uninstall"
space t-one
gateway t-one "$N1"
poll 60 gateway_up t-one || miss "no gateway in t-one"
client t-one left-behind "$N2" gateway=vpn
check "a pod that will be left behind" ready t-one left-behind
poll 5 answered t-one left-behind t-one || miss "no answer of t-one"
assign t-one left-behind t-one
uninstall
for node in "${NODES[@]}"; do
	poll 30 unchanged "$node" >/dev/null || true
	same "$node is as it was" "" "$(diff <(cat "$TMP/before.$node") <(snapshot "$node") || true)"
done
if [ -n "$BED" ]; then
	like "the pod that was left behind gets no answer any more" '^-$' "$(sleep 3; in_pod t-one left-behind tail -n 1 /log/answers)"
fi
client t-one after "$N1" gateway=vpn
check "a new pod starts without us" ready t-one after
exempt t-one after
same "what the pod left behind has met" "t-one" "$(all_answers t-one left-behind)"
K -n t-one delete pod left-behind --wait=false >/dev/null
# The kubelet takes its time on a busy machine: over 60 s were seen, with nothing in its Events.
check "and it is deleted like any other" gone t-one pod left-behind 120
judge_captures
