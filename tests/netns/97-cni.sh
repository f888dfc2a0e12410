#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# 97-cni.sh - the CNI plugin with a real podswitchd: a pod's attachment made, looked at and taken back, whoever is away
#
# The runtime is this script, and the agent one without a cluster (agent.py).
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"
[ -x "$BUILD/podswitch-cni" ] || die "no podswitch-cni in $BUILD: run make first"

CNI=$BUILD/podswitch-cni
AGENT_LOG=$TMP/agent.log
TOMBS=$TMP/tombstones
PREV='{"cniVersion":"1.0.0","interfaces":[{"name":"eth0","sandbox":"/x"}],"ips":[{"address":"10.1.1.2/24","interface":0}]}'
ID=0123456789abcdef0123456789abcdef

agent() {
	"$PYTHON" "$HERE/agent.py" "$TMP/agent.sock" "$BUILD/podswitchctl" a >"$AGENT_LOG" 2>&1 &
	AGENT=$!
	PIDS+=("$AGENT")
	poll 5 [ -S "$TMP/agent.sock" ]
}
agent_away() { quit "$AGENT" && rm -f "$TMP/agent.sock"; }

cni() { # cni COMMAND POD [CONTAINER [KEYS [IFNAME]]]: KEYS begin with a comma
	local network
	# All of it before the plugin begins, which waits for it no longer than five seconds.
	network=$(jq -nc "{cniVersion: \"1.1.0\", name: \"pods\", type: \"podswitch-cni\", socket: \"$PODSWITCH_SOCKET\", timeout: ${TIMEOUT:-10}
		${4-, prevResult: $PREV}}")
	CNI_COMMAND=$1 CNI_CONTAINERID=${3:-$ID} CNI_NETNS=/run/netns/$P-${NETNS:-pod1} CNI_IFNAME=${5:-eth0} \
		CNI_ARGS="IgnoreUnknown=1;K8S_POD_NAMESPACE=t;K8S_POD_NAME=$2" "$CNI" <<<"$network"
}
code() { cni "$@" 2>/dev/null | jq -r '"\(.code) \(.msg)"'; }
names() { ports '[.[].name] | join(" ")'; }
taps() { ip -n "$P-${1:-pod1}" -br link show type tun | wc -l; }

build gwa pod1 pod2
far gwa
daemon -w 1
FDS=$(descriptors)
gateway a 1
agent

echo "== chained"
result=$(cni ADD web)
same "ADD returns what was there, and ours behind it" \
	"$(jq -c --arg mac "$(mac pod1 vx0)" --argjson mtu "$(ports '.[0].mtu')" \
		'.cniVersion = "1.1.0"
		| .interfaces += [{name: "vx0", mac: $mac, mtu: $mtu, sandbox: "/run/netns/'"$P-pod1"'"}]
		| .ips += [{interface: 1, address: "172.16.0.20/24", gateway: "172.16.0.1"}]' <<<"$PREV")" "$result"
same "the port has the pod's name" "t.web@0123456789ab" "$(names)"
check "the pod reaches its gateway" p ping -qc 1 -W 5 172.16.0.1
same "ADD again says the same" "$result" "$(cni ADD web)"
same "CHECK has nothing to say" "" "$(cni CHECK web "$ID" ", prevResult: $result" 2>&1)"
ctl port remove t.web@0123456789ab
same "CHECK says what is missing" "102 pod t/web: vx0 has been changed: no such port" \
	"$(code CHECK web "$ID" ", prevResult: $result")"
cni ADD web >/dev/null
same "STATUS has nothing to say" "" "$(cni STATUS - 2>&1)"
for time in first second; do
	same "DEL the $time time" "0 " "$(cni DEL web "$ID" ", prevResult: $result" 2>&1 && echo -n "$? ")$(names)"
	same "no TAP is left in the pod" 0 "$(taps)"
done
same "a pod without a gateway: the result as it was" "$PREV" "$(cni ADD none-web)"
same "refused for good" "100 media/vpn is not for this namespace" "$(code ADD refused-web)"
same "no address in time" "11 pod t/stuck-web has no connection to its gateway after $SLOW s: media/vpn gives no address" \
	"$(TIMEOUT=$SLOW code ADD stuck-web)"
same "what was begun was taken back" 1 "$(grep -c "attachment.remove stuck-web" "$AGENT_LOG")"

echo "== stopped by a signal"
cni ADD stuck-two >"$TMP/stopped" 2>/dev/null &
poll 5 grep -q "attachment.add stuck-two" "$AGENT_LOG" || true
pkill -TERM -P $! podswitch-cni
wait $! || true
same "it says so" 11 "$(jq .code "$TMP/stopped")"
same "and takes back what was begun" 1 "$(grep -c "attachment.remove stuck-two" "$AGENT_LOG")"

