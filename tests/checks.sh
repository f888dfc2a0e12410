# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# checks.sh - waits and checks of the network tests and of those on a cluster; to be sourced
#
# A check prints "ok" or "FAIL" and why, and adds "passed" or "failed" and the name in SCENARIO to the file TALLY: to a
# file, so that a check in a subshell counts, too. A wait polls until a deadline; SLOW=3 in the environment makes the
# deadlines longer. Before the first of either, TMP is a folder for what the last command said.
SLOW=${SLOW:-1}
POLL=${POLL:-0.05} # seconds from one try to the next
BOLD='' RED='' GREEN='' DIM='' OFF=''
# shellcheck disable=SC2034 # BOLD is the demo's
[ ! -t 1 ] || { BOLD=$'\e[1m' RED=$'\e[31m' GREEN=$'\e[32m' DIM=$'\e[2m' OFF=$'\e[0m'; }

die() { # ends the scenario, which fails
	echo "$SCENARIO: $*" >&2
	exit 1
}

on_exit() { # on_exit FUNCTION: runs on every way out
	# shellcheck disable=SC2064 # its name, now
	trap "$1" EXIT
	trap 'exit 130' INT
	trap 'exit 143' TERM
	trap 'exit 129' HUP
	trap 'exit 141' PIPE
}

# selected NAME FILTERS...: one of the filters is part of the name, or there are none; and not one of those after a "-"
selected() {
	local name=$1 filter is=yes
	shift
	for filter; do case $filter in -*) ;; *) is='' ;; esac done
	for filter; do
		case $filter in
		-*) case $name in *"${filter#-}"*) return 1 ;; esac ;;
		*) case $name in *"$filter"*) is=yes ;; esac ;;
		esac
	done
	[ -n "$is" ]
}

# ---- processes ------------------------------------------------------------------------------------------------------

# The shell forgets a child when it ends, and on a busy machine its number is soon somebody else's: a process is only
# signalled while it is this script's child, or this subshell's.
ours() { grep -qsx "PPid:	\($$\|$BASHPID\)" "/proc/$1/status"; } # ours PID
end() { # end PID...: tells those that are ours to end
	local pid
	for pid; do ! ours "$pid" || kill "$pid" 2>/dev/null || true; done
}

# ---- waits ----------------------------------------------------------------------------------------------------------

poll() { # poll SECONDS COMMAND...: until it succeeds; the output is that of the last try, if even that failed
	local deadline=$((${EPOCHREALTIME/./} + $1 * SLOW * 1000000))
	shift
	until "$@" >"$TMP/poll" 2>&1; do
		[ "${EPOCHREALTIME/./}" -lt $deadline ] || { cat "$TMP/poll" 2>/dev/null || true; return 1; }
		sleep "$POLL"
	done
}

not() { ! "$@"; }
prints() { [ "$("${@:2}" 2>/dev/null)" = "$1" ]; } # prints WANTED COMMAND...

says() { # says PATTERN COMMAND...: its output has a line with the pattern (which need not end well)
	local output
	output=$("${@:2}" 2>&1 || true)
	grep -Eq -- "$1" <<<"$output" || { echo "no /$1/ in: $output" && return 1; }
}

# ---- checks ---------------------------------------------------------------------------------------------------------

pass() {
	echo "passed $SCENARIO" >>"$TALLY"
	echo "  ${GREEN}ok${OFF}   $1"
}

miss() { # miss TEXT [WHY]
	echo "failed $SCENARIO" >>"$TALLY"
	echo "  ${RED}FAIL${OFF} $1"
	[ -z "${2:-}" ] || printf '%s\n' "$2" | sed 's/^/         /'
}

failed_last() { [ "$(tail -n 1 "$TALLY")" = "failed $SCENARIO" ]; } # the last check of this scenario

note() { echo "  ${DIM}--${OFF}   $1"; }

tally() { # tally passed|failed [SCENARIO]: how many
	grep -c "^$1 ${2:-.*}\$" "$TALLY" || true
}

check() { # check TEXT COMMAND...: the command succeeds
	local text=$1
	shift
	if "$@" >"$TMP/check" 2>&1; then pass "$text"; else miss "$text" "\$ $*"$'\n'"$(cat "$TMP/check")"; fi
}

same() { # same TEXT WANTED GOT
	if [ "$2" = "$3" ]; then pass "$1"; else miss "$1" "wanted: $2"$'\n'"got:    $3"; fi
}

like() { # like TEXT PATTERN GOT
	if grep -Eq -- "$2" <<<"$3"; then pass "$1"; else miss "$1" "wanted: /$2/"$'\n'"got:    $3"; fi
}

soon() { # soon TEXT WANTED COMMAND...: within five seconds the command prints what is wanted
	eventually 5 "$@"
}
eventually() { # eventually SECONDS TEXT WANTED COMMAND...
	local seconds=$1 text=$2 wanted=$3
	shift 3
	poll "$seconds" prints "$wanted" "$@" >/dev/null || true
	same "$text" "$wanted" "$("$@" 2>&1 || true)"
}
