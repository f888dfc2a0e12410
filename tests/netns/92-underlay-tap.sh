#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# 92-underlay-tap.sh - --underlay-tap: the same datagrams as by the sockets, and the sockets when it cannot work
#
#   pod1 vx0 ~~~.              podswitch0           .--- gwa ---- eth0 10.0.1.2, fd00:1::2
#                podswitchd ~~ 127.189.42.1   ~~> node
#   pod2 vx0 ~~~'    '~~~ UDP 4789 <~~~~~~~~~~~~~~~ '--- gwb ---- eth0 10.0.2.2, fd00:2::2
#                                                                 a1   10.9.1.2, fd09:1::2
#                                                                  |
#                          gwa, for the path MTU beyond it:       b1   10.9.1.1, fd09:1::1
#
# What the node forwards leaves by the TAP, what comes in by the sockets. gwa serves pod1, gwb pod2.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

SIZES="1 7 101 536 999 1172 1381"
SEED=0 # no two runs have the same digest, lest one be taken for the other
FALL=1   # seconds: a change is noticed, and three probes are lost
RETURN=3 # the next change, a second later a probe

# ---- what is asked of podswitchd ------------------------------------------------------------------------------------

# shellcheck disable=SC2016 # the dollar is jq's
egress() { gateways --arg g "$1" '.[] | select(.name == $g).remotes | map(.egress) | join(" ")'; }
feature() { ctl -j status | jq -r .features.underlay_tap; }
device() { n ip -o link show podswitch0; }

by() { eventually "${3:-5}" "gateway $2 goes by $1" "$1" egress "$2"; } # by WAY GATEWAY [SECONDS]

mark() { MARKED=$(wc -l <"$LOG"); }
logged() { tail -n +$((MARKED + 1)) "$LOG" | grep -cE -- "$1" || true; } # how many lines since `mark`

attach() { # attach GATEWAY NUMBER: gwa (1) or gwb (2) in the family FAMILY, and its pod
	far "$([ "$2" = 1 ] && echo gwa || echo gwb)"
	gateway "$1" "$2"
	port "$2" "$1"
}
detach() { # detach GATEWAY NUMBER
	ctl port remove "pod$2"
	ctl gateway remove "$1"
}

# ---- traffic --------------------------------------------------------------------------------------------------------

cable() { # cable whole|cut: as a gateway on this node has it, or one that a card reaches that knows no offload
	offloads on
	[ "$1" = whole ] || offloads off
}

goes_on() { # goes_on POD GATEWAY ADDRESS: short checks, while something else is the matter
	check "ping from $1" ns "$1" ping -q -c2 -i0.1 -W3 172.16.0.1
	check "TCP from $1" transfer "$1" "$2" 172.16.0.1 "$(random_file 3)"
	check "TCP to $1" transfer "$2" "$1" "$3" "$(random_file 3)"
}

far_end() { # far_end NAMESPACE: a swap, a collector and an echo; ENDS are their ids
	ENDS=()
	bgpkt "$1" "$TMP/swap" swap --port 5002
	ENDS+=($!)
	bgpkt "$1" "$TMP/collected" collect --port 8
	ENDS+=($!)
	bgpkt "$1" "$TMP/echo" echo --port 7
	ENDS+=($!)
}
end_far_end() { for end in "${ENDS[@]}"; do quit "$end"; done; }

streams() { # streams FROM ADDRESS MSS...: there and back, compared by hash
	check "TCP from $1 to $2 and back, MSS ${*:3}" pkt "$1" streams --to "$2" --port 5002 --mss "${@:3}" --timeout $((20 * SLOW))
}
collected() { tail -n1 "$TMP/collected"; }
trains() { # trains FROM ADDRESS: in their pieces, all of them, in order
	local wanted
	SEED=$((SEED + 1))
	# shellcheck disable=SC2086 # several numbers
	wanted=$(pkt "$1" trains --to "$2" --port 8 --sizes $SIZES --seed $SEED) || wanted="trains of $1 ended with status $?"
	soon "UDP trains of odd sizes from $1 to $2 keep boundaries and order" "$wanted" collected
}
sizes() { # sizes ADDRESS HEADERS
	check "UDP of every size to $1 and back" pkt pod1 sizes --to "$1" --port 7 --max $((MTU - $2))
}

