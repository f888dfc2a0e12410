#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# 25-kept-networks.sh - what stays on the first interface: node-local services, nodes by the hundreds, pods' networks
#
#   node 1   lo 169.254.20.10 (dnsmasq, as NodeLocal DNS), lo 169.254.169.254 (as a cloud's metadata)
#            pod "kept": eth0 to all of these but the metadata, and to what the gateway must not get; vx0 to the rest
#
# The further nodes are objects of the API and nothing more. Which way a packet takes is what the pod's kernel says, and
# for those that may be sent what a capture on the node's bridge has seen.
# shellcheck source=lib.sh

NODES_MORE=${NODES_MORE:-1000}
LOCAL=169.254.20.10 METADATA=169.254.169.254

fake_nodes() { # fake_nodes FROM TO: fake-I with the addresses 10.I.0.9 and 34.I.0.9; from 256 on 10.200.I/256.I%256 alone
	# shellcheck disable=SC2016 # the dollars are jq's
	seq "$1" "$2" | jq -n '[inputs | {apiVersion: "v1", kind: "Node", metadata: {name: "fake-\(.)", labels: {"podswitch-fake": "yes"}},
		status: {addresses: (if . < 256 then [{type: "InternalIP", address: "10.\(.).0.9"}, {type: "ExternalIP", address: "34.\(.).0.9"}]
		else [{type: "InternalIP", address: "10.200.\(. / 256 | floor).\(. % 256)"}] end)}}]
		| {apiVersion: "v1", kind: "List", items: .}'
}
way() { in_pod t-one kept /usr/sbin/ip route get "$1" 2>&1 | sed -n 's/.* dev \([^ ]*\) .*/\1/p; s/^RTNETLINK.*/none/p'; }
goes() { [ "$(way "$2")" = "$1" ] || { echo "$2 goes by $(way "$2")" && return 1; }; } # goes INTERFACE ADDRESS
resolves() { says 192.0.2.77 in_pod t-one kept nslookup -type=a node.test $LOCAL; }
figure() { metrics "$N1" | sed -n "s/^$1 //p"; }
report_address() { # report_address ADDRESS: as if a kubelet had said that the pod has it; the kubelet puts that right again
	K get --raw /api/v1/namespaces/t-one/pods/kept/status | jq --arg a "$1" '.status.podIP = $a | .status.podIPs = [{ip: $a}]' |
		K replace --raw /api/v1/namespaces/t-one/pods/kept/status -f - >/dev/null
}
tidy() {
	K delete --raw "/api/v1/nodes?labelSelector=podswitch-fake%3Dyes" >/dev/null 2>&1
	K delete crd ippools.crd.projectcalico.org --wait=false >/dev/null 2>&1
	# shellcheck disable=SC2016 # the node's shell
	hand "$N1" sh -c 'kill $(cat /run/kept.pid); ip addr del 169.254.20.10/32 dev lo; ip addr del 169.254.169.254/32 dev lo' >/dev/null 2>&1
}
trap 'tidy || true' EXIT

space t-one
gateway t-one "$N2"
poll 60 gateway_up t-one || die "no gateway in t-one"
hand "$N1" sh -c "/usr/sbin/ip addr add $LOCAL/32 dev lo; /usr/sbin/ip addr add $METADATA/32 dev lo
	dnsmasq --user=root --conf-file=/dev/null --pid-file=/run/kept.pid --no-resolv --no-hosts --listen-address=$LOCAL,$METADATA \
		--bind-interfaces --address=/node.test/192.0.2.77"
client t-one kept "$N1"
ready t-one kept || die "the pod does not start"
exempt t-one kept # until it has a gateway
check "a resolver on the node, by its link-local address: the pod gets an answer" poll 10 resolves
K -n t-one annotate pod kept podswitch.io/gateway=vpn >/dev/null
check "the pod has a gateway" poll 20 answered t-one kept t-one
check "and still gets an answer from the node's resolver" resolves
at t-one /usr/sbin/ip route add unreachable $METADATA # what the gateway sends on would be taken for the pod's
check "the metadata do not stay on the first interface" goes vx0 $METADATA
check "nobody answers there" not in_pod t-one kept timeout 3 nslookup -type=a node.test $METADATA
check "nor do the credentials" goes vx0 169.254.170.23
for address in $LOCAL 169.254.7.127 10.100.0.11 10.96.0.1; do check "$address does" goes eth0 "$address"; done

# ---- nodes ----------------------------------------------------------------------------------------------------------

