#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# 10-choose.sh - which gateway a pod gets: by its annotation, by its namespace's, by none
#
# Core: also with podswitch's own gateway
# shellcheck source=lib.sh

space t-one
space t-two
space t-apps gateway=unused podswitch.io/gateway=vpn.t-one # administrator's choice; a key that is not ours is nothing
space t-bare
space t-guest
gateway t-one "$N1"
gateway t-two "$N2" "allow-namespaces=t-apps, t-bare"
poll 60 gateway_up t-one || die "no gateway in t-one"
poll 60 gateway_up t-two || die "no gateway in t-two"

# Equal VNI, equal network, equal addresses; on the gateway's node and on the other one.
client t-bare pod-one "$N1" gateway=vpn.t-one
client t-bare pod-one-far "$N2" gateway=vpn.t-one
client t-bare pod-two "$N1" gateway=vpn.t-two.svc.cluster.local
client t-two at-home "$N2" gateway=vpn
client t-apps by-space "$N1"
client t-apps by-space-far "$N2"
client t-apps over-space "$N2" gateway=vpn.t-two
client t-guest not-allowed "$N1" gateway=vpn.t-two
client t-guest malformed "$N2" "gateway=not a name"
client "$WATCH" opted-out "$N1" gateway=none # stays to the end: its address must remain its own
client t-apps opted-out "$N2" gateway=none
check "every pod that has or needs no gateway trouble starts" all_start
exempt "$WATCH" opted-out
exempt t-apps opted-out

check "pod annotation: answered by its gateway, on its own node" poll 5 answered t-bare pod-one t-one
check "pod annotation: answered by its gateway, from another node" poll 5 answered t-bare pod-one-far t-one
check "the gateway with the same VNI and network, by a full cluster name" poll 5 answered t-bare pod-two t-two
check "a name without a namespace is one of the pod's own" poll 5 answered t-two at-home t-two
check "namespace annotation" poll 5 answered t-apps by-space t-one
check "namespace annotation, from another node" poll 5 answered t-apps by-space-far t-one
check "the pod's annotation wins over its namespace's" poll 5 answered t-apps over-space t-two
[ -z "$BED" ] || check "none: the pod of an annotated namespace goes the primary way" poll 5 answered t-apps opted-out LEAK
same "none: no interface of ours" 1 "$(in_pod t-apps opted-out sh -c 'ls -d /sys/class/net/vx0 2>/dev/null | wc -l | grep -c ^0')"
check "not allowed: an Event says so" poll 30 event t-guest not-allowed GatewayNotAllowed
like "and names the gateway" 't-two' "$(event t-guest not-allowed GatewayNotAllowed || true)"
check "and no container of the pod has run" asleep t-guest not-allowed
check "malformed: an Event tells what to write" poll 30 event_like t-guest malformed 'podswitch.io/gateway'
check "and no container of the pod has run" asleep t-guest malformed

like "a client's address is the gateway's to give" '^t-one 172\.16\.0\.[0-9]+$' "$(fetch t-bare pod-one 172.16.0.1:8080 || true)"
check "the cluster is reached by the primary interface" inside_reached t-bare pod-one
check "and the API server" reaches t-bare pod-one "$(K get service kubernetes -o jsonpath='{.spec.clusterIP}')" 443
like "behind the way to the gateway there is an unreachable rule" '^0:.*unreachable' \
	"$(in_pod t-bare pod-one /usr/sbin/ip rule)"
like "and for IPv6" '^0:.*unreachable' "$(in_pod t-bare pod-one /usr/sbin/ip -6 rule)"
same "with the interface bound by force nothing gets out by it" "" \
	"$(in_pod t-bare pod-one sh -c "ping -c 2 -W 1 -I eth0 $THERE 2>/dev/null | grep 'bytes from'" 2>/dev/null || true)"

K -n t-two annotate service vpn podswitch.io/allow-namespaces- >/dev/null
DEADLINE=90 check "allowed after all: the pod starts" ready t-guest not-allowed
check "and is answered by its gateway" poll 5 answered t-guest not-allowed t-two
K -n t-guest delete pod malformed --wait=false >/dev/null
check "the pod that never started is deleted" gone t-guest pod malformed

sleep 2 # so that every pod has tried more than once
for pod in "t-bare pod-one t-one" "t-bare pod-one-far t-one" "t-bare pod-two t-two" "t-two at-home t-two" \
	"t-apps by-space t-one" "t-apps by-space-far t-one" "t-apps over-space t-two" "t-guest not-allowed t-two"; do
	# shellcheck disable=SC2086 # words
	only "from its first packet on, ${pod% *} has met its gateway only" $pod
done