checksum_errors() { # as the kernels of gateway and pod count them
	local name
	for name in gwa pod1; do
		ns $name nstat -asz TcpInCsumErrors UdpInCsumErrors Udp6InCsumErrors IpInHdrErrors | awk '/^[TUI]/ { sum += $2 }
			END { print sum + 0 }'
	done | xargs
}

words() { grep -oE "$1=[^ ]*" "$TMP/wire" | sort -u | xargs; } # words KEY: the values that `watch` saw
longest() { grep -oE " length=[0-9]+" "$TMP/wire" | sed 's/.*=//' | sort -n | tail -n1; }

suite() { # suite whole|cut: gateway a goes by the TAP
	local was errors watcher length source
	echo "-- IPv$FAMILY underlay, $1"
	cable "$1"
	MTU=$((FAMILY == 4 ? 1450 : 1430))
	source=$([ $FAMILY = 4 ] && echo 10.0.1.1 || echo fd00:1::1)
	p ping -q -c1 -W3 172.16.0.1 >/dev/null || miss "no way to the gateway"
	p ping -q -c1 -W3 fd42::1 >/dev/null || miss "no way to the gateway, IPv6"
	was=$(drops) errors=$(checksum_errors)
	# With GRO vxlan0 queues packets that a capture still holds apart from the others, and they change places.
	a ethtool -K vxlan0 gro off
	bgpkt gwa "$TMP/wire" watch eth0
	watcher=$!
	check "TCP to the gateway, 3 MB" transfer pod1 gwa 172.16.0.1 "$(random_file 3)"
	length=$(longest)
	if [ "$1" = whole ]; then
		check "super-frames arrive whole (the longest has $length bytes)" [ "$length" -gt 30000 ]
	else
		same "segments arrive, of the size the path takes" $MTU "$length"
	fi
	check "TCP from the gateway, 3 MB" transfer gwa pod1 172.16.0.11 "$(random_file 3)"
	far_end gwa
	streams pod1 fd42::1 0 536
	streams pod1 172.16.0.1 536 1000 1448
	trains pod1 172.16.0.1
	trains pod1 fd42::1
	sizes 172.16.0.1 28
	sizes fd42::1 48
	end_far_end
	far_end pod1
	streams gwa 172.16.0.11 536
	trains gwa fd42::11
	end_far_end
	quit $watcher
	same "every datagram is the node's, with DF, and 64 hops to go" "source=$source df=1 ttl=64" \
		"$(words source) $(words df) $(words ttl)"
	same "all source ports are in 49152-65535" "" "$(words sport | tr ' ' '\n' | sed 's/sport=//' | awk '$1 < 49152')"
	check "counters are the TAP's to the byte" poll 3 counters_equal pod1
	same "nothing was dropped" "{}" "$(grown "$was")"
	same "no kernel has met a wrong checksum" "$errors" "$(checksum_errors)"
	same "and all went by the TAP" underlay_tap "$(egress a)"
}

suites() {
	attach a 1
	by underlay_tap a
	suite whole
	suite cut
	print >"$TMP/print.tap$FAMILY"
	detach a 1
}

# Ports of 16 flows, marks of eight frames, and all else that the outer headers say: which must not depend on the way.
print() {
	local watcher
	bgpkt gwa "$TMP/wire" watch eth0
	watcher=$!
	pkt pod1 flows --to 172.16.0.1 --count 16
	pkt pod1 frames vx0 tos:0 tos:1 tos:2 tos:3 tclass:0 tclass:1 tclass:2 tclass:3 good:end
	poll 5 grep -q label=good:end "$TMP/wire" || echo "the frames did not arrive"
	grep -oE 'sport=[0-9]+.*flow=200[0-9]+' "$TMP/wire" | sed -E 's/ .*flow/ flow/' | sort -u
	grep -E 'label=(tos|tclass):' "$TMP/wire" | sed -E 's/.*(ecn=.) (tos=[0-9]+) .*(label=.*)/\3 \1 \2/' | sort
	echo "$(words source) $(words df) $(words ttl) $(words header | sed 's/header=0050[0-9a-f]* *//')"
	quit $watcher
}