echo "== fifty at once, standalone"
NETNS=pod2
many() { # many COMMAND: how many failed, with how many addresses; and why
	local i pids=() failed=0
	for i in $(seq 50); do
		cni "$1" "many-$i" "c0ffee$i" "" "net$i" >"$TMP/many.$i" 2>&1 &
		pids+=($!)
	done
	for i in "${pids[@]}"; do wait "$i" || failed=$((failed + 1)); done
	echo "$failed failed, $(jq -s '[.[].ips[]?] | length' "$TMP"/many.* 2>/dev/null) addresses"
	grep -h '^podswitch-cni: ' "$TMP"/many.* | sort | uniq -c | sort -rn | head -n 3 || true
}
# A DEL that nobody has answered for four seconds, as where fifty wait for a processor, leaves a note that the agent reads
# when it can. This one does not: its part is done here.
noted() {
	local tomb left=0
	for tomb in "$TOMBS"/*; do
		[ -e "$tomb" ] || continue
		ctl port remove "$(basename "$tomb")" >/dev/null 2>&1 || true # which may have been done meanwhile
		rm "$tomb"
		left=$((left + 1))
	done
	[ $left = 0 ] || { rmdir "$TOMBS" && note "$left were done by what they had noted"; }
}
TIMEOUT=60
same "ADD" "0 failed, 50 addresses" "$(many ADD)"
same "fifty TAPs and ports" "50 50" "$(taps pod2) $(ports length)"
same "DEL" "0 failed, 0 addresses" "$(many DEL)"
noted
same "none is left" "0 0" "$(taps pod2) $(ports length)"
unset NETNS TIMEOUT

echo "== the agent away"
cni ADD web >/dev/null
agent_away
same "ADD says what to do" "11 podswitch-agent does not answer on $TMP/agent.sock: is the podswitch DaemonSet running on this \
node? kubectl -n podswitch get pods -o wide" "$(TIMEOUT=1 code ADD other "f$ID")"
same "STATUS has nothing to say: a pod without a gateway could start" "" "$(cni STATUS - 2>&1)"
same "unless the node is to be not ready" 50 "$(code STATUS - "$ID" ", fail_status: true" | cut -c1-2)"
known() { echo "{\"version\": 1, \"pods_choose\": true, \"default_gateway\": false, \"namespaces\": {\"t\": $1}}" >"$TMP/known.json"; }
HANDED=", known: \"$TMP/known.json\", prevResult: $PREV, runtimeConfig: {\"io.kubernetes.cri.pod-annotations\": "
known false
same "a pod that asks for nothing, in a namespace that asks for nothing, starts" "$PREV" "$(cni ADD free "e$ID" "$HANDED {}}")"
same "one that asks for something does not" 11 "$(TIMEOUT=1 code ADD asks "e$ID" "$HANDED {\"podswitch.io/gateway\": \"vpn\"}}" | cut -c1-2)"
known true
same "nor does one whose namespace does" 11 "$(TIMEOUT=1 code ADD asks "e$ID" "$HANDED {}}" | cut -c1-2)"
same "a namespace that is let through is not asked about" "$PREV" "$(cni ADD web "e$ID" ", skip_namespaces: \"kube-system t\", prevResult: $PREV")"
same "DEL is done by podswitchd" "0 " "$(cni DEL web 2>&1 && echo -n "$? ")$(names)"
same "and again" "0 " "$(cni DEL web 2>&1 && echo -n "$? ")$(names)"
check "no tombstone" [ ! -e "$TOMBS" ]

echo "== podswitchd away too"
agent
cni ADD web >/dev/null
agent_away
crash
same "DEL leaves a tombstone" "0" "$(cni DEL web "$ID" ", prevResult: $result" 2>&1 && echo -n "$?")"
same "which says what is to go" "t.web@0123456789ab $ID vx0 t web" \
	"$(cd "$TOMBS" && jq -r '"\(input_filename) \(.container_id) \(.ifname) \(.namespace) \(.pod)"' -- *)"
daemon -w 1
same "the port came back with podswitchd" "t.web@0123456789ab" "$(names)"

echo "== nothing to go by"
lost() { # DEL with garbage, no agent, no podswitchd, in a world of its own
	# shellcheck disable=SC2016 # the dollars are the inner shell's
	unshare -m sh -c 'mount -t tmpfs none /run && echo "$2" | CNI_COMMAND=DEL CNI_CONTAINERID=c0ffee CNI_IFNAME=net1 "$1" &&
		ls /run/podswitch/tombstones && mount -o remount,ro /run && echo "$2" |
		CNI_COMMAND=DEL CNI_CONTAINERID=c0ffee CNI_IFNAME=net2 "$1"' - "$CNI" "$1" 2>/dev/null
}
same "DEL with garbage on standard input" "@c0ffee.net1" "$(lost '}{' || echo failed)"
same "DEL with a configuration that is none" "@c0ffee.net1" "$(lost '{"socket": 5}' || echo failed)"
finish
