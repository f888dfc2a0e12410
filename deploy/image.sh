#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# image.sh - makes the container image, with Debian's mmdebstrap alone: no registry, no docker
#
#   deploy/image.sh                 build/image/podswitch.tar, and podswitch.tar.gz (BUILD: another folder than build)
#
# The archive is an OCI layout and a docker archive in one: `ctr images import`, `docker load`, `podman load` and
# `skopeo copy oci-archive:` take it. The image is podswitch:VERSION and podswitch:local.
#
# Two layers: Debian's packages (deploy/packages), kept from one run to the next by what they were made from, and on top
# of them the programs. Equal sources, packages and SOURCE_DATE_EPOCH (else the last commit's time) make equal bytes.
# The packages come from the mirror that this machine's apt uses, or from MIRROR, a line as in sources.list. As apt is not
# asked for news while the layer is there, REFRESH=yes makes it anew.
set -eu -o pipefail
export LC_ALL=C TZ=UTC
umask 022

cd "$(dirname "${BASH_SOURCE[0]}")/.."
BUILD=${BUILD:-build}
OUT=$(realpath -m "$BUILD")/image
WORK=$(mktemp -d -t podswitch-image.XXXXXX) # not in the build folder, of which make reads every *.d
trap 'rm -rf "$WORK"' EXIT
trap 'exit 1' INT TERM
SUITE=bookworm # the programs must find the libraries that they were linked with: the build machine's release

# Packages that others depend on, but whose programs and libraries nothing here calls: they set up a full system.
UNUSED='^(debconf|passwd|adduser|gcc-.*-base|libpam.*|libsem.*|libsepol.*|libaudit.*|libcap-ng.*|libcap2-bin|libdb5.*|libsasl2-modules-db)$'

die() {
	echo "image: $*" >&2
	exit 1
}

