#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# unit.sh - runs unit tests, one line each, and what a failed one has printed
set -eu

passed=0 failed=0
for program; do
	log=$program.log
	status=0
	"$program" >"$log" 2>&1 || status=$?
	ok=$(grep -c '^\[       OK \]' "$log" || true)
	if [ $status = 0 ] && [ "$ok" -gt 0 ]; then
		printf '  ok   %s (%d)\n' "${program##*/}" "$ok"
		passed=$((passed + ok))
	else
		printf '  FAIL %s (exit status %d)\n' "${program##*/}" $status
		sed 's/^/         /' "$log"
		failed=$((failed + 1))
	fi
done
echo "unit tests: $passed passed, $failed of $# programs failed"
[ $failed = 0 ] && [ $passed -gt 0 ]
