#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# 48-firewall.sh - a gateway behind gluetun's firewall: pods wait and say what to open, and start when it is opened
#
#   near, far   eth0 ---- UDP 8473 ---- eth0 [INPUT, OUTPUT: DROP] vxlan0 [FORWARD: DROP] tun0
#
# The rules are those of image/gluetun. What its owner opens are the settings that deploy/README.md names.
# shellcheck source=lib.sh

firewall() { # firewall PORTS NETWORKS: what the gateway's owner has opened
	execute t-one "$(gateway_pods t-one)" gateway \
		env "FIREWALL_INPUT_PORTS=$1" "FIREWALL_OUTBOUND_SUBNETS=$2" gluetun
}
answers_names() { says "can't find|Name:" in_pod t-one far timeout 2 nslookup -type=a who.test 172.16.0.1; } # it knows none
listed() { K get nodes -o json | jq -r "[.items[] | $1] | join(\",\")"; }
PODS=$(listed '.spec.podCIDR // empty')
NODE_ADDRESSES=$(listed '.status.addresses[] | select(.type == "InternalIP").address')
[ -n "$PODS" ] || { note "left out: the nodes do not say which network their pods have" && exit 0; }

space t-one
# A pod-gateway with VXLAN_PORT=8473, as 8472 is the nodes' own.
render gateway NAMESPACE=t-one "NODE=$N2" SERVICE= | K create --dry-run=client -o json -f - |
	jq 'if .kind == "Service" then .metadata.annotations["podswitch.io/port"] = "8473"
		else (.spec.template.spec.containers[] | select(.name == "gateway").env) += [{name: "VXLAN_PORT", value: "8473"}] end' |
	K apply -f - >/dev/null
poll 60 gateway_up t-one || die "no gateway in t-one"
firewall "" "" || die "no firewall in the gateway"
client t-one near "$N2" gateway=vpn
client t-one far "$N1" gateway=vpn
for pod in near far; do
	check "nothing is opened: $pod's Event names the port, the firewall and its settings" poll 40 event_like t-one $pod \
		'UDP port 8473 .*none came back.*firewall does not let that port in from the pods,.*FIREWALL_INPUT_PORTS, FIREWALL_OUTBOUND_SUBNETS' GatewayNotReady
done
check "no container of them has run" eval 'asleep t-one near && asleep t-one far'
uids() { K -n t-one get pods near far -o jsonpath='{.items[*].metadata.uid}'; }
was=$(uids)
firewall 8473 "$PODS"
DEADLINE=60 check "opened, for the pods' networks: both start" ready t-one near far
same "as the pods that they were" "$was" "$(uids)"
check "from the gateway's own node it is answered" poll 10 answered t-one near t-one
check "from another node" poll 10 answered t-one far t-one
check "names are not: what is opened is open on eth0 alone" not answers_names
at t-one iptables -A INPUT -i vxlan0 -p udp --dport 53 -j ACCEPT # as in gluetun's post-rules.txt
check "with a rule for vxlan0 they are" poll 5 answers_names

if [ -n "$BED" ]; then # elsewhere a network may masquerade what pods send to nodes
	K -n t-one annotate service vpn podswitch.io/underlay=host >/dev/null
	client t-one by-node "$N1" gateway=vpn
	check "from the node's address: its Event says so, and how to send from the pod's" poll 40 event_like t-one by-node \
		'in from the nodes, whose addresses they have \(podswitch.io/underlay=pod sends from the pods\)' GatewayNotReady
	check "no container of it has run" asleep t-one by-node
	check "and nobody answers those of its node" silent t-one far
	firewall 8473 "$PODS,$NODE_ADDRESSES"
	DEADLINE=60 check "opened for the nodes' addresses: it starts" ready t-one by-node
	check "and the others there are answered" poll 10 answered t-one far t-one
	only "by their gateway only" t-one by-node t-one
fi
for pod in near far; do only "$pod has met its gateway only" t-one $pod t-one; done
