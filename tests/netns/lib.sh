#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# lib.sh - the topology, the helpers of one word and the checks that every scenario uses
#
#        pod1, pod2                            node                              gwa, gwb
#   .----------------------.       .------------------------------.      .-------------------------.
#   | vx0  172.16.0.11/24  |       |          podswitchd          |      | vxlan0  172.16.0.1/24   |
#   |      fd42::11/64   ~~~~~~~~~~~~~~ TAP ~~'   '~~ UDP 4789    |      |         fd42::1/64      |
#   |                      |       |                              |      |                         |
#   | eth0 10.1.1.2/24   ----veth----- pod1           gwa --------veth------ eth0 10.0.1.2/24      |
#   |      fd01:1::2/64    |       | 10.1.1.1         10.0.1.1    |      |      fd00:1::2/64       |
#   '----------------------'       | fd01:1::1        fd00:1::1   |      '-------------------------'
#                                  '------------------------------'
#   pod2: 172.16.0.12, 10.1.2.2, fd01:2::2        gwb: 10.0.2.2, fd00:2::2, and once more 172.16.0.1
#
# The node routes between its veths. With the host underlay the datagrams leave from the node's address, with the pod
# underlay from the pod's eth0. Nothing is made in the namespace this is called from.
#
# A scenario sources this file, calls `build`, `daemon` and checks, and ends with `finish`, which checks that all that
# was made is gone. Waits and checks are those of checks.sh; a capture is a tool of pkt.py that `bgpkt` starts. IO=epoll
# in the environment is handed to podswitchd as --io, UNDERLAY_TAP=on as --underlay-tap.
set -eu -o pipefail
export LC_ALL=C

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
BUILD=$(realpath -m "${BUILD:-$HERE/../../build}")
PYTHON=/usr/bin/python3
SCENARIO=$(basename "$0" .sh)${IO:+ ($IO)}
. "$HERE/../checks.sh"

[ "$(id -u)" = 0 ] || die "network namespaces need root: run this with sudo"
[ -x "$BUILD/podswitchd" ] || die "no podswitchd in $BUILD: run make first"
[ -x "$BUILD/podswitchctl" ] || die "no podswitchctl in $BUILD: run make first"

P=podswitch$$ # every name that is visible outside begins with it
TMP=$(mktemp -d "/tmp/$P.XXXXXX")
LOG=$TMP/podswitchd.log
PODSWITCH_SOCKET=$TMP/control.sock
export PODSWITCH_SOCKET
MADE=() # namespaces
PIDS=() # background processes
declare -A TOOLS=() # those of them that must run until they are told to end, and their output
DAEMON=             # process id of the node's podswitchd
UNDER=()            # what runs it: a command that ends in the execution of its arguments
REMOVED='' FINISHED='' ALONE=''
[ -n "${TALLY:-}" ] || { ALONE=yes && TALLY=$(mktemp "/tmp/$P.XXXXXX"); } # else it is run.sh's

# ---- running things -------------------------------------------------------------------------------------------------

ns() { ip netns exec "$P-$1" "${@:2}"; }
n() { ns node "$@"; }
a() { ns gwa "$@"; }
b() { ns gwb "$@"; }
p() { ns pod1 "$@"; }
q() { ns pod2 "$@"; }
ctl() {
	[ "${2:-}" != remove ] || REMOVED=yes # its counters are gone with it
	"$BUILD/podswitchctl" "$@"
}
pkt() { ns "$1" "$PYTHON" "$HERE/pkt.py" "${@:2}"; }

pp() { # print it, then run it
	echo "$DIM\$ $*$OFF"
	"$@"
}

bg() { # bg NAMESPACE COMMAND...: in the background; its process id is $!
	ip netns exec "$P-$1" "${@:2}" &
	PIDS+=($!)
}

# A capture is only as good as its life: one that could not start, or died before its time, ends the scenario, lest
# "nothing was seen" be taken for "nothing was there".
bgpkt() { # bgpkt NAMESPACE OUTPUT ARGUMENTS...: a tool of pkt.py in the background, once it says that it is ready
	local output=$2
	rm -f "$output" # what an earlier one said must not count
	ip netns exec "$P-$1" "$PYTHON" "$HERE/pkt.py" "${@:3}" >"$output" 2>&1 &
	PIDS+=($!)
	poll 10 begun $! "$output" >/dev/null || true
	grep -q '^ready' "$output" || die "pkt.py ${*:3} did not start: $(cat "$output")"
	TOOLS[$!]=$output
}

