#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# gateway.sh - the gateway's hub: podswitchd for VXLAN, dnsmasq for DHCP and DNS, nftables for NAT and kill switch
#
#   gateway          runs it, in the network namespace that it is started in, until SIGTERM or until a part of it ends
#   gateway ready    succeeds while clients can be served: the VXLAN side is there, and the VPN's interface, if one is set
#
#       clients                         this namespace (the gateway's pod)                          the world
#   vx0 172.16.0.57 ~~ UDP ~~ eth0 -> podswitchd -> vxlan0 172.16.0.1 -> forward, masquerade -> tun0 (the VPN) ...
#
# The settings are pod-gateway's, in the environment, and mean what they mean there; usage() lists them. What may leave is
# decided before the clients' interface is made, and stays in force when this ends: nothing passes that was not allowed.
set -eu
export LC_ALL=C

# An empty setting counts: it turns something off. Only what is absent has its default.
: "${VXLAN_ID=42}" "${VXLAN_PORT=0}" "${VXLAN_IP_NETWORK=172.16.0}" "${VXLAN_GATEWAY_FIRST_DYNAMIC_IP=20}"
: "${VPN_INTERFACE=tun0}" "${VPN_BLOCK_OTHER_TRAFFIC=true}" "${VPN_TRAFFIC_PORT=443}" "${VPN_INTERFACE_MTU=}"
: "${VPN_LOCAL_CIDRS=10.0.0.0/8 192.168.0.0/16}" "${DNS_LOCAL_CIDRS=local}" "${DNS_LOCAL_SERVER=}" "${SNAT_IP=}"
: "${GATEWAY_ENABLE_DNSSEC=false}" "${NAT_CONF=/config/nat.conf}" "${VXLAN_ALLOW_CIDRS=auto}"
: "${NODE_IP=}" # the node's address, which the Deployment tells
# For the tests: where files are kept, and which resolv.conf counts.
: "${GATEWAY_DIR=/run/podswitch}" "${RESOLV_CONF=/etc/resolv.conf}"

export PODSWITCH_SOCKET="$GATEWAY_DIR/control.sock"
KEPT=$GATEWAY_DIR/before-vpn # what the pod's own network was, before a VPN took over
PARTS='' WAITER='' # process ids

say() { echo "gateway: $*" >&2; }
die() {
	say "$*"
	exit 1
}

usage() {
	cat <<EOF
usage: gateway [ready]
Serves pods that podswitch or pod-gateway sends here. Settings, from the environment:

  VXLAN_ID                        VXLAN network identifier ($VXLAN_ID)
  VXLAN_PORT                      UDP port; 0 is 8472, as with pod-gateway ($VXLAN_PORT)
  VXLAN_ALLOW_CIDRS               networks that clients may be in; auto: VPN_LOCAL_CIDRS, and the /16 (IPv6: /48) of this pod's
                                  and its node's addresses; empty: any ($VXLAN_ALLOW_CIDRS)
  VXLAN_IP_NETWORK                three numbers of the clients' /24; the gateway is .1 ($VXLAN_IP_NETWORK)
  VXLAN_GATEWAY_FIRST_DYNAMIC_IP  the first address for DHCP; static ones are below ($VXLAN_GATEWAY_FIRST_DYNAMIC_IP)
  VPN_INTERFACE                   where the VPN is; empty: there is none ($VPN_INTERFACE)
  VPN_INTERFACE_MTU               its MTU; empty: as the path to the clients allows
  VPN_BLOCK_OTHER_TRAFFIC         true: nothing leaves but by the VPN ($VPN_BLOCK_OTHER_TRAFFIC)
  VPN_TRAFFIC_PORT                UDP and TCP ports of the VPN's server, which may leave ($VPN_TRAFFIC_PORT)
  VPN_LOCAL_CIDRS                 networks that are reached beside the VPN ($VPN_LOCAL_CIDRS)
  DNS_LOCAL_CIDRS                 domains that the cluster's DNS knows ($DNS_LOCAL_CIDRS)
  DNS_LOCAL_SERVER                who answers for these; empty: the servers of /etc/resolv.conf
  SNAT_IP                         source address by the VPN; empty: the interface's
  GATEWAY_ENABLE_DNSSEC           true: DNS answers are verified ($GATEWAY_ENABLE_DNSSEC)
  NAT_CONF                        a file of port forwards: "NAME LAST-NUMBER-OF-ADDRESS tcp:PORT,udp:PORT" ($NAT_CONF)
EOF
}

