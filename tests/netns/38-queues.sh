#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# 38-queues.sh - a busy pod's TAP gets several queues, which all workers read: no flow's frames change their order when
# they come and go, and none is lost
# shellcheck source-path=SCRIPTDIR source=lib.sh disable=SC2119 # daemon takes options, or none
. "$(dirname "$0")/lib.sh"

RATE=$((3000 / SLOW)) FLOWS=4

build gwa pod1 pod2
far gwa
queues() { ctl -j port show "${1:-pod1}" | jq .queues; }
worked() { stats -c '[.workers[].events > 1000]'; }
bulk() { # bulk KILOBYTES FLOWS SECONDS: a millisecond, in super-frames of UDP; 0: all it can
	bg pod1 "$PYTHON" -c '
import socket, sys, time
kilobytes, flows, seconds = map(int, sys.argv[1:])
socks = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(flows)]
for i, sock in enumerate(socks):
    sock.setsockopt(17, 103, 1100)  # UDP_SEGMENT
    sock.bind(("172.16.0.11", 20000 + i))
end, sent, began = time.monotonic() + seconds, 0, time.monotonic()
while time.monotonic() < end:
    if kilobytes and sent > (time.monotonic() - began) * kilobytes * 1e6:
        time.sleep(0.001)
        continue
    for sock in socks:
        try:
            sock.sendto(bytes(22000), ("172.16.0.1", 9))
            sent += 22000
        except OSError:
            pass  # refused, as nobody listens
' "$@"
	BULK=$!
}
flows() { # flows SECONDS: numbered ones, to the gateway
	local i
	TALLIES=() PACE=()
	for ((i = 0; i < FLOWS; i++)); do
		bgpkt gwa "$TMP/tally-$i" tally --port $((9000 + i))
		TALLIES+=($!)
		ns pod1 "$PYTHON" "$HERE/pkt.py" pace --to 172.16.0.1 --port $((9000 + i)) --rate $RATE --count $((RATE * $1)) >"$TMP/pace-$i" 2>&1 &
		PIDS+=($!)
		PACE+=($!)
	done
}
flows_end() { # flows_end TEXT: none is late; nor lost, but for what found a queue full
	local i told lost=0 late=0 pid
	for pid in "${PACE[@]}"; do wait "$pid" || miss "$1: a sender failed" "$(cat "$TMP"/pace-*)"; done
	for ((i = 0; i < FLOWS; i++)); do
		poll 10 all_arrived $i || true
		told=$(arrivals $i)
		told=${told#got } lost=$((lost + RATE * SECONDS_OF - ${told%%,*}))
		told=${told#*, } late=$((late + ${told% late}))
	done
	for pid in "${TALLIES[@]}"; do quit "$pid"; done
	same "$1: no frame is late" 0 $late
	[ "$lost" -le $(($(queue_full) - FULL)) ] || miss "$1: no frame is lost" "$lost are, and $(($(queue_full) - FULL)) found a queue full"
}
begin() { # begin SECONDS: the numbered flows
	SECONDS_OF=$1 FULL=$(queue_full)
	flows "$1"
}
daemon -w 2
FDS=$(descriptors)
if [ "$(ctl -j status | jq .features.tap_queues)" = false ]; then
	echo "  --   left out: $(sed -n 's/.*tap_queues is 1: //p' "$LOG")"
	finish
	exit
fi
gateway a 1 --underlay host
port 1 a
port 2 a
check "traffic runs" p ping -c1 -W3 172.16.0.1
same "a quiet pod's interface has one queue" 1 "$(queues)"
same "and nothing queues in front of it" noqueue "$(p ip -j link show vx0 | jq -r '.[0].qdisc')"

echo "-- queues come"
begin 5
sleep 1
bulk 20 4 3
soon "a busy pod's has eight" 8 queues
flows_end "when they come"
same "the other pod's has one" 1 "$(queues pod2)"
same "all workers have read" '[true,true]' "$(worked)"

echo "-- and go"
begin 4
same "they are there yet" 8 "$(queues)"
poll 15 prints 1 queues || miss "they go once the pod is quiet"
flows_end "when they go"

echo "-- what is more than the workers can do"
begin 4
bulk 0 4 3
soon "there are eight" 8 queues
SECONDS_OF=0 flows_end "behind a flood" # many found a queue full

echo "-- a takeover"
for to in "-w 2" "-w 2 --io epoll" "-w 2"; do
	begin 4
	bulk 20 4 3
	poll 5 prints 8 queues || miss "there are eight"
	# shellcheck disable=SC2086 # several words
	check "to one with $to" pass_on $to
	soon "which has given it eight" 8 queues
	flows_end "$to"
done

echo "-- the end of what has them"
bulk 20 4 3
poll 5 prints 8 queues || miss "there are eight"
check "podswitchd is killed" crash
daemon -w 1
same "the next one takes up the first queue" 1 "$(queues)"
quit $BULK
bulk 20 4 3
soon "one worker reads eight as well" 8 queues
check "traffic runs" p ping -c1 -W3 172.16.0.1
check "the port is removed meanwhile" ctl port remove pod1
quit $BULK
port 1 a
bulk 20 4 3
soon "there are eight again" 8 queues
p ip link del vx0
soon "its interface is deleted meanwhile, and the port is gone" '"gone"' eval 'ctl -j port show pod1 | jq .state'
quit $BULK
ctl port remove pod1

echo "-- one queue"
check "podswitchd ends" stop
daemon --tap-queues 1
port 1 a
same "status says that there are not more" false "$(ctl -j status | jq .features.tap_queues)"
same "as it is, the interface cannot have more" null "$(p ip -d -j link show vx0 | jq '.[0].linkinfo.info_data.numqueues')"
bulk 20 4 2
sleep 1
same "nor has it when the pod is busy" 1 "$(queues)"
quit $BULK
check "podswitchd ends" stop
daemon
FDS=
same "the next one takes it up as it is" 1 "$(queues)"
bulk 20 4 2
sleep 1
same "it stays so" 1 "$(queues)"
check "traffic runs" p ping -c1 -W3 172.16.0.1
quit $BULK
check "podswitchd ends" stop

echo "-- where bpf() is forbidden"
case $(uname -m) in x86_64) BPF=321 ;; aarch64) BPF=280 ;; s390x) BPF=351 ;; esac
UNDER=("$PYTHON" "$HERE/forbid.py" "$BPF" 1)
daemon
same "status says that there are not more" false "$(ctl -j status | jq .features.tap_queues)"
check "the log says why" grep -q 'tap_queues is 1: bpf() is refused: Operation not permitted' "$LOG"
ctl port remove pod2
port 2 a
same "a new interface has one" 1 "$(queues pod2)"
check "traffic runs" q ping -c1 -W3 172.16.0.1
finish
