#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# 53-upgrade.sh - podswitchd and the agent are exchanged, each by itself, while SENDERS (10) pods send a packet each millisecond:
# none is lost, and new pods start meanwhile
#
# First as the DaemonSets do it: one that can surge, or two of podswitchd of which one waits. Then step by step, the same
# on every cluster: a second pod is made by hand and takes over from the DaemonSet's, that one is deleted, and the
# DaemonSet's next one takes over in turn.
# shellcheck source=lib.sh

SENDERS=${SENDERS:-10}
second() { # second DAEMONSET [JQ]: one more pod of its template on the node, that waits for nobody, changed by that
	K -n "$SYSTEM" get daemonset "$1" -o json | jq --arg node "$N1" --arg name "$1-second" '{apiVersion: "v1", kind: "Pod",
		metadata: {name: $name, namespace: .metadata.namespace, annotations: .spec.template.metadata.annotations},
		spec: (.spec.template.spec + {nodeName: $node})} | .spec.containers[0] |= (del(.args) | '"${2:-.}"')' | K create -f - >/dev/null
}
first_of() { # first_of DAEMONSET: its own pod on the node
	K -n "$SYSTEM" get pods -l "app.kubernetes.io/name=$1" --field-selector "spec.nodeName=$N1" -o json |
		jq -r '.items[] | select(.metadata.deletionTimestamp == null).metadata.name'
}
next_ready() { # next_ready DAEMONSET POD: it has another pod than that on the node, which is ready
	local pod
	pod=$(first_of "$1")
	[ -n "$pod" ] && [ "$pod" != "$2" ] && pod_is "$SYSTEM" "$pod" Ready
}
take_away() { K -n "$SYSTEM" delete pod "$1" --force --grace-period=0 --ignore-not-found >/dev/null 2>&1; }
reason() { K -n "$SYSTEM" logs "$1" "${@:2}"; }
uid() { K -n "$SYSTEM" get pod "$1" -o jsonpath='{.metadata.uid}'; }
whoever_serves() { ctl "$1" -j status | jq -er .instance; }
serves() { # serves POD: it is this podswitchd that has everything
	prints "$(uid "$1")" whoever_serves "$N1"
}
each() { # each COMMAND...: in every pod that sends, at once; all their output
	local n pids=() failed=0
	for n in $(seq "$SENDERS"); do
		in_pod t-one "sends-$n" "$@" >"$TMP/each.$n" &
		pids+=($!)
	done
	for n in "${pids[@]}"; do wait "$n" || failed=1; done
	cat "$TMP"/each.*
	return $failed
}
all_ready() {
	local n
	for n in $(seq "$SENDERS"); do ready t-one "sends-$n" || return 1; done
}
start_traffic() { each steady "$OFTEN"; }
# Where a sender waits for a processor for long, the kernel drops answers for want of room in its socket, at any time. Then
# one of a thousand may be missing; 76-takeover has senders of which every frame is accounted for.
none_lost() {
	each steady end | awk '{ lost += $1; sent += $2 } $3 > silence { silence = $3 } END {
		print lost " of " sent ", and " silence " ms were the longest between two answers"; exit !(sent >= 5000 * NR && (lost == 0 || (silence >= 150 && lost <= sent / 1000))) }'
}
# The agent's HTTP port, from the node itself: how many of the questions, 20 a second, had no answer.
watch_port() {
	# shellcheck disable=SC2016 # the node's shell
	hand "$N1" sh -c '(rm -f /capture/unanswered; touch /capture/asks; while [ -e /capture/asks ]; do
		timeout 2 wget -qO- http://127.0.0.1:9470/healthz >/dev/null 2>&1 || echo >>/capture/unanswered; usleep 50000; done) >/dev/null 2>&1 &'
}
unanswered() { hand "$N1" sh -c 'rm -f /capture/asks; cat /capture/unanswered 2>/dev/null | wc -l'; }

space t-one
gateway t-one "$N1"
poll 60 gateway_up t-one || die "no gateway in t-one"
for n in $(seq "$SENDERS"); do PAUSE=5 client t-one "sends-$n" "$N1" gateway=vpn; done
DEADLINE=90 check "$SENDERS pods start" all_ready
trap 'STATUS=$?; for pod in podswitchd-second podswitch-second; do take_away $pod || true; done; exit $STATUS' EXIT

# ---- podswitchd, by its DaemonSets ----

rolled_out() { # all at once, as after kubectl apply
	local set
	for set in "${SWITCHES[@]}"; do K -n "$SYSTEM" rollout status daemonset "$set" --timeout=1s || return 1; done
}
mapfile -t SWITCHES < <(daemonsets | grep podswitchd)
start_traffic
served=$(whoever_serves "$N1")
K -n "$SYSTEM" rollout restart daemonset "${SWITCHES[@]}" >/dev/null
client t-one rolled "$N1" gateway=vpn
check "${SWITCHES[*]}: each node has new pods" poll $((2 * GOES)) rolled_out # one node after the other
check "another one serves" not prints "$served" whoever_serves "$N1"
check "a new pod has started" ready t-one rolled
sleep $((2 * SLOW)) # packets that would be lost now
check "of $SENDERS pods' packets none was lost" none_lost
note "$(cat "$TMP/check")"
only "the new pod has met its gateway only" t-one rolled t-one

