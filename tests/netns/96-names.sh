#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# 96-names.sh - names are asked of the gateway, whatever resolver the pod's resolv.conf names
#
#   pod1  eth0 10.1.1.2 ---- node 10.1.1.1     "the cluster's DNS": who.test is 192.0.2.99; it stays on eth0
#         vx0  172.16.0.11 ~~ gwa 172.16.0.1   the gateway's:       who.test is 192.0.2.1
#                          ~~ gwb 172.16.0.1                        who.test is 192.0.2.2
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

build
far gwa
far gwb
daemon -w 1
FDS=$(descriptors)

resolver() { # resolver NAMESPACE ANSWER [OPTIONS...]: logs who asks
	ip netns exec "$P-$1" dnsmasq --keep-in-foreground --conf-file=/dev/null --no-hosts --no-resolv --user=root --pid-file= \
		--bind-interfaces --address="/who.test/$2" "${@:3}" --log-queries --log-facility=- >"$TMP/dns-$1" 2>&1 &
	PIDS+=($!)
	poll 5 grep -q started "$TMP/dns-$1" || die "dnsmasq does not start: $(cat "$TMP/dns-$1")"
}
ask() { # ask SERVER [udp|tcp [DEVICE]]: the address that it gives for who.test, to a socket bound to the device
	p "$PYTHON" - "$1" "${2:-udp}" "${3:-}" <<'PYTHON'
import socket, struct, sys
server, how, device = sys.argv[1:]
question = struct.pack(">6H", 7, 0x100, 1, 0, 0, 0) + b"\3who\4test\0" + struct.pack(">2H", 1, 1)
family = socket.AF_INET6 if ":" in server else socket.AF_INET
with socket.socket(family, socket.SOCK_STREAM if how == "tcp" else socket.SOCK_DGRAM) as s:
    s.settimeout(1.5)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, device.encode())
    s.connect((server, 53))
    s.sendall((struct.pack(">H", len(question)) if how == "tcp" else b"") + question)
    answer = s.recv(600)
    print(socket.inet_ntoa(answer[-4:]))
PYTHON
}
asked() { grep -c 'query.*who.test' "$TMP/dns-$1" || true; }

resolver node 192.0.2.99 --listen-address=10.1.1.1,fd01:1::1
resolver gwa 192.0.2.1 --interface=vxlan0
resolver gwb 192.0.2.2 --interface=vxlan0
gateway a 1 --underlay host
gateway b 2 --underlay host
plug() { port 1 a --exclusive on --keep 10.1.1.1/32 --keep fd01:1::1/128 --default-via 172.16.0.1 "$@"; }

echo "-- as without it"
plug
same "the cluster's resolver answers" 192.0.2.99 "$(ask 10.1.1.1)"
same "also by IPv6" 192.0.2.99 "$(ask fd01:1::1)"
ctl port remove pod1

echo "-- dns gateway"
before=$(asked node)
plug --dns gateway
same "the gateway's resolver answers" 192.0.2.1 "$(ask 10.1.1.1)"
same "also over TCP" 192.0.2.1 "$(ask 10.1.1.1 tcp)"
same "also where the pod asks it itself" 192.0.2.1 "$(ask 172.16.0.1)"
same "also for a resolver outside" 192.0.2.1 "$(ask 192.0.2.53)"
check "it is asked from the pod's address in the gateway's network" grep -q 'query.*who.test from 172.16.0.11' "$TMP/dns-gwa"
check "nobody answers by IPv6" not ask fd01:1::1
check "nor by the first interface, to a socket that is bound to it" not ask 10.1.1.1 udp eth0
check "nor over TCP" not ask 10.1.1.1 tcp eth0
same "the cluster's resolver was never asked" "$before" "$(asked node)"
same "it is what port show says" gateway "$(ctl -j port show pod1 | jq -r .config.dns)"
check "what else goes to that address, goes there" p ping -c1 -W1 10.1.1.1
ip netns exec "$P-pod1" dnsmasq --keep-in-foreground --conf-file=/dev/null --no-hosts --no-resolv --user=root --pid-file= \
	--bind-interfaces --listen-address=127.0.0.1 --address=/who.test/192.0.2.77 >"$TMP/dns-pod1" 2>&1 &
PIDS+=($!)
soon "a resolver of the pod's own is left alone" 192.0.2.77 ask 127.0.0.1

echo "-- another gateway, and a change while it runs"
ctl port set pod1 --gateway b
soon "its resolver answers" 192.0.2.2 ask 10.1.1.1
ctl port set pod1 --dns cluster
soon "the cluster's again" 192.0.2.99 ask 10.1.1.1
ctl port set pod1 --dns gateway
soon "the gateway's again" 192.0.2.2 ask 10.1.1.1

echo "-- podswitchd starts again; somebody deletes the rules"
before=$(asked node)
stop
check "while it is away, nobody answers" not ask 10.1.1.1
daemon -w 1
soon "the gateway's answers" 192.0.2.2 ask 10.1.1.1
same "the cluster's resolver was never asked" "$before" "$(asked node)"
p nft flush ruleset
poll 40 says '^192\.0\.2\.2$' ask 10.1.1.1 || true
same "they are put back" 192.0.2.2 "$(ask 10.1.1.1)"
ctl port remove pod1

echo "-- by DHCP: nobody is asked before the gateway is known"
before=$(asked node)
ctl port add pod1 --gateway a --netns "$P-pod1" --dhcp --probe 1 --exclusive on --keep 10.1.1.1/32 --dns gateway
check "nobody is asked" not ask 10.1.1.1
same "the cluster's resolver neither" "$before" "$(asked node)"
ip netns exec "$P-gwa" dnsmasq --keep-in-foreground --conf-file=/dev/null --port=0 --user=root --no-ping --pid-file= \
	--interface=vxlan0 --bind-interfaces --dhcp-range=172.16.0.20,172.16.0.60,12h --dhcp-leasefile="$TMP/leases" >/dev/null 2>&1 &
PIDS+=($!)
poll 20 says '^192\.0\.2\.1$' ask 10.1.1.1 || true
same "with the lease, the gateway's resolver answers" 192.0.2.1 "$(ask 10.1.1.1)"
ctl port remove pod1

echo "-- what is refused"
refused "without exclusive" 'exclusive' port 2 a --dns gateway
refused "another word" "cluster.*gateway|neither|write" port 2 a --exclusive on --dns house

finish
