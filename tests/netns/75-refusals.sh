#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# 75-refusals.sh - ports that are taken, and commands that cannot be: an error that names the fault, nothing half made
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

build gwa pod1 pod2
far gwa
daemon -w 1 --underlay-tap off # whose descriptors would come when they like
FDS=$(descriptors)
# shellcheck disable=SC2016 # the dollar is jq's
placed() { ports --arg p "$1" '.[] | select(.name == $p).underlay'; }
# shellcheck disable=SC2016
sockets() { # UDP ports of podswitchd in a namespace, but for the sending ones
	ns "$1" ss -Hlun | awk '{ sub(".*:", "", $4); if ($4 < 49152) print $4 }' | sort -u | xargs
}

echo "-- which namespace has the sockets"
gateway a 1
port 1 a
same "auto on a free port: the node" host "$(placed pod1)"
same "it listens there" 4789 "$(sockets node)"
same "and not in the pod" "" "$(sockets pod1)"
ctl port remove pod1
ctl gateway remove a
n ip link add flannel.1 type vxlan id 1 dev gwa dstport 4789 local 10.0.1.1 nolearning
gateway a 1
port 1 a
same "auto beside a kernel vxlan device on that port, which is down: the pod" pod "$(placed pod1)"
check "and it works" p ping -c1 -W3 172.16.0.1
check "the device comes up" n ip link set flannel.1 up
refused "host on the taken port is refused" "4789.*flannel.1|flannel.1.*4789" gateway h 2 --underlay host
same "and not there" a "$(gateways '.[].name')"
ctl port remove pod1
ctl gateway remove a
n ip link del flannel.1
bg node socat -u UDP-RECV:4789 OPEN:/dev/null
busy=$!
poll 5 listening node u 4789 || die "nothing took the port"
gateway a 1
port 1 a
same "auto beside another program on that port: the pod" pod "$(placed pod1)"
check "and it works" p ping -c1 -W3 172.16.0.1
refused "host on the taken port is refused" "4789" gateway h 2 --underlay host
ctl port remove pod1
ctl gateway remove a
quit $busy
gateway a 1 --port 8472
port 1 a
same "auto on 8472, which is flannel's: the pod" pod "$(placed pod1)"
same "the node's stays free" "" "$(sockets node)"
n ip link add flannel.1 type vxlan id 1 dev gwa dstport 8472 local 10.0.1.1 nolearning
check "flannel's device comes up later" n ip link set flannel.1 up
n ip link del flannel.1
ctl port remove pod1
ctl gateway remove a

