#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# lib.sh - the cluster, the helpers of one word and the checks that every scenario uses
#
#              node 1                                  node 2
#   .--------------------------.            .--------------------------.
#   | client  eth0 10.244.1.x ---- cni0 -.  | client    "free" client  |      free: no annotation. What it sends goes
#   |         vx0  172.16.0.x  |         |  |    :            |        |      the primary way, and is seen there
#   |          :               |         |  |    :           cni0      |
#   |      podswitchd ........ |         |  | podswitchd      |        |
#   |   UDP 8472    :          |         |  |    :            |        |
#   |          .----:------.   |         |  | .--:-----.      |        |
#   |          | t-one/vpn |   |         |  | | t-two/ |      |        |
#   |          | 172.16.0.1|   |         |  | |   vpn  |      |        |
#   |          | "internet"|   |         |  | '--------'      |        |
#   |          '-----------'   |         |  |                 |        |
#   '---------------------- eth0 ---------------------------eth0-------'
#                               |                             |
#                         --- the primary way: 198.51.100.1 answers "LEAK" (on a test bed)
#
# Both gateways have VNI 42 and are 172.16.0.1, and behind both there is a 198.51.100.1 that answers with the gateway's
# name: who has answered tells which way a packet went. In kind=kernel the gateway is what pod-gateway makes (kernel
# vxlan, dnsmasq), in kind=podswitch it is deploy/gateway.
#
# run.sh sources this, makes the cluster ready, and runs each scenario in a shell of its own. All namespaces that are
# made here carry the label podswitch-test, so that nothing is left behind. Waits and checks are those of checks.sh.
export LC_ALL=C

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
BUILD=$(realpath -m "${BUILD:-$HERE/../../build}")
DEPLOY=$(realpath -m "${DEPLOY:-$HERE/../../deploy}")
SCENARIO=k8s
POLL=0.4 # a try is a kubectl, mostly, and that a fifth of a second of a processor
. "$HERE/../checks.sh"
WATCH=t-watch     # the namespace of what stays for the whole run
SYSTEM=podswitch  # where deploy/ puts the DaemonSets
THERE=198.51.100.1
# shellcheck disable=SC2034 # run.sh's and the scenarios'
OFTEN=198.51.100.2 OFTEN_NUMBER=0xc6336402 # the same host, for what comes too often to be captured inside VXLAN

# ---- running things -------------------------------------------------------------------------------------------------

K() { GOGC=400 "$KUBECTL" --kubeconfig "$CONFIG" "$@"; } # it collects garbage for a quarter of its time
bed() { (cd "$BED" && "./$1" "${@:2}"); } # a script of the test bed

api() { # api PATH: an answer of the API server, for a tenth of what a kubectl takes of a processor; run.sh keeps the proxy
	curl -fsS --max-time 20 --unix-socket "$TMP/api" "http://localhost/api/v1/$1"
}
container() { # container NAMESPACE POD CONTAINER: its node, and its name there
	api "namespaces/$1/pods/${2#pod/}" | jq -r --arg c "$3" \
		'"\(.spec.nodeName) \(.status.containerStatuses[]? | select(.name == $c).containerID // empty | sub(".*//"; ""))"'
}
first_process() { # first_process NAMESPACE POD CONTAINER: on a test bed
	local node id
	read -r node id < <(container "$@") || return 1
	cat "/proc/$(cat "$BED/pid/$node.ns")/root/run/containerd/io.containerd.runtime.v2.task/k8s.io/$id/init.pid"
}
# As `kubectl exec`. A test bed's nodes are on this machine, where that is nothing but a way into the pod's namespaces, which
# leaves the processors to what is tested.
execute() { # execute NAMESPACE POD CONTAINER COMMAND...
	local pid environment
	if [ -z "$BED" ]; then
		K -n "$1" exec "$2" -c "$3" -- "${@:4}"
		return
	fi
	pid=$(first_process "${@:1:3}") || { echo "$1/$2 does not run" && return 1; } >&2
	mapfile -d '' -t environment <"/proc/$pid/environ"
	env -i "${environment[@]}" /usr/bin/nsenter -t "$pid" -m -n -p -u -i -r -w "${@:4}" </dev/null
}

