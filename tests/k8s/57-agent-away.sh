#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# 57-agent-away.sh - nobody answers the plugin: who has no gateway starts all the same, who has one waits; and what
# changed in the CNI folder meanwhile is put right when the agent is back
# shellcheck source=lib.sh

LIST=/host/etc/cni/net.d/00-podswitch.conflist
listed() { hand "$1" grep -q podswitch-cni "$LIST"; }
metric() { metrics "$1" | sed -n "s/^$2 //p"; }
mapfile -t OURS < <(daemonsets)
away() { # none of our pods runs; the DaemonSets stay
	K -n "$SYSTEM" patch daemonsets "${OURS[@]}" -p '{"spec":{"template":{"spec":{"nodeSelector":{"nowhere":"yes"}}}}}' >/dev/null
	poll "$GOES" prints "" K -n "$SYSTEM" get pods -o name
}
back() {
	K -n "$SYSTEM" patch daemonsets "${OURS[@]}" -p '{"spec":{"template":{"spec":{"nodeSelector":{"nowhere":null}}}}}' >/dev/null
	poll 90 agents_ready
}
fail_status() { hand "$1" sed -i "s/\"fail_status\": *[a-z]*/\"fail_status\": $2/" "$LIST"; } # fail_status NODE true|false
readiness() { K get node "$1" -o jsonpath='{range .status.conditions[?(@.type=="Ready")]}{.status} {.message}{end}'; }

space t-one
space t-bare
space t-asks podswitch.io/gateway=vpn.t-one
gateway t-one "$N1"
poll 60 gateway_up t-one || die "no gateway in t-one"
client t-one held "$N1" gateway=vpn
client t-one goes "$N1" gateway=vpn
ready t-one held goes || die "a client does not start"
sleep 2 # the namespaces are written down once a second

check "our DaemonSets go away" away
check "and leaves its list behind" listed "$N1"
begin
client t-bare plain "$N1"
within "a pod without a gateway starts at once" 10 ready t-bare plain
exempt t-bare plain
client t-asks opted-out "$N1" gateway=none
within "so does one that opts out of its namespace's gateway" 10 ready t-asks opted-out
exempt t-asks opted-out
client kube-system system "$N1"
within "and one of kube-system" 10 ready kube-system system
exempt kube-system system
K -n kube-system delete pod system --wait=false >/dev/null
space t-new
client t-new unknown "$N1"
client t-asks by-space "$N1"
client t-bare by-pod "$N1" gateway=vpn.t-one
check "one of a namespace that nobody knew waits, and says why" \
	poll 120 not_started_like t-new unknown 'podswitch-agent does not answer.*the namespace is not known there'
if [ -n "$BED" ] && hand "$N2" grep -q '"cniVersion": *"1\.1\.0"' "$LIST"; then
	# The runtime asks for the plugin's STATUS all the time. That it does is seen where a failure was asked for.
	fail_status "$N2" true
	check "STATUS fails where that is asked for: the node is not ready" poll 60 says '^False .*podswitch' readiness "$N2"
	fail_status "$N2" false
	check "else it does not, although nobody answers the plugin" poll 60 says '^True ' readiness "$N2"
fi
same "the nodes stay ready" "True True" "$(K get nodes "$N1" "$N2" -o json | jq -r '[.items[].status.conditions[] | select(.type == "Ready").status] | join(" ")')"
check "one with a gateway waits" poll 120 not_started_like t-bare by-pod 'the pod has annotations'
check "so does one whose namespace has one" poll 120 not_started_like t-asks by-space 'the namespace has annotations'
check "no container of theirs has run" eval 'asleep t-new unknown && asleep t-bare by-pod && asleep t-asks by-space'
begin
K -n t-one delete pod goes --wait=false >/dev/null
within "a pod with a gateway is deleted without us" 20 prints 0 networks "$N1" goes
check "we are back" back
DEADLINE=90 check "and all the others start" eval 'ready t-bare by-pod && ready t-asks by-space && ready t-new unknown'
exempt t-new unknown
only "with their gateway" t-bare by-pod t-one
only "or their namespace's" t-asks by-space t-one
check "the pod that was held is answered again" poll 20 answered t-one held t-one

