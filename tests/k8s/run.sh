#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# run.sh - podswitch on a real Kubernetes with two nodes: installed by deploy/, used through kubectl, taken out again
#
#   TESTBED=FOLDER tests/k8s/run.sh [NAME...]        a test bed (started when it is not up, and stopped again then)
#   TESTBED=k8s-testbed.tar.xz tests/k8s/run.sh      its archive: unpacked to a temporary folder, removed afterwards
#   KUBECONFIG=FILE tests/k8s/run.sh                 any cluster of two nodes or more, on which podswitch is not installed
#
# With names, only the scenarios with one of them in their names; with -NAME, all but those. KIND=kernel or KIND=podswitch:
# only with gateways of that kind. ALONE names scenarios that come last, once there is no file BUSY any more: others on
# this machine that it tells of are done then. BUILD is the folder with image/podswitch.tar (`make image`). On
# failures the logs are kept in BUILD/k8s.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

usage() {
	cat >&2 <<-'TEXT'
		make check-k8s needs a Kubernetes with two nodes, and to be told which:
		  TESTBED=FOLDER     a test bed: etcd, an API server and two nodes in network namespaces of this machine, with the
		                     scripts up.sh, down.sh, nsh and k (its archive k8s-testbed.tar.xz is taken as well)
		  KUBECONFIG=FILE    the credentials of a cluster's administrator. The images podswitch:local (make image) and
		                     podswitch-test:local (tests/k8s/image.sh FILE.tar) must be on its nodes. What needs a hand on
		                     the control plane (API server and containerd restarted) is left out there.
		It makes namespaces named t-* and podswitch, and removes them at the end.
	TEXT
	exit 2
}

# ---- the cluster ----------------------------------------------------------------------------------------------------