hand() { # hand NODE COMMAND...: on the node: its network, its processes, its files under /host
	execute $WATCH "$(cat "$TMP/hand.$1")" hand "${@:2}"
}

# The agent's DaemonSet is called podswitch.
system_pod() { # system_pod NODE podswitchd|podswitch-agent: its pod there
	api "namespaces/$SYSTEM/pods?labelSelector=app.kubernetes.io/name=${2%-agent}&fieldSelector=spec.nodeName=$1,status.phase=Running" |
		jq -r '.items[0].metadata.name // empty | "pod/" + .'
}
daemonsets() { K -n $SYSTEM get daemonsets -o json | jq -r '.items[].metadata.name'; } # ours, of both programs
agent_log() { K -n $SYSTEM logs "$(system_pod "$1" podswitch-agent)" -c podswitch-agent "${@:2}"; } # agent_log NODE
ctl() { # ctl NODE ARGUMENTS...: podswitchctl of that node
	execute $SYSTEM "$(system_pod "$1" podswitchd)" podswitchd podswitchctl "${@:2}"
}
metrics() { hand "$1" wget -qO- http://127.0.0.1:9470/metrics; }

pids() { # pids NODE NAMESPACE POD CONTAINER: the container's processes, as the node counts them
	local id
	id=$(container "${@:2}" | cut -d' ' -f2)
	[ -n "$id" ] && hand "$1" sh -c "grep -l $id /proc/[0-9]*/cgroup 2>/dev/null | cut -d/ -f3"
}
daemon() { # daemon NODE podswitchd|podswitch-agent: the process id of the one that serves
	local pid
	if [ "$2" = podswitchd ]; then
		ctl "$1" -j status | jq -e .pid # another one may wait
		return
	fi
	for pid in $(pids "$1" $SYSTEM "$(system_pod "$1" "$2")" "$2"); do
		[ "$(hand "$1" cat "/proc/$pid/comm" | cut -c1-15)" != "$(cut -c1-15 <<<"$2")" ] || { echo "$pid" && return; }
	done
	return 1
}

begin() { BEGUN=${EPOCHREALTIME/./}; } # what `within` measures from, once; else from its own start

timed() { # timed SECONDS COMMAND...: as poll; the time it took goes into TOOK (in seconds, with one decimal)
	local start=${BEGUN:-${EPOCHREALTIME/./}} status=0
	BEGUN=
	poll "$@" || status=$?
	TOOK=$(((${EPOCHREALTIME/./} - start) / 100000))
	TOOK=$((TOOK / 10)).$((TOOK % 10))
	return $status
}

# ---- a check of time ------------------------------------------------------------------------------------------------

within() { # within TEXT SECONDS COMMAND...: it succeeds before that time is over, measured
	local text=$1 limit=$2
	shift 2
	if ! timed "$((limit * 3))" "$@"; then
		miss "$text" "\$ $*"$'\n'"not even in ${TOOK} s: $(cat "$TMP/poll")"
	elif [ "${TOOK%.*}" -lt $((limit * SLOW)) ]; then
		pass "$text (${TOOK} s)"
	else
		miss "$text" "it took $TOOK s, the limit is $limit s"
	fi
}

# ---- making things --------------------------------------------------------------------------------------------------

render() { # render TEMPLATE KEY=VALUE...: one of the YAML files here, with its @KEY@ filled in
	local pair expressions=()
	for pair in "${@:2}"; do expressions+=(-e "s|@${pair%%=*}@|${pair#*=}|g"); done
	sed "${expressions[@]}" "$HERE/$1.yaml"
}
apply() { render "$@" | K apply -f - >/dev/null; }

space() { # space NAME [ANNOTATION=VALUE...]: a namespace in which pods can be made
	jq -n --arg name "$1" '{apiVersion: "v1", kind: "Namespace", metadata: {name: $name, labels: {"podswitch-test": "yes"},
		annotations: ($ARGS.positional | map(capture("^(?<key>[^=]*)=(?<value>.*)")) | from_entries)}}' --args "${@:2}" |
		K apply -f - >/dev/null
	poll 20 K -n "$1" get serviceaccount default >/dev/null || die "namespace $1 has no service account"
}

