#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# coverage.sh - which share of the lines the unit tests run, and which these and the network tests together
#
#   tests/coverage.sh BUILD SOURCE...        ONLY='name ...' for these network tests alone
#
# Fails when a test does, and when less than 90 % of all lines were run. The unit tests alone do not get there: what
# joins the switch to the kernel, as ports and their namespaces, has no other test than a real one, so both count, and
# both are printed. A program leaves its counts when it ends; of one that is killed, nothing counts.
#
# A file is compiled into the archive and into the tests that include it: a line counts when it was run in any of them.
set -eu
build=$1
least=90
failed=()
shift

counted() { # counted WHAT FILE...: each file, each top folder, and all; and whether that is enough
	printf '\n%s\n' "$1"
	find "$build" -name '*.gcno' -exec gcov --stdout --relative-only {} + 2>/dev/null |
		awk -F: -v files="${*:2}" -v least=$least '
		function say(name) {
			if (name in all)
				printf "%6.1f %% of %5d lines  %s\n", 100 * run[name] / all[name], all[name], name
		}
		function count(name, passed) {
			all[name]++
			run[name] += passed
		}
		BEGIN {
			n = split(files, list, " ")
			for (i = 1; i <= n; i++)
				wanted[list[i]] = 1
		}
		$2 + 0 == 0 && $3 == "Source" { file = $4 }
		$2 + 0 > 0 && (file in wanted) {
			gsub(/ /, "", $1)
			if ($1 != "-")
				passed[file " " $2] += ($1 ~ /^[0-9]/)
		}
		END {
			for (line in passed) {
				split(line, part, " ")
				split(part[1], folder, "/")
				count(part[1], passed[line] > 0)
				count(folder[1] "/", passed[line] > 0)
				count("in all", passed[line] > 0)
			}
			for (i = 1; i <= n; i++)
				say(list[i])
			print ""
			for (i = 1; i <= n; i++) {
				split(list[i], folder, "/")
				if (!said[folder[1]]++)
					say(folder[1] "/")
			}
			say("in all")
			exit !all["in all"] || 100 * run["in all"] < least * all["in all"]
		}'
}

mapfile -t tests < <(find "$build/tests/unit" -name 'test_*' -type f -executable | sort)
tests/rooted.sh tests/unit.sh "${tests[@]}" || failed+=("unit tests")
counted 'lines that the unit tests run:' "$@" || true
read -ra only <<<"${ONLY:-}"
BUILD=$build tests/rooted.sh tests/netns/run.sh "${only[@]}" || failed+=("network tests")
counted 'lines that the unit tests and the network tests run:' "$@" || failed+=("less than $least % of the lines are run")

[ ${#failed[@]} = 0 ] || { printf 'coverage: %s\n' "${failed[@]}" >&2 && exit 1; }