find_cluster() {
	if [ -n "${TESTBED:-}" ]; then
		[ "$(id -u)" = 0 ] || die "a test bed needs root: run this with sudo"
		[ -e "$TESTBED" ] || die "TESTBED=$TESTBED: there is no such folder or archive"
		if [ -f "$TESTBED" ]; then unpack "$TESTBED"; else BED=$(realpath "$TESTBED"); fi
		[ -x "$BED/up.sh" ] || die "TESTBED=$TESTBED has no up.sh: it is not a test bed"
		KUBECTL=$BED/bin/kubectl CONFIG=$BED/admin.kubeconfig
		start_bed
	else
		KUBECTL=$(command -v kubectl) || die "kubectl is not installed"
		CONFIG=$KUBECONFIG
		K get --raw /readyz >/dev/null || die "KUBECONFIG=$CONFIG: the cluster does not answer"
	fi
	"$KUBECTL" --kubeconfig "$CONFIG" proxy --unix-socket="$TMP/api" >/dev/null 2>&1 &
	PROXY=$!
	poll 10 api namespaces >/dev/null || die "kubectl proxy does not serve the API"
	poll 60 two_nodes >/dev/null || true # one that has just started is tainted for a moment
	mapfile -t NODES < <(usable_nodes)
	[ ${#NODES[@]} = 2 ] || die "this cluster has not two nodes that are ready and schedulable: ${NODES[*]}"
	N1=${NODES[0]} N2=${NODES[1]}
	! K get namespace $SYSTEM >/dev/null 2>&1 || die "the cluster has a namespace $SYSTEM already: podswitch is installed there"
}

usable_nodes() {
	K get nodes -o json | jq -r '.items[] | select(.spec.unschedulable | not)
		| select(any(.spec.taints[]?; .effect != "PreferNoSchedule") | not)
		| select(any(.status.conditions[]; .type == "Ready" and .status == "True")).metadata.name' | head -n 2
}
two_nodes() { [ "$(usable_nodes | wc -l)" = 2 ]; }

unpack() {
	BED=$(mktemp -d "${TMPDIR:-/tmp}/podswitch-testbed.XXXXXX")
	UNPACKED=$BED
	tar -C "$BED" -xf "$1"
	echo /var/lib/podswitch >>"$BED/binds" # each node's own
	# Two beds at a time would both be at the packages.
	(flock 9 && bed install.sh) 9</run/lock || die "the test bed's install.sh failed"
}

start_bed() {
	local name
	if K get --raw /readyz >/dev/null 2>&1 && [ "$(K get nodes -o name | wc -l)" -ge 2 ]; then return; fi
	name=$(sed -n 's/^CPNS=\([^ ]*\).*/\1/p' "$BED/lib.sh")
	[ -z "${K8S_PREFIX:-}" ] || name=$K8S_PREFIX-cp # a bed beside another
	[ ! -e "/run/netns/$name" ] || [ -e "$BED/pid/etcd" ] ||
		die "another test bed is up (network namespace $name): stop it with its down.sh, or use it as TESTBED"
	STARTED=yes
	# The kubelet's own five requests a second would make hundreds of pods a matter of the API.
	KUBELET_FLAGS="--kube-api-qps=50 --kube-api-burst=100" bed up.sh n1 n2 >"$TMP/bed" 2>&1 || die "the test bed does not start: $(tail -n 5 "$TMP/bed")"
}

import() { # import NAME FILE: into both nodes
	local node
	for node in "${NODES[@]}"; do
		if [ -n "$BED" ]; then
			[ -f "$2" ] || die "$2 is missing: run make image"
			bed nsh "$node" ctr -n k8s.io images import "$(realpath "$2")" >"$TMP/import" 2>&1 ||
				die "node $node does not take $2: $(tail -n 3 "$TMP/import")"
			echo "$node docker.io/library/$1" >>"$TMP/imported"
		else
			K get node "$node" -o json | jq -e --arg n "$1" 'any(.status.images[].names[]?; endswith("/" + $n) or . == $n)' >/dev/null ||
				die "node $node has no image $1: import $2 there first (ctr -n k8s.io images import)"
		fi
	done
}

leak_server() { # on the primary way, where nothing that has a gateway may arrive
	[ -n "$BED" ] || return 0
	mkdir -p "$TMP/www/cgi-bin"
	cp "$HERE/image/who-is-it" "$TMP/www/cgi-bin/who"
	bed nsh cp ip addr add $THERE/32 dev lo
	(cd "$BED" && GATEWAY=LEAK VISITORS=$TMP/visitors exec ./nsh cp busybox httpd -f -p $THERE:80 -h "$TMP/www") >/dev/null 2>&1 &
	LEAK=$!
}

watch() { # captures, and pods without a gateway whose packets the captures must show
	local filter="host $THERE or net 172.16.0.0/24" node
	# Thousands of packets a second to OFTEN are no captures' business while they are in a tunnel, and are where not.
	filter+=" or (udp and (dst port 8472 or dst port 8473) and not (udp[42:4] = $OFTEN_NUMBER or udp[46:4] = $OFTEN_NUMBER))"
	# Link-local addresses are the node's own, but for those of the cloud's metadata.
	[ -z "$BED" ] || filter+=" or (src net 10.244.0.0/16 and not dst net 10.0.0.0/8 and not dst net 127.0.0.0/8 and not dst net 224.0.0.0/3 and (not dst net 169.254.0.0/16 or dst net 169.254.168.0/22))"
	[ -z "$BED" ] || filter+=" or (ip6 and not dst net ff00::/8 and not dst net fe80::/10)"
	space $WATCH
	apply watch "NAMESPACE=$WATCH" "FILTER=$filter"
	poll 60 watching || die "no capture: $(K -n $WATCH get pods)"
	for node in "${NODES[@]}"; do
		K -n $WATCH get pods -l app=watch --field-selector "spec.nodeName=$node" -o jsonpath='{.items[0].metadata.name}' >"$TMP/hand.$node"
		poll 10 capturing "$node" 0 || die "no capture on $node: $(capture_log "$node")"
	done
}
watching() { K -n $WATCH get daemonset watch -o json | jq -e '.status.desiredNumberScheduled >= 2 and .status.numberReady == .status.desiredNumberScheduled'; }

capture_log() { K -n $WATCH logs "$(cat "$TMP/hand.$1")" -c capture "${@:2}"; }
capture_runs() { # how often the kubelet has started the capture anew
	K -n $WATCH get "pod/$(cat "$TMP/hand.$1")" -o json | jq '.status.containerStatuses[] | select(.name == "capture").restartCount'
}
capturing() { # capturing NODE RESTARTS: it was started that often, and sees packets now
	prints "$2" capture_runs "$1" && says '^tcpdump: listening on any' capture_log "$1"
}

# What an installation could leave on a node. The names of pods' devices are left out, as pods come and go.
snapshot() {
	# shellcheck disable=SC2016 # the node's shell
	hand "$1" sh -c 'cd /host && for d in etc/cni opt/cni; do find $d -type f -exec sha256sum {} +; find $d | xargs ls -ld; done | sort
		find run/podswitch var/run/podswitch -mindepth 1 2>/dev/null
		/usr/sbin/ip -o link | sed "s/^[0-9]*: //; s/[@:].*//" | grep -v ^veth
		/usr/sbin/ip rule; /usr/sbin/ip route | grep -v veth; iptables -S; iptables -t nat -S | grep -v CNI-
		for p in /proc/[0-9]*; do [ "$(readlink $p/ns/net)" != "$(readlink /proc/self/ns/net)" ] || cat $p/comm; done 2>/dev/null |
			grep podswitch | sort -u' |
		sed 's/ linkdown//; s/ *$//' | awk '/^[-dl][rwx]/ { $2 = $6 = $7 = $8 = ""; if (/^d/) $5 = "" } { print }'
}

free_pods() { # they live to the end, so that their addresses are nobody else's
	local node
	for node in "${NODES[@]}"; do PAUSE=1 client $WATCH "free-$node" "$node"; done
	apply inside "NAMESPACE=$WATCH" "NODE=$N2"
	for node in "${NODES[@]}"; do
		ready $WATCH "free-$node" || die "a pod without annotation does not start"
		exempt $WATCH "free-$node"
	done
	poll 30 pod_is $WATCH inside Ready || die "the pod inside does not start"
}

install_podswitch() {
	INSTALLED=yes
	local minor
	minor=$(K version -o json | jq -r '.serverVersion.minor | sub("[^0-9].*"; "")')
	[ "$minor" -ge 22 ] || OVERLAY=/overlays/kubernetes-1.21
	K apply -k "$DEPLOY$OVERLAY" >"$TMP/install" 2>&1 || die "kubectl apply -k deploy$OVERLAY: $(cat "$TMP/install")"
	check "kubectl apply -k deploy$OVERLAY: the DaemonSets are ready on both nodes" poll 60 installed
	! failed_last || die "without it there is nothing to test: $(K -n $SYSTEM describe pods | tail -n 20)"
}
installed() {
	K -n $SYSTEM get daemonsets -o json | jq -e '.items | length >= 2 and
		all(.[].status; .numberReady >= 2 and .numberReady == .desiredNumberScheduled)' || { K -n $SYSTEM get pods && return 1; }
}

# ---- the end --------------------------------------------------------------------------------------------------------

judge_captures() { # what the nodes have seen since the start, or since the last call
	local node name names own files=()
	SCENARIO=leaks
	echo "== leaks"
	for node in "${NODES[@]}"; do
		[ ! -e "$TMP/restarts.$node" ] || { RESTARTS[$node]=$(cat "$TMP/restarts.$node") && rm "$TMP/restarts.$node"; } # by a boot
		same "the capture on $node has run all the time" "${RESTARTS[$node]:-0}" "$(capture_runs "$node")"
		# shellcheck disable=SC2016 # the node's shell
		# It writes what it has, says what it has missed, and is started anew by the kubelet.
		hand "$node" sh -c 'kill -TERM $(cat /capture/pid)'
		RESTARTS[$node]=$((${RESTARTS[$node]:-0} + 1))
		poll 60 capturing "$node" "${RESTARTS[$node]}" || miss "the capture on $node starts anew" "$(capture_log "$node")"
		same "the capture on $node has missed nothing" "0 packets dropped by kernel" \
			"$(capture_log "$node" --previous | grep dropped)"
		own=() # more than one after a boot
		mapfile -t names < <(hand "$node" sh -c 'ls /capture/*.pcap' | sed '$d')
		for name in "${names[@]}"; do
			own+=("$TMP/$node.$(basename "$name")")
			hand "$node" sh -c "cat $name && rm $name" >"${own[-1]}"
		done
		like "it sees leaks: those of the pod without a gateway on $node" ': [1-9][0-9]* of pods without a gateway' \
			"$("$HERE/leaks.py" --free <(address $WATCH "free-$node") --asked /dev/null --assigned /dev/null --gateways /dev/null "${own[@]}" | tail -n 1)"
		files+=("${own[@]}")
	done
	check "no packet of a pod with a gateway went another way" \
		"$HERE/leaks.py" --free "$TMP/free" --asked "$TMP/asked" --assigned "$TMP/assigned" --gateways "$TMP/gateways" "${files[@]}"
	note "$(tail -n 1 "$TMP/check")"
	[ -z "$BED" ] || same "and the server there has met nobody else" "$(sort -u "$TMP/free" | xargs)" \
		"$(sort -u "$TMP/visitors" | xargs)"
	# From here on MACs and addresses may be others', but for those of the pods that stay.
	: >"$TMP/asked"
	: >"$TMP/assigned"
	: >"$TMP/gateways"
	: >"$TMP/visitors"
	K -n $WATCH get pods -l app=client -o json | jq -r '.items[].status.podIP' >"$TMP/free"
}
declare -A RESTARTS=() # of the captures, by us

uninstall() {
	local node
	K delete -k "$DEPLOY$OVERLAY" --wait=false >/dev/null 2>&1 || true
	poll 120 not K get namespace $SYSTEM >/dev/null || { [ -n "${1:-}" ] || miss "the namespace $SYSTEM goes away" "$(K -n $SYSTEM get pods)"; }
	INSTALLED=
}

keep_logs() {
	local folder=$BUILD/k8s node pod
	rm -rf "$folder"
	mkdir -p "$folder"
	K get pods -A -o wide >"$folder/pods" 2>&1
	K get events -A --sort-by=.lastTimestamp >"$folder/events" 2>&1
	for pod in $(K -n $SYSTEM get pods -o name 2>/dev/null); do
		K -n $SYSTEM logs "$pod" --all-containers --prefix --timestamps >"$folder/$(basename "$pod").log" 2>&1
	done
	for node in "${NODES[@]:-}"; do cp "$TMP/$node".*.pcap "$folder" 2>/dev/null; done
	cp "$TMP"/{free,asked,assigned,gateways} "$folder" 2>/dev/null
	echo "logs are in $folder"
}

cleanup() {
	local space node image
	trap '' INT TERM PIPE
	set +e
	# It may have been stopped by us, once we had it; another's, for which ours made way, is left alone.
	[ -z "$BED" ] || [ ${#NODES[@]} = 0 ] || [ -n "$STARTED" ] || K get --raw /readyz >/dev/null 2>&1 || bed up.sh n1 n2 >/dev/null 2>&1
	# What was unpacked for this is thrown away as a whole.
	if [ -z "$UNPACKED" ] && [ -n "$CONFIG" ] && K get --raw /readyz >/dev/null 2>&1; then
		for space in $(K get namespaces -l podswitch-test=yes -o json | jq -r '.items[].metadata.name'); do
			K -n "$space" delete deployments,statefulsets,daemonsets --all --wait=false >/dev/null 2>&1
			K -n "$space" delete pods --all --force --grace-period=0 --wait=false >/dev/null 2>&1
		done
		# Without the webhook's pods its configuration could refuse all others.
		[ ! -e "$TMP/hook.yaml" ] || K delete mutatingwebhookconfiguration podswitch >/dev/null 2>&1
		[ ! -e "$TMP/hook.yaml" ] || K delete -f "$TMP/hook.yaml" --wait=false >/dev/null 2>&1
		[ -z "$INSTALLED" ] || uninstall quiet
		K delete namespace -l podswitch-test=yes --wait=true --timeout=90s >/dev/null 2>&1
	fi
	[ -z "$BED" ] || [ ${#NODES[@]} = 0 ] || { bed nsh cp iptables -t nat -D OUTPUT -j PODSWITCH-HOOK
		bed nsh cp iptables -t nat -F PODSWITCH-HOOK
		bed nsh cp iptables -t nat -X PODSWITCH-HOOK; } >/dev/null 2>&1
	[ -z "$PROXY" ] || { kill "$PROXY" && wait "$PROXY"; } 2>/dev/null
	[ -z "$LEAK" ] || { end "$LEAK" && wait "$LEAK"; bed nsh cp ip addr del $THERE/32 dev lo; } 2>/dev/null
	[ ! -e "$TMP/imported" ] || while read -r node image; do
		bed nsh "$node" ctr -n k8s.io images rm "$image" </dev/null >/dev/null 2>&1
	done <"$TMP/imported"
	[ -z "$STARTED" ] || bed down.sh >/dev/null 2>&1
	[ -z "$UNPACKED" ] || { bed down.sh -w >/dev/null 2>&1; rm -rf "$UNPACKED"; }
}

report() {
	local passed failed
	trap '' INT TERM HUP PIPE
	[ -n "$FINISHED" ] || { SCENARIO=k8s && miss "the tests came to their end"; }
	passed=$(tally passed)
	failed=$(tally failed)
	[ "$failed" = 0 ] || [ -z "$CONFIG" ] || (set +e && keep_logs)
	cleanup
	echo "$passed passed, $failed failed, in $SECONDS s"
	rm -rf "$TMP"
	[ "$failed" = 0 ] || exit 1
}

# ---- the way through ------------------------------------------------------------------------------------------------

scenario() { # scenario FILE: in a shell of its own, so that one that ends early does not end the others
	local begin
	SCENARIO=$(basename "$1" .sh)
	[ "$KIND" = kernel ] || SCENARIO+=" ($KIND)"
	echo "== $SCENARIO"
	begin=$SECONDS
	(
		set -e
		trap - EXIT
		# shellcheck source=/dev/null
		. "$1"
	) || miss "$SCENARIO came to its end"
	clear_all
	note "$((SECONDS - begin)) s"
}

[ -n "${TESTBED:-}${KUBECONFIG:-}" ] || usage
for tool in busybox curl dnsmasq ip jq ping python3 socat tcpdump xtables-nft-multi xz; do
	PATH=$PATH:/usr/sbin command -v $tool >/dev/null || die "$tool is not installed: run tests/deps.sh k8s as root"
done
TMP=$(mktemp -d /tmp/podswitch-k8s.XXXXXX)
TALLY=$TMP/tally
BED='' OVERLAY='' CONFIG='' KUBECTL='' UNPACKED='' STARTED='' INSTALLED='' LEAK='' PROXY='' FINISHED='' NODES=()
: >"$TALLY"
: >"$TMP/asked"
: >"$TMP/assigned"
on_exit report
echo "== k8s"
find_cluster
[ -n "$BED" ] || echo "  no hand on the control plane: the API server and containerd are not stopped here"
mkdir -p "$BUILD/image"
"$HERE/image.sh" "$BUILD/image/podswitch-test.tar"
import podswitch:local "$BUILD/image/podswitch.tar"
import podswitch-test:local "$BUILD/image/podswitch-test.tar"
leak_server
watch
free_pods
# With the first pods a node has its CNI's bridge, which is not to be taken for ours.
for node in "${NODES[@]}"; do snapshot "$node" >"$TMP/before.$node"; done
install_podswitch

for KIND in ${KIND:-kernel podswitch}; do
	for file in "$HERE"/[1-6]*.sh; do
		selected "$(basename "$file")" "$@" || continue
		[ "$KIND" = kernel ] || grep -q '^# Core' "$file" || continue
		scenario "$file"
	done
done
KIND=kernel
judge_captures
for file in "$HERE"/[7-9]*.sh; do
	selected "$(basename "$file")" "$@" || continue
	scenario "$file"
done
for name in ${ALONE:-}; do
	while [ -e "${BUSY:-}" ]; do sleep 1; done
	scenario "$HERE/$name.sh"
done
SCENARIO=uninstall
. "$HERE/uninstall.sh"
FINISHED=yes
