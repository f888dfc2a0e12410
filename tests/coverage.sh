#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# coverage.sh - sums up what gcov says of each source file
#
#   tests/coverage.sh BUILD SOURCE...
#
# A file is compiled into its own test and into the archive that the other tests link; the best of these counts.
set -eu
build=$1
shift

find "$build" -name '*.gcno' -exec gcov --no-output --relative-only {} + 2>/dev/null | awk -v files="$*" '
	/^File / { file = $2; gsub(/\047/, "", file) }
	/^Lines executed:/ {
		split($0, part, /[:%]| of /)
		if (file != "" && (part[2] + 0 > best[file] || !(file in lines))) {
			best[file] = part[2] + 0
			lines[file] = part[4]
		}
		file = ""
	}
	END {
		n = split(files, name, " ")
		for (i = 1; i <= n; i++) {
			printf "%6.1f %% of %5d lines  %s\n", best[name[i]], lines[name[i]], name[i]
			all += lines[name[i]]
			run += lines[name[i]] * best[name[i]] / 100
		}
		if (!all)
			exit 1
		printf "%6.1f %% of %5d lines\n", 100 * run / all, all
	}'