echo "-- wrong input"
unmade() { # unmade WHAT: neither TAP nor port
	same "$1: no port" "[]" "$(ports -c .)"
	check "$1: no TAP" not p ip link show vx0
	same "$1: no descriptor" "$FDS1" "$(descriptors)"
}
gateway a 1
port 1 a
ctl port remove pod1
ctl gateway remove a # one that was sent something, and has not answered, has a descriptor to ask why
gateway a 1
FDS1=$(descriptors)
p ip link add vx0 type bridge
refused "an interface name that is taken" "vx0" port 1 a
same "no port" "[]" "$(ports -c .)"
check "the interface is left alone" says bridge p ip -d link show vx0
p ip link del vx0
refused "a namespace that is not there" "netns.*nowhere" ctl port add pod1 --gateway a --netns nowhere --address 172.16.0.11/24
unmade "missing namespace"
refused "a path that is no namespace" "netns" ctl port add pod1 --gateway a --netns /etc/passwd
unmade "no namespace"
refused "a process that is not there" "netns" ctl port add pod1 --gateway a --netns 4194304
refused "a malformed address" "address.*172.16.0.999" port 1 a --address 172.16.0.999/24
unmade "malformed address"
refused "a malformed prefix" "address" port 1 a --address 172.16.0.11/33
refused "a malformed MAC" "mac" port 1 a --mac 02:00:00
refused "a MAC that is a group's" "mac" port 1 a --mac 03:00:00:00:00:01
refused "an interface name that is too long" "ifname" port 1 a --ifname abcdefghijklmnopqrstuvwxyz
refused "an MTU that cannot be" "mtu" port 1 a --mtu 10
refused "a gateway that is not there" "gateway.*nobody" port 1 nobody
unmade "no such gateway"
refused "a default route through no one" "default.via" port 1 a --default-via 192.0.2.1
unmade "default route"
refused "a route that is none" "route" port 1 a --route 10.0.0.0/99
unmade "route"
refused "a second default route" "default.via" port 1 a --default-via 172.16.0.1
unmade "second default route"
refused "a VNI that is too large" "vni" ctl gateway add x --vni 16777216 --remote 10.0.1.2
refused "a remote that is no address" "remote" ctl gateway add x --vni 42 --remote gateway.example
refused "a port that is too large" "port" ctl gateway add x --vni 42 --remote 10.0.1.2 --port 65536
refused "an underlay that is none" "underlay" ctl gateway add x --vni 42 --remote 10.0.1.2 --underlay sea
refused "a gateway that exists, with another VNI" "a" ctl gateway add a --vni 43 --remote 10.0.1.2
check "a gateway that exists, with the same settings" gateway a 1
port 1 a
check "a port that exists, with the same settings" port 1 a
refused "a port that exists, with others" "pod1" ctl port add pod1 --gateway a --netns "$P-pod1" --address 172.16.0.99/24
refused "another port of that gateway with its address" "pod1.*172.16.0.11" \
	ctl port add pod2 --gateway a --netns "$P-pod2" --address 172.16.0.11/16
refused "also by a change" "pod1.*172.16.0.11" eval 'port 2 a && ctl port set pod2 --address 172.16.0.11/24'
ctl port remove pod2
refused "removing a gateway that is used" "pod1|use|port" ctl gateway remove a
refused "removing a port that is not there" "nobody" ctl port remove nobody
check "after all that, the port works" p ping -c1 -W3 172.16.0.1
status=0
ctl >/dev/null 2>&1 || status=$?
same "no command at all: wrong usage" 2 $status
status=0
ctl port add --no-such-option >/dev/null 2>&1 || status=$?
same "an unknown option: wrong usage" 2 $status
refused "a socket where no one is" "nobody.sock" "$BUILD/podswitchctl" -s "$TMP/nobody.sock" status
status=0
timeout 5 "$BUILD/podswitchd" --no-such-option >/dev/null 2>&1 || status=$?
same "podswitchd, an unknown option: wrong usage" 2 $status
lacking() { # lacking COMMAND...: podswitchd, run by that
	n "$@" timeout 5 "$BUILD/podswitchd" -s "$TMP/lacking.sock" --state-dir "$TMP/lacking"
}
refused "podswitchd without /dev/net/tun" "modprobe tun" lacking unshare -m sh -c 'mount -t tmpfs none /dev/net && exec "$@"' sh
refused "podswitchd without CAP_NET_ADMIN" "CAP_NET_ADMIN.*capabilities.add" lacking setpriv --bounding-set=-net_admin
refused "podswitchd without CAP_SYS_ADMIN" "CAP_SYS_ADMIN.*namespaces" lacking setpriv --bounding-set=-sys_admin
check "no control socket is left of them" [ ! -e "$TMP/lacking.sock" ]
refused "a second podswitchd on the same socket" "control.sock" \
	n timeout 5 "$BUILD/podswitchd" -s "$PODSWITCH_SOCKET" --state-dir "$TMP/second"
check "the first still answers" answers
check "gateway remove --force" ctl gateway remove a --force
same "leaves its port detached" detached "$(ports '.[0].state')"
check "which sends nothing" not p ping -c1 -W1 172.16.0.1
gateway a 1
check "adding the port once more attaches it" port 1 a
check "and it works" p ping -c1 -W3 172.16.0.1

finish
