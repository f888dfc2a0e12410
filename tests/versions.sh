#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# versions.sh - this podswitchd beside an older one: builds that one, and runs 79-versions with both
#
#   tests/versions.sh COMMIT     of this repository
set -eu
cd "$(dirname "$0")/.."
BUILD=${BUILD:-build}
folder=$BUILD/previous commit=$(git -c safe.directory='*' rev-parse --verify --quiet "$1^{commit}") ||
	{ echo "versions: this repository has no commit $1; fetch its history (git fetch --unshallow)" >&2 && exit 1; }
if [ "$(cat "$folder/commit" 2>/dev/null)" != "$commit" ]; then
	rm -rf "$folder"
	mkdir -p "$folder"
	git -c safe.directory='*' archive "$commit" | tar -x -C "$folder"
	make -s -C "$folder" -j"$(nproc)" DEPS=skip build/podswitchd build/podswitchctl
	echo "$commit" >"$folder/commit"
fi
PREVIOUS=$(realpath "$folder/build") exec make --no-print-directory ONLY=79-versions netns
