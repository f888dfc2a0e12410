#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# 90-offloads.sh - each offload off alone, all on and all off: the same bytes in the same order, and nothing damaged
#
# The far end is the kernel's vxlan. With `whole` it hands us super-frames that no wire has carried; with `cut` they are
# segments of the path's size with their checksums complete, which the node's GRO may put into trains.
# All offloads are those of the sockets: there is no underlay TAP.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

KNOBS=(tap_gso udp_gso udp_gro trains tap_gro)
SIZES="1 7 101 536 999 1172 1381"
SEED=0 # no two runs have the same digest, lest one be taken for the other

build gwa pod1 pod2

wire() { # wire whole|cut
	offloads on
	[ "$1" = whole ] || { offloads off && n ethtool -K gwa gro on && n ethtool -K pod1 gro on; }
}

far_end() { # far_end NAMESPACE: a swap of streams and a collector of datagrams; their ids are SWAP and COLLECT
	bgpkt "$1" "$TMP/swap" swap --port 5002
	SWAP=$!
	bgpkt "$1" "$TMP/collected" collect --port 8
	COLLECT=$!
}

streams() { # streams FROM ADDRESS MSS...: there and back, compared by hash
	check "TCP from $1 to $2 and back, MSS ${*:3}" pkt "$1" streams --to "$2" --port 5002 --mss "${@:3}" --timeout $((20 * SLOW))
}

collected() { tail -n1 "$TMP/collected"; }
trains() { # trains FROM ADDRESS: what is cut by the kernel arrives in its pieces, all of them, in order
	local wanted
	SEED=$((SEED + 1))
	# Before Linux 6.11 a socket sends trains by no device but one that does checksums: that is the pod's own refusal.
	if [ "$1 $TAP_GSO" = "pod1 off" ] && ! linux 6.11; then
		check "before Linux 6.11 $1 cannot send trains to $2" says "Input/output error" pkt "$1" trains --to "$2" --port 8 --sizes 1000
		return
	fi
	# shellcheck disable=SC2086 # several numbers
	wanted=$(pkt "$1" trains --to "$2" --port 8 --sizes $SIZES --seed $SEED) || wanted="trains of $1 ended with status $?"
	soon "UDP trains of odd sizes from $1 to $2 keep boundaries and order" "$wanted" collected
}

features() { ctl -j status | jq -r '.features | [.tap_gso, .udp_gso, .udp_gro, .trains, .tap_gro] | join(" ")'; }
feature() { p ethtool -k vx0 | awk -v name="$1:" '$1 == name { print $2 }'; }
limits() { p ip -d -j link show vx0 | jq -r '.[0] | "\(.mtu) \(.gso_max_segs)"'; }
counted() { counters pod1 | cut -d' ' -f"$1"; }

both_ways() {
	local was rx
	poll 5 p ping -q -c1 -W3 172.16.0.1 >/dev/null || miss "no way to the gateway"
	poll 5 p ping -q -c1 -W3 fd42::1 >/dev/null || miss "no way to the gateway, IPv6"
	was=$(drops)
	far_end gwa
	rx=$(counted 1)
	check "TCP to the gateway, 3 MB" transfer pod1 gwa 172.16.0.1 "$(random_file 3)"
	rx=$(($(counted 1) - rx))
	streams pod1 172.16.0.1 0
	streams pod1 fd42::1 0
	streams pod1 172.16.0.1 536 1000 1448
	trains pod1 172.16.0.1
	trains pod1 fd42::1
	quit $SWAP
	quit $COLLECT
	far_end pod1
	streams gwa 172.16.0.11 0
	streams gwa fd42::11 536
	trains gwa 172.16.0.11
	trains gwa fd42::11
	quit $SWAP
	quit $COLLECT
	check "counters are the TAP's to the byte" poll 3 counters_equal pod1
	same "nothing was dropped" "{}" "$(grown "$was")"
	# 3 MB are 2250 segments. TCP makes its super-frames as large as its pace allows: on a starved machine, of two segments.
	if [ "$TAP_GSO" = on ]; then
		check "the pod sent super-frames ($rx frames)" [ "$rx" -lt 2000 ]
	else
		check "the pod sent no super-frames ($rx frames)" [ "$rx" -ge 2000 ]
	fi
}