# ---- configurations -------------------------------------------------------------------------------------------------

conf() { # conf DEVICE: what /proc/sys/net says of it
	n sysctl -a -r "^net\.ipv[46]\.conf\.$1\." 2>/dev/null | sed "s/conf\.$1\./conf./" | sort
}

the_device() {
	echo "-- the device"
	daemon -w 1 --underlay-tap off
	check "without it there is none" not device
	same "nor is the feature on" false "$(feature)"
	FAMILY=4
	attach a 1
	check "ping" p ping -q -c1 -W3 172.16.0.1
	same "by the sockets" sockets "$(egress a)"
	detach a 1
	check "podswitchd ends" stop

	# The strictest node: it forwards nothing, and the reverse path filter is on.
	n sysctl -qw net.ipv4.ip_forward=0 net.ipv6.conf.all.forwarding=0 net.ipv4.conf.all.rp_filter=1
	n sysctl -a -r '^net\.' 2>/dev/null | sort >"$TMP/before"
	daemon -w 1 --underlay-tap on
	check "with the option it is there" device
	same "the feature is on" true "$(feature)"
	n sysctl -a -r '^net\.' 2>/dev/null | grep -v '\.podswitch0\.' | sort >"$TMP/after"
	same "no setting of the node's has changed" "" "$(diff "$TMP/before" "$TMP/after" || true)"
	same "and of the device's those that it needs" \
		"net.ipv4.conf.accept_local = 1, net.ipv4.conf.forwarding = 1, net.ipv4.conf.rp_filter = 2, net.ipv6.conf.force_forwarding = 1" \
		"$(comm -13 <(conf default) <(conf podswitch0) | grep -v ipv6.conf.mtu | paste -sd, | sed 's/,/, /g')"
}

older_kernel() {
	echo "-- Linux before 6.17: the sockets serve"
	daemon -w 1 --underlay-tap on
	check "the log says so" grep -q "underlay_tap is off, everything takes the sockets: .*Linux 6.17" "$LOG"
	check "no device is left" not device
	same "the feature is off" false "$(feature)"
	for FAMILY in 4 6; do
		attach a 1
		goes_on pod1 gwa 172.16.0.11
		same "by the sockets" sockets "$(egress a)"
		detach a 1
	done
	finish
	exit
}

# ---- falling back ---------------------------------------------------------------------------------------------------

rules() { n nft -f -; }
no_rules() { n nft flush ruleset; }
source_of() { # source_of GATEWAY-NAMESPACE: where it has heard the pod from
	ns "$1" bridge -j fdb show dev vxlan0 | jq -r --arg m "$(mac "$([ "$1" = gwa ] && echo pod1 || echo pod2)" vx0)" \
		'.[] | select(.mac == $m and .dst).dst'
}

# With gwb in another family than later: conntrack remembers what a rule said of a flow.
harmless() {
	echo "-- NAT that changes nothing is not in the way"
	rules <<-'END'
		table ip nat {
			chain out { type nat hook postrouting priority 100; oifname "gwb" masquerade; }
		}
	END
	FAMILY=4
	attach b 2
	by underlay_tap b
	goes_on pod2 gwb 172.16.0.12
	detach b 2
	no_rules
}

