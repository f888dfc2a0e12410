#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# 98-gateway.sh - the podswitch gateway (deploy/gateway/gateway.sh): NAT, port forwards, DHCP, DNS, kill switch
#
#   pod1 172.16.0.11 --.                  gwa: gateway.sh                          world
#                       >- podswitchd == VXLAN == vxlan0 172.16.0.1 -- tun0 10.99.0.2 -- 10.99.0.1, 198.51.100.1
#   pod2 by DHCP     --'   (node)                eth0 10.0.1.2
#                             '-- 10.0.1.1, once more 198.51.100.1: what arrives here has left beside the VPN
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"
for tool in busybox dnsmasq nft; do
	command -v $tool >/dev/null || die "$tool is missing: run 'make check', which installs it"
done

GATEWAY=$HERE/../../deploy/gateway/gateway.sh
OUT=198.51.100.1
SH=/bin/sh
chmod 755 "$TMP" # dnsmasq, which is not root, reads its resolv.conf

# ---- settings: each with what the gateway says about it -------------------------------------------------------------

gate() { # gate [NAME=VALUE...] [ready]: the gateway's script in its namespace
	local settings=(PATH="$BUILD:$PATH" GATEWAY_DIR="$TMP/gateway" RESOLV_CONF="$TMP/resolv.conf" NAT_CONF="$TMP/nat.conf"
		VXLAN_PORT=4789 VPN_TRAFFIC_PORT=1194 DNS_LOCAL_CIDRS="local,corp.test"
		VXLAN_ID=' 42' VXLAN_IP_NETWORK=172.16.0.0/24 GATEWAY_ENABLE_DNSSEC=False) # as people write them
	while [[ ${1:-} == *=* ]]; do settings+=("$1") && shift; done
	# shellcheck disable=SC2086 # no word or several
	$EXEC ip netns exec "$P-gwa" $LIMIT env "${settings[@]}" $SH "$GATEWAY" "$@"
}
EXEC='' LIMIT=''

wrong() { # wrong NAME=VALUE PATTERN
	LIMIT='timeout 10' refused "$1" "$2" gate "$1"
}

settings() {
	local line
	echo "-- settings that cannot be"
	wrong VXLAN_ID=16777216 'VXLAN_ID=16777216: write a number'
	wrong VXLAN_ID=0x10 'VXLAN_ID=0x10'
	wrong VXLAN_PORT=65536 'VXLAN_PORT=65536: write'
	wrong VXLAN_ID=042 'VXLAN_ID=042'
	wrong VXLAN_ID='4 2' 'VXLAN_ID=4 2'
	wrong VXLAN_IP_NETWORK=172.16.0.0/16 'first three numbers'
	wrong VXLAN_IP_NETWORK=172.16.0. 'first three numbers'
	wrong VXLAN_IP_NETWORK=172.16.256 'first three numbers'
	wrong VXLAN_GATEWAY_FIRST_DYNAMIC_IP=1 'from 2 to 254'
	wrong VPN_INTERFACE=eth0 "the VPN's own interface"
	wrong VPN_INTERFACE='tun0"' "an interface's name"
	wrong VPN_INTERFACE= 'VPN_BLOCK_OTHER_TRAFFIC=true without a VPN'
	wrong VPN_BLOCK_OTHER_TRAFFIC=yes 'true or false'
	wrong VPN_INTERFACE_MTU=100 'from 576 to 65535'
	wrong VPN_TRAFFIC_PORT=443/udp '443/udp is no port'
	wrong VPN_LOCAL_CIDRS='10.0.0.0/8 10.0.0.0/33' '10.0.0.0/33 is no network'
	wrong VXLAN_ALLOW_CIDRS='auto 10.0.0.0/33' '10.0.0.0/33 is no network: write auto'
	wrong VXLAN_ALLOW_CIDRS=nodes 'nodes is no network: write auto'
	wrong SNAT_IP=10.99.0 'SNAT_IP=10.99.0: write an IPv4'
	wrong DNS_LOCAL_CIDRS='local;' 'local; is no domain'
	wrong DNS_LOCAL_SERVER=ns1 'ns1 is no address'
	wrong GATEWAY_ENABLE_DNSSEC=maybe 'true or false'
	for line in 'web' 'web 11' 'web 20 tcp:80' 'web 1 tcp:80' 'web 11 80' 'web 11 sctp:80' 'web 11 tcp:0' 'web 11 tcp:8O' \
		'w"b 11 tcp:80' 'web 11 tcp:80 udp:80'; do
		printf '# names\n\n%s\n' "$line" >"$TMP/wrong.conf"
		LIMIT='timeout 10' refused "nat.conf: $line" 'wrong.conf, line 3: ' gate "NAT_CONF=$TMP/wrong.conf"
	done
	same "nothing was begun" "" "$(ip -n "$P-gwa" link show vxlan0 2>/dev/null || true)$(a nft list ruleset)"
}

