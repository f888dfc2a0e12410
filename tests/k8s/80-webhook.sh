#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# 80-webhook.sh - the admission webhook: pods know their gateway, wrong names are refused, a restart loses nobody
#
# On a test bed the API server is not on a node, where Services' addresses lead somewhere: hook_way leads it.
# shellcheck source=lib.sh

CHAIN=PODSWITCH-HOOK
LOADS=()

hook_objects() { # as `kubectl apply -k` makes them; a cluster before 1.21 has no policy/v1
	if says '^policy/v1$' K api-versions >/dev/null; then K kustomize "$DEPLOY/webhook"; else
		K kustomize "$DEPLOY/webhook" | sed 's|^apiVersion: policy/v1$|&beta1|'
	fi
}
hook_ready() {
	K -n "$SYSTEM" get deployment podswitch-webhook -o json | jq -e '.status | .readyReplicas == 2 and .updatedReplicas == 2 and .replicas == 2' ||
		{ K -n "$SYSTEM" get pods -l app.kubernetes.io/name=podswitch-webhook && return 1; }
}
hook_way() { # the Service's address, as kube-proxy would lead it; until it is killed
	local address before='' now
	address=$(K -n "$SYSTEM" get service podswitch-webhook -o jsonpath='{.spec.clusterIP}')
	bed nsh cp ip route replace "$address/32" dev kbr0
	bed nsh cp iptables -t nat -N $CHAIN
	bed nsh cp iptables -t nat -A OUTPUT -j $CHAIN
	while K get namespace "$SYSTEM"; do
		now=$(K -n "$SYSTEM" get endpoints podswitch-webhook -o jsonpath='{.subsets[*].addresses[*].ip}')
		if [ "$now" != "$before" ] && [ -n "$now" ]; then
			bed nsh cp iptables -t nat -I $CHAIN 1 -d "$address" -p tcp --dport 443 -j DNAT --to-destination "${now%% *}:8443"
			[ -z "$before" ] || bed nsh cp iptables -t nat -D $CHAIN 2
			before=$now
		fi
		sleep 0.1
	done
}
hook_gone() {
	local address
	set +e
	[ -z "${WAY:-}" ] || kill "$WAY"
	kill "${LOADS[@]}"
	K delete mutatingwebhookconfiguration podswitch # first: with Fail it would refuse all pods
	address=$(K -n "$SYSTEM" get service podswitch-webhook -o jsonpath='{.spec.clusterIP}')
	K delete -f "$TMP/hook.yaml" --wait=false
	[ -z "$BED" ] || { bed nsh cp iptables -t nat -D OUTPUT -j $CHAIN; bed nsh cp iptables -t nat -F $CHAIN; bed nsh cp iptables -t nat -X $CHAIN
		bed nsh cp ip route del "$address/32"; }
}

values() { # values NAMESPACE NAME: the variable in each of its containers
	K -n "$1" get pod "$2" -o json | jq -r '[.spec.initContainers[], .spec.containers[]]
		| map("\(.name)=\([.env[]? | select(.name == "gateway").value] | join("+"))") | join(" ")'
}
bare() { # bare NAMESPACE NAME [GATEWAY]: a pod, as JSON
	jq -n --arg space "$1" --arg name "$2" --arg gateway "${3:-}" '{apiVersion: "v1", kind: "Pod",
		metadata: {name: $name, namespace: $space, annotations: (if $gateway == "" then {} else {"podswitch.io/gateway": $gateway} end)},
		spec: {initContainers: [{name: "first", image: "podswitch-test:local"}], containers: [{name: "app", image: "podswitch-test:local"}]}}'
}
answers() { [ "$(bare t-one probe vpn | K create --dry-run=server -o json -f - | jq -r '.spec.containers[0].env[0].value')" = vpn.t-one.svc.cluster.local ]; }
made() { bare "$@" | K apply -f - 2>&1; }
refused() { # refused PATTERN NAMESPACE NAME GATEWAY
	local said
	said=$(made "${@:2}") && { echo "it was taken" && return 1; }
	echo "$said"
	grep -Eq "$1" <<<"$said"
}
load() { # one pod after the other, which the API server makes and does not keep; what is wrong goes to a file
	local out
	while :; do
		if out=$(K create --dry-run=server -o json -f "$TMP/load.json" 2>&1); then
			jq -r '[.spec.initContainers[0].env[0].value, .spec.containers[0].env[0].value] | join(" ")' <<<"$out"
		else
			echo "refused: $out"
		fi
	done >"$TMP/load.$1"
}
loaded() { [ "$(cat "$TMP"/load.[0-9] | wc -l)" -ge "$1" ]; }

