#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# lint.sh - every check that looks at the code without running it; says at the end which of them failed
#
#   tests/lint.sh PREPROCESSOR-FLAGS...
#
# ANALYZER_NODES: how far clang's analyzer follows each function; 225000 is clang's own limit, and what takes the longest.
set -eu
shopt -s nullglob globstar

sources=(vswitch/**/*.c tap/**/*.c control/**/*.c)
tests=(tests/**/*.c bench/*.c)
headers=(vswitch/**/*.h tap/**/*.h control/**/*.h tests/**/*.h bench/*.h)
pythons=(bench/*.py tests/**/*.py)
scripts=(.ci/run tests/**/*.sh bench/**/*.sh deploy/**/*.sh)
flags=("$@")
jobs=$(nproc)
deep=(-Xclang -analyzer-config -Xclang "max-nodes=${ANALYZER_NODES:-225000}")
failed=()

lint() { # lint NAME COMMAND...
	echo "== $1"
	"${@:2}" || failed+=("$1")
}

tidy() { # tidy CHECKS FILE...
	# Its count of warnings, which are the system headers' own, goes to stderr; findings go to stdout.
	printf '%s\0' "${@:2}" |
		xargs -0 -P "$jobs" -I{} sh -c 'clang-tidy --quiet "$@" 2>/dev/null' tidy --checks="$1" {} -- "${flags[@]}" "${deep[@]}"
}

check_cpp() { # does not read the libraries' headers, so it is told what their macros do
	local each='for (;(a) && (k) && (v);)'
	cppcheck --quiet -j "$jobs" --enable=warning,performance,portability --inline-suppr --error-exitcode=1 \
		--suppress=missingIncludeSystem --std=c11 -I. -D_GNU_SOURCE -DPODSWITCH_VERSION='""' \
		-D"json_array_foreach(a,k,v)=$each" -D"json_object_foreach(a,k,v)=$each" "${sources[@]}" "${tests[@]}"
}

programs() { # and what tests/programs.py would not see could be run without being installed
	local hidden
	tests/programs.py || return 1
	# shellcheck disable=SC2016 # it is not for this shell
	for hidden in 'poll 5 says x ns node nmap -sU' 'same x 0 "$(n tcpdump -r x | wc -l)"' \
		'x=$(timeout 5 bash -c "tac <y | cowsay")' '"$CAPTURE" -i eth0'; do
		! tests/programs.py build check <<<"$hidden" >/dev/null || { echo "not seen: $hidden" && return 1; }
	done
}

limits() { # clang-tidy watches the length of functions (.clang-tidy)
	local file status=0
	if [ "$(wc -l <Makefile)" -ge 200 ]; then
		echo "Makefile: $(wc -l <Makefile) lines, the limit is 199"
		status=1
	fi
	for file in "${sources[@]}" "${tests[@]}" "${headers[@]}" "${scripts[@]}" "${pythons[@]}" Makefile; do
		head -n 2 "$file" | grep -q 'SPDX-License-Identifier: Apache-2.0' && continue
		echo "$file: no SPDX line on top"
		status=1
	done
	# podswitch asks for single capabilities; the README's table says which.
	! grep -rn 'privileged: *true' deploy --include='*.yaml' --include='*.json' || status=1
	return $status
}

lint clang-format clang-format --dry-run -Werror "${sources[@]}" "${tests[@]}" "${headers[@]}"
lint clang-tidy tidy '' "${sources[@]}"
# The analyzer does not know that a failed assertion of cmocka ends the test, and follows what cannot be.
lint 'clang-tidy of the tests' tidy '-clang-analyzer-*,-bugprone-macro-parentheses' "${tests[@]}"
lint cppcheck check_cpp
lint shellcheck shellcheck -x -P SCRIPTDIR "${scripts[@]}"
lint 'programs and their packages' programs
lint 'rooms and names' tests/rooms.sh
lint 'rooms and names: that they are checked' tests/rooms.sh selftest
lint 'judgement of the harness' bench/selftest.py
lint limits limits

[ ${#failed[@]} = 0 ] || { echo "lint: ${failed[*]} failed" && exit 1; }
echo "lint: all well"
