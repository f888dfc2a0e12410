#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# drops.man.sh - the manual page of podswitchd, with the list of drop reasons made from drops.def in place of @DROPS@
#
#	drops.man.sh podswitchd.8.in drops.def > podswitchd.8
set -eu
exec awk '
# A text must neither end a request of the page (a leading dot or quote) nor be taken for an escape.
function roff(text) {
	gsub(/\\"/, "\"", text)
	gsub(/\\\\/, "\\e", text)
	gsub(/-/, "\\-", text)
	return (text ~ /^[.\47]/ ? "\\&" : "") text
}
function stop(what) {
	print FILENAME ":" FNR ": " what > "/dev/stderr"
	failed = 1
	exit 1
}
FNR == 1 { file++ }
file == 1 && /^DROP\(/ {
	if (!match($0, /^DROP\([A-Z0-9_]+, *[a-z0-9_]+, *".*"\)$/))
		stop("no DROP(NAME, key, \"text\") in one line")
	key = text = $0
	sub(/^[^,]*, */, "", key)
	sub(/,.*/, "", key)
	sub(/^[^"]*"/, "", text)
	sub(/"\)$/, "", text)
	list = list ".It Li " key "\n" roff(text) ".\n"
}
file == 2 && $0 == "@DROPS@" { printf "%s", list; placed = 1; next }
file == 2
END {
	if (!failed && (list == "" || !placed))
		stop("no reasons, or no line @DROPS@")
	exit failed
}' "$2" "$1"