annotations() { # annotations KEY=VALUE...: as they stand in a template
	local pair text=
	for pair; do text+="${text:+, }podswitch.io/${pair%%=*}: \"${pair#*=}\""; done
	echo "$text"
}

gateway() { # gateway NAMESPACE NODE [KEY=VALUE...]: its Deployment and Service, of the kind that $KIND says
	case $KIND in
	kernel) apply gateway "NAMESPACE=$1" "NODE=$2" "SERVICE=$(annotations "${@:3}")" ;;
	podswitch) podswitch_gateway "$@" | K apply -f - >/dev/null ;;
	esac
}
# The gateway of deploy/gateway as it is, with its "internet" as one container more.
podswitch_gateway() {
	K kustomize "$DEPLOY/gateway" | K create --dry-run=client -o json -f - | jq --arg namespace "$1" --arg node "$2" \
		--argjson internet "$(render gateway "NAMESPACE=$1" "NODE=$2" SERVICE= | K create --dry-run=client -o json -f - |
			jq 'select(.kind == "Deployment").spec.template.spec.containers[] | select(.name == "internet")')" \
		'select(.kind != "Namespace") | .metadata.namespace = $namespace
		| if .kind == "Deployment" then .metadata.name = "vpn" | .spec.template.spec |= (.nodeSelector = {"kubernetes.io/hostname": $node}
			| .terminationGracePeriodSeconds = 1 | .containers += [$internet]) else . end
		| if .metadata.name == "gateway-settings" then .data += {VPN_INTERFACE: "tun0", VPN_BLOCK_OTHER_TRAFFIC: "true"} else . end
		| if .kind == "Service" then .metadata.name = "vpn" | .metadata.annotations += ($ARGS.positional
			| map(capture("^(?<key>[^=]*)=(?<value>.*)") | .key |= "podswitch.io/" + .) | from_entries) else . end' --args "${@:3}"
}
gateway_pods() { api "namespaces/$1/pods" | jq -r '.items[] | select(any(.spec.containers[]; .name == "internet"))
	| select(.metadata.deletionTimestamp == null) | .metadata.name'; }
gateway_up() {
	local pod
	pod=$(gateway_pods "$1")
	[ "$(wc -w <<<"$pod")" = 1 ] || { echo "pods: $pod" && return 1; }
	pod_is "$1" "$pod" Ready || { K -n "$1" get pods && return 1; }
	echo "$1 $(address "$1" "$pod")" >>"$TMP/gateways"
}
at() { # at NAMESPACE COMMAND...: inside its gateway
	execute "$1" "$(gateway_pods "$1")" internet "${@:2}"
}

client() { # client NAMESPACE NAME NODE [KEY=VALUE...]: a pod that fetches three times a second
	apply client "NAMESPACE=$1" "NAME=$2" "NODE=$3" "ANNOTATIONS=$(annotations "${@:4}")" "PAUSE=${PAUSE:-0.3}"
}
in_pod() { execute "$1" "$2" client "${@:3}"; } # in_pod NAMESPACE NAME COMMAND...
ready() { # ready NAMESPACE NAME...
	local name
	for name in "${@:2}"; do
		poll "${DEADLINE:-40}" pod_is "$1" "$name" Ready ||
			{ K -n "$1" get events --field-selector "involvedObject.name=$name" -o custom-columns=R:.reason,M:.message | tail -n 4; return 1; }
	done
}
pod_is() { api "namespaces/$1/pods/$2" | jq -e --arg type "$3" '.status.conditions[]? | select(.type == $type).status == "True"'; }
address() { api "namespaces/$1/pods/$2" | jq -r '.status.podIP // empty'; } # on the primary network
exempt() { # exempt NAMESPACE NAME: it may use the primary way
	address "$1" "$2" >>"$TMP/free"
}
asked() { # asked ADDRESS PORT [answers]: by THERE, over TCP; only with "answers" may they leave the primary way
	echo "$THERE $*" >>"$TMP/asked"
}
overlay() { in_pod "$1" "$2" /usr/sbin/ip -4 -o addr show dev vx0 | sed -n 's/.* inet \([0-9.]*\)\/.*/\1/p'; }
identity() { # what a restart would change
	api "namespaces/$1/pods/$2" |
		jq -r '"\(.metadata.uid) \([.status.containerStatuses[] | "\(.containerID) \(.restartCount)"])"'
}
# Seconds that a deleted pod's object may stay: a kubelet before 1.21 can miss the end of a sandbox, has it removed once a
# minute, and sees that within ten seconds more. It is so with pods that never had to do with us.
GOES=120
gone() { # gone NAMESPACE KIND NAME [SECONDS]
	poll "${4:-$GOES}" not exists "$@"
}
exists() {
	case $2 in
	pod) api "namespaces/$1/pods/$3" ;;
	*) K -n "$1" get "$2" "$3" ;;
	esac
}
# How many networks of a pod the runtime knows, beside its loopback interface's. It forgets one when the DEL of all its
# plugins has succeeded. The pod may still be there then, for up to GOES.
networks() { # networks NODE POD
	hand "$1" sh -c "grep -ls '\"$2\"' /host/var/lib/cni/results/*-eth0 | wc -l"
}