begun() { ! kill -0 "$1" || grep -q '^ready' "$2"; } # begun PID OUTPUT: or it has ended

quit() { # quit PID: ends a process that bg or bgpkt started, and waits for it
	local status=0 output=${TOOLS[$1]:-}
	end "$1"
	wait "$1" 2>/dev/null || status=$?
	[ -z "$output" ] || [ $status = 143 ] || die "pkt.py ended before it was told to, status $status: $(tail -n 3 "$output")"
	unset "TOOLS[$1]"
}

dissect() { # dissect FILE FILTER: the packets of a capture that match, a line each; `dissected` of them
	tshark -r "$1" -o ip.check_checksum:TRUE -o udp.check_checksum:TRUE -o tcp.check_checksum:TRUE -Y "$2" \
		>"$TMP/dissected" 2>"$TMP/tshark" || die "tshark does not read $1: $(cat "$TMP/tshark")"
}
dissected() { wc -l <"$TMP/dissected"; }

# Debian's user-mode-linux has nf_tables without any family of addresses.
filtering() { ip netns exec "$P-node" unshare --net nft add table inet t 2>/dev/null; }
# shellcheck disable=SC2034 # it is the scenarios'
UNFILTERED="this kernel's nf_tables has no IPv4 (NF_TABLES_INET, NF_TABLES_IPV4)"

linux() { # linux VERSION: this kernel is no older
	[ "$(printf '%s\n' "$1" "$(uname -r)" | sort -V | head -n 1)" = "$1" ]
}

# ---- checks of a command line ---------------------------------------------------------------------------------------

refused() { # refused TEXT PATTERN COMMAND...: exit status 1, and the error, one line, matches the pattern
	local text=$1 pattern=$2 status=0 output
	shift 2
	output=$("$@" 2>&1 >/dev/null) || status=$?
	if [ $status = 1 ] && [ "$(printf '%s\n' "$output" | wc -l)" = 1 ] && printf '%s' "$output" | grep -Eiq -- "$pattern"; then
		pass "$text"
	else
		miss "$text" "\$ $*"$'\n'"wanted: exit 1 and one line with /$pattern/"$'\n'"got:    exit $status: $output"
	fi
}

# ---- namespaces -----------------------------------------------------------------------------------------------------

space() { # space NAME: a network namespace without chatter of its own
	ip netns add "$P-$1"
	MADE+=("$P-$1")
	ip -n "$P-$1" link set lo up
	ns "$1" sysctl -qw net.ipv6.conf.default.accept_dad=0 net.ipv6.conf.default.router_solicitations=0 \
		net.ipv6.conf.default.accept_ra=0 net.ipv4.icmp_echo_ignore_broadcasts=0 net.ipv4.icmp_ratelimit=0
}

wire() { # wire NAME KIND NUMBER MTU: a veth between the node and NAME
	ip link add "$1" mtu "$4" netns "$P-node" type veth peer name eth0 mtu "$4" netns "$P-$1"
	ip -n "$P-node" addr add "10.$2.$3.1/24" dev "$1"
	ip -n "$P-node" addr add "fd0$2:$3::1/64" dev "$1" nodad
	ip -n "$P-node" link set "$1" up
	ip -n "$P-$1" addr add "10.$2.$3.2/24" dev eth0
	ip -n "$P-$1" addr add "fd0$2:$3::2/64" dev eth0 nodad
	ip -n "$P-$1" link set eth0 up
	ip -n "$P-$1" route add default via "10.$2.$3.1"
	ip -n "$P-$1" route add default via "fd0$2:$3::1"
}

build() { # build [NAME...]: the node, and of gwa gwb pod1 pod2 those named (all); MTU of the veths from UMTU
	local name
	space node
	n sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
	[ $# -gt 0 ] || set -- gwa gwb pod1 pod2
	for name; do
		space "$name"
		case $name in
		gwa) wire gwa 0 1 "${UMTU:-1500}" ;;
		gwb) wire gwb 0 2 "${UMTU:-1500}" ;;
		pod1) wire pod1 1 1 "${PMTU:-1500}" ;;
		pod2) wire pod2 1 2 "${PMTU:-1500}" ;;
		esac
	done
}