# ---- settings -------------------------------------------------------------------------------------------------------

number() { # number TEXT LOW HIGH
	case $1 in '' | *[!0-9]* | 0?* | ???????????*) return 1 ;; esac
	[ "$1" -ge "$2" ] && [ "$1" -le "$3" ]
}

numbers() { # numbers COUNT TEXT: that many bytes with dots between them
	(
		IFS=.
		# shellcheck disable=SC2086 # cut at the dots
		count=$1 text=$2 && set -f -- $2
		[ $# = "$count" ] || exit 1
		for part; do number "$part" 0 255 || exit 1; done
		case $text in *.) exit 1 ;; esac
	)
}

cidr() { # an IPv4 or IPv6 network; nft and ip say more about one of IPv6
	case $1 in
	*[!0-9a-fA-F.:/]* | */*/* | '') return 1 ;;
	*:*/*) number "${1#*/}" 0 128 ;;
	*/*) numbers 4 "${1%/*}" && number "${1#*/}" 0 32 ;;
	*) return 1 ;;
	esac
}

words() { echo "$*" | tr ',' ' '; } # lists are separated by blanks or commas

truth() { # truth NAME VALUE
	case $2 in true | false) ;; *) die "$1=$2: write true or false" ;; esac
}

# As people write them: with blanks around, True for true, a whole network where three numbers are meant.
trim() { # trim NAME...
	for setting; do
		eval "value=\$$setting"
		value=$(printf '%s' "$value" | tr '\n\t\r' '   ' | sed 's/^ *//; s/ *$//')
		eval "$setting=\$value"
	done
}

read_settings() {
	trim VXLAN_ID VXLAN_PORT VXLAN_IP_NETWORK VXLAN_GATEWAY_FIRST_DYNAMIC_IP VPN_INTERFACE VPN_INTERFACE_MTU SNAT_IP \
		VPN_BLOCK_OTHER_TRAFFIC GATEWAY_ENABLE_DNSSEC
	VXLAN_IP_NETWORK=${VXLAN_IP_NETWORK%.0/24}
	VPN_BLOCK_OTHER_TRAFFIC=$(echo "$VPN_BLOCK_OTHER_TRAFFIC" | tr '[:upper:]' '[:lower:]')
	GATEWAY_ENABLE_DNSSEC=$(echo "$GATEWAY_ENABLE_DNSSEC" | tr '[:upper:]' '[:lower:]')
}

check_settings() {
	number "$VXLAN_ID" 0 16777215 || die "VXLAN_ID=$VXLAN_ID: write a number from 0 to 16777215"
	number "$VXLAN_PORT" 0 65535 || die "VXLAN_PORT=$VXLAN_PORT: write a UDP port, or 0 for 8472"
	[ "$VXLAN_PORT" != 0 ] || VXLAN_PORT=8472
	numbers 3 "$VXLAN_IP_NETWORK" ||
		die "VXLAN_IP_NETWORK=$VXLAN_IP_NETWORK: write the first three numbers of a /24, as 172.16.0"
	number "$VXLAN_GATEWAY_FIRST_DYNAMIC_IP" 2 254 ||
		die "VXLAN_GATEWAY_FIRST_DYNAMIC_IP=$VXLAN_GATEWAY_FIRST_DYNAMIC_IP: write a number from 2 to 254"
	case $VPN_INTERFACE in
	lo | eth0 | vxlan0) die "VPN_INTERFACE=$VPN_INTERFACE: write the VPN's own interface, as tun0 or wg0" ;;
	*[!a-zA-Z0-9_.-]* | ????????????????*) die "VPN_INTERFACE=$VPN_INTERFACE: write an interface's name, as tun0 or wg0" ;;
	esac
	truth VPN_BLOCK_OTHER_TRAFFIC "$VPN_BLOCK_OTHER_TRAFFIC"
	truth GATEWAY_ENABLE_DNSSEC "$GATEWAY_ENABLE_DNSSEC"
	[ -n "$VPN_INTERFACE" ] || [ "$VPN_BLOCK_OTHER_TRAFFIC" = false ] ||
		die "VPN_BLOCK_OTHER_TRAFFIC=true without a VPN would let nothing out: set VPN_INTERFACE, or write false"
	[ -z "$VPN_INTERFACE_MTU" ] || number "$VPN_INTERFACE_MTU" 576 65535 ||
		die "VPN_INTERFACE_MTU=$VPN_INTERFACE_MTU: write a number of bytes from 576 to 65535, or nothing"
	[ -z "$SNAT_IP" ] || numbers 4 "$SNAT_IP" || die "SNAT_IP=$SNAT_IP: write an IPv4 address, or nothing"
	[ -z "$SNAT_IP" ] || [ -n "$VPN_INTERFACE" ] || die "SNAT_IP=$SNAT_IP is for what leaves by the VPN: set VPN_INTERFACE, too"
	check_lists
}

