#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# 10-matrix.sh - the same checks for every underlay, offload setting and far end
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

build gwa pod1
daemon -w 1
FDS=$(descriptors)
random_file 10 >/dev/null

resolved() { # resolved ADDRESS: the pod knows whose it is
	says "lladdr $FAR_MAC" p ip neigh show "$1" dev vx0
}

every_size() { # every_size ADDRESS HEADERS: UDP of each size up to the MTU, there and back
	pkt pod1 sizes --to "$1" --port 7 --max $(($(ip -n "$P-pod1" -j link show vx0 | jq '.[0].mtu') - $2))
}

answered() { # answered NAMESPACE WHO: a broadcast is answered by WHO
	says "from $2" ns "$1" ping -b -c2 -i0.2 -W2 172.16.0.255
}

suite() { # pod1 is attached; FAR_MAC and FAR_DEVICE are of the far end's device, EXPECTED is whom it should see
	local file
	file=$(random_file 10)
	check "ping, IPv4" p ping -c3 -i0.05 -W3 172.16.0.1
	check "ping, IPv6" p ping -c3 -i0.05 -W3 fd42::1
	check "ping from the gateway, IPv4" a ping -c3 -i0.05 -W3 172.16.0.11
	check "ping from the gateway, IPv6" a ping -c3 -i0.05 -W3 fd42::11
	check "ARP has found the gateway" resolved 172.16.0.1
	check "neighbour discovery has found the gateway" resolved fd42::1
	check "TCP to the gateway, IPv4, 10 MB" transfer pod1 gwa 172.16.0.1 "$file"
	check "TCP from the gateway, IPv4, 10 MB" transfer gwa pod1 172.16.0.11 "$file"
	check "TCP to the gateway, IPv6, 10 MB" transfer pod1 gwa fd42::1 "$file"
	check "TCP from the gateway, IPv6, 10 MB" transfer gwa pod1 fd42::11 "$file"
	bgpkt gwa "$TMP/echo" echo --port 7
	check "UDP of every size up to the MTU, IPv4" every_size 172.16.0.1 28
	check "UDP of every size up to the MTU, IPv6" every_size fd42::1 48
	check "UDP trains cut by the pod's kernel, IPv4" pkt pod1 segments --to 172.16.0.1 --port 7
	check "UDP trains cut by the pod's kernel, IPv6" pkt pod1 segments --to fd42::1 --port 7
	quit $!
	bgpkt pod1 "$TMP/echo" echo --port 7
	check "UDP trains cut by the gateway's kernel, IPv4" pkt gwa segments --to 172.16.0.11 --port 7
	check "UDP trains cut by the gateway's kernel, IPv6" pkt gwa segments --to fd42::11 --port 7
	quit $!
	check "the gateway answers a broadcast" answered pod1 172.16.0.1
	[ "$FAR_DEVICE" != vxlan0 ] || n_flood append
	check "the pod answers a broadcast" answered gwa 172.16.0.11
	check "multicast, IPv6" p ping -c1 -W3 ff02::1%vx0
	[ "$FAR_DEVICE" != vxlan0 ] || n_flood del
	check "counters are the TAP's to the byte" poll 3 counters_equal pod1
	# A podswitchd at the far end asks by its underlay TAP, too.
	same "nothing was dropped that should not be" "{}" "$(grown "$BEFORE" | jq -c 'del(.probe)')"
}

n_flood() { # the kernel's gateway end sends broadcasts nowhere unless it is told where
	a bridge fdb "$1" 00:00:00:00:00:00 dev vxlan0 dst "$EXPECTED"
}

attach() { # attach MODE
	BEFORE=$(drops)
	case $FAMILY$1 in
	4host) EXPECTED=10.0.1.1 ;;
	6host) EXPECTED=fd00:1::1 ;;
	4pod) EXPECTED=10.1.1.2 ;;
	6pod) EXPECTED=fd01:1::2 ;;
	esac
	gateway a 1 --underlay "$1"
	port 1 a
}

detach() {
	ctl port remove pod1
	ctl gateway remove a
	check "the TAP is gone with its port" not p ip link show vx0
}

kernel_far_end() { # kernel_far_end MODE OFFLOADS [OPTIONS...]
	echo "-- IPv$FAMILY underlay, $1, veth offloads $2, far end: kernel vxlan ${*:3}"
	offloads "$2"
	far gwa "${@:3}"
	FAR_MAC=$(mac gwa vxlan0) FAR_DEVICE=vxlan0
	attach "$1"
	suite
	check "the gateway sees $EXPECTED" says "dst $EXPECTED " a bridge fdb show dev vxlan0
	same "MTU fits the path" $((FAMILY == 4 ? 1450 : 1430)) "$(p ip -j link show vx0 | jq '.[0].mtu')"
	detach
}

podswitchd_far_end() { # podswitchd_far_end MODE OFFLOADS
	local far=(ctl -s "$TMP/far.sock") pid
	echo "-- IPv$FAMILY underlay, $1, veth offloads $2, far end: podswitchd"
	offloads "$2"
	ip -n "$P-gwa" link del vxlan0 2>/dev/null || true
	bg gwa "$BUILD/podswitchd" -s "$TMP/far.sock" --state-dir "$TMP/far" ${IO:+--io "$IO"} 2>>"$LOG"
	pid=$!
	poll 10 says version "${far[@]}" -j status || die "the far podswitchd does not answer"
	"${far[@]}" gateway add own --vni 42
	"${far[@]}" port add own --gateway own --netns "$P-gwa" --address 172.16.0.1/24 --address fd42::1/64
	ip -n "$P-gwa" link set vx0 mtu $((FAMILY == 4 ? 1450 : 1430))
	FAR_MAC=$(mac gwa vx0) FAR_DEVICE=vx0
	attach "$1"
	suite
	same "the far end has learnt one remote" "$EXPECTED" \
		"$("${far[@]}" -j gateway list | jq -r '.[0].remotes | map(.address) | join(" ")')"
	detach
	"${far[@]}" port remove own
	quit $pid
}

for FAMILY in 4 6; do
	for mode in host pod; do
		for setting in on off; do kernel_far_end $mode $setting; done
	done
	podswitchd_far_end host on
done
FAMILY=4
kernel_far_end host on noudpcsum
kernel_far_end pod off noudpcsum
FAMILY=6
kernel_far_end host on udp6zerocsumtx udp6zerocsumrx

finish