# ---- who answers ----------------------------------------------------------------------------------------------------

fetch() { in_pod "$1" "$2" timeout 3 wget -qO- "http://${3:-$THERE}/cgi-bin/who"; } # fetch NAMESPACE NAME [ADDRESS[:PORT]]
answered() { # answered NAMESPACE NAME GATEWAY: the last answer is that gateway's
	local answer
	answer=$(in_pod "$1" "$2" tail -n 1 /log/answers)
	[ "${answer% *}" = "$3" ] || { echo "the last answer is of: $answer" && return 1; }
}
# All that have ever answered this pod. "-" is nobody: that may be, while a gateway is away.
all_answers() { in_pod "$1" "$2" cat /log/answers 2>&1 | cut -d' ' -f1 | sort -u | grep -v '^-$' | xargs; }
only() { # only TEXT NAMESPACE NAME GATEWAY...: nobody else has ever answered, and each of these has
	same "$1" "$(printf '%s\n' "${@:4}" | sort -u | xargs)" "$(all_answers "$2" "$3")"
	assign "$2" "$3" "${@:4}"
}
assign() { # assign NAMESPACE NAME GATEWAY...: what the capture is judged by: VXLAN of this pod may go to those only
	local mac name
	mac=$(in_pod "$1" "$2" cat /sys/class/net/vx0/address) || return 0 # the check before has said so
	for name in "${@:3}"; do echo "$mac $name $1/$2" >>"$TMP/assigned"; done
}
events() { # events NAMESPACE NAME [REASON]
	api "namespaces/$1/events?fieldSelector=involvedObject.name=$2${3:+,reason=$3}"
}
event() { # event NAMESPACE POD REASON: the newest one's text
	events "$1" "$2" "$3" |
		jq -er '.items | sort_by(.lastTimestamp // .eventTime) | last | .message'
}
asleep() { # asleep NAMESPACE POD: no container of it has ever run
	[ "$(api "namespaces/$1/pods/$2" | jq -c '[.status.initContainerStatuses[]?, .status.containerStatuses[]?
		| select(.containerID != null or .started == true)]')" = '[]' ]
}

