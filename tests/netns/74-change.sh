#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# 74-change.sh - how a pod's namespace is named; what changes while a port is up: address, route, MTU, MAC, underlay
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

build gwa pod1
far gwa
# The kernel's vxlan keeps the route to a MAC's old remote when the MAC moves to another: let that lead to both.
n sysctl -qw net.ipv4.conf.gwa.proxy_arp=1 net.ipv4.neigh.gwa.proxy_delay=0
daemon -w 1
FDS=$(descriptors)
gateway a 1
link() { p ip -j link show vx0 | jq -r ".[0].$1"; }
addresses() { p ip -j addr show dev vx0 | jq -r '.[0].addr_info[] | select(.scope == "global") | "\(.local)/\(.prefixlen)"' | sort | xargs; }
routes() { p ip route show dev vx0 proto static | sed 's/ *$//' | sort | paste -sd,; }
attached() { # attached NETNS: the port says so, and works
	same "port list says $1" "$1" "$(ports '.[0].netns')"
	check "and it works" p ping -c1 -W3 172.16.0.1
}

sleeper() { # a process in pod1, once it is there
	bg pod1 sleep 1000
	sleeper=$!
	poll 5 says "^$sleeper\$" ip netns pids "$P-pod1" || die "no process in pod1"
}

echo "-- a namespace by process id and by path"
sleeper
ctl port add pod1 --gateway a --netns $sleeper --address 172.16.0.11/24
attached $sleeper
check "the same again changes nothing" ctl port add pod1 --gateway a --netns $sleeper --address 172.16.0.11/24
check "podswitchd is killed" crash
daemon -w 1
attached $sleeper
quit $sleeper
soon "the process ends: gone, as the number may soon be another's" gone ports '.[0].state'
check "its TAP stays, so that nothing leaves another way" says NO-CARRIER p ip link show vx0
check "port remove" ctl port remove pod1
sleeper
# The first of these takes up what was left there.
for path in /proc/$sleeper/ns/net "/run/netns/$P-pod1"; do
	check "port add --netns $path" ctl port add pod1 --gateway a --netns "$path" --address 172.16.0.11/24
	attached "$path"
	check "port remove" ctl port remove pod1
	check "removes the TAP" not p ip link show vx0
done
quit $sleeper

echo "-- addresses, while it is up"
port 1 a
p ip addr add 172.17.0.77/24 dev vx0
index=$(link ifindex) derived=$(link address)
check "port set --address" ctl port set pod1 --address 172.16.0.12/24 --address fd42::12/64
same "the new ones are there, the old ones gone, the pod's own stays" "172.16.0.12/24 172.17.0.77/24 fd42::12/64" "$(addresses)"
check "ping from it, IPv4" p ping -c1 -W3 -I 172.16.0.12 172.16.0.1
check "ping from it, IPv6" p ping -c1 -W3 -I fd42::12 fd42::1
same "port list says so" '["172.16.0.12/24","fd42::12/64"]' "$(ports -c '.[0].addresses')"
check "an empty --address takes all" ctl port set pod1 --address ''
same "but the pod's own" "172.17.0.77/24" "$(addresses)"
check "and back" ctl port set pod1 --address 172.16.0.11/24 --address fd42::11/64
check "ping" p ping -c1 -W3 172.16.0.1

echo "-- routes"
check "port set --route --route" ctl port set pod1 --route 10.90.0.0/16,172.16.0.1 --route 10.91.0.0/16
same "both are there" "10.90.0.0/16 via 172.16.0.1,10.91.0.0/16" "$(routes | sed 's/ scope link//g; s/ onlink//g')"
check "port set --route" ctl port set pod1 --route 10.92.0.0/16,172.16.0.1
same "replaces them" "10.92.0.0/16 via 172.16.0.1" "$(routes | sed 's/ onlink//g')"
p ip route del default
check "port set --default-via" ctl port set pod1 --default-via 172.16.0.1
check "the default route leads there" says "via 172.16.0.1 dev vx0" p ip route get 198.51.100.1
check "port set --default-via none" ctl port set pod1 --default-via none
check "removes it" says unreachable p ip route get 198.51.100.1
check "an empty --route takes all" ctl port set pod1 --route ''
same "none is left" "" "$(routes)"
p ip route add default via 10.1.1.1

echo "-- MTU"
check "port set --mtu" ctl port set pod1 --mtu 1300
same "the interface has it" 1300 "$(link mtu)"
check "what fits passes" p ping -c1 -W3 -M 'do' -s 1272 172.16.0.1
check "what does not, does not" not p ping -c1 -W1 -M 'do' -s 1273 172.16.0.1
check "port set --mtu 0" ctl port set pod1 --mtu 0
same "is the gateway's again" 1450 "$(link mtu)"
check "gateway set --mtu" ctl gateway set a --mtu 1400
same "its ports follow" 1400 "$(link mtu)"
check "gateway set --mtu 0" ctl gateway set a --mtu 0
same "and come back" 1450 "$(link mtu)"