configuration() { # configuration WIRE OFF...: the knobs that are off
	local options=() wanted=() knob segments
	echo "-- IPv$FAMILY underlay, $1, off: ${*:2}"
	TAP_GSO=on
	for knob in "${KNOBS[@]}"; do
		case " ${*:2} " in
		*" $knob "* | *" all "*)
			options+=("--${knob/_/-}" off)
			wanted+=(false)
			;;
		*) wanted+=(true) ;;
		esac
	done
	[ "${wanted[0]}" = true ] || TAP_GSO=off
	[ "${wanted[1]}" = true ] || wanted[3]=false # trains are nothing without it
	wire "$1"
	daemon -w 1 --underlay-tap off "${options[@]}"
	gateway a 1 --underlay host
	port 1 a
	same "status shows them" "${wanted[*]}" "$(features)"
	segments=$((65000 / ((FAMILY == 4 ? 1450 : 1430) + 22)))
	same "super-frames are bounded by what one send takes" "$((FAMILY == 4 ? 1450 : 1430)) $segments" "$(limits)"
	same "TCP's are offered to the pod, or not" $TAP_GSO "$(feature tcp-segmentation-offload)"
	both_ways
}

end_configuration() {
	ctl port remove pod1
	ctl gateway remove a
	check "podswitchd ends" stop
}

# ---- damage ---------------------------------------------------------------------------------------------------------

checksum_errors() { # as pod1's kernel counts them, of TCP, UDP over IPv4, and UDP over IPv6; and IPv4 headers
	p nstat -asz TcpInCsumErrors UdpInCsumErrors Udp6InCsumErrors IpInHdrErrors |
		awk '/^[TUI]/ { v[$1] = $2 } END { print v["TcpInCsumErrors"] + 0, v["UdpInCsumErrors"] + 0,
			v["Udp6InCsumErrors"] + 0, v["IpInHdrErrors"] + 0 }'
}

# The 24 leave as one train. Before Linux 6.11 that takes a device that does checksums, of the outer datagrams.
damage() { # damage CASE ERRORS: six of 24 segments are damaged, or none; the listener gets the others, in order
	local before wanted
	before=$(checksum_errors)
	a ethtool -K eth0 tx on >/dev/null
	wanted=$(pkt gwa damaged --to "$(node_end)" --src "$(mac gwa vxlan0)" --dst "$(mac pod1 vx0)" "$1")
	a ethtool -K eth0 tx off >/dev/null
	[ -z "$wanted" ] || soon "$1: the pod hears the good ones only" "$wanted" collected
	errors() { paste -d' ' <(tr ' ' '\n' <<<"$before") <(checksum_errors | tr ' ' '\n') | awk '{ print $2 - $1 }' | xargs; }
	soon "$1: the others are seen for what they are" "$2" errors
}
node_end() { if [ $FAMILY = 6 ]; then echo fd00:1::1; else echo 10.0.1.1; fi; }

heard_more() { [ "$(wc -l <"$TMP/collected")" -gt "$1" ]; }
undamaged() { # undamaged CASE [merged]: the same without any damage: in how many frames it comes
	local tx heard
	tx=$(counted 3)
	heard=$(wc -l <"$TMP/collected")
	damage "$1" "0 0 0 0"
	check "$1: the datagram behind it has come" poll 5 heard_more "$heard"
	tx=$(($(counted 3) - tx))
	if [ "${2:-}" = merged ]; then
		check "$1: 24 segments came as one ($tx frames)" [ $tx -le 3 ]
	else
		check "$1: 24 segments came as they were ($tx frames)" [ $tx -ge 25 ]
	fi
}