netfilter() {
	echo "-- NAT (gwa, IPv4) and a FORWARD policy (gwb, IPv6) in the way"
	cable whole
	FAMILY=4 attach a 1
	FAMILY=6 attach b 2
	by underlay_tap a
	by underlay_tap b
	goes_on pod1 gwa 172.16.0.11
	goes_on pod2 gwb 172.16.0.12
	ip -n "$P-node" addr add 10.0.1.7/24 dev gwa
	mark
	rules <<-'END'
		table ip nat {
			chain out { type nat hook postrouting priority 100; oifname "gwa" snat to 10.0.1.7; }
		}
		table ip6 filter {
			chain forward { type filter hook forward priority 0; policy drop; }
		}
	END
	check "TCP from pod2, begun before it is noticed" transfer pod2 gwb 172.16.0.1 "$(random_file 1)"
	by sockets b $FALL
	by sockets a $FALL
	goes_on pod1 gwa 172.16.0.11
	goes_on pod2 gwb 172.16.0.12
	same "one line for each tells where to look" "1 1" \
		"$(logged 'remote 10.0.1.2:4789 is reached by the sockets, .*FORWARD policy or NAT') $(logged \
			'remote \[fd00:2::2\]:4789 is reached by the sockets, .*FORWARD policy or NAT')"
	ip -n "$P-node" addr del 10.0.1.7/24 dev gwa
	no_rules
	MARKED_RETURN=$(wc -l <"$LOG") RETURN_FROM=$EPOCHSECONDS # of gwb; gwa is given a new remote instead of waiting
	detach a 1

	echo "-- the other way round, from the start"
	rules <<-'END'
		table ip filter {
			chain forward { type filter hook forward priority 0; policy drop; }
		}
		table ip6 nat {
			chain out { type nat hook postrouting priority 100; udp dport 4789 snat to :1000-1999; }
		}
	END
	for FAMILY in 4 6; do
		mark
		attach a 1
		eventually 5 "IPv$FAMILY: one line says what is in the way" 1 logged 'is reached by the sockets.*FORWARD policy or NAT'
		goes_on pod1 gwa 172.16.0.11
		same "by the sockets" sockets "$(egress a)"
		same "never by the TAP" 0 "$(logged 'remote .*1::?.?2.*is reached by underlay_tap')"
		detach a 1
	done
	no_rules
}

comes_back() {
	echo "-- the FORWARD policy is gone: gwb is served by the TAP again"
	by underlay_tap b $((RETURN - (EPOCHSECONDS - RETURN_FROM) > 1 ? RETURN - (EPOCHSECONDS - RETURN_FROM) : 1))
	MARKED=$MARKED_RETURN
	same "one line says so" 1 "$(logged 'remote \[fd00:2::2\]:4789 is reached by underlay_tap podswitch0')"
	goes_on pod2 gwb 172.16.0.12
}

down() {
	echo "-- the device is set down"
	cable cut
	FAMILY=6
	attach a 1
	by underlay_tap a
	mark
	ip -n "$P-node" link set podswitch0 down
	goes_on pod1 gwa 172.16.0.11
	by sockets a
	eventually 5 "one line says so" 1 logged 'remote \[fd00:1::2\]:4789 is reached by the sockets, .*the TAP refuses'
	for FAMILY in 6 4; do
		if [ $FAMILY = 4 ]; then
			detach a 1
			attach a 1
			goes_on pod1 gwa 172.16.0.11
		fi
		same "IPv$FAMILY: by the sockets" sockets "$(egress a)"
		print >"$TMP/print.sockets$FAMILY"
		same "IPv$FAMILY: ports, marks and the rest are those of the TAP" "$(cat "$TMP/print.sockets$FAMILY")" \
			"$(cat "$TMP/print.tap$FAMILY")"
		same "IPv$FAMILY: of 16 flows and eight frames" "16 8" \
			"$(grep -c flow= "$TMP/print.tap$FAMILY") $(grep -c label= "$TMP/print.tap$FAMILY")"
	done
	same "marks leave as RFC 6040 has it" "0>0 1>1 2>2 3>2 0>0 1>1 2>2 3>2" \
		"$(sed -nE 's/label=[a-z]*:(.) ecn=.*tos=(.)$/\1>\2/p' "$TMP/print.tap4" | xargs)"
	detach a 1
	detach b 2
	check "the device goes with podswitchd" ends_with_device stop
}
ends_with_device() { "$1" && poll 3 not device; } # stop or crash

deleted() {
	echo "-- the device is deleted"
	mark
	ip -n "$P-node" link del podswitch0
	goes_on pod1 gwa 172.16.0.11
	eventually $FALL "the feature is off" false feature
	same "by the sockets" sockets "$(egress a)"
	same "one line says so" "1 1" "$(logged 'underlay_tap is off.*its device was removed') $(logged underlay_tap)"
	goes_on pod1 gwa 172.16.0.11
	detach a 1
	same "no descriptor of it is left, nor of what watched for changes" $((FDS - 3)) "$(descriptors)"
	FDS=$((FDS - 3))
}

