#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# sanitized.sh - the tests, built with sanitizers
#
#   tests/sanitized.sh asan     all of them, for bytes that are not there and what C leaves undefined
#   tests/sanitized.sh tsan     those with two workers or many closers, for data races. What the kernel writes by io_uring
#                               is not seen, so they are run over epoll, too; nor is what workers do while they are parked
#
# Reports go to files, as not every test sees how a program it started has ended.
set -eu
cd "$(dirname "$0")/.."
folder=build/$1 status=0
export SLOW=${SLOW:-3}
rm -f "$folder"/report.*

case $1 in
asan)
	export ASAN_OPTIONS=log_path=$PWD/$folder/report:detect_stack_use_after_return=1:strict_string_checks=1
	export UBSAN_OPTIONS=log_path=$PWD/$folder/report:print_stacktrace=1
	make --no-print-directory "BUILD=$folder" SANITIZE=address,undefined test || status=1
	;;
tsan)
	export TSAN_OPTIONS=log_path=$PWD/$folder/report:history_size=4
	for IO in '' epoll; do
		IO=$IO make --no-print-directory "BUILD=$folder" SANITIZE=thread \
			ONLY='20-gateways 37-vtep 71-detach 99-races' netns || status=1
	done
	;;
*)
	echo "usage: $0 asan|tsan" >&2
	exit 2
	;;
esac

for report in "$folder"/report.*; do
	[ ! -e "$report" ] || { status=1 && cat "$report"; }
done
[ $status = 0 ] || { echo "$1: FAILED, see above" && exit 1; }
echo "$1: no reports"