all_damages() {
	bgpkt pod1 "$TMP/collected" collect --port 8
	COLLECT=$!
	# Before Linux 6.2 TAPs take no super-frames of UDP.
	if linux 6.2; then undamaged v4udp "$@"; else undamaged v4udp; fi
	undamaged v4tcp "$@"
	damage v6udp "0 0 0 0"
	damage v4udp-none "0 0 0 0"
	damage v4udp-payload "0 6 0 0"
	damage v4udp-sum "0 6 0 0"
	damage v6udp-payload "0 0 6 0"
	damage v6udp-sum "0 0 6 0"
	damage v4udp-header "0 0 0 6"
	damage v4tcp-payload "6 0 0 0"
	damage v4tcp-sum "6 0 0 0"
	damage v6tcp-payload "6 0 0 0"
	quit $COLLECT
}

# ---- lies of a pod --------------------------------------------------------------------------------------------------

all_lies() {
	local was
	was=$(drops)
	pkt pod1 lies vx0 --dst "$(mac gwa vxlan0)" >"$TMP/lies"
	check "some come past the pod's kernel" grep -q ^sent: "$TMP/lies"
	check "super-frames of thousands of segments are dropped as bad_vnet" \
		poll 5 says '^{"bad_vnet":[1-9][0-9]*}$' grown "$was"
	check "podswitchd lives" alive
	check "and traffic goes on" p ping -q -c2 -i0.1 -W3 172.16.0.1
	check "counters are the TAP's to the byte" poll 3 counters_equal pod1
	same "nothing else was dropped" bad_vnet "$(grown "$was" | jq -r 'keys | join(" ")')"
}

# A pod that may raise its MTU must not take the others' offloads away.
too_big() {
	local was
	was=$(drops)
	p ip link set vx0 mtu 9000
	big() { pkt pod1 trains --to 172.16.0.1 --port 8 --sizes 2000; }
	big >/dev/null 2>&1 || true
	check "a train too big for the path is dropped as too_big" poll 5 says '^{"too_big":[1-9][0-9]*}$' grown "$was"
	check "and the pod is told" poll 5 says "mtu 1450" p ip route get 172.16.0.1
	check "so that its kernel refuses the next one" says "Message too long|Invalid argument" big # the latter before Linux 6.12
	same "and no offload is lost" "true true true true true" "$(features)"
	p ip link set vx0 mtu 1450
	p ip route flush cache
}

# ---- pod to pod -----------------------------------------------------------------------------------------------------

pod_to_pod() {
	local rx
	ctl gateway set a --isolate off
	port 2 a
	p ping -q -c1 -W3 172.16.0.12 >/dev/null || miss "no way to the other pod"
	far_end pod2
	rx=$(counted 1)
	streams pod1 172.16.0.12 0
	check "super-frames go as they are ($(($(counted 1) - rx)) frames)" [ $(($(counted 1) - rx)) -lt 1500 ]
	streams pod1 fd42::12 0 536
	trains pod1 172.16.0.12
	trains pod1 fd42::12
	quit $SWAP
	quit $COLLECT
	check "counters are the TAPs' to the byte" poll 3 counters_equal pod1
	check "of both" poll 3 counters_equal pod2
	ctl port remove pod2
	ctl gateway set a --isolate on
}

for FAMILY in 4 6; do
	far gwa
	configuration whole none
	end_configuration
	configuration cut none
	[ $FAMILY = 6 ] || {
		all_damages merged
		all_lies
		pod_to_pod
		too_big
	}
	end_configuration
	configuration whole all
	end_configuration
	configuration cut all
	[ $FAMILY = 6 ] || all_damages
	end_configuration
	for knob in "${KNOBS[@]}"; do
		configuration cut "$knob"
		end_configuration
	done
done

daemon -w 1 --underlay-tap off
FDS=$(descriptors)
finish