forbidden() {
	echo "-- without CAP_NET_RAW"
	mkdir "$TMP/unable"
	cat >"$TMP/unable/podswitchd" <<-END
		#!/bin/sh
		exec setpriv --inh-caps=-net_raw --bounding-set=-net_raw "$BUILD/podswitchd" "\$@"
	END
	chmod +x "$TMP/unable/podswitchd"
	ln -s "$BUILD/podswitchctl" "$TMP/unable"
	mark
	BUILD=$TMP/unable daemon -w 1 --underlay-tap on
	FAMILY=4
	attach a 1
	eventually 5 "the feature is off" false feature
	same "one line says why" 1 "$(logged 'underlay_tap is off.*CAP_NET_RAW')"
	check "and no device is left" poll 3 not device
	goes_on pod1 gwa 172.16.0.11
	detach a 1
	check "podswitchd ends" stop
}

# With `auto`: only where the device on the way takes tunnel super-frames.
auto() {
	echo "-- auto"
	daemon -w 1 --underlay-tap auto
	FDS=$(descriptors)
	FAMILY=4
	cable cut
	mark
	attach a 1
	eventually 5 "one line says why it goes by the sockets" 1 logged 'by the sockets: the device on the way takes no'
	same "which it does" sockets "$(egress a)"
	check "there is no device" not device
	goes_on pod1 gwa 172.16.0.11
	cable whole
	by underlay_tap a 3
	goes_on pod1 gwa 172.16.0.11
	cable cut
	by sockets a 3
	goes_on pod1 gwa 172.16.0.11
	cable whole
	by underlay_tap a 3
	detach a 1
	check "without a remote that could use it, the device goes" poll 5 not device
	same "and its descriptor" "$FDS" "$(descriptors)"
	check "podswitchd ends" stop
}

# ---- what else changes ----------------------------------------------------------------------------------------------

new_address() { # new_address OLD NEW PREFIX: the node's, while a stream runs
	local receiver sender file watcher nodad=()
	[ $FAMILY = 4 ] || nodad=(nodad)
	echo "-- the node's address changes from $1 to $2"
	attach a 1
	by underlay_tap a
	file=$(random_file 5)
	rm -f "$TMP/slow"
	bg gwa socat -u TCP-LISTEN:5003,reuseaddr "OPEN:$TMP/slow,creat,trunc"
	receiver=$!
	poll 5 listening gwa t 5003 || die "no receiver"
	bg pod1 "$PYTHON" "$HERE/pkt.py" slow-send --to 172.16.0.1 --port 5003 --rate 5000000 "$file"
	sender=$!
	poll 10 [ -s "$TMP/slow" ] || miss "the stream has begun"
	same "the gateway hears $1" "$1" "$(source_of gwa)"
	ip -n "$P-node" addr del "$1/$3" dev gwa
	ip -n "$P-node" addr add "$2/$3" dev gwa "${nodad[@]}"
	check "the stream was not over before" kill -USR1 $sender
	soon "the gateway hears $2" "$2" source_of gwa
	check "the stream ends" poll 20 not kill -0 $receiver
	same "with the right hash" "$(sha256sum <"$file")" "$(sha256sum <"$TMP/slow")"
	quit $sender
	quit $receiver
	by underlay_tap a
	bgpkt gwa "$TMP/wire" watch eth0
	watcher=$!
	goes_on pod1 gwa 172.16.0.11
	same "every datagram is from there" "source=$2" "$(words source)"
	quit $watcher
	ip -n "$P-node" addr del "$2/$3" dev gwa
	ip -n "$P-node" addr add "$1/$3" dev gwa "${nodad[@]}"
	detach a 1
}