# ---- the VPN, and what leaves beside it -----------------------------------------------------------------------------

vpn() { # vpn up|down: with the default route, as VPNs have it
	if [ "$1" = up ]; then
		ip link add tun0 mtu 1300 netns "$P-gwa" type veth peer name vpn mtu 1300 netns "$P-world"
		ip -n "$P-gwa" addr add 10.99.0.2/24 dev tun0
		ip -n "$P-world" addr add 10.99.0.1/24 dev vpn
		ip -n "$P-world" link set vpn up
		ip -n "$P-gwa" link set tun0 up
		ip -n "$P-gwa" route replace default via 10.99.0.1
	else
		ip -n "$P-gwa" link del tun0
		ip -n "$P-gwa" route replace default via 10.0.1.1
	fi
}

watching() { # from nothing; on the node: all that comes from the gateway's pod for the world; in the world: how big segments may be
	n nft -f - <<-EOF
		table ip watch
		delete table ip watch
		table ip watch {
			counter leaks { }
			counter server { }
			chain in {
				type filter hook prerouting priority raw;
				iifname gwa ip daddr $OUT udp dport 1194 counter name server return
				iifname gwa ip daddr $OUT counter name leaks
			}
		}
	EOF
	ns world nft -f - <<-EOF
		table ip watch
		delete table ip watch
		table ip watch {
			counter clamped { }
			counter large { }
			chain in {
				type filter hook prerouting priority raw;
				tcp flags & (syn | ack) == syn tcp option maxseg size <= 1260 counter name clamped
				tcp flags & (syn | ack) == syn tcp option maxseg size > 1260 counter name large
			}
		}
	EOF
}
count() { ns "$1" nft -j list counter ip watch "$2" | jq '.nftables[].counter | values | .packets'; }
more() { [ "$(count "$1" "$2")" -gt "$3" ]; }

server() { # server NAMESPACE PORT NAME: says its name and who asks
	bg "$1" socat "TCP4-LISTEN:$2,reuseaddr,fork" "SYSTEM:echo $3 \$SOCAT_PEERADDR"
	poll 5 listening "$1" t "$2" || die "no server in $1"
}
ask() { ns "$1" timeout 5 socat -u "TCP4:$2,connect-timeout=2" -; } # ask NAMESPACE ADDRESS:PORT
resolve() { ns "$1" busybox nslookup "$2" 172.16.0.1 2>&1 | awk '/^Name:/ { found = 1 } found && /^Address/ { print $NF }'; }

# The lease's address, router and MTU; the interface is given the address.
lease() { # lease [OPTIONS OF UDHCPC...]
	cat >"$TMP/bound" <<-'EOF'
		#!/bin/sh
		[ "$1" = bound ] || exit 0
		ip addr flush dev "$interface"
		ip addr add "$ip/$mask" dev "$interface"
		echo "$ip $router $mtu" >"$ANSWER"
	EOF
	chmod +x "$TMP/bound"
	ANSWER=$TMP/lease timeout 30 ip netns exec "$P-pod2" busybox udhcpc -f -q -n -t 10 -T 1 -i vx0 -O mtu -s "$TMP/bound" "$@" \
		>"$TMP/udhcpc" 2>&1 || { cat "$TMP/udhcpc" && return 1; }
	cat "$TMP/lease"
}
leased() { [[ $(lease) =~ ^172\.16\.0\.(2[0-9]|[3-9][0-9]|1[0-9][0-9]|2[0-4][0-9]|25[0-4])\ 172\.16\.0\.1\ 1400$ ]]; }

stream() { # a connection of pod1's with the world that goes on and on; its process is $STREAM
	rm -f "$TMP/stream"
	bg world socat -u TCP4-LISTEN:5002,reuseaddr "OPEN:$TMP/stream,creat,trunc"
	poll 5 listening world t 5002
	bg pod1 socat -u SYSTEM:'while sleep 0.02 && echo on and on; do continue; done 2>/dev/null' TCP4:$OUT:5002
	STREAM=$!
	check "a connection is under way" poll 5 test -s "$TMP/stream"
}

start() { # start [NAME=VALUE...]
	rm -f "$TMP/log"
	EXEC='exec' gate "$@" >"$TMP/log" 2>&1 &
	PID=$!
	PIDS+=("$PID")
	poll 10 grep -q '^gateway: serving' "$TMP/log" || die "the gateway does not start: $(cat "$TMP/log")"
}

