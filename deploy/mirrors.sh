#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# mirrors.sh - where this machine's apt has Debian 12 from, as lines of a sources.list; nothing if it knows no mirror
#
# Only Debian's own, and only main. MIRROR, a line or several, wins.
set -eu -o pipefail
SUITE=bookworm

known() {
	# shellcheck disable=SC2016 # the dollars are apt-get's
	apt-get indextargets --format 'deb $(REPO_URI) $(CODENAME) $(COMPONENT)|$(ORIGIN)' 'Created-By: Packages' |
		sed -n "s/^\(.* $SUITE\(-updates\|-security\)\? main\)|Debian\$/\1/p" | sort -u
}

lines=${MIRROR:-$(known)}
if [ -z "$lines" ] && [ "$(id -u)" = 0 ]; then # apt's lists have been cleaned
	apt-get -qq update >&2
	lines=$(known)
fi
[ -z "$lines" ] || printf '%s\n' "$lines"