hook_all_start() { ready t-one by-pod other && ready t-apps by-space opted-out && ready t-plain plain; }
both_made() {
	K -n t-plain create service clusterip late --tcp=80 --dry-run=client -o json | cat - <(bare t-plain late late) |
		jq -s '{apiVersion: "v1", kind: "List", items: .}' | K -n t-plain apply -f - &&
		[ "$(values t-plain late)" = "first=late.t-plain.svc.cluster.local app=late.t-plain.svc.cluster.local" ]
}

# Leads the API server before the configuration is there, as it counts from the first pod on.
trap 'STATUS=$?; hook_gone >/dev/null 2>&1; exit $STATUS' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
space t-one
space t-two
space t-apps podswitch.io/gateway=vpn.t-two
space t-plain
gateway t-one "$N1"
gateway t-two "$N2"
hook_objects >"$TMP/hook.yaml"
check "kubectl apply -k deploy/webhook" K apply -f "$TMP/hook.yaml"
if [ -n "$BED" ]; then
	hook_way >/dev/null 2>&1 &
	WAY=$!
fi
check "two pods are ready, with a certificate that podswitch-webhook cert has made" poll 90 hook_ready
same "the API server trusts what made it" "$(K -n "$SYSTEM" get secret podswitch-webhook-tls -o jsonpath='{.data.ca\.crt}' | base64 -d | sha256sum)" \
	"$(K get mutatingwebhookconfiguration podswitch -o jsonpath='{.webhooks[0].clientConfig.caBundle}' | base64 -d | sha256sum)"
poll 60 gateway_up t-one || die "no gateway in t-one"
poll 60 gateway_up t-two || die "no gateway in t-two"
check "it is asked about pods" poll 20 answers

client t-one by-pod "$N1" gateway=vpn
client t-one other "$N2" gateway=vpn.t-two
client t-apps by-space "$N2"
client t-apps opted-out "$N1" gateway=none
client t-plain plain "$N1"
check "pods of two gateways and of none start" hook_all_start
exempt t-apps opted-out
exempt t-plain plain
ONE=vpn.t-one.svc.cluster.local TWO=vpn.t-two.svc.cluster.local
same "the pod's annotation: init and other containers" "first=$ONE client=$ONE" "$(values t-one by-pod)"
same "the other gateway's, in the same namespace" "first=$TWO client=$TWO" "$(values t-one other)"
same "the namespace's annotation" "first=$TWO client=$TWO" "$(values t-apps by-space)"
same "none opts out" "first= client=" "$(values t-apps opted-out)"
same "a namespace without" "first= client=" "$(values t-plain plain)"
# shellcheck disable=SC2016 # the pod's shell
same "the container sees it" "$ONE" "$(in_pod t-one by-pod sh -c 'echo $gateway' || true)"
# shellcheck disable=SC2016
same "and the other's" "$TWO" "$(in_pod t-apps by-space sh -c 'echo $gateway' || true)"
check "and is answered by that gateway" poll 10 answered t-apps by-space t-two
for pod in "t-one by-pod t-one" "t-one other t-two" "t-apps by-space t-two"; do
	# shellcheck disable=SC2086 # words
	only "${pod% *} has met its gateway only" $pod
done

check "a wrong name is refused, in words" refused 'denied the request: there is no Service nosuch in namespace t-plain' t-plain wrong nosuch
check "what is no name, too" refused "denied the request: .*'not a name' is not the name of a Service; write NAME" t-plain wrong "not a name"
check "and no such pod is there" not K -n t-plain get pod wrong
K -n t-two annotate service vpn podswitch.io/allow-namespaces=t-apps >/dev/null
check "a gateway that does not take the namespace" poll 10 refused 'does not take pods of namespace t-plain' t-plain wrong vpn.t-two
K -n t-two annotate service vpn podswitch.io/allow-namespaces- >/dev/null
# Both in one file: the webhook has not seen the Service when it is asked about the pod.
check "a gateway and a pod made in one go" both_made

K patch mutatingwebhookconfiguration podswitch --type=json -p '[{"op": "replace", "path": "/webhooks/0/failurePolicy", "value": "Fail"}]' >/dev/null
bare t-apps load >"$TMP/load.json"
sleep 2 # the API server reads its configuration anew within a second
for n in 1 2 3; do
	load $n &
	LOADS+=($!)
done
poll 60 loaded 20 || die "no load"
K -n "$SYSTEM" rollout restart deployment podswitch-webhook >/dev/null
check "restarted under load" K -n "$SYSTEM" rollout status deployment podswitch-webhook --timeout=120s
poll 60 loaded $(($(cat "$TMP"/load.[0-9] | wc -l) + 20)) || true
kill "${LOADS[@]}"
wait "${LOADS[@]}" 2>/dev/null || true
LOADS=()
note "$(cat "$TMP"/load.[0-9] | wc -l) pods meanwhile"
same "each pod was admitted, with its gateway" "$TWO $TWO" "$(cat "$TMP"/load.[0-9] | sort | uniq -c | sed 's/^ *[0-9]* //')"