check_lists() {
	for item in $(words "$VPN_TRAFFIC_PORT"); do
		number "$item" 1 65535 || die "VPN_TRAFFIC_PORT=$VPN_TRAFFIC_PORT: $item is no port: write it as 1194, or as 443,1194"
	done
	for item in $(words "$VPN_LOCAL_CIDRS"); do
		cidr "$item" || die "VPN_LOCAL_CIDRS: $item is no network: write it as 10.0.0.0/8"
	done
	for item in $(words "$VXLAN_ALLOW_CIDRS"); do
		[ "$item" = auto ] || cidr "$item" ||
			die "VXLAN_ALLOW_CIDRS: $item is no network: write auto, or a network as 10.0.0.0/8"
	done
	for item in $(words "$DNS_LOCAL_CIDRS"); do
		case $item in *[!a-zA-Z0-9._-]*) die "DNS_LOCAL_CIDRS: $item is no domain: write it as local, or cluster.local" ;; esac
	done
	for item in $(words "$DNS_LOCAL_SERVER"); do
		case $item in *[!0-9a-fA-F.:]*) die "DNS_LOCAL_SERVER: $item is no address: write it as 10.96.0.10" ;; esac
	done
}

# read_nat LINE-HANDLER: calls it with name, last number of the address, protocol and port, for each port
read_nat() {
	[ -e "$NAT_CONF" ] || return 0
	count=0
	while read -r name last ports rest || [ -n "$name" ]; do
		count=$((count + 1))
		where="$NAT_CONF, line $count"
		case $name in '' | '#'*) continue ;; esac
		[ -n "$ports" ] || rest=missing
		[ -z "${rest%%#*}" ] || die "$where: write NAME, LAST-NUMBER-OF-ADDRESS and PORTS, as: web 10 tcp:8080,udp:8080"
		case $name in *[!a-zA-Z0-9.-]*) die "$where: $name is no host name" ;; esac
		number "$last" 2 $((VXLAN_GATEWAY_FIRST_DYNAMIC_IP - 1)) ||
			die "$where: $last: write a number from 2 to $((VXLAN_GATEWAY_FIRST_DYNAMIC_IP - 1)), below VXLAN_GATEWAY_FIRST_DYNAMIC_IP"
		for item in $(words "$ports"); do
			case ${item%%:*} in tcp | udp) ;; *) die "$where: $item: write tcp:PORT or udp:PORT" ;; esac
			number "${item#*:}" 1 65535 || die "$where: $item: a port is a number from 1 to 65535"
			"$1" "$name" "$last" "${item%%:*}" "${item#*:}"
		done
	done <"$NAT_CONF"
}

# ---- what may pass --------------------------------------------------------------------------------------------------

elements() { # elements 4|6: those of VPN_LOCAL_CIDRS that are of this family, as nft's set wants them
	for item in $(words "$VPN_LOCAL_CIDRS"); do
		case $1$item in 4*:*) ;; 6*:* | 4*) printf '%s, ' "$item" ;; esac
	done | sed 's/, $//'
}