# ---- podswitchd, step by step ----

if [ ${#SWITCHES[@]} -gt 1 ]; then
	K -n "$SYSTEM" patch daemonset podswitchd-standby -p '{"spec":{"template":{"spec":{"nodeSelector":{"nowhere":"yes"}}}}}' >/dev/null
	check "nobody waits" poll "$GOES" prints "" first_of podswitchd-standby
	check "podswitchd serves" poll 30 serves "$(first_of podswitchd)"
fi
start_traffic
old=$(first_of podswitchd)
second podswitchd
check "a second podswitchd is ready beside the first" poll 60 pod_is "$SYSTEM" podswitchd-second Ready
check "and has everything" poll 5 serves podswitchd-second
check "which the first has not" not serves "$old"
client t-one meanwhile "$N1" gateway=vpn
check "a new pod starts" ready t-one meanwhile
sleep $((2 * SLOW)) # packets that would be lost now
check "of $SENDERS pods' packets none was lost" none_lost
note "$(cat "$TMP/check")"
start_traffic
K -n "$SYSTEM" delete pod "$old" --wait=false >/dev/null
check "the DaemonSet's first one ends, and its next one is ready" poll "$GOES" next_ready podswitchd "$old"
K -n "$SYSTEM" delete pod podswitchd-second --wait=false >/dev/null
sleep $((3 * SLOW)) # what its end would cost
check "the DaemonSet's has everything in turn" poll 30 serves "$(first_of podswitchd)"
check "again none was lost" none_lost
note "$(cat "$TMP/check")"
only "the new pod has met its gateway only" t-one meanwhile t-one

# One that cannot take over: the first stays, whatever is deleted or waited for.
start_traffic
check "the second one's pod is gone" gone "$SYSTEM" pod podswitchd-second
# shellcheck disable=SC2016 # the dollar is Kubernetes's
second podswitchd '.command += ["--state-dir", "/run/podswitch/other"]'
check "one that cannot take over says why" poll 60 says 'state.dir.*/run/podswitch' reason podswitchd-second
check "and does not become ready" not poll 3 pod_is "$SYSTEM" podswitchd-second Ready
check "the one of before has everything" serves "$(first_of podswitchd)"
check "none was lost" none_lost
note "$(cat "$TMP/check")"
take_away podswitchd-second
if [ ${#SWITCHES[@]} -gt 1 ]; then
	K -n "$SYSTEM" patch daemonset podswitchd-standby -p '{"spec":{"template":{"spec":{"nodeSelector":{"nowhere":null}}}}}' >/dev/null
	check "both DaemonSets of podswitchd are as they were" poll "$GOES" installed
fi

# ---- the agent ----

start_traffic
watch_port
old=$(first_of podswitch)
second podswitch
check "a second agent is ready beside the first" poll 60 pod_is "$SYSTEM" podswitch-second Ready
check "the first has made way" poll 5 says "takes this one's place" reason "$old" -c podswitch-agent
check "and is not ready any more" poll 30 not pod_is "$SYSTEM" "$old" Ready
client t-one now "$N1" gateway=vpn
check "a new pod starts" ready t-one now
K -n "$SYSTEM" delete pod "$old" --wait=false >/dev/null
check "the DaemonSet's first one ends, and its next one is ready" poll "$GOES" next_ready podswitch "$old"
K -n "$SYSTEM" delete pod podswitch-second --wait=false >/dev/null
client t-one later "$N1" gateway=vpn
check "a new pod starts" ready t-one later
check "the agents are ready" poll 30 agents_ready
gap=$(unanswered)
check "its port was answered all the time, but for a moment each ($gap questions of 50 ms without an answer)" [ "$gap" -le $((10 * SLOW)) ]
check "none was lost" none_lost
note "$(cat "$TMP/check")"
check "the second one's pod is gone" gone "$SYSTEM" pod podswitch-second
second podswitch '.env += [{name: "PODSWITCH_API", value: "https://127.0.0.1:1"}]'
check "one that never knows the cluster takes nobody's place" poll 60 says 'another podswitch-agent serves' reason podswitch-second -c podswitch-agent
check "and does not become ready" not poll 5 pod_is "$SYSTEM" podswitch-second Ready
check "the one of before is" agents_ready
take_away podswitch-second
check "our list is still there" hand "$N1" grep -q podswitch-cni /host/etc/cni/net.d/00-podswitch.conflist
hand "$N1" rm -rf /host/run/podswitch/other # of the one that could not take over, which is long gone
for name in now later; do only "$name has met its gateway only" t-one $name t-one; done