fake_nodes 101 140 | K create -f - >/dev/null
check "40 nodes, internal and external addresses: the last one stays" poll 20 goes eth0 34.140.0.9
fake_nodes 141 141 | K create -f - >/dev/null
check "the 41st node: it stays" poll 20 goes eth0 10.141.0.9
for address in 10.101.0.9 10.140.0.9 34.101.0.9; do check "and $address still does" goes eth0 "$address"; done
for address in 10.101.0.10 10.99.0.9 10.7.0.9 34.101.0.10 34.99.0.9; do check "no node has $address: it goes to the gateway" goes vx0 $address; done
hand "$N1" timeout $((30 * SLOW)) tcpdump -Z root -lni cni0 "icmp and src host $(address t-one kept)" >"$TMP/kept.pings" 2>"$TMP/kept.said" &
capture=$!
poll 20 grep -q 'listening on' "$TMP/kept.said" || die "no capture: $(cat "$TMP/kept.said")"
# The last one says that the capture has seen what came before.
for address in 10.101.0.9 10.141.0.9 10.101.0.10 10.7.0.9 10.140.0.9; do in_pod t-one kept ping -c 1 -W 1 "$address" >/dev/null 2>&1 || true; done
poll 10 grep -q '> 10\.140\.0\.9: ICMP' "$TMP/kept.pings" || true
kill $capture
wait $capture 2>/dev/null || true
same "what the node's bridge has seen of five pings" "10.101.0.9 10.140.0.9 10.141.0.9" \
	"$(sed -n 's/.* > \([0-9.]*\): ICMP echo request.*/\1/p' "$TMP/kept.pings" | sort -u | xargs)"
same "nothing is left out" 0 "$(figure podswitch_agent_kept_networks_left_out)"

begin
fake_nodes 142 240 | K create -f - >/dev/null
check "140 nodes: the external addresses do not all fit, which is said" poll 20 not prints 0 figure podswitch_agent_kept_networks_left_out
like "in a metric" '^[1-9][0-9]*$' "$(figure podswitch_agent_kept_networks_left_out)"
like "and in the log" '34\.[0-9.]*/32, for one, of nodes.* PODSWITCH_KEEP' "$(agent_log "$N1" | grep 'do not stay')"
for address in 34.101.0.9 34.140.0.9 10.141.0.9; do check "those that were there first still stay: $address" goes eth0 $address; done
check "the last node's internal address stays, too" poll 20 goes eth0 10.240.0.9
check "no public address comes with them" goes vx0 34.101.0.10

start=$SECONDS
fake_nodes 256 $((255 + NODES_MORE)) | K create -f - >/dev/null
note "$NODES_MORE nodes made in $((SECONDS - start)) s"
check "the last of $NODES_MORE more nodes stays" poll 30 goes eth0 "10.200.$(((255 + NODES_MORE) / 256)).$(((255 + NODES_MORE) % 256))"
check "and the pod has its gateway" answered t-one kept t-one
note "the agent takes $(memory "$N1" podswitch-agent), podswitchd $(memory "$N1" podswitchd), with $(figure podswitch_agent_kept_networks) networks"

# ---- pods -----------------------------------------------------------------------------------------------------------

report_address 10.42.77.70
check "a pod's own address is in none of the kept networks: an Event says so" poll 10 event_like t-one kept \
	'own address 10\.42\.77\.70 is in none of the kept networks.*PODSWITCH_KEEP' NetworkNotKept
check "and the block around it stays" poll 10 goes eth0 10.42.77.90
jq -n '{apiVersion: "apiextensions.k8s.io/v1", kind: "CustomResourceDefinition", metadata: {name: "ippools.crd.projectcalico.org"},
	spec: {group: "crd.projectcalico.org", scope: "Cluster", names: {kind: "IPPool", plural: "ippools", singular: "ippool"},
	versions: [{name: "v1", served: true, storage: true,
	schema: {openAPIV3Schema: {type: "object", "x-kubernetes-preserve-unknown-fields": true}}}]}}' | K apply -f - >/dev/null
poll 20 K get ippools.crd.projectcalico.org || die "no IPPools here"
was=$(daemon "$N1" podswitch-agent)
hand "$N1" kill "$was" # it asks for what was not there only now and then
check "the agent starts anew" poll 30 reborn "$N1" podswitch-agent "$was"
jq -n '{apiVersion: "crd.projectcalico.org/v1", kind: "IPPool", metadata: {name: "pool"}, spec: {cidr: "10.42.0.0/16"}}' | K apply -f - >/dev/null
check "Calico's pool stays" poll 30 goes eth0 10.42.200.1
check "and nothing beside it" goes vx0 10.43.0.1

# ---- a gateway in the way -------------------------------------------------------------------------------------------

K -n t-one annotate service vpn podswitch.io/network=10.42.3.0/24 --overwrite >/dev/null
check "a gateway's network that is kept: an Event names both" poll 10 event_like t-one kept '10\.42\.3\.0/24, and 10\.42\.0\.0/16' NetworkOverlaps
check "the pod that runs stays behind it" answered t-one kept t-one
K -n t-one annotate service vpn podswitch.io/network- >/dev/null
