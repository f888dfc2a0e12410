#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# 05-captures.sh - a capture that does not start, dies early or cannot be read is a failure, and not "0 packets"
#
# The scenarios in which that happens are written here, and must fail; the one in which it does not must pass.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

# shellcheck disable=SC2016 # the dollars are the inner scenario's
SEEN='same "nothing is seen" 0 "$(grep -c good "$TMP/seen" || true)"'

ends() { # ends PATTERN TALLY: of a scenario with the commands on standard input, which says the pattern
	local output
	{ echo ". '$HERE/lib.sh'" && echo 'build pod1' && cat && echo finish; } >"$TMP/inner.sh"
	output=$(env -u TALLY timeout $((60 * SLOW)) bash "$TMP/inner.sh" 2>&1) || true
	if ! grep -q -- "$1" <<<"$output" || [ "$(tail -n 1 <<<"$output")" != "$2" ]; then
		echo "$output"
		return 1
	fi
}

check "a capture that runs to its end" ends '' "4 passed, 0 failed" <<-END
	bgpkt pod1 "\$TMP/seen" sniff lo
	$SEEN
	bgpkt pod1 "\$TMP/capturing" capture lo "\$TMP/pcap"
	quit \$!
	dissect "\$TMP/pcap" udp
	same "nothing is in the file" 0 "\$(dissected)"
END
check "no such program" ends 'did not start.*No such file' "0 passed, 1 failed" <<-END
	PYTHON=/nonexistent
	bgpkt pod1 "\$TMP/seen" sniff lo
	$SEEN
END
check "it ends at once" ends 'did not start' "0 passed, 1 failed" <<-END
	PYTHON=true
	bgpkt pod1 "\$TMP/seen" sniff lo
	$SEEN
END
check "no such device" ends 'No such device' "0 passed, 1 failed" <<-END
	bgpkt pod1 "\$TMP/seen" sniff nothing
	$SEEN
END
check "it dies before it is ended" ends 'ended before it was told to' "1 passed, 1 failed" <<-END
	bgpkt pod1 "\$TMP/seen" sniff lo
	kill -KILL \$!
	$SEEN
	quit \$!
END
check "it dies, and nobody ends it" ends 'ended before it was told to' "1 passed, 1 failed" <<-END
	bgpkt pod1 "\$TMP/seen" sniff lo
	kill -KILL \$!
	$SEEN
END
check "nothing can read it" ends 'tshark does not read' "0 passed, 1 failed" <<-END
	tshark() { /nonexistent "\$@"; }
	dissect "\$TMP/pcap" udp
	same "nothing is in the file" 0 "\$(dissected)"
END
check "there is no file to read" ends 'tshark does not read' "0 passed, 1 failed" <<-END
	dissect "\$TMP/pcap" udp
	same "nothing is in the file" 0 "\$(dissected)"
END

# Its number was once that of a process of ours.
stranger=$(bash -c 'sleep 60 >/dev/null 2>&1 & echo $!')
check "one that is not ours is left alone" ends '' "2 passed, 0 failed" <<-END
	PIDS+=($stranger)
END
check "at the end, too" kill -0 "$stranger"
check "one of a subshell is ended" ends '' "2 passed, 0 failed" <<-END
	(bgpkt pod1 "\$TMP/seen" sniff lo && quit \$!)
END
kill "$stranger"
finish
