#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# 56-boot.sh - a node is booted, and our DaemonSet comes late: no pod with a gateway sends anything past it
# shellcheck source=lib.sh
#
# The kubelet makes the pods' sandboxes again before our image is there. Nothing of /run survives; what the CNI folder
# had does, but the network's own file is written afresh.

IMAGE=docker.io/library/podswitch:local
[ -n "$BED" ] || { note "no hand on the nodes: left out" && return 0; }

node() { bed nsh "$N1" "$@"; }
image() { node ctr -n k8s.io images "$@"; }
runs_soon() { poll "${DEADLINE:-60}" runs_again "$@"; }
system_pods_of() { K -n "$SYSTEM" get pods --field-selector "spec.nodeName=$1" -o json; }
none_ready() { system_pods_of "$1" | jq -e '[.items[].status.conditions[]? | select(.type == "Ready" and .status == "True")] == []'; }
runs_again() { # runs_again NAMESPACE NAME CONTAINERS: it has other containers than before
	local now
	now=$(K -n "$1" get pod "$2" -o jsonpath='{.status.containerStatuses[*].containerID}')
	[ -n "$now" ] && [ "$now" != "$3" ] && pod_is "$1" "$2" Ready
}
containers() { K -n "$1" get pod "$2" -o jsonpath='{.status.containerStatuses[*].containerID}'; }

space t-one
space t-bare
space t-asks podswitch.io/gateway=vpn.t-one
gateway t-one "$N2"
poll 60 gateway_up t-one || die "no gateway in t-one"
client t-one by-pod "$N1" gateway=vpn
client t-asks by-space "$N1"
client t-bare plain "$N1"
{ ready t-one by-pod && ready t-asks by-space && ready t-bare plain; } || die "a client does not start"
exempt t-bare plain
poll 5 answered t-one by-pod t-one || die "no answer of t-one"
assign t-one by-pod t-one
assign t-asks by-space t-one
address=$(overlay t-one by-pod)
before=$(containers t-one by-pod)
plain=$(containers t-bare plain)
captures=$(capture_runs "$N1")
sleep 2

image rm "$IMAGE" >/dev/null # the DaemonSets' pods stay away until it is imported again
bed down.sh "$N1" >/dev/null
list=$BED/nodes/$N1/etc/cni/net.d/00-podswitch.conflist
check "our list is still on the node's disk" grep -q podswitch-cni "$list"
# As the network does it on each boot.
file=$BED/nodes/$N1/etc/cni/net.d/10-primary.conflist
cp "$file" "$TMP/primary" && rm "$file" && cp "$TMP/primary" "$file"
(cd "$BED" && exec ./nsh cp tcpdump -Z root -i kbr0 -n -U -w "$TMP/boot.pcap" "src net 10.244.0.0/16 and dst host $THERE") \
	>/dev/null 2>"$TMP/tcpdump" &
capture=$!
poll 10 grep -q 'listening on' "$TMP/tcpdump" || die "no capture: $(cat "$TMP/tcpdump")"
begin
KUBELET_FLAGS="--kube-api-qps=50 --kube-api-burst=100" bed up.sh n1 n2 >/dev/null
within "the pod without a gateway runs again, without us" 90 runs_again t-bare plain "$plain"
exempt t-bare plain
check "podswitch does not" none_ready "$N1"
check "the pod with a gateway waits" poll 60 not_started_like t-one by-pod 'the pod has annotations'
check "so does the one whose namespace has one" poll 60 not_started_like t-asks by-space 'the namespace has annotations'
sleep 10 # time to leak
import podswitch:local "$BUILD/image/podswitch.tar"
DEADLINE=120 check "the image comes, and with it the pod" runs_soon t-one by-pod "$before"
DEADLINE=60 check "for both" ready t-asks by-space
check "answered by their gateway" poll 20 answered t-one by-pod t-one
same "with the address of before" "$address" "$(overlay t-one by-pod)"
only "the pod has met its gateway only" t-one by-pod t-one
only "so has the other" t-asks by-space t-one
poll 60 all_stay || note "not all of $WATCH come back"
stays >>"$TMP/free"
kill $capture && { wait $capture || true; }
free="$(address t-bare plain)|$(stays | paste -sd '|')"
same "and nobody else has gone the primary way since the boot" "" \
	"$(tcpdump -n -r "$TMP/boot.pcap" 2>/dev/null | grep -Ev "IP ($free)[. ]" || true)"
check "where the pod without a gateway was seen" says "IP $(address t-bare plain)[. ]" tcpdump -n -r "$TMP/boot.pcap"
check "the agents are ready" poll 60 agents_ready

# What the rest of the run counts on.
poll 60 prints $((captures + 1)) capture_runs "$N1" || note "the capture on $N1 was started $(capture_runs "$N1") times"
capture_runs "$N1" >"$TMP/restarts.$N1"