offloads() { # offloads on|off: of both ends of every veth
	local name end
	for name in gwa gwb pod1 pod2; do
		for end in "node $name" "$name eth0"; do
			# shellcheck disable=SC2086 # two words
			set -- $end "$1"
			! ip -n "$P-$1" link show "$2" >/dev/null 2>&1 ||
				ns "$1" ethtool -K "$2" tx "$3" tso "$3" gso "$3" gro "$3" >/dev/null 2>&1 || die "ethtool -K $2 failed"
			set -- "$3"
		done
	done
}

far() { # far NAME [OPTIONS OF IP LINK...]: a kernel vxlan device as the gateway's end, answering as 172.16.0.1
	local mtu=1450 where=()
	[ "${FAMILY:-4}" = 4 ] || { mtu=1430 && where=(local "$(ip -n "$P-$1" -j -6 addr show eth0 scope global |
		jq -r '.[0].addr_info[0].local')"); }
	ip -n "$P-$1" link del vxlan0 2>/dev/null || true
	ip -n "$P-$1" link add vxlan0 mtu $mtu type vxlan id 42 dstport 4789 "${where[@]}" "${@:2}"
	ip -n "$P-$1" addr add 172.16.0.1/24 brd + dev vxlan0
	ip -n "$P-$1" addr add fd42::1/64 dev vxlan0 nodad
	ip -n "$P-$1" link set vxlan0 up
}

mac() { # mac NAMESPACE DEVICE
	ip -n "$P-$1" -j link show "$2" | jq -r '.[0].address'
}

# ---- podswitchd -----------------------------------------------------------------------------------------------------

daemon() { # daemon [OPTIONS...]: podswitchd in the node's namespace, answering
	ip netns exec "$P-node" "${UNDER[@]}" "$BUILD/podswitchd" -s "$PODSWITCH_SOCKET" --state-dir "$TMP/state" \
		${IO:+--io "$IO"} ${UNDERLAY_TAP:+--underlay-tap "$UNDERLAY_TAP"} "$@" >>"$LOG" 2>&1 &
	DAEMON=$! REMOVED=
	PIDS+=("$DAEMON")
	poll 10 answers || die "podswitchd does not answer: $(tail -5 "$LOG")"
}
answers() { alive && ctl -j status >/dev/null 2>&1; }
alive() { ours "$DAEMON" && [ "$(ps -o stat= -p "$DAEMON" 2>/dev/null | cut -c1)" != Z ]; }

stop() { # SIGTERM; podswitchd ends by itself with status 0
	local status=0
	end "$DAEMON"
	poll 10 not alive || kill -9 "$DAEMON"
	wait "$DAEMON" 2>/dev/null || status=$?
	return $status
}

crash() { # SIGKILL
	kill -9 "$DAEMON"
	wait "$DAEMON" 2>/dev/null || true
}

successor() { # successor [OPTIONS...]: one that takes over; `old` is who had it before
	old=$DAEMON
	ip netns exec "$P-node" "$BUILD/podswitchd" -s "$PODSWITCH_SOCKET" --state-dir "$TMP/state" --takeover \
		${IO:+--io "$IO"} "$@" >>"$LOG" 2>&1 &
	DAEMON=$!
	PIDS+=("$DAEMON")
}
serves() { [ "$(ctl -j status 2>/dev/null | jq .pid)" = "$1" ]; }
over() { ! kill -0 "$1" 2>/dev/null || [ "$(ps -o stat= -p "$1" | cut -c1)" = Z ]; }
pass_on() { # pass_on [OPTIONS...]: and the old one ends with status 0
	local status=0
	successor "$@"
	poll 10 serves "$DAEMON" || { tail -n 5 "$LOG" && return 1; }
	poll 10 over "$old" || { echo "the old one still runs" && return 1; }
	wait "$old" || status=$?
	return $status
}

gateway() { # gateway NAME NUMBER [OPTIONS...]: whose end is gwa (1) or gwb (2), of the family that FAMILY says
	ctl gateway add "$1" --vni 42 --remote "$(underlay "$2")" "${@:3}"
}
underlay() { if [ "${FAMILY:-4}" = 6 ]; then echo "fd00:$1::2"; else echo "10.0.$1.2"; fi; }

port() { # port NUMBER GATEWAY [OPTIONS...]: pod1 or pod2, with its addresses
	ctl port add "pod$1" --gateway "$2" --netns "$P-pod$1" --address "172.16.0.1$1/24" --address "fd42::1$1/64" "${@:3}"
}

ports() { ctl -j port list | jq -r "$@"; }
gateways() { ctl -j gateway list | jq -r "$@"; }
fdb() { ctl -j fdb list | jq -r "$@"; }
stats() { ctl -j stats | jq -r "$@"; }
every_drop() { ctl -j stats | jq -cS '.drops | with_entries(select(.value > 0))'; }
# Those that podswitchd decided on: what a queue of the kernel's loses depends on how busy this machine is.
drops() { every_drop | jq -cS 'del(.tap_overrun, .socket_overrun)'; }

grown() { # grown BEFORE [every_drop]: by how much each drop counter grew since
	jq -ncS --argjson was "$1" --argjson is "$("${2:-drops}")" \
		'[$is | to_entries[] | .value -= ($was[.key] // 0) | select(.value != 0)] | from_entries'
}

# shellcheck disable=SC2016 # the dollars are jq's
counters() { # counters PORT: rx and tx as port.list has them; the kernel's view of the same TAP is `kernel_counters`
	ports --arg p "$1" '.[] | select(.name == $p).counters | "\(.rx_frames) \(.rx_bytes) \(.tx_frames) \(.tx_bytes)"'
}
kernel_counters() { # what the pod sends is the TAP's TX and our rx
	ip -n "$P-$1" -s -j link show "${2:-vx0}" |
		jq -r '.[0].stats64 | "\(.tx.packets) \(.tx.bytes) \(.rx.packets) \(.rx.bytes)"'
}
counters_equal() {
	local ours kernels
	ours=$(counters "$1")
	kernels=$(kernel_counters "$1" "${2:-vx0}")
	[ "$ours" = "$kernels" ] || { echo "port.list: $ours, ip -s link: $kernels" && return 1; }
}

# Once no connection is left whose other end is gone, which takes podswitchd more than a moment on a busy machine, and
# they stay the same for a moment.
descriptors() {
	local now='' before=none
	poll 10 not half_closed >&2 || true
	until [ "$now" = "$before" ]; do
		before=$now
		sleep 0.2
		now=$(find "/proc/$DAEMON/fd" -mindepth 1 2>/dev/null | wc -l)
	done
	echo "$now"
}

half_closed() { ss -Hx src "$PODSWITCH_SOCKET*" | grep ' \* 0 *$'; }

# ---- traffic --------------------------------------------------------------------------------------------------------

listening() { [ -n "$(ns "$1" ss -Hln"$2" "sport = :$3")" ]; }

transfer() { # transfer FROM TO ADDRESS FILE [SECONDS]: over TCP, compared by hash
	local got=$TMP/got pid
	rm -f "$got"
	ip netns exec "$P-$2" socat -u "TCP$(family "$3")-LISTEN:5001,reuseaddr" "OPEN:$got,creat,trunc" &
	pid=$!
	PIDS+=("$pid")
	poll 5 listening "$2" t 5001 || return 1
	ns "$1" timeout $((${5:-20} * SLOW)) socat -u "OPEN:$4" "TCP:$(bracket "$3"):5001" || { quit $pid && return 1; }
	poll 10 not kill -0 $pid 2>/dev/null || { quit $pid && return 1; }
	[ "$(sha256sum <"$got")" = "$(sha256sum <"$4")" ]
}
family() { case $1 in *:*) echo 6 ;; *) echo 4 ;; esac; }
bracket() { case $1 in *:*) echo "[$1]" ;; *) echo "$1" ;; esac; }

