#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# rooted.sh - runs a command where / is a mount point
#
#   tests/rooted.sh COMMAND...
#
# `ip netns` changes the propagation of /, which fails in a plain chroot (a debootstrap folder), as its / is a folder in
# a mount and not a mount. Everywhere else this only runs the command. In a chroot the command gets a mount namespace
# of its own, private so that nothing shows outside, in which the folder is bound to itself.
set -eu

if [ "$(id -u)" != 0 ] || mountpoint -q /; then
	exec "$@"
fi

# Entering our own mount namespace takes us to its true root, which unshare can make private; --wd keeps the folder.
# shellcheck disable=SC2016 # these are for the inner shell
exec nsenter --mount=/proc/self/ns/mnt --wd=/ unshare --mount --propagation private \
	bash -euc 'mount --rbind . . && cd -P "$PWD" && exec chroot . env -C "$0" "$@"' "$PWD" "$@"
