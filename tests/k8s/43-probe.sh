#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# 43-probe.sh - two pods of one gateway on two nodes: one forwards nothing any more, and is left at once
# shellcheck source=lib.sh

second_gateway() { # another Deployment behind the same Service, on the other node
	render gateway NAMESPACE=t-one "NODE=$N2" SERVICE= | K create --dry-run=client -o json -f - |
		jq 'select(.kind == "Deployment") | .metadata.name = "vpn-two" | .spec.selector.matchLabels.half = "two" |
			.spec.template.metadata.labels.half = "two"' | K apply -f - >/dev/null
}
inside() { execute t-one "$(pod_at t-one "$1")" gateway "${@:2}"; } # inside ADDRESS COMMAND...: in that pod of it
block() { inside "$1" iptables -I FORWARD -j DROP; }
unblock() { inside "$1" iptables -D FORWARD -j DROP; }

fast_begin() { # fast_begin POD: twenty packets a second through the gateway
	in_pod t-apps "$1" sh -c "setsid ping -i 0.05 ${THERE:?} >/log/ping 2>&1 & echo \$! >/log/ping.pid"
	poll 10 in_pod t-apps "$1" grep -q 'seq=20 ' /log/ping || die "no ping from $1: $(in_pod t-apps "$1" tail -n 3 /log/ping)"
}
fast_end() { # fast_end POD: the longest time without an answer, ms
	poll 10 ping_goes_on t-apps "$1" >/dev/null || true
	# shellcheck disable=SC2016 # the pod's shell
	in_pod t-apps "$1" sh -c 'kill $(cat /log/ping.pid)'
	in_pod t-apps "$1" cat /log/ping | sed -n 's/.* seq=\([0-9]*\) .*/\1/p' | sort -nu |
		awk 'NR > 1 && $1 - last > gap { gap = $1 - last } { last = $1 } END { print gap * 50 }'
}
short() { # short TEXT MILLISECONDS: a gap, under a second
	if [ "$2" -gt 50 ] && [ "$2" -lt $((1000 * SLOW)) ]; then pass "$1 ($2 ms)"; else miss "$1" "the gap was $2 ms"; fi
}
probers() { # probers NODE: of this gateway's ports there, those that ask behind it, for each endpoint
	ctl "$1" -j port list | jq -r '[.[] | select(.config.probe_target)] | group_by(.gateway) | map(length) | max // 0'
}
left() { # left NODE ADDRESS: nobody of that node is there any more
	local there
	there=$(ctl "$1" -j port list | jq -r --arg a "@$2" '.[] | select(.gateway | endswith($a)).name')
	[ -z "$there" ] || { echo "$there" && return 1; }
}
moves() { # moves NAMESPACE POD SECONDS: how often it goes to another endpoint meanwhile
	local was now count=0 end=$((SECONDS + $3))
	was=$(remote_of "$1" "$2")
	while [ $SECONDS -lt $end ]; do
		now=$(remote_of "$1" "$2")
		[ "$now" = "$was" ] || count=$((count + 1))
		was=$now
	done
	echo $count
}
up() { metrics "$1" | sed -n "s/^podswitch_gateway_path_up{.*endpoint=\"$2\"} //p"; } # up NODE ADDRESS
lost_again() { [ "$(K -n t-apps get events --field-selector involvedObject.name=one,reason=GatewayLost -o name | wc -l)" -gt "$1" ]; }

space t-one
space t-apps
gateway t-one "$N1" "probe=icmp:$THERE" probe-interval=100ms
second_gateway
poll 60 gateways_ready t-one 2 || die "the gateway's two pods are not ready"
client t-apps one "$N1" gateway=vpn.t-one
client t-apps two "$N1" gateway=vpn.t-one
client t-apps three "$N1" gateway=vpn.t-one
client t-apps far "$N2" gateway=vpn.t-one
ready t-apps one two three far || die "a client does not start"
same "at each endpoint, one pod of a node asks" "1 1" "$(probers "$N1") $(probers "$N2")"
first=$(remote_of t-apps one)
same "the metric says that it forwards" 1 "$(up "$N1" "$first")"

fast_begin one
block "$first"
check "it answers ARP and forwards nothing: it is left" poll 5 remote_is_not t-apps one "$first"
short "for the pod that was a gap of less than a second" "$(fast_end one)"
check "no other pod of the node stays there" poll 5 left "$N1" "$first"
check "nor of the other node" poll 5 left "$N2" "$first"
check "an Event says what is wrong" poll 10 event_like t-apps one 'answers ARP, and nothing answers behind it: icmp:198.51.100.1' GatewayLost
check "and that it is over" poll 10 event t-apps one GatewayRecovered
second=$(remote_of t-apps one)
same "the metrics say so" "0 1" "$(up "$N1" "$first") $(up "$N1" "$second")"
client t-apps later "$N1" gateway=vpn.t-one
ready t-apps later || die "a client does not start"
same "a new pod goes where it works" "$second" "$(remote_of t-apps later)"
same "still one pod of a node asks" "1 1" "$(probers "$N1") $(probers "$N2")"

lost=$(K -n t-apps get events --field-selector involvedObject.name=one,reason=GatewayLost -o name | wc -l)
block "$second"
check "both are dead: an Event says so" poll 10 lost_again "$lost"
same "the metrics, too" "0 0" "$(up "$N1" "$first") $(up "$N1" "$second")"
client t-apps waits "$N1" gateway=vpn.t-one
# What was found dead 15 s ago is tried again, once.
moved=$(moves t-apps one 4)
check "a new pod does not start" asleep t-apps waits
check "nobody runs to and fro ($moved moves)" [ "$moved" -le 1 ]
unblock "$first"
unblock "$second"
begin
within "both are back: so is the traffic" 6 answered t-apps one t-one
DEADLINE=90 check "and the new pod starts" ready t-apps waits
same "the metric says that it forwards" 1 "$(up "$N1" "$(remote_of t-apps one)")"
now=$(remote_of t-apps one)
sleep 3
same "nobody goes back" "$now" "$(remote_of t-apps one)"

# What was found dead is tried again after 15 s: then it is somewhere to go.
sleep 16
# Dead altogether, and nobody of Kubernetes notices: its readiness probe looks for the device and for dnsmasq.
fast_begin one
inside "$now" iptables -I INPUT -p udp -j DROP
check "it answers nothing any more: it is left" poll 5 remote_is_not t-apps one "$now"
short "with a gap of less than a second" "$(fast_end one)"
check "no other pod of the node stays there" poll 5 left "$N1" "$now"
only "the pod has met its gateway only" t-apps one t-one
only "and the others theirs" t-apps far t-one