forward_port() { # a port forward's rule: NAME LAST PROTOCOL PORT
	echo "		iifname \"$VPN_INTERFACE\" $3 dport $4 dnat ip to $VXLAN_IP_NETWORK.$2 comment \"$1\""
}

rules_forward() {
	# A client may use a path that is narrower than it knows: its connections are told by their first packets.
	echo '		tcp flags & (syn | rst) == syn tcp option maxseg size set rt mtu'
	if [ "$VPN_BLOCK_OTHER_TRAFFIC" = true ]; then
		# What belongs to an established connection must not leave otherwise either, after its route has gone.
		cat <<EOF
		iifname "vxlan0" oifname "$VPN_INTERFACE" accept
		iifname "$VPN_INTERFACE" oifname "vxlan0" ct state established,related accept
EOF
	else
		cat <<EOF
		iifname "vxlan0" oifname != "vxlan0" accept
		oifname "vxlan0" ct state established,related accept
EOF
	fi
	[ -z "$VPN_INTERFACE" ] || echo "		iifname \"$VPN_INTERFACE\" oifname \"vxlan0\" ct status dnat accept"
}

rules_output() {
	local4=$(elements 4)
	local6=$(elements 6)
	cat <<EOF
	chain output {
		type filter hook output priority filter; policy drop;
		oifname { "lo", "vxlan0", "$VPN_INTERFACE" } accept
		ct direction reply ct state established,related accept comment "to whoever asked us, as the kubelet"
		udp dport $VXLAN_PORT accept comment "VXLAN to the clients"
		icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert, nd-router-solicit } accept
EOF
	[ -z "$local4" ] || echo "		ip daddr { $local4 } accept"
	[ -z "$local6" ] || echo "		ip6 daddr { $local6 } accept"
	for item in $(words "$VPN_TRAFFIC_PORT"); do
		echo "		meta l4proto { tcp, udp } th dport $item accept comment \"the VPN itself\""
	done
	echo '	}'
}

