#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# 93-probe.sh - a gateway that answers and forwards nothing: an address behind it is asked as well
#
#     pod1, pod2 ~~ podswitchd ~~ gwa  172.16.0.1 --- masquerades --- i0 10.9.1.1 ---.
#                             '~~ gwb  172.16.0.1 --- masquerades --- i0 10.9.2.1 ---+-- net  198.51.100.1, TCP 443 listens
# shellcheck disable=SC2119 # daemon takes options, or none
. "$(dirname "$0")/lib.sh"

behind() { # behind NAME NUMBER: the gateway forwards to the namespace net
	ip link add i0 netns "$P-$1" type veth peer name "i$2" netns "$P-net"
	ip -n "$P-$1" addr add "10.9.$2.1/24" dev i0
	ip -n "$P-$1" link set i0 up
	ip -n "$P-net" addr add "10.9.$2.2/24" dev "i$2"
	ip -n "$P-net" link set "i$2" up
	ip -n "$P-$1" route add 198.51.100.1 via "10.9.$2.2"
	ns "$1" sysctl -qw net.ipv4.ip_forward=1
	ns "$1" nft 'add table ip out; add chain ip out n { type nat hook postrouting priority 100; };
		add rule ip out n oifname "i0" masquerade'
}
stops() { ns "$1" nft 'add table ip stop; add chain ip stop f { type filter hook forward priority 0; policy drop; }'; }
goes_on() { ns "$1" nft delete table ip stop; }
client() { ctl -j port show "$1" | jq -r ".client.$2"; }
is() { [ "$(client "$1" state)" = "$2" ]; }
took() { # took TEXT LIMIT PORT STATE: until it is in that state, ms, from BEGAN
	local now
	poll 10 is "$3" "$4" >/dev/null || true
	now=$(($(date +%s%3N) - BEGAN))
	if is "$3" "$4" && [ $now -lt $(($2 * SLOW)) ]; then pass "$1 ($now ms)"; else miss "$1" "$now ms, $(ctl -j port show "$3" | jq -c .client)"; fi
}
begin() { BEGAN=$(date +%s%3N); }

build
space net
ip -n "$P-net" addr add 198.51.100.1/32 dev lo
far gwa
far gwb
behind gwa 1
behind gwb 2
bg net socat TCP-LISTEN:443,fork,reuseaddr /dev/null
daemon
FDS=$(descriptors)
p ip route del default
q ip route del default
gateway a 1
gateway b 2

for target in icmp:198.51.100.1 tcp:198.51.100.1:443; do
	echo "== $target"
	port 1 a --default-via 172.16.0.1 --probe-interval 100 --probe-target "$target"
	soon "ready" ready client pod1 state
	same "what is asked" "$target ready" "$(client pod1 probe | jq -r '"\(.target) \(.state)"')"
	like "and how long an answer takes" '^[1-9][0-9]*$' "$(client pod1 probe.rtt_us)"
	same "nothing is missing" null "$(client pod1 lacks)"
	check "the pod itself gets there" p ping -c1 -W1 198.51.100.1
	like "no connection is left half open" '^$' "$(ns net ss -Htn state syn-recv)"
	stops gwa && begin
	took "nothing is forwarded: lost within half a second" 700 pod1 lost
	same "it is known what is missing" "path lost" "$(client pod1 lacks) $(client pod1 probe.state)"
	check "the router still answers" p ping -c1 -W1 172.16.0.1
	goes_on gwa && begin
	took "it forwards again: ready" 1500 pod1 ready
	a ip link set vxlan0 down && begin
	took "the router is gone: lost within half a second" 700 pod1 lost
	same "that is told apart" "router" "$(client pod1 lacks)"
	a ip link set vxlan0 up && begin
	took "and comes back" 1500 pod1 ready
	stops gwa && begin
	took "lost again" 700 pod1 lost
	begin
	ctl port set pod1 --gateway b
	took "the other gateway forwards" 900 pod1 ready # asked at once: the next question comes after a second
	check "the pod gets there" p ping -c1 -W1 198.51.100.1
	goes_on gwa
	ctl port remove pod1
done

echo "== what is set while the port runs"
port 1 a --default-via 172.16.0.1 --probe 10
soon "ready, by ARP alone" ready client pod1 state
same "nothing else is asked" null "$(client pod1 probe)"
stops gwa
same "so it does not notice" ready "$(client pod1 state)"
ctl port set pod1 --probe-interval 200 --probe-target icmp:198.51.100.1
soon "with a target it does" lost client pod1 state
same "and says what is missing" path "$(client pod1 lacks)"
stop
daemon
soon "also after podswitchd has started again" "icmp:198.51.100.1 lost" eval 'client pod1 probe | jq -r "\"\(.target) \(.state)\""'
ctl port set pod1 --probe-target none
soon "without it, it is ready" ready client pod1 state
goes_on gwa
same "the settings that are in force" "200 null" "$(ctl -j port show pod1 | jq -r '"\(.config.probe_interval) \(.config.probe_target)"')"
ctl port set pod1 --probe-interval 0
same "and the seconds count again" "null 10" "$(ctl -j port show pod1 | jq -r '"\(.config.probe_interval) \(.config.probe)"')"

echo "== what is refused"
refused "a target without an interval" 'probe_interval' ctl port add x --gateway a --netns "$P-pod2" --dhcp --probe-target icmp:1.1.1.1
refused "an interval below 100 ms" 'probe.interval' ctl port set pod1 --probe-interval 99
for target in http://1.1.1.1/ icmp:::1 tcp:1.1.1.1 udp:1.1.1.1:53; do
	refused "$target" 'give icmp:ADDRESS' ctl port set pod1 --probe-target "$target"
done

finish