told() { # told WHERE: the pod of what does not fit, of either family; NARROW is what fits
	local before
	before=$(drops)
	check "IPv$FAMILY, $1: what fits passes" p ping -q -c1 -W3 -M 'do' -s $((NARROW - 28)) 172.16.0.1
	check "IPv$FAMILY, $1: fragmentation needed, IPv4" poll 5 says "(Frag needed|message too long).* *mtu ?= ?$NARROW" \
		p ping -c1 -W1 -M 'do' -s $((MTU - 28)) 172.16.0.1
	check "IPv$FAMILY, $1: packet too big, IPv6" poll 5 says "(Packet too big|message too long).* *mtu ?[=:] ?$NARROW" \
		p ping -c1 -W1 -M 'do' -s $((MTU - 48)) fd42::1
	check "IPv$FAMILY, $1: it is counted" says '^{"too_big":[0-9]+}$' grown "$before"
	p ip route flush cache
	p ip -6 route flush cache
	check "IPv$FAMILY, $1: TCP adapts" transfer pod1 "$2" 172.16.0.1 "$(random_file 3)"
	by underlay_tap a
}

too_big() {
	local to via net
	echo "-- too big for the path"
	ip link add b1 mtu 1400 netns "$P-gwa" type veth peer name a1 mtu 1400 netns "$P-gwb"
	ip -n "$P-gwa" addr add 10.9.1.1/24 dev b1
	ip -n "$P-gwa" addr add fd09:1::1/64 dev b1 nodad
	ip -n "$P-gwb" addr add 10.9.1.2/24 dev a1
	ip -n "$P-gwb" addr add fd09:1::2/64 dev a1 nodad
	ip -n "$P-gwa" link set b1 up
	ip -n "$P-gwb" link set a1 up
	a sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1 net.ipv4.icmp_ratelimit=0 net.ipv6.icmp.ratelimit=0
	for FAMILY in 4 6; do
		MTU=$((FAMILY == 4 ? 1450 : 1430)) NARROW=$((MTU - 100))
		if [ $FAMILY = 4 ]; then to=10.9.1 via=10.0.1 net=/24; else to=fd09:1: via=fd00:1: net=/64; fi
		[ $FAMILY = 4 ] && sep=. || sep=:
		ip -n "$P-node" route add "$to${sep}0$net" via "$via${sep}2"
		ip -n "$P-gwb" route add "$via${sep}0$net" via "$to${sep}1"
		ip -n "$P-gwa" link del vxlan0 2>/dev/null || true
		FAMILY=$FAMILY far gwb
		[ $FAMILY = 4 ] || ip -n "$P-gwb" link set vxlan0 type vxlan local fd09:1::2
		ctl gateway add a --vni 42 --remote "$to${sep}2"
		port 1 a --mtu $MTU # else it follows the path
		by underlay_tap a
		told "behind a router" gwb
		detach a 1

		ip -n "$P-node" link set gwa mtu 1400
		far gwa
		gateway a 1
		port 1 a --mtu $MTU
		by underlay_tap a
		told "at the first hop" gwa
		detach a 1
		ip -n "$P-node" link set gwa mtu 1500
	done
}

# ---- the other kinds of gateway -------------------------------------------------------------------------------------

hub() {
	local far=(ctl -s "$TMP/far.sock") pid was
	echo "-- IPv$FAMILY underlay: the far end is podswitchd with a hub and a TAP, too"
	ip -n "$P-gwa" link del vxlan0 2>/dev/null || true
	bg gwa "$BUILD/podswitchd" -s "$TMP/far.sock" --state-dir "$TMP/far" --underlay-tap on ${IO:+--io "$IO"} 2>>"$LOG"
	pid=$!
	poll 10 says version "${far[@]}" -j status || die "the far podswitchd does not answer"
	"${far[@]}" gateway add own --vni 42
	"${far[@]}" port add own --gateway own --netns "$P-gwa" --address 172.16.0.1/24 --address fd42::1/64
	ip -n "$P-gwa" link set vx0 mtu $((FAMILY == 4 ? 1450 : 1430))
	was=$(drops)
	gateway a 1
	port 1 a
	by underlay_tap a
	check "ping" p ping -q -c1 -W3 172.16.0.1
	far_egress() { "${far[@]}" -j gateway list | jq -r '.[0].remotes | map("\(.state) \(.egress)") | join(", ")'; }
	soon "the remote that the far end has learnt is reached by its TAP" "learned underlay_tap" far_egress
	check "TCP to it" transfer pod1 gwa fd42::1 "$(random_file 10)"
	check "TCP from it" transfer gwa pod1 172.16.0.11 "$(random_file 10)"
	check "counters are the TAP's to the byte" poll 3 counters_equal pod1
	# Before it has learnt anyone, what its own pod floods goes nowhere.
	far_drops() { "${far[@]}" -j stats | jq -cS '.drops | with_entries(select(.value > 0)) | del(.no_remote) | keys'; }
	same "the probes are counted for what they are at the far end, and nothing else is dropped" '["probe"]' "$(far_drops)"
	soon "and here" '["probe"]' here_drops "$was"
	detach a 1
	"${far[@]}" port remove own
	quit $pid
}
here_drops() { grown "$1" | jq -c keys; }

