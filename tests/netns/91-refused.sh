#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# 91-refused.sh - a kernel that refuses a train, and one that refuses everything: told apart, and in one place only
#
# Sockets whose UDP checksum is off (steal.py) get EINVAL for a train while single datagrams pass: that is how IPsec on the
# path or an odd kernel look. Before Linux 6.11 a device without checksum offload really refuses trains, with EIO. A
# blackhole route answers EINVAL to both. An underlay TAP has no trains to refuse: there is none here.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

build gwa pod1 pod2
daemon -w 2 --underlay-tap off
FDS=$(descriptors)

nocheck() { # nocheck NAMESPACE on|off: of podswitchd's sockets there
	local n
	n=$(ns "$1" "$PYTHON" "$HERE/steal.py" "$DAEMON" nocheck "$2")
	[ "$n" -gt 4 ] || die "steal.py found only $n sockets of $1"
}
bulk() { # bulk POD FAR: a stream that leaves in trains
	transfer "$1" "$2" "${3:-172.16.0.1}" "$(random_file 10)"
}
off() { ctl -j status | jq -r '[.refused[] | "\(.what) \(.where)"] | sort | join(", ")'; }
datagrams() { stats ".gateways.$1.tx_datagrams"; }
udp_gso() { ctl -j status | jq .features.udp_gso; }
lines() { grep -c "$1" "$LOG" || true; }

# ---- one that refuses trains ----------------------------------------------------------------------------------------

for FAMILY in 4 6; do
	echo "-- IPv$FAMILY underlay, host"
	far gwa udp6zerocsumrx
	gateway a 1 --underlay host
	port 1 a
	check "a stream before" bulk pod1 gwa
	same "nothing is off" "" "$(off)"
	nocheck node on
	was=$(drops)
	check "a stream while trains are refused" bulk pod1 gwa
	same "they are off, to this remote alone" "trains remote $(bracket "$(underlay 1)"):4789 of gateway a" "$(off)"
	same "no datagram was lost" "{}" "$(grown "$was")"
	same "udp_gso is on" true "$(udp_gso)"
	check "gateway show says so" says "without trains: Invalid argument" ctl gateway show a
	check "and status" says "trains of remote.*Invalid argument" ctl status
	same "one line in the log" 1 "$(lines 'gateway a: trains off for 60 seconds')"
	ctl port remove pod1
	ctl gateway remove a
	sed -i s/gateway.a:/before:/ "$LOG"
	check "podswitchd ends" stop
	daemon -w 2 --underlay-tap off
done
FAMILY=4

echo "-- pod"
far gwa
gateway a 1 --underlay pod
port 1 a
port 2 a
check "a stream of each before" bulk pod1 gwa
check "of pod2" bulk pod2 gwa
nocheck pod1 on
was=$(drops)
check "a stream while trains of one pod are refused" bulk pod1 gwa
same "they are off for this port alone" "trains port pod1" "$(off)"
same "no datagram was lost" "{}" "$(grown "$was")"
check "the other sends as before" bulk pod2 gwa
same "and so it stays" "trains port pod1" "$(off)"
ctl port remove pod1
ctl port remove pod2
ctl gateway remove a

# ---- one that refuses trains from a podswitchd's first datagram on ---------------------------------------------------

refuses() { # refuses UNDERLAY: what is off after a stream, where devices do no checksums
	if linux 6.11; then return; fi
	if [ "$1" = pod ]; then echo "trains port pod1"; else echo "trains remote 10.0.1.2:4789 of gateway a"; fi
}

offloads off
for underlay in pod host; do
	echo "-- devices without checksum offload, $underlay underlay"
	check "podswitchd ends" stop
	daemon -w 2 --underlay-tap off
	gateway a 1 --underlay $underlay
	port 1 a
	was=$(drops)
	check "the first stream" bulk pod1 gwa
	check "and one from the gateway" transfer gwa pod1 172.16.0.11 "$(random_file 10)"
	same "no datagram was lost" "{}" "$(grown "$was")"
	same "trains are off where this kernel refuses them" "$(refuses $underlay)" "$(off)"
	same "udp_gso is on" true "$(udp_gso)"
	ctl port remove pod1
	ctl gateway remove a
done
offloads on
check "podswitchd ends" stop
daemon -w 2 --underlay-tap off

# ---- one that refuses everything ------------------------------------------------------------------------------------

gone_and_back() { # gone_and_back HOW BACK UNDO...: what HOW does stops everything, and nothing is turned off
	local was n
	was=$(drops)
	"$1"
	ns pod1 timeout 2 socat -u "OPEN:$(random_file 3)" TCP:172.16.0.1:5009 >/dev/null 2>&1 || true
	pkt pod1 trains --to 172.16.0.1 --port 8 --sizes 1000 >/dev/null 2>&1 || true
	check "$3: what was refused is counted" says "\"$4\":" grown "$was"
	same "$3: trains stay on" "" "$(off)"
	same "$3: udp_gso too" true "$(udp_gso)"
	"$2"
	p ip route flush cache
	check "$3: and afterwards all is well" bulk pod1 gwa
	same "$3: still with trains" "" "$(off)"
}
blackhole() { n ip route add blackhole 10.0.1.2/32; }
restore() { n ip route del blackhole 10.0.1.2/32; }
firewall() { n nft 'table ip t { chain o { type filter hook output priority 0; udp dport 4789 drop; }; }'; }
no_firewall() { n nft delete table ip t; }
narrow() { n ip link set gwa mtu 1000; }
wide() { n ip link set gwa mtu 1500; }
nowhere() { n ip route add unreachable 10.0.1.2/32; }
somewhere() { n ip route del unreachable 10.0.1.2/32; }

echo "-- refused, but not for being trains"
gateway a 1 --underlay host
port 1 a
p ping -q -c1 -W3 172.16.0.1 >/dev/null || miss "no way to the gateway"
gone_and_back blackhole restore "blackhole route" send_failed
gone_and_back nowhere somewhere "unreachable route" send_failed
if filtering; then gone_and_back firewall no_firewall "firewall" send_failed; else note "no firewall: $UNFILTERED"; fi
gone_and_back narrow wide "narrow path" too_big

finish
