#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# preflight.sh - says in one line what this machine lacks for the demo or the network tests, and what to do
#
#   tests/preflight.sh demo|check
#
# Needs no package beyond a minimal system's, as it runs before any is installed.
set -eu
target=$1

lacks() {
	echo "make $target: $1" >&2
	exit 1
}

[ "$(id -u)" = 0 ] || lacks "making network namespaces needs root: run 'sudo make $target'"

[ -r /proc/self/ns/net ] || lacks "/proc is missing: run 'mount -t proc proc /proc'"
"$(dirname "$0")/rooted.sh" unshare --net --mount true 2>/dev/null ||
	lacks "network namespaces are forbidden here: run on the host, or in a privileged container (docker run --privileged)"

[ -c /dev/net/tun ] || lacks "/dev/net/tun is missing: run 'modprobe tun', or give the container the device (docker run --device /dev/net/tun)"
(exec 3<>/dev/net/tun) 2>/dev/null ||
	lacks "/dev/net/tun cannot be opened: run 'modprobe tun', or give the container the device (docker run --device /dev/net/tun)"

# The demo does without. Before the first `make deps` there may be no ip to ask with; then it is asked again later.
if [ "$target" = check ] && command -v ip >/dev/null; then
	unshare --net ip link add vxlan0 type vxlan id 1 dstport 4789 2>/dev/null ||
		lacks "the kernel's vxlan device is missing, and the tests use it as the far end: run 'modprobe vxlan' or use a kernel with CONFIG_VXLAN"
fi
