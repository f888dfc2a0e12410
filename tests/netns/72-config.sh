#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# 72-config.sh - podswitchd's configuration file and command line; two podswitchds; a detached port's second life
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

build gwa pod1
far gwa
setting() { ctl -j status | jq -c "$1"; }

echo "-- the file, and what wins over it"
cat >"$TMP/config.json" <<CONFIG
{"socket": "$TMP/elsewhere.sock", "state_dir": "$TMP/elsewhere", "workers": 2, "vtep": ["10.0.1.1", "fd00:1::1"],
 "log_level": "warning", "reserved": "ignore", "ageing": 77, "fdb_gateway_limit": 78, "fdb_remote_limit": 79}
CONFIG
daemon -c "$TMP/config.json" --ageing 88 --vtep 10.0.1.1
FDS=$(descriptors)
same "keys of the file are in force" '[2,"warning","ignore",78,79]' \
	"$(setting '[.workers, .log_level, .reserved, .fdb_gateway_limit, .fdb_remote_limit]')"
same "options win over them, a list as a whole" '[88,["10.0.1.1"]]' "$(setting '[.ageing, .vtep]')"
same "the socket and the state directory, too" "[\"$PODSWITCH_SOCKET\",\"$TMP/state\"]" "$(setting '[.socket, .state_dir]')"
gateway a 1 --underlay host
port 1 a
bgpkt pod1 "$TMP/arrived" sniff vx0
pkt gwa inject --to 10.0.1.1 reserved good:end
check "a good frame arrives" poll 5 grep -q good:end "$TMP/arrived"
same "and so do those with each of the 39 reserved bits" 39 "$(grep -o 'reserved:[0-9]*' "$TMP/arrived" | sort -u | wc -l)"
quit $!

echo "-- a second podswitchd"
second() { n timeout 5 "$BUILD/podswitchd" "$@"; }
refused "on the same state directory" "state_dir.*$DAEMON" second -s "$TMP/other.sock" --state-dir "$TMP/state"
check "leaves no socket" [ ! -e "$TMP/other.sock" ]
refused "on the same socket" "control.sock" second -s "$PODSWITCH_SOCKET" --state-dir "$TMP/other"
check "the first still answers" answers
same "has its port" up "$(ports '.[0].state')"
check "and passes traffic" p ping -c1 -W3 172.16.0.1
jq --arg s "$TMP/beside.sock" --arg d "$TMP/beside" '.socket = $s | .state_dir = $d | .workers = "auto" | del(.vtep)' "$TMP/config.json" >"$TMP/beside.json"
bg node "$BUILD/podswitchd" -c "$TMP/beside.json" 2>>"$LOG"
beside=$!
check "one beside it, with a socket and a state directory from its file" \
	poll 5 says '"ageing": 77' ctl -s "$TMP/beside.sock" -j status
half=$(($(nproc) / 2))
same "auto: a worker for each two processors, 4 at most" "$((half < 1 ? 1 : half > 4 ? 4 : half))" \
	"$(ctl -s "$TMP/beside.sock" -j status | jq .workers)"
quit $beside

echo "-- wrong files and options"
try() { second -s "$TMP/x.sock" --state-dir "$TMP/x" "$@"; }
wrong() { # wrong TEXT PATTERN CONTENT
	echo "$3" >"$TMP/wrong.json"
	refused "$1" "$2" try -c "$TMP/wrong.json"
}
refused "no such file" "nothing.json" try -c "$TMP/nothing.json"
wrong "no JSON" "wrong.json.*line 1" "workers = 2"
wrong "no object" "wrong.json.*object" "[2]"
wrong "an unknown key" "wrong.json.*worker:" '{"worker": 2}'
wrong "a key given twice" "wrong.json.*" '{"workers": 2, "workers": 3}'
wrong "a wrong type" "wrong.json.*workers" '{"workers": "two"}'
wrong "a number out of range" "wrong.json.*ageing.*0" '{"ageing": 0}'
wrong "a word that is none" "wrong.json.*reserved.*perhaps" '{"reserved": "perhaps"}'
usage() { # usage PATTERN OPTIONS...
	local status=0 output
	output=$(try "${@:2}" 2>&1) || status=$?
	same "${*:2}: wrong usage, one line" "2 1" "$status $(grep -c . <<<"$output")"
	check "${*:2}: it is named" says "$1" echo "$output"
}
usage "workers.*0" -w 0
usage "workers.*17" --workers 17
usage "ageing" --ageing soon
usage "log-level.*loud" --log-level loud
usage "reserved.*maybe" --reserved maybe
usage "vtep.*nowhere" --vtep nowhere
usage "surplus" surplus
usage "--ageing" --ageing
check "nothing of it was made" [ ! -e "$TMP/x.sock" ]
for program in podswitchd podswitchctl; do
	check "$program --help" says "^usage: $program" "$BUILD/$program" --help
	check "$program --version" says "^$program [0-9]" "$BUILD/$program" --version
done

echo "-- a detached port outlives podswitchd"
ctl gateway remove a --force
same "detached" detached "$(ports '.[0].state')"
tap=$(p ip -j link show vx0 | jq -c '.[0] | [.ifindex, .address]')
check "podswitchd ends" stop
daemon
same "it is there after the start" '["pod1","detached","a"]' "$(ports -c '.[0] | [.name, .state, .gateway]')"
same "with the same TAP" "$tap" "$(p ip -j link show vx0 | jq -c '.[0] | [.ifindex, .address]')"
before=$(drops)
check "which leads nowhere" not p ping -c2 -i0.1 -W1 172.16.0.1
check "as is counted" says '"detached":[1-9]' grown "$before"
gateway b 1
check "port set --gateway attaches it" ctl port set pod1 --gateway b
same "it is up" up "$(ports '.[0].state')"
check "and works" p ping -c1 -W3 172.16.0.1
ctl gateway remove b --force
crash
daemon
same "and once more, killed" detached "$(ports '.[0].state')"
gateway a 1
refused "port add with other settings than it has now" "pod1" port 1 a
check "port set --gateway" ctl port set pod1 --gateway a
check "works" p ping -c1 -W3 172.16.0.1
ctl port remove pod1
ctl gateway remove a
FDS=$(descriptors)

finish
