#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# 78-rights.sh - podswitchd has the capabilities that its manual names and no others, its workers none, and works so
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

declare -A NUMBER=([net_bind_service]=10 [net_admin]=12 [net_raw]=13 [sys_ptrace]=19 [sys_admin]=21)
mask() { # mask CAPABILITY...: as the kernel prints it
	local name sum=0
	for name; do sum=$((sum | 1 << NUMBER[$name])); done
	printf '%016x' $sum
}
with() { # with CAPABILITY...: to be put before a command: as root, but for all other capabilities
	local name set=-all
	for name; do set+=,+$name; done
	WITH=(ip netns exec "$P-node" setpriv "--bounding-set=$set" "--inh-caps=$set")
}
fields() { # fields NAME THREAD...: the values of one line of /proc/PID/task/THREAD/status, each once
	local name=$1 thread
	shift
	for thread; do awk -v "name=$name:" '$1 == name { print $2 }' "/proc/$DAEMON/task/$thread/status"; done | sort -u | xargs
}
threads() { find "/proc/$DAEMON/task" -mindepth 1 -maxdepth 1 -printf '%f\n' | grep -vx "$DAEMON"; }

# A sanitizer's library needs to look at its own process.
sanitized() { grep -aqE '__(asan|tsan)_init' "$BUILD/podswitchd"; }
confined() { # confined MASK: what each thread has
	local workers
	workers=$(threads)
	same "the two workers are there" 2 "$(wc -w <<<"$workers")"
	same "the control thread has what it needs" "$1 $1" "$(fields CapEff "$DAEMON") $(fields CapPrm "$DAEMON")"
	# shellcheck disable=SC2086 # words
	same "workers have nothing" "0000000000000000 0000000000000000" "$(fields CapEff $workers) $(fields CapPrm $workers)"
	# shellcheck disable=SC2086
	same "and nobody can get more" "$1 0000000000000000 0000000000000000" \
		"$(fields CapBnd "$DAEMON" $workers) $(fields CapInh "$DAEMON" $workers) $(fields CapAmb "$DAEMON" $workers)"
	# shellcheck disable=SC2086
	same "no_new_privs" 1 "$(fields NoNewPrivs "$DAEMON" $workers)"
	# shellcheck disable=SC2086
	sanitized || same "system calls are filtered" 2 "$(fields Seccomp "$DAEMON" $workers)"
}
start() { # start [WRAPPER...]: podswitchd as a container's root that has what `with` says
	"${WITH[@]}" "$@" "$BUILD/podswitchd" -s "$PODSWITCH_SOCKET" --state-dir "$TMP/state" -w 2 >>"$LOG" 2>&1 &
	DAEMON=$! REMOVED=yes
	PIDS+=("$DAEMON")
	poll 10 answers || die "podswitchd does not answer: $(tail -5 "$LOG")"
}
works() { # all that needs a right
	gateway a 1
	gateway low 2 --port 700 --underlay host
	check "a pod with a name for its namespace" port 1 a --default-via 172.16.0.1 --exclusive on --inbound on --probe 1
	check "and one by the process id of another user" \
		ctl port add pod2 --gateway low --netns "$sleeper" --address 172.16.0.12/24
	check "reach their gateways" p ping -c1 -W3 172.16.0.1
	check "(the port is below 1024)" [ "$(gateways '.[] | select(.name == "low").port')" = 700 ]
	soon "which are seen to answer" up ports '.[] | select(.name == "pod1").state'
	check "the interface can be changed" ctl port set pod1 --address 172.16.0.21/24
	check "and still leads there" p ping -c1 -W3 172.16.0.1
	check "and goes" ctl port remove pod1
	ctl port remove pod2
	ctl gateway remove a
	ctl gateway remove low
}
lacks() { # lacks CAPABILITY: podswitchd without that one ends, and says so
	local name rest=()
	for name in "${every[@]}"; do [ "$name" = "$1" ] || rest+=("$name"); done
	with "${rest[@]}"
	refused "without $1" "CAP_${1^^}.*capabilities.add" "${WITH[@]}" "$BUILD/podswitchd" -s "$TMP/lacks.sock" \
		--state-dir "$TMP/lacks"
}

build gwa gwb pod1 pod2
far gwa
ip netns exec "$P-pod2" setpriv --reuid=65534 --clear-groups sleep 600 &
sleeper=$!
PIDS+=("$sleeper")
every=(net_bind_service net_admin net_raw sys_ptrace sys_admin)

echo "-- started as root"
daemon -w 2
FDS=$(descriptors)
confined "$(mask "${every[@]}")"
works
check "podswitchd ends" stop

echo "-- started in a container that gives what the manual names"
with "${every[@]}"
start
confined "$(mask "${every[@]}")"
works
check "podswitchd ends" stop

echo "-- whose /proc/sys is read-only"
settings() { q cat /proc/sys/net/ipv4/{tcp_fwmark_accept,fwmark_reflect} /proc/sys/net/ipv6/fwmark_reflect | xargs; }
same "nobody has set these before" "0 0 0" "$(settings)"
# shellcheck disable=SC2016 # the dollar is sh's
start unshare -m sh -c 'mount --bind /proc/sys /proc/sys && mount -o remount,bind,ro /proc/sys && exec "$@"' sh
gateway a 1
port 2 a --default-via 172.16.0.1 --exclusive on --inbound on
same "inbound is prepared in the pod all the same" "1 1 1" "$(settings)"
ctl port remove pod2
ctl gateway remove a
check "podswitchd ends" stop

echo "-- with less"
daemon --seccomp off
same "--seccomp off: no filter" 0 "$(fields Seccomp "$DAEMON")"
check "podswitchd ends" stop
lacks net_admin
lacks sys_admin
same "leaves nothing" "" "$(find "$TMP" -name 'lacks*')"
with net_admin sys_admin
start
confined "$(mask net_admin sys_admin)"
check "net_raw: the log says what cannot be done" grep -q 'without CAP_NET_RAW no port can' "$LOG"
check "net_bind_service, too" grep -q 'without CAP_NET_BIND_SERVICE no port can' "$LOG"
check "sys_ptrace, too" grep -q 'without CAP_SYS_PTRACE no port can' "$LOG"
# Whoever has the same rights may trace a process, unless it is not dumpable.
sanitized || check "a process with the same rights cannot look into it" \
	not "${WITH[@]}" readlink "/proc/$DAEMON/exe"
gateway a 1
refused "a namespace by another user's process id" "CAP_SYS_PTRACE" ctl port add pod2 --gateway a --netns "$sleeper"
check "by its name it is taken" port 1 a
check "and works" p ping -c1 -W3 172.16.0.1
ctl port remove pod1
ctl gateway remove a
FDS=$(descriptors)
quit "$sleeper"

finish
