#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# 45-running.sh - pods that run already: given a gateway, cut off from it, let go; and a gateway with two pods
# shellcheck source=lib.sh

space t-one
space t-two
space t-bare
gateway t-one "$N1"
gateway t-two "$N2"
poll 60 gateway_up t-one || die "no gateway in t-one"
poll 60 gateway_up t-two || die "no gateway in t-two"
client t-bare late "$N1"
client t-bare held "$N2" gateway=vpn.t-two
ready t-bare late held || die "a client does not start"
exempt t-bare late # until it is annotated, and after that is taken back
poll 5 answered t-bare held t-two || die "no answer of t-two"
before="$(identity t-bare late) $(identity t-bare held)"

begin
K -n t-bare annotate pod late podswitch.io/gateway=vpn.t-one >/dev/null
within "a pod that runs is annotated: attached without the plugin, without a restart" 8 answered t-bare late t-one
check "an Event tells its owner" poll 10 event t-bare late GatewayAttached
assign t-bare late t-one
begin
K -n t-bare annotate pod late podswitch.io/gateway=none --overwrite >/dev/null
within "none: its interface is gone" 5 in_pod t-bare late sh -c '! test -e /sys/class/net/vx0'
[ -z "$BED" ] || check "and it goes the primary way again" poll 5 answered t-bare late LEAK
check "an Event tells its owner" poll 10 event t-bare late GatewayDetached

K -n t-bare annotate pod held podswitch.io/gateway=nobody --overwrite >/dev/null
check "a name that does not exist: an Event says so" poll 10 event t-bare held GatewayNotFound
sleep 1
check "and the pod stays where it is" poll 5 answered t-bare held t-two
K -n t-bare annotate pod held podswitch.io/gateway=vpn.t-two --overwrite >/dev/null
K -n t-two annotate service vpn podswitch.io/allow-namespaces=t-one >/dev/null
check "not allowed any more: an Event says so" poll 10 event t-bare held GatewayNotAllowed
check "and nobody answers the pod" poll 10 silent t-bare held
K -n t-two annotate service vpn podswitch.io/allow-namespaces- >/dev/null
check "allowed again: it is answered" poll 10 answered t-bare held t-two
same "no pod was restarted in all this" "$before" "$(identity t-bare late) $(identity t-bare held)"
only "the pod that was held has met its gateway only" t-bare held t-two

# Two pods behind one Service. A client is at one of them, and goes to the other when that does not answer any more.
K -n t-one scale deployment vpn --replicas=2 >/dev/null
check "a second pod of the gateway is ready" poll 60 gateways_ready t-one 2
client t-one sticky "$N1" gateway=vpn
ready t-one sticky || die "a client does not start"
first=$(remote_of t-one sticky)
sleep 3
same "it stays at the one that it was given" "$first" "$(remote_of t-one sticky)"
begin
# Not so that the kubelet would notice: the gateway's probe looks for the device and for dnsmasq.
execute t-one "$(pod_at t-one "$first")" gateway /usr/sbin/ip link set vxlan0 down
within "one that falls silent is left for the other" 20 remote_is_not t-one sticky "$first"
check "and the pod is answered" poll 10 answered t-one sticky t-one
second=$(remote_of t-one sticky)
begin
K -n t-one delete pod "$(pod_at t-one "$second")" --wait=false --grace-period=0 --force >/dev/null 2>&1
within "one that is deleted is left within 5 s" 5 remote_is_not t-one sticky "$second"
