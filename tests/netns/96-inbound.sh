#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# 96-inbound.sh - who connects to a pod by its first interface is answered by it, and the pod cannot make use of that
#
#     pod1 -- eth0 -- node (DNAT 10.0.1.1:8080 -> 10.1.1.2:80, without SNAT) -- gwa, gwb
#                                                                               203.0.113.9, 2001:db8:9::9 at gwb
#
# gwb is the client outside. A capture on the node's end of the pod's veth is the judge of what leaves.
# shellcheck disable=SC2119 # daemon takes options, or none
. "$(dirname "$0")/lib.sh"

CLIENT4=203.0.113.9 CLIENT6=2001:db8:9::9

seen() { # seen COMMAND...: packets toward the client that leave by the pod's eth0 while the command runs
	bgpkt node "$TMP/seen" toward pod1 $CLIENT4 $CLIENT6 198.51.100.1
	local capture=$!
	"$@" >/dev/null 2>&1 || true
	pkt pod1 frames eth0 good:end
	poll 5 grep -q '^good:end$' "$TMP/seen" || die "the capture does not see what leaves by eth0"
	quit $capture
	grep -c '^to ' "$TMP/seen" || true
}
fetch() { b curl -sS -m 2 --interface "$1" "$2" 2>&1 || true; }
served() { # served TEXT: every kind of client is answered
	same "$1: by TCP" page "$(fetch $CLIENT4 http://10.1.1.2:80/)"
	same "$1: by a node's port" page "$(fetch $CLIENT4 http://10.0.2.1:8080/)"
	same "$1: by IPv6" page "$(fetch $CLIENT6 "http://[fd01:1::2]:80/")"
	check "$1: echo" b ping -c1 -W1 -I $CLIENT4 10.1.1.2
	check "$1: echo by IPv6" b ping -c1 -W1 -I $CLIENT6 fd01:1::2
	same "$1: by UDP" page "$(echo x | b timeout 2 socat -t1 - "UDP4:10.1.1.2:53,bind=$CLIENT4:5353" || true)"
}

build gwa gwb pod1
far gwa
b ip addr add $CLIENT4/32 dev lo
b ip addr add $CLIENT6/128 dev lo
n ip route add $CLIENT4 via 10.0.2.2
n ip -6 route add $CLIENT6 via fd00:2::2
n nft -f - <<'X'
table ip nat {
	chain pre { type nat hook prerouting priority dstnat; tcp dport 8080 dnat to 10.1.1.2:80; }
}
X
# shellcheck disable=SC2016 # the dollars are sh's
printf '#!/bin/sh\nread -r line\nwhile [ "${#line}" -gt 1 ]; do read -r line || exit; done\nprintf "HTTP/1.0 200 OK\\r\\n\\r\\npage"\n' >"$TMP/serve"
chmod +x "$TMP/serve"
bg pod1 socat TCP6-LISTEN:80,fork,reuseaddr,ipv6only=0 SYSTEM:"$TMP/serve"
bg pod1 socat UDP4-LISTEN:53,bind=10.1.1.2,fork,reuseaddr SYSTEM:"read -r line; printf page"
poll 5 listening pod1 t 80
poll 5 listening pod1 u 53
daemon
gateway a 1

echo "== without"
served "no port"

echo "== exclusive"
ctl port add pod1 --gateway a --netns "$P-pod1" --address 172.16.0.11/24 --default-via 172.16.0.1 --exclusive on
same "who connects is not answered by eth0" 0 "$(seen fetch $CLIENT4 http://10.1.1.2:80/)"

echo "== inbound"
ctl port set pod1 --inbound on
served "inbound"
p sysctl -qw net.ipv4.conf.all.rp_filter=1
served "with a strict reverse path filter"
n ip route flush cache
same "the settings are kept" true "$(ctl -j port show pod1 | jq .config.inbound)"

echo "== nothing that the pod begins"
established() { p ss -Htn state established "dport = :40000" | grep -q .; }
try() { # try TEXT COMMAND...
	same "$1" 0 "$(seen "${@:2}")"
}
mark() { p "$PYTHON" "$HERE/ways.py" eth0 10.1.1.2 fd01:1::2 $CLIENT4 $CLIENT6 198.51.100.1; }
try "any way to send, with the mark, too" mark
try "from the port that listens" p socat -T1 - "TCP4:$CLIENT4:7,bind=10.1.1.2:80,reuseaddr,connect-timeout=1"
try "by UDP from the port that listens" p sh -c "echo x | socat - UDP4-SENDTO:198.51.100.1:7,bind=10.1.1.2:5300"
bg gwb socat TCP4:10.1.1.2:80,bind=$CLIENT4:40000 PIPE # says nothing, so the connection stays
poll 5 established || die "the client does not connect"
p sysctl -qw net.netfilter.nf_conntrack_tcp_be_liberal=1 # the segment's sequence number is any
segment() { p "$PYTHON" "$HERE/ways.py" segment 10.1.1.2 80 $CLIENT4 "${2:-40000}" "$1"; }
check "a segment between its ports is an answer, and is seen" test "$(seen segment ack)" -ge 1
try "but not the first of a connection" segment syn
# To connection tracking it would reopen one that the pod has closed.
same "a connection that the pod ends" page \
	"$(b curl -sS -m 2 --interface $CLIENT4 --local-port 40001 http://10.1.1.2:80/ 2>&1 || true)"
try "the first of another between the same ports is none, either" segment syn 40001

echo "== off"
ctl port set pod1 --inbound off
same "who connects is not answered by eth0" 0 "$(seen fetch $CLIENT4 http://10.1.1.2:80/)"
try "nor does a mark help" mark
same "no rule for marks is left" "" "$(p ip rule | grep fwmark || true)"

echo "== what is refused"
refused "answers by the first interface of a port that is not exclusive" 'exclusive' \
	ctl port add x --gateway a --netns "$P-pod1" --ifname vx1 --inbound on

finish