ended() { # ended STATUS: the gateway ends by itself, with this status, and leaves no process
	local status=0
	poll 10 not kill -0 "$PID" 2>/dev/null || { echo "it goes on" && return 1; }
	wait "$PID" || status=$?
	[ $status = "$1" ] || { echo "status $status" && return 1; }
	poll 5 quiet || { echo "left: $(ip netns pids "$P-gwa")" && return 1; }
}
quiet() { [ -z "$(ip netns pids "$P-gwa")" ]; }
forwards() { p ping -c1 -W1 172.16.0.1; }

# Whom the hub takes datagrams from; 198.51.100.1 is the node's, too, but is no network of pods or nodes.
allowance() {
	echo "-- $SH: who may be a client"
	start VPN_INTERFACE= VPN_BLOCK_OTHER_TRAFFIC=false VPN_LOCAL_CIDRS='192.168.0.0/16, fd00::/8' NODE_IP=172.31.5.6
	check "it says which networks those are" poll 5 grep -Fqx "gateway: clients may be in: $ALLOWED" "$TMP/log"
	check "pod1 is in one of them, that of the gateway's own address" poll 5 forwards
	pkt node inject --to 10.0.1.2 --source $OUT --src 02:00:00:00:00:c1 good:one good:two
	soon "who is in none of them is dropped, and counted" 2 barred
	same "and is no remote" false "$(known $OUT)"
	check "the log says who" poll 5 grep -q "datagrams dropped .* the last $OUT;" "$TMP/log"
	kill "$PID"
	check "it ends" ended 0
	start VPN_INTERFACE= VPN_BLOCK_OTHER_TRAFFIC=false VXLAN_ALLOW_CIDRS=$OUT/32
	check "what is set counts alone: pod1 is not served" not p ping -c2 -i0.2 -W1 172.16.0.1
	pkt node inject --to 10.0.1.2 --source $OUT --src 02:00:00:00:00:c1 good:three
	soon "and who is named is a remote" true known $OUT
	kill "$PID"
	check "it ends, too" ended 0
	start VPN_INTERFACE= VPN_BLOCK_OTHER_TRAFFIC=false VXLAN_ALLOW_CIDRS=
	check "with an empty setting anybody may" poll 5 grep -q '^gateway: clients may be in: any network' "$TMP/log"
	check "pod1 among them" poll 5 forwards
	kill "$PID"
	check "and that ends" ended 0
}
ALLOWED='10.0.1.2/16 172.31.5.6/16 192.168.0.0/16 fd00:1::2/48 fd00::/8'
own() { PODSWITCH_SOCKET=$TMP/gateway/control.sock ctl -j "$@"; }
barred() { own stats | jq .gateways.gateway.drops.unknown_remote; }
# shellcheck disable=SC2016 # the dollar is jq's
known() { own gateway list | jq --arg a "$1" 'any(.[0].remotes[]; .address == $a)'; }

