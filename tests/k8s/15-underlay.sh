#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# 15-underlay.sh - networks that treat nodes otherwise than pods: masquerading and policy between the nodes
#
# Most networks rewrite the source of what a pod sends to a node's own address (kindnet, flannel, Calico with natOutgoing),
# and NetworkPolicies know pods. So what goes from the client's node to the gateway's pod is not answered, or not let in;
# what goes from pod to pod is.
# shellcheck source=lib.sh

[ -n "$BED" ] || { note "left out: the nodes' network is not ours to change" && exit 0; }
PODS=10.244.0.0/16 NODENET=10.100.0.0/24 # as networks do it, it is all but $PODS; the captures know pods by their addresses
rule() { hand "$N2" iptables "$@"; } # on the gateway's node
calm() {
	rule -t nat -D POSTROUTING -s $PODS -d "$NODENET" -j MASQUERADE
	rule -D FORWARD -p udp --dport 8473 ! -s $PODS -j DROP
} >/dev/null 2>&1
trap "calm || true" EXIT
export KIND=podswitch # its port, 8473, is free on the nodes

space t-one
space t-two
gateway t-one "$N2"
gateway t-two "$N2" underlay=host
poll 60 gateway_up t-one || die "no gateway in t-one"
poll 60 gateway_up t-two || die "no gateway in t-two"

# First the policy: connections that were masqueraded once stay so.
rule -I FORWARD -p udp --dport 8473 ! -s $PODS -j DROP
client t-two policy "$N1" gateway=vpn
check "a policy that knows pods only: an Event says that nothing comes back, and the usual causes" poll 40 \
	event_like t-two policy 'none came back.*NetworkPolicy or firewall.*underlay=pod'
check "no container of the pod has run" asleep t-two policy
K -n t-two annotate service vpn podswitch.io/underlay- >/dev/null
DEADLINE=60 check "from the pod's address, it starts" ready t-two policy
calm || true

rule -t nat -I POSTROUTING -s $PODS -d "$NODENET" -j MASQUERADE
client t-one plain "$N1" gateway=vpn
check "masquerading between nodes, as most clusters have it: a pod starts" ready t-one plain
check "answered by its gateway" poll 5 answered t-one plain t-one
same "it sends from its own address" pod "$(ctl "$N1" -j port list | jq -r '.[] | select(.name | startswith("t-one.plain")).underlay')"
K -n t-two annotate service vpn podswitch.io/underlay=host >/dev/null
client t-two by-node "$N1" gateway=vpn
check "from the node's address: an Event says whose address answers, and what to set" poll 40 \
	event_like t-two by-node "$(K get node "$N2" -o jsonpath='{.status.addresses[0].address}') \(node $N2\).*podswitch.io/underlay=pod"
check "no container of the pod has run" asleep t-two by-node
K -n t-two annotate service vpn podswitch.io/underlay- >/dev/null
DEADLINE=60 check "that done, it starts" ready t-two by-node
check "answered by its gateway" poll 5 answered t-two by-node t-two
only "the plain pod has met its gateway only" t-one plain t-one
only "the second pod has met its gateway only" t-two policy t-two
only "the third pod has met its gateway only" t-two by-node t-two
