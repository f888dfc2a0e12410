#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# unpacked.sh - packages of Debian's and what they depend on, unpacked into a folder; none of their scripts is run
#
#   tests/unpacked.sh FOLDER RELEASE PACKAGE,... [OPTION OF MMDEBSTRAP...]
#
# From the mirror that this machine's apt uses, or from MIRROR, a line as in sources.list. Nothing is done when the folder
# is there already.
set -eu -o pipefail
[ ! -e "$1" ] || exit 0
FOLDER=$1 RELEASE=$2
WORK=$(mktemp -d "${TMPDIR:-/var/tmp}/podswitch-unpacked.XXXXXX")
trap 'rm -rf "$WORK" "$FOLDER.new"' EXIT
trap 'exit 130' INT TERM HUP

bookworm=$("$(dirname "$0")/../deploy/mirrors.sh" | sed -n '/ bookworm main$/p' | head -n 1)
mirror=${bookworm/%bookworm main/$RELEASE main}
[ -n "$mirror" ] || {
	echo "unpacked: apt knows no mirror of Debian: set MIRROR='deb http://deb.debian.org/debian bookworm main'" >&2
	exit 1
}
mirrors=("$mirror")
case $RELEASE in *-backports) mirrors+=("$bookworm") ;; esac # which is not whole without it
echo "getting ${3%%,*} of Debian's $RELEASE"
apt-config dump --no-empty --format '%F "%v";%n' Acquire >"$WORK/acquire"
mmdebstrap --quiet --variant=extract --hook-dir=/usr/share/mmdebstrap/hooks/merged-usr --aptopt="$WORK/acquire" \
	--include="$3" "${@:4}" "$RELEASE" "$WORK/tree.tar" "${mirrors[@]}" >"$WORK/log" 2>&1 || {
	echo "unpacked: mmdebstrap failed: $(grep -v '^[IW]:' "$WORK/log" | tail -n 5)" >&2
	exit 1
}
rm -rf "$FOLDER.new"
mkdir -p "$FOLDER.new"
tar -C "$FOLDER.new" --exclude='./dev/*' --exclude=./var --exclude=./usr/share/doc --exclude=./usr/share/man -xf "$WORK/tree.tar"
mv "$FOLDER.new" "$FOLDER"