suite() { # suite SHELL
	local child
	SH=$1
	watching
	echo "nameserver 10.0.1.1" >"$TMP/resolv.conf"
	rm -rf "$TMP/gateway"
	echo "-- $1: kill switch, no VPN yet"
	start VPN_INTERFACE_MTU=1400
	check "pod1 reaches the gateway" poll 5 forwards
	refused "it is not ready: the VPN's interface is missing" "tun0 is not up" gate ready
	check "pod1 does not reach the world" not p ping -c2 -i0.2 -W1 $OUT
	check "nor does the gateway itself" not a ping -c2 -i0.2 -W1 $OUT
	same "nothing has left" 0 "$(count node leaks)"
	check "it reaches the cluster's networks" a ping -c1 -W1 10.0.1.1
	a socat -u - "UDP4:$OUT:1194" <<<hello
	check "and the VPN's server" poll 3 more node server 0

	echo "-- $1: VPN"
	vpn up
	check "it is ready" gate ready
	same "pod1 is answered by the world, which sees the VPN's address" "WORLD 10.99.0.2" "$(ask pod1 $OUT:80)"
	check "the cluster's networks stay beside it" a ping -c1 -W1 10.1.2.2
	same "TCP is told what fits into the VPN" "0 yes" "$(count world large) $(more world clamped 0 && echo yes)"
	check "a port forward reaches pod1, which sees who asks" prints "POD 10.99.0.1" ask world 10.99.0.2:8080
	check "a port that is not forwarded is not" not ask world 10.99.0.2:8082
	server gwa 8090 SELF
	same "the gateway itself answers the cluster" "SELF 10.0.1.1" "$(ask node 10.0.1.2:8090)"
	check "but not the VPN" not ask world 10.99.0.2:8090
	quit $!
	check "pod2 has an address, a router and the MTU by DHCP" leased
	same "one that gives a name of nat.conf has that address" "172.16.0.12 172.16.0.1 1400" "$(lease -x hostname:named)"
	echo "nameserver 10.99.0.1" >"$TMP/resolv.conf" # as the VPN's client does
	soon "names of the world are asked by the VPN" 198.51.100.7 resolve pod1 web.example
	same "names of the cluster of the pod's own servers" 10.9.9.9 "$(resolve pod1 web.corp.test)"

	echo "-- $1: the VPN goes"
	stream
	vpn down
	check "pod1 does not reach the world any more" not p ping -c3 -i0.2 -W1 $OUT
	check "new connections end" not ask pod1 $OUT:80
	quit "$STREAM"
	same "nothing has left beside the VPN, of the old connection neither" 0 "$(count node leaks)"
	refused "it is not ready" "tun0 is not up" gate ready
	vpn up
	check "the VPN is back, and so is the world" poll 5 prints "WORLD 10.99.0.2" ask pod1 $OUT:80

	echo "-- $1: the end"
	kill "$(cat "$TMP/gateway/dnsmasq.pid")"
	check "when dnsmasq ends, all ends" ended 1
	check "and it is said" grep -q '^gateway: dnsmasq ended with status' "$TMP/log"
	vpn down
	check "what was not allowed still is not" not a ping -c1 -W1 $OUT
	start SNAT_IP=10.99.0.9 VXLAN_GATEWAY_FIRST_DYNAMIC_IP=30
	vpn up
	ip -n "$P-world" route replace 10.99.0.9 via 10.99.0.2
	check "it starts again, with other settings" poll 5 prints "WORLD 10.99.0.9" ask pod1 $OUT:80
	same "names of the cluster are asked of the servers from before the VPN" 10.9.9.9 "$(resolve pod1 web.corp.test)"
	stream
	ip -n "$P-gwa" route replace default via 10.0.1.1
	check "the VPN loses its route: pod1 does not reach the world" not p ping -c5 -i0.2 -W1 $OUT
	same "and its connection, whose address stays the same, does not leave beside the VPN" 0 "$(count node leaks)"
	quit "$STREAM"
	ip -n "$P-gwa" route replace default via 10.99.0.1
	child=$(cat "$TMP/gateway/podswitchd.pid")
	kill -9 "$child"
	check "when podswitchd is killed, all ends" ended 1
	check "and it is said, too" grep -q '^gateway: podswitchd ended with status 137' "$TMP/log"
	start VPN_LOCAL_CIDRS='10.0.0.0/8 203.0.113.0/24'
	check "one that starts when the VPN is there knows the way beside it" says 'via 10.0.1.1 dev eth0' \
		ip -n "$P-gwa" route get 203.0.113.1
	kill "$PID"
	check "it ends" ended 0
	vpn down
	same "nothing has left beside the VPN in all this" 0 "$(count node leaks)"

	echo "-- $1: without a VPN and a kill switch"
	start VPN_INTERFACE= VPN_BLOCK_OTHER_TRAFFIC=false
	check "it is ready" gate VPN_INTERFACE= VPN_BLOCK_OTHER_TRAFFIC=false ready
	check "pod1 is answered by who is beside the VPN" poll 5 prints "BESIDE 10.0.1.2" ask pod1 $OUT:80
	check "and that would have been seen" more node leaks 0
	kill "$PID"
	check "SIGTERM ends it with status 0" ended 0
	allowance
}

build gwa pod1 pod2
space world
for name in world node; do
	ip -n "$P-$name" addr add $OUT/32 dev lo
	ip -n "$P-$name" addr add 198.51.100.53/32 dev lo
done
printf 'web 11 tcp:8080,udp:8081 # pod1\n# named ones that ask by DHCP\nnamed 12 tcp:9000\n' >"$TMP/nat.conf"
settings

daemon -w 1
FDS=$(descriptors)
server world 80 WORLD
server node 80 BESIDE
server pod1 8080 POD
server pod1 8082 CLOSED
bg node dnsmasq -k -C /dev/null --pid-file= --user=root --port=53 --address=/web.corp.test/10.9.9.9
bg world dnsmasq -k -C /dev/null --pid-file= --user=root --port=53 --address=/web.example/198.51.100.7
gateway a 1 --underlay host # auto would go by how soon the gateway answers, and it is away more than once
port 1 a --route 198.51.100.0/24,172.16.0.1 --route 10.99.0.0/24,172.16.0.1
ctl port add pod2 --gateway a --netns "$P-pod2"
suite dash
suite 'busybox sh'
finish