# The agent hangs, and meanwhile somebody removes the list: nobody can prevent what goes past us then.
count=$(metric "$N1" podswitch_agent_bypassed_pods_total)
pid=$(daemon "$N1" podswitch-agent)
hand "$N1" sh -c "kill -STOP $pid; rm $LIST"
client t-bare past "$N1" gateway=vpn.t-one
client t-bare behind "$N1"
check "a pod with a gateway starts past us" poll 30 answered t-bare past LEAK
exempt t-bare past
check "so does one without" ready t-bare behind
exempt t-bare behind
hand "$N1" kill -CONT "$pid"
check "the agent sees what is missing" poll 10 listed "$N1"
check "attaches the pod" poll 60 answered t-bare past t-one
like "and warns its owner" 'not started through podswitch-cni.*Recreate the pod' "$(event t-bare past GatewayBypassed || true)"
same "and its metric" "$((count + 1))" "$(metric "$N1" podswitch_agent_bypassed_pods_total)"
check "a pod without a gateway has no such Event" not event t-bare behind GatewayBypassed

pid=$(daemon "$N1" podswitch-agent)
hand "$N1" sh -c "kill -9 $pid; rm $LIST"
check "the agent is killed while the list is removed, and comes again" poll 60 reborn "$N1" podswitch-agent "$pid"
check "it is ready" poll 60 agents_ready
check "the list is there again" listed "$N1"
client t-bare later "$N1" gateway=vpn.t-one
check "a pod starts" ready t-bare later
only "and has met its gateway only" t-bare later t-one

# The DaemonSet has the wrong folder, in which an earlier network has left its file.
folder() { # folder PATH: of the node's CNI configuration
	K -n "$SYSTEM" patch daemonset podswitch -p "{\"spec\":{\"template\":{\"spec\":{\"volumes\":[{\"name\":\"cni-conf\",
		\"hostPath\":{\"path\":\"$1\",\"type\":\"DirectoryOrCreate\"}}]}}}}" >/dev/null
	poll 120 K -n "$SYSTEM" rollout status daemonset podswitch --timeout=1s
	poll 60 agents_ready
}
hand "$N1" sh -c 'mkdir -p /host/var/lib/cni/stale; cp /host/etc/cni/net.d/10* /host/var/lib/cni/stale'
hand "$N2" sh -c 'mkdir -p /host/var/lib/cni/stale; cp /host/etc/cni/net.d/10* /host/var/lib/cni/stale'
check "the DaemonSet is given the wrong folder, and does not see it" folder /var/lib/cni/stale
check "an Event on the node says where containerd reads" poll 60 node_event_like "$N1" CNIPluginNotCalled \
	'containerd reads its CNI configuration in /etc/cni/net.d .*volume cni-conf.*deploy/overlays'
same "and a metric" 1 "$(metric "$N1" podswitch_agent_cni_astray)"
hand "$N1" rm "$LIST"
client t-bare uncalled "$N1"
begin
within "a pod starts, and the plugin is not called: an Event on the node says so" 60 \
	node_event_like "$N1" CNIPluginNotCalled 'pod t-bare/uncalled has started.*deploy/overlays'
check "it runs" ready t-bare uncalled
exempt t-bare uncalled
check "and a metric" [ "$(metric "$N1" podswitch_agent_uncalled_pods_total)" -ge 1 ]
check "it gets the right folder again" folder /etc/cni/net.d
check "and our list is there" listed "$N1"
hand "$N1" rm -r /host/var/lib/cni/stale
hand "$N2" rm -r /host/var/lib/cni/stale
