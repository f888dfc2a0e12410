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
if failed_last; then # it would start without us
	K -n t-one delete pod left-behind --force --grace-period=0 >/dev/null 2>&1
fi
poll 5 answered t-one left-behind t-one || miss "no answer of t-one"
assign t-one left-behind t-one
uninstall
for node in "${NODES[@]}"; do
	poll 30 unchanged "$node" >/dev/null || true
	same "$node is as it was" "" "$(diff <(cat "$TMP/before.$node") <(snapshot "$node") || true)"
done
if [ -n "$BED" ]; then
	sleep 3
	like "the pod that was left behind gets no answer any more" '^-$' "$(in_pod t-one left-behind tail -n 1 /log/answers)"
fi
client t-one after "$N1" gateway=vpn
check "a new pod starts without us" ready t-one after
exempt t-one after
same "what the pod left behind has met" "t-one" "$(all_answers t-one left-behind)"
like "the runtime still has its network" '^[1-9]' "$(networks "$N2" left-behind)" # more than one when its first try was too slow
begin
K -n t-one delete pod left-behind --wait=false >/dev/null
within "and takes it down without us" 30 prints 0 networks "$N2" left-behind
judge_captures
# shellcheck disable=SC2034 # judge_captures has its own
SCENARIO=uninstall
check "the pod is deleted like any other" gone t-one pod left-behind