echo "-- MAC"
locals() { fdb '.[] | select(.kind == "local").mac' | xargs; }
check "port set --mac" ctl port set pod1 --mac 02:00:00:00:00:aa
same "the interface has it" 02:00:00:00:00:aa "$(link address)"
same "so has the table, and not the old one" 02:00:00:00:00:aa "$(locals)"
check "and it works" p ping -c1 -W3 172.16.0.1
strangers() { grown "$1" | jq -c 'del(.unknown_destination)'; }
before=$(drops)
pkt pod1 frames vx0 --src "$derived" good:former
# The gateway may have sent something to the old one just before.
soon "the old one is a stranger's" '{"foreign_source":1}' strangers "$before"
check "port set --mac auto" ctl port set pod1 --mac auto
same "is the one made of the name again" "$derived" "$(link address)"
check "and it works" p ping -c1 -W3 172.16.0.1

echo "-- what is refused changes nothing"
was="$(ports -c '.[0] | del(.counters)') $(p ip -j addr show dev vx0) $(p ip route)"
refused "a malformed address" "address" ctl port set pod1 --mtu 1300 --address 172.16.0.11
refused "a route through no one" "route" ctl port set pod1 --mtu 1300 --mac 02:00:00:00:00:ab --route 10.90.0.0/16,fd42::1
refused "a second default route" "default.via" ctl port set pod1 --mtu 1300 --address 172.16.0.13/24 --default-via 172.16.0.1
refused "another interface name" "ifname" ctl port set pod1 --ifname vx9
refused "another namespace" "netns" ctl port set pod1 --netns "$P-gwa"
refused "a gateway that is not there" "gateway" ctl port set pod1 --gateway nobody
same "port and interface are as they were" "$was" "$(ports -c '.[0] | del(.counters)') $(p ip -j addr show dev vx0) $(p ip route)"
same "it was the same interface all the time" "$index" "$(link ifindex)"
ctl port set pod1 --mtu 1420 --mac 02:00:00:00:00:ac
check "podswitchd is killed" crash
daemon -w 1
same "what was set is known after a start" '[1420,"02:00:00:00:00:ac"]' "$(ports -c '.[0] | [.mtu, .mac]')"
ctl port set pod1 --mtu 0 --mac auto

echo "-- the pod takes its interface down"
before=$(drops)
p ip link set vx0 down
a ping -q -c1 -W1 172.16.0.11 >/dev/null 2>&1 || true
check "what comes for it is dropped as tap_down" poll 5 says '^{"tap_down":[1-9][0-9]*}$' grown "$before"
p ip link set vx0 up
check "up again, it works" poll 5 p ping -q -c1 -W1 172.16.0.1

echo "-- the underlay of a gateway, while traffic runs; the far end learns the new one from what the pod sends"
file=$(random_file 10)
bg gwa socat -u TCP-LISTEN:5002,reuseaddr "OPEN:$TMP/got,creat,trunc"
receiver=$!
poll 5 listening gwa t 5002 || die "no receiver"
check "ping" p ping -c1 -W3 172.16.0.1
bg pod1 "$PYTHON" "$HERE/pkt.py" slow-send --to 172.16.0.1 --port 5002 --rate 5000000 "$file"
sender=$!
poll 10 [ -s "$TMP/got" ] || miss "the transfer has begun"
seen() { a bridge fdb show dev vxlan0 | awk -v m="$(link address)" '$1 == m { print $3 }'; }
for underlay in "pod 10.1.1.2" "host 10.0.1.1" "pod 10.1.1.2" "host 10.0.1.1"; do
	check "gateway set --underlay ${underlay% *}" ctl gateway set a --underlay "${underlay% *}"
	same "port list says so" "${underlay% *}" "$(ports '.[0].underlay')"
	soon "the gateway sees ${underlay#* }" "${underlay#* }" seen
done
check "the transfer was not over before" kill -USR1 $sender
check "it ends" poll 40 not kill -0 $receiver
same "with the right hash" "$(sha256sum <"$file")" "$(sha256sum <"$TMP/got")"
quit $sender
quit $receiver
p sysctl -qw net.ipv6.conf.vx0.disable_ipv6=1
p ip addr flush dev vx0
for underlay in "pod 10.1.1.2" "host 10.0.1.1"; do
	ctl gateway set a --underlay "${underlay% *}"
	soon "a pod that is silent: the gateway sees ${underlay#* }" "${underlay#* }" seen
done
same "the pod's namespace has no socket of podswitchd any more" "" "$(p ss -Hlun | grep -v :68 || true)"
ctl port remove pod1
ctl gateway remove a

finish
