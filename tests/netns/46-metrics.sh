#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# 46-metrics.sh - metrics.get: the same figures as those of port.list, gateway.list and stats.get, in short
# shellcheck source-path=SCRIPTDIR source=lib.sh disable=SC2119 # daemon takes options, or none
. "$(dirname "$0")/lib.sh"

build gwa pod1 pod2
far gwa
daemon -w 2
FDS=$(descriptors)
metrics() { # metrics FILTER
	echo '{"jsonrpc": "2.0", "id": 1, "method": "metrics.get"}' | socat -t5 - "UNIX:$PODSWITCH_SOCKET" | jq -c ".result | $1"
}
same "there is nothing yet" '[[],[],2]' "$(metrics '[.ports, .gateways, (.workers | length)]')"
gateway a 1 --underlay host
port 1 a --default-via 172.16.0.1 --probe 1 --exclusive on
port 2 a
check "traffic runs" p ping -c3 -i0.1 -W3 172.16.0.1
# A frame that may not be sent.
p "$PYTHON" -c '
import socket
with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as sock:
    sock.bind(("vx0", 0))
    sock.send(b"\2\0\0\0\0\1" + b"\3\0\0\0\0\1" + b"\x08\0" + bytes(50))  # a group as its source
'
soon "its gateway has answered probes" true metrics '.gateways[0].answers | .n > 0 and .sum > 0 and .sum < 5 and .buckets[-1] == .n'

figures() { # of port.list and gateway.list, as metrics.get has them
	ports -c '[.[] | [.name, .gateway, .state, .client.state, .queues, (.counters | [.rx_frames, .rx_bytes, .tx_frames, .tx_bytes]),
		(.counters.drops | with_entries(select(.value > 0)))]]'
	gateways -c '[.[] | [.name, .ports, (.remotes | length), (.counters | [.tx_datagrams, .tx_bytes, .rx_datagrams, .rx_bytes]),
		(.counters.drops | with_entries(select(.value > 0)))]]'
	stats -c '.drops'
}
short() {
	metrics '[.ports[] | [.name, .gateway, .state, .client, .queues, .counters, .drops]]'
	metrics '[.gateways[] | [.name, .ports, .remotes, .counters, .drops]]'
	metrics '.drops'
}
agree() { [ "$(figures)" = "$(short)" ]; }
check "the figures are those of the other reports" poll 10 agree
same "the drop is there, with its reason" 1 "$(metrics '.ports[0].drops.bad_source')"
ctl port remove pod1
same "a port that is gone is not in it" '["pod2"]' "$(metrics '[.ports[].name]')"
finish