# ---- losses ---------------------------------------------------------------------------------------------------------

ping_begin() { # ping_begin NAMESPACE POD: five packets a second through the gateway, until ping_end
	in_pod "$1" "$2" sh -c "setsid ping -i 0.2 $THERE >/log/ping 2>&1 & echo \$! >/log/ping.pid"
	poll 10 in_pod "$1" "$2" grep -q 'seq=2 ' /log/ping || die "no ping from $1/$2: $(in_pod "$1" "$2" tail -n 3 /log/ping)"
}
ping_end() { # "LOST SENT": of those between the first and the last that came back
	poll 10 ping_goes_on "$@" >/dev/null || true
	# shellcheck disable=SC2016 # the pod's shell
	in_pod "$1" "$2" sh -c 'kill $(cat /log/ping.pid)'
	in_pod "$1" "$2" cat /log/ping | sed -n 's/.* seq=\([0-9]*\) .*/\1/p' | sort -nu |
		awk 'NR == 1 { first = $1 } { last = $1 } END { print last - first + 1 - NR, last - first + 1 }'
}
ping_goes_on() {
	local before
	before=$(in_pod "$1" "$2" wc -l /log/ping)
	sleep 0.5
	[ "$(in_pod "$1" "$2" wc -l /log/ping)" != "$before" ]
}

talk_begin() { # talk_begin NAMESPACE POD ADDRESS: one TCP connection to the cluster's `inside`, five lines a second
	in_pod "$1" "$2" sh -c "(i=0; while :; do echo \$i; i=\$((i + 1)); usleep 200000; done |
		socat - TCP:$3:7000,keepalive; echo ended) >/log/talk 2>&1 &"
	poll 10 in_pod "$1" "$2" grep -q '^2$' /log/talk || die "no TCP from $1/$2 to $3"
}
talking() { # it still gets answers, on that same connection, and has missed none
	local before after
	before=$(in_pod "$1" "$2" tail -n 1 /log/talk)
	sleep 1
	after=$(in_pod "$1" "$2" tail -n 1 /log/talk)
	echo "from $before to $after"
	[ "$after" -gt "$before" ] && in_pod "$1" "$2" cat /log/talk | awk '$1 != NR - 1 { print "line " NR " is " $1; exit 1 }'
}

# ---- ports ----------------------------------------------------------------------------------------------------------

ports() { # ports NAMESPACE: names of podswitchd's ports of that namespace's pods, on all nodes
	local node
	for node in "${NODES[@]}"; do ctl "$node" -j port list | jq -r --arg n "$1." '.[].name | select(startswith($n))'; done | sort
}
no_ports() {
	local left
	left=$(ports "$1") || return 1
	[ -z "$left" ] || { echo "$left" && return 1; }
}
# What a scenario has made. The namespaces stay for the next one, as it would take longer to delete them.
clear_all() {
	local spaces name
	spaces=$(K get namespaces -l podswitch-test=yes -o json | jq -r --arg w $WATCH \
		'.items[].metadata.name | select(. != $w and (startswith("t-scale-") | not))' | xargs)
	for name in $spaces; do
		# By force: their objects are gone at once, while they still run. That must not open them a way out.
		K -n "$name" delete deployments,statefulsets --all --wait=false >/dev/null 2>&1 || true
		K -n "$name" delete pods --all --force --grace-period=0 --wait=false >/dev/null 2>&1 || true
	done
	for name in $spaces; do
		check "deleted by force, no pod of $name leaves a port" poll 60 no_ports "$name"
		K -n "$name" delete services --all --wait=false >/dev/null 2>&1 || true
		K delete --raw "/api/v1/namespaces/$name/events" >/dev/null 2>&1 || true # the next one's are its own
	done
}

