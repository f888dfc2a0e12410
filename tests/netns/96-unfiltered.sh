#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# 96-unfiltered.sh - an exclusive port where the kernel has no nftables: closed but for multicast, and that is told
# shellcheck disable=SC2119 # daemon takes options, or none
. "$(dirname "$0")/lib.sh"

EPROTONOSUPPORT=93 NETLINK_NETFILTER=12
SOCKET=41
[ "$(uname -m)" = x86_64 ] || SOCKET=198

seen() { # seen ADDRESS...: which of them packets to leave by eth0
	bgpkt node "$TMP/seen" toward pod1 "$@"
	local capture=$!
	p "$PYTHON" "$HERE/ways.py" eth0 10.1.1.2 fd01:1::2 "$@" || die "ways.py failed"
	pkt pod1 frames eth0 good:end
	poll 5 grep -q '^good:end$' "$TMP/seen" || die "the capture does not see what leaves by eth0"
	quit $capture
	grep '^to ' "$TMP/seen" | sort -u | cut -d' ' -f2
}

build gwa pod1 pod2
far gwa
n ip addr add 198.51.100.1/32 dev lo
n ip addr add 2001:db8:51::1/128 dev lo
ip netns exec "$P-node" "$PYTHON" "$HERE/forbid.py" "$SOCKET:2=$NETLINK_NETFILTER" $EPROTONOSUPPORT "$BUILD/podswitchd" -s "$PODSWITCH_SOCKET" \
	--state-dir "$TMP/state" >>"$LOG" 2>&1 &
DAEMON=$!
PIDS+=("$DAEMON")
poll 10 answers || die "podswitchd does not answer: $(tail -5 "$LOG")"
gateway a 1

same "the capture sees ways out" $'198.51.100.1\n2001:db8:51::1' "$(seen 198.51.100.1 2001:db8:51::1)"
port 1 a --exclusive on --default-via 172.16.0.1
port 2 a --exclusive on --default-via 172.16.0.1
same "nothing leaves to the outside" "" "$(seen 198.51.100.1 2001:db8:51::1)"
same "multicast does" $'224.0.0.251\nff02::fb' "$(seen 224.0.0.251 ff02::fb)"
same "port show says so" "closed false" "$(ctl -j port show pod1 | jq -r '.way_out | "\(.state) \(.filtered)"')"
check "and why" says nftables eval 'ctl -j port show pod1 | jq -r .way_out.unfiltered'
same "so does the log, once" 1 "$(grep -c 'multicast and broadcast' "$LOG")"
refused "inbound" 'inbound: .*nftables' ctl port set pod1 --inbound on

finish
