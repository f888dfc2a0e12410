#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# 70-life.sh - namespaces that vanish, a podswitchd that is killed, state that survives
#
#   pod1 --.              .-- gwa
#           >-- podswitchd
#   pod2 --'              '-- gwb
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

build
far gwa
far gwb
daemon -w 1
FDS=$(descriptors)
gateway a 1
port 1 a
# shellcheck disable=SC2016 # the dollar is jq's
state() { ports --arg p "$1" '.[] | select(.name == $p).state'; }

inhabited() { says ping ps -o comm= -p "$(ip netns pids "$P-$1" | xargs)"; }

echo "-- a namespace is deleted while traffic runs"
for mode in host pod; do
	far gwb # anew: the kernel's vxlan keeps the route to a MAC's old remote when the MAC moves to another
	gateway "${mode}s" 2 --underlay $mode
	port 2 "${mode}s"
	check "$mode underlay: pod2 pings" q ping -c1 -W3 172.16.0.1
	bg pod2 ping -q -i0.002 172.16.0.1 >/dev/null
	busy=$!
	p ping -q -i0.02 -c100 -W1 172.16.0.1 >"$TMP/ping" &
	pinging=$!
	poll 5 inhabited pod2 || die "no ping in pod2"
	ip netns del "$P-pod2"
	quit $busy
	soon "its port is gone" gone state pod2
	same "the other is up" up "$(state pod1)"
	check "nothing holds the namespace: its veth has vanished" poll 5 not n ip link show pod2
	wait $pinging || true
	same "and has lost no packet" 0 "$(awk '/transmitted/ { print $1 - $4 }' "$TMP/ping")"
	if [ $mode = host ]; then
		space pod2
		wire pod2 1 2 1500
		check "the same port is added again, in a new namespace of that name" port 2 "${mode}s"
		soon "and is up" up state pod2
		check "and pings" q ping -c1 -W3 172.16.0.1
		check "port remove" ctl port remove pod2
		check "removes the TAP" not q ip link show vx0
	else
		check "a port that is gone can be removed" ctl port remove pod2
	fi
	check "and its gateway" ctl gateway remove "${mode}s"
done

echo "-- a clean stop and a start"
p ip addr add 172.16.0.77/24 dev vx0
was="$(ports -c 'map(del(.counters))')$(gateways -c 'map(del(.remotes[].state, .counters))')"
tap=$(p ip -j link show vx0 | jq -c '.[0] | [.ifindex, .address, .mtu]')
check "SIGTERM ends it with status 0" stop
same "the TAP stays as it was" "$tap" "$(p ip -j link show vx0 | jq -c '.[0] | [.ifindex, .address, .mtu]')"
check "without carrier: nothing leaves the pod" says NO-CARRIER p ip link show vx0
daemon -w 1
same "ports and gateways are taken up as they were" "$was" \
	"$(ports -c 'map(del(.counters))')$(gateways -c 'map(del(.remotes[].state, .counters))')"
same "the same TAP" "$tap" "$(p ip -j link show vx0 | jq -c '.[0] | [.ifindex, .address, .mtu]')"
check "with what the pod had on it" says 172.16.0.77 p ip addr show vx0
check "traffic goes on" p ping -c1 -W3 172.16.0.1

echo "-- a process id that is another pod's process by now"
bg pod1 sleep 1000
sleeper=$!
poll 5 says "$sleeper" ip netns pids "$P-pod1" || die "no process in pod1"
check "podswitchd is stopped" stop
# As a port of a pod that has ended, and whose process had this number. It is taken up before pod1's.
jq --arg pid $sleeper '.name = "another" | .netns = $pid | del(.mac)' "$TMP/state/ports/pod1.json" >"$TMP/another"
mv "$TMP/another" "$TMP/state/ports/another.json"
daemon -w 1
same "that port is gone" gone "$(state another)"
same "pod1 has its TAP" up "$(state pod1)"
check "and traffic goes on" p ping -c1 -W3 172.16.0.1
check "port remove" ctl port remove another
check "leaves pod1 its TAP" p ping -c1 -W3 172.16.0.1
quit $sleeper

echo "-- SIGKILL and a start during a TCP transfer each way"
file=$(random_file 10)
survive() { # survive FROM TO ADDRESS
	local receiver sender
	rm -f "$TMP/slow"
	bg "$2" socat -u TCP-LISTEN:5002,reuseaddr "OPEN:$TMP/slow,creat,trunc"
	receiver=$!
	poll 5 listening "$2" t 5002 || die "no receiver"
	bg "$1" "$PYTHON" "$HERE/pkt.py" slow-send --to "$3" --port 5002 --rate 5000000 "$file"
	sender=$!
	poll 10 [ -s "$TMP/slow" ] || miss "the transfer has begun"
	poll 10 bigger 2000000 || miss "and goes on"
	crash
	check "$1 to $2: the TAP survives the kill" p ip link show vx0
	daemon -w 1
	check "$1 to $2: it was not over before" kill -USR1 $sender
	check "$1 to $2: the transfer ends" poll 40 not kill -0 $receiver
	same "$1 to $2: with the right hash" "$(sha256sum <"$file")" "$(sha256sum <"$TMP/slow")"
	quit $sender
	quit $receiver
}
bigger() { [ "$(stat -c %s "$TMP/slow")" -gt "$1" ]; }
survive pod1 gwa 172.16.0.1
survive gwa pod1 172.16.0.11

# What a killed process held in its ring is released a moment after its death. That must not cost a port.
p ping -q -i0.002 172.16.0.1 >/dev/null &
PIDS+=($!)
for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15; do
	crash
	daemon -w 1
	ports '.[] | "\(.name) \(.state) \(.underlay)"'
done >"$TMP/lives"
same "killed and started at once, 15 times: the port is up and on the host" "15 pod1 up host" \
	"$(sort "$TMP/lives" | uniq -c | xargs)"

echo "-- while podswitchd was away"
crash
p ip link del vx0
daemon -w 1
soon "a TAP that vanished is made anew" up state pod1
check "with its address, once it is known to be free" poll 5 says 172.16.0.11 p ip addr show vx0
check "and works" p ping -c1 -W3 172.16.0.1
ctl port remove pod1
ctl gateway remove a
crash
daemon -w 1
same "what was removed stays removed" "[] []" "$(ports -c .) $(gateways -c .)"
FDS=$(descriptors)

finish
