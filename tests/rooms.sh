#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# rooms.sh - the order of the product's folders, and one name for one thing
#
#   tests/rooms.sh            fails when an include runs uphill, or when two product files define one name
#   tests/rooms.sh selftest   fails when it would not
set -eu
shopt -s nullglob

# From the bottom up: a file includes files of its own room and of those before it. A new folder needs its place here.
rooms=(tap/base tap vswitch/base vswitch/path vswitch control/base control/daemon control/ctl control/cni control/kube
	control/webhook)

uphill() {
	local room file line included number=0
	local -A height=()
	for room in "${rooms[@]}"; do height[$room]=$((++number)); done
	find tap vswitch control -name '*.[ch]' | sort | while read -r file; do
		room=${file%/*}
		[ -n "${height[$room]:-}" ] || echo "$file: its folder has no place in tests/rooms.sh"
		while read -r line; do
			included=${line#*\"} && included=${included%%\"*} && included=${included%/*}
			[ "${height[$included]:-99}" -le "${height[$room]:-0}" ] || echo "$file: runs uphill: $line"
		done < <(grep '^#include "' "$file")
	done
}

twice() { # of main() there is one for each program
	local kind
	for kind in f s; do
		find tap vswitch control -name '*.[ch]' | sort | xargs ctags -x --c-kinds=$kind |
			awk -v what="$([ $kind = f ] && echo 'function' || echo 'struct')" '
			$1 != "main" && $1 !~ /^__anon/ { n[$1]++; where[$1] = where[$1] " " $4 ":" $3 }
			END { for (name in n) if (n[name] > 1) print what " " name " is defined more than once:" where[name] }'
	done
}

check() {
	local found
	found=$(uphill && twice)
	[ -z "$found" ] || { echo "$found" && return 1; }
}

folder=
selftest() {
	local wanted
	folder=$(mktemp -d)
	trap 'rm -rf "$folder"' EXIT
	cd "$folder"
	mkdir -p tap/base vswitch/path control/new
	echo '#include "vswitch/path/worker.h"' >tap/uphill.c
	printf 'struct same {\n\tint x;\n};\n\nstatic int once(void)\n{\n\treturn 0;\n}\n' | tee tap/base/a.c >vswitch/path/b.c
	echo 'int x;' >control/new/c.c
	for wanted in 'tap/uphill.c: runs uphill' 'control/new/c.c: its folder has no place' 'function once is defined more' \
		'struct same is defined more'; do
		check | grep -q "$wanted" || { echo "rooms.sh does not find: $wanted" && return 1; }
	done
	rm tap/uphill.c control/new/c.c vswitch/path/b.c
	check || { echo "rooms.sh finds what is not there" && return 1; }
}

"${1:-check}"
