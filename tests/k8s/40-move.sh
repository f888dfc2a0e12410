#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# 40-move.sh - another gateway for a running pod, and a gateway that moves
#
# Core: also with podswitch's own gateway
# shellcheck source=lib.sh

space t-one
space t-two
space t-apps podswitch.io/gateway=vpn.t-one
gateway t-one "$N1"
gateway t-two "$N2"
poll 60 gateway_up t-one || die "no gateway in t-one"
poll 60 gateway_up t-two || die "no gateway in t-two"
client t-one mine "$N1" gateway=vpn.t-one
client t-apps theirs "$N2"
client t-one still "$N2" gateway=vpn.t-one
ready t-one mine still || die "a client does not start"
ready t-apps theirs || die "a client does not start"
poll 5 answered t-one mine t-one || die "no answer of t-one"
poll 5 answered t-apps theirs t-one || die "no answer of t-one"
before="$(identity t-one mine) $(identity t-apps theirs) $(identity t-one still)"
inside=$(address "$WATCH" inside)
talk_begin t-one mine "$inside"
talk_begin t-one still "$inside"

begin
K -n t-one annotate pod mine podswitch.io/gateway=vpn.t-two --overwrite >/dev/null
within "the pod's annotation changes: answered by the other gateway in 5 s" 5 answered t-one mine t-two
begin
K annotate namespace t-apps podswitch.io/gateway=vpn.t-two --overwrite >/dev/null
within "the namespace's annotation changes: the same" 5 answered t-apps theirs t-two
check "an Event tells the pod's owner" poll 10 event_like t-one mine 't-two' GatewayAttached
like "the address is the other gateway's now" '^t-two 172\.16\.0\.' "$(fetch t-one mine 172.16.0.1:8080 || true)"
check "TCP to the cluster goes on" talking t-one mine
begin
K -n t-one annotate pod mine podswitch.io/gateway=vpn.t-one --overwrite >/dev/null
within "and back" 5 answered t-one mine t-one

# The gateway's pod ends and comes again on the other node, with another address.
from=$(K -n t-one get pod "$(gateway_pods t-one)" -o jsonpath='{.status.podIP}')
old=$(gateway_pods t-one)
begin
K -n t-one patch deployment vpn -p "{\"spec\":{\"template\":{\"spec\":{\"nodeSelector\":{\"kubernetes.io/hostname\":\"$N2\"}}}}}" >/dev/null
within "a gateway is moved to the other node: the old one's network is gone in 20 s" 20 prints 0 networks "$N1" "$old"
# The Deployment makes the new one when the old one's object is gone. A kubelet of 1.20 may miss that its containers have
# ended, and then looks for what is left once a minute.
check "the new one is made" poll "$GOES" appeared t-one "$N2"
begin
check "it is ready there" poll 60 moved t-one "$from"
within "traffic is back, 10 s after the new one was made" 10 both_answered
was=$(tail -n 1 "$TMP/gateways" | cut -d' ' -f2)
begin
K -n t-one delete pod "$(gateway_pods t-one)" --wait=false >/dev/null
check "a gateway's pod is deleted and comes again" poll 60 moved t-one "$was"
within "traffic is back, 15 s after the old one was told to go" 15 both_answered
check "an Event has told of the loss" poll 10 event t-one still GatewayLost
check "and of the recovery" poll 20 event t-one still GatewayRecovered
check "TCP to the cluster is unharmed" talking t-one mine
check "TCP to the cluster is unharmed, from the other node" talking t-one still
same "no pod was restarted in all this" "$before" "$(identity t-one mine) $(identity t-apps theirs) $(identity t-one still)"
only "the pod that was moved has met its two gateways only" t-one mine t-one t-two
only "that of the namespace too" t-apps theirs t-one t-two
only "the pod that stayed has met its one only" t-one still t-one