# One table of ours, replaced as a whole; those of a VPN's client in the same pod stay as they are.
rules() {
	cat <<EOF
table inet podswitch_gateway
delete table inet podswitch_gateway
table inet podswitch_gateway {
	chain prerouting {
		type nat hook prerouting priority dstnat;
EOF
	[ -z "$VPN_INTERFACE" ] || read_nat forward_port
	cat <<EOF
	}
	chain postrouting {
		type nat hook postrouting priority srcnat;
EOF
	[ -z "$SNAT_IP" ] || echo "		oifname \"$VPN_INTERFACE\" meta nfproto ipv4 snat ip to $SNAT_IP"
	cat <<EOF
		ip saddr $VXLAN_IP_NETWORK.0/24 oifname != { "lo", "vxlan0" } masquerade
	}
	chain forward {
		type filter hook forward priority filter; policy drop;
EOF
	rules_forward
	echo '	}'
	if [ -n "$VPN_INTERFACE" ]; then
		cat <<EOF
	chain input {
		type filter hook input priority filter; policy accept;
		iifname "$VPN_INTERFACE" ct state established,related accept
		iifname "$VPN_INTERFACE" meta l4proto { icmp, icmpv6 } accept
		iifname "$VPN_INTERFACE" drop comment "what the VPN sends is for the clients"
	}
EOF
	fi
	[ "$VPN_BLOCK_OTHER_TRAFFIC" = false ] || rules_output
	echo '}'
}

load_rules() {
	rules >"$GATEWAY_DIR/rules" # in a file of its own, as a refusal inside a pipe would be lost
	nft -f "$GATEWAY_DIR/rules" || die "the kernel does not take the rules (above): NET_ADMIN and nf_tables with nat are needed"
}

forwarding() {
	switch=/proc/sys/net/ipv4/ip_forward
	[ "$(cat $switch)" = 1 ] || { echo 1 >$switch; } 2>/dev/null ||
		die "this pod does not forward, and $switch may not be written: set it in an init container, as deploy/gateway does"
}

# A VPN often takes the default route: the way to the cluster is what it was when the pod started, before the VPN.
routes() {
	if [ ! -e "$KEPT.route" ]; then
		ip -4 route show default | grep -v " dev ${VPN_INTERFACE:-none} " |
			sed -n -e '1s/^default via \([^ ]*\) dev \([^ ]*\).*/via \1 dev \2 onlink/p' \
				-e '1s/^default dev \([^ ]*\).*/dev \1/p' >"$KEPT.new"
		mv "$KEPT.new" "$KEPT.route"
	fi
	read -r way <"$KEPT.route" || way=
	if [ -n "$way" ] && [ -n "$VPN_INTERFACE" ]; then
		for item in $(words "$VPN_LOCAL_CIDRS"); do
			case $item in *:*) continue ;; esac
			# shellcheck disable=SC2086 # several words
			ip -4 route replace "$item" $way || die "VPN_LOCAL_CIDRS: no route to $item $way"
		done
	fi
	# Routes more exact than a default count before the VPN's own tables: those to the clients among them.
	ip -4 rule del preference 50 2>/dev/null || true
	ip -4 rule add preference 50 from all lookup main suppress_prefixlength 0
}

# ---- the parts ------------------------------------------------------------------------------------------------------

# part NAME COMMAND...: in the background; when it ends, main, which waits at the pipe, finds its name and status
part() {
	name=$1
	shift
	{
		trap '' TERM INT # stop() ends what this waits for
		(trap - TERM INT && exec "$@") 3<&- &
		echo $! >"$GATEWAY_DIR/$name.pid"
		status=0
		wait $! || status=$?
		rm -f "$GATEWAY_DIR/$name.pid"
		echo "$name $status" >>"$GATEWAY_DIR/ended"
		echo >&3
	} &
	PARTS="$PARTS $!"
}

stop() {
	[ -z "$WAITER" ] || kill "$WAITER" 2>/dev/null || true
	for file in "$GATEWAY_DIR"/*.pid; do
		[ ! -e "$file" ] || kill "$(cat "$file")" 2>/dev/null || true
	done
	# shellcheck disable=SC2086 # several words
	wait $PARTS || true
	rm -f "$GATEWAY_DIR/pipe"
}

stopped() {
	trap '' TERM INT
	say "stopping"
	stop
	exit 0
}

failed() {
	trap '' TERM INT
	stop
	die "$*"
}

# Where clients may be, a line each. What a pod knows for sure is its own address and its node's: a cluster's networks are
# mostly a /16, so a setting of VPN_LOCAL_CIDRS that forgets them does not keep its own pods out.
allowed() {
	device=$(sed 's/.*dev \([^ ]*\).*/\1/' "$KEPT.route")
	for item in $(words "$VXLAN_ALLOW_CIDRS"); do
		[ "$item" = auto ] || { echo "$item" && continue; }
		words "$VPN_LOCAL_CIDRS" | tr ' ' '\n'
		for address in $NODE_IP $(ip -o addr show dev "${device:-eth0}" scope global | sed -n 's/.* inet6* \([^ /]*\).*/\1/p'); do
			case $address in *:*) echo "$address/48" ;; *) echo "$address/16" ;; esac
		done
	done | sed '/^$/d' | sort -u
}

start_switch() {
	# Nothing of an earlier container of this pod: its settings may have been others.
	rm -rf "$GATEWAY_DIR/state"
	ip link del vxlan0 2>/dev/null || true
	part podswitchd podswitchd -s "$PODSWITCH_SOCKET" --state-dir "$GATEWAY_DIR/state"
	tries=100
	until podswitchctl status >/dev/null 2>&1; do
		tries=$((tries - 1))
		[ $tries -gt 0 ] || failed "podswitchd does not answer"
		[ ! -e "$GATEWAY_DIR/ended" ] || failed "podswitchd has not started (its reason is above)"
		sleep 0.1
	done
	allow=$(allowed)
	# shellcheck disable=SC2046 # two words for each
	podswitchctl gateway add gateway --vni "$VXLAN_ID" --port "$VXLAN_PORT" --underlay host --mtu "$(mtu)" \
		$(for item in $allow; do echo "--allow $item"; done) >/dev/null ||
		failed "podswitchd refuses the gateway (above)"
	podswitchctl port add gateway --gateway gateway --netns /proc/self/ns/net --ifname vxlan0 \
		--address "$VXLAN_IP_NETWORK.1/24" >/dev/null || failed "podswitchd refuses the interface (above)"
}