# What pkt.py's `tally` has said in tally-NAME of what `pace` has sent, which wrote pace-NAME. It says so after two seconds
# without any, which may be in between on a busy machine; and begins to count anew.
arrivals() { # arrivals NAME
	awk '/^got/ { got += $2; late += $3 } END { printf "got %d, %d late\n", got, late }' "$TMP/tally-$1"
}
all_arrived() { [ "$TMP/tally-$1" -nt "$TMP/pace-$1" ]; } # all_arrived NAME
queue_full() { p ip -s -j link show vx0 | jq '.[0].stats64.tx.dropped'; } # frames of pod1 that found its TAP's queue full

random_file() { # random_file MEBIBYTES: its path
	local file=$TMP/random.$1
	[ -e "$file" ] || head -c "$1M" /dev/urandom >"$file"
	echo "$file"
}

# ---- the end --------------------------------------------------------------------------------------------------------

finish() { # the last call of a scenario: captures have lived, the drops add up, and what was made is gone
	local name pid left
	for pid in "${!TOOLS[@]}"; do quit "$pid"; done
	if [ -n "$DAEMON" ] && answers; then
		check "drops of ports and gateways are all in stats.get's" drops_add_up
		for name in $(ports '.[].name'); do ctl port remove "$name" || miss "port remove $name"; done
		for name in $(gateways '.[].name'); do ctl gateway remove "$name" || miss "gateway remove $name"; done
		same "no port, gateway or table entry is left" "[] [] []" \
			"$(ports -c .) $(gateways -c .) $(fdb -c .)"
		[ -z "${FDS:-}" ] || soon "descriptors are back to what they were" "$FDS" descriptors
		check "SIGTERM ends podswitchd with status 0" stop
		same "no control socket is left" "" "$(find "$PODSWITCH_SOCKET" 2>/dev/null || true)"
	elif [ -n "$DAEMON" ]; then
		miss "podswitchd lives" "$(tail -20 "$LOG")"
	fi
	same "no sanitizer has complained" "" "$(grep -aE '(ERROR|WARNING): .*Sanitizer|runtime error:' "$LOG" 2>/dev/null || true)"
	FINISHED=yes
	cleanup
	left=$(ip netns list | grep "^$P-" || true)
	for pid in "${PIDS[@]}"; do ! ours "$pid" || left+=" process $pid"; done
	[ ! -e "$TMP" ] || left+=" $TMP"
	same "no namespace, process or file is left" "" "$left"
	[ "$(tally failed "$SCENARIO")" = 0 ]
}

