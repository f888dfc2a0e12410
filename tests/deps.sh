#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# deps.sh - installs the Debian packages that are missing
#
#   tests/deps.sh KIND...     build, demo, check, bench, lint, fuzz, image, k8s, kernels, foreign, fresh
#
# DEPS=skip turns it off. Nothing is asked of the network while nothing is missing.
set -eu

wanted=()
for kind; do
	case $kind in
	build) wanted+=(gcc libc6-dev make pkg-config liburing-dev libnl-3-dev libnl-route-3-dev libjansson-dev libxxhash-dev libnftables-dev libseccomp-dev libcurl4-openssl-dev libmicrohttpd-dev libgnutls28-dev) ;;
	demo) wanted+=(iproute2 curl python3) ;;
	check) wanted+=(libcmocka-dev iproute2 procps iputils-ping ethtool socat jq curl tshark python3 nftables dnsmasq-base busybox-static openssl) ;;
	bench) wanted+=(iproute2 procps iputils-ping ethtool python3 gnuplot-nox git wireguard-tools) ;;
	lint) wanted+=(clang clang-format clang-tidy cppcheck shellcheck shfmt universal-ctags) ;;
	image) wanted+=(mmdebstrap jq git binutils) ;;
	k8s) wanted+=(iproute2 iputils-ping procps curl jq python3 busybox-static dnsmasq-base tcpdump iptables socat xz-utils) ;;
	kernels) wanted+=(mmdebstrap kmod procps) ;;
	foreign) wanted+=(mmdebstrap kmod cpio qemu-user-static qemu-system-arm qemu-system-misc gcc-aarch64-linux-gnu gcc-s390x-linux-gnu) ;;
	fresh) wanted+=(mmdebstrap git) ;;
	fuzz) wanted+=(clang libclang-rt-dev) ;;
	*) echo "deps: no such kind of packages: $kind" >&2 && exit 2 ;;
	esac
done
[ "${DEPS:-}" != skip ] || exit 0

if ! command -v apt-get >/dev/null || ! command -v dpkg-query >/dev/null; then
	echo "deps: this is neither Debian nor Ubuntu: install what corresponds to ${wanted[*]}, then use DEPS=skip" >&2
	exit 1
fi

missing=()
for package in "${wanted[@]}"; do
	[ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || exit 0

if [ "$(id -u)" != 0 ]; then
	echo "deps: missing: ${missing[*]}: run this with sudo, or install them, or use DEPS=skip" >&2
	exit 1
fi

echo "deps: installing ${missing[*]}"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
export DEBIAN_FRONTEND=noninteractive # tshark would ask who may capture; its default, only root, is right
apt() {
	apt-get -q -o DPkg::Lock::Timeout=300 "$@" >"$log" 2>&1 </dev/null && return
	cat "$log" >&2
	echo "deps: apt-get $1 failed (above): mend it, or install ${missing[*]} yourself and use DEPS=skip" >&2
	exit 1
}
apt update
apt install -y --no-install-recommends "${missing[@]}"
