#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# 50-outages.sh - the API server stopped for a minute; agent, podswitchd and containerd restarted: all under traffic
# shellcheck source=lib.sh

space t-one
gateway t-one "$N1"
poll 60 gateway_up t-one || die "no gateway in t-one"
client t-one near "$N1" gateway=vpn
client t-one far "$N2" gateway=vpn
ready t-one near far || die "a client does not start"
before="$(identity t-one near) $(identity t-one far)"
inside=$(address "$WATCH" inside)
talk_begin t-one near "$inside"
talk_begin t-one far "$inside"

if [ -n "$BED" ]; then
	ping_begin t-one near
	ping_begin t-one far
	bed down.sh -p kube-apiserver >/dev/null
	since=$SECONDS
	check "the API server is stopped" not K get --raw /readyz
	while [ $((SECONDS - since)) -lt 60 ]; do sleep 1; done # the minute itself is the test
	KUBELET_FLAGS="--kube-api-qps=50 --kube-api-burst=100" bed up.sh n1 n2 >/dev/null
	check "it is back after $((SECONDS - since)) s" poll 60 K get --raw /readyz
	check "and reaches the pods" poll 60 in_pod t-one near true
	for pod in near far; do
		lost=$(ping_end t-one $pod)
		like "of $pod's packets none was lost (of ${lost#* })" '^0 ([3-9][0-9][0-9]|[0-9]{4})' "$lost"
	done
	check "the agents see the cluster again" poll 60 agents_ready
	client t-one after "$N2" gateway=vpn
	DEADLINE=120 check "and new pods are attached" ready t-one after # the kubelet waits up to a minute
fi

for node in "${NODES[@]}"; do
	pod=near
	[ "$node" = "$N1" ] || pod=far
	ping_begin t-one $pod
	pid=$(daemon "$node" podswitch-agent)
	hand "$node" kill -9 "$pid"
	check "the agent of $node is killed and comes again" poll 60 reborn "$node" podswitch-agent "$pid"
	check "and is ready" poll 60 agents_ready
	lost=$(ping_end t-one $pod)
	like "no packet was lost (of ${lost#* })" '^0 ' "$lost"

	ping_begin t-one $pod
	pid=$(daemon "$node" podswitchd)
	hand "$node" kill -9 "$pid"
	check "podswitchd of $node is killed and comes again" poll 60 reborn "$node" podswitchd "$pid"
	within "traffic is back" 15 answered t-one $pod t-one
	note "$(ping_end t-one $pod | sed 's/\(.*\) \(.*\)/of \2 packets \1 were lost meanwhile/')"
done
client t-one again "$N1" gateway=vpn
check "a pod made after that is attached" ready t-one again

if [ -n "$BED" ]; then
	ping_begin t-one near
	bed down.sh -p n1.containerd >/dev/null
	KUBELET_FLAGS="--kube-api-qps=50 --kube-api-burst=100" bed up.sh n1 n2 >/dev/null
	check "containerd is restarted, and the node with it ready" poll 60 in_pod t-one near true
	lost=$(ping_end t-one near)
	like "no packet was lost (of ${lost#* })" '^0 ' "$lost"
	client t-one last "$N1" gateway=vpn
	check "a pod made after that is attached" ready t-one last
	check "and answered" poll 5 answered t-one last t-one
	only "it has met its gateway only" t-one last t-one
fi
same "no pod was restarted in all this" "$before" "$(identity t-one near) $(identity t-one far)"
for pod in near far; do
	check "TCP to the cluster has gone on ($pod)" talking t-one $pod
	only "$pod has met its gateway only" t-one $pod t-one
done
