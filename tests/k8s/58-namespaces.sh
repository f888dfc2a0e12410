#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# 58-namespaces.sh - containerd keeps pods' network namespaces in a folder that is not mounted into ours
# shellcheck source=lib.sh

[ -n "$BED" ] || { note "no hand on containerd: left out" && return 0; }

again() { # containerd of node 1 with what node.sh says now
	bed down.sh -p "$N1.containerd" >/dev/null
	KUBELET_FLAGS="--kube-api-qps=50 --kube-api-burst=100" bed up.sh n1 n2 >/dev/null
	poll 60 K get nodes
}
netns_of() { ctl "$N1" -j port list | jq -r --arg n "$1.$2@" '.[] | select(.name | startswith($n)).netns'; }
elsewhere() { says '/netns/' netns_of "$@" && ! says '^/run/netns/' netns_of "$@"; }
# An answer of the last two seconds: the log has a line a try.
heard_lately() {
	local before after
	before=$(in_pod "$1" "$2" grep -vc '^-' /log/answers)
	sleep 2
	after=$(in_pod "$1" "$2" grep -vc '^-' /log/answers)
	[ "$after" -gt "$before" ]
}

space t-one
gateway t-one "$N2"
poll 60 gateway_up t-one || die "no gateway in t-one"
cp "$BED/node.sh" "$TMP/node.sh"
sed -i 's/^\( *\)restrict_oom_score_adj = true.*/&\n\1netns_mounts_under_state_dir = true/' "$BED/node.sh"
again
client t-one far-away "$N1" gateway=vpn
check "a pod starts" ready t-one far-away
check "whose namespace is in containerd's own folder" elsewhere t-one far-away
pid=$(daemon "$N1" podswitchd)
hand "$N1" kill -9 "$pid"
check "podswitchd is killed and comes again" poll 60 reborn "$N1" podswitchd "$pid"
within "traffic is back" 20 answered t-one far-away t-one
cp "$TMP/node.sh" "$BED/node.sh"
again
check "containerd is restarted: the pod is answered" poll 60 answered t-one far-away t-one
within "or is again, as its namespace is found by its processes" 30 heard_lately t-one far-away
only "it has met its gateway only" t-one far-away t-one
begin
K -n t-one delete pod far-away --wait=false >/dev/null
within "its network is taken down" 30 prints 0 networks "$N1" far-away
client t-one near "$N1" gateway=vpn
check "another starts, with its namespace where it was" ready t-one near
only "and has met its gateway only" t-one near t-one
