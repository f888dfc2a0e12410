#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# 47-names.sh - names are asked of the gateway, whatever resolv.conf says: no webhook, and the cluster's names still known
#
#   pods  eth0 ---- Service dns ---- t-dns/dns            who.test is there: "cluster"; knows the cluster's names
#         vx0  ~~~~ t-one, t-two ---- DNS at THERE        who.test is THERE:  "t-one", "t-two"
#                       '---- Service dns, for names in .local
#
# So what answers at who.test says who was asked for it; and there is a capture on either way. The gateway of t-one is a
# pod-gateway, that of t-two is ours.
# shellcheck source=lib.sh

# The Service's pod is on the other node, so that its answers come back by here.
way() { # way -I|-D: from node 1 to the Service, as kube-proxy leads it
	local protocol
	[ -n "$BED" ] || return 0
	for protocol in udp tcp; do
		hand "$N1" iptables -t nat "$1" PREROUTING -d "$SERVICE" -p $protocol --dport 53 -j DNAT --to-destination "$DNS:53"
	done
}
with_resolvers() { # a gateway's objects, with the VPN's resolver in its resolv.conf, and the cluster's for the cluster's names
	jq --arg vpn "$THERE" --arg cluster "$SERVICE" 'if .kind == "Deployment" then .spec.template.spec |= (
		.dnsPolicy = "None" | .dnsConfig = {nameservers: [$vpn]}
		| (.containers[] | select(.name == "gateway").env) += [{name: "DNS_LOCAL_SERVER", value: $cluster}]) else . end' |
		K apply -f - >/dev/null
}
gateway_names() { # gateway_names NAMESPACE: the resolver behind its VPN, and a capture of what it is asked
	at "$1" /usr/sbin/ip netns exec internet dnsmasq --user=root --conf-file=/dev/null --pid-file= --no-hosts --no-resolv \
		--bind-interfaces --listen-address="$THERE" --local=/test/ --address="/who.test/$THERE"
	at "$1" sh -c "tcpdump -Z root --immediate-mode -lni vxlan0 'dst port 53' >/tmp/asked 2>&1 &"
	poll 10 at "$1" grep -q '^listening' /tmp/asked || die "no capture in $1's gateway"
}
asker() { # asker NAME GATEWAY
	render client NAMESPACE=t-names "NAME=$1" "NODE=$N1" "ANNOTATIONS=$(annotations "gateway=$2")" PAUSE=1 |
		K create --dry-run=client -o json -f - | jq --arg dns "$SERVICE" '.spec.dnsPolicy = "None" | .spec.dnsConfig =
			{nameservers: [$dns], searches: ["t-names.svc.cluster.local", "svc.cluster.local", "cluster.local"],
			options: [{name: "ndots", value: "5"}]}' | K apply -f - >/dev/null
}
at_name() { # at_name POD NAME [RESOLVER-OPTIONS]: who answers there, and to whom; as any program asks, by libc
	in_pod t-names "$1" sh -c "RES_OPTIONS=${3:-} timeout 8 wget -qO- http://$2/cgi-bin/who"
}
asked_for() { # asked_for POD [RESOLVER-OPTIONS]: whom it has asked for who.test
	at_name "$1" who.test "${2:-}" | cut -d' ' -f1
}
# by_both POD: over UDP and over TCP
by_both() { echo "$(asked_for "$1") $(asked_for "$1" use-vc)"; }
questions() { # questions ADDRESS CAPTURE: "UDP TCP", how many it has sent
	awk -v from="$1" '$3 ~ "^" from "\\.[0-9]*$" { if (/Flags \[S\]/) tcp++; else if (!/Flags/) udp++ } END { print udp + 0, tcp + 0 }' <<<"$2"
}
cluster_saw() { questions "$1" "$(K -n t-dns exec dns -- cat /tmp/asked)"; } # cluster_saw ADDRESS
gateway_saw() { questions "$2" "$(at "$1" cat /tmp/asked)"; }                # gateway_saw NAMESPACE ADDRESS
annotate() { K -n t-names annotate "$@" --overwrite >/dev/null; }

