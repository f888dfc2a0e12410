#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# unit.sh - runs unit tests, as many at once as there are processors; one line each, and what a failed one has printed
set -eu

try() { # try PROGRAM: what is to be said of it, in one piece
	local log=$1.log status=0 ok
	"$1" >"$log" 2>&1 || status=$?
	ok=$(grep -c '^\[       OK \]' "$log" || true)
	[ $status != 0 ] || [ "$ok" = 0 ] || { printf '  ok   %s (%d)\n' "${1##*/}" "$ok" && return; }
	printf '  FAIL %s (exit status %d)\n%s\n' "${1##*/}" $status "$(sed 's/^/         /' "$log")"
}

said=$(mktemp)
trap 'rm -f "$said"' EXIT
export -f try
# shellcheck disable=SC2016 # it is for the other shell
printf '%s\0' "$@" | xargs -0 -P "$(nproc)" -I{} bash -c 'printf "%s\n" "$(try "$1")"' try {} | tee "$said"

passed=$(awk '/^  ok / { gsub(/[()]/, ""); n += $3 } END { print n + 0 }' "$said")
failed=$(grep -c '^  FAIL ' "$said" || true)
echo "unit tests: $passed passed, $failed of $# programs failed"
[ "$failed" = 0 ] && [ "$passed" -gt 0 ]
