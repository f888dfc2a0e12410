#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# 20-addresses.sh - static addresses, those of the gateway's DHCP server, and one that stays over a restart
# shellcheck source=lib.sh

space t-one
gateway t-one "$N1"
poll 60 gateway_up t-one || die "no gateway in t-one"
client t-one fixed "$N1" gateway=vpn address=172.16.0.10/24
client t-one fixed-far "$N2" gateway=vpn address=172.16.0.11/24
client t-one leased "$N1" gateway=vpn
client t-one leased-far "$N2" gateway=vpn
apply stateful NAMESPACE=t-one "NODE=$N2" GATEWAY=vpn
check "static and DHCP: all start" ready t-one fixed fixed-far leased leased-far stateful-0

same "the static address is the one that the gateway sees" "t-one 172.16.0.10" "$(fetch t-one fixed 172.16.0.1:8080)"
same "and from another node" "t-one 172.16.0.11" "$(fetch t-one fixed-far 172.16.0.1:8080)"
for pod in leased leased-far; do
	ours=$(overlay t-one $pod)
	like "DHCP: an address of the gateway's range ($pod)" '^172\.16\.0\.(2[0-9]|[3-9][0-9]|1[0-9][0-9]|2[0-4][0-9]|25[0-4])$' "$ours"
	same "which the gateway sees" "t-one $ours" "$(fetch t-one $pod 172.16.0.1:8080)"
	same "and which is its lease for the pod's MAC" "$ours" "$(leases t-one | awk -v m="$(in_pod t-one $pod cat /sys/class/net/vx0/address)" '$2 == m { print $3 }')"
	same "no process of ours in the pod" "" "$(in_pod t-one $pod ps | grep -Ei 'udhcpc|dhclient|podswitch' || true)"
done
same "a static one has no lease" "" "$(leases t-one | awk '$3 ~ /\.1[01]$/')"

was=$(overlay t-one stateful-0) before=$(identity t-one stateful-0)
K -n t-one delete pod stateful-0 --wait=true >/dev/null
client t-one newcomer "$N2" gateway=vpn # may not get what is the StatefulSet's
check "the StatefulSet's pod starts again" ready t-one stateful-0 newcomer
check "as another pod" [ "$before" != "$(identity t-one stateful-0)" ]
same "which has the same address" "$was" "$(overlay t-one stateful-0)"
same "and is seen with it" "t-one $was" "$(fetch t-one stateful-0 172.16.0.1:8080)"

# A Deployment's template gives one address to all of its pods. On one node the second does not start.
client t-one twin "$N2" gateway=vpn address=172.16.0.12
ready t-one twin || die "a client does not start"
client t-one twin-far "$N1" gateway=vpn address=172.16.0.12
client t-one twin-near "$N2" gateway=vpn address=172.16.0.12/24
check "one static address on two nodes: an Event says who has it" poll 60 event_like t-one twin-far \
	"pod twin on node $N2 has the address 172\.16\.0\.12 of t-one/vpn, too" AddressShared
check "and on one node" poll 30 event_like t-one twin-near "port 't-one\.twin@.*has the address 172\.16\.0\.12" GatewayNotReady
check "it does not start" asleep t-one twin-near
K -n t-one delete pod twin twin-far twin-near --force --grace-period=0 >/dev/null 2>&1

was=$(leases t-one | wc -l)
K -n t-one delete pod leased leased-far --force --grace-period=0 >/dev/null 2>&1
check "leases of deleted pods are given back" poll 20 prints $((was - 2)) lease_count t-one
for pod in fixed fixed-far newcomer stateful-0; do only "$pod has met its gateway only" t-one $pod t-one; done
