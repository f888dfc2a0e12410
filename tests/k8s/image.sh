#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# image.sh - the image of everything around podswitch in these tests: gateways, "the internet", clients, captures
#
#   tests/k8s/image.sh FILE.tar      a docker-archive with the image podswitch-test:local
#
# It is made of this machine's own programs and the libraries they need, and of the scripts in image/: a second's work,
# and no network. The programs are those of the Debian packages that `tests/deps.sh k8s` installs.
set -eu
shopt -s nullglob
HERE=$(cd "$(dirname "$0")" && pwd)
OUT=$1
NAME=docker.io/library/podswitch-test:local
PROGRAMS=(ip dnsmasq tcpdump xtables-nft-multi socat)
export PATH=$PATH:/usr/sbin:/sbin

TMP=$(mktemp -d)
trap 'rm -rf "$TMP"' EXIT
ROOT=$TMP/root
mkdir -p "$ROOT"/{bin,usr/bin,usr/sbin,etc,tmp,run,var/lib/misc,var/run,dev,proc,sys,host,log} "$TMP/image"

need() { # need PROGRAM: its path
	command -v "$1" || { echo "image: $1 is missing: run tests/deps.sh k8s as root" >&2 && exit 1; }
}

libraries() { # libraries FILE...: what they are linked with, each where the loader looks for it
	ldd "$@" 2>/dev/null | awk '$2 == "=>" { print $3 } $1 ~ /^\// && NF == 2 && $2 ~ /^\(/ { print $1 }' | sort -u
}

cp "$(need busybox)" "$ROOT/bin/busybox"
for applet in $("$ROOT/bin/busybox" --list); do [ "$applet" = busybox ] || ln -s busybox "$ROOT/bin/$applet"; done
for program in "${PROGRAMS[@]}"; do cp -L "$(need "$program")" "$ROOT/usr/sbin/$program"; done
cp -L "$(need ping)" "$ROOT/usr/sbin/iputils-ping" # busybox's has the name, and sends five a second at most
ln -s xtables-nft-multi "$ROOT/usr/sbin/iptables"
extensions=(/usr/lib/*/xtables/lib{xt,ipt}_*.so)
for file in $(libraries "$ROOT"/usr/sbin/*) "${extensions[@]}" $(libraries "${extensions[@]}"); do
	mkdir -p "$ROOT/$(dirname "$file")"
	cp -L "$file" "$ROOT/$file"
done
install -m 755 -t "$ROOT/usr/bin" "$HERE"/image/*
echo 'root:x:0:0:root:/:/bin/sh' >"$ROOT/etc/passwd"
echo 'nobody:x:65534:65534:nobody:/:/bin/false' >>"$ROOT/etc/passwd" # dnsmasq would run as
printf 'root:x:0:\nnogroup:x:65534:\n' >"$ROOT/etc/group"

tar -C "$ROOT" --owner=0 --group=0 --numeric-owner --sort=name --mtime=@0 -cf "$TMP/image/layer.tar" .
jq -n --arg layer "sha256:$(sha256sum "$TMP/image/layer.tar" | cut -d' ' -f1)" --arg arch "$(dpkg --print-architecture)" '{
	architecture: $arch, os: "linux", created: "1970-01-01T00:00:00Z",
	config: {Env: ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"], WorkingDir: "/"},
	rootfs: {type: "layers", diff_ids: [$layer]}}' >"$TMP/image/config.json"
jq -n --arg name "$NAME" '[{Config: "config.json", RepoTags: [$name], Layers: ["layer.tar"]}]' >"$TMP/image/manifest.json"
mkdir -p "$(dirname "$OUT")"
tar -C "$TMP/image" -cf "$OUT.new" manifest.json config.json layer.tar
mv "$OUT.new" "$OUT"