# trim ROOT DEBS: the folder that the packages in the folder DEBS were unpacked into becomes what the image needs of it
trim() {
	local root=$1 deb name applet
	mkdir -p "$root/var/lib/dpkg/status.d"
	for deb in "$2"/*.deb; do
		name=$(dpkg-deb -f "$deb" Package)
		if [[ $name =~ $UNUSED ]]; then
			dpkg-deb --fsys-tarfile "$deb" | tar -t | grep -v '/$' | while read -r file; do rm -f "$root/$file"; done
		else # where scanners of images look for what is in them
			dpkg-deb -f "$deb" >"$root/var/lib/dpkg/status.d/$name"
		fi
	done
	find "$root/usr/bin" "$root/usr/sbin" ! -type d ! -name busybox ! -name dnsmasq ! -name ip ! -name nft -delete
	[ -e "$root/usr/bin/ip" ] || die "there is no /usr/bin/ip in Debian's packages any more"
	find "$root/usr/share/doc" ! -type d ! -name copyright -delete
	rm -rf "$root"/usr/share/{man,locale,info,lintian,bash-completion,perl5,debconf,bug,zsh,gcc,gdb,pam*,polkit-1,dbus-1} \
		"$root"/usr/lib/*/{gconv,security,ossl-modules,engines-3,libmvec*,pkcs11} "$root"/usr/lib/systemd \
		"$root"/etc/{apt,pam*,security,selinux,cron*,default,init.d,logcheck,debconf.conf,fstab,nftables.conf} \
		"$root"/var/lib/dpkg/{info,status*-old,triggers,alternatives,parts,updates,lock*,available,diversions*,arch} \
		"$root"/var/{cache,log,backups} "$root"/etc/{resolv.conf,hostname,mtab} "$root"/tmp/*
	mkdir -p "$root"/{proc,sys,run,root,var/log,etc/cni/net.d,opt/cni/bin}
	: >"$root/var/lib/dpkg/status"
	ln -sfn ../run "$root/var/run"
	printf '%s\n' root:x:0:0:root:/root:/bin/sh dnsmasq:x:100:100::/nonexistent:/bin/false \
		nobody:x:65534:65534::/nonexistent:/bin/false >"$root/etc/passwd"
	printf '%s\n' root:x:0: dnsmasq:x:100: nogroup:x:65534: >"$root/etc/group"
	echo 'hosts: files dns' >"$root/etc/nsswitch.conf"
	for applet in $("$root/usr/bin/busybox" --list); do
		[ -e "$root/usr/bin/$applet" ] || [ -e "$root/usr/sbin/$applet" ] || ln -s busybox "$root/usr/bin/$applet"
	done
	find "$root" -depth -mindepth 2 -type d -empty -path "$root/usr/*" -delete
}

packages() { grep -v '^#' deploy/packages | sort; }

# pack FOLDER EPOCH: as a tar on standard output, with nothing of this machine or hour in it
pack() {
	(cd "$1" && tar --sort=name --owner=0 --group=0 --numeric-owner --mtime="@$2" --format=gnu -cf - -- *)
}

# Debian's part. A package may change in the archive under the same list; therefore REFRESH.
base() {
	local key lines
	lines=$(deploy/mirrors.sh)
	[ -n "$lines" ] || die "this machine's apt knows no mirror of Debian $SUITE: run apt-get update, or set MIRROR='deb http://deb.debian.org/debian $SUITE main'"
	key=$({ packages && echo "$lines" && declare -f trim pack base; } | sha256sum | cut -c1-16)
	BASE=$OUT/base-$key.tar
	[ ! -e "$BASE" ] || [ -n "${REFRESH:-}" ] || return 0
	echo "image: Debian's packages, from $(echo "$lines" | head -n 1 | cut -d' ' -f2)"
	mkdir "$WORK/debs"
	mmdebstrap --quiet --variant=extract --architectures="$(dpkg --print-architecture)" \
		--hook-dir=/usr/share/mmdebstrap/hooks/merged-usr --include="$(packages | paste -sd,)" \
		--extract-hook="cp \"\$1\"/var/cache/apt/archives/*.deb '$WORK/debs'" "$SUITE" "$WORK/raw.tar" - <<<"$lines" 2>"$WORK/log" ||
		die "mmdebstrap failed: $(grep -v '^[IW]:' "$WORK/log" | tail -n 5)"
	tar -C "$WORK/root" --exclude='./dev/*' -xf "$WORK/raw.tar"
	trim "$WORK/root" "$WORK/debs"
	rm -f "$OUT"/base-*
	pack "$WORK/root" 0 >"$BASE.new"
	mv "$BASE.new" "$BASE"
}

# Every program finds its libraries inside the image; this machine's own are not asked.
resolved() {
	local root=$1 file loader libraries needs
	loader=$(echo "$root"/lib*/ld-linux*.so.*)
	libraries=$(echo "$root"/usr/lib/*-linux-gnu*)
	for file in "$root"/usr/sbin/{podswitchd,podswitch-agent,podswitch-webhook,nft,dnsmasq} "$root"/usr/bin/{podswitchctl,ip,busybox}; do
		needs=$("$loader" --inhibit-cache --library-path "$libraries" --list "$file" 2>&1) || needs+=' not found'
		[[ $needs != *'not found'* ]] ||
			die "${file#"$root"} lacks a library in the image (is its package in deploy/packages?): $needs"
	done
	# The node, which it is copied to, has none of them.
	! readelf -d "$root/usr/sbin/podswitch-cni" | grep -q NEEDED || die "podswitch-cni must be linked statically"
}

sha() { sha256sum "$1" | cut -d' ' -f1; }

blob() { # blob FILE: moves it to where the layout has it, and prints its digest
	local digest
	digest=$(sha "$1")
	mv "$1" "$WORK/tree/blobs/sha256/$digest"
	echo "$digest"
}
size() { stat -c %s "$WORK/tree/blobs/sha256/$1"; }

descriptor() { # descriptor TYPE DIGEST
	jq -nc --arg type "application/vnd.oci.image.$1" --arg digest "sha256:$2" --argjson size "$(size "$2")" \
		'{mediaType: $type, digest: $digest, size: $size}'
}

# archive LAYER...: an OCI layout, whose manifest.json makes it docker's format, too
archive() {
	local arch layer digest digests=() layers=() config manifest names
	mkdir -p "$WORK/tree/blobs/sha256"
	arch=$(dpkg --print-architecture)
	case $arch in i386) arch=386 ;; armhf) arch=arm ;; ppc64el) arch=ppc64le ;; esac
	for layer; do
		cp "$layer" "$WORK/layer"
		digest=$(blob "$WORK/layer")
		digests+=("sha256:$digest")
		layers+=("$(descriptor layer.v1.tar "$digest")")
	done
	# shellcheck disable=SC2016 # the dollars are jq's
	jq -nc --arg arch "$arch" --arg created "$(date -u -d "@$SOURCE_DATE_EPOCH" +%FT%TZ)" --arg version "$VERSION" '{
		architecture: $arch, os: "linux", created: $created,
		config: {Env: ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"], Cmd: ["podswitchd"], WorkingDir: "/", Labels: {
			"org.opencontainers.image.title": "podswitch", "org.opencontainers.image.version": $version,
			"org.opencontainers.image.licenses": "Apache-2.0"}},
		rootfs: {type: "layers", diff_ids: $ARGS.positional},
		history: [$ARGS.positional[] | {created: $created, created_by: "deploy/image.sh"}]}' \
		--args "${digests[@]}" >"$WORK/config"
	config=$(blob "$WORK/config")
	# shellcheck disable=SC2016
	jq -nc --argjson config "$(descriptor config.v1+json "$config")" '{schemaVersion: 2,
		mediaType: "application/vnd.oci.image.manifest.v1+json", config: $config, layers: [$ARGS.positional[] | fromjson]}' \
		--args "${layers[@]}" >"$WORK/manifest"
	manifest=$(blob "$WORK/manifest")
	names=$(jq -nc '[$ARGS.positional[] | "docker.io/library/podswitch:" + .]' --args "$VERSION" local)
	# shellcheck disable=SC2016
	jq -nc --argjson manifest "$(descriptor manifest.v1+json "$manifest")" --argjson names "$names" '{schemaVersion: 2,
		mediaType: "application/vnd.oci.image.index.v1+json", manifests: [$names[] as $name | $manifest +
		{annotations: {"io.containerd.image.name": $name, "org.opencontainers.image.ref.name": ($name | split(":")[1])}}]}' \
		>"$WORK/tree/index.json"
	echo '{"imageLayoutVersion":"1.0.0"}' >"$WORK/tree/oci-layout"
	jq -nc --arg config "$config" --argjson names "$names" \
		'[{Config: "blobs/sha256/\($config)", RepoTags: $names, Layers: [$ARGS.positional[] | sub("sha256:"; "blobs/sha256/")]}]' \
		--args "${digests[@]}" >"$WORK/tree/manifest.json"
	pack "$WORK/tree" "$SOURCE_DATE_EPOCH" >"$OUT/podswitch.tar.new"
	mv "$OUT/podswitch.tar.new" "$OUT/podswitch.tar"
}

main() {
	local top=$WORK/top release
	[ "$(id -u)" = 0 ] || die "unpacking Debian's packages needs root: run 'sudo make image'"
	release=$(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release)
	[ "$release" = $SUITE ] ||
		die "programs made on ${release:-this system} need not run on Debian $SUITE: use 'docker build -f deploy/Dockerfile .'"
	VERSION=$(sed -n 's/^VERSION := //p' Makefile)
	SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || echo 0)}
	tests/deps.sh build image
	make --no-print-directory BUILD="$BUILD" all
	mkdir -p "$OUT" "$WORK/root"
	base

	make --no-print-directory BUILD="$BUILD" DESTDIR="$top" PREFIX=/usr install >/dev/null
	rm -rf "${top:?}/usr/share"
	# The build's id is a hash of the unstripped program, in which the folder it was built in has a part.
	strip --remove-section=.note.gnu.build-id "$top"/usr/sbin/* "$top"/usr/bin/*
	install -D -m 755 deploy/gateway/gateway.sh "$top/usr/libexec/podswitch/gateway"
	install -D -m 644 LICENSE "$top/usr/share/doc/podswitch/copyright"
	tar -C "$WORK/root" -xf "$BASE"
	cp -a "$top/." "$WORK/root"
	resolved "$WORK/root"

	pack "$top" "$SOURCE_DATE_EPOCH" >"$WORK/programs.tar"
	archive "$BASE" "$WORK/programs.tar"
	gzip -n -6 <"$OUT/podswitch.tar" >"$OUT/podswitch.tar.gz"
	echo "image: podswitch:$VERSION and podswitch:local: $(du -k --apparent-size "$OUT/podswitch.tar" | cut -f1) kB in" \
		"$OUT/podswitch.tar, $(du -k --apparent-size "$OUT/podswitch.tar.gz" | cut -f1) kB with gzip"
}
main