# Every drop of a port or gateway is one of the switch's; and the other way round, while nothing was removed, but for
# those that belong to no gateway.
drops_add_up() {
	local parts whole anyone='["unknown_remote", "unknown_vni", "short_header", "bad_flags", "probe", "reserved_bits", "truncated", "socket_overrun"]'
	parts=$({ ctl -j port list | jq -c '.[].counters.drops' && ctl -j stats | jq -c '.gateways[].drops'; } |
		jq -cS -n 'reduce (inputs | to_entries[]) as $d ({}; .[$d.key] += $d.value) | with_entries(select(.value > 0))')
	whole=$(every_drop)
	# shellcheck disable=SC2016 # the dollars are jq's
	[ "$(jq -n --argjson p "$parts" --argjson w "$whole" --argjson anyone "$anyone" --arg removed "${REMOVED:-}" '
		[$p | to_entries[] | select(.value > ($w[.key] // 0))] == [] and ($removed != "" or
		[$w | to_entries[] | select(.value > ($p[.key] // 0)) | .key] - $anyone == [])')" = true ] ||
		{ echo "parts $parts, whole $whole" && return 1; }
}

inhabitants() { # processes in our namespaces
	local name
	for name in "${MADE[@]}"; do ip netns pids "$name" 2>/dev/null || true; done
}
idle() { [ -z "$(inhabitants)" ]; }

cleanup() { # only what this scenario made
	local name pid
	trap '' INT TERM PIPE
	end "${PIDS[@]}"
	poll 2 idle >/dev/null 2>&1 || for pid in $(inhabitants); do kill -9 "$pid" 2>/dev/null || true; done
	for pid in "${PIDS[@]}"; do wait "$pid" 2>/dev/null || true; done 2>/dev/null
	for name in "${MADE[@]}"; do ip netns del "$name" 2>/dev/null || true; done
	[ -z "${KEEP:-}" ] || cp "$LOG" "$KEEP" 2>/dev/null || true
	rm -rf "$TMP"
}

report() {
	local failed
	trap '' PIPE
	[ -n "$FINISHED" ] || {
		miss "$SCENARIO came to its end" "$(tail -5 "$LOG" 2>/dev/null || true)" || true
		cleanup
	}
	failed=$(tally failed "$SCENARIO")
	[ -z "$ALONE" ] || {
		echo "$(tally passed) passed, $failed failed"
		rm -f "$TALLY"
	}
	[ "$failed" = 0 ] || exit 1
}

on_exit report
echo "== $SCENARIO"