lies() {
	local was
	echo "-- a pod that lies to its kernel"
	FAMILY=4
	attach a 1
	by underlay_tap a
	p ping -q -c1 -W3 172.16.0.1 >/dev/null || miss "no way to the gateway"
	was=$(drops)
	mark
	pkt pod1 lies vx0 --dst "$(mac gwa vxlan0)" >"$TMP/lies"
	check "some lies come past the pod's kernel" grep -q ^sent: "$TMP/lies"
	check "super-frames of thousands of segments are dropped as bad_vnet" \
		poll 5 says '^{"bad_vnet":[1-9][0-9]*}$' grown "$was"
	check "podswitchd lives" alive
	goes_on pod1 gwa 172.16.0.11
	check "counters are the TAP's to the byte" poll 3 counters_equal pod1
	same "nothing else was dropped" bad_vnet "$(grown "$was" | jq -r 'keys | join(" ")')"
	same "the TAP has refused nothing" "underlay_tap " "$(egress a) $(tail -n +$((MARKED + 1)) "$LOG" | grep 'reached by' || true)"
	detach a 1
}

# Of the checks once a second at least one has come by when a remote that is added later is served.
pod_underlay() {
	echo "-- a gateway with pod underlay takes the pod's sockets"
	FAMILY=4
	n sysctl -qw net.ipv4.ip_forward=1
	far gwa
	gateway a 1 --underlay pod
	port 1 a
	FAMILY=6 attach b 2
	by underlay_tap b
	same "though the other gateway goes by the TAP" sockets "$(egress a)"
	goes_on pod1 gwa 172.16.0.11
	same "the gateway hears the pod's own address" 10.1.1.2 "$(source_of gwa)"
	detach a 1
	detach b 2
}

vtep() {
	local vtep watcher
	echo "-- --vtep"
	ip -n "$P-node" addr add 10.9.9.9/32 dev lo
	ip -n "$P-node" addr add fd09::9/128 dev lo nodad
	daemon -w 2 --vtep fd09::9 --vtep 10.9.9.9 --underlay-tap on
	FDS=$(descriptors)
	for FAMILY in 4 6; do
		[ $FAMILY = 4 ] || detach a 1
		vtep=$([ $FAMILY = 4 ] && echo 10.9.9.9 || echo fd09::9)
		attach a 1
		by underlay_tap a
		bgpkt gwa "$TMP/wire" watch eth0
		watcher=$!
		goes_on pod1 gwa 172.16.0.11
		same "every datagram is from there" "source=$vtep" "$(words source)"
		quit $watcher
	done
}

build
linux 6.17 || older_kernel
the_device
harmless
netfilter
FAMILY=4
suites
hub
new_address 10.0.1.1 10.0.1.3 24
FAMILY=6
suites
hub
new_address fd00:1::1 fd00:1::3 64
lies
comes_back
too_big
down
forbidden
auto

echo "-- two workers"
FAMILY=4
# Without what they know of earlier pods: their kernels still look whether those are there.
far gwa
far gwb
daemon -w 2 --underlay-tap on
FAMILY=4
attach a 1
by underlay_tap a
suite whole
detach a 1
pod_underlay
check "the device goes with podswitchd, even when it is killed" ends_with_device crash
vtep
deleted

finish
