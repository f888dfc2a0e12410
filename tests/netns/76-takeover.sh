#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# 76-takeover.sh - a new podswitchd takes everything over from one that runs: nothing is lost, and what fails on the way
# costs nothing
#
#   pod1 --.   old podswitchd   .-- gwa
#           >-- ~~~~~~~~~~~~> --<
#   pod2 --'   new podswitchd   '-- gwb
# shellcheck source-path=SCRIPTDIR source=lib.sh disable=SC2119 # daemon takes options, or none
. "$(dirname "$0")/lib.sh"

RATE=$((10000 / SLOW))

fails() { # fails PATTERN OPTIONS...: the successor ends with status 1 and says why; the old one goes on
	local status=0 pattern=$1
	successor "${@:2}"
	wait "$DAEMON" || status=$?
	DAEMON=$old
	if [ $status != 1 ] || ! serves "$old" || ! tail -n 3 "$LOG" | grep -Eq -- "$pattern"; then
		tail -n 5 "$LOG"
		return 1
	fi
}
flow() { # flow FROM TO ADDRESS SECONDS: in the background
	FULL=$(queue_full)
	bgpkt "$2" "$TMP/tally-$1" tally --port 9000
	TALLIES+=($!)
	ns "$1" "$PYTHON" "$HERE/pkt.py" pace --to "$3" --port 9000 --rate $RATE --count $((RATE * $4)) >"$TMP/pace-$1" 2>&1 &
	PIDS+=($!)
	PACE+=($!)
}
flows() { # flows SECONDS: pod1 to its gateway and back
	TALLIES=() PACE=()
	flow pod1 gwa 172.16.0.1 "$1"
	flow gwa pod1 172.16.0.11 "$1"
}
# Nothing is lost, nor comes in another order; but for what found the queue of the pod's TAP full, as it does where a
# worker waits for a processor. That this is not how a takeover loses is seen by the time it takes. ORDER=any: where the
# number of workers changes, a flow may have another one read it while the first still has what came before.
flows_end() { # flows_end TEXT [SENDER...]
	local from pid sent full told senders=("${@:2}")
	for pid in "${PACE[@]}"; do wait "$pid" || miss "$1: a sender failed" "$(cat "$TMP"/pace-*)"; done
	[ $# -gt 1 ] || senders=(pod1 gwa)
	for from in "${senders[@]}"; do
		poll 10 all_arrived "$from" || true
		sent=$(sed -n 's/^sent \([0-9]*\) .*/\1/p' "$TMP/pace-$from") full=0
		[ "$from" = gwa ] || full=$(($(queue_full) - FULL))
		told=$(arrivals "$from")
		[ "${ORDER:-}" != any ] || { note "$1: from $from, $told" && told="${told%,*}, 0 late"; }
		same "$1: none of the frames from $from is lost or late" "got $((sent - full)), 0 late" "$told"
	done
	for pid in "${TALLIES[@]}"; do quit "$pid"; done
}
pauses() { sed -n 's/.*stopped reading for \([0-9]*\)\..* ms$/\1/p' "$LOG" | sort -n | xargs; }
quick() { # half of the takeovers so far were quick, as on a machine with nothing else to do all are
	local all
	read -ra all <<<"$(pauses)"
	[ "${all[$((${#all[@]} / 2))]}" -lt $((20 * SLOW)) ] || { echo "ms: ${all[*]}" && return 1; }
}

build
for underlay in host pod; do
	echo "-- $underlay underlay"
	# Anew: the kernel's vxlan keeps the route to a MAC's old remote when the MAC moves to another.
	far gwa
	far gwb
	daemon
	gateway a 1 --underlay $underlay
	gateway b 2 --underlay $underlay
	port 1 a
	port 2 b
	check "traffic runs" p ping -c1 -W3 172.16.0.1
	check "of both" q ping -c1 -W3 172.16.0.1
	was=$(ports -c 'map(del(.counters, .worker))')
	learned=$(fdb -c 'map(del(.age)) | sort')
	flows 3
	check "a new one takes over" pass_on
	check "with another way of I/O" pass_on --io epoll
	check "and with the usual one" pass_on
	flows_end "$underlay underlay"
	flows 3
	for workers in 2 2 1; do
		check "another number of workers: $workers" pass_on -w $workers
	done
	ORDER=any flows_end "$underlay underlay, other numbers of workers"
	check "nothing was read for less than $((20 * SLOW)) ms (ms: $(pauses))" quick
	same "ports are as they were" "$was" "$(ports -c 'map(del(.counters, .worker))')"
	same "and the table" "$learned" "$(fdb -c 'map(del(.age)) | sort')"
	soon "counters have gone on" "" counters_equal pod1
	for pod in pod1 pod2; do ctl port remove $pod; done
	for gateway in a b; do ctl gateway remove $gateway; done
	check "the last one is stopped" stop
done

echo "-- a lease, the only way out, a hub's clients"
# dnsmasq as pod-gateway's gateway_sidecar.sh runs it
a dnsmasq --keep-in-foreground --conf-file=/dev/null --no-hosts --no-resolv --port=0 --user=root --no-ping \
	--interface=vxlan0 --bind-interfaces --dhcp-range=172.16.0.20,172.16.0.60,12h --dhcp-leasefile="$TMP/leases" \
	--pid-file= --log-dhcp --log-facility=- >"$TMP/dnsmasq" 2>&1 &
PIDS+=($!)
poll 5 grep -q started "$TMP/dnsmasq" || die "dnsmasq does not start: $(cat "$TMP/dnsmasq")"
far gwa
far gwb
ip -n "$P-gwb" addr flush dev vxlan0 scope global
ip -n "$P-gwb" addr add 172.16.0.30/24 dev vxlan0
ip -n "$P-gwb" link set vxlan0 type vxlan remote 10.0.2.1 2>/dev/null || true
daemon
FDS=$(descriptors)
gateway a 1
ctl gateway add hub --vni 42 --port 4790
ctl port add pod1 --gateway a --netns "$P-pod1" --dhcp --probe 1 --exclusive on --own-addresses on
client() { ctl -j port show pod1 | jq -r ".client.$1"; }
poll 10 prints ready client state || die "no lease: $(client state)"
requests() { grep -c 'DHCPREQUEST\|DHCPDISCOVER' "$TMP/dnsmasq"; }
asked=$(requests) lease=$(ctl -j port show pod1 | jq -c '[.addresses, .client.router, .client.server, .client.lease]')
rules() { p sh -c 'ip rule; ip route show table all; nft list ruleset' | sed 's/ expires [0-9a-z]*//'; }
kept=$(rules)
TALLIES=() PACE=()
flow pod1 gwa 172.16.0.1 4
for _ in 1 2 3; do check "a new one takes over" pass_on; done
flows_end "with a lease" pod1
same "the lease is what it was" "$lease" "$(ctl -j port show pod1 | jq -c '[.addresses, .client.router, .client.server, .client.lease]')"
same "it is ready, and was all the time" ready "$(client state)"
same "nobody has asked the server" "$asked" "$(requests)"
same "rules, routes and filters of the pod are what they were" "$kept" "$(rules)"

echo "-- a TCP connection"
file=$(random_file 20)
a socat -u TCP4-LISTEN:5002,reuseaddr "OPEN:$TMP/slow,creat,trunc" &
receiving=$!
PIDS+=("$receiving")
poll 5 listening gwa t 5002 || die "nobody listens in gwa"
resent() { p nstat -asz TcpRetransSegs | awk '$1 == "TcpRetransSegs" { print $2 }'; }
before=$(resent)
bg pod1 "$PYTHON" "$HERE/pkt.py" slow-send --to 172.16.0.1 --port 5002 --rate 5000000 "$file"
sending=$!
for _ in 1 2 3; do check "a new one takes over" pass_on; done
check "it was not over before" kill -USR1 $sending
check "the file arrives" poll 30 not kill -0 $receiving
wait $sending || true
same "as it was sent" "$(sha256sum <"$file")" "$(sha256sum <"$TMP/slow")"
# Beside other work a segment may meet a full queue, of a TAP or of a socket.
check "without a burst of retransmissions ($(($(resent) - before)) segments)" test $(($(resent) - before)) -lt $((10 * SLOW))

echo "-- killed and started again"
p ping -q -i0.005 -W1 -c400 172.16.0.1 >"$TMP/ping" &
pinging=$!
sleep 0.5 # amid them
check "it is killed" crash
daemon
wait $pinging || true
lost=$(awk '/transmitted/ { print $1 - $4 }' "$TMP/ping")
check "for less than $((200 * SLOW)) ms nothing passes ($((lost * 5)) ms)" test "$lost" -lt $((40 * SLOW))
poll 10 prints ready client state || miss "the lease is back" "$(client state)"

echo "-- what fails costs nothing"
TALLIES=() PACE=()
flow pod1 gwa 172.16.0.1 10
check "another state directory: it ends, and says what to give" fails 'is not the directory of the podswitchd that is taken over from' --state-dir "$TMP/other"
check "another address of the node" fails 'another --vtep needs a restart without --takeover' --vtep 10.0.1.1
heir() { n "$PYTHON" "$HERE/heir.py" "$PODSWITCH_SOCKET" "$1"; }
goes_on() { serves "$DAEMON" && tail -n 2 "$LOG" | grep -Eq "not handed over, going on: .*$1"; }
for case in "hang-up has hung up" "garbage is no JSON object" "early has hung up" "late has hung up" "failed no room for xxx" "flood descriptors"; do
	check "one that fails (${case%% *})" heir "${case%% *}"
	check "is said to have failed" poll 5 goes_on "${case#* }"
done
flows_end "failures" pod1
TALLIES=() PACE=()
flow pod1 gwa 172.16.0.1 12
check "one that says nothing" heir silent
check "is waited for 10 s, and the data plane goes on" poll 5 goes_on "does not go on"
flows_end "silence" pod1
check "one that says nothing while both are paused" heir frozen
check "is waited for 2 s" poll 5 goes_on "does not go on"
check "and then traffic goes on" p ping -c1 -W3 172.16.0.1

echo "-- one that waits to be stopped after it has handed over; nobody to take over from"
check "it takes over" pass_on --after-takeover wait
successor
waiting=$old
poll 10 serves "$DAEMON" || die "nobody takes over"
check "the old one waits" poll 5 says "waiting to be stopped" tail -n 3 "$LOG"
same "and holds nothing" "" "$(find "/proc/$waiting/fd" -lname '*tun*' -o -lname '*net:*' 2>/dev/null)"
kill "$waiting"
check "until it is stopped" wait "$waiting"
check "the new one serves" p ping -c1 -W3 172.16.0.1
check "it is stopped" stop
successor
check "with nobody there, it starts like any other" poll 10 serves "$DAEMON"
check "and serves" p ping -c1 -W3 172.16.0.1
echo "-- two that wait for each other's end"
stand_by() { # stand_by [OPTIONS...]: one that waits beside the DAEMON
	ip netns exec "$P-node" "$BUILD/podswitchd" -s "$PODSWITCH_SOCKET" --state-dir "$TMP/state" --standby ${IO:+--io "$IO"} \
		"$@" >>"$LOG" 2>&1 &
	WAITING=$!
	PIDS+=("$WAITING")
}
is_up() { ctl status --instance "$1" >/dev/null; }
ended() { kill "$1" && wait "$1"; }
went() { # went PID: it ends with status 0, and the one that waited serves
	poll 20 over "$1" || { echo "it still runs" && return 1; }
	wait "$1" || { echo "status $?" && return 1; }
	poll 10 serves "$WAITING" || { tail -n 5 "$LOG" && return 1; }
	DAEMON=$WAITING
}
told_to_stop() { kill "$DAEMON" && went "$DAEMON"; }
killed() { # for how many ms nobody answered to ping
	p ping -q -i0.005 -W1 -c400 172.16.0.1 >"$TMP/ping" &
	pinging=$!
	sleep 0.5 # amid them
	kill -9 "$DAEMON"
	wait "$DAEMON" 2>/dev/null || true
	poll 10 serves "$WAITING" || { tail -n 5 "$LOG" && return 1; }
	DAEMON=$WAITING
	wait $pinging || true
	lost=$(awk '/transmitted/ { print $1 - $4 }' "$TMP/ping")
}
stand_by --instance two
check "the second waits, and is up" poll 10 is_up two
check "whoever was never started is not" says "is '', not 'three'" ctl status --instance three
serving=$DAEMON
same "the first one serves" "$serving" "$(ctl -j status | jq .pid)"
same "and says who waits" two "$(ctl -j status | jq -r .standby)"
second=$WAITING
stand_by --instance third
check "a third is refused" not wait "$WAITING"
check "and told why" says "'two'.*waits to take over already" tail -n 2 "$LOG"
WAITING=$second
TALLIES=() PACE=()
flow pod1 gwa 172.16.0.1 $((3 + SLOW))
check "the first is told to stop: the second takes over" told_to_stop
stand_by --instance three --linger 30
check "a third waits" poll 10 is_up three
check "the second is told to stop" told_to_stop
flows_end "two that wait for each other" pod1
TALLIES=() PACE=()
flow pod1 gwa 172.16.0.1 $((4 + SLOW))
kill "$DAEMON"
check "nobody waits: it goes on" poll 5 says "going on until another" tail -n 1 "$LOG"
sleep 1
check "for a while" serves "$DAEMON"
third=$DAEMON
stand_by --instance four
check "until another comes, which takes over" went "$third"
stand_by --instance five --linger 30
flows_end "nobody waited" pod1
check "another waits" poll 10 is_up five
check "the one that serves is killed: the other is there" killed
check "for less than $((200 * SLOW)) ms nothing passes ($((lost * 5)) ms)" test "$lost" -lt $((40 * SLOW))
stand_by --instance six
check "another waits" poll 10 is_up six
check "it is told to stop, and does" ended "$WAITING"
check "and is missed" poll 5 says "waited to take over has gone" tail -n 2 "$LOG"
kill "$DAEMON"
check "the one that serves would go on for long" poll 5 says "going on until another.*30 s" tail -n 1 "$LOG"
check "but for a second signal" stop
daemon --linger 30
kill "$DAEMON"
check "another one goes on" poll 5 says "going on until another" tail -n 1 "$LOG"
nobody_comes() { # as the agent says when all is uninstalled
	n "$PYTHON" - "$PODSWITCH_SOCKET" <<-'END'
		import socket, sys
		s = socket.socket(socket.AF_UNIX)
		s.connect(sys.argv[1])
		s.sendall(b'{"jsonrpc": "2.0", "id": 1, "method": "takeover.nobody"}\n')
		s.recv(100)
	END
	poll 5 over "$DAEMON" && wait "$DAEMON"
}
check "until it is told that nobody will come" nobody_comes
daemon
check "without anybody who ever waited it ends at once" stop
stand_by --instance first
DAEMON=$WAITING
stand_by --instance second
check "two that start at once, with nobody there" poll $((10 * SLOW)) is_up first
check "do not fail" poll $((10 * SLOW)) is_up second
serving=$(ctl -j status | jq .pid)
[ "$serving" = "$DAEMON" ] || { WAITING=$DAEMON && DAEMON=$serving; }
check "one waits for the other" told_to_stop
finish