# ---- what single scenarios ask ----------------------------------------------------------------------------------------

event_like() { # event_like NAMESPACE POD PATTERN [REASON]
	events "$1" "$2" "${4:-}" |
		jq -r '.items[] | "\(.reason) \(.message)"' | grep -E -- "$3" ||
		{ K -n "$1" get events --field-selector "involvedObject.name=$2" -o custom-columns=R:.reason,M:.message && return 1; }
}
# Why the kubelet cannot start a pod, as its Event says. The bed with containerd 2 translates between the two, and loses
# the runtime's errors about as often as not: there the runtime's own log has them as well.
not_started_like() { # not_started_like NAMESPACE POD PATTERN
	event_like "$1" "$2" "$3" FailedCreatePodSandBox ||
		{ [ -n "$BED" ] && grep -hE "Name:$2,.*Namespace:$1,.*$3" "$BED"/log/n*.containerd.log; }
}
node_event_like() { # node_event_like NODE REASON PATTERN
	events default "$1" "$2" |
		jq -r '.items[].message' | grep -E -- "$3"
}
all_start() {
	ready t-bare pod-one pod-one-far pod-two && ready t-two at-home && ready t-apps by-space by-space-far over-space opted-out &&
		ready $WATCH opted-out
}
reaches() { in_pod "$1" "$2" nc -w 3 "$3" "$4" </dev/null; } # reaches NAMESPACE NAME ADDRESS PORT
inside_reached() {
	[ "$(in_pod "$1" "$2" sh -c "echo hello | timeout 3 socat -t 2 - TCP:$(address $WATCH inside):7000")" = hello ]
}
leases() { # leases NAMESPACE: as its gateway's dnsmasq has written them down
	execute "$1" "$(gateway_pods "$1")" gateway sh -c 'cat /var/lib/misc/dnsmasq.leases || cat /run/podswitch/leases' 2>/dev/null
}
lease_count() { leases "$1" | grep -c . || true; }
moved() { # moved NAMESPACE ADDRESS: the gateway is ready, and not there any more
	gateway_up "$1" && [ "$(tail -n 1 "$TMP/gateways" | cut -d' ' -f2)" != "$2" ]
}
appeared() { # appeared NAMESPACE NODE: its gateway's pod is made there, running or not
	local pod
	pod=$(gateway_pods "$1")
	[ -n "$pod" ] && [ "$(api "namespaces/$1/pods/$pod" | jq -r .spec.nodeName)" = "$2" ]
}
silent() { # silent NAMESPACE NAME: for two seconds nobody answers
	local before
	before=$(in_pod "$1" "$2" grep -vc '^-' /log/answers)
	sleep 2
	[ "$(in_pod "$1" "$2" grep -vc '^-' /log/answers)" = "$before" ]
}
gateways_ready() { # gateways_ready NAMESPACE NUMBER; their addresses are noted
	local list
	list=$(api "namespaces/$1/pods?labelSelector=app=gateway" | jq -r '.items[] | select(.metadata.deletionTimestamp == null)
		| select(any(.status.conditions[]?; .type == "Ready" and .status == "True")).status.podIP')
	[ "$(wc -w <<<"$list")" = "$2" ] && xargs -n 1 echo "$1" <<<"$list" >>"$TMP/gateways"
}
remote_of() { # remote_of NAMESPACE POD: the address of the gateway's pod that it is at
	local node
	for node in "${NODES[@]}"; do
		ctl "$node" -j port list | jq -r --arg n "$1.$2@" '.[] | select(.name | startswith($n)).gateway | sub(".*@"; "")'
	done
}
remote_is_not() {
	local now
	now=$(remote_of "$1" "$2")
	echo "at $now"
	[ -n "$now" ] && [ "$now" != "$3" ]
}
pod_at() { # pod_at NAMESPACE ADDRESS
	api "namespaces/$1/pods?fieldSelector=status.podIP=$2" | jq -r '.items[0].metadata.name // empty'
}
both_answered() { answered t-one mine t-one && answered t-one still t-one; }
# The pods without a gateway that stay for the whole run have other addresses after their node's boot.
stays() { api "namespaces/$WATCH/pods?labelSelector=app=client" | jq -r '.items[] | select(any(.status.conditions[]; .type == "Ready" and .status == "True")).status.podIP'; }
all_stay() { [ "$(stays | wc -l)" = "$(K -n "$WATCH" get pods -l app=client -o name | wc -l)" ]; }
reborn() { # reborn NODE PROGRAM PID: it runs, as another process
	local pid
	pid=$(daemon "$1" "$2") && [ "$pid" != "$3" ]
}
agents_ready() {
	local node
	for node in "${NODES[@]}"; do hand "$node" wget -qO- http://127.0.0.1:9470/readyz || return 1; done
	installed
}
crowd() { # each pod's name, address and who has answered it; eight are asked at a time
	local name n=0 folder=$TMP/crowd.d
	mkdir -p "$folder"
	for name in $(K -n t-one get pods -l app=crowd -o jsonpath='{.items[*].metadata.name}'); do
		{
			poll 10 heard t-one "$name" >/dev/null || true
			echo "$name $(overlay t-one "$name") $(all_answers t-one "$name")" >"$folder/$name"
		} &
		n=$((n + 1))
		[ $((n % 8)) -gt 0 ] || wait
	done
	wait
	cat "$folder"/*
	rm -rf "$folder"
}
heard() { [ -n "$(all_answers "$1" "$2")" ]; }
some_created() { [ "$(K -n t-one get pods -l app=crowd -o name | wc -l)" -ge 5 ]; }
existing() { K get pods -A --field-selector metadata.name=idle -o name | wc -l; }
unchanged() { diff "$TMP/before.$1" <(snapshot "$1"); }
memory() { # memory NODE PROGRAM
	hand "$1" sed -n 's/^VmRSS:[^0-9]*\([0-9]*\) kB/\1/p' "/proc/$(daemon "$1" "$2")/status" | awk '{ printf "%.1f MB", $1 / 1024 }'
}
# From the agents' histograms, less what they had counted at the time of $TMP/metrics.NODE.
latencies() {
	local node
	for node in "${NODES[@]}"; do
		sed -n 's/^podswitch_attach_seconds_bucket{.*le="\([^"]*\)".*} \([0-9.e+]*\)$/- \1 \2/p' "$TMP/metrics.$node"
		metrics "$node" | sed -n 's/^podswitch_attach_seconds_bucket{.*le="\([^"]*\)".*} \([0-9.e+]*\)$/+ \1 \2/p'
	done | awk '
		function quantile(q, i, need, below, lower) {
			need = q * count[bound[n]]
			below = lower = 0
			for (i = 1; i <= n; i++) {
				if (count[bound[i]] >= need) {
					if (bound[i] == 1e9) return "over " lower
					return sprintf("%.2f", lower + (bound[i] - lower) * (need - below) / (count[bound[i]] - below))
				}
				below = count[bound[i]]
				lower = bound[i]
			}
		}
		{ le = $2 == "+Inf" ? 1e9 : $2 + 0; count[le] += $1 == "+" ? $3 : -$3 }
		END {
			for (le in count) bound[++n] = le + 0
			for (i = 1; i <= n; i++)
				for (j = i + 1; j <= n; j++)
					if (bound[j] < bound[i]) { t = bound[i]; bound[i] = bound[j]; bound[j] = t }
			if (!n || !count[bound[n]]) print "no attachment was measured"
			else printf "attaching took %s s in the middle, %s s at the 99th percentile (%d attachments)\n",
				quantile(0.5), quantile(0.99), count[bound[n]]
		}'
}