# What fits into a datagram to the clients, to which VXLAN adds 50 bytes, and through the VPN.
mtu() {
	device=$(sed 's/.*dev \([^ ]*\).*/\1/' "$KEPT.route")
	most=$(($(cat "/sys/class/net/${device:-eth0}/mtu" 2>/dev/null || echo 1500) - 50))
	[ "${VPN_INTERFACE_MTU:-$most}" -ge "$most" ] || most=$VPN_INTERFACE_MTU
	echo "$most"
}

reserve() { # a named client that asks by DHCP gets its own address: NAME LAST PROTOCOL PORT
	echo "dhcp-host=$1,$VXLAN_IP_NETWORK.$2"
}

dns_settings() {
	[ -e "$KEPT.dns" ] || sed -n 's/^nameserver[ 	]*\([^ 	]*\).*/\1/p' "$RESOLV_CONF" >"$KEPT.dns"
	cat <<EOF
interface=vxlan0
except-interface=lo
bind-interfaces
user=${GATEWAY_USER:-dnsmasq}
keep-in-foreground
log-facility=-
pid-file=
no-hosts
resolv-file=$RESOLV_CONF
clear-on-reload
dhcp-range=$VXLAN_IP_NETWORK.$VXLAN_GATEWAY_FIRST_DYNAMIC_IP,$VXLAN_IP_NETWORK.254,255.255.255.0,12h
dhcp-option=option:mtu,$(cat /sys/class/net/vxlan0/mtu)
dhcp-leasefile=$GATEWAY_DIR/leases
# Clients of a gateway that was here before keep their addresses.
dhcp-authoritative
# podswitch looks itself whether an address is free. dnsmasq would take 3 s for each client, one after the other.
no-ping
EOF
	for domain in $(words "$DNS_LOCAL_CIDRS"); do
		for server in $(words "${DNS_LOCAL_SERVER:-$(cat "$KEPT.dns")}"); do
			echo "server=/$domain/$server"
		done
	done
	[ "$GATEWAY_ENABLE_DNSSEC" = false ] || printf '%s\n' dnssec conf-file=/usr/share/dnsmasq-base/trust-anchors.conf
	read_nat reserve | sort -u
}

# ---- main -----------------------------------------------------------------------------------------------------------

ready() {
	read_settings
	podswitchctl port show gateway >/dev/null || exit 1
	[ -z "$VPN_INTERFACE" ] || [ -n "$(ip link show dev "$VPN_INTERFACE" up 2>/dev/null)" ] || die "$VPN_INTERFACE is not up"
}

run() {
	read_settings
	check_settings
	read_nat true
	mkdir -p "$GATEWAY_DIR"
	rm -f "$GATEWAY_DIR"/*.pid "$GATEWAY_DIR/ended" "$GATEWAY_DIR/pipe"
	load_rules
	forwarding
	routes
	mkfifo -m 600 "$GATEWAY_DIR/pipe"
	exec 3<>"$GATEWAY_DIR/pipe"
	trap stopped TERM INT
	start_switch
	dns_settings >"$GATEWAY_DIR/dnsmasq.conf"
	part dnsmasq dnsmasq --conf-file="$GATEWAY_DIR/dnsmasq.conf"
	way="${VPN_INTERFACE:-the default route}"
	[ "$VPN_BLOCK_OTHER_TRAFFIC" = false ] || way="$way alone"
	say "serving $VXLAN_IP_NETWORK.0/24, VNI $VXLAN_ID, UDP port $VXLAN_PORT; out by $way"
	# shellcheck disable=SC2086 # on one line
	say "clients may be in:" ${allow:-any network (VXLAN_ALLOW_CIDRS is empty)}
	head -n 1 <&3 >/dev/null &
	WAITER=$!
	wait $WAITER # a signal ends this, and a part that ends
	read -r name status <"$GATEWAY_DIR/ended"
	failed "$name ended with status $status, and so does everything here"
}

case $#${1:-} in
0) run ;;
1ready) ready ;;
1--help | 1-h) usage ;;
*)
	usage >&2
	exit 2
	;;
esac
