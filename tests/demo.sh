#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# demo.sh - two gateways with the same VNI and the same address, two pods, one switch; `make demo` builds and runs this
#
# Everything happens in network namespaces of its own, named demoPID-*; nothing is left behind, on Ctrl-C
# neither. PODSWITCH_DEMO_NO_KERNEL_VXLAN=1 shows what happens on a kernel without vxlan. BUILD is the folder of the
# programs.
set -eu -o pipefail
export LC_ALL=C

HERE=$(cd "$(dirname "$0")" && pwd)
BUILD=${BUILD:-$HERE/../build}
SCENARIO=demo
. "$HERE/checks.sh"
D=demo$$
TMP='' PIDS=() VERDICT=

cleanup() { # on every way out: end what we started, remove what we made
	local status=$? pid name
	trap '' INT TERM HUP PIPE
	trap - EXIT
	end "${PIDS[@]}"
	for pid in "${PIDS[@]}"; do wait "$pid" 2>/dev/null || true; done
	for name in node gwa gwb pod1 pod2; do ip netns del "$D-$name" 2>/dev/null || true; done
	[ -z "$VERDICT" ] || [ $status = 0 ] || {
		tail -n 3 "$TMP"/*.log 2>/dev/null || true
		echo "${RED}The demo stopped before its end (status $status); what it had made is removed.$OFF"
	} || true
	[ -z "$TMP" ] || rm -rf "$TMP"
	exit $status
}
on_exit cleanup

# ---- can it work here? ----------------------------------------------------------------------------------------------

[ "$(id -u)" = 0 ] || die "network namespaces and TAP devices need root: run sudo make demo"
for tool in ip curl python3; do
	command -v $tool >/dev/null || die "$tool is not installed: run make deps (Debian packages iproute2, curl, python3)"
done
BUILD=$(realpath -m "$BUILD")
for program in podswitchd podswitchctl; do
	[ -x "$BUILD/$program" ] || die "$program is not in $BUILD: run make first"
done
[ -c /dev/net/tun ] || die "/dev/net/tun is missing: load the tun module (modprobe tun), or give the container that device"
unshare -n true 2>/dev/null ||
	die "network namespaces are forbidden here: run the demo on the host, in a VM or in a privileged container"
ip netns add "$D-node" 2>/dev/null ||
	die "ip netns add is refused: it needs CAP_SYS_ADMIN and a writable /run/netns (a privileged container has both)"
TMP=$(mktemp -d "/tmp/podswitch-$D.XXXXXX")
VERDICT=wanted

KERNEL_VXLAN=yes
[ -z "${PODSWITCH_DEMO_NO_KERNEL_VXLAN:-}" ] || KERNEL_VXLAN=
[ -z "$KERNEL_VXLAN" ] || ip -n "$D-node" link add probe type vxlan id 1 dstport 4789 2>/dev/null || KERNEL_VXLAN=
ip -n "$D-node" link del probe 2>/dev/null || true

# ---- telling what we do ---------------------------------------------------------------------------------------------

say() { printf '\n%s%s%s\n' "$BOLD" "$*" "$OFF"; }
run() { # print it, then run it
	echo "$DIM\$ $*$OFF"
	"$@"
}
in_ns() { ip netns exec "$D-$1" "${@:2}"; }
podswitchctl() { "$BUILD/podswitchctl" -s "$TMP/node.sock" "$@"; }

until_works() { poll "$@" >/dev/null || die "gave up waiting for: ${*:2}"; } # until_works SECONDS COMMAND...

start() { # start NAMESPACE LOG COMMAND...: in the background, until cleanup
	ip netns exec "$D-$1" "${@:3}" >"$TMP/$2.log" 2>&1 &
	PIDS+=($!)
}

switch() { # switch NAMESPACE: a podswitchd there, with its own socket and state
	start "$1" "$1" "$BUILD/podswitchd" -s "$TMP/$1.sock" --state-dir "$TMP/$1.state"
	until_works 10 "$BUILD/podswitchctl" -s "$TMP/$1.sock" status
}

fetch() { # fetch POD: the page behind 172.16.0.1, as that pod sees it
	# The kernel gives an ARP request 3 s, whatever SLOW says.
	in_ns "$1" curl -sS --retry $((SLOW - 1)) --retry-delay 1 --retry-all-errors --max-time $((10 * SLOW)) http://172.16.0.1/
}
fetching() { echo "$DIM\$ ip netns exec $D-$1 curl http://172.16.0.1/${2:-}$OFF"; }

verdict() { # verdict WHO WANTED GOT
	[ "$2" = "$3" ] || { echo "${RED}$1 got \"$3\" and should have got \"$2\"$OFF" && exit 1; }
}

# ---- the picture ----------------------------------------------------------------------------------------------------

if [ -n "$KERNEL_VXLAN" ]; then END='vxlan0'; else END='vx0   '; fi
cat <<PICTURE

   pod1                        node                           gwa, "gateway A"
  +---------------+           +----------------+             +----------------------------+
  | vx0           |           |   podswitchd   |             | $END  172.16.0.1  VNI 42 |
  |  172.16.0.11 =|=== TAP ===|==.          .==|=== veth ====|= eth0    10.0.1.2          |
  +---------------+           |   \        /   |             +----------------------------+
                              |    >======<    |
   pod2                       |   /        \   |              gwb, "gateway B"
  +---------------+           |  |          |  |             +----------------------------+
  | vx0          =|=== TAP ===|=='          '==|=== veth ====|= eth0    10.0.2.2          |
  |  172.16.0.12  |           |                |             | $END  172.16.0.1  VNI 42 |
  +---------------+           +----------------+             +----------------------------+

Both gateways have VNI 42 and both are 172.16.0.1, which one kernel could not tell apart.
Each box is a network namespace (ip netns list: $D-pod1, ...). The pods have nothing but lo and the TAP
that podswitchd puts there.
PICTURE
[ -n "$KERNEL_VXLAN" ] ||
	echo "Without the kernel's vxlan (there is none, or you asked for this): the gateways' ends are podswitchd, too."

# ---- the gateways: ordinary VXLAN ends that know nothing of podswitch --------------------------------------------------

own() { # own COMMAND...: podswitchctl towards the podswitchd of the gateway being made
	echo "$DIM\$ podswitchctl -s $gw.sock $*$OFF"
	"$BUILD/podswitchctl" -s "$TMP/$gw.sock" "$@"
}

make_gateway() { # make_gateway LETTER NUMBER
	local gw=gw$1
	ip netns add "$D-$gw"
	ip -n "$D-$gw" link set lo up
	ip link add "$gw" netns "$D-node" type veth peer name eth0 netns "$D-$gw"
	ip -n "$D-node" addr add "10.0.$2.1/24" dev "$gw"
	ip -n "$D-node" link set "$gw" up
	ip -n "$D-$gw" addr add "10.0.$2.2/24" dev eth0
	ip -n "$D-$gw" link set eth0 up
	if [ -n "$KERNEL_VXLAN" ]; then
		run ip -n "$D-$gw" link add vxlan0 type vxlan id 42 dev eth0 dstport 4789
		run ip -n "$D-$gw" addr add 172.16.0.1/24 dev vxlan0
		run ip -n "$D-$gw" link set vxlan0 up
	else
		switch "$gw"
		echo "$DIM\$ podswitchd -s $gw.sock &$OFF"
		own gateway add own --vni 42
		own port add own --gateway own --netns "$D-$gw" --address 172.16.0.1/24
	fi
	mkdir "$TMP/page$1"
	echo "This is gateway ${1^^}." >"$TMP/page$1/index.html"
	start "$gw" "http$1" python3 -m http.server --bind 172.16.0.1 --directory "$TMP/page$1" 80
}

say "Two gateways, each serving a page with its own name"
make_gateway a 1
make_gateway b 2
for gw in gwa gwb; do until_works 10 in_ns $gw curl -sf --max-time "$SLOW" http://172.16.0.1/; done

# ---- the node and its pods ------------------------------------------------------------------------------------------

say "One switch on the node; which gateway a pod gets is one word"
ip -n "$D-node" link set lo up
for pod in pod1 pod2; do
	ip netns add "$D-$pod"
	ip -n "$D-$pod" link set lo up
done
echo "$DIM\$ podswitchd &$OFF"
switch node
run podswitchctl gateway add a --vni 42 --remote 10.0.1.2
run podswitchctl gateway add b --vni 42 --remote 10.0.2.2
run podswitchctl port add pod1 --gateway a --netns "$D-pod1" --address 172.16.0.11/24
run podswitchctl port add pod2 --gateway b --netns "$D-pod2" --address 172.16.0.12/24

say "Both pods fetch http://172.16.0.1/ at once"
fetching pod1 ' &'
fetch pod1 >"$TMP/one" &
ONE=$!
fetching pod2 ' &'
fetch pod2 >"$TMP/two" &
TWO=$!
PIDS+=("$ONE" "$TWO")
wait "$ONE" || die "pod1 got no page"
wait "$TWO" || die "pod2 got no page"
echo "pod1: $(cat "$TMP/one")"
echo "pod2: $(cat "$TMP/two")"
verdict pod1 "This is gateway A." "$(cat "$TMP/one")"
verdict pod2 "This is gateway B." "$(cat "$TMP/two")"

say "What the switch knows"
run podswitchctl gateway list
run podswitchctl port list
run podswitchctl fdb list

say "pod1 moves to gateway B while it is up"
run podswitchctl port set pod1 --gateway b
fetching pod1
page=$(fetch pod1)
echo "pod1: $page"
verdict pod1 "This is gateway B." "$page"
run podswitchctl port list

VERDICT=
printf '\n%s\n' "${GREEN}It works: the same address led pod1 to gateway A and pod2 to gateway B, and pod1 to B once it was moved.$OFF"
