#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# 59-cold.sh - a node is booted with everything on it: gateway, DNS and 40 clients; how soon these run after the gateway
# shellcheck source=lib.sh
#
# The clients' sandboxes are made anew at the same time as the gateway's, and wait in the plugin until there is one.

COUNT=40
# shellcheck disable=SC2034 # poll's
POLL=0.5 # to ask for forty pods takes a part of the processors that they need
[ -n "$BED" ] || { note "no hand on the nodes: left out" && return 0; }

containers() { # containers NAMESPACE LABEL: NAME/ID of each that is ready
	K -n "$1" get pods -l "$2" -o json | jq -r '.items[] | .metadata.name as $pod | .status.containerStatuses[]?
		| select(.ready) | "\($pod)/\(.containerID)"' | sort
}
anew() { # anew NUMBER NAMESPACE LABEL: so many containers are ready that were not there before the boot
	local now
	now=$(containers "$2" "$3" | comm -13 "$TMP/booted" - | wc -l)
	echo "$now of $1"
	[ "$now" = "$1" ]
}
own_addresses() { # of the clients, as podswitchd has them: how many
	ctl "$N1" -j port list | jq -r '.[] | select(.name | startswith("t-one.crowd-")) | select(.client.state == "ready").addresses[0]' | sort -u | wc -l
}
attached_after() { # attached_after TIME: seconds until the agent had the last client attached; the bed has one clock
	local last
	last=$(agent_log "$N1" --timestamps |
		sed -n 's/^\([^ ]*\) .*t-one\/crowd-.*GatewayAttached.*/\1/p' | tail -n 1)
	awk -v last="$(date -d "$last" +%s.%N)" -v from="$1" 'BEGIN { printf "%.1f", last - from }'
}

space t-one
space t-bare
KIND=podswitch gateway t-one "$N1"
poll 60 gateway_up t-one || die "no gateway in t-one"
client t-bare dns "$N1" # asked by nobody: it stands for a pod that may not wait for a gateway
ready t-bare dns || die "the pod that stands for DNS does not start"
exempt t-bare dns
render crowd NAMESPACE=t-one COUNT=$COUNT GATEWAY=vpn PAUSE=5 | K create --dry-run=client -o json -f - |
	jq --arg node "$N1" '.spec.template.spec |= (.nodeSelector = {"kubernetes.io/hostname": $node} | del(.volumes) |
		.containers[0] |= (del(.volumeMounts) | .command = ["sleep", "infinity"]))' | K apply -f - >/dev/null # little to do for others
poll 180 prints $COUNT K -n t-one get deployment crowd -o jsonpath='{.status.readyReplicas}' || die "the clients do not start"
label=$(K -n t-one get deployment vpn -o json | jq -r '.spec.selector.matchLabels | to_entries[] | "\(.key)=\(.value)"')
{
	containers t-one app=crowd
	containers t-one "$label"
	containers t-bare app=client
} | sort >"$TMP/booted"
captures=$(capture_runs "$N1")

bed down.sh "$N1" >/dev/null
begin
KUBELET_FLAGS="--kube-api-qps=50 --kube-api-burst=100" bed up.sh n1 n2 >/dev/null
within "the pod without a gateway runs again" 60 anew 1 t-bare app=client
exempt t-bare dns
check "the gateway does" poll 120 anew 2 t-one "$label"
ready=$EPOCHREALTIME
begin
# The aim is 10 s, of which a calm machine with two processors takes 6 to 8 to start the containers.
within "and so do all $COUNT clients, soon after that" 15 anew $COUNT t-one app=crowd
part=$(attached_after "$ready")
check "podswitch's part of it was $part s, and the rest containerd's" [ "${part%.*}" -lt $((5 * SLOW)) ]
same "each has an address of its own" $COUNT "$(own_addresses)"
check "the gateway is heard by all" poll 30 prints $COUNT lease_count t-one
note "$(K -n t-one get events --field-selector reason=FailedCreatePodSandBox -o json | jq '[.items[].count] | add // 0') sandboxes failed and were made again"
check "at an address of its own" poll 10 gateway_up t-one # which the captures are to know
check "the agents are ready" poll 60 agents_ready

# What the rest of the run counts on.
poll 60 all_stay || note "not all of $WATCH come back"
stays >>"$TMP/free"
poll 60 prints $((captures + 1)) capture_runs "$N1" || note "the capture on $N1 was started $(capture_runs "$N1") times"
capture_runs "$N1" >"$TMP/restarts.$N1"