space t-dns
space t-one
space t-two
space t-names
apply dns NAMESPACE=t-dns "NODE=$N2"
SERVICE=$(K -n t-dns get service dns -o jsonpath='{.spec.clusterIP}')
render gateway NAMESPACE=t-one "NODE=$N1" SERVICE= | K create --dry-run=client -o json -f - | with_resolvers
podswitch_gateway t-two "$N1" dns=gateway | with_resolvers
asker moved vpn.t-one
asker born vpn.t-two
poll 60 pod_is t-dns dns Ready || die "the cluster has no DNS"
DNS=$(address t-dns dns)
way -I
trap 'way -D >/dev/null 2>&1 || true' EXIT
poll 60 gateway_up t-one || die "no gateway in t-one"
poll 60 gateway_up t-two || die "no gateway in t-two"
gateway_names t-one
gateway_names t-two
DEADLINE=60 ready t-names moved born || die "a pod does not start"
pod=$(address t-names moved)
file=$(in_pod t-names moved cat /etc/resolv.conf)

same "without it, the cluster's DNS is asked" "cluster cluster" "$(by_both moved)"
before=$(cluster_saw "$pod")
like "which its capture sees, over UDP and TCP" '^[1-9][0-9]* [1-9]' "$before"
same "and the gateway's sees nothing" "0 0" "$(gateway_saw t-one "$(overlay t-names moved)")"

annotate pod moved podswitch.io/dns=gateway
eventually 20 "on the pod: the gateway is asked" "t-one t-one" by_both moved
like "which its capture sees, over UDP and TCP" '^[1-9][0-9]* [1-9]' "$(gateway_saw t-one "$(overlay t-names moved)")"
before=$(cluster_saw "$pod")
same "the cluster's names are still known, and lead where they did, by the first interface" "cluster $pod" "$(at_name moved dns.t-dns)"
same "over TCP, too" "cluster $pod" "$(at_name moved dns.t-dns use-vc)"
like "it is the gateway that has asked for them" '^[1-9]' "$(cluster_saw "$(address t-one "$(gateway_pods t-one)")")"
same "asked again, the cluster's DNS sees nothing of the pod" "t-one t-one $before" "$(by_both moved) $(cluster_saw "$pod")"
same "resolv.conf is as it was" "$file" "$(in_pod t-names moved cat /etc/resolv.conf)"
annotate pod moved podswitch.io/dns-
eventually 20 "taken back: the cluster's DNS is asked" "cluster cluster" by_both moved

K annotate namespace t-names podswitch.io/dns=gateway >/dev/null
eventually 20 "on the namespace: the gateway is asked" "t-one t-one" by_both moved
K annotate namespace t-names podswitch.io/dns- >/dev/null
eventually 20 "taken back: the cluster's DNS is asked" "cluster cluster" by_both moved

annotate pod moved podswitch.io/gateway=vpn.t-two
eventually 20 "on a gateway's Service: who moves there asks it" "t-two t-two" by_both moved
same "and who was started there" "t-two t-two" "$(by_both born)"
same "the cluster's names are known there, too" "cluster $(address t-names born)" "$(at_name born dns.t-dns)"
like "its capture sees it, over UDP and TCP" '^[1-9][0-9]* [1-9]' "$(gateway_saw t-two "$(overlay t-names born)")"
K -n "$WATCH" exec "free-$N1" -- nslookup -type=a who.test "$SERVICE" >/dev/null || true
like "the cluster's DNS sees who has no gateway" '^[1-9]' "$(cluster_saw "$(address "$WATCH" "free-$N1")")"
same "and has never seen anything of the pod that was started there" "0 0" "$(cluster_saw "$(address t-names born)")"
only "the pod that moved has met its gateways only" t-names moved t-one t-two
only "the other one its own" t-names born t-two
